"""Where in the bytes of a JSON text an element stands: for findings that name it as FHIRPath."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from peerfhir.fhir.places import steps_of

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+')


@dataclass
class _Place:
    """One value: its offset, and what is in it by name or number."""

    offset: int
    below: dict[str | int, _Place] = field(default_factory=dict)


class Lines:
    """The lines of one JSON text that has been read already."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._root = _places(text)

    def of(self, expression: str) -> int:
        """The line (from 1) of an element, or of the nearest one around it that is there."""
        place = self._root
        for step in steps_of(expression):
            below = place.below.get(step) or self._choice(place, step)
            if below is None:
                break
            place = below
        return bisect_right(self._starts, place.offset)

    def _choice(self, place: _Place, step: str | int) -> _Place | None:
        """`value` is `valueQuantity` in JSON; `_given` stands for `given` where that is not there."""
        if type(step) is not str:
            return None
        for name, below in place.below.items():
            if type(name) is str and (
                name == f"_{step}" or (name.startswith(step) and name[len(step) : len(step) + 1].isupper())
            ):
                return below
        return None


def _places(text: str) -> _Place:
    root = _Place(0)
    around: list[tuple[_Place, bool]] = []  # what is open, and whether it is a list
    key: str | int = ""
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece in "]}":
            around.pop()
        elif piece == ",":
            if around[-1][1]:
                key = len(around[-1][0].below)
        elif piece == ":":
            continue
        elif around and not around[-1][1] and piece[0] == '"' and _is_key(text, match.end()):
            key = piece[1:-1]
        else:
            place = _Place(match.start()) if around else root
            place.offset = match.start()
            if around:
                around[-1][0].below[key] = place
            if piece in "[{":
                around.append((place, piece == "["))
                key = 0
    return root


def _is_key(text: str, at: int) -> bool:
    while text[at] in " \t\r\n":
        at += 1
    return text[at] == ":"
