"""Where in the bytes of a JSON text an element stands: for findings that name it as FHIRPath."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from peerfhir.fhir.places import steps_of
from peerfhir.fhir.reader import read_own

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+')


Wanted = dict[str | int, Any]  # the steps that somebody asks for, as a tree


class Lines:
    """The lines of some elements of one JSON text that has been read already. Only what is asked for is kept."""

    def __init__(self, text: str, expressions: Iterable[str]) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._found: dict[tuple[str | int, ...], int] = {}
        wanted: Wanted = {}
        for one in expressions:
            node = wanted
            for step in steps_of(one):
                node = node.setdefault(step, {})
        _collect(text, wanted, self._found)

    def of(self, expression: str) -> int:
        """The line (from 1) of an element, or of the nearest one around it that is there."""
        steps = tuple(steps_of(expression))
        for end in range(len(steps), -1, -1):
            offset = self._found.get(steps[:end])
            if offset is not None:
                return bisect_right(self._starts, offset)
        return 1


@dataclass
class _Open:
    """A list or an object that is being read; `wanted` is None where nobody asks for what is in it."""

    steps: tuple[str | int, ...]
    is_list: bool
    wanted: Wanted | None
    key: str | int = 0


def _collect(text: str, wanted: Wanted, found: dict[tuple[str | int, ...], int]) -> None:
    around: list[_Open] = []
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece in "]}":
            around.pop()
        elif piece == ",":
            inside = around[-1]
            if type(inside.key) is int:
                inside.key += 1
        elif piece == ":":
            continue
        elif around and not around[-1].is_list and piece[0] == '"' and _is_key(text, match.end()):
            around[-1].key = read_own(piece.encode()) if "\\" in piece else piece[1:-1]
        else:
            steps, below = _below(around[-1]) if around else ((), wanted)
            if below is not None:
                found.setdefault(steps, match.start())
            if piece in "[{":
                around.append(_Open(steps, piece == "[", below, 0 if piece == "[" else ""))


def _below(inside: _Open) -> tuple[tuple[str | int, ...], Wanted | None]:
    """The steps to the value at the key that is open, as they were asked for; None when nobody asks."""
    for name in _names(inside.key) if inside.wanted is not None else ():
        if inside.wanted is not None and name in inside.wanted:
            return (*inside.steps, name), inside.wanted[name]
    return (), None


def _names(key: str | int) -> Iterator[str | int]:
    """What an expression may call a key: itself, without `_`, and the stem of a choice (`value` of `valueQuantity`)."""
    yield key
    if type(key) is str:
        plain = key.removeprefix("_")
        yield plain
        for at, letter in enumerate(plain):
            if letter.isupper() and at:
                yield plain[:at]


def _is_key(text: str, at: int) -> bool:
    while text[at] in " \t\r\n":
        at += 1
    return text[at] == ":"
