"""The person's own choice of what may be shared, and their stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from peerfhir.pathway.consent import Grant, in_force
from peerfhir.pathway.keeping import check_close_to, keep, release_peer
from peerfhir.pathway.people import Person
from peerfhir.pathway.ports import Books
from peerfhir.pathway.referral import Event, Referral, is_ended, is_open, move
from peerfhir.pathway.refusals import NotGrantable, SharingStopped, WrongActor
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, ClosingReason, Piece, Recipient, Role, ShareClass


def choose_sharing(books: Books, person_id: str, choices: Mapping[Recipient, frozenset[ShareClass]]) -> list[Grant]:
    """Write down who may see what from now on. It replaces every earlier choice; anything not named is not granted.

    Returns  the lines of the ledger that hold now
    Raises   WrongActor, SharingStopped (only the person starts again),
             NotGrantable for a recipient this program does not share with
    Source   docs/rules.md, Consent; waiting pieces of a class that was narrowed are cancelled here
    """
    person = books.person(person_id)
    check_close_to(books, person)
    if person.sharing_stopped_at is not None and books.actor.role is not Role.PERSON:
        raise SharingStopped  # only the person starts again
    if any(wanted and recipient not in books.program.recipients for recipient, wanted in choices.items()):
        raise NotGrantable
    now = books.now()
    before = [g for g in books.grants_of(person_id) if in_force(g, now)]
    wanted = [(recipient, share) for recipient in choices for share in sorted(choices[recipient])]
    ending = [g for g in before if (g.recipient, g.share_class) not in wanted]
    held = {(g.recipient, g.share_class) for g in before}
    person = books.save_person(
        replace(person, sharing_chosen_at=person.sharing_chosen_at or now, sharing_stopped_at=None)
    )
    _end_grants(books, ending, "narrowed")
    new = [books.save_grant(_grant(books, person, *pair)) for pair in wanted if pair not in held]
    for referral in books.referrals_of(person_id):
        _narrow(books, referral, ending)
        if is_open(referral):
            keep(books, person, referral)
    return [g for g in before if g not in ending] + new


def _grant(books: Books, person: Person, recipient: Recipient, share_class: ShareClass) -> Grant:
    return Grant(
        books.new_id(),
        books.program.id,
        person.id,
        recipient,
        share_class,
        granted_at=books.now(),
        recorded_by=books.actor.id,
    )


def _end_grants(books: Books, grants: Iterable[Grant], reason: str) -> None:
    for grant in grants:
        books.save_grant(replace(grant, ended_at=books.now(), end_reason=reason))


def _narrow(books: Books, referral: Referral, ended: Iterable[Grant]) -> None:
    """Cancel what waits for this referral's recipient under the classes that have just ended."""
    recipient = books.recipient_of(referral)
    gone = {g.share_class for g in ended if g.recipient is recipient}
    keeping = frozenset(p for p in Piece if p is Piece.STATUS or SHARE_CLASS_OF[p] not in gone)
    if len(keeping) < len(Piece):
        books.cancel_owed(referral.person_id, "consent-narrowed", keep=keeping, referral_id=referral.id)


def stop_sharing(books: Books, person_id: str) -> int:
    """The person stops: every grant ends, everything waiting is cancelled, each open referral is closed.

    Returns  how many waiting pieces were cancelled; 0 when they had stopped before
    Owes     one status, the outward closed form, for each open referral that has an endpoint; nothing else
    Raises   WrongActor unless it is the person's own act
    Source   docs/rules.md, Consent "stop"
    """
    person = books.person(person_id)
    if books.actor.role is not Role.PERSON or books.actor.person_id != person_id:
        raise WrongActor
    if person.sharing_stopped_at is not None:
        return 0
    now = books.now()
    person = books.save_person(replace(person, sharing_chosen_at=None, sharing_stopped_at=now))
    _end_grants(books, [g for g in books.grants_of(person_id) if in_force(g, now)], "withdrawn")
    # the last word about a referral that had ended before the stop still has to be said
    cancelled = books.cancel_owed(person_id, "consent-withdrawn", keep=frozenset({Piece.STATUS}))
    for referral in books.referrals_of(person_id):
        if is_open(referral):
            cancelled += books.cancel_owed(person_id, "consent-withdrawn", referral_id=referral.id)
            close_for_person(books, person, referral)
    return cancelled


def close_for_person(books: Books, person: Person, referral: Referral) -> Referral:
    """Close one open referral because the person withdraws; an enrolled one whose Task is completed ends instead."""
    now = books.now()
    after = replace(referral, closed_at=now)
    if not is_ended(referral):
        after = move(referral, Event.WITHDRAW_PERSON, books.actor, books.program, now)
    release_peer(books, referral)
    return keep(books, person, end_engagement(books, after, ClosingReason.PERSON_CHOSE_TO_END))


def end_engagement(books: Books, referral: Referral, reason: ClosingReason) -> Referral:
    """Finish the engagement of this referral, when there is one; the referral is returned, not saved."""
    engagement = books.engagement_of(referral.id)
    if engagement is None or engagement.status == "finished":
        return referral
    books.save_engagement(replace(engagement, status="finished", ended_at=books.now(), closing_reason=reason.value))
    return replace(referral, engagement_status="finished")
