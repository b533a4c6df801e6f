"""Where the next page begins, as an opaque text that names a row and never what stands in it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from peerfhir.errors import BadRequest

_PLAIN = re.compile(r"([itv])\.(\d{1,18})\.([A-Za-z0-9.\-]{1,64})", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    """The last row of a page.

    kind    i: in the order of the ids; t: of the times of writing; v: of other values, which are read again from
            that very version, because a link goes into logs and a name or a birthday must not
    number  t: microseconds since 1970; v: the version
    """

    kind: str
    number: int
    id: str

    def fits(self, sort: Sequence[tuple[str, bool]]) -> bool:
        """Whether it was given for a search in this order."""
        return self.kind == kind_of(sort)

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.kind}.{self.number}.{self.id}".encode()).decode().rstrip("=")


def kind_of(sort: Sequence[tuple[str, bool]]) -> str:
    """The kind of cursor that an order needs."""
    names = [name for name, _ in sort]
    return "i" if names in ([], ["_id"]) else "t" if names == ["_lastUpdated"] else "v"


def cursor(text: str) -> Cursor:
    """The row that an opaque text names. Raises BadRequest."""
    try:
        plain = base64.urlsafe_b64decode(text[:200] + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        plain = ""
    match = _PLAIN.fullmatch(plain)
    if match is None:
        raise BadRequest("The search parameter '_after' needs a next link as it was given.")
    return Cursor(match[1], int(match[2]), match[3])
