"""Operators that compare and conclude: equality, equivalence, order, membership and logic."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from peerfhir.fhir.fhirpath import temporal, units
from peerfhir.fhir.fhirpath.model import QUANTITIES, Item, Quantity, Value, plain, type_of
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.temporal import Temporal
from peerfhir.fhir.fhirpath.units import EXACT

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
    if len(values) > 1:
        raise misfit("one value is needed here and there are more")
    return truth_of(values[0])


def truth_of(value: Value) -> bool | None:
    """One value as a condition."""
    if value is True or value is False:
        return bool(value)
    held = plain(value)
    return held if held is None or held is True or held is False else True


def is_number(value: Value) -> bool:
    """An Integer or a Decimal."""
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


# --- equality ------------------------------------------------------------------------------------------------------


def key(value: Value) -> Any:
    """Something hashable that is equal for equal values."""
    value = plain(value) if type(value) is Item else value
    if type(value) is Item:
        return (_json_key(value.value), _json_key(value.extra))
    if isinstance(value, bool) or value is None:
        return ("boolean", value)
    if is_number(value):
        return ("number", value)
    if isinstance(value, Temporal):
        utc = temporal.in_utc(value)
        return ("time" if value.kind == "Time" else "moment", utc.parts, utc.offset if len(utc.parts) > 3 else None)
    if isinstance(value, Quantity):
        unit = units.unit(value.unit)
        if unit is None:
            return ("quantity", value.value, value.unit)
        counted = EXACT.multiply(value.value, unit.factor).normalize(EXACT)
        return ("quantity", counted, unit.dimensions) if unit.dimensions else ("number", counted)
    return ("object", _json_key(value)) if type(value) is dict else (type(value).__name__, value)


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
        if as_quantity(left) is None or as_quantity(right) is None:
            return False  # a text, a date or a structure is no quantity
        pair = quantities(left, right)
        return None if pair is None else bool(pair[0] == pair[1])
    return bool(key(left) == key(right))


def quantities(left: Value, right: Value) -> tuple[Decimal, Decimal] | None:
    """Two quantities, or a quantity and a number, in the unit of the left; None when they cannot be compared."""
    one, other = as_quantity(left), as_quantity(right)
    if one is None or other is None:
        return None
    counted = units.converted(other.value, other.unit, one.unit)
    return None if counted is None else (one.value, counted)


def as_quantity(value: Value) -> Quantity | None:
    """A quantity, or a number as a quantity of unit 1; None for anything else."""
    if isinstance(value, Quantity):
        return value
    return Quantity(Decimal(value), "1") if is_number(value) else None


def equal(left: Values, right: Values) -> bool | None:
    """`=` between collections: same items in the same order."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return same(left[0], right[0])
    found = [same(a, b) for a, b in zip(left, right, strict=True)]
    if False in found:
        return False
    return None if None in found else True


def unequal(left: Values, right: Values) -> bool | None:
    """`!=`."""
    return negated(equal(left, right))


# --- equivalence ---------------------------------------------------------------------------------------------------


def alike(left: Value, right: Value) -> bool:
    """`~` between two single values."""
    left, right = plain(left), plain(right)
    if type(left) is Item and type(right) is Item:
        return _json_alike(left.value, right.value)
    if type(left) is dict and type(right) is dict:  # objects of a record
        return _json_alike(left, right)
    if isinstance(left, Temporal) and isinstance(right, Temporal):
        return left.kind[:4] == right.kind[:4] and temporal.compared(left, right) == 0
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        one, other = as_quantity(left), as_quantity(right)
        if one is None or other is None:
            return False
        counted = units.converted(other.value, units.ucum(other.unit), units.ucum(one.unit))
        return counted is not None and _near(one.value, counted)
    return _plain_alike(left, right)


def _plain_alike(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return " ".join(left.lower().split()) == " ".join(right.lower().split())
    if is_number(left) and is_number(right):
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


def equivalent(left: Values, right: Values) -> bool:
    """`~`: same items in any order; nothing is equivalent to nothing."""
    return _matched(left, right, alike)


def different(left: Values, right: Values) -> bool:
    """`!~`."""
    return not _matched(left, right, alike)


# --- order ---------------------------------------------------------------------------------------------------------


def order(left: Value, right: Value) -> int | None:
    """-1, 0 or 1; None where it cannot be known. Raises EvaluationProblem for values without an order."""
    if type(left) is int and type(right) is int:
        return (left > right) - (left < right)
    left, right = plain(left), plain(right)
    if left is None or right is None:
        return None
    if isinstance(left, Temporal) and isinstance(right, Temporal) and (left.kind == "Time") == (right.kind == "Time"):
        return temporal.compared(left, right)
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        if not {type_of(left), type_of(right)} <= {"Quantity", "Integer", "Decimal"}:
            raise misfit("values of different types have no order")
        pair = quantities(left, right)
        return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])
    if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return int(left > right) - int(left < right)
    raise misfit("values of different types have no order")


def less(left: Value, right: Value) -> bool | None:
    """`<`."""
    found = order(left, right)
    return None if found is None else found < 0


def at_most(left: Value, right: Value) -> bool | None:
    """`<=`."""
    found = order(left, right)
    return None if found is None else found <= 0


def more(left: Value, right: Value) -> bool | None:
    """`>`."""
    found = order(left, right)
    return None if found is None else found > 0


def at_least(left: Value, right: Value) -> bool | None:
    """`>=`."""
    found = order(left, right)
    return None if found is None else found >= 0


# --- logic and membership ------------------------------------------------------------------------------------------


def negated(value: bool | None) -> bool | None:
    """`not()`: unknown stays unknown."""
    return None if value is None else not value


def both(left: bool | None, right: bool | None) -> bool | None:
    """`and`."""
    if left is False or right is False:
        return False
    return True if left and right else None


def either(left: bool | None, right: bool | None) -> bool | None:
    """`or`."""
    if left or right:
        return True
    return False if left is False and right is False else None


def only_one(left: bool | None, right: bool | None) -> bool | None:
    """`xor`."""
    return None if left is None or right is None else left is not right


def follows(left: bool | None, right: bool | None) -> bool | None:
    """`implies`."""
    return either(negated(left), right)


def member(left: Value, right: Values) -> bool | None:
    """`in`: the left value is in the right collection."""
    if left is None:
        return None
    wanted = key(left)
    return any(key(value) == wanted for value in right)


def union(left: Values, right: Values) -> list[Value]:
    """`|`: each value once, in the order in which they come."""
    values = [*left, *right]
    once = Once()
    return values if len(values) < 2 else [value for value in values if once.takes(value)]


class Once:
    """Takes each value once. What lies deep in a structure is compared only where another is the same at its top."""

    def __init__(self) -> None:
        self._first: dict[Any, Value] = {}  # by what stands at the top
        self._keys: set[Any] = set()

    def takes(self, value: Value) -> bool:
        """Whether no equal value was taken before."""
        top = _top(value)
        if top not in self._first:
            self._first[top] = value
            return True
        first = self._first[top]
        if first is not _TOLD:
            self._keys.add(key(first))
            self._first[top] = _TOLD
        whole = key(value)
        is_new = whole not in self._keys
        self._keys.add(whole)
        return is_new


def _top(value: Value) -> Any:
    """Something hashable that equal values share and few others do."""
    if type(value) is not Item or type(value.value) is not dict or value.kind in QUANTITIES:
        return key(value)
    return frozenset([(name, one) for name, one in value.value.items() if type(one) not in _DEEP])


_DEEP = (dict, list)
_TOLD = object()  # stands for a value whose key is known
