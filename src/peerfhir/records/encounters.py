"""Encounters and group sessions: rows <-> pathway objects."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from peerfhir.pathway.encounter import Encounter, GroupSession
from peerfhir.records import versions
from peerfhir.records.schema import encounter, group_session
from peerfhir.records.versions import Noun

ENCOUNTER = Noun(
    "encounter",
    Encounter,
    encounter,
    lambda one: {
        "person_id": one.person_id,
        "peer_id": one.peer_id,
        "referral_id": one.referral_id,
        "group_id": one.group_id,
        "client_uuid": one.client_uuid,
        "started_at": one.started_at,
    },
)
GROUP = Noun("group", GroupSession, group_session, lambda one: {"peer_id": one.peer_id})


def at(connection: Connection, program_id: str, encounter_id: str, version: int | None = None) -> Encounter:
    """An encounter as of a version; None: now. Raises NotFoundHere."""
    return versions.at(connection, ENCOUNTER, program_id, encounter_id, version)


def by_client_uuid(connection: Connection, program_id: str, client_uuid: str) -> Encounter | None:
    """The encounter that a phone recorded under this key, if it has arrived."""
    return versions.first(connection, ENCOUNTER, program_id, encounter.c.client_uuid == client_uuid)


def of_person(connection: Connection, program_id: str, person_id: str) -> list[Encounter]:
    """A person's encounters, oldest first."""
    theirs = encounter.c.person_id == person_id
    return versions.listed(connection, ENCOUNTER, program_id, theirs, order=(encounter.c.started_at,))


def group_at(connection: Connection, program_id: str, group_id: str, version: int | None = None) -> GroupSession:
    """A group session as of a version; None: now. Raises NotFoundHere."""
    return versions.at(connection, GROUP, program_id, group_id, version)


def save(connection: Connection, record: Encounter, now: datetime) -> Encounter:
    """Keep an encounter. Raises StaleVersion; AlreadyRecorded for a client key that came before."""
    return versions.save(connection, ENCOUNTER, record, now)


def save_group(connection: Connection, record: GroupSession, now: datetime) -> GroupSession:
    """Keep a group session; it has no projection and is never owed. Raises StaleVersion."""
    return versions.save(connection, GROUP, record, now)
