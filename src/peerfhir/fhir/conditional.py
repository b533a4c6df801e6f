"""Conditional creates and updates: what a condition finds, and who is first when several ask at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from peerfhir.errors import BadRequest, Duplicate, SeveralMatches
from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.claims import Key
from peerfhir.fhir.entries import at
from peerfhir.fhir.index import key_of, rows_of
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.search import Query, parse
from peerfhir.fhir.sessions import Session
from peerfhir.fhir.store import Store, Stored
from peerfhir.fhir.values import Token

_CONDITION = "urn:peerfhir:condition"  # system under which a condition other than an identifier is claimed


def condition_of(session: Session, entry: Entry, base: str) -> Query | None:
    """The condition of a create or an update. Raises BadRequest; Forbidden for a type it may not look into."""
    condition = entry.condition
    if condition is None:
        return None
    with at(entry, "request.ifNoneExist" if entry.method == "POST" else "request.url"):
        query = parse(entry.type, condition.removeprefix(f"{entry.type}?").removeprefix("?"), base=base)
        if not query.clauses:
            raise BadRequest("A condition needs at least one search parameter.", place="If-None-Exist")
        for name in query.chained:
            session.may("search-type", name)
    return query


def key_for(query: Query, source: str | None) -> Key | None:
    """The identifier a condition asks for, when that is all it asks for."""
    if len(query.clauses) != 1 or len(query.clauses[0].values) != 1 or query.clauses[0].modifier:
        return None
    value = query.clauses[0].values[0]
    if query.clauses[0].parameter.name != "identifier" or not isinstance(value, Token):
        return None
    return Key(query.type, value.system, value.code, source or "") if value.system is not None and value.code else None


def matches(store: Store, labels: Labels, entries: Sequence[Entry], asked: Mapping[int, Query]) -> dict[int, Stored]:
    """What the conditions of the creates find, by position."""
    keys = {place: key for place, query in asked.items() if (key := key_for(query, labels.source))}
    by_key = store.identified(keys.values())
    found = {place: [f"{key.type}/{one}" for one in by_key[key]] for place, key in keys.items()}
    for place, query in asked.items():
        if place not in keys:
            found[place] = [one.reference for one in store.search(query.type, query).rows[:2]]
        if len(found[place]) > 1:
            with at(entries[place], "request.ifNoneExist" if entries[place].method == "POST" else "request.url"):
                raise SeveralMatches(advice="Make the condition narrower.")
    stored = store.read_many(one[0] for one in found.values() if one)
    return {place: stored[one[0]] for place, one in found.items() if one}


def claim(
    session: Session, entries: Sequence[Entry], asked: Mapping[int, Query], matched: dict[int, Stored],
    ids: dict[int, str],
) -> None:  # fmt: skip
    """Claim the conditions of what is about to be created; who lost a race is given the winner's resource."""
    store, source = session.store, session.labels.source
    wanted: dict[Key, int] = {}
    for place, query in asked.items():
        if place not in matched:
            key = key_for(query, source) or Key(query.type, _CONDITION, query.link(), source or "")
            if wanted.setdefault(key, place) != place:
                with at(entries[place], "request.ifNoneExist"):
                    raise Duplicate("Two entries have this condition: they are one resource.", place="If-None-Exist")
    lost = store.claims.claim({key: ids[place] for key, place in wanted.items()})
    for key, holder in lost.items():
        place = wanted[key]
        if entries[place].method == "PUT":
            store.hold([f"{key.type}/{holder}"])
        winner = store.read_many([f"{key.type}/{holder}"]).get(f"{key.type}/{holder}")
        if winner is not None and _answers(store, winner, key, asked[place]):
            matched[place], ids[place] = winner, winner.id
        else:  # its holder has changed since and no longer answers to it
            store.claims.release([key], holder)
            store.claims.claim({key: ids[place]})


def _answers(store: Store, winner: Stored, key: Key, query: Query) -> bool:
    if key.system != _CONDITION:
        return ("identifier", key_of(key.value), key_of(key.system)) in rows_of(winner.resource).tokens
    return any(row.id == winner.id for row in store.search(winner.type, query).rows)
