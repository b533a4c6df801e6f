"""Formats of dates and times, each of which reads a local text and prints it again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from peerfhir.mapping.zones import Unfit, Zone

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {name.upper(): f"{at:02}" for at, name in enumerate(MONTHS, start=1)}

# token -> the part it gives, what it accepts, whether it may have fewer digits than another of its kind
_TOKENS: dict[str, tuple[str, str, bool]] = {
    "YYYY": ("year", "(?!0000)[0-9]{4}", False),
    "MMM": ("month", "|".join("".join(f"[{sign.upper()}{sign.lower()}]" for sign in name) for name in MONTHS), False),
    "MM": ("month", "0[1-9]|1[0-2]", False),
    "M": ("month", "0?[1-9]|1[0-2]", True),
    "DD": ("day", "0[1-9]|[12][0-9]|3[01]", False),
    "D": ("day", "0?[1-9]|[12][0-9]|3[01]", True),
    "HH": ("hour", "[01][0-9]|2[0-3]", False),
    "H": ("hour", "[01]?[0-9]|2[0-3]", True),
    "hh": ("half", "0[1-9]|1[0-2]", False),
    "h": ("half", "0?[1-9]|1[0-2]", True),
    "A": ("noon", "[AaPp][Mm]", False),
    "mm": ("minute", "[0-5][0-9]", False),
    "ss": ("second", "[0-5][0-9]|60", False),
    "SSS": ("fraction", "[0-9]{1,9}", True),
    "ZZ": ("zone", "Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00)", False),
    "Z": ("zone", "[+-](?:(?:0[0-9]|1[0-3])[0-5][0-9]|1400)", False),
}
_PIECE = re.compile(r"'((?:[^']|'')*)'|(YYYY|MMM|MM|M|DD|D|HH|H|hh|h|A|mm|ss|SSS|ZZ|Z)|([^\W\d_]|')|(.)", re.DOTALL)
_VALUE = re.compile(
    r"(?:(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?)?T?"
    r"(?:(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)
_DAY = ("year", "month", "day")
_CLOCK = ("hour", "minute", "second", "fraction")


class BadFormat(Exception):
    """Why a format is refused; `hint` says what to write."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True)
class Format:
    """One checked format.

    written  as the author wrote it
    parse    local text -> FHIR date, dateTime, instant or time. Raises Unfit; never holds the text
    show     the way back, in the zone of the format. Raises Unfit when the value lacks a part
    """

    written: str
    parse: Callable[[str], str]
    show: Callable[[str], str]


def read_format(written: str, kind: str, zone: Zone | None) -> Format:
    """The format of a field of this kind.

    kind    date, dateTime, instant or time
    zone    the offset or time zone declared beside it
    Raises  BadFormat
    """
    pieces = _pieces(written)
    parts = [_TOKENS[text][0] for is_token, text in pieces if is_token]
    _check(pieces, parts, kind, zone)
    return Format(written, _parser(pieces, zone), _printer(pieces, parts, zone))


def _pieces(written: str) -> list[tuple[bool, str]]:
    """Tokens (True) and literals (False) in order."""
    found: list[tuple[bool, str]] = []
    if written == "todo".upper():  # as `map init` leaves it
        raise BadFormat("the format is still to be decided", "write MM/DD/YYYY or DD/MM/YYYY")
    for match in _PIECE.finditer(written):
        quoted, token, letter, other = match.groups()
        if letter is not None:
            two = (
                "a year has four digits" if letter == "Y" else f"'{letter}' at position {match.start() + 1} is no token"
            )
            raise BadFormat(
                two, "write YYYY" if letter == "Y" else f"quote letters that stand for themselves: '{letter}'"
            )
        if token is not None:
            found.append((True, token))
        else:
            found.append((False, other if quoted is None else quoted.replace("''", "'") or "'"))
    return found


def _check(pieces: list[tuple[bool, str]], parts: list[str], kind: str, zone: Zone | None) -> None:
    for part in parts:
        if parts.count(part) > 1:
            raise BadFormat(f"the {part} stands twice")
    for (is_token, text), (_, after) in pairwise(pieces):
        if (
            is_token
            and _TOKENS[text][2]
            and (after in _TOKENS or after[0].isdigit())
            and after not in ("A", "ZZ", "Z", "MMM")
        ):
            raise BadFormat(f"where '{text}' ends is not clear, because digits follow", f"write {text * 2}")
    there = frozenset(parts)
    _check_day(there, kind)
    _check_clock(there, kind)
    if "zone" in there and zone is not None:
        raise BadFormat("the text has an offset, and another is declared beside the format", "leave one of them out")
    if kind != "time" and there & {"hour", "half"} and "zone" not in there and zone is None:
        raise BadFormat("the format has a time but no offset", 'add offset: "-05:00" or timezone: America/Chicago')
    if kind in ("date", "time") and zone is not None:
        raise BadFormat(f"a {kind} has no offset")


def _check_day(there: frozenset[str], kind: str) -> None:
    if kind == "time":
        if there & set(_DAY):
            raise BadFormat("a time has no day", "use dateTime")
        return
    if "year" not in there:
        raise BadFormat("the year is missing", "write YYYY")
    if "day" in there and "month" not in there:
        raise BadFormat("a day needs its month", "write MM")
    if kind == "date" and there & {*_CLOCK, "half", "noon", "zone"}:
        raise BadFormat("a date has no time", "use dateTime")
    if there & {"hour", "half"} and "day" not in there:
        raise BadFormat("a time needs its day", "write DD")


def _check_clock(there: frozenset[str], kind: str) -> None:
    if ("half" in there) != ("noon" in there):
        raise BadFormat("a 12-hour clock needs hh and A", "write hh and A, or HH")
    if {"half", "hour"} <= there:
        raise BadFormat("the hour stands twice")
    if there & {"minute", "second", "fraction", "zone"} and not there & {"half", "hour"}:
        raise BadFormat("the hour is missing", "write HH")
    if (there & {"half", "hour"} and "minute" not in there) or ("fraction" in there and "second" not in there):
        raise BadFormat("the minutes or seconds are missing", "write HH:mm, or HH:mm:ss")
    if kind == "instant" and "second" not in there:
        raise BadFormat("an instant is exact to the second", "write HH:mm:ss")
    if kind == "time" and "hour" not in there and "half" not in there:
        raise BadFormat("the hour is missing", "write HH:mm")


def _parser(pieces: list[tuple[bool, str]], zone: Zone | None) -> Callable[[str], str]:
    pattern = re.compile("".join(
        f"(?P<{_TOKENS[text][0]}>{_TOKENS[text][1]})" if is_token else re.escape(text) for is_token, text in pieces
    ))  # fmt: skip
    names = list(pattern.groupindex)
    spans = pattern.fullmatch
    if set(names) == set(_DAY) and (True, "MMM") not in pieces:
        return _day_parser(spans, *(names.index(part) for part in _DAY))

    def parse(text: str) -> str:
        match = spans(text)
        if match is None:
            raise Unfit("the value does not match the format")
        return _moment(match.groupdict(), zone)

    return parse


def _day_parser(spans: Callable[[str], re.Match[str] | None], year: int, month: int, day: int) -> Callable[[str], str]:
    """The usual case: a whole day in numbers."""

    def parse(text: str) -> str:
        match = spans(text)
        if match is None:
            raise Unfit("the value does not match the format")
        groups = match.groups()
        found = f"{groups[year]}-{groups[month]:0>2}-{groups[day]:0>2}"
        if found[8:] > "28":
            _calendar(found)
        return found

    return parse


def _calendar(day: str) -> None:
    try:
        date.fromisoformat(day)
    except ValueError:
        raise Unfit("this day is not in the calendar") from None


def _moment(parts: dict[str, str | None], zone: Zone | None) -> str:
    """FHIR text of what a format read."""
    found = parts.get("year") or ""
    month, day = parts.get("month"), parts.get("day")
    if month:
        found = f"{found}-{_NUMBERS.get(month.upper()) or month.zfill(2)}"
    if day:
        found = f"{found}-{day:0>2}"
        if day > "28" and len(day) == 2:
            _calendar(found)
    clock = _clock(parts)
    if clock is None:
        return found
    if not found:
        return clock
    written = parts.get("zone")
    if written is None:
        return f"{found}T{clock}{zone.of(found, clock) if zone else ''}"
    offset = written if ":" in written or written == "Z" else f"{written[:3]}:{written[3:]}"
    return f"{found}T{clock}{'Z' if written == '+0000' else offset}"


def _clock(parts: dict[str, str | None]) -> str | None:
    hour, half = parts.get("hour"), parts.get("half")
    if half:
        afternoon = (parts.get("noon") or "").upper() == "PM"
        hour = str(int(half) % 12 + (12 if afternoon else 0))
    if hour is None:
        return None
    fraction = parts.get("fraction")
    return f"{hour:0>2}:{parts.get('minute')}:{parts.get('second') or '00'}{'.' + fraction if fraction else ''}"


def _printer(pieces: list[tuple[bool, str]], parts: list[str], zone: Zone | None) -> Callable[[str], str]:
    timed = bool({"hour", "half"} & set(parts))

    def show(value: str) -> str:
        match = _VALUE.fullmatch(zone.local(value) if zone is not None and timed else value)
        if match is None:
            raise Unfit("the value is not a date or time")
        found = match.groupdict()
        return "".join([_shown(text, found) if is_token else text for is_token, text in pieces])

    return show


def _shown(token: str, parts: dict[str, str | None]) -> str:
    part = _TOKENS[token][0]
    if part == "fraction":
        return f"{(parts['fraction'] or '')[:3]:0<3}" if parts["second"] else _lacking("second")
    if part in ("half", "noon"):
        hour = int(parts["hour"] or _lacking("hour"))
        if part == "noon":
            return "PM" if hour >= 12 else "AM"
        return f"{hour % 12 or 12:02}" if token == "hh" else str(hour % 12 or 12)  # noqa: S105 - a token of a format
    text = parts[part] or _lacking(part)
    if token == "MMM":  # noqa: S105 - a token of a format
        return MONTHS[int(text) - 1]
    if token == "Z":  # noqa: S105 - a token of a format
        return "+0000" if text == "Z" else text.replace(":", "")
    return str(int(text)) if token in ("M", "D", "H") else text


def _lacking(part: str) -> str:
    raise Unfit(f"the value has no {part}, which the format prints")
