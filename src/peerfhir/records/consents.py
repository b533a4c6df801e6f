"""The ledger of what a person agreed to: rows <-> pathway objects."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from peerfhir.pathway.consent import Grant
from peerfhir.records import versions
from peerfhir.records.schema import consent_grant
from peerfhir.records.versions import Noun

GRANT = Noun(
    "grant",
    Grant,
    consent_grant,
    lambda one: {
        "person_id": one.person_id,
        "recipient": one.recipient.value,
        "share_class": one.share_class.value,
        "granted_at": one.granted_at,
        "until": one.until,
        "ended_at": one.ended_at,
    },
)


def at(connection: Connection, program_id: str, grant_id: str, version: int | None = None) -> Grant:
    """A grant as of a version; None: now. Raises NotFoundHere."""
    return versions.at(connection, GRANT, program_id, grant_id, version)


def ledger(connection: Connection, program_id: str, person_id: str) -> list[Grant]:
    """Every line of a person's ledger, ended ones included, oldest first."""
    theirs = consent_grant.c.person_id == person_id
    return versions.listed(connection, GRANT, program_id, theirs, order=(consent_grant.c.granted_at,))


def save(connection: Connection, record: Grant, now: datetime) -> Grant:
    """Keep a grant. Raises StaleVersion."""
    return versions.save(connection, GRANT, record, now)
