"""Questionnaire outcomes and the safety events they raise: rows <-> pathway objects."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.records import versions
from peerfhir.records.schema import outcome, safety_event
from peerfhir.records.versions import Noun

OUTCOME = Noun(
    "outcome",
    Outcome,
    outcome,
    lambda one: {
        "person_id": one.person_id,
        "referral_id": one.referral_id,
        "instrument_id": one.instrument_id,
        "answered_at": one.answered_at,
        "client_uuid": one.client_uuid,
    },
)
SAFETY = Noun(
    "safety",
    SafetyEvent,
    safety_event,
    lambda one: {
        "person_id": one.person_id,
        "source": one.source,
        "state": one.state,
        "raised_at": one.raised_at,
    },
)


def at(connection: Connection, program_id: str, outcome_id: str, version: int | None = None) -> Outcome:
    """An outcome as of a version; None: now. Raises NotFoundHere."""
    return versions.at(connection, OUTCOME, program_id, outcome_id, version)


def of_person(connection: Connection, program_id: str, person_id: str) -> list[Outcome]:
    """A person's outcomes, oldest first."""
    theirs = outcome.c.person_id == person_id
    return versions.listed(connection, OUTCOME, program_id, theirs, order=(outcome.c.answered_at,))


def safety_from(connection: Connection, program_id: str, source: str) -> SafetyEvent | None:
    """The event that this answer or worry has raised, for example "outcome:<id>"."""
    return versions.first(connection, SAFETY, program_id, safety_event.c.source == source)


def open_safety(connection: Connection, program_id: str) -> list[SafetyEvent]:
    """Events that are not closed, oldest first."""
    waiting = safety_event.c.state != "closed"
    return versions.listed(connection, SAFETY, program_id, waiting, order=(safety_event.c.raised_at,))


def safety_of_person(connection: Connection, program_id: str, person_id: str) -> list[SafetyEvent]:
    """A person's safety events, oldest first."""
    theirs = safety_event.c.person_id == person_id
    return versions.listed(connection, SAFETY, program_id, theirs, order=(safety_event.c.raised_at,))


def save(connection: Connection, record: Outcome, now: datetime) -> Outcome:
    """Keep an outcome. Raises StaleVersion; AlreadyRecorded for a form that came before."""
    return versions.save(connection, OUTCOME, record, now)


def save_safety(connection: Connection, record: SafetyEvent, now: datetime) -> SafetyEvent:
    """Keep a safety event. Raises StaleVersion; AlreadyRecorded when this source has raised one."""
    return versions.save(connection, SAFETY, record, now)
