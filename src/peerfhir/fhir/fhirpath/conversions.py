"""Conversions between System types; what cannot be converted is empty, never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from peerfhir.fhir.fhirpath import temporal, units
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Quantity, Value
from peerfhir.fhir.fhirpath.operators import one
from peerfhir.fhir.fhirpath.temporal import Temporal

Values = Sequence[Value]
_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_QUANTITY = re.compile(r"([+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?)\s*(?:'([^']+)'|([a-z]+))?")
_WORDS = frozenset((*units.CALENDAR, *(f"{word}s" for word in units.CALENDAR)))


def _boolean(value: Value) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, Decimal)):
        return {0: False, 1: True}.get(int(value)) if value == int(value) else None
    if isinstance(value, str):
        return True if value.lower() in _TRUE else False if value.lower() in _FALSE else None
    return None


def _bounded(value: Value, bits: int) -> Value:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    return value if type(value) is int and -(2**bits) <= value < 2**bits else None


def _integer(value: Value) -> Value:
    return _bounded(value, 31)


def _long(value: Value) -> Value:
    return _bounded(value, 63)


def _decimal(value: Value) -> Value:
    if isinstance(value, bool):
        return Decimal("1.0") if value else Decimal("0.0")
    if isinstance(value, (int, Decimal)):
        return Decimal(value)
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def text(value: Value) -> Value:
    """toString() of one System value; None for what has no text form."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Temporal):
        return value.text()
    if isinstance(value, Quantity):
        return f"{value.value:f} {value.unit}" if value.unit in _WORDS else f"{value.value:f} '{value.unit}'"
    return str(value) if type(value) is int else None


def _date(value: Value) -> Value:
    if isinstance(value, Temporal) and value.kind != "Time":
        return Temporal("Date", value.parts[:3])
    if isinstance(value, str):
        return _date(temporal.parse(value, "DateTime"))
    return None


def _date_time(value: Value) -> Value:
    if isinstance(value, Temporal) and value.kind != "Time":
        return Temporal("DateTime", value.parts, value.offset)
    return temporal.parse(value, "DateTime") if isinstance(value, str) else None


def _time(value: Value) -> Value:
    if isinstance(value, str):
        return temporal.parse(value.removeprefix("T"), "Time")
    return value if isinstance(value, Temporal) and value.kind == "Time" else None


def _quantity(value: Value) -> Value:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is None or (match.group(3) and match.group(3) not in _WORDS):
            return None
        return Quantity(Decimal(match.group(1)), match.group(2) or match.group(3) or "1")
    number = _decimal(value)
    return None if number is None else Quantity(number, "1")


Way = Callable[..., list[Value]]


def _converting(way: Callable[[Value], Value]) -> Way:
    def convert(e: Environment, base: Values) -> list[Value]:
        value = one(base)
        found = None if value is None else way(value)
        return [] if found is None else [found]

    return convert


def _testing(way: Callable[[Value], Value]) -> Way:
    def test(e: Environment, base: Values) -> list[Value]:
        value = one(base)
        return [] if value is None else [way(value) is not None]

    return test


def to_quantity(e: Environment, base: Values, unit: Values = ()) -> list[Value]:
    """toQuantity(): with a unit, converted to it; nothing where that cannot be done."""
    value, wanted = one(base), one(unit)
    found = None if value is None else _quantity(value)
    if found is None or wanted is None:
        return [] if found is None else [found]
    counted = units.converted(found.value, found.unit, str(wanted))
    return [] if counted is None else [Quantity(counted, str(wanted))]


def converts_to_quantity(e: Environment, base: Values, unit: Values = ()) -> list[Value]:
    """`convertsToQuantity()`."""
    return [bool(to_quantity(e, base, unit))] if base else []


to_boolean, converts_to_boolean = _converting(_boolean), _testing(_boolean)
to_integer, converts_to_integer = _converting(_integer), _testing(_integer)
to_long, converts_to_long = _converting(_long), _testing(_long)
to_decimal, converts_to_decimal = _converting(_decimal), _testing(_decimal)
to_string, converts_to_string = _converting(text), _testing(text)
to_date, converts_to_date = _converting(_date), _testing(_date)
to_date_time, converts_to_date_time = _converting(_date_time), _testing(_date_time)
to_time, converts_to_time = _converting(_time), _testing(_time)
