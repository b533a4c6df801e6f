"""Saving a referral, and owing what follows from a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from peerfhir.pathway.consent import has_chosen, may_share
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.matching import ACTIVE_LOAD, INTRODUCTION_LOAD
from peerfhir.pathway.outcome import Instrument, Outcome
from peerfhir.pathway.people import Person
from peerfhir.pathway.ports import Books, Owed
from peerfhir.pathway.referral import Referral, is_open, is_paused, outward
from peerfhir.pathway.refusals import WrongActor
from peerfhir.pathway.transitions import STAFF
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece, Role, ShareClass


def keep(books: Books, person: Person, referral: Referral) -> Referral:
    """Save the referral; when its outward form has changed, its status is owed to whoever ordered it.

    person  as saved last: what may be told depends on the person's choice
    """
    recipient = books.recipient_of(referral)
    attendance = may_share(
        books.grants_of(person.id),
        recipient,
        ShareClass.ATTENDANCE,
        books.now(),
        person_stopped=person.sharing_stopped_at is not None,
        is_origin=True,
        piece=Piece.ENCOUNTER,
    )
    now_told = outward(referral, choice_recorded=has_chosen(person), attendance=attendance.permit)
    saved = books.save_referral(replace(referral, told=now_told))
    if recipient is not None and now_told != referral.told:
        books.owe(Owed(Piece.STATUS, "referral", saved.id, saved.person_id, saved.id))
    return saved


def owe_encounter(books: Books, person: Person, referral: Referral | None, encounter: Encounter) -> None:
    """Owe a finished meeting, in the order in which a chart can link the parts."""
    pieces = [Piece.ENCOUNTER, Piece.SUMMARY, Piece.PROCEDURE]
    if encounter.summary is None:
        pieces.remove(Piece.SUMMARY)
    if referral is not None and encounter.status == "finished":
        owed = [(piece, None) for piece in pieces]
        _owe(books, person, referral, "encounter", encounter.id, owed)


def owe_outcome(
    books: Books, person: Person, referral: Referral | None, outcome: Outcome, instrument: Instrument
) -> None:
    """Owe a completed questionnaire: the response, each answered item, the total, and the panel that joins them."""
    if referral is None:
        return
    items = [(Piece.ITEM, i.link_id) for i in instrument.items if i.code is not None and i.link_id in outcome.answers]
    owed = [(Piece.RESPONSE, None), *items, (Piece.TOTAL, None), (Piece.PANEL, None)]
    _owe(books, person, referral, "outcome", outcome.id, owed)


def _owe(
    books: Books,
    person: Person,
    referral: Referral,
    record_type: str,
    record_id: str,
    pieces: Sequence[tuple[Piece, str | None]],
) -> None:
    """Owe the pieces that a grant covers now; what it does not cover is never made, nor released by a later grant."""
    recipient = books.recipient_of(referral)
    if recipient is None:
        return
    grants, now = books.grants_of(person.id), books.now()
    for piece, detail in pieces:
        decision = may_share(
            grants,
            recipient,
            SHARE_CLASS_OF[piece],
            now,
            person_stopped=person.sharing_stopped_at is not None,
            is_origin=True,
            piece=piece,
            paused=is_paused(referral),
        )
        if decision.permit:
            books.owe(Owed(piece, record_type, record_id, person.id, referral.id, detail))


def referral_of(books: Books, person: Person, referral_id: str | None, *, peer_id: str | None) -> Referral | None:
    """The open referral a record belongs to: the one named, else the latest; with `peer_id`, of that peer only.

    Returns  None when the person has no open referral (or none with this peer)
    """
    fitting = [
        referral
        for referral in books.referrals_of(person.id)
        if is_open(referral)
        and referral_id in (None, referral.id)
        and (peer_id is None or (referral.peer_id == peer_id and referral.peer_accepted_at is not None))
    ]
    return fitting[-1] if fitting else None


def check_close_to(books: Books, person: Person) -> None:
    """Refuse anybody but the person, a peer who walks with them, and coordinating staff. Raises WrongActor."""
    actor = books.actor
    theirs = actor.role is Role.PERSON and actor.person_id == person.id
    if actor.role is Role.PEER and actor.peer_id is not None:
        theirs = referral_of(books, person, None, peer_id=actor.peer_id) is not None
    if not theirs and actor.role not in STAFF:
        raise WrongActor


def take_on(books: Books, referral: Referral) -> None:
    """Count a new person in the peer's caseload."""
    if referral.peer_id is not None:
        peer = books.peer(referral.peer_id)
        books.save_peer(replace(peer, load=peer.load + INTRODUCTION_LOAD, last_assigned_at=books.now()))


def lighten(books: Books, referral: Referral) -> None:
    """The introduction is over: an enrolled person weighs less in the caseload."""
    _change_load(books, referral, ACTIVE_LOAD - INTRODUCTION_LOAD)


def release_peer(books: Books, referral: Referral) -> None:
    """Take the person out of the caseload of the peer who had accepted them. `referral` is as it was before."""
    if referral.peer_accepted_at is not None:
        _change_load(books, referral, -(INTRODUCTION_LOAD if referral.engagement_status is None else ACTIVE_LOAD))


def _change_load(books: Books, referral: Referral, by: Decimal) -> None:
    if referral.peer_id is not None:
        peer = books.peer(referral.peer_id)
        books.save_peer(replace(peer, load=max(Decimal(0), peer.load + by)))
