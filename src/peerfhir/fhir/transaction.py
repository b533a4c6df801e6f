"""A transaction Bundle: judged whole before anything is opened, carried out whole, answered entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from peerfhir.errors import BadRequest, InvalidResource, MethodNotAllowed
from peerfhir.fhir import bundle
from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.preferences import is_known
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import parse
from peerfhir.fhir.searchset import searchset
from peerfhir.fhir.writer import Raw
from peerfhir.fhir.writes import Change, Check, Session, Written, at, carry_out

_PHRASES = {"create": "201 Created", "update": "200 OK", "matched": "200 OK", "delete": "204 No Content"}
_INTERACTIONS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def kind_of(body: Json) -> str:
    """What the Bundle is: transaction or batch.

    Raises  BadRequest for what is neither, InvalidResource for one too long to be judged
    """
    if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
        raise BadRequest("This address takes a Bundle of type transaction or batch.", place="Bundle.resourceType")
    kind = body.get("type")
    if kind not in ("transaction", "batch"):
        raise BadRequest("Only a Bundle of type transaction or batch is carried out here.", place="Bundle.type")
    if isinstance(body.get("entry"), list) and len(body["entry"]) > bundle.MAX_ENTRIES:
        text = f"A Bundle may have at most {bundle.MAX_ENTRIES} entries."
        raise InvalidResource((Finding("error", "too-costly", "Bundle.entry", text),))
    return str(kind)


def entries_of(body: Json, base: str) -> list[Entry]:
    """The entries of a valid transaction. Raises InvalidResource for what cannot be carried out here."""
    entries = bundle.entries_of(body, base)
    text = "This resource type is not served here."
    foreign = [
        Finding("error", "not-supported", f"{one.place}.request.url", text)
        for one in entries
        if one.type not in PARAMETERS
    ]
    if foreign:
        raise InvalidResource(tuple(foreign))
    return entries


def interaction_of(entry: Entry) -> str:
    """The interaction an entry asks for, in the words of a CapabilityStatement."""
    if entry.method in bundle.READS:
        return "read" if entry.id else "search-type"
    return _INTERACTIONS[entry.method]


def may(ask: Callable[[str, str], None], entry: Entry) -> None:
    """Ask whether an entry may be carried out at all.

    Raises  what `ask` raises; for what is not offered InvalidResource, because the Bundle's own address takes a POST
    """
    place = f"{entry.place}.request.method"
    try:
        with at(entry, "request.method"):
            ask(interaction_of(entry), entry.type)
    except MethodNotAllowed as fault:
        raise InvalidResource((Finding("error", "not-supported", place, fault.what),)) from fault


def run(
    session: Session, entries: Sequence[Entry], base: str, check: Check, *, whole: bool
) -> tuple[Json, list[Change]]:
    """Carry out all entries; the Bundle to answer with, and what was written.

    check   raises InvalidResource for what a patch has spoilt
    whole   put the stored resources into the answer
    Raises  any Fault, its place inside the entry that caused it; the caller rolls back
    """
    for entry in entries:
        may(session.may, entry)
    writes = [one for one in bundle.in_order(entries) if one.method not in bundle.READS]
    written = carry_out(session, writes, base, check)
    answers = {one.entry.place: _written(one, whole) for one in written}
    for entry in entries:
        if entry.method in bundle.READS:
            with at(entry, "request.url"):
                answers[entry.place] = _got(session, entry, base)
    body: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction-response"}
    if entries:
        body["entry"] = [answers[entry.place] for entry in entries]
    return body, [one.change() for one in written]


def _written(one: Written, whole: bool) -> Json:
    stored = one.stored
    if one.entry.method == "DELETE":
        return {"response": {"status": _PHRASES["delete"], "etag": stored.etag, "lastModified": stored.stamp}}
    answer: dict[str, Any] = {"resource": Raw(stored.body)} if whole else {}
    answer["response"] = {
        "status": _PHRASES[one.method],
        "location": f"{stored.reference}/_history/{stored.version}",
        "etag": stored.etag,
        "lastModified": stored.stamp,
    }
    return answer


def _got(session: Session, entry: Entry, base: str) -> Json:
    if entry.id is None:
        asked = parse(entry.type, entry.query, base=base)
        answer = {"resource": searchset(session, asked, base), "response": {"status": "200 OK"}}
    else:
        stored = session.store.read(entry.type, entry.id)
        known = entry.if_none_match is not None and is_known({"if-none-match": entry.if_none_match}, stored.etag)
        answer = {"response": {"status": "304 Not Modified" if known else "200 OK", "etag": stored.etag}}
        answer |= {} if known else {"resource": Raw(stored.body)}
    return {"response": answer["response"]} if entry.method == "HEAD" else answer
