"""What became of a resource, or of all of a type: versions, newest first, as a Bundle."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from peerfhir.errors import BadRequest, NotFound
from peerfhir.fhir.index import span_of
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import DEFAULT_COUNT, count_of, pairs_of
from peerfhir.fhir.searchset import bundle_of
from peerfhir.fhir.sessions import Session
from peerfhir.fhir.stored import Stored
from peerfhir.fhir.tables import micros
from peerfhir.fhir.values import wrong
from peerfhir.fhir.writer import Raw

_METHODS = {"create": "POST", "update": "PUT", "delete": "DELETE"}
_STATUS = {"create": "201 Created", "update": "200 OK", "delete": "204 No Content"}
_CURSOR = re.compile(r"(\d{1,18})\.(\d{1,9})\.([A-Za-z0-9.\-]{1,64})", re.ASCII)
PARAMETERS = ("_count", "_since")


@dataclass
class _Asked:
    count: int = DEFAULT_COUNT
    since: int | None = None
    after: tuple[int, str, int] | None = None
    used: tuple[tuple[str, str], ...] = ()


def history(session: Session, resource_type: str, resource_id: str | None, query: str, base: str) -> Json:
    """One page of versions, as far as the caller may see the resources today.

    query   _count, _since, and what a next link holds
    Raises  BadRequest; NotFound when there is no such resource for this caller
    """
    asked = _asked(query)
    rows = session.store.history(
        resource_type, resource_id, count=asked.count + 1, since=asked.since, after=asked.after
    )
    if resource_id is not None and not rows and not session.store.history(resource_type, resource_id, count=1):
        raise NotFound
    more = len(rows) > asked.count
    rows = rows[: asked.count]
    place = f"{base}/{resource_type}" + (f"/{resource_id}" if resource_id else "") + "/_history"
    links = [{"relation": "self", "url": _url(place, asked, None)}]
    if more and rows:
        links.append({"relation": "next", "url": _url(place, asked, _cursor(rows[-1]))})
    total = len(rows) if not more and asked.after is None else None
    return bundle_of([_entry(one, base) for one in rows], links, total, "history")


def _asked(query: str) -> _Asked:
    asked = _Asked()
    pairs = pairs_of(query, "A history", 20)
    for name, value in pairs:
        if name == "_count":
            asked.count = count_of(value)
        elif name == "_since":
            span = span_of(value.replace(" ", "+"))
            if span is None:
                raise wrong(name, "an instant")
            asked.since = span[0]
        elif name == "_after":
            asked.after = _after(value)
        elif name not in ("_format", "_pretty"):
            raise BadRequest(f"A history has no parameter {name[:64]!r}.")
    asked.used = tuple(pair for pair in pairs if pair[0] != "_after")
    return asked


def _entry(one: Stored, base: str) -> Json:
    entry: dict[str, Any] = {"fullUrl": f"{base}/{one.reference}"}
    if one.method != "delete":
        entry["resource"] = Raw(one.body)
    url = one.type if one.method == "create" else one.reference
    entry["request"] = {"method": _METHODS[one.method], "url": url}
    entry["response"] = {"status": _STATUS[one.method], "etag": one.etag, "lastModified": one.stamp}
    return entry


def _url(place: str, asked: _Asked, after: str | None) -> str:
    pairs = [*asked.used, ("_after", after)] if after else list(asked.used)
    return place + (f"?{urlencode(pairs, safe=':')}" if pairs else "")


def _cursor(last: Stored) -> str:
    text = f"{micros(last.updated_at)}.{last.version}.{last.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _after(text: str) -> tuple[int, str, int]:
    try:
        plain = base64.urlsafe_b64decode(text[:200] + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        plain = ""
    match = _CURSOR.fullmatch(plain)
    if match is None:
        raise wrong("_after", "a next link as it was given")
    return int(match[1]), match[3], int(match[2])
