"""Searching the maps that are in use: by address, version, name, status and id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from peerfhir.errors import BadRequest
from peerfhir.fhir.index import folded
from peerfhir.fhir.parameters import Parameter
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import count_of, pairs_of
from peerfhir.fhir.searchset import bundle_of
from peerfhir.fhir.values import Text, Token, divided, value_of

# Source: http://hl7.org/fhir/R4/structuremap.html and conceptmap.html, Search Parameters
PARAMETERS = {"_id": "token", "name": "string", "status": "token", "url": "uri", "version": "token"}
_STATUSES = "http://hl7.org/fhir/publication-status"
_SHOWN = frozenset({"_format", "_pretty"})
_MOST = 20  # parameters


@dataclass(frozen=True)
class Row:
    """One map as a search sees it; `make` gives the resource."""

    id: str
    url: str
    version: str
    name: str
    status: str
    make: Callable[[], Json]


def stated() -> list[Json]:
    """The parameters as a CapabilityStatement lists them."""
    return [{"name": name, "type": kind} for name, kind in PARAMETERS.items()]


def searchset(kind: str, rows: Sequence[Row], query: str, base: str) -> Json:
    """The maps that fit every parameter, by id, no more of them than `_count` asks for.

    query    as it was sent
    base     of the API, as the world knows it
    Raises   BadRequest for a parameter or modifier that is not served
    """
    count, skip = len(rows), 0
    kept, used = list(rows), []
    for name, value in pairs_of(query, "A search", _MOST, blank=True):
        if name in _SHOWN:
            continue
        if name in ("_count", "_offset"):
            count, skip = (count_of(value), skip) if name == "_count" else (count, count_of(value))
        else:
            kept = [row for row in kept if _fits(kind, row, name, value)]
        used.append((name, value))
    page = kept[skip : skip + count]
    links = [{"relation": "self", "url": _address(base, kind, used)}]
    if page and len(kept) > skip + count:
        onward = [(name, value) for name, value in used if name != "_offset"]
        links.append({"relation": "next", "url": _address(base, kind, [*onward, ("_offset", str(skip + count))])})
    entries = [
        {"fullUrl": f"{base}/{kind}/{row.id}", "resource": row.make(), "search": {"mode": "match"}} for row in page
    ]
    return bundle_of(entries, links, len(kept))


def _address(base: str, kind: str, used: Sequence[tuple[str, str]]) -> str:
    return f"{base}/{kind}" + (f"?{urlencode(used)}" if used else "")


def _fits(kind: str, row: Row, name: str, value: str) -> bool:
    """Whether one of the values of a parameter is the map's. Raises BadRequest."""
    base, _, modifier = name.partition(":")
    known = PARAMETERS.get(base)
    if known is None or modifier not in ({"", "exact", "contains"} if known == "string" else {""}):
        raise BadRequest(f"The search parameter {name[:64]!r} is not understood for {kind}.")
    own = row.id if base == "_id" else str(getattr(row, base))
    found = (value_of(base, Parameter(base, known, ()), modifier, one, "") for one in divided(value, ","))
    beside = {"status": _STATUSES, "url": row.version}.get(base, "")  # of an address, the version after its bar
    return any(_is(own, one, modifier, beside) for one in found)


def _is(own: str, one: object, modifier: str, system: str) -> bool:
    if isinstance(one, Token):
        return own == one.code and one.system in (None, system)
    if isinstance(one, Text):
        plain = folded(own)
        if modifier == "exact":
            return own == one.exact
        return one.plain in plain if modifier == "contains" else plain.startswith(one.plain)
    return own == one
