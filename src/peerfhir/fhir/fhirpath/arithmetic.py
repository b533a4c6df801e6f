"""Arithmetic: numbers in decimal digits, quantities with their units, dates moved by an amount of time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from peerfhir.fhir.fhirpath import temporal, units
from peerfhir.fhir.fhirpath.model import Quantity, Value, type_of
from peerfhir.fhir.fhirpath.operators import as_quantity, is_number, misfit, quantities
from peerfhir.fhir.fhirpath.problems import short
from peerfhir.fhir.fhirpath.temporal import Temporal
from peerfhir.fhir.fhirpath.units import EXACT

_PLACES = Decimal("1e-28")
_MAX_UNIT = 200  # characters of the unit of a product


_LONG = 2**63


def _whole(value: int) -> int | None:
    """An Integer or Long; nothing where it would leave 64 bits."""
    return value if -_LONG <= value < _LONG else None


def plus(left: Value, right: Value) -> Value:
    """`+` of numbers, texts, quantities, and of a date and a quantity."""
    if type(left) is int and type(right) is int:
        return _whole(left + right)
    if left is None or right is None:
        return None
    if isinstance(left, str) and isinstance(right, str):
        return short(left + right)
    return _moved(left, right, 1) if isinstance(left, Temporal) else _summed(left, right, 1)


def minus(left: Value, right: Value) -> Value:
    """`-`."""
    if left is None or right is None:
        return None
    return _moved(left, right, -1) if isinstance(left, Temporal) else _summed(left, right, -1)


def _summed(left: Value, right: Value, sign: int) -> Value:
    if is_number(left) and is_number(right):
        both_whole = type(left) is type(right) is int
        return _whole(left + sign * right) if both_whole else exact(EXACT.add, left, right if sign > 0 else -right)
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        pair = quantities(left, right)
        if pair is not None and units.is_finer(right.unit, left.unit):  # the sum has the finer of both units
            counted = units.converted(left.value, left.unit, right.unit)
            return Quantity(exact(EXACT.add, counted, sign * right.value), right.unit)
        return None if pair is None else Quantity(exact(EXACT.add, pair[0], sign * pair[1]), left.unit)
    raise misfit(f"{type_of(left)} and {type_of(right)} cannot be added or subtracted")


def _moved(left: Temporal, right: Value, sign: int) -> Temporal:
    if not isinstance(right, Quantity):
        raise misfit("only an amount of time is added to a date or time")
    word = units.calendar_word(right.unit) or units.definite(right.unit)
    if word is None:
        raise misfit("this unit is no amount of time that is added to a date: write years or months as words")
    return temporal.moved(left, right.value * sign, word)


def times(left: Value, right: Value) -> Value:
    """`*`."""
    if left is None or right is None:
        return None
    if is_number(left) and is_number(right):
        return _whole(left * right) if type(left) is type(right) is int else exact(EXACT.multiply, left, right)
    one, other = as_quantity(left), as_quantity(right)
    if one is None or other is None:
        raise misfit(f"{type_of(left)} and {type_of(right)} cannot be multiplied")
    return Quantity(exact(EXACT.multiply, one.value, other.value), _joined(one.unit, ".", other.unit))


def over(left: Value, right: Value) -> Value:
    """`/`: always a Decimal; nothing when the divisor is 0."""
    if left is None or right is None:
        return None
    one, other = as_quantity(left), as_quantity(right)
    if one is None or other is None:
        raise misfit(f"{type_of(left)} cannot be divided by {type_of(right)}")
    if not other.value:
        return None
    value = rounded(exact(EXACT.divide, one.value, other.value))
    return value if is_number(left) and is_number(right) else Quantity(value, _joined(one.unit, "/", other.unit))


def exact(way: Callable[..., Decimal], *numbers: Any) -> Decimal:
    """A step of decimal arithmetic. Raises EvaluationProblem where its result has too many digits."""
    try:
        return way(*numbers)
    except ArithmeticError:
        raise misfit("the result of this arithmetic has too many digits") from None


def rounded(value: Decimal) -> Decimal:
    """A result of a division or root with at most 28 places."""
    return value if int(value.as_tuple().exponent) >= -28 else value.quantize(_PLACES, ROUND_HALF_UP, EXACT).normalize()


def _joined(left: str, sign: str, right: str) -> str:
    if right == "1":
        return left
    words = [units.ucum(one) for one in (left, right)]
    joined = f"{words[0]}{sign}{f'({words[1]})' if '/' in words[1] or '.' in words[1] else words[1]}"
    if len(joined) > _MAX_UNIT:
        raise misfit(f"a unit of more than {_MAX_UNIT} characters is not made")
    found = units.unit(joined)
    return "1" if found == units.ONE else joined


def div(left: Value, right: Value) -> int | None:
    """`div`: the quotient without its fraction, towards 0; nothing when the divisor is 0."""
    if not _divisible(left, right, "div"):
        return None
    return _whole(int(exact(EXACT.divide, Decimal(left), Decimal(right))))


def mod(left: Value, right: Value) -> Value:
    """`mod`: the rest of `div`, with the sign of the left; nothing when the divisor is 0."""
    if not _divisible(left, right, "mod"):
        return None
    rest = exact(EXACT.remainder, Decimal(left), Decimal(right))
    return int(rest) if type(left) is type(right) is int else rest


def _divisible(left: Value, right: Value, who: str) -> bool:
    if left is None or right is None:
        return False
    if not (is_number(left) and is_number(right)):
        raise misfit(f"'{who}' needs numbers")
    return bool(right)


def negative(value: Value) -> Value:
    """Unary `-`."""
    if isinstance(value, Quantity):
        return Quantity(-value.value, value.unit)
    return None if positive(value) is None else -value


def positive(value: Value) -> Value:
    """Unary `+`."""
    if value is None or isinstance(value, Quantity) or is_number(value):
        return value
    raise misfit("only a number or a quantity has a sign")
