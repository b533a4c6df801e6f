"""A result as text for a pane, in pieces: each value with the number of what explains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peerfhir.fhir import writer
from peerfhir.mapping.explain import MASK, Explained
from peerfhir.mapping.run import Result
from peerfhir.portal.veil import Veil

Json = Any
MOST_CHARACTERS = 200_000


class Pieces:
    """Finds the explanation of a place of the output.

    tops  what the addresses of each resource begin with, in the order of the output
    veil  hides what is not to be seen
    """

    def __init__(self, found: Sequence[Explained] = (), tops: Sequence[str] = (), veil: Veil | None = None) -> None:
        self.tops = list(tops)
        self._veil = veil or Veil()
        self._masked = {at for at, one in enumerate(found) if one.masked}
        self._numbers: dict[str, int] = {}
        for at, one in enumerate(found):
            if one.value is None:
                continue
            self._numbers.setdefault(one.address, at)
            stem, _, place = one.address.removesuffix("]").rpartition("[")
            if isinstance(one.value, list) and one.address.endswith("]") and place.isdigit():
                for more in range(1, len(one.value)):  # one rule of a list gave several items of it
                    self._numbers.setdefault(f"{stem}[{int(place) + more}]", at)

    def text(self, value: Json, number: int | None) -> str:
        """A scalar as JSON has it, or that it is hidden: fed by a sensitive field, or holding what stood in one."""
        hidden = number in self._masked or (number is None and self._veil.hides(str(value)))
        return _text(MASK if hidden else value)

    def number(self, address: str) -> int | None:
        """The number of the explanation of an address, or of the nearest value around it."""
        while address:
            if address in self._numbers:
                return self._numbers[address]
            address = address[: max(address.rfind("."), address.rfind("["), 0)]
        return None


def printed(value: Json, result: Result, pieces: Pieces) -> list[Json]:
    """The text of an output as [text, number or None], two spaces a level; cut when it is very long."""
    printer = _Printer(pieces)
    tops = pieces.tops
    if not result.entries:
        printer.value(value, tops[0] if tops and value is result.values else "", 0)
    elif value is result.entries[0].resource:
        printer.value(value, tops[0] if tops else "", 0)
    else:
        printer.bundle(value, tops)
    return printer.pieces


class _Printer:
    def __init__(self, found: Pieces) -> None:
        self._found = found
        self._length = 0
        self._tops: dict[str, str] = {}
        self.pieces: list[Json] = []

    def bundle(self, value: Json, tops: Sequence[str]) -> None:
        """A Bundle: what stands in entry[n].resource has the address of the n-th resource."""
        self._tops = {f"entry[{at}].resource": top for at, top in enumerate(tops)}
        self.value(value, "", 0)

    def value(self, value: Json, address: str, depth: int) -> None:
        """One value at an address of the output."""
        address = self._tops.get(address, address)
        if self._length > MOST_CHARACTERS:
            return
        if isinstance(value, dict) and value:
            self._many("{", "}", [(f"{_text(key)}: ", one, _join(address, key)) for key, one in value.items()], depth)
        elif isinstance(value, list) and value:
            self._many("[", "]", [("", one, f"{address}[{at}]") for at, one in enumerate(value)], depth)
        else:
            number = self._found.number(address)
            self._add(self._found.text(value, number), number)

    def _many(self, first: str, last: str, members: list[tuple[str, Json, str]], depth: int) -> None:
        self._add(first)
        for at, (name, one, address) in enumerate(members):
            self._add(("," if at else "") + "\n" + "  " * (depth + 1) + name)
            self.value(one, address, depth + 1)
        self._add("\n" + "  " * depth + last)

    def _add(self, text: str, number: int | None = None) -> None:
        self._length += len(text)
        if self._length > MOST_CHARACTERS:
            text, number = "\n…", None
            if self.pieces and self.pieces[-1][0].endswith("…"):
                return
        if number is None and self.pieces and self.pieces[-1][1] is None:
            self.pieces[-1][0] += text
        else:
            self.pieces.append([text, number])


def _text(value: Json) -> str:
    return writer.write(value).decode()


def _join(address: str, key: str) -> str:
    return f"{address}.{key}" if address else key
