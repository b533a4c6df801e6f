"""Creates, updates, patches and deletes in one transaction: conditions, references, the caller's rules, the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from peerfhir.clock import new_id
from peerfhir.errors import BadRequest, BusinessRule, InvalidResource, SeveralMatches
from peerfhir.fhir import bundle, deletes, references
from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.conditional import claim, condition_of, key_for, matches
from peerfhir.fhir.entries import at, path_of
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.patch import patched
from peerfhir.fhir.reader import Json, read
from peerfhir.fhir.search import parse
from peerfhir.fhir.sessions import Change, Session, Written
from peerfhir.fhir.store import Draft, Store, Stored
from peerfhir.fhir.versions import refuse_stale, refuse_unknown
from peerfhir.fhir.writer import write

__all__ = ["Change", "Check", "Session", "Written", "at", "carry_out"]

_NOTHING_FITS = "Nothing here fits this conditional reference. Send the resource first or together with this one."
_Pointing = Sequence[tuple[str, str]]  # (expression, text) of each reference
_Resolve = Callable[[str], str | None]
Check = Callable[[Json], None]  # raises InvalidResource


def carry_out(session: Session, entries: Sequence[Entry], base: str, check: Check) -> list[Written]:
    """Carry out entries that write, together; the results stand in the order of the entries.

    base    of this server: references below it become relative
    check   raises InvalidResource for a resource that a patch has spoilt; what came whole was checked before
    Raises  any Fault, its place inside the entry that caused it; nothing is stored by a caller who rolls back
    """
    session.store.hold(f"{one.type}/{one.id}" for one in entries if one.id)
    gone = deletes.carry_out(session, [one for one in entries if one.method == "DELETE"])
    stay = [one for one in entries if one.method != "DELETE"]
    done = iter(_written(session, stay, base, check) if stay else ())
    went = iter(gone)
    return [next(went) if one.method == "DELETE" else next(done) for one in entries]


def _written(session: Session, entries: Sequence[Entry], base: str, check: Check) -> list[Written]:
    store = session.store
    asked = {place: query for place, one in enumerate(entries) if (query := condition_of(session, one, base))}
    matched = matches(store, session.labels, entries, asked)
    if store.hold(one.reference for place, one in matched.items() if entries[place].method == "PUT"):
        matched = matches(store, session.labels, entries, asked)  # as it is now that nobody else changes it
    ids = {place: _id_of(one, matched.get(place)) for place, one in enumerate(entries)}
    claim(session, entries, asked, matched, ids)
    previous = _previous(store, entries)
    for place in [place for place in matched if entries[place].method == "PUT"]:
        previous[place] = _to_update(entries[place], matched.pop(place))
    entries = [_whole(session, one, previous.get(place), ids[place], check) for place, one in enumerate(entries)]
    _refuse_twice(entries, previous)
    addresses = {one.full_url: f"{one.type}/{ids[place]}" for place, one in enumerate(entries) if one.full_url}
    new = [place for place in ids if place not in matched]
    pointing = {place: list(references.references(entries[place].resource, path_of(entries[place]))) for place in new}
    addresses |= _conditional_references(session, entries, pointing, base)
    resolve = {place: bundle.resolver(entries[place], addresses, base) for place in new}
    together = frozenset(f"{one.type}/{ids[place]}" for place, one in enumerate(entries))
    _refuse_missing(store, pointing, resolve, previous, together)
    drafts = [_draft(session, entries[place], ids[place], resolve[place], previous.get(place)) for place in new]
    claimed = {place: key_for(query, session.labels.source) for place, query in asked.items()}
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


def _to_update(entry: Entry, found: Stored) -> Stored:
    """What a conditional update found. Raises BadRequest when the resource says another id; VersionConflict."""
    with at(entry, "request.url"):
        if entry.resource.get("id", found.id) != found.id:
            raise BadRequest("The condition finds a resource with another id.", place=f"{entry.type}.id")
    refuse_stale(entry, found)
    return found


def _whole(session: Session, entry: Entry, previous: Stored | None, resource_id: str, check: Check) -> Entry:
    """A patch as the resource it makes. Raises BadRequest, BusinessRule, InvalidResource."""
    if entry.method == "PUT" and entry.id is None:
        if previous is None and "id" in entry.resource:
            with at(entry, "request.url"):
                text = "Nothing fits the condition, and this server chooses the ids."
                raise BadRequest(text, place=f"{entry.type}.id")
        if previous is None:
            with at(entry, "request.url"):
                session.may("create", entry.type)
        return entry
    if entry.method != "PATCH" or previous is None:
        return entry
    with at(entry, "resource"):
        made = patched(previous.resource, entry.resource)
        if not isinstance(made, dict) or (made.get("resourceType"), made.get("id")) != (entry.type, resource_id):
            raise BusinessRule("A patch cannot change the type or the id of a resource.")
        if not isinstance(made.get("meta", {}), dict):
            raise BusinessRule("A patch has to leave `meta` an object.", place=f"{entry.type}.meta")
        try:
            made = read(write(made))  # a patch can make more, and deeper, than a body could be
        except TypeError:
            raise BusinessRule("The patch makes a resource that is too deep.") from None
        check(made)
    return replace(entry, resource=made)


def _refuse_twice(entries: Sequence[Entry], previous: Mapping[int, Stored]) -> None:
    """Two entries that turn out to change one resource. Source: R4 http.html, 3.1.0.11.2 (overlapping identities)."""
    seen: set[str] = set()
    for place, one in previous.items():
        if one.reference in seen:
            text = "Two entries change one resource."
            raise InvalidResource((Finding("error", "duplicate", f"{entries[place].place}.request.url", text),))
        seen.add(one.reference)


# what is written


def _id_of(entry: Entry, matched: Stored | None) -> str:
    return matched.id if matched else entry.id or new_id()


def _previous(store: Store, entries: Sequence[Entry]) -> dict[int, Stored]:
    """The current version of what the PUTs and PATCHes change. Raises NotFound, Gone, VersionConflict."""
    changing = {
        place: f"{one.type}/{one.id}" for place, one in enumerate(entries) if one.method in ("PUT", "PATCH") and one.id
    }
    here = store.read_many(changing.values())
    for place, reference in changing.items():
        entry = entries[place]
        with at(entry, "request.url"):
            if reference not in here:
                refuse_unknown(store, entry)
        refuse_stale(entry, here[reference])
    return {place: here[reference] for place, reference in changing.items()}


def _conditional_references(
    session: Session, entries: Sequence[Entry], pointing: Mapping[int, _Pointing], base: str
) -> dict[str, str]:
    """`Patient?identifier=...` -> "Patient/id", each matching exactly one; only a transaction may hold them."""
    found: dict[str, str] = {}
    for place, pairs in pointing.items():
        for path, text in pairs:
            asked = references.conditional(text) if "?" in text and entries[place].place else None
            if asked is None or text in found:
                continue
            with at(entries[place]):
                query = parse(*asked, base=base)
                for name in {asked[0], *query.chained}:
                    session.may("search-type", name)
                rows = session.store.search(asked[0], query).rows[:2]
                if len(rows) > 1:
                    text = "A conditional reference must match exactly one resource."
                    raise SeveralMatches(text, place=f"{path}.reference")
            if not rows:
                raise InvalidResource((Finding("error", "not-found", f"{path}.reference", _NOTHING_FITS),))
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
    return Draft({**resource, "id": resource_id}, labels, previous, path_of(entry))
