"""Bundles: what each entry asks for, in which order, and which of their references point at each other."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from peerfhir.errors import Fault, InvalidResource
from peerfhir.fhir import reader
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json
from peerfhir.fhir.references import LOCAL

MAX_ENTRIES = 1000
PATCHES = frozenset({"application/json-patch+json", "application/merge-patch+json"})
# Whatever the position in the Bundle. Source: R4 http.html, 3.1.0.11.2
_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
READS = frozenset({"GET", "HEAD"})
WITHOUT_RESOURCE = READS | {"DELETE"}
_PLACE = re.compile(r"([A-Z][A-Za-z]{1,63})(?:/([A-Za-z0-9\-.]{1,64}))?(?:\?(.*))?")
_ROOT = re.compile(r"(https?://.+/)[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class Entry:
    """What one entry of a transaction asks for. `place` is its FHIRPath: "Bundle.entry[3]"."""

    place: str
    method: str  # DELETE | POST | PUT | PATCH | GET | HEAD
    type: str
    id: str | None = None
    query: str = ""
    resource: Json = None  # of a PATCH: the patch
    full_url: str | None = None
    if_none_exist: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None

    @property
    def condition(self) -> str | None:
        """The search by which a create or update finds what is there already."""
        if self.method == "PUT":
            return self.query if self.id is None else None
        return self.if_none_exist


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
        return Finding(
            "error",
            "not-supported",
            f"{place}.request.method",
            "Only DELETE, POST, PUT, PATCH, GET and HEAD are carried out.",
        )
    match = _PLACE.fullmatch(str(request.get("url", "")).removeprefix(f"{base}/").lstrip("/"))
    if match is None:
        text = "This must be Type, Type/id or Type?query, relative to the base."
        return Finding("error", "value", f"{place}.request.url", text)
    if method == "PATCH":
        resource = patch_in(resource, f"{place}.resource")
        if isinstance(resource, Finding):
            return resource
    entry = Entry(
        place, method, match.group(1), match.group(2), match.group(3) or "", resource, raw.get("fullUrl"),
        request.get("ifNoneExist"), request.get("ifMatch"), request.get("ifNoneMatch"),
    )  # fmt: skip
    return _misfit(entry) or entry


def patch_in(resource: Json, place: str) -> Json:
    """The patch that a Binary carries. Source: R4 http.html, 3.1.0.8 (patch inside a batch or transaction)."""
    kind = str(resource.get("contentType", "")).partition(";")[0] if isinstance(resource, dict) else ""
    if kind not in PATCHES or resource.get("resourceType") != "Binary":
        text = f"A PATCH brings a Binary of contentType {' or '.join(sorted(PATCHES))}."
        return Finding("error", "not-supported", place, text)
    try:
        return reader.read(base64.b64decode(str(resource.get("data", "")), validate=True))
    except (ValueError, Fault):
        return Finding("error", "structure", f"{place}.data", "This is not base64 of a JSON document.")


def _misfit(entry: Entry) -> Finding | None:
    """What keeps an entry from being carried out, whatever is in the store."""
    place = entry.place
    if entry.method in WITHOUT_RESOURCE and entry.resource is not None:
        return Finding(
            "error", "invalid", f"{place}.resource", f"A {entry.method} brings no resource: it would be lost."
        )
    if entry.method in READS:
        return None
    if entry.method in ("DELETE", "PATCH"):
        if entry.id is None or entry.query:
            text = f"A {entry.method} goes to Type/id."
            return Finding("error", "not-supported", f"{place}.request.url", text)
        return None
    if not isinstance(entry.resource, dict):
        return Finding("error", "required", f"{place}.resource", "A POST or PUT brings a resource.")
    if entry.resource.get("resourceType") != entry.type:
        text = "The type in request.url and the resourceType differ."
        return Finding("error", "invalid", f"{place}.resource.resourceType", text)
    if entry.method == "POST" and (entry.id or entry.query):
        text = "A POST goes to Type, without an id or a query."
        return Finding("error", "value", f"{place}.request.url", text)
    if entry.method == "PUT" and bool(entry.id) == bool(entry.query):
        return Finding("error", "not-supported", f"{place}.request.url", "A PUT goes to Type/id or Type?query.")
    if entry.method == "PUT" and entry.id and entry.resource.get("id") != entry.id:
        return Finding("error", "invalid", f"{place}.resource.id", "The id in request.url and in the resource differ.")
    return None


def _changed(entry: Entry) -> Any:
    if entry.method not in ("PUT", "PATCH", "DELETE"):
        return None
    return (entry.type, entry.id, entry.query)


def _collisions(entries: list[Entry]) -> list[Finding]:
    """Two entries with one identity: nobody could say which of them a reference means."""
    found = []
    kinds: tuple[tuple[str, Callable[[Entry], Any], str], ...] = (
        ("fullUrl", lambda one: one.full_url, "Two entries have this fullUrl (bdl-7)."),
        ("request.url", _changed, "Two entries change one resource."),
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
