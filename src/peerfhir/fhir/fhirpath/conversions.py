"""Conversions between System types; what cannot be converted is empty, never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from peerfhir.fhir.fhirpath import temporal, units
from peerfhir.fhir.fhirpath.model import Quantity, Value
from peerfhir.fhir.fhirpath.operators import misfit
from peerfhir.fhir.fhirpath.problems import short
from peerfhir.fhir.fhirpath.temporal import Temporal

UCUM = "http://unitsofmeasure.org"
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
        return temporal.parse(value, "Date")
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


def _quantity_in(value: Value, unit: Value = None) -> Quantity | None:
    """toQuantity(): with a unit, converted to it; nothing where that cannot be done."""
    found: Quantity | None = _quantity(value)
    if found is None or unit is None:
        return found
    counted = units.converted(found.value, found.unit, str(unit))
    return None if counted is None else Quantity(counted, str(unit))


def _testing(way: Callable[..., Value]) -> Callable[..., bool]:
    return lambda *values: way(*values) is not None


to_boolean, converts_to_boolean = _boolean, _testing(_boolean)
to_integer, converts_to_integer = _integer, _testing(_integer)
to_long, converts_to_long = _long, _testing(_long)
to_decimal, converts_to_decimal = _decimal, _testing(_decimal)
to_string, converts_to_string = text, _testing(text)
to_date, converts_to_date = _date, _testing(_date)
to_date_time, converts_to_date_time = _date_time, _testing(_date_time)
to_time, converts_to_time = _time, _testing(_time)
to_quantity, converts_to_quantity = _quantity_in, _testing(_quantity_in)


def concatenated(*values: Value) -> str:
    """`&` of a mapping: each value as toString() writes it, nothing as ''."""
    found = [value if type(value) is str else "" if value is None else text(value) for value in values]
    if None in found:
        raise misfit("a structure stands where a text is expected")
    return short("".join(found))


def joined_texts(*values: Value) -> str:
    """`&` of the standard: texts alone, nothing as ''."""
    if not all(isinstance(value, str | None) for value in values):
        raise misfit("'&' joins texts: convert with toString()")
    return short("".join([value for value in values if value is not None]))


def measured(value: Value, code: Value, unit: Value = None) -> dict[str, Any] | None:
    """A number as a Quantity of FHIR with a UCUM code, and a unit to show.

    Raises  EvaluationProblem when the code is not a unit of UCUM
    """
    if value is None or code is None:
        return None
    if type(code) is not str or units.unit(code) is None:
        raise misfit("toQuantity() needs a unit of UCUM")
    return {"value": value, "unit": code if unit is None else unit, "system": UCUM, "code": code}


def plain_quantity(value: Quantity) -> dict[str, Any]:
    """A quantity as FHIR writes it; words of the calendar keep standing as the unit to show."""
    code = units.ucum(value.unit)
    return {"value": value.value, "unit": value.unit, "system": UCUM, "code": code}
