"""Bundles: what each entry asks for, in which order, and which of their references point at each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from peerfhir.errors import InvalidResource
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json
from peerfhir.fhir.references import LOCAL

MAX_ENTRIES = 1000
_ORDER = {"POST": 0, "PUT": 1, "GET": 2}  # whatever the position in the Bundle. Source: R4 http.html, 3.1.0.11.2
_PLACE = re.compile(r"([A-Z][A-Za-z]{1,63})(?:/([A-Za-z0-9\-.]{1,64}))?(?:\?(.*))?")
_ROOT = re.compile(r"(https?://.+/)[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class Entry:
    """What one entry of a transaction asks for. `place` is its FHIRPath: "Bundle.entry[3]"."""

    place: str
    method: str  # POST | PUT | GET
    type: str
    id: str | None = None
    query: str = ""
    resource: Json = None
    full_url: str | None = None
    if_none_exist: str | None = None
    if_match: str | None = None


def entries_of(bundle: Json, base: str) -> list[Entry]:
    """The entries of a transaction, in their own order.

    base    of this server: `request.url` may begin with it
    Raises  InvalidResource with a finding for each entry that cannot be carried out
    """
    found: list[Entry | Finding] = [
        _entry(raw, f"Bundle.entry[{at}]", base) for at, raw in enumerate(bundle.get("entry", []))
    ]
    problems = [one for one in found if isinstance(one, Finding)]
    entries = [one for one in found if isinstance(one, Entry)]
    problems += _collisions(entries)
    if problems:
        raise InvalidResource(tuple(problems))
    return entries


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in the order in which they are carried out."""
    return sorted(entries, key=lambda one: _ORDER[one.method])


def resolver(entry: Entry, addresses: Mapping[str, str], base: str) -> Callable[[str], str | None]:
    """A function from a reference inside this entry to "Type/id" here; None where it points elsewhere.

    addresses  fullUrl -> "Type/id" here, of all entries
    A relative reference is first read as the sender's own, below the root of this entry's fullUrl.
    Source     R4 bundle.html, 2.36.4 (resolving references in Bundles)
    """
    match = _ROOT.fullmatch(entry.full_url or "")
    root = match.group(1) if match else None

    def target(text: str) -> str | None:
        plain = text.partition("/_history/")[0]
        if plain in addresses:
            return addresses[plain]
        if LOCAL.fullmatch(text):
            return addresses.get(f"{root}{plain}") if root else None
        return below(text, base)

    return target


def below(text: str, base: str) -> str | None:
    """ "Type/id" of an address below this server's base; None for every other."""
    rest = text.removeprefix(f"{base}/") if base else text
    return rest if rest != text and LOCAL.fullmatch(rest) else None


def _entry(raw: Json, place: str, base: str) -> Entry | Finding:
    request = raw.get("request")
    if not isinstance(request, dict):
        return Finding("error", "required", f"{place}.request", "Each entry of a transaction has a request (bdl-3).")
    method, resource = request.get("method"), raw.get("resource")
    if method not in _ORDER:
        return Finding("error", "not-supported", f"{place}.request.method", "Only POST, PUT and GET are carried out.")
    match = _PLACE.fullmatch(str(request.get("url", "")).removeprefix(f"{base}/").lstrip("/"))
    if match is None:
        text = "This must be Type, Type/id or Type?query, relative to the base."
        return Finding("error", "value", f"{place}.request.url", text)
    entry = Entry(
        place, method, match.group(1), match.group(2), match.group(3) or "", resource, raw.get("fullUrl"),
        request.get("ifNoneExist"), request.get("ifMatch"),
    )  # fmt: skip
    return _misfit(entry) or entry


def _misfit(entry: Entry) -> Finding | None:
    """What keeps an entry from being carried out, whatever is in the store."""
    place = entry.place
    if entry.method == "GET":
        return None
    if not isinstance(entry.resource, dict):
        return Finding("error", "required", f"{place}.resource", "A POST or PUT brings a resource.")
    if entry.resource.get("resourceType") != entry.type:
        text = "The type in request.url and the resourceType differ."
        return Finding("error", "invalid", f"{place}.resource.resourceType", text)
    if entry.method == "POST" and entry.id:
        return Finding("error", "value", f"{place}.request.url", "A POST goes to Type, without an id.")
    if entry.method == "PUT" and (entry.id is None or entry.query):
        return Finding("error", "not-supported", f"{place}.request.url", "A PUT goes to Type/id.")
    if entry.method == "PUT" and entry.resource.get("id") != entry.id:
        return Finding("error", "invalid", f"{place}.resource.id", "The id in request.url and in the resource differ.")
    return None


def _collisions(entries: list[Entry]) -> list[Finding]:
    """Two entries with one identity: nobody could say which of them a reference means."""
    found = []
    kinds: tuple[tuple[str, Callable[[Entry], Any], str], ...] = (
        ("fullUrl", lambda one: one.full_url, "Two entries have this fullUrl (bdl-7)."),
        ("request.url", lambda one: one.method == "PUT" and (one.type, one.id), "Two entries change one resource."),
        ("request.ifNoneExist", lambda one: one.if_none_exist and (one.type, one.if_none_exist),
         "Two entries have this condition: they are one resource."),
    )  # fmt: skip
    for element, identity, text in kinds:
        count = Counter(identity(one) for one in entries)
        seen = set()
        for one in entries:
            key = identity(one)
            if key and count[key] > 1:
                if key in seen:
                    found.append(Finding("error", "duplicate", f"{one.place}.{element}", text))
                seen.add(key)
    return found
