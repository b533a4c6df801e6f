"""Offsets and time zones of local times: which moment a clock on a wall means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

OFFSET = re.compile(r"Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00)")
AMBIGUOUS = ("error", "earlier", "later")
_CLOCKED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")


class Unfit(Exception):
    """Why a value is not what its field says, without the value."""


@dataclass(frozen=True)
class Zone:
    """How local times get their offset.

    of     (day, clock) -> offset as FHIR writes it. Raises Unfit for a time that does not exist, or exists twice
    local  a FHIR moment -> the same moment on the clock of this zone. Raises Unfit
    """

    of: Callable[[str, str], str]
    local: Callable[[str], str]


def fixed(offset: str) -> Zone:
    """The zone of one offset, which OFFSET accepts."""
    sign = -1 if offset[0] == "-" else 1
    minutes = 0 if offset == "Z" else sign * (int(offset[1:3]) * 60 + int(offset[4:6]))
    there = timezone(timedelta(minutes=minutes))
    return Zone(lambda _day, _clock: offset, lambda value: _moved(value, there, offset))


def named(name: str, ambiguous: str = "error") -> Zone | None:
    """The zone of an IANA name, or None when there is no such zone.

    ambiguous  error, earlier or later: what a time means that the clock shows twice
    """
    zone = _zone(name)
    if zone is None:
        return None
    return Zone(lambda day, clock: _offset(zone, day, clock, ambiguous), lambda value: _moved(value, zone, None))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo | None:
    if name in ("localtime", "posixrules", "Factory") or name.startswith(("posix/", "right/")):
        return None  # of one machine, or with another count of seconds
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the zones, or a path out of it
        return None


def _offset(zone: ZoneInfo, day: str, clock: str, ambiguous: str) -> str:
    at = datetime.fromisoformat(f"{day}T{clock[:5]}:00").replace(tzinfo=zone)
    early, late = at.utcoffset(), at.replace(fold=1).utcoffset()
    if early is None or late is None:
        raise Unfit("the time zone has no offset for this time")
    if early < late:
        raise Unfit("this local time does not exist in the time zone")
    if early > late and ambiguous == "error":
        raise Unfit("this local time exists twice in the time zone")
    return _written(late if ambiguous == "later" else early)


def _written(offset: timedelta) -> str:
    seconds = int(offset.total_seconds())
    if seconds % 60 or abs(seconds) > 14 * 3600:
        raise Unfit("the time zone had no offset in whole minutes then")
    if seconds == 0:
        return "Z"
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}"


def _moved(value: str, zone: tzinfo, written: str | None) -> str:
    match = _CLOCKED.fullmatch(value)
    if match is None:
        return value  # a day, a month or a year is the same everywhere
    start, second, fraction, offset = match.groups()
    leap = second == "60"
    try:
        given = datetime.fromisoformat(f"{start}{'59' if leap else second}{offset.replace('Z', '+00:00')}")
        moved = given.astimezone(UTC).astimezone(zone)
    except (ValueError, OverflowError):
        raise Unfit("this moment is not in the calendar") from None
    found = moved.utcoffset() or timedelta()
    seconds = "60" if leap else f"{moved.second:02}"
    day = f"{moved.year:04}-{moved.month:02}-{moved.day:02}T{moved.hour:02}:{moved.minute:02}"
    return f"{day}:{seconds}{fraction or ''}{written or _written(found)}"
