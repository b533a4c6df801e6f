"""What compiled expressions call while they run; None is an empty collection of at most one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from peerfhir.fhir.fhirpath.problems import EvaluationProblem

Value = Any  # str | int | Decimal | bool | dict | list, as JSON has them

# A date, a moment or a time of day: day, clock, offset
_TIME = re.compile(
    r"([0-9]{4}(?:-[0-9]{2}){0,2})?(?:(?:(?<=.)T|(?<!.))([0-9]{2}(?::[0-9]{2}){0,2}(?:\.[0-9]{1,9})?))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_PRIMITIVES = (str, int, Decimal, bool)


def _misfit(what: str) -> EvaluationProblem:
    return EvaluationProblem("PM712", what)


def below(base: Value, keys: Sequence[str], mixed: bool = False) -> Value:
    """The one value under any of the keys, or None. `mixed`: the base may be a primitive, below which is nothing."""
    if base is None:
        return None
    if type(base) is not dict:
        if mixed and isinstance(base, _PRIMITIVES):
            return None
        raise _misfit("a single value stands where a structure is expected")
    for key in keys:
        value = base.get(key)
        if value is not None:
            if type(value) is list:
                raise _misfit(f"'{key}' is a list where FHIR has one value")
            return value
    return None


def all_below(base: Value, keys: Sequence[str], mixed: bool = False) -> list[Value]:
    """Every value under any of the keys, of one structure or of each in a list; nulls left out. `mixed` as above."""
    if base is None:
        return []
    found: list[Value] = []
    for one in base if type(base) is list else (base,):
        if type(one) is not dict:
            if mixed and isinstance(one, _PRIMITIVES):
                continue
            raise _misfit("a single value stands where a structure is expected")
        for key in keys:
            value = one.get(key)
            if type(value) is list:
                found += [item for item in value if item is not None]
            elif value is not None:
                found.append(value)
    return found


def field_of(base: Value, name: str) -> Value:
    """A declared field of an object of the record that may be absent."""
    return None if base is None else base[name]


def fields_of(base: Sequence[Value] | None, name: str) -> list[Value]:
    """A declared field of each object in a list, lists flattened."""
    found: list[Value] = []
    for one in base or ():
        value = one[name]
        if type(value) is list:
            found += value
        elif value is not None:
            found.append(value)
    return found


def listed(value: Value) -> list[Value]:
    """A value that is there at most once, as a list."""
    return [] if value is None else [value]


def first(values: Sequence[Value]) -> Value:
    """The first item, or None."""
    return values[0] if values else None


def single(values: Sequence[Value]) -> Value:
    """The only item, or None. Raises EvaluationProblem when there are more (singleton evaluation)."""
    if len(values) > 1:
        raise EvaluationProblem("PM712", "one value is needed here and there are more")
    return values[0] if values else None


def kept(value: Value, criterion: Callable[[Value], bool | None]) -> Value:
    """`where` on at most one value."""
    return value if value is not None and criterion(value) is True else None


def some(values: Sequence[Value] | Value, criterion: Callable[[Value], bool | None]) -> bool:
    """`exists(criterion)`."""
    if values is None:
        return False
    return any(criterion(one) is True for one in (values if type(values) is list else (values,)))


def flag(value: Value) -> bool | None:
    """A Boolean of FHIR input, proven to be one."""
    if value is None or value is True or value is False:
        return value
    raise _misfit("a value that is not true or false stands where FHIR has a boolean")


def truth(value: Value) -> bool | None:
    """One value as an operand of a Boolean operator: a Boolean is itself, anything else that is there is true."""
    return value if value is None or value is True or value is False else True


def both(left: bool | None, right: bool | None) -> bool | None:
    """`and`: empty is unknown."""
    if left is False or right is False:
        return False
    return True if left is True and right is True else None


def either(left: bool | None, right: bool | None) -> bool | None:
    """`or`: empty is unknown."""
    if left is True or right is True:
        return True
    return False if left is False and right is False else None


def negated(value: bool | None) -> bool | None:
    """`not()`: empty stays empty."""
    return None if value is None else not value


def text(value: Value) -> str:
    """A primitive as FHIRPath's toString() writes it; '' for no value."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if not isinstance(value, _PRIMITIVES):
        raise _misfit("a structure stands where a text is expected")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def concatenated(*values: Value) -> str:
    """`&`: an empty operand is ''."""
    return "".join([text(value) for value in values])


def same(left: Value, right: Value) -> bool | None:
    """`=` between at most one value on each side; times are compared by `same_time`."""
    if left is None or right is None:
        return None
    return _equal(left, right)


def same_lists(left: list[Value], right: list[Value], temporal: bool) -> bool | None:
    """`=` between collections: same items in the same order."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    compare = same_time if temporal else same
    found = [compare(a, b) for a, b in zip(left, right, strict=True)]
    if False in found:
        return False
    return None if None in found else True


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)  # 1 = 1.0, and 'a' is never 1


def same_time(left: Value, right: Value) -> bool | None:
    """`=` between dates, moments or times of day of any precision; unknown beyond the shorter of the two."""
    if left is None or right is None:
        return None
    first_parts, first_offset = _parts(left)
    other_parts, other_offset = _parts(right)
    clocks = len(first_parts) > 3 and len(other_parts) > 3
    if clocks and (first_offset is None) != (other_offset is None):
        return None
    if clocks and first_offset != other_offset:
        first_parts = _in_utc(first_parts, first_offset)
        other_parts = _in_utc(other_parts, other_offset)
    if any(a != b for a, b in zip(first_parts, other_parts, strict=False)):
        return False
    return True if len(first_parts) == len(other_parts) else None


def _parts(value: Value) -> tuple[list[Decimal], int | None]:
    """The numbers of a date or time and its offset in minutes; seconds and fractions are one number."""
    match = _TIME.fullmatch(value) if type(value) is str else None
    if match is None:
        raise _misfit("a value that is not a date or time is compared as one")
    day, clock, zone = match.groups()
    offset: int | None = None
    if zone:
        minutes = 0 if zone == "Z" else int(zone[1:3]) * 60 + int(zone[4:])
        offset = -minutes if zone.startswith("-") else minutes
    numbers = (*(day or "0-0-0").split("-"), *(clock.split(":") if clock else ()))
    return [Decimal(number) for number in numbers], offset


def _in_utc(parts: list[Decimal], offset: int | None) -> list[Decimal]:
    minutes = int(parts[4]) if len(parts) > 4 else 0
    try:
        year, month, day, hour = (int(part) for part in parts[:4])
        at = datetime(year, month, day, hour, minutes, tzinfo=UTC)
        moved = at - timedelta(minutes=offset or 0)
    except (ValueError, OverflowError):
        raise _misfit("a moment that the calendar does not have is compared") from None
    return [Decimal(n) for n in (moved.year, moved.month, moved.day, moved.hour, moved.minute)][: len(parts)] + parts[
        5:
    ]
