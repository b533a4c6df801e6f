"""A resource -> the values it is found by."""

from __future__ import annotations

import calendar
import re
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from typing import Any

from peerfhir.fhir.parameters import PARAMETERS, Parameter
from peerfhir.fhir.reader import Json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
BEGINNING, END = -(2**62), 2**62  # of a period that is open on that side
MAX_ROWS = 2000  # of one resource; what has more values is stored, and found by the first ones
_KEY_LENGTH = 200
_SORTED = 32  # characters by which a text is sorted
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


@dataclass
class Rows:
    """The index rows of one resource, each kind as a set of (param, value...) in the order of its table."""

    tokens: set[tuple[str, str, str]] = field(default_factory=set)  # param, code, system
    references: set[tuple[str, str]] = field(default_factory=set)  # param, target
    dates: set[tuple[str, int, int]] = field(default_factory=set)  # param, low, high (microseconds, high excluded)
    strings: set[tuple[str, str, str]] = field(default_factory=set)  # param, folded value, value as it was sent
    quantities: set[tuple[str, float, str, str]] = field(default_factory=set)  # param, value, code or unit, system
    keys: str = ""  # what the resource is sorted by: for each parameter it has a value of, see `key_mark`

    def __len__(self) -> int:
        return len(self.tokens) + len(self.references) + len(self.dates) + len(self.strings) + len(self.quantities)


def rows_of(resource: Json) -> Rows:
    """Everything this resource is found by; what has the wrong shape is passed over in silence."""
    rows = Rows()
    spans: dict[str, list[str]] = {}
    own = PARAMETERS.get(resource.get("resourceType", ""), {})
    for parameter in own.values():
        for path in parameter.paths:
            for value in _values(resource, path):
                if len(rows) < MAX_ROWS:
                    found = _add(rows, parameter, value)
                    if found:
                        spans.setdefault(parameter.name, []).extend(found)
    for name, parameter in own.items():
        for other in parameter.stored:
            if other != name:
                found = spans.get(other, [])
                if parameter.kind == "reference":
                    pointed = [target for param, target in rows.references if param == other]
                    found = [target[:_SORTED] for target in pointed if _is_to(parameter, target)]
                if found:
                    spans.setdefault(name, []).extend(found)
    rows.keys = "".join(f"{key_mark(name)}{min(one)}\x1d{max(one)}" for name, one in spans.items()) + "\x1f"
    return rows


def key_mark(param: str) -> str:
    """What stands before the smallest value of a parameter in `Rows.keys`; a \x1d and the largest follow it.

    Control characters, because no resource holds them.
    """
    return f"\x1f{param}\x1e"


def date_key(micros: int) -> str:
    """An instant as nineteen digits, which compare as the instants do."""
    return f"{micros + END:019d}"


def _is_to(parameter: Parameter, target: str) -> bool:
    return target.rpartition("/")[0].rpartition("/")[2] in parameter.targets


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


def folded(value: str) -> str:
    """Text as it is compared: without case and accents, one space between words."""
    if value.isascii():
        return " ".join(value.casefold().split())[:_KEY_LENGTH]
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
    if type(node) is list:
        for one in node:
            yield from _values(one, path)
    elif not path:
        yield node
    elif type(node) is dict:
        step = path[0]
        if step in node:
            yield from _values(node[step], path[1:])
        elif step.startswith("http") and node.get("url") == step:  # of `extension`: those with this url
            yield from _values(node, path[1:])


def _add(rows: Rows, parameter: Parameter, value: Any) -> list[str]:
    """Add what one value is found by; what it is sorted by."""
    name, kind = parameter.name, parameter.kind
    if kind == "token":
        found = [(key_of(code), key_of(system)) for code, system in _tokens(value, parameter.system)]
        rows.tokens.update((name, code, system) for code, system in found)
        return [code[:_SORTED] for code, _ in found] or _words(value)
    if kind == "uri":
        if type(value) is not str:
            return []
        address, _, version = value.partition("|")  # of a canonical; the version stands where a code has its system
        key = key_of(address)
        rows.tokens.add((name, key, key_of(version)))
        return [key[:_SORTED]]
    if kind == "reference":
        return _add_reference(rows, name, value)
    if kind == "date":
        span = _span(value)
        if span is None:
            return []
        rows.dates.add((name, *span))
        return [date_key(span[0]), date_key(span[1])]
    if kind == "quantity":
        return _add_quantity(rows, name, value)
    return _add_text(rows, name, value)


def _add_text(rows: Rows, name: str, value: Any) -> list[str]:
    if type(value) is dict:  # an Address: each of its lines and parts
        said = [each for element, each in value.items() if element not in ("use", "type")]  # codes, not words of it
        parts = [one for each in said for one in (each if type(each) is list else [each])]
        return [key for one in parts if type(one) is str for key in _add_text(rows, name, one)]
    plain = folded(value) if type(value) is str else ""
    if not plain:
        return []
    rows.strings.add((name, plain, key_of(value)))
    return [plain[:_SORTED]]


def _add_reference(rows: Rows, name: str, value: Any) -> list[str]:
    if type(value) is not dict:
        return []
    identifier = value.get("identifier")
    if type(identifier) is dict:
        rows.tokens.update(
            (f"{name}:identifier", key_of(code), key_of(system)) for code, system in _tokens(identifier, "")
        )
    target = value.get("reference")
    if type(target) is not str or target.startswith("#"):
        return _words(value)
    key = key_of(target.split("/_history/")[0])
    rows.references.add((name, key))
    return [key[:_SORTED]]


def _words(value: Any) -> list[str]:
    """What a value without code or address is sorted by: nothing finds it, and yet it is not missing."""
    if type(value) is not dict:
        return []
    coding, identifier = value.get("coding"), value.get("identifier")
    places = [value, *(coding if type(coding) is list else ()), identifier]
    said = (one.get(key) for one in places if type(one) is dict for key in ("text", "display", "reference", "value"))
    return [plain[:_SORTED] for one in said if type(one) is str and (plain := folded(one))][:1]


def _add_quantity(rows: Rows, name: str, value: Any) -> list[str]:
    number = value.get("value") if type(value) is dict else None
    if type(number) is bool or not isinstance(number, (int, float, Decimal)):
        return []
    plain = float(number)
    code, system, unit = (one if type(one) is str else "" for one in map(value.get, ("code", "system", "unit")))
    rows.quantities.add((name, plain, key_of(code), key_of(system)))
    if unit and unit != code:
        rows.quantities.add((name, plain, key_of(unit), ""))
    return [number_key(plain)]


def number_key(value: float) -> str:
    """A number as sixteen characters, which compare as the numbers do."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value))
    return f"{(bits ^ (1 << 63)) if value >= 0 else (bits ^ ((1 << 64) - 1)):016x}"


def _tokens(value: Any, system: str) -> Iterator[tuple[str, str]]:
    if type(value) is str:
        yield value, system
    elif type(value) is bool:
        yield ("true" if value else "false"), system
    elif type(value) is dict:
        coding = value.get("coding")
        if type(coding) is list:
            for one in coding:
                yield from _tokens(one, "")
        code = value.get("code", value.get("value"))  # a Coding; an Identifier or ContactPoint
        if type(code) is str and isinstance(value.get("system", ""), str):
            yield code, value.get("system", "")


def _span(value: Any) -> tuple[int, int] | None:
    if type(value) is str:
        return span_of(value)
    if type(value) is not dict:
        return None
    ends = [span_of(value[end]) if isinstance(value.get(end), str) else None for end in ("start", "end")]
    if ends == [None, None]:
        return None
    return (ends[0][0] if ends[0] else BEGINNING), (ends[1][1] if ends[1] else END)
