"""One raw value -> the typed value its field declares, and the way back into a declared field."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from peerfhir.mapping import forms
from peerfhir.mapping.fields import TRUE, Field
from peerfhir.mapping.shapes import MAX_SUBJECT
from peerfhir.mapping.zones import Unfit

INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,9})")
DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,100})?(?:[eE][+-]?[0-9]{1,2})?")
_WITH_COMMA = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:,[0-9]{1,100})?")
_SHOWN = 8


class Outside(Unfit):
    """A value that is read and not allowed: codes, bounds, length, pattern."""


def typed(field: Field, raw: Any, is_text: bool) -> Any:
    """The typed value of a raw one that is not blank.

    is_text  every value of this source is text: cells and form values
    Raises   Unfit, or Outside, with the reason and never the value
    """
    value = _parsed(field, raw, is_text)
    if value is None:
        where = f" with {field.format.written}" if field.format else ""
        raise Unfit(f"the value is not {called(field.kind)}{where}")
    if (why := outside(field, value)) is not None:
        raise Outside(why)
    return value


def called(kind: str) -> str:
    """The name of a type with its article."""
    return f"an {kind}" if kind.startswith("in") else f"a {kind}"


def _parsed(field: Field, raw: Any, is_text: bool) -> Any:
    if field.kind == "string":
        if isinstance(raw, str) and raw.isspace():
            raise Unfit("a text is more than blanks")
        if isinstance(raw, str) and len(raw) > forms.MAX_TEXT:
            raise Outside(f"the text is longer than {forms.MAX_TEXT} characters")
        return raw if isinstance(raw, str) else None
    if field.kind == "boolean" and type(raw) is not bool and (is_text or field.true != TRUE):
        raw = str(raw) if type(raw) is int else raw
        return (
            None if not isinstance(raw, str) else True if raw in field.true else False if raw in field.false else None
        )
    if isinstance(raw, str):
        if field.format is not None:
            return _formatted(field, raw)
        if field.kind == "decimal" and (is_text or field.decimal_comma):
            return decimal(raw, field.decimal_comma)
        if field.kind == "integer" and is_text:
            raw = int(raw) if INTEGER.fullmatch(raw) else None
    return raw if forms.fits(field.kind, raw) else None


def _formatted(field: Field, raw: str) -> str:
    if field.format is None:
        return raw
    try:
        found = field.format.parse(raw)
    except Unfit as problem:
        what = str(problem)
        if "the format" in what:
            raise Unfit(f"the value does not match {field.format.written}") from None
        raise Unfit(f"{what} ({field.format.written})") from None
    return found


def decimal(raw: str, comma: bool) -> Decimal | None:
    """The decimal a text says, with its digits, or None."""
    if comma:
        return Decimal(raw.replace(",", ".")) if _WITH_COMMA.fullmatch(raw) else None
    return Decimal(raw) if DECIMAL.fullmatch(raw) else None


def outside(field: Field, value: Any) -> str | None:
    """Why a typed value is not allowed, or None."""
    if field.codes is not None and value not in field.codes:
        shown = sorted(field.codes)[:_SHOWN]
        more = len(field.codes) - _SHOWN
        return f"the value is not one of {', '.join(shown)}" + (f" and {more} more" if more > 0 else "")
    if isinstance(value, str):
        return _text_outside(field, value)
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        if field.minimum is not None and value < field.minimum:
            return f"the value is below {field.minimum}"
        if field.maximum is not None and value > field.maximum:
            return f"the value is above {field.maximum}"
    return None


def _text_outside(field: Field, value: str) -> str | None:
    if field.max_length is not None and len(value) > field.max_length:
        return f"the value is longer than {field.max_length} characters"
    if field.pattern is not None:
        if len(value) > MAX_SUBJECT:
            return f"a text longer than {MAX_SUBJECT} characters is not matched"
        if not field.pattern(value):
            return "the value does not match the pattern"
    if field.earliest is not None and is_before(value, field.earliest):
        return f"the value is before {field.earliest}"
    if field.latest is not None and is_before(field.latest, value):
        return f"the value is after {field.latest}"
    return None


def is_before(left: str, right: str) -> bool:
    """Whether one date, moment or time of day is before another; by their days when one of them has no time."""
    if "T" in left and "T" in right:
        return _instant(left) < _instant(right)
    if left[2:3] == ":":
        return left < right
    length = min(len(left), len(right), 10)
    return left[:length] < right[:length]


def _instant(moment: str) -> tuple[datetime, str]:
    """The UTC time to the second, and its fraction as digits that compare."""
    clock, offset = (moment[:-1], "+00:00") if moment.endswith("Z") else (moment[:-6], moment[-6:])
    whole, _, fraction = clock.partition(".")
    leap = whole.endswith(":60")
    at = datetime.fromisoformat(f"{whole[:-2]}59{offset}" if leap else whole + offset)
    try:
        return at.astimezone(UTC), ("9" if leap else "") + fraction
    except OverflowError:  # the first and the last day there is
        return at.replace(tzinfo=UTC), fraction


def check_value(field: Field, value: Any) -> str | None:
    """Why a value may not stand in a field that a from-fhir mapping writes, or None."""
    if field.kind == "string":
        return outside(field, value) if isinstance(value, str) else "the value is not a text"
    if not forms.fits(field.kind, value):
        return f"the value is not {called(field.kind)}"
    return outside(field, value)


def writer(field: Field) -> Callable[[Any], Any]:
    """What puts a value into a field of a from-fhir record: its declaration is checked and its format printed.

    The function raises Unfit, or Outside, with the reason
    """
    show = field.format.show if field.format is not None else None

    def write(value: Any) -> Any:
        why = check_value(field, value)
        if why is not None:
            raise Outside(why)
        return show(value) if show is not None else value

    return write
