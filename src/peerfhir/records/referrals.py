"""Referrals and the engagements that follow: rows <-> pathway objects."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.referral import Referral
from peerfhir.records import versions
from peerfhir.records.schema import engagement, referral
from peerfhir.records.versions import Noun

REFERRAL = Noun(
    "referral",
    Referral,
    referral,
    lambda one: {
        "person_id": one.person_id,
        "peer_id": one.peer_id,
        "status": one.status.value,
        "number": one.number,
        "source": one.origin.source if one.origin else None,
        "task_id": one.origin.task_id if one.origin else None,
        "is_open": one.closed_at is None,
        "received_at": one.received_at,
    },
)
ENGAGEMENT = Noun(
    "engagement",
    Engagement,
    engagement,
    lambda one: {
        "referral_id": one.referral_id,
        "person_id": one.person_id,
        "peer_id": one.peer_id,
        "status": one.status,
    },
)


def at(connection: Connection, program_id: str, referral_id: str, version: int | None = None) -> Referral:
    """A referral as of a version; None: now. Raises NotFoundHere."""
    return versions.at(connection, REFERRAL, program_id, referral_id, version)


def queue(connection: Connection, program_id: str, *, open_only: bool = True) -> list[Referral]:
    """The referrals of a program, oldest first."""
    where = (referral.c.is_open,) if open_only else ()
    return versions.listed(connection, REFERRAL, program_id, *where, order=(referral.c.received_at,))


def of_peer(connection: Connection, program_id: str, peer_id: str) -> list[Referral]:
    """The referrals a peer is assigned to, oldest first."""
    mine = referral.c.peer_id == peer_id
    return versions.listed(connection, REFERRAL, program_id, mine, order=(referral.c.received_at,))


def of_person(connection: Connection, program_id: str, person_id: str) -> list[Referral]:
    """A person's referrals, oldest first."""
    theirs = referral.c.person_id == person_id
    return versions.listed(connection, REFERRAL, program_id, theirs, order=(referral.c.received_at,))


def by_task(connection: Connection, program_id: str, task_id: str) -> Referral | None:
    """The referral that our own Task tells about."""
    return versions.first(connection, REFERRAL, program_id, referral.c.task_id == task_id)


def by_number(connection: Connection, program_id: str, number: str) -> Referral | None:
    """The referral with this number of ours, for example PF-000123."""
    return versions.first(connection, REFERRAL, program_id, referral.c.number == number)


def engagement_at(
    connection: Connection, program_id: str, engagement_id: str, version: int | None = None
) -> Engagement:
    """An engagement as of a version; None: now. Raises NotFoundHere."""
    return versions.at(connection, ENGAGEMENT, program_id, engagement_id, version)


def engagement_of(connection: Connection, program_id: str, referral_id: str) -> Engagement | None:
    """The engagement that a referral became."""
    return versions.first(connection, ENGAGEMENT, program_id, engagement.c.referral_id == referral_id)


def save(connection: Connection, record: Referral, now: datetime) -> Referral:
    """Keep a referral. Raises StaleVersion, AlreadyRecorded."""
    return versions.save(connection, REFERRAL, record, now)


def save_engagement(connection: Connection, record: Engagement, now: datetime) -> Engagement:
    """Keep an engagement. Raises StaleVersion, AlreadyRecorded."""
    return versions.save(connection, ENGAGEMENT, record, now)
