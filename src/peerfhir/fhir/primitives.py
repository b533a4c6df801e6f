"""What a value of each primitive type must look like in JSON."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

_YEAR = r"(?!0000)[0-9]{4}"
_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_HEX = "[0-9a-fA-F]"
_PATTERNS = {
    "code": r"[^\s]+(?: [^\s]+)*",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "uri": r"\S+",
    "url": r"\S+",
    "canonical": r"\S+",
    "oid": r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+",
    "uuid": rf"urn:uuid:{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
    "date": rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY})?)?",
    "dateTime": rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY}(?:T{_TIME}{_ZONE})?)?)?",
    "instant": rf"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}",
    "time": _TIME,
}
# What would run, load or submit in a page that shows the narrative (txt-1 allows none of it). Apart, because each then
# has a first character to look for; and whether anything is named like an event is asked before where it stands.
_ACTIVE_TAG = re.compile(
    r"<\s*(?:script|style|iframe|frame|form|input|button|object|embed|applet|link|base|meta|svg|math|!(?!--)|\?)",
    re.IGNORECASE,
)
_ACTIVE_ADDRESS = re.compile(r"=\s*[\"']?\s*(?:javascript|vbscript|data(?!:image/))\s*:", re.IGNORECASE)
_EVENT = re.compile(r"[oO][nN][a-zA-Z]+\s*=")
_EVENT_IN_TAG = re.compile(r"<[^<>]*[\s/\"']on[a-z]+\s*=", re.IGNORECASE)
_MAX_TEXT = 1024 * 1024
_SENTENCES = {
    "boolean": "true or false, without quotation marks",
    "integer": "a whole number of 32 bits, without quotation marks",
    "unsignedInt": "a whole number from 0",
    "positiveInt": "a whole number from 1",
    "decimal": "a number, without quotation marks",
    "string": "a text that is not empty",
    "markdown": "a text that is not empty",
    "code": "a code: no space at the ends, single spaces inside",
    "id": "1 to 64 letters, digits, '-' or '.'",
    "uri": "an address without spaces",
    "url": "an address without spaces",
    "canonical": "an address without spaces",
    "oid": "urn:oid: and an OID",
    "uuid": "urn:uuid: and a UUID",
    "date": "a date of the calendar: YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "a date, or a date and time with seconds and zone",
    "instant": "a date and time with seconds and zone",
    "time": "a time of day: hh:mm:ss",
    "base64Binary": "base64",
    "xhtml": "a <div> of XHTML without scripts, forms, events or a document type",
}


def sentence(kind: str) -> str:
    """What a value of this type must be, for a person who has to mend it."""
    return f"This must be {_SENTENCES[kind]}."


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _matching(pattern: str) -> Callable[[Any], bool]:
    matches = re.compile(pattern).fullmatch
    return lambda value: type(value) is str and matches(value) is not None


def _dated(pattern: str) -> Callable[[Any], bool]:
    """As the pattern, and a day that the calendar has."""
    matches = re.compile(pattern).fullmatch

    def check(value: Any) -> bool:
        if type(value) is not str or matches(value) is None:
            return False
        if len(value) >= 10 and value[8:10] > "28":
            try:
                date(int(value[:4]), int(value[5:7]), int(value[8:10]))
            except ValueError:
                return False
        return True

    return check


def _text(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= _MAX_TEXT and not value.isspace()


def _base64(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    try:
        binascii.a2b_base64("".join(value.split()), strict_mode=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _xhtml(value: Any) -> bool:
    if type(value) is not str or not value.lstrip().startswith("<div"):
        return False
    if not value.rstrip().endswith(("</div>", "/>")):
        return False
    if _ACTIVE_TAG.search(value) or _ACTIVE_ADDRESS.search(value):
        return False
    return _EVENT.search(value) is None or _EVENT_IN_TAG.search(value) is None


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "boolean": lambda value: type(value) is bool,
    "integer": _whole(-(2**31), 2**31 - 1),
    "unsignedInt": _whole(0, 2**31 - 1),
    "positiveInt": _whole(1, 2**31 - 1),
    "decimal": lambda value: type(value) is int or type(value) is Decimal,
    "string": _text,
    "markdown": _text,
    "base64Binary": _base64,
    "xhtml": _xhtml,
    **{kind: _matching(pattern) for kind, pattern in _PATTERNS.items() if kind not in ("date", "dateTime", "instant")},
    **{kind: _dated(_PATTERNS[kind]) for kind in ("date", "dateTime", "instant")},
}


def check_of(kind: str) -> Callable[[Any], bool]:
    """The check of a primitive type: True for a JSON value that it allows."""
    return _CHECKS[kind]
