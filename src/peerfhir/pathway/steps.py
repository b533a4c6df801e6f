"""Contact, matching, meetings, sharing and closure: one function per step, one unit of work each.

Every step checks first and saves after, so a refused step has saved nothing.
Drafts: an empty id or number is filled in by the step; program_id is always the program of the books.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from peerfhir.pathway.consent import has_chosen
from peerfhir.pathway.keeping import keep, release_peer, take_on
from peerfhir.pathway.matching import is_available, propose
from peerfhir.pathway.people import Person
from peerfhir.pathway.ports import Books
from peerfhir.pathway.recording import record_encounter, record_group, record_outcome
from peerfhir.pathway.referral import (
    SHOWN,
    TRANSITIONS,
    ContactAttempt,
    Event,
    Outward,
    Referral,
    is_ended,
    is_open,
    is_theirs,
    move,
)
from peerfhir.pathway.refusals import (
    BadTimes,
    Closed,
    IllegalTransition,
    PeerNotAvailable,
    ReasonMissing,
    WrongActor,
)
from peerfhir.pathway.sharing import choose_sharing, end_engagement, stop_sharing
from peerfhir.pathway.transitions import STAFF, TASK_ENDS
from peerfhir.pathway.vocabulary import (
    ClosingReason,
    ContactOutcome,
    DeclineReason,
    Modality,
    Role,
    Status,
    TaskStatus,
)
from peerfhir.pathway.walking import close_engagement, enrol, enter_stage, pause, resume

__all__ = [
    "accept_person",
    "ask_question",
    "book_meeting",
    "cancel_meeting",
    "change_peer",
    "choose_peer",
    "choose_sharing",
    "close_engagement",
    "decline",
    "decline_by_person",
    "enrol",
    "enter_stage",
    "give_up",
    "leave_to_decide",
    "log_contact",
    "mark_mistake",
    "miss_meeting",
    "not_me",
    "pause",
    "propose_peers",
    "receive_referral",
    "record_encounter",
    "record_group",
    "record_outcome",
    "redirect",
    "resume",
    "start_triage",
    "stop_sharing",
    "transfer",
    "waitlist",
    "withdraw_by_requester",
]


def receive_referral(books: Books, person: Person, draft: Referral) -> Referral:
    """Take in an order: find or make the person, and say `received`. Only the gateway does this (guard 7).

    person   as the order describes them; a known person keeps their own wishes and choices
    Returns  the referral; the same Task again gives the first one
    """
    task_id = draft.origin.task_id if draft.origin is not None else None
    known = books.referral_by_task(task_id) if task_id is not None else None
    if known is not None:
        return known
    now, program = books.now(), books.program
    sent = replace(draft, program_id=program.id, status=Status.SENT, task_status=TaskStatus.REQUESTED, told=None)
    received = move(sent, Event.RECEIVE, books.actor, program, now)
    old = books.person_by_identifier(person.identifiers) if person.identifiers else None
    saved = books.save_person(_merged(old, person) if old is not None else _new(books, person))
    return keep(
        books,
        saved,
        replace(
            received,
            id=draft.id or books.new_id(),
            person_id=saved.id,
            number=draft.number or books.next_number("PF"),
            received_at=now,
            version=0,
        ),
    )


def _new(books: Books, person: Person) -> Person:
    """Nothing about sharing comes with an order: it grows only by the person's own choice."""
    return replace(
        person,
        id=person.id or books.new_id(),
        program_id=books.program.id,
        sharing_chosen_at=None,
        sharing_stopped_at=None,
        version=0,
    )


def _merged(old: Person, sent: Person) -> Person:
    """What the hospital knows better is taken over; what is the person's own stays."""
    return replace(
        old,
        given=sent.given or old.given,
        family=sent.family or old.family,
        identifiers=tuple(dict.fromkeys((*old.identifiers, *sent.identifiers))),
        birth_date=sent.birth_date or old.birth_date,
        phone=sent.phone or old.phone,
        email=sent.email or old.email,
        area=sent.area or old.area,
        safe_contact=sent.safe_contact or old.safe_contact,
        need_tags=old.need_tags | sent.need_tags,
    )


def _step(
    books: Books,
    referral_id: str,
    event: Event,
    reason: str | None = None,
    change: Callable[[Referral], Referral] | None = None,
) -> Referral:
    """One plain step: the table decides, `change` adds what belongs to it, and it is kept."""
    referral = books.referral(referral_id)
    after = move(referral, event, books.actor, books.program, books.now(), reason=reason)
    return keep(books, books.person(referral.person_id), change(after) if change else after)


def start_triage(books: Books, referral_id: str) -> Referral:
    """A coordinator starts to look at the order."""
    return _step(books, referral_id, Event.START_TRIAGE)


def ask_question(books: Books, referral_id: str, sentence: str) -> Referral:
    """Ask the referrer; the sentence goes out to them. `resume` goes on where it was."""
    return _step(books, referral_id, Event.ASK_QUESTION, sentence)


def waitlist(books: Books, referral_id: str, sentence: str | None = None) -> Referral:
    """There is no place now; the referral keeps its own."""
    return _step(books, referral_id, Event.WAITLIST, sentence)


def decline(books: Books, referral_id: str, reason: DeclineReason, sentence: str) -> Referral:
    """The program cannot take this referral; the sentence goes out to the referrer."""
    return _end(books, referral_id, Event.DECLINE_PROGRAM, sentence, decline_reason=reason)


def propose_peers(books: Books, referral_id: str) -> Referral:
    """Propose at most three peers, each with reasons. When nobody fits, it stays in matching without proposals.

    Raises  IllegalTransition once the person has chosen: their choice is undone by `change_peer` alone
    """
    referral = books.referral(referral_id)
    now, program = books.now(), books.program
    if referral.peer_id is not None:
        raise Closed if is_ended(referral) else IllegalTransition  # `change_peer` comes first
    if (referral.status, Event.PROPOSE) not in TRANSITIONS:
        referral = move(referral, Event.START_MATCHING, books.actor, program, now)
    person = books.person(referral.person_id)
    earlier = [r for r in books.referrals_of(person.id) if r.id != referral.id and r.peer_accepted_at is not None]
    previous = frozenset(r.peer_id for r in earlier if r.peer_id is not None)
    proposed = move(referral, Event.PROPOSE, books.actor, program, now)
    today = now.astimezone(ZoneInfo(program.time_zone)).date()
    proposals = propose(person, referral, books.peers(), program, today, now, previous=previous)
    if proposals:
        return keep(books, person, replace(proposed, proposals=proposals, peer_id=None))
    nobody = replace(referral, status=Status.MATCHING, proposals=(), peer_id=None)
    return keep(books, person, nobody)


def choose_peer(books: Books, referral_id: str, peer_id: str | None) -> Referral:
    """The person chooses one of the proposed peers, or none of them; a coordinator may note it for them.

    Raises  WrongActor, IllegalTransition, PeerNotAvailable when the peer was not proposed
    """
    referral = books.referral(referral_id)
    if books.actor.role not in STAFF | {Role.PERSON} or not is_theirs(referral, books.actor):
        raise WrongActor
    if referral.status is not Status.MATCH_PROPOSED:
        raise Closed if is_ended(referral) else IllegalTransition
    proposed = frozenset(proposal.peer_id for proposal in referral.proposals)
    if peer_id is None:
        refused = referral.refused_peers | proposed
        return _step(books, referral_id, Event.START_MATCHING, None, lambda r: replace(r, refused_peers=refused))
    if peer_id not in proposed:
        raise PeerNotAvailable(field="peer_id")
    return keep(books, books.person(referral.person_id), replace(referral, peer_id=peer_id))


def accept_person(books: Books, referral_id: str) -> Referral:
    """The chosen peer accepts. Raises PeerNotAvailable when a hard filter no longer holds."""
    referral = books.referral(referral_id)
    now, program = books.now(), books.program
    after = move(referral, Event.ASSIGN, books.actor, program, now)
    person, peer = books.person(referral.person_id), books.peer(books.actor.peer_id or "")
    if not is_available(peer, person, referral, program, now.astimezone(ZoneInfo(program.time_zone)).date()):
        raise PeerNotAvailable
    take_on(books, after)
    return keep(books, person, replace(after, peer_accepted_at=now))


def not_me(books: Books, referral_id: str, *, knows: bool = False) -> Referral:
    """A peer hands back a person they were chosen for, or had accepted; no reason is asked.

    knows  "I know them": the two are never proposed to each other again
    """
    if books.actor.role is not Role.PEER:
        raise WrongActor
    return _part(books, referral_id, knows=knows)


def change_peer(books: Books, referral_id: str, *, knows: bool = False) -> Referral:
    """The person asks for somebody else, or a coordinator does so for them; no reason is asked."""
    if books.actor.role is Role.PEER:
        raise WrongActor
    return _part(books, referral_id, knows=knows)


def _part(books: Books, referral_id: str, *, knows: bool) -> Referral:
    referral = books.referral(referral_id)
    after = move(referral, Event.START_MATCHING, books.actor, books.program, books.now())
    person, peer_id = books.person(referral.person_id), referral.peer_id
    if peer_id is not None:
        after = replace(after, refused_peers=after.refused_peers | {peer_id})
        release_peer(books, referral)
        if knows and books.actor.role is Role.PEER:
            peer = books.peer(peer_id)
            books.save_peer(replace(peer, excluded_people=peer.excluded_people | {person.id}))
        elif knows:
            person = books.save_person(replace(person, excluded_peers=person.excluded_peers | {peer_id}))
    return keep(books, person, after)


_IN_TOUCH = (Status.CONTACT_MADE, Status.INTRO_SCHEDULED, Status.INTRO_DONE, Status.DECIDING)


def log_contact(
    books: Books, referral_id: str, channel: Modality, outcome: ContactOutcome, client_uuid: str | None = None
) -> Referral:
    """Note one attempt to reach the person; an answer is contact made, anything else is still reaching out.

    Once they are in touch, further attempts are noted and move nothing. The same client_uuid again changes nothing.
    """
    referral = books.referral(referral_id)
    theirs = books.actor.role is Role.PEER and is_theirs(referral, books.actor)
    if theirs and client_uuid and any(one.client_uuid == client_uuid for one in referral.attempts):
        return referral
    event = Event.MAKE_CONTACT if outcome is ContactOutcome.ANSWERED else Event.REACH_OUT
    after = referral
    if referral.status not in _IN_TOUCH:
        after = move(referral, event, books.actor, books.program, books.now())
    elif not theirs:
        raise WrongActor
    attempt = ContactAttempt(books.now(), books.actor.id, channel.value, outcome, client_uuid)
    return keep(books, books.person(referral.person_id), replace(after, attempts=(*referral.attempts, attempt)))


def book_meeting(books: Books, referral_id: str, at: datetime) -> Referral:
    """Book the first meeting, or another time for it. Raises BadTimes when it is not in the future."""
    if at.tzinfo is None or at <= books.now():
        raise BadTimes(field="at")
    return _step(books, referral_id, Event.BOOK, None, lambda r: replace(r, meeting_at=at))


def cancel_meeting(books: Books, referral_id: str) -> Referral:
    """The first meeting does not take place then; it is booked again with `book_meeting`."""
    return _step(books, referral_id, Event.MOVE)


def miss_meeting(books: Books, referral_id: str) -> Referral:
    """The person did not come: a miss, and another offer."""
    return _step(books, referral_id, Event.MISS)


def leave_to_decide(books: Books, referral_id: str) -> Referral:
    """They have met; the person takes time to decide."""
    return _step(books, referral_id, Event.DECIDE)


def redirect(books: Books, referral_id: str, sentence: str) -> Referral:
    """Refer the person on; the sentence says where to."""
    return _end(books, referral_id, Event.REDIRECT, sentence)


def transfer(books: Books, referral_id: str, sentence: str) -> Referral:
    """The person moves to clinical or crisis care; the sentence stays here."""
    return _end(books, referral_id, Event.TRANSFER, sentence)


def give_up(books: Books, referral_id: str, sentence: str | None = None) -> Referral:
    """The person could not be reached: after the attempts the program demands, or with a coordinator's reason."""
    return _end(books, referral_id, Event.GIVE_UP, sentence)


def decline_by_person(books: Books, referral_id: str, sentence: str | None = None) -> Referral:
    """The person does not want this; their reason is optional and stays here."""
    return _end(books, referral_id, Event.DECLINE_PERSON, sentence)


def withdraw_by_requester(books: Books, referral_id: str, reason: str) -> Referral:
    """The party that ordered it takes the order back. What was delivered before may still go out, if granted."""
    referral = books.referral(referral_id)
    if is_ended(referral) and books.actor.role is Role.REQUESTER and is_theirs(referral, books.actor):
        return _withdraw_unseen(books, referral, reason)
    return _end(books, referral_id, Event.WITHDRAW_REFERRER, reason)


def _withdraw_unseen(books: Books, referral: Referral, reason: str) -> Referral:
    """The referral has ended here, but its party may not know: then their own word is the last one they hear."""
    if referral.told is None or referral.told.task_status in TASK_ENDS:
        raise Closed
    if not reason.strip():
        raise ReasonMissing(field="reason")
    status = Status.WITHDRAWN_REFERRER
    return books.save_referral(
        replace(referral, told=Outward(TaskStatus.CANCELLED, status, SHOWN[status], reason.strip()))
    )


def mark_mistake(books: Books, referral_id: str, reason: str | None = None) -> Referral:
    """The order was a mistake of the party that made it; it leaves the work lists and stays in the audit."""
    return _end(books, referral_id, Event.MISTAKE, reason)


_NOTHING_MORE = frozenset({Event.DECLINE_PERSON, Event.GIVE_UP, Event.MISTAKE})
_HANDED_ON = {
    Event.REDIRECT: ClosingReason.MOVED_TO_OTHER_SUPPORT,
    Event.TRANSFER: ClosingReason.MOVED_TO_OTHER_SUPPORT,
    Event.DECLINE_PERSON: ClosingReason.PERSON_CHOSE_TO_END,
    Event.GIVE_UP: ClosingReason.LOST_CONTACT,
}


def _end(
    books: Books, referral_id: str, event: Event, sentence: str | None, *, decline_reason: DeclineReason | None = None
) -> Referral:
    """End a referral before its time, in the order: what waits is set aside, then its last status is owed."""
    referral = books.referral(referral_id)
    after = move(referral, event, books.actor, books.program, books.now(), reason=sentence)
    person = books.person(referral.person_id)
    if event in _NOTHING_MORE:
        books.cancel_owed(person.id, "referral-closed", referral_id=referral.id)
    if is_open(referral):
        release_peer(books, referral)
    after = end_engagement(books, after, _HANDED_ON.get(event, ClosingReason.ADMINISTRATIVE))
    if decline_reason is not None:
        after = replace(after, decline_reason=decline_reason.value)
    if after.task_status is TaskStatus.COMPLETED and has_chosen(person):
        after = _bridge(books, person, referral, after)
    return keep(books, person, after)


def _bridge(books: Books, person: Person, before: Referral, after: Referral) -> Referral:
    """From requested to completed no guide knows a way: the version between says accepted, and is owed too."""
    if before.task_status is not TaskStatus.REQUESTED:
        return after
    accepted = replace(before, status=Status.TRIAGE, task_status=TaskStatus.ACCEPTED, accepted_at=books.now())
    kept = keep(books, person, accepted)
    return replace(after, accepted_at=kept.accepted_at, told=kept.told, version=kept.version)
