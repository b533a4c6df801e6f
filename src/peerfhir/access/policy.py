"""Who may see which stored resource, and whether a piece may be sent now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, false, or_

from peerfhir.access.callers import Caller
from peerfhir.fhir.tables import fhir_resource
from peerfhir.pathway.consent import Decision, may_share
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.pathway.vocabulary import Piece, Recipient, ShareClass
from peerfhir.records import consents, people
from peerfhir.records.schema import consent_grant, person


def visible(select: Select[Any], caller: Caller, now: datetime) -> Select[Any]:
    """Narrow a query over fhir_resource to the rows this caller may read at this instant.

    Three kinds of rows are left: what the caller's own source sent; what belongs to the program and to
    nobody in particular; and what a person's grant to the caller's recipient covers now.
    The program is inside the query, so another program's id is as unknown as one that never was.
    """
    row = fhir_resource.c
    granted: Any = false()
    if caller.recipient is not None:
        grant = consent_grant.c
        granted = exists().where(
            grant.program_id == row.program_id,
            grant.person_id == row.person_id,
            grant.share_class == row.share_class,
            grant.recipient == caller.recipient.value,
            grant.granted_at <= now,
            grant.ended_at.is_(None),
            or_(grant.until.is_(None), grant.until > now),
            grant.person_id == person.c.id,
            grant.program_id == person.c.program_id,
            person.c.sharing_stopped_at.is_(None),
        )
    everyones = and_(row.source.is_(None), row.person_id.is_(None), row.share_class.is_(None))
    shared = and_(row.share_class.is_not(None), granted)
    return select.where(row.program_id == caller.program_id, or_(row.source == caller.source, everyones, shared))


def may_send(
    connection: Connection,
    program_id: str,
    *,
    person_id: str,
    referral: Referral | None,
    recipient: Recipient,
    share_class: ShareClass,
    piece: Piece,
    now: datetime,
) -> Decision:
    """Ask the ledger whether a piece may go to a recipient at this instant; no record or no grant is a no."""
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
    )
