"""What fields that are marked sensitive held: it is hidden in a result and all that is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from peerfhir.mapping.difference import ABSENT, shown
from peerfhir.mapping.explain import MASK, Explained

Json = Any


class Veil:
    """Hides the values that sensitive fields fed, and every text that holds what stood in one of them."""

    def __init__(self, found: Iterable[Explained] = ()) -> None:
        self._addresses: set[str] = set()
        self._texts: set[str] = set()
        for one in found:
            if one.masked:
                self._addresses.add(one.address)
            self._texts |= {text for cell in one.cells if cell.masked for text in _texts(cell.value)}

    def covers(self, address: str) -> bool:
        """Whether a value at an address, one that holds it or one inside it was fed by such a field."""
        return any(_within(address, one) or _within(one, address) for one in self._addresses)

    def hides(self, text: str) -> bool:
        """Whether a text holds what stood in such a field."""
        return any(one in text for one in self._texts)

    def shown(self, value: Json, address: str = "") -> str:
        """A value for a person's eyes."""
        text = shown(value)
        if value is ABSENT:
            return text
        return MASK if self.hides(text) or (address and self.covers(address)) else text


def _within(address: str, other: str) -> bool:
    return address == other or address.startswith((f"{other}.", f"{other}["))


def _texts(value: Json) -> Iterable[str]:
    """Every scalar in a value of a record, as text."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
    elif value is not None and value != "" and not isinstance(value, bool):
        yield str(value)
