"""Where our resources are at an endpoint: what is written there, and what later pieces refer to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from peerfhir.fhir.reader import Json
from peerfhir.records.schema import outbox_message, remote
from peerfhir.records.upsert import insert_or_update

# ids of real servers are longer than R4's 64 characters, and have underscores and tildes
_ADDRESS = re.compile(r"(?:^|/)([A-Z][A-Za-z]{2,40})/([A-Za-z0-9\-._~]{1,200})(?:/_history/[^/?#]+)?/?$")


@dataclass(frozen=True)
class Address:
    """A resource at an endpoint: "Type/id" below its base, and the ETag it was last seen with."""

    reference: str
    etag: str | None = None


def remember(
    connection: Connection, program_id: str, endpoint: str, local: str, address: Address, now: datetime
) -> None:
    """Keep an address; a newer one replaces the older.

    local  "Type/id" of ours, or "number:piece[:detail]" of what was sent
    """
    keys = {"program_id": program_id, "endpoint": endpoint, "local": local}
    found = {"reference": address.reference, "etag": address.etag, "at": now}
    insert_or_update(connection, remote, ("program_id", "endpoint", "local"), {**keys, **found}, found, "local")


def of(connection: Connection, program_id: str, endpoint: str, local: str | None) -> str | None:
    """ "Type/id" at the endpoint of one resource of ours; None when it is not known there."""
    if local is None:
        return None
    row = remote.c
    found: str | None = connection.execute(
        select(row.reference).where(row.program_id == program_id, row.endpoint == endpoint, row.local == local)
    ).scalar_one_or_none()
    return found


def sent_of(
    connection: Connection, program_id: str, endpoint: str, referral_id: str
) -> list[tuple[str, str, str | None]]:
    """What has been settled for a referral at an endpoint, oldest first: (piece, form, "Type/id" or None)."""
    row = outbox_message.c
    joined = outbox_message.outerjoin(
        remote,
        (remote.c.program_id == row.program_id) & (remote.c.endpoint == row.endpoint) & (remote.c.local == row.idem),
    )
    found = connection.execute(
        select(row.piece, row.form, remote.c.reference)
        .select_from(joined)
        .where(
            row.program_id == program_id,
            row.endpoint == endpoint,
            row.referral_id == referral_id,
            row.state == "done",
            row.form.is_not(None),
        )
        .order_by(row.id)
    )
    return [(piece, form, reference) for piece, form, reference in found]


def read(headers: Mapping[str, str], body: Json | None, expected: str) -> Address | None:
    """The address in an answer: Location, absolute or relative, with or without _history; else the body's id.

    headers   with lower-case names
    expected  the resource type; an address of another type is none
    """
    etag = headers.get("etag")
    for name in ("location", "content-location"):
        match = _ADDRESS.search(headers.get(name, "").partition("?")[0])
        if match and match[1] == expected:
            return Address(f"{match[1]}/{match[2]}", etag)
    return of_resource(body, expected, etag)


def of_resource(resource: Json | None, expected: str, etag: str | None = None) -> Address | None:
    """The address that a resource says it has."""
    if not isinstance(resource, dict) or resource.get("resourceType") != expected:
        return None
    found = _ADDRESS.search(f"{expected}/{resource.get('id')}")
    if found is None or not isinstance(resource.get("id"), str):
        return None
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    if etag is None and isinstance(version, str):
        etag = f'W/"{version}"'
    return Address(f"{expected}/{found[2]}", etag)
