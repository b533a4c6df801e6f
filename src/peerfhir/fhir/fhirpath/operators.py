"""Operators between collections: equality, equivalence, order, arithmetic, membership and logic."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from peerfhir.fhir.fhirpath import temporal, units
from peerfhir.fhir.fhirpath.model import Item, Quantity, Value, plain, type_of
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.temporal import Temporal
from peerfhir.fhir.fhirpath.units import EXACT

_PLACES = Decimal("1e-28")

Values = Sequence[Value]


def misfit(what: str) -> EvaluationProblem:
    """An operand that an operator or function cannot take."""
    return EvaluationProblem("PM712", what)


def one(values: Values) -> Value:
    """The System value of a collection of at most one item, or None. Raises EvaluationProblem when there are more."""
    if len(values) > 1:
        raise misfit("one value is needed here and there are more")
    return plain(values[0]) if values else None


def truth(values: Values) -> bool | None:
    """A collection as a condition: a Boolean is itself, any other single value is true, nothing is unknown."""
    if not values:
        return None
    if len(values) == 1 and (values[0] is True or values[0] is False):
        return bool(values[0])
    value = one(values)
    if value is None or value is True or value is False:
        return value
    return True


def given(value: bool | None) -> list[Value]:
    """A three-valued answer as a collection."""
    return [] if value is None else [value]


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


# --- equality ------------------------------------------------------------------------------------------------------


def key(value: Value) -> Any:
    """Something hashable that is equal for equal values."""
    value = plain(value) if type(value) is Item else value
    if type(value) is Item:
        return (_json_key(value.value), _json_key(value.extra))
    if isinstance(value, bool) or value is None:
        return ("boolean", value)
    if _is_number(value):
        return ("number", value)
    if isinstance(value, Temporal):
        utc = temporal.in_utc(value)
        return ("time" if value.kind == "Time" else "moment", utc.parts, utc.offset if len(utc.parts) > 3 else None)
    if isinstance(value, Quantity):
        unit = units.unit(value.unit)
        if unit is None:
            return ("quantity", value.value, value.unit)
        return ("quantity", EXACT.multiply(value.value, unit.factor).normalize(EXACT), unit.dimensions)
    return (type(value).__name__, value)


def _json_key(value: Any) -> Any:
    if type(value) is dict:
        return frozenset((name, _json_key(inner)) for name, inner in value.items())
    if type(value) is list:
        return tuple(_json_key(inner) for inner in value)
    return ("boolean", value) if isinstance(value, bool) else value


def same(left: Value, right: Value) -> bool | None:
    """`=` between two single values; None where it cannot be known."""
    left, right = plain(left), plain(right)
    if left is None or right is None:
        return None
    if type(left) is str and type(right) is str:
        return left == right
    if isinstance(left, Temporal) and isinstance(right, Temporal):
        if (left.kind == "Time") != (right.kind == "Time"):
            return False
        order = temporal.compared(left, right)
        return None if order is None else order == 0
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        pair = _quantities(left, right)
        return None if pair is None else bool(pair[0] == pair[1])
    return bool(key(left) == key(right))


def _quantities(left: Value, right: Value) -> tuple[Decimal, Decimal] | None:
    """Two quantities, or a quantity and a number, in the unit of the left; None when they cannot be compared."""
    one, other = _as_quantity(left), _as_quantity(right)
    if one is None or other is None:
        return None
    counted = units.converted(other.value, other.unit, one.unit)
    return None if counted is None else (one.value, counted)


def _as_quantity(value: Value) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    return Quantity(Decimal(value), "1") if _is_number(value) else None


def equal(left: Values, right: Values) -> list[Value]:
    """`=`: same items in the same order."""
    if not left or not right:
        return []
    if len(left) != len(right):
        return [False]
    if len(left) == 1:
        return given(same(left[0], right[0]))
    found = [same(a, b) for a, b in zip(left, right, strict=True)]
    if False in found:
        return [False]
    return [] if None in found else [True]


def unequal(left: Values, right: Values) -> list[Value]:
    """`!=`."""
    return [not value for value in equal(left, right)]


# --- equivalence ---------------------------------------------------------------------------------------------------


def alike(left: Value, right: Value) -> bool:
    """`~` between two single values."""
    left, right = plain(left), plain(right)
    if type(left) is Item and type(right) is Item:
        return _json_alike(left.value, right.value)
    if isinstance(left, Temporal) and isinstance(right, Temporal):
        return left.kind[:4] == right.kind[:4] and temporal.compared(left, right) == 0
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        one, other = _as_quantity(left), _as_quantity(right)
        if one is None or other is None:
            return False
        counted = units.converted(other.value, _definite(other.unit), _definite(one.unit))
        return counted is not None and _near(one.value, counted)
    return _plain_alike(left, right)


def _definite(unit: str) -> str:
    """For equivalence a calendar year is a year of UCUM, a calendar month a month."""
    return {"year": "a", "month": "mo"}.get(units.calendar_word(unit) or "", unit)


def _plain_alike(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return " ".join(left.lower().split()) == " ".join(right.lower().split())
    if _is_number(left) and _is_number(right):
        return _near(Decimal(left), Decimal(right))
    return type(left) is type(right) and bool(left == right)


def _near(left: Decimal, right: Decimal) -> bool:
    """Equal when both are rounded to the precision of the less precise one; zeros at the end do not count."""
    places = min(max(0, -_exponent(left)), max(0, -_exponent(right)))
    step = Decimal(1).scaleb(-places)
    return left.quantize(step, ROUND_HALF_UP, EXACT) == right.quantize(step, ROUND_HALF_UP, EXACT)


def _exponent(value: Decimal) -> int:
    return int(value.normalize(EXACT).as_tuple().exponent)


def _json_alike(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_json_alike(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return _matched(left, right, _json_alike)
    return _plain_alike(left, right)


def _matched(left: Sequence[Any], right: Sequence[Any], compare: Any) -> bool:
    """Whether each item of one has a partner in the other, in any order."""
    if len(left) != len(right):
        return False
    waiting = list(right)
    for value in left:
        partner = next((at for at, other in enumerate(waiting) if compare(value, other)), None)
        if partner is None:
            return False
        del waiting[partner]
    return True


def equivalent(left: Values, right: Values) -> list[Value]:
    """`~`: same items in any order; nothing is equivalent to nothing."""
    return [_matched(left, right, alike)]


def different(left: Values, right: Values) -> list[Value]:
    """`!~`."""
    return [not _matched(left, right, alike)]


# --- order ---------------------------------------------------------------------------------------------------------


def order(left: Value, right: Value) -> int | None:
    """-1, 0 or 1; None where it cannot be known. Raises EvaluationProblem for values without an order."""
    left, right = plain(left), plain(right)
    if left is None or right is None:
        return None
    if isinstance(left, Temporal) and isinstance(right, Temporal) and (left.kind == "Time") == (right.kind == "Time"):
        return temporal.compared(left, right)
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        if not {type_of(left), type_of(right)} <= {"Quantity", "Integer", "Decimal"}:
            raise misfit("values of different types have no order")
        pair = _quantities(left, right)
        return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])
    if (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return int(left > right) - int(left < right)
    raise misfit("values of different types have no order")


def less(left: Values, right: Values) -> list[Value]:
    """`<`."""
    found = order(one(left), one(right))
    return [] if found is None else [found < 0]


def at_most(left: Values, right: Values) -> list[Value]:
    """`<=`."""
    found = order(one(left), one(right))
    return [] if found is None else [found <= 0]


def more(left: Values, right: Values) -> list[Value]:
    """`>`."""
    found = order(one(left), one(right))
    return [] if found is None else [found > 0]


def at_least(left: Values, right: Values) -> list[Value]:
    """`>=`."""
    found = order(one(left), one(right))
    return [] if found is None else [found >= 0]


# --- logic and membership ------------------------------------------------------------------------------------------


def both(left: Values, right: Values) -> list[Value]:
    """`and`."""
    a, b = truth(left), truth(right)
    if a is False or b is False:
        return [False]
    return [True] if a and b else []


def either(left: Values, right: Values) -> list[Value]:
    """`or`."""
    a, b = truth(left), truth(right)
    if a or b:
        return [True]
    return [False] if a is False and b is False else []


def only_one(left: Values, right: Values) -> list[Value]:
    """`xor`."""
    a, b = truth(left), truth(right)
    return [] if a is None or b is None else [a is not b]


def follows(left: Values, right: Values) -> list[Value]:
    """`implies`."""
    a, b = truth(left), truth(right)
    if a is False or b is True:
        return [True]
    return [False] if a is True and b is False else []


def member(left: Values, right: Values) -> list[Value]:
    """`in`: the left value is in the right collection."""
    if not left:
        return []
    if len(left) > 1:
        raise misfit("one value is needed here and there are more")
    wanted = key(left[0])
    return [any(key(value) == wanted for value in right)]


def union(left: Values, right: Values) -> list[Value]:
    """`|`."""
    found: dict[Any, Value] = {}
    for value in (*left, *right):
        found.setdefault(key(value), value)
    return list(found.values())


# --- arithmetic ----------------------------------------------------------------------------------------------------


def _result(value: Any) -> list[Value]:
    return [value] if value is not None else []


def plus(left: Values, right: Values) -> list[Value]:
    """`+` of numbers, texts, quantities, and of a date and a quantity."""
    a, b = one(left), one(right)
    if a is None or b is None:
        return []
    if isinstance(a, str) and isinstance(b, str):
        return [a + b]
    if isinstance(a, Temporal):
        return [_moved(a, b, 1)]
    return _result(_summed(a, b, 1))


def minus(left: Values, right: Values) -> list[Value]:
    """`-`."""
    a, b = one(left), one(right)
    if a is None or b is None:
        return []
    return [_moved(a, b, -1)] if isinstance(a, Temporal) else _result(_summed(a, b, -1))


def _summed(left: Value, right: Value, sign: int) -> Value:
    if _is_number(left) and _is_number(right):
        return left + sign * right if type(left) is type(right) is int else EXACT.add(left, EXACT.multiply(sign, right))
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        pair = _quantities(left, right)
        return None if pair is None else Quantity(EXACT.add(pair[0], sign * pair[1]), left.unit)
    raise misfit(f"{type_of(left)} and {type_of(right)} cannot be added or subtracted")


def _moved(left: Temporal, right: Value, sign: int) -> Temporal:
    if not isinstance(right, Quantity):
        raise misfit("only an amount of time is added to a date or time")
    word = units.calendar_word(right.unit) or units.definite(right.unit)
    if word is None:
        raise misfit("this unit is no amount of time that is added to a date: write years or months as words")
    return temporal.moved(left, right.value * sign, word)


def times(left: Values, right: Values) -> list[Value]:
    """`*`."""
    a, b = one(left), one(right)
    if a is None or b is None:
        return []
    if _is_number(a) and _is_number(b):
        return [a * b if type(a) is type(b) is int else EXACT.multiply(a, b)]
    x, y = _as_quantity(a), _as_quantity(b)
    if x is None or y is None:
        raise misfit(f"{type_of(a)} and {type_of(b)} cannot be multiplied")
    return [Quantity(EXACT.multiply(x.value, y.value), _joined(x.unit, ".", y.unit))]


def over(left: Values, right: Values) -> list[Value]:
    """`/`: always a Decimal; nothing when the divisor is 0."""
    a, b = one(left), one(right)
    if a is None or b is None:
        return []
    x, y = _as_quantity(a), _as_quantity(b)
    if x is None or y is None:
        raise misfit(f"{type_of(a)} cannot be divided by {type_of(b)}")
    if not y.value:
        return []
    value = rounded(EXACT.divide(x.value, y.value))
    return [value if _is_number(a) and _is_number(b) else Quantity(value, _joined(x.unit, "/", y.unit))]


def rounded(value: Decimal) -> Decimal:
    """A result of a division or root with at most 28 places."""
    return value if int(value.as_tuple().exponent) >= -28 else value.quantize(_PLACES, ROUND_HALF_UP, EXACT).normalize()


def _joined(left: str, sign: str, right: str) -> str:
    if right == "1":
        return left
    words = [(units.calendar_word(one) and _definite_word(one)) or one for one in (left, right)]
    joined = f"{words[0]}{sign}{f'({words[1]})' if '/' in words[1] or '.' in words[1] else words[1]}"
    found = units.unit(joined)
    return "1" if found == units.ONE else joined


def _definite_word(word: str) -> str:
    return {"year": "a", "month": "mo", "week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s"}.get(
        units.calendar_word(word) or "", "ms"
    )


def _numbers(left: Values, right: Values, who: str) -> tuple[Any, Any] | None:
    a, b = one(left), one(right)
    if a is None or b is None:
        return None
    if not (_is_number(a) and _is_number(b)):
        raise misfit(f"'{who}' needs numbers")
    return (a, b) if b else None


def div(left: Values, right: Values) -> list[Value]:
    """`div`: the quotient without its fraction, towards 0."""
    pair = _numbers(left, right, "div")
    return [] if pair is None else [int(EXACT.divide(Decimal(pair[0]), Decimal(pair[1])))]


def mod(left: Values, right: Values) -> list[Value]:
    """`mod`: the rest of `div`, with the sign of the left."""
    pair = _numbers(left, right, "mod")
    if pair is None:
        return []
    rest = EXACT.remainder(Decimal(pair[0]), Decimal(pair[1]))
    return [int(rest) if type(pair[0]) is type(pair[1]) is int else rest]


def negative(values: Values) -> list[Value]:
    """Unary `-`."""
    value = one(values)
    if value is None:
        return []
    if isinstance(value, Quantity):
        return [Quantity(-value.value, value.unit)]
    if not _is_number(value):
        raise misfit("only a number or a quantity has a sign")
    return [-value]


def positive(values: Values) -> list[Value]:
    """Unary `+`."""
    negative(values)
    return list(values)


def joined_text(left: Values, right: Values) -> list[Value]:
    """`&`: nothing counts as ''."""
    a, b = one(left), one(right)
    for value in (a, b):
        if not isinstance(value, str | None):
            raise misfit("'&' joins texts: convert with toString()")
    return [(a or "") + (b or "")]


def item_at(values: Values, index: Values) -> list[Value]:
    """`[index]`, from 0."""
    at = one(index)
    if at is None:
        return []
    if type(at) is not int:
        raise misfit("an index is an integer")
    return [values[at]] if 0 <= at < len(values) else []


BINARY = {
    "=": "equal", "!=": "unequal", "~": "equivalent", "!~": "different", "<": "less", "<=": "at_most", ">": "more",
    ">=": "at_least", "and": "both", "or": "either", "xor": "only_one", "implies": "follows", "in": "member",
    "|": "union", "+": "plus", "-": "minus", "*": "times", "/": "over", "div": "div", "mod": "mod", "&": "joined_text",
}  # fmt: skip
