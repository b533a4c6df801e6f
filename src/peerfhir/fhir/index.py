"""A resource -> the values it is found by."""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

from peerfhir.fhir.parameters import PARAMETERS, Parameter
from peerfhir.fhir.reader import Json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
BEGINNING, END = -(2**62), 2**62  # of a period that is open on that side
MAX_ROWS = 2000  # of one resource; what has more values is stored, and found by the first ones
_KEY_LENGTH = 200
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


@dataclass
class Rows:
    """The index rows of one resource: each kind as a set of (param, value...)."""

    tokens: set[tuple[str, str, str]] = field(default_factory=set)  # param, code, system
    references: set[tuple[str, str]] = field(default_factory=set)  # param, target
    dates: set[tuple[str, int, int]] = field(default_factory=set)  # param, low, high (microseconds, high excluded)
    strings: set[tuple[str, str]] = field(default_factory=set)  # param, folded value
    packed: set[tuple[str, str, str]] = field(default_factory=set)  # param, code, system; see `facets`

    @property
    def facets(self) -> str:
        """The packed codes as one text, in which each is found by `facet_of`."""
        both = {facet_of(*one) for one in self.packed} | {facet_of(p, None, s) for p, _, s in self.packed if s}
        return "".join(sorted(both))

    def __len__(self) -> int:
        return len(self.tokens) + len(self.references) + len(self.dates) + len(self.strings) + len(self.packed)


def rows_of(resource: Json) -> Rows:
    """Everything this resource is found by; what has the wrong shape is passed over in silence."""
    rows = Rows()
    for parameter in PARAMETERS.get(resource.get("resourceType", ""), {}).values():
        for path in parameter.paths:
            for value in _values(resource, path):
                if len(rows) < MAX_ROWS:
                    _add(rows, parameter, value)
    return rows


def identifiers_of(resource: Json) -> list[tuple[str, str]]:
    """(system, value) of each business identifier that has a value, as index keys, each once."""
    found = resource.get("identifier")
    candidates = found if isinstance(found, list) else [found]
    keys = [
        (key_of(str(one.get("system", ""))), key_of(one["value"]))
        for one in candidates
        if isinstance(one, dict) and isinstance(one.get("value"), str)
    ]
    return list(dict.fromkeys(keys))


def key_of(value: str) -> str:
    """A value as it is indexed: whole when short, else its beginning and a digest of all of it."""
    if len(value) <= _KEY_LENGTH:
        return value
    return f"{value[:100]}#{sha256(value.encode()).hexdigest()}"


def facet_of(param: str, code: str | None, system: str | None) -> str:
    """The text that stands in `facets` for a code (system None: whichever), or for any code of a system.

    The separators are control characters, which no resource holds.
    """
    if code is None:
        return f"\x1f{param}\x1e@{system}\x1f"
    return f"\x1f{param}\x1d{code}\x1e" + ("" if system is None else f"{system}\x1f")


def folded(value: str) -> str:
    """Text as it is compared: without case and accents, one space between words."""
    plain = unicodedata.normalize("NFKD", value)
    return " ".join("".join(one for one in plain if not unicodedata.combining(one)).casefold().split())[:_KEY_LENGTH]


def span_of(text: str) -> tuple[int, int] | None:
    """A FHIR date, dateTime or instant as the microseconds it covers; None when it is none.

    A date covers its whole day, a month its whole month. Without a zone it is taken as UTC.
    """
    match = _DATE.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups()[:6])
    try:
        zone = _zone(match.group(8))
        start = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, min(second or 0, 59), tzinfo=zone)
    except ValueError:
        return None
    fraction = match.group(7) or ""
    low = (start - _EPOCH) // _MICROSECOND + int((fraction + "000000")[:6])
    return low, low + _width(year or 1, month, day, hour, second, fraction)


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))


def _width(year: int, month: int | None, day: int | None, hour: int | None, second: int | None, fraction: str) -> int:
    seconds = 1_000_000
    if fraction:
        return int(10 ** max(0, 6 - len(fraction)))
    if second is not None:
        return seconds
    if hour is not None:
        return 60 * seconds
    if day is not None:
        return 86_400 * seconds
    days = calendar.monthrange(year, month)[1] if month else 366 if calendar.isleap(year) else 365
    return days * 86_400 * seconds


def _values(node: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(node, list):
        for one in node:
            yield from _values(one, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _values(node[path[0]], path[1:])


def _add(rows: Rows, parameter: Parameter, value: Any) -> None:
    name = parameter.name
    if parameter.kind == "token":
        kept = rows.packed if parameter.packed else rows.tokens
        kept.update((name, key_of(code), key_of(system)) for code, system in _tokens(value, parameter.system))
    elif parameter.kind == "uri":
        if isinstance(value, str):
            (rows.packed if parameter.packed else rows.tokens).add((name, key_of(value), ""))
    elif parameter.kind == "reference":
        target = value.get("reference") if isinstance(value, dict) else None
        if isinstance(target, str) and not target.startswith("#"):
            rows.references.add((name, key_of(target.split("/_history/")[0])))
    elif parameter.kind == "date":
        span = _span(value)
        if span:
            rows.dates.add((name, *span))
    elif isinstance(value, str) and folded(value):
        rows.strings.add((name, folded(value)))


def _tokens(value: Any, system: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, bool):
        yield ("true" if value else "false"), system
    elif isinstance(value, str):
        yield value, system
    elif isinstance(value, dict):
        if isinstance(value.get("coding"), list):
            for coding in value["coding"]:
                yield from _tokens(coding, "")
        code = value.get("code", value.get("value"))  # a Coding; an Identifier or ContactPoint
        if isinstance(code, str) and isinstance(value.get("system", ""), str):
            yield code, value.get("system", "")


def _span(value: Any) -> tuple[int, int] | None:
    if isinstance(value, str):
        return span_of(value)
    if not isinstance(value, dict):
        return None
    ends = [span_of(value[end]) if isinstance(value.get(end), str) else None for end in ("start", "end")]
    if ends == [None, None]:
        return None
    return (ends[0][0] if ends[0] else BEGINNING), (ends[1][1] if ends[1] else END)
