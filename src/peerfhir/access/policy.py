"""Who may see which stored resource, and whether a piece may be sent now."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from peerfhir.access.callers import Caller
from peerfhir.fhir.prepared import Sight
from peerfhir.fhir.tables import micros
from peerfhir.pathway.consent import Decision, may_share
from peerfhir.pathway.referral import Referral, is_paused
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.pathway.vocabulary import Piece, Recipient, ShareClass
from peerfhir.records import consents, people

# Written out, because it is part of every query of every caller: SQLAlchemy would build it anew each time, which
# costs as much as the query. The instants of all these tables are whole microseconds; the store keeps milliseconds.
_VISIBLE = text(
    """
    fhir_resource.program_id = :caller_program AND (
        fhir_resource.source = :caller_source
        OR (fhir_resource.source IS NULL AND fhir_resource.person_id IS NULL AND fhir_resource.share_class IS NULL)
        OR EXISTS (
            SELECT 1 FROM consent_grant
            JOIN person ON person.program_id = consent_grant.program_id AND person.id = consent_grant.person_id
            WHERE consent_grant.program_id = fhir_resource.program_id
            AND consent_grant.person_id = fhir_resource.person_id
            AND consent_grant.share_class = fhir_resource.share_class
            AND consent_grant.recipient = :caller_recipient
            AND consent_grant.granted_at <= :this_instant
            AND (consent_grant.ended_at IS NULL OR consent_grant.ended_at > :this_instant)
            AND (consent_grant.until IS NULL OR consent_grant.until > :this_instant)
            AND person.sharing_stopped_at IS NULL
            AND EXISTS (
                SELECT 1 FROM referral
                WHERE referral.program_id = consent_grant.program_id
                AND referral.person_id = consent_grant.person_id
                AND referral.source = :caller_source
            )
            AND (
                consent_grant.share_class = 'existence'
                OR EXISTS (
                    SELECT 1 FROM fhir_version AS born
                    WHERE born.program_id = fhir_resource.program_id
                    AND born.type = fhir_resource.type
                    AND born.id = fhir_resource.id
                    AND born.version = 1
                    AND born.updated_at > consent_grant.granted_at - 1000
                )
            )
        )
    )
    """
)
_NO_RECIPIENT = ""  # names nobody to whom anything could be granted


def sight(caller: Caller, now: datetime) -> Sight:
    """What narrows a query over fhir_resource to the rows this caller may read at this instant.

    Three kinds of rows are left: what the caller's own source sent; what belongs to the program and to
    nobody in particular; and what a person's grant to the caller's recipient covers now.
    The program is inside the query, so another program's id is as unknown as one that never was.

    A grant names a kind of recipient; it means the one who referred this person, not every hospital of the
    program. What was recorded before a grant is not released by it (docs/rules.md, Consent), but that there is a
    referral at all is no record. A person who has stopped has stopped every grant.
    """
    return Sight(
        _VISIBLE,
        {
            "caller_program": caller.program_id,
            "caller_source": caller.source,
            "caller_recipient": caller.recipient.value if caller.recipient is not None else _NO_RECIPIENT,
            "this_instant": micros(now),
        },
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
