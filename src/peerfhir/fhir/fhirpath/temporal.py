"""Dates, moments and times of day of any precision: read, compared, moved, and widened to their boundaries."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from peerfhir.fhir.fhirpath.problems import EvaluationProblem

_DAY = r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?"
_CLOCK = r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?)?"
_DATE = re.compile(_DAY)
_DATE_TIME = re.compile(rf"{_DAY}(?:T(?:{_CLOCK})?(Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?")
_TIME = re.compile(_CLOCK)
_LIMITS = {"hour": 24, "minute": 60, "second": 60}

# digits that precision() counts -> number of parts; the last of each is with milliseconds where there are seconds
DIGITS = {
    "Date": {4: 1, 6: 2, 8: 3},
    "DateTime": {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6},
    "Time": {2: 1, 4: 2, 6: 3, 9: 3},
}
_EARLIEST, _LATEST = 14 * 60, -12 * 60  # the offsets in which a day begins first and ends last, in minutes

SECONDS: dict[str, int | Decimal] = {
    "week": 604800,
    "day": 86400,
    "hour": 3600,
    "minute": 60,
    "second": 1,
    "millisecond": Decimal("0.001"),
}
_STEPS = {
    "Date": ("year", "month", "day"),
    "DateTime": ("year", "month", "day", "hour", "minute", "second"),
    "Time": ("hour", "minute", "second"),
}


@dataclass(frozen=True, slots=True)
class Temporal:
    """A Date, DateTime or Time.

    parts   year, month, day, hour, minute, second as far as known (a Time begins with the hour); a second may
            have a fraction
    offset  minutes east of UTC, or None
    """

    kind: str
    parts: tuple[int | Decimal, ...]
    offset: int | None = None

    def text(self) -> str:
        """As FHIR writes it."""
        sizes = (2, 2, 2) if self.kind == "Time" else (4, 2, 2, 2, 2, 2)
        words = [_padded(part, size) for part, size in zip(self.parts, sizes, strict=False)]
        if self.kind == "Time":
            return ":".join(words)
        clock = "T" + ":".join(words[3:]) if len(words) > 3 else ""
        return "-".join(words[:3]) + clock + _zone(self.offset)

    def precision(self) -> int:
        """How many digits are known: 4 for a year, 17 for a moment with milliseconds."""
        whole = {count: digits for digits, count in reversed(DIGITS[self.kind].items())}[len(self.parts)]
        last = self.parts[-1]
        return whole + 3 if isinstance(last, Decimal) and last.as_tuple().exponent != 0 else whole


def _padded(part: int | Decimal, size: int) -> str:
    if type(part) is int:
        return str(part).zfill(size)
    text = format(part, "f") if isinstance(part, Decimal) else str(part)
    whole, point, rest = text.partition(".")
    return whole.zfill(size) + point + rest


def _zone(offset: int | None) -> str:
    if offset is None:
        return ""
    sign, minutes = ("-", -offset) if offset < 0 else ("+", offset)
    return "Z" if offset == 0 else f"{sign}{minutes // 60:02}:{minutes % 60:02}"


def parse(text: str, kind: str) -> Temporal | None:
    """A text in the form of FHIR as a Date, DateTime or Time; None when it is none or not in the calendar."""
    match = {"Date": _DATE, "DateTime": _DATE_TIME, "Time": _TIME}[kind].fullmatch(text)
    if match is None:
        return None
    groups = list(match.groups())
    zone = groups.pop() if kind == "DateTime" else None
    parts = tuple(Decimal(one) if "." in one else int(one) for one in groups if one is not None)
    found = Temporal(kind, parts, _minutes(zone))
    return found if _exists(found) else None


def _minutes(zone: str | None) -> int | None:
    if not zone:
        return None
    minutes = 0 if zone == "Z" else int(zone[1:3]) * 60 + int(zone[4:])
    return -minutes if zone.startswith("-") else minutes


def _exists(value: Temporal) -> bool:
    named = dict(zip(_STEPS[value.kind], value.parts, strict=False))
    if any(part >= _LIMITS[name] for name, part in named.items() if name in _LIMITS):
        return False
    if value.offset is not None and abs(value.offset) > _EARLIEST:
        return False
    try:
        if value.kind != "Time":
            date(*(int(part) for part in (*value.parts, 1, 1)[:3])) if len(value.parts) < 3 else date(
                *(int(part) for part in value.parts[:3])
            )
    except ValueError:
        return False
    return True


def in_utc(value: Temporal) -> Temporal:
    """The same moment in UTC, where it has a time of day and an offset."""
    if not value.offset or len(value.parts) < 4:
        return replace(value, offset=0) if value.offset is not None else value
    minute = int(value.parts[4]) if len(value.parts) > 4 else 0
    try:
        year, month, day, hour = (int(part) for part in value.parts[:4])
        moved = datetime(year, month, day, hour, minute, tzinfo=UTC) - timedelta(minutes=value.offset)
    except OverflowError:
        raise EvaluationProblem("PM712", "a moment leaves the calendar") from None
    # an offset of half an hour gives an hour alone its minute
    count = 5 if len(value.parts) == 4 and moved.minute else len(value.parts)
    parts = (moved.year, moved.month, moved.day, moved.hour, moved.minute, *value.parts[5:])
    return Temporal(value.kind, parts[:count], 0)


def compared(left: Temporal, right: Temporal) -> int | None:
    """-1, 0 or 1; None where the shorter precision, or an unknown offset, leaves it open."""
    clocks = min(len(left.parts), len(right.parts)) > 3
    if clocks and (left.offset is None) != (right.offset is None):
        return _apart(left, right)
    if clocks:
        left, right = in_utc(left), in_utc(right)
    for one, other in zip(left.parts, right.parts, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left.parts) == len(right.parts) else None


def _apart(left: Temporal, right: Temporal) -> int | None:
    """Of two moments of which one has no offset: known only when no offset could change it."""
    days = [date(*(int(part) for part in in_utc(one).parts[:3])) for one in (left, right)]
    if abs((days[0] - days[1]).days) <= 2:
        return None
    return -1 if days[0] < days[1] else 1


def moved(value: Temporal, amount: Decimal, unit: str) -> Temporal:
    """A date or time plus an amount of calendar units; parts of a unit finer than it knows are cut off.

    Raises  EvaluationProblem PM712 when the result leaves the calendar
    """
    if value.kind == "Time":
        return _moved_clock(value, amount, unit)
    if unit in ("year", "month"):
        months = int(amount) * (12 if unit == "year" else 1)
        return _moved_months(value, int(months / 12) * 12 if len(value.parts) == 1 else months)
    seconds = (amount if unit in ("second", "millisecond") else Decimal(int(amount))) * SECONDS[unit]
    known = len(value.parts)
    if known < 3:
        days = int(seconds / 86400)
        return _moved_months(value, int(days / 365) * 12 if known == 1 else int(days / 30))
    finest = (86400, 3600, 60, 1)[min(known, 6) - 3]
    if finest > 1:
        seconds = Decimal(int(seconds / finest) * finest)
    return _moved_seconds(value, seconds)


def _days(year: int, month: int) -> int:
    """How many days a month has."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _moved_months(value: Temporal, months: int) -> Temporal:
    year, month = int(value.parts[0]), int(value.parts[1]) if len(value.parts) > 1 else 1
    total = year * 12 + month - 1 + months
    year, month = total // 12, total % 12 + 1
    if not 1 <= year <= 9999:
        raise EvaluationProblem("PM712", "a date leaves the calendar")
    day = (min(int(value.parts[2]), _days(year, month)),) if len(value.parts) > 2 else ()
    return replace(value, parts=(year, month, *day, *value.parts[3:])[: len(value.parts)])


def _moved_seconds(value: Temporal, seconds: Decimal) -> Temporal:
    parts = (*value.parts, 0, 0, 0)[:6]
    year, month, day, hour, minute = (int(part) for part in parts[:5])
    whole = int((Decimal(parts[5]) + seconds).to_integral_value(rounding="ROUND_FLOOR"))
    rest = Decimal(parts[5]) + seconds - whole
    try:
        at = datetime(year, month, day, hour, minute, tzinfo=UTC) + timedelta(seconds=whole)
    except OverflowError:
        raise EvaluationProblem("PM712", "a date leaves the calendar") from None
    last: int | Decimal = at.second + rest if rest or isinstance(parts[5], Decimal) else at.second
    return replace(value, parts=(at.year, at.month, at.day, at.hour, at.minute, last)[: len(value.parts)])


def _moved_clock(value: Temporal, amount: Decimal, unit: str) -> Temporal:
    if unit not in ("hour", "minute", "second", "millisecond"):
        raise EvaluationProblem("PM712", "a time of day is moved by hours, minutes or seconds")
    # any day does: the clock goes round
    day = Temporal("DateTime", (2000, 1, 15, *value.parts))
    result = moved(day, Decimal(amount) % (86400 / Decimal(SECONDS[unit])), unit)
    return replace(value, parts=result.parts[3:])


def boundary(value: Temporal, digits: int | None, high: bool) -> Temporal | None:
    """The earliest or latest value that the known parts allow, with so many digits; None for digits it cannot have."""
    known = DIGITS[value.kind]
    digits = max(known) if digits is None else digits
    if digits not in known:
        return None
    parts = list(value.parts)
    if value.kind != "Time":
        if len(parts) < 2:
            parts.append(12 if high else 1)
        if len(parts) < 3:
            parts.append(_days(int(parts[0]), int(parts[1])) if high else 1)
    for name in _STEPS[value.kind][len(parts) :]:
        parts.append(_LIMITS[name] - 1 if high else 0)
    if value.kind != "Date":
        whole_second = len(value.parts) < len(_STEPS[value.kind]) or not isinstance(value.parts[-1], Decimal)
        fraction = Decimal("0.999") if high and whole_second else Decimal("0.000")
        parts[-1] = (Decimal(parts[-1]) + fraction).quantize(Decimal("0.001"), ROUND_DOWN)
    count = known[digits]
    result: list[int | Decimal] = parts[:count]
    if digits in (14, 6) and count == len(_STEPS[value.kind]):
        result[-1] = int(result[-1])
    offset = value.offset
    if value.kind == "DateTime" and count > 3 and offset is None:
        offset = _LATEST if high else _EARLIEST
    return Temporal(value.kind, tuple(result), offset if count > 3 else None)
