"""The story of one referral: received, each step, each record, what was owed and every attempt to deliver it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from peerfhir.pathway.referral import Referral
from peerfhir.records import referrals, versions
from peerfhir.records.encounters import ENCOUNTER
from peerfhir.records.outcomes import OUTCOME
from peerfhir.records.schema import (
    attempt,
    encounter,
    engagement,
    inbox_message,
    outbox_message,
    outcome,
    record_version,
)
from peerfhir.records.versions import Noun

_WAITING = ("ready", "leased")


@dataclass(frozen=True)
class Hop:
    """One thing that happened to a referral. No hop says anything about the person.

    kind   received | referral | engagement | encounter | outcome | owed | attempt | settled
    id     of the row or record it happened to
    what   the state it was in from then on
    """

    at: datetime
    kind: str
    id: str
    what: str
    detail: str = ""


def trace(connection: Connection, program_id: str, wanted: str) -> list[Hop]:
    """What happened to a referral, in the order of time; empty when nothing of that id is known in this program.

    wanted  the referral's id or number, its Task's id, or the id of a message received or owed for it
    """
    found = _referral(connection, program_id, wanted)
    if found is None:
        return []
    hops = [
        *_received(connection, found),
        *_steps(connection, found),
        *_records(connection, found),
        *_owed(connection, found),
    ]
    return sorted(hops, key=lambda hop: hop.at)  # stable: what happened at one instant stays in this order


def _referral(connection: Connection, program_id: str, wanted: str) -> Referral | None:
    direct = (
        versions.find(connection, referrals.REFERRAL, program_id, wanted)
        or referrals.by_number(connection, program_id, wanted)
        or referrals.by_task(connection, program_id, wanted)
    )
    if direct is not None:
        return direct
    query = select(inbox_message.c.record_id).where(
        inbox_message.c.program_id == program_id,
        inbox_message.c.id == wanted,
        inbox_message.c.record_type == "referral",
    )
    if wanted.isdecimal() and len(wanted) < 19:
        row = outbox_message.c
        query = select(row.referral_id).where(row.program_id == program_id, row.id == int(wanted))
    referral_id = connection.execute(query).scalar_one_or_none()
    return versions.find(connection, referrals.REFERRAL, program_id, referral_id) if referral_id else None


def _received(connection: Connection, referral: Referral) -> Iterator[Hop]:
    row = inbox_message.c
    query = select(row.id, row.source, row.received_at, row.settled_at, row.state, row.reason).where(
        row.program_id == referral.program_id, row.record_type == "referral", row.record_id == referral.id
    )
    for one in connection.execute(query.order_by(row.received_at, row.id)):
        yield Hop(one.received_at, "received", one.id, "kept", f"from {one.source}")
        if one.settled_at is not None:
            yield Hop(one.settled_at, "received", one.id, one.state, one.reason or "")


def _steps(connection: Connection, referral: Referral) -> Iterator[Hop]:
    for row in _versions(connection, referral.program_id, referrals.REFERRAL, [referral.id]):
        one = versions.from_bytes(Referral, row.body)
        yield Hop(row.kept_at, "referral", one.number, one.status.value, f"version {one.version}, {one.task_status}")


def _records(connection: Connection, referral: Referral) -> Iterator[Hop]:
    """Engagement, encounters and outcomes by their numbers: that they exist, not what they say."""
    nouns: tuple[tuple[Noun[Any], Any], ...] = (
        (referrals.ENGAGEMENT, engagement),
        (ENCOUNTER, encounter),
        (OUTCOME, outcome),
    )
    for noun, table in nouns:
        query = select(table.c.id).where(table.c.program_id == referral.program_id, table.c.referral_id == referral.id)
        for row in _versions(connection, referral.program_id, noun, connection.execute(query).scalars().all()):
            one = versions.from_bytes(noun.type, row.body)
            yield Hop(row.kept_at, noun.kind, one.number, getattr(one, "status", "recorded"), f"version {one.version}")


def _owed(connection: Connection, referral: Referral) -> Iterator[Hop]:
    row, tries = outbox_message.c, attempt.c
    mine = (row.program_id == referral.program_id, row.referral_id == referral.id)
    owed = connection.execute(select(outbox_message).where(*mine).order_by(row.id)).all()
    for one in owed:
        where = f"to {one.endpoint}" if one.endpoint else "in our own API"
        yield Hop(one.created_at, "owed", str(one.id), one.piece, f"{one.idem} {where}")
    ids = select(row.id).where(*mine)
    query = select(attempt).where(tries.program_id == referral.program_id, tries.outbox_id.in_(ids)).order_by(tries.id)
    for one in connection.execute(query):
        answer = f"HTTP {one.status}" if one.status else one.error or ""
        yield Hop(one.started_at, "attempt", str(one.outbox_id), one.verdict or "open", answer)
    for one in owed:
        if one.state not in _WAITING:
            form = f" as {one.form} (rung {one.rung}: {one.rung_reason})" if one.form else ""
            at = one.settled_at or one.created_at  # a projection is parked when it is made
            yield Hop(at, "settled", str(one.id), one.state, f"{one.reason or one.piece}{form}")


def _versions(connection: Connection, program_id: str, noun: Noun[Any], ids: Any) -> list[Row[Any]]:
    kept = record_version.c
    query = select(kept.body, kept.kept_at).where(
        kept.program_id == program_id, kept.kind == noun.kind, kept.id.in_(ids)
    )
    return list(connection.execute(query.order_by(kept.kept_at, kept.id, kept.version))) if ids else []
