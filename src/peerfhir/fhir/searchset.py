"""The answer to a search: one page as a Bundle, with what it brings along and how to go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from peerfhir.errors import Fault
from peerfhir.fhir import references
from peerfhir.fhir.index import rows_of
from peerfhir.fhir.issues import Finding, outcome
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import Clause, Include, Query
from peerfhir.fhir.sessions import Session
from peerfhir.fhir.store import Stored
from peerfhir.fhir.subset import part_of

MAX_INCLUDED = 1000
_MAX_ROUNDS = 5  # of _include:iterate


def searchset(session: Session, query: Query, base: str) -> Json:
    """Search, and the Bundle to answer with; stored bytes stand in it as they are.

    Raises  Forbidden when a chained parameter looks into a type that the caller may not search
    """
    for name in sorted(query.chained):
        session.may("search-type", name)
    page = session.store.search(query.type, query, bounded=True)
    entries = [entry_of(base, one, "match", query) for one in page.rows]
    if query.includes or query.revincludes:
        entries += [entry_of(base, one, "include", query) for one in _included(session, query, page.rows)]
    if query.ignored:
        text = f"These search parameters were not understood and ignored: {', '.join(query.ignored[:20])}."
        note = outcome([Finding("warning", "not-supported", "", text)])
        entries.append({"resource": note, "search": {"mode": "outcome"}})
    links = [{"relation": "self", "url": _url(base, query, None)}]
    if page.next:
        links.append({"relation": "next", "url": _url(base, query, page.next)})
    return bundle_of(entries, links, page.total)


def bundle_of(entries: Sequence[Json], links: Sequence[Json], total: int | None, kind: str = "searchset") -> Json:
    """A Bundle; without entries it has no such element."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = links
    if entries:
        bundle["entry"] = entries
    return bundle


def entry_of(base: str, one: Stored, mode: str, query: Query) -> Json:
    """One entry of a searchset, as much of it as was asked for."""
    resource = part_of(one, query.summary, query.elements if mode == "match" else ())
    return {"fullUrl": f"{base}/{one.reference}", "resource": resource, "search": {"mode": mode}}


def _url(base: str, query: Query, after: str | None) -> str:
    asked = query.link(after)
    return f"{base}/{query.path or query.type}" + (f"?{asked}" if asked else "")


def _included(session: Session, query: Query, rows: Sequence[Stored]) -> list[Stored]:
    """What _include and _revinclude bring along, as far as the caller may read it; each once."""
    here = {one.reference for one in rows}
    found: dict[str, Stored] = {}
    fresh: Sequence[Stored] = rows
    for turn in range(_MAX_ROUNDS):
        includes = [one for one in query.includes if turn == 0 or one.iterate]
        revincludes = [one for one in query.revincludes if turn == 0 or one.iterate]
        new = _pointed_at(session, includes, fresh) + _pointing(session, revincludes, fresh)
        fresh = []
        for one in new:
            if one.reference not in here and len(found) < MAX_INCLUDED:
                here.add(one.reference)
                found[one.reference] = one
                fresh.append(one)
        if not fresh:
            break
    return list(found.values())


def _pointed_at(session: Session, includes: Iterable[Include], rows: Sequence[Stored]) -> list[Stored]:
    wanted: set[str] = set()
    for one in includes:
        stored = PARAMETERS[one.type][one.name].stored or (one.name,)
        allowed = PARAMETERS[one.type][one.name].targets if one.name not in stored else ()
        for row in rows:
            if row.type == one.type:
                targets = (target for param, target in rows_of(row.resource).references if param in stored)
                for target in targets:
                    kind = target.partition("/")[0]
                    if references.local(target) and kind in ((one.target,) if one.target else allowed or (kind,)):
                        wanted.add(target)
    permitted = {kind for kind in {one.partition("/")[0] for one in wanted} if _may(session, "read", kind)}
    readable = sorted(one for one in wanted if one.partition("/")[0] in permitted)
    return list(session.store.read_many(readable[:MAX_INCLUDED]).values())


def _pointing(session: Session, revincludes: Iterable[Include], rows: Sequence[Stored]) -> list[Stored]:
    found: list[Stored] = []
    for one in revincludes:
        parameter = PARAMETERS[one.type][one.name]
        kinds = {one.target} if one.target else set(parameter.targets)
        targets = tuple(row.reference for row in rows if row.type in kinds)
        if targets and _may(session, "search-type", one.type):
            clause = Clause(one.type, parameter, (targets,))
            found += session.store.search(one.type, Query(one.type, (clause,), count=MAX_INCLUDED)).rows
    return found


def _may(session: Session, interaction: str, resource_type: str) -> bool:
    try:
        session.may(interaction, resource_type)
    except Fault:
        return False
    return True
