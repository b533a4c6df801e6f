"""Functions of numbers, in decimal arithmetic, and the boundaries of what a precision leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation, Overflow
from typing import Any

from peerfhir.fhir.fhirpath import temporal, units
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Quantity, Value
from peerfhir.fhir.fhirpath.operators import misfit, one, rounded
from peerfhir.fhir.fhirpath.temporal import Temporal
from peerfhir.fhir.fhirpath.units import EXACT

Values = Sequence[Value]
_DIGITS = 8  # of a boundary when none are named
_MAX_DIGITS = 31  # that this engine keeps exactly, beside the digits before the point
_MAX_EXPONENT = 1000


def _number(values: Values) -> Any:
    found = one(values)
    if found is None or (isinstance(found, (int, Decimal)) and not isinstance(found, bool)):
        return found
    raise misfit("a number is needed here")


def absolute(e: Environment, base: Values) -> list[Value]:
    """`abs()`."""
    found = one(base)
    if isinstance(found, Quantity):
        return [Quantity(abs(found.value), found.unit)]
    number = _number(base)
    return [] if number is None else [abs(number)]


def _whole(base: Values, rounding: str) -> list[Value]:
    number = _number(base)
    return [] if number is None else [int(Decimal(number).to_integral_value(rounding))]


def ceiling(e: Environment, base: Values) -> list[Value]:
    """`ceiling()`."""
    return _whole(base, ROUND_CEILING)


def floor(e: Environment, base: Values) -> list[Value]:
    """`floor()`."""
    return _whole(base, ROUND_FLOOR)


def truncate(e: Environment, base: Values) -> list[Value]:
    """`truncate()`."""
    return _whole(base, ROUND_DOWN)


def round_off(e: Environment, base: Values, digits: Values = ()) -> list[Value]:
    """round(): a half goes away from 0."""
    number, places = _number(base), one(digits) or 0
    if number is None:
        return []
    if type(places) is not int or not 0 <= places <= _MAX_DIGITS:
        raise misfit("round() takes a number of digits from 0 to 31")
    return [Decimal(number).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, EXACT)]


def exp(e: Environment, base: Values) -> list[Value]:
    """`exp()`."""
    number = _number(base)
    if number is None:
        return []
    if abs(number) > _MAX_EXPONENT:
        raise misfit("the result of exp() has too many digits")
    return [rounded(EXACT.exp(Decimal(number)))]


def ln(e: Environment, base: Values) -> list[Value]:
    """`ln()`."""
    number = _number(base)
    return [] if number is None or number <= 0 else [rounded(EXACT.ln(Decimal(number)))]


def log(e: Environment, base: Values, of: Values) -> list[Value]:
    """`log()`."""
    number, foot = _number(base), _number(of)
    if number is None or foot is None or number <= 0 or foot <= 0 or foot == 1:
        return []
    found = EXACT.divide(EXACT.ln(Decimal(number)), EXACT.ln(Decimal(foot)))
    whole = found.to_integral_value()
    # the logarithm of a power is exact
    return [whole if abs(found - whole) < Decimal("1e-30") else rounded(found)]


def power(e: Environment, base: Values, exponent: Values) -> list[Value]:
    """`power()`."""
    number, by = _number(base), _number(exponent)
    if number is None or by is None or (not number and by < 0):
        return []
    if number < 0 and by != int(by):
        return []
    if abs(by) > _MAX_EXPONENT:
        raise misfit("the exponent is too large")
    if type(number) is int and type(by) is int and by >= 0:
        return [number**by]
    try:
        return [Decimal(1) if not number and not by else rounded(EXACT.power(Decimal(number), Decimal(by)))]
    except (InvalidOperation, Overflow):
        return []


def sqrt(e: Environment, base: Values) -> list[Value]:
    """`sqrt()`."""
    number = _number(base)
    return [] if number is None or number < 0 else [rounded(EXACT.sqrt(Decimal(number)))]


# --- boundaries ----------------------------------------------------------------------------------------------------


def low_boundary(e: Environment, base: Values, digits: Values = ()) -> list[Value]:
    """`lowBoundary()`."""
    return _boundary(base, digits, False)


def high_boundary(e: Environment, base: Values, digits: Values = ()) -> list[Value]:
    """`highBoundary()`."""
    return _boundary(base, digits, True)


def _boundary(base: Values, digits: Values, high: bool) -> list[Value]:
    value, wanted = one(base), one(digits)
    if wanted is not None and type(wanted) is not int:
        raise misfit("a precision is an integer")
    if value is None:
        return []
    found: Value
    if isinstance(value, Temporal):
        found = temporal.boundary(value, wanted, high)
    elif isinstance(value, Quantity):
        number = _number_boundary(value.value, wanted, high)
        found = None if number is None else Quantity(number, value.unit)
    else:
        found = _number_boundary(Decimal(_number(base)), wanted, high)
    return [] if found is None else [found]


def _number_boundary(value: Decimal, digits: int | None, high: bool) -> Decimal | None:
    """Half a unit of the last digit below or above, in so many places: cut off towards 0, rounded away from it."""
    places = _DIGITS if digits is None else digits
    if not 0 <= places <= _MAX_DIGITS:
        return None
    half = Decimal(5).scaleb(min(0, int(value.as_tuple().exponent)) - 1)
    outward = high is not value.is_signed()
    size = EXACT.add(abs(value), half) if outward else EXACT.subtract(abs(value), half)
    found = size.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP if outward else ROUND_DOWN, EXACT)
    return found.copy_negate() if value.is_signed() else found


def precision(e: Environment, base: Values) -> list[Value]:
    """`precision()`."""
    value = one(base)
    if value is None:
        return []
    if isinstance(value, Temporal):
        return [value.precision()]
    if isinstance(value, Quantity):
        value = value.value
    elif isinstance(value, str):
        raise misfit("precision() takes a number, a date or a time")
    return [max(0, -int(Decimal(_number([value])).as_tuple().exponent))]


def comparable(e: Environment, base: Values, other: Values) -> list[Value]:
    """`comparable()`."""
    left, right = one(base), one(other)
    if left is None or right is None:
        return []
    if not (isinstance(left, Quantity) and isinstance(right, Quantity)):
        raise misfit("comparable() takes quantities")
    return [units.unit(left.unit) is not None and units.converted(left.value, left.unit, right.unit) is not None]
