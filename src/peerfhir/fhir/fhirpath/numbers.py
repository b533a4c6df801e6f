"""Functions of numbers, in decimal arithmetic, and the boundaries of what a precision leaves open."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation, Overflow
from typing import Any

from peerfhir.fhir.fhirpath import temporal, units
from peerfhir.fhir.fhirpath.arithmetic import exact, rounded
from peerfhir.fhir.fhirpath.model import Quantity, Value
from peerfhir.fhir.fhirpath.operators import is_number, misfit
from peerfhir.fhir.fhirpath.temporal import Temporal
from peerfhir.fhir.fhirpath.units import EXACT

_DIGITS = 8  # of a boundary when none are named
_MAX_DIGITS = 31  # that this engine keeps exactly, beside the digits before the point
_MAX_EXPONENT = 1000
_MAX_BITS = 128  # of an Integer power that is worked out at all


def _number(value: Value) -> Any:
    if is_number(value):
        return value
    raise misfit("a number is needed here")


def absolute(value: Value) -> Value:
    """`abs()`."""
    return Quantity(abs(value.value), value.unit) if isinstance(value, Quantity) else abs(_number(value))


def _whole(value: Value, rounding: str) -> int:
    return int(Decimal(_number(value)).to_integral_value(rounding))


def ceiling(value: Value) -> int:
    """`ceiling()`."""
    return _whole(value, ROUND_CEILING)


def floor(value: Value) -> int:
    """`floor()`."""
    return _whole(value, ROUND_FLOOR)


def truncate(value: Value) -> int:
    """`truncate()`."""
    return _whole(value, ROUND_DOWN)


def round_off(value: Value, digits: Value = None) -> Decimal:
    """round(): a half goes away from 0."""
    places = digits or 0
    if type(places) is not int or not 0 <= places <= _MAX_DIGITS:
        raise misfit("round() takes a number of digits from 0 to 31")
    return exact(_in_places(places, ROUND_HALF_UP), _number(value))


def _in_places(places: int, rounding: str) -> Callable[[Decimal], Decimal]:
    return lambda number: Decimal(number).quantize(Decimal(1).scaleb(-places), rounding, EXACT)


def exp(value: Value) -> Decimal:
    """`exp()`."""
    if abs(_number(value)) > _MAX_EXPONENT:
        raise misfit("the result of exp() has too many digits")
    return rounded(exact(EXACT.exp, value))


def ln(value: Value) -> Decimal | None:
    """`ln()`: nothing of what is not above 0."""
    return rounded(exact(EXACT.ln, value)) if _number(value) > 0 else None


def log(value: Value, base: Value) -> Decimal | None:
    """`log()`: nothing where there is none."""
    if _number(value) <= 0 or _number(base) <= 0 or base == 1:
        return None
    found = EXACT.divide(EXACT.ln(Decimal(value)), EXACT.ln(Decimal(base)))
    whole = found.to_integral_value()
    # the logarithm of a power is exact
    return whole if abs(found - whole) < Decimal("1e-30") else rounded(found)


def power(value: Value, exponent: Value) -> Value:
    """`power()`: nothing where there is no such number, or it would leave 64 bits."""
    number, by = _number(value), _number(exponent)
    if (not number and by < 0) or (number < 0 and by != int(by)):
        return None
    if abs(by) > _MAX_EXPONENT:
        raise misfit("the exponent is too large")
    if type(number) is int and type(by) is int and by >= 0:
        found = number**by if abs(number) < 2 or number.bit_length() * by < _MAX_BITS else None
        return found if found is None or abs(found) < 2**63 else None
    try:
        return Decimal(1) if not number and not by else rounded(EXACT.power(Decimal(number), Decimal(by)))
    except (InvalidOperation, Overflow):
        return None


def sqrt(value: Value) -> Decimal | None:
    """`sqrt()`: nothing of what is below 0."""
    return rounded(exact(EXACT.sqrt, value)) if _number(value) >= 0 else None


# --- boundaries ----------------------------------------------------------------------------------------------------


def low_boundary(value: Value, digits: Value = None) -> Value:
    """`lowBoundary()`."""
    return _boundary(value, digits, False)


def high_boundary(value: Value, digits: Value = None) -> Value:
    """`highBoundary()`."""
    return _boundary(value, digits, True)


def _boundary(value: Value, digits: Value, high: bool) -> Value:
    if digits is not None and type(digits) is not int:
        raise misfit("a precision is an integer")
    if isinstance(value, Temporal):
        return temporal.boundary(value, digits, high)
    if isinstance(value, Quantity):
        number = _number_boundary(value.value, digits, high)
        return None if number is None else Quantity(number, value.unit)
    return _number_boundary(Decimal(_number(value)), digits, high)


def _number_boundary(value: Decimal, digits: int | None, high: bool) -> Decimal | None:
    """Half a unit of the last digit below or above, in so many places: cut off towards 0, rounded away from it."""
    places = _DIGITS if digits is None else digits
    if not 0 <= places <= _MAX_DIGITS:
        return None
    half = Decimal(5).scaleb(min(0, int(value.as_tuple().exponent)) - 1)
    outward = high is not value.is_signed()
    size = EXACT.add(abs(value), half) if outward else EXACT.subtract(abs(value), half)
    found = exact(_in_places(places, ROUND_HALF_UP if outward else ROUND_DOWN), size)
    return found.copy_negate() if value.is_signed() else found


def precision(value: Value) -> int:
    """`precision()`: the digits that are known."""
    if isinstance(value, Temporal):
        return value.precision()
    number = value.value if isinstance(value, Quantity) else _number(value)
    return max(0, -int(Decimal(number).as_tuple().exponent))


def comparable(value: Value, other: Value) -> bool:
    """`comparable()`: whether the units of two quantities measure the same."""
    if not (isinstance(value, Quantity) and isinstance(other, Quantity)):
        raise misfit("comparable() takes quantities")
    return units.unit(value.unit) is not None and units.converted(value.value, value.unit, other.unit) is not None
