"""Which version a writer means: the current one, a stale one, or one of something that is not there."""

from __future__ import annotations

import re

from peerfhir.errors import NotFound, VersionConflict
from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.entries import at
from peerfhir.fhir.store import Store, Stored


def refuse_unknown(store: Store, entry: Entry) -> None:
    """Raises Gone for what was deleted, NotFound for what never was or may not be seen."""
    try:
        store.read(entry.type, entry.id or "")
    except NotFound:
        raise NotFound(advice="This server chooses the ids: create with POST.") from None


def refuse_stale(entry: Entry, stored: Stored) -> None:
    """Raises VersionConflict when the entry names another version than the current one."""
    with at(entry, "request.ifMatch"):
        if entry.if_match is not None and not _fits(entry.if_match, stored):
            raise VersionConflict(place="If-Match")


def _fits(if_match: str, stored: Stored) -> bool:
    tags = [one.strip() for one in if_match.split(",")]
    return any(tag == "*" or re.sub(r'^(W/)?"(.*)"$', r"\2", tag) == str(stored.version) for tag in tags)
