"""The lexical forms of FHIR primitives: what a text must look like to be a code, a date, an instant."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

_YEAR = r"(?!0000)[0-9]{4}"
_DATE = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?"
_FULL = rf"{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

# Source: FHIR R4 datatypes.html, the regex of each primitive
_FORMS = {
    "code": re.compile(r"[^\s]+(?: [^\s]+)*"),
    "id": re.compile(r"[A-Za-z0-9.-]{1,64}"),
    "uri": re.compile(r"\S+"),
    "url": re.compile(r"\S+"),
    "canonical": re.compile(r"\S+"),
    "oid": re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"),
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "base64Binary": re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
    "date": re.compile(_DATE),
    "dateTime": re.compile(rf"{_DATE}|{_FULL}T{_CLOCK}{_ZONE}"),
    "instant": re.compile(rf"{_FULL}T{_CLOCK}{_ZONE}"),
    "time": re.compile(_CLOCK),
}
_STORED = r"/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?"
_REFERENCE = re.compile(rf"([A-Z][A-Za-z]+)(?:{_STORED}|\?\S+)|https?://[^\s/?#]+(?:/\S*)?|urn:[A-Za-z0-9]+:\S+|#\S*")
_DATED = frozenset(("date", "dateTime", "instant"))
_INTEGERS = {"integer": -(2**31), "positiveInt": 1, "unsignedInt": 0}
REFERENCE = "reference"  # no primitive: the text in a Reference
MAX_TEXT = 1024 * 1024  # characters of a string. Source: FHIR R4 datatypes.html#string
_NOT_BLANK = re.compile(r"\S")


def fits(kind: str, value: Any) -> bool:
    """Whether a JSON value has the form of a FHIR primitive of this kind.

    Integers are int, decimals int or Decimal; texts must hold something other than blanks.
    """
    if kind in _INTEGERS:
        return type(value) is int and _INTEGERS[kind] <= value < 2**31
    if kind == "decimal":
        return type(value) is int or (isinstance(value, Decimal) and value.is_finite())
    if kind == "boolean":
        return value is True or value is False
    if not isinstance(value, str):
        return False
    if kind == REFERENCE:
        return is_reference(value)
    form = _FORMS.get(kind)
    if form is None:
        return _NOT_BLANK.search(value) is not None
    return form.fullmatch(value) is not None and (kind not in _DATED or is_day(value))


@cache
def _resources() -> frozenset[str]:
    from peerfhir.fhir.definitions import r4

    return frozenset(r4().resources())


@lru_cache(maxsize=1024)
def is_reference(value: str) -> bool:
    """Whether a text can stand in a Reference; the same few come again and again."""
    match = _REFERENCE.fullmatch(value)
    return match is not None and (match.group(1) is None or match.group(1) in _resources())


def form(kind: str) -> Callable[[str], re.Match[str] | None]:
    """What tells whether a text has the form of a code or a uri."""
    return _FORMS[kind].fullmatch


def is_day(value: str) -> bool:
    """Whether the day a date or moment begins with exists in the calendar; a year or month alone does."""
    if len(value) < 10:
        return True
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True
