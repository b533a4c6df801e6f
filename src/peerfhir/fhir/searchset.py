"""The answer to a search: one page as a Bundle, with what it brings along and how to go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from peerfhir.errors import Fault
from peerfhir.fhir import references
from peerfhir.fhir.index import rows_of
from peerfhir.fhir.issues import Finding, outcome
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import Clause, Query
from peerfhir.fhir.store import Page, Stored
from peerfhir.fhir.writer import Raw
from peerfhir.fhir.writes import Session

MAX_INCLUDED = 1000


def searchset(session: Session, query: Query, base: str) -> Json:
    """Search, and the Bundle to answer with; stored bytes stand in it as they are."""
    page = session.store.search(query.type, query)
    entries = [_entry(base, one, "match") for one in page.rows]
    here = {one.reference for one in page.rows}
    entries += [_entry(base, one, "include") for one in _included(session, query, page) if one.reference not in here]
    if query.ignored:
        text = f"These search parameters were not understood and ignored: {', '.join(query.ignored[:20])}."
        note = outcome([Finding("warning", "not-supported", "", text)])
        entries.append({"resource": note, "search": {"mode": "outcome"}})
    links = [{"relation": "self", "url": _url(base, query, None)}]
    if page.next:
        links.append({"relation": "next", "url": _url(base, query, page.next)})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if page.total is not None:
        bundle["total"] = page.total
    bundle["link"] = links
    if entries:
        bundle["entry"] = entries
    return bundle


def _entry(base: str, one: Stored, mode: str) -> Json:
    return {"fullUrl": f"{base}/{one.reference}", "resource": Raw(one.body), "search": {"mode": mode}}


def _url(base: str, query: Query, after: str | None) -> str:
    asked = query.link(after)
    return f"{base}/{query.type}" + (f"?{asked}" if asked else "")


def _included(session: Session, query: Query, page: Page) -> list[Stored]:
    """What _include and _revinclude bring along, as far as the caller may read it."""
    wanted: set[str] = set()
    for _, name in query.includes:
        stored = PARAMETERS[query.type][name].stored or (name,)
        for row in page.rows:
            targets = (target for param, target in rows_of(row.resource).references if param in stored)
            wanted.update(reference for reference in targets if references.local(reference))
    allowed = {reference for reference in wanted if _may(session, "read", reference.partition("/")[0])}
    found = list(session.store.read_many(sorted(allowed)[:MAX_INCLUDED]).values())
    for source, name in query.revincludes:
        if page.rows and _may(session, "search-type", source):
            found += _pointing(session, source, name, page.rows)
    return list({one.reference: one for one in found}.values())


def _pointing(session: Session, source: str, name: str, rows: Iterable[Stored]) -> tuple[Stored, ...]:
    targets = tuple(row.reference for row in rows)
    clause = Clause(source, PARAMETERS[source][name], (targets,))
    return session.store.search(source, Query(source, (clause,), count=MAX_INCLUDED, total=False)).rows


def _may(session: Session, interaction: str, resource_type: str) -> bool:
    try:
        session.may(interaction, resource_type)
    except Fault:
        return False
    return True
