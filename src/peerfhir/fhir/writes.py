"""Creates and updates, one or many, in one transaction: conditions, references, the caller's rules, the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from peerfhir.clock import new_id
from peerfhir.errors import BadRequest, Duplicate, Fault, InvalidResource, NotFound, SeveralMatches, VersionConflict
from peerfhir.fhir import bundle, references
from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.claims import Key
from peerfhir.fhir.index import key_of, rows_of
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import Query, Token, parse
from peerfhir.fhir.store import Draft, Store, Stored

_Pointing = Sequence[tuple[str, str]]  # (expression, text) of each reference
_Resolve = Callable[[str], str | None]
_CONDITION = "urn:peerfhir:condition"  # system under which a condition other than an identifier is claimed


class Session(Protocol):
    """One call inside one transaction: the store, and what this caller may do. All methods may raise any Fault."""

    @property
    def store(self) -> Store: ...

    @property
    def labels(self) -> Labels:
        """Of what this caller creates."""
        ...

    def may(self, interaction: str, resource_type: str, /) -> None:
        """Raises Forbidden, MethodNotAllowed or BusinessRule. interaction: create, read, vread, update, search-type."""
        ...

    def before_write(self, method: str, resource: Json, previous: Json | None, if_match: str | None, /) -> Json:
        """What to store of what was sent; method: create | update."""
        ...

    def after_writes(self, changes: Sequence[Change], call: Any, /) -> None:
        """What has to be kept together with the changes; the same transaction, before its commit."""
        ...


@dataclass(frozen=True)
class Change:
    """What became of one create or update. method: create | update | matched (a condition found it; nothing written).

    resource  as it is stored now
    full_url  the sender's own address of it, in a Bundle
    """

    type: str
    id: str
    version: int
    method: str
    resource: Json
    previous: Json | None
    full_url: str | None


@dataclass(frozen=True)
class Written:
    """The result of one entry: the stored version, and how it came about."""

    entry: Entry
    stored: Stored
    method: str  # create | update | matched
    previous: Stored | None = None

    def change(self) -> Change:
        one = self.stored
        before = self.previous.resource if self.previous else None
        return Change(one.type, one.id, one.version, self.method, one.resource, before, self.entry.full_url)


def carry_out(session: Session, entries: Sequence[Entry], base: str) -> list[Written]:
    """Carry out POST and PUT entries together; the results stand in the order of the entries.

    base    of this server: references below it become relative
    Raises  any Fault, its place inside the entry that caused it; nothing is stored by a caller who rolls back
    """
    store = session.store
    asked = {place: query for place, one in enumerate(entries) if (query := _condition(one, base))}
    matched = _matched(store, session.labels, entries, asked)
    ids = {place: _id_of(one, matched.get(place)) for place, one in enumerate(entries)}
    _claim(session, entries, asked, matched, ids)
    addresses = {one.full_url: f"{one.type}/{ids[place]}" for place, one in enumerate(entries) if one.full_url}
    previous = _previous(store, entries)
    new = [place for place in ids if place not in matched]
    pointing = {place: list(references.references(entries[place].resource, _path(entries[place]))) for place in new}
    addresses |= _conditional_references(store, entries, pointing, base)
    resolve = {place: bundle.resolver(entries[place], addresses, base) for place in new}
    together = frozenset(f"{one.type}/{ids[place]}" for place, one in enumerate(entries))
    _refuse_missing(store, pointing, resolve, previous, together)
    drafts = [_draft(session, entries[place], ids[place], resolve[place], previous.get(place)) for place in new]
    claimed = {place: _key_of(query, session.labels.source) for place, query in asked.items()}
    drafts = [
        replace(draft, claimed=(key.system, key.value)) if (key := claimed.get(place)) else draft
        for place, draft in zip(new, drafts, strict=True)
    ]
    stored = dict(zip(new, store.write(drafts), strict=True))
    return [
        Written(one, matched[place], "matched")
        if place in matched
        else Written(one, stored[place], "update" if place in previous else "create", previous.get(place))
        for place, one in enumerate(entries)
    ]


def _path(entry: Entry) -> str:
    """Where the resource of an entry stands: its type alone, when it came alone."""
    return f"{entry.place}.resource" if entry.place else entry.type


@contextmanager
def at(entry: Entry, element: str = "") -> Iterator[None]:
    """Faults from within get their place inside the Bundle."""
    try:
        yield
    except Fault as fault:
        if entry.place:
            if isinstance(fault, InvalidResource):
                fault.findings = tuple(
                    one.below(_path(entry)) if isinstance(one, Finding) else one for one in fault.findings
                )
            elif fault.place and fault.place.startswith(f"{entry.type}."):
                fault.place = _path(entry) + fault.place.removeprefix(entry.type)
            elif not (fault.place or "").startswith("Bundle."):
                fault.place = f"{entry.place}.{element}" if element else _path(entry)
        raise


# conditions


def _condition(entry: Entry, base: str) -> Query | None:
    """The condition of a create. Raises BadRequest."""
    if entry.if_none_exist is None:
        return None
    with at(entry, "request.ifNoneExist"):
        query = parse(entry.type, entry.if_none_exist.removeprefix(entry.type).removeprefix("?"), base=base)
        if not query.clauses:
            raise BadRequest("A condition needs at least one search parameter.", place="If-None-Exist")
    return query


def _key_of(query: Query, source: str | None) -> Key | None:
    """The identifier a condition asks for, when that is all it asks for."""
    if len(query.clauses) != 1 or len(query.clauses[0].values) != 1 or query.clauses[0].modifier:
        return None
    value = query.clauses[0].values[0]
    if query.clauses[0].parameter.name != "identifier" or not isinstance(value, Token):
        return None
    return Key(query.type, value.system, value.code, source or "") if value.system is not None and value.code else None


def _matched(store: Store, labels: Labels, entries: Sequence[Entry], asked: Mapping[int, Query]) -> dict[int, Stored]:
    """What the conditions of the creates find, by position."""
    keys = {place: key for place, query in asked.items() if (key := _key_of(query, labels.source))}
    by_key = store.identified(keys.values())
    found = {place: [f"{key.type}/{one}" for one in by_key[key]] for place, key in keys.items()}
    for place, query in asked.items():
        if place not in keys:
            found[place] = [one.reference for one in store.search(query.type, query).rows[:2]]
        if len(found[place]) > 1:
            with at(entries[place], "request.ifNoneExist"):
                raise SeveralMatches(advice="Make the condition narrower.", place="If-None-Exist")
    stored = store.read_many(one[0] for one in found.values() if one)
    return {place: stored[one[0]] for place, one in found.items() if one}


def _claim(
    session: Session, entries: Sequence[Entry], asked: Mapping[int, Query], matched: dict[int, Stored],
    ids: dict[int, str],
) -> None:  # fmt: skip
    """Claim the conditions of what is about to be created; who lost a race is given the winner's resource."""
    store, source = session.store, session.labels.source
    wanted: dict[Key, int] = {}
    for place, query in asked.items():
        if place not in matched:
            key = _key_of(query, source) or Key(query.type, _CONDITION, query.link(), source or "")
            if wanted.setdefault(key, place) != place:
                with at(entries[place], "request.ifNoneExist"):
                    raise Duplicate("Two entries have this condition: they are one resource.", place="If-None-Exist")
    lost = store.claims.claim({key: ids[place] for key, place in wanted.items()})
    for key, holder in lost.items():
        place = wanted[key]
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


# what is written


def _id_of(entry: Entry, matched: Stored | None) -> str:
    return matched.id if matched else entry.id if entry.method == "PUT" and entry.id else new_id()


def _previous(store: Store, entries: Sequence[Entry]) -> dict[int, Stored]:
    """The current version of what the PUTs change. Raises NotFound, VersionConflict."""
    changing = {place: f"{one.type}/{one.id}" for place, one in enumerate(entries) if one.method == "PUT"}
    here = store.read_many(changing.values())
    for place, reference in changing.items():
        entry = entries[place]
        with at(entry, "request.url"):
            if reference not in here:
                raise NotFound(advice="This server chooses the ids: create with POST.")
        with at(entry, "request.ifMatch"):
            if entry.if_match is not None and not _fits(entry.if_match, here[reference]):
                raise VersionConflict(place="If-Match")
    return {place: here[reference] for place, reference in changing.items()}


def _fits(if_match: str, stored: Stored) -> bool:
    tags = [one.strip() for one in if_match.split(",")]
    return any(tag == "*" or re.sub(r'^(W/)?"(.*)"$', r"\2", tag) == str(stored.version) for tag in tags)


def _conditional_references(
    store: Store, entries: Sequence[Entry], pointing: Mapping[int, _Pointing], base: str
) -> dict[str, str]:
    """`Patient?identifier=...` -> "Patient/id", each matching exactly one; only a transaction may hold them."""
    found: dict[str, str] = {}
    for place, pairs in pointing.items():
        for path, text in pairs:
            asked = references.conditional(text) if "?" in text and entries[place].place else None
            if asked is None or text in found:
                continue
            with at(entries[place]):
                rows = store.search(asked[0], parse(*asked, base=base)).rows
                if len(rows) != 1:
                    raise SeveralMatches(
                        "A conditional reference must match exactly one resource.", place=f"{path}.reference"
                    )
            found[text] = rows[0].reference
    return found


def _refuse_missing(
    store: Store,
    pointing: Mapping[int, _Pointing],
    resolve: Mapping[int, _Resolve],
    previous: Mapping[int, Stored],
    together: frozenset[str],
) -> None:
    """Refuse references to what is not here, unless they stood there before. Raises InvalidResource."""
    asked: list[tuple[str, str]] = []
    for place, pairs in pointing.items():
        before = previous[place].resource if place in previous else {}
        kept = {text for _, text in references.references(before, "")}
        for path, text in pairs:
            target = resolve[place](text) or text
            reference = references.local(target)
            if reference and reference not in together and target not in kept:
                asked.append((path, reference))
    missing = store.missing({reference for _, reference in asked})
    if missing:
        text = "There is no such resource here. Send it first or together with this one, or give its full address."
        raise InvalidResource(
            tuple(Finding("error", "not-found", f"{path}.reference", text) for path, one in asked if one in missing)
        )


def _draft(session: Session, entry: Entry, resource_id: str, resolve: _Resolve, previous: Stored | None) -> Draft:
    """What is to be stored of one entry: references that lead to us, and the caller's own rules."""
    resource = {**references.rewritten(entry.resource, resolve), "id": resource_id}
    method, before = ("update", previous.resource) if previous else ("create", None)
    with at(entry):
        resource = session.before_write(method, resource, before, entry.if_match)
    labels = None if previous else session.labels
    return Draft({**resource, "id": resource_id}, labels, previous, _path(entry))
