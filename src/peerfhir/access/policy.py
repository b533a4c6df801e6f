"""Who may see which stored resource, and whether a piece may be sent now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Exists, Select, and_, exists, or_, type_coerce

from peerfhir.access.callers import Caller
from peerfhir.fhir.tables import fhir_resource, fhir_version
from peerfhir.pathway.consent import Decision, may_share
from peerfhir.pathway.referral import Referral, is_paused
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.pathway.vocabulary import Piece, Recipient, ShareClass
from peerfhir.records import consents, people
from peerfhir.records.schema import consent_grant, person
from peerfhir.records.schema import referral as order


def visible(select: Select[Any], caller: Caller, now: datetime) -> Select[Any]:
    """Narrow a query over fhir_resource to the rows this caller may read at this instant.

    Three kinds of rows are left: what the caller's own source sent; what belongs to the program and to
    nobody in particular; and what a person's grant to the caller's recipient covers now.
    The program is inside the query, so another program's id is as unknown as one that never was.
    """
    row = fhir_resource.c
    everyones = and_(row.source.is_(None), row.person_id.is_(None), row.share_class.is_(None))
    kinds = [row.source == caller.source, everyones]
    if caller.recipient is not None:
        kinds.append(and_(row.share_class.is_not(None), _granted(caller, caller.recipient, now)))
    return select.where(row.program_id == caller.program_id, or_(*kinds))


def _granted(caller: Caller, recipient: Recipient, now: datetime) -> Exists:
    """A line of the ledger covers the row: it holds now, the person has not stopped, and the row is not older.

    A grant names a kind of recipient; it means the one who referred this person, not every hospital of the
    program. What was recorded before a grant is not released by it (domain.md 8.2); that there is a referral
    at all is no record.
    """
    row, grant, first = fhir_resource.c, consent_grant.c, fhir_version.c
    theirs = exists().where(
        order.c.program_id == row.program_id,
        order.c.person_id == row.person_id,
        order.c.source == caller.source,
    )
    since = exists().where(
        first.program_id == row.program_id,
        first.type == row.type,
        first.id == row.id,
        first.version == 1,
        # the store keeps milliseconds, the ledger microseconds
        first.updated_at > type_coerce(grant.granted_at, BigInteger) - 1000,
    )
    return (
        exists()
        .where(
            grant.program_id == row.program_id,
            grant.person_id == row.person_id,
            grant.share_class == row.share_class,
            grant.recipient == recipient.value,
            grant.granted_at <= now,
            or_(grant.ended_at.is_(None), grant.ended_at > now),
            or_(grant.until.is_(None), grant.until > now),
            person.c.program_id == grant.program_id,
            person.c.id == grant.person_id,
            person.c.sharing_stopped_at.is_(None),
            or_(row.share_class == ShareClass.EXISTENCE.value, since.correlate(fhir_resource, consent_grant)),
            theirs.correlate(fhir_resource),
        )
        .correlate(fhir_resource)
    )


def may_send(
    connection: Connection,
    program_id: str,
    *,
    person_id: str,
    referral: Referral | None,  # as it is now
    recipient: Recipient,
    share_class: ShareClass,
    piece: Piece,
    now: datetime,
) -> Decision:
    """Ask the ledger whether a piece may go to a recipient at this instant; no record or no grant is a no.

    referral  the one the piece is owed for, as it is now: its origin is where the piece goes
    Returns   the decision; "paused" is the one no that may become a yes by waiting
    """
    try:
        served = people.at(connection, program_id, person_id)
    except NotFoundHere:
        return Decision(permit=False, reason="no-such-person")
    return may_share(
        consents.ledger(connection, program_id, person_id),
        recipient,
        share_class,
        now,
        person_stopped=served.sharing_stopped_at is not None,
        is_origin=referral is not None and referral.origin is not None,
        piece=piece,
        paused=referral is not None and is_paused(referral),
    )
