"""Deletes: what goes, whoever still refers to it, and what may not go."""

from __future__ import annotations

from collections.abc import Sequence

from peerfhir.errors import Conflict, Gone, VersionConflict
from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.entries import at
from peerfhir.fhir.sessions import Session, Written
from peerfhir.fhir.store import Store, Stored
from peerfhir.fhir.versions import refuse_stale, refuse_unknown


def carry_out(session: Session, entries: Sequence[Entry]) -> list[Written]:
    """Delete together; what is gone already is answered as done.

    Raises  NotFound, VersionConflict; Conflict while something that stays refers to it; what the caller's rules say
    """
    store = session.store
    here = store.read_many([f"{one.type}/{one.id}" for one in entries])
    done = [_delete(session, one, here.get(f"{one.type}/{one.id}")) for one in entries]
    for one in done:
        if one.method == "delete" and store.pointing_at(one.stored.type, one.stored.id):
            with at(one.entry, "request.url"):
                raise Conflict("Other resources refer to it.", advice="Delete or change those first.")
    return done


def _delete(session: Session, entry: Entry, found: Stored | None) -> Written:
    if found is None:
        return _gone_already(session.store, entry)
    refuse_stale(entry, found)
    with at(entry, "request.url"):
        session.before_write("delete", found.resource, found.resource, entry.if_match)
    return Written(entry, session.store.delete(found, place=entry.place), "delete", found)


def _gone_already(store: Store, entry: Entry) -> Written:
    with at(entry, "request.url"):
        try:
            refuse_unknown(store, entry)
        except Gone:
            (last,) = store.history(entry.type, entry.id, count=1)
            return Written(entry, last, "matched")
        raise VersionConflict  # it came while we looked
