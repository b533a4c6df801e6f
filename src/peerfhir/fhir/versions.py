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
        advice = "This server chooses the ids: create with POST." if entry.method == "PUT" else None
        raise NotFound(advice=advice) from None


def refuse_stale(entry: Entry, stored: Stored) -> None:
    """Raises VersionConflict when the entry names another version than the current one, or forbids this one.

    Source  RFC 9110, 13.1.1 and 13.1.2
    """
    with at(entry, "request.ifMatch"):
        if not fits(entry.if_match, stored):
            raise VersionConflict(place="If-Match")
    with at(entry, "request.ifNoneMatch"):
        if entry.if_none_match is not None and fits(entry.if_none_match, stored):
            raise VersionConflict("It is there already, in this version.", place="If-None-Match")


def fits(if_match: str | None, stored: Stored) -> bool:
    """Whether a list of entity tags has this version in it; no list has every version."""
    if if_match is None:
        return True
    tags = [one.strip() for one in if_match.split(",")]
    return any(tag == "*" or re.sub(r'^(W/)?"(.*)"$', r"\2", tag) == str(stored.version) for tag in tags)
