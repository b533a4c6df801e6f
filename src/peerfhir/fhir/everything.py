"""`Patient/[id]/$everything`: the chart of one person, as far as the caller may see it."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from peerfhir.errors import BadRequest, Fault
from peerfhir.fhir import compartments, references
from peerfhir.fhir.cursors import Cursor, cursor
from peerfhir.fhir.index import END, rows_of, span_of
from peerfhir.fhir.parameters import COMMON, PARAMETERS
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import DEFAULT_COUNT, Clause, Query, count_of, pairs_of
from peerfhir.fhir.searchset import bundle_of, entry_of
from peerfhir.fhir.sessions import Session
from peerfhir.fhir.store import Stored
from peerfhir.fhir.values import Span, wrong

_TYPES = tuple(sorted(compartments.PATIENT))
_AFTER = re.compile(r"([A-Z][A-Za-z]{1,40})\.([A-Za-z0-9_\-]{0,200})")
# Who and what a chart speaks of without being part of it.
_AROUND = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService"})


@dataclass
class _Asked:
    count: int = DEFAULT_COUNT
    types: tuple[str, ...] = ("Patient", *_TYPES)
    since: int | None = None
    begin: tuple[str, Cursor | None] | None = None
    used: list[tuple[str, str]] = field(default_factory=list)


def everything(session: Session, patient_id: str, query: str, base: str) -> Json:
    """One page of the chart: the Patient, what is in its compartment type by type, and whom those name.

    query   _type, _since, _count, and what a next link holds
    Raises  NotFound when the Patient is not there for this caller; BadRequest
    """
    asked = _asked(query)
    session.may("read", "Patient")
    patient = session.store.read("Patient", patient_id)
    rows: list[Stored] = []
    if asked.begin is None and "Patient" in asked.types:
        rows.append(patient)
    after = _collect(session, asked, patient_id, rows)
    whole = Query("Patient")
    entries = [entry_of(base, one, "match", whole) for one in rows]
    entries += [entry_of(base, one, "include", whole) for one in _around(session, rows)]
    place = f"{base}/Patient/{patient_id}/$everything"
    links = [{"relation": "self", "url": _url(place, asked.used)}]
    if after:
        own = [pair for pair in asked.used if pair[0] != "_after"]
        links.append({"relation": "next", "url": _url(place, [*own, ("_after", after)])})
    total = len(rows) if not after and asked.begin is None else None
    return bundle_of(entries, links, total)


def query_of(parameters: Json) -> str:
    """The Parameters of an operation as a query string; "" without any. Raises BadRequest.

    Source  R4 operations.html, 3.2.0.2 (what a POST says in its body a GET says in its query)
    """
    if parameters is None:
        return ""
    said = parameters.get("parameter", []) if isinstance(parameters, dict) else None
    if said is None or parameters.get("resourceType") != "Parameters" or not isinstance(said, list):
        raise BadRequest("This operation takes Parameters.")
    pairs = []
    for one in said:
        values = [value for key, value in one.items() if key.startswith("value")] if isinstance(one, dict) else []
        if len(values) != 1 or not isinstance(one.get("name"), str) or isinstance(values[0], (dict, list)):
            raise BadRequest("Each parameter of this operation has a name and one plain value.")
        pairs.append((one["name"], str(values[0])))
    return urlencode(pairs)


def _collect(session: Session, asked: _Asked, patient_id: str, rows: list[Stored]) -> str | None:
    """Fill `rows` up to a page; where the next one begins."""
    start, within = asked.begin or ("", None)
    for name in _TYPES:
        if name < start or name not in asked.types or not _may_search(session, name):
            continue
        room = asked.count - len(rows)
        if room <= 0:
            return _after(name, None)
        clauses = [Clause(name, compartments.of(name), ((f"Patient/{patient_id}",),))]
        if asked.since is not None:
            clauses.append(Clause(name, COMMON["_lastUpdated"], (Span("ge", asked.since, END),)))
        page = session.store.search(
            name, Query(name, tuple(clauses), count=room, after=within if name == start else None)
        )
        rows += page.rows
        if page.next:
            return _after(name, page.next)
    return None


def _around(session: Session, rows: list[Stored]) -> list[Stored]:
    here = {one.reference for one in rows}
    wanted = {
        target
        for one in rows
        for _, target in rows_of(one.resource).references
        if target not in here and references.local(target) and target.partition("/")[0] in _AROUND
    }
    readable = {name for name in _AROUND if _may(session, "read", name)}
    return list(session.store.read_many(sorted(one for one in wanted if one.partition("/")[0] in readable)).values())


def _asked(query: str) -> _Asked:
    asked = _Asked()
    pairs = pairs_of(query, "This operation", 20)
    asked.used = [(name, value) for name, value in pairs if name not in ("_format", "_pretty")]
    seen: set[str] = set()
    for name, value in asked.used:
        if name == "_count":
            asked.count = count_of(value, 1)
        elif name == "_type":
            asked.types = (*(asked.types if "_type" in seen else ()), *value.split(","))
            if not all(one in PARAMETERS for one in asked.types):
                raise wrong(name, "resource types that are served here")
        elif name == "_since":
            span = span_of(value.replace(" ", "+"))
            if span is None:
                raise wrong(name, "an instant")
            asked.since = span[0]
        elif name == "_after":
            asked.begin = _begin(value)
        else:
            raise BadRequest(f"This operation has no parameter {name[:64]!r}.")
        seen.add(name)
    return asked


def _after(name: str, cursor_text: str | None) -> str:
    return base64.urlsafe_b64encode(f"{name}.{cursor_text or ''}".encode()).decode().rstrip("=")


def _begin(text: str) -> tuple[str, Cursor | None]:
    try:
        plain = base64.urlsafe_b64decode(text[:400] + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        plain = ""
    match = _AFTER.fullmatch(plain)
    within = cursor(match[2]) if match and match[2] else None
    if match is None or match[1] not in _TYPES or (within is not None and within.kind != "i"):
        raise wrong("_after", "a next link as it was given")
    return match[1], within


def _url(place: str, pairs: list[tuple[str, str]]) -> str:
    return place + (f"?{urlencode(pairs, safe=':,')}" if pairs else "")


def _may_search(session: Session, name: str) -> bool:
    return _may(session, "search-type", name) and _may(session, "read", name)


def _may(session: Session, interaction: str, name: str) -> bool:
    try:
        session.may(interaction, name)
    except Fault:
        return False
    return True
