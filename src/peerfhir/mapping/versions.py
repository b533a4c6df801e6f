"""Semantic versions, and the ranges of them that imports and overlays accept."""

from __future__ import annotations

import re

_VERSION = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")
_RANGE = re.compile(r"([\^~]?)(0|[1-9][0-9]{0,5})(?:\.(0|[1-9][0-9]{0,5}))?(?:\.(0|[1-9][0-9]{0,5}))?")

Version = tuple[int, int, int]


def version_of(text: str) -> Version | None:
    """The three numbers of `1.2.3`, or None."""
    match = _VERSION.fullmatch(text)
    return (int(match.group(1)), int(match.group(2)), int(match.group(3))) if match else None


def is_range(text: str) -> bool:
    """Whether it is `*`, `^1.2`, `~1.2`, `1`, `1.2` or `1.2.3`."""
    return text == "*" or _RANGE.fullmatch(text) is not None


def within(version: Version, wanted: str) -> bool:
    """Whether a version lies in a range.

    ^1.2   at least 1.2.0 and below 2.0.0; below 1.0.0 the second number counts as the first, and so on
    ~1.2   at least 1.2.0 and below 1.3.0
    1.2    any 1.2.x; 1.2.3 is this one alone; * is any
    """
    if wanted == "*":
        return True
    match = _RANGE.fullmatch(wanted)
    if match is None:
        return False
    sign, numbers = match.group(1), [int(one) for one in match.groups()[1:] if one is not None]
    low = (numbers[0], numbers[1] if len(numbers) > 1 else 0, numbers[2] if len(numbers) > 2 else 0)
    if version < low:
        return False
    fixed = len(numbers) if not sign else min(2, len(numbers)) if sign == "~" else _first_that_counts(numbers)
    return list(version[:fixed]) == list(low[:fixed])


def _first_that_counts(numbers: list[int]) -> int:
    """How many numbers a caret holds fast: up to the first that is not 0."""
    return next((at + 1 for at, number in enumerate(numbers) if number), len(numbers))
