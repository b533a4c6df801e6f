"""A referral, its steps, and what others are told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from peerfhir.pathway.people import Actor, Identifier, Program
from peerfhir.pathway.refusals import (
    AttemptsMissing,
    Closed,
    IllegalTransition,
    NotFoundHere,
    ReasonMissing,
    TooLong,
    WrongActor,
)
from peerfhir.pathway.transitions import (
    FINAL,
    NEEDS_STATUS_REASON,
    OPEN,
    STAFF,
    TASK_ENDS,
    TASK_MOVES,
    TRANSITIONS,
    Event,
    Transition,
    never_back,
    task_status_of,
    task_steps,
)
from peerfhir.pathway.vocabulary import ContactOutcome, Priority, Role, ServiceType, Status, TaskStatus

__all__ = [
    "CLOSED_FORM",
    "FINAL",
    "NEEDS_STATUS_REASON",
    "OPEN",
    "SHOWN",
    "TASK_MOVES",
    "TRANSITIONS",
    "ContactAttempt",
    "Event",
    "Origin",
    "Outward",
    "Proposal",
    "Referral",
    "Transition",
    "is_ended",
    "is_open",
    "is_paused",
    "move",
    "outward",
    "outward_steps",
    "requester_move",
    "task_status_of",
]

MAX_SENTENCE = 600  # characters of a typed reason


@dataclass(frozen=True)
class Proposal:
    """One peer proposed to a person, with reasons in plain words."""

    peer_id: str
    score: int  # 0-100
    reasons: tuple[str, ...]  # never name a tag the peer has not made public


@dataclass(frozen=True)
class ContactAttempt:
    """One attempt to reach the person."""

    at: datetime
    by: str  # actor id
    channel: str  # a Modality value: phone, text-chat, in-person
    outcome: ContactOutcome
    client_uuid: str | None = None  # of the form: the same one again is the same attempt


@dataclass(frozen=True)
class Origin:
    """Where a referral came from: enough to write back to, and to prove who ordered it.

    source      endpoint id, or client id when the sender has no endpoint
    endpoint    where results are owed; None when nothing can be written back
    task_id     id of our own Task; request_id of our own ServiceRequest
    placer      the sender's order number, identifier PLAC
    """

    source: str
    endpoint: str | None = None
    task_id: str | None = None
    request_id: str | None = None
    patient_id: str | None = None  # id of our own Patient resource
    placer: Identifier | None = None


@dataclass(frozen=True)
class Outward:
    """What others are told of a referral."""

    task_status: TaskStatus
    status: Status
    display: str
    reason: str | None  # Task.statusReason.text


@dataclass(frozen=True)
class Referral:
    """A clinician's request that someone walk alongside a person."""

    id: str
    program_id: str
    person_id: str
    number: str  # ours, identifier FILL, for example PF-000123
    status: Status
    task_status: TaskStatus
    service: ServiceType = ServiceType.ONE_TO_ONE
    priority: Priority = Priority.ROUTINE
    reason: str | None = None  # the referrer's words
    requested_by: str | None = None  # display of the requester
    contact_agreed: str = "not-asked"  # said-so | signed | not-asked
    contact_prohibited: bool = False  # orderDetail contacting-subject-prohibited
    origin: Origin | None = None
    status_reason: str | None = None  # kept here; what goes out is the outward form
    decline_reason: str | None = None
    before_pause: Status | None = None  # where `resume` goes back to from paused
    before_question: Status | None = None  # and from info-needed
    question: str | None = None  # asked of the referrer, while it is open
    peer_id: str | None = None  # the peer the person chose; theirs from `assigned` on
    peer_accepted_at: datetime | None = None
    refused_peers: frozenset[str] = frozenset()  # not to be proposed again for this referral
    proposals: tuple[Proposal, ...] = ()
    attempts: tuple[ContactAttempt, ...] = ()
    meeting_at: datetime | None = None
    received_at: datetime | None = None
    accepted_at: datetime | None = None
    completed_at: datetime | None = None  # the Task was completed; the engagement goes on
    completed_as: Status | None = None  # the status it had then; closed: the end was the completion
    engagement_status: str | None = None  # copied from the engagement: active | onhold | finished
    closed_at: datetime | None = None  # all is over: the referral, and its engagement where there was one
    told: Outward | None = None  # the last outward form: what others were told
    version: int = 0


SHOWN: dict[Status, str] = {  # Source: docs/rules.md, States, outward form
    Status.SENT: "Sent",
    Status.RECEIVED: "Received by peer team",
    Status.TRIAGE: "Being reviewed",
    Status.INFO_NEEDED: "Question for you",
    Status.WAITLISTED: "On waitlist",
    Status.MATCHING: "Finding the right peer",
    Status.MATCH_PROPOSED: "Peer proposed",
    Status.ASSIGNED: "Peer assigned",
    Status.OUTREACH: "Reaching out",
    Status.CONTACT_MADE: "Contact made",
    Status.INTRO_SCHEDULED: "First meeting booked",
    Status.INTRO_MISSED: "First meeting missed, still trying",
    Status.INTRO_CANCELLED: "First meeting moved",
    Status.INTRO_DONE: "First meeting done",
    Status.DECIDING: "Person is deciding",
    Status.ENROLLED: "Working together",
    Status.PAUSED: "Paused",
    Status.REDIRECTED: "Referred on",
    Status.DECLINED_PROGRAM: "Program can't take this",
    Status.WITHDRAWN_REFERRER: "Withdrawn by you",
    Status.TRANSFERRED: "Moved to clinical or crisis care",
    Status.ENTERED_IN_ERROR: "Error",
    Status.IN_CONTACT: "In contact",
    Status.CLOSED: "Referral closed",
}
CLOSED_FORM = Outward(TaskStatus.CANCELLED, Status.CLOSED, SHOWN[Status.CLOSED], "Referral closed.")  # guard 8
_NEED_ATTENDANCE = frozenset({Status.OUTREACH, Status.INTRO_MISSED, Status.DECIDING})
_BEFORE_CHOICE: dict[Status, Status] = {  # anything not named here is "in contact"
    Status.SENT: Status.RECEIVED,
    Status.RECEIVED: Status.RECEIVED,
    Status.TRIAGE: Status.TRIAGE,
    Status.MATCHING: Status.TRIAGE,
    Status.MATCH_PROPOSED: Status.TRIAGE,
    Status.ASSIGNED: Status.TRIAGE,
    Status.WAITLISTED: Status.WAITLISTED,
}


def is_ended(referral: Referral) -> bool:
    """No step but `mistake` is left: an ending code, or enrolled with the Task completed (guards 1 and 6)."""
    enrolled = referral.status is Status.ENROLLED and referral.task_status is TaskStatus.COMPLETED
    return referral.status in FINAL or enrolled


def is_open(referral: Referral) -> bool:
    """Something may still happen: the referral is under way, or the engagement that came of it is."""
    return referral.closed_at is None


def is_paused(referral: Referral) -> bool:
    """Clocks stand still and nothing but status goes out."""
    return referral.status is Status.PAUSED or referral.engagement_status == "onhold"


def move(
    referral: Referral, event: Event, actor: Actor, program: Program, now: datetime, *, reason: str | None = None
) -> Referral:
    """The referral after this event; the one given is left as it is.

    Raises  NotFoundHere, Closed, IllegalTransition, WrongActor, ReasonMissing, TooLong, AttemptsMissing
    Source  docs/rules.md, States
    """
    transition = _allowed(referral, event, actor, program)
    reason = (reason or "").strip() or None
    if transition.needs_reason and reason is None:
        raise ReasonMissing(field="reason")
    if reason is not None and len(reason) > MAX_SENTENCE:
        raise TooLong(field="reason")
    if event is Event.GIVE_UP and not _may_give_up(referral, actor, program, reason):
        raise AttemptsMissing(field="reason")
    status = transition.to or _came_from(referral)
    task = task_status_of(status, program.complete_on, referral.task_status)
    after = replace(_with_memory(referral, event, now, status, task), status_reason=reason)
    return replace(after, question=reason) if event is Event.ASK_QUESTION else after


def _allowed(referral: Referral, event: Event, actor: Actor, program: Program) -> Transition:
    if actor.program_id != referral.program_id or program.id != referral.program_id:
        raise NotFoundHere
    transition = TRANSITIONS.get((referral.status, event))
    if is_ended(referral) and (event is not Event.MISTAKE or transition is None):
        raise Closed
    if transition is None:
        raise IllegalTransition
    if actor.role not in transition.actors or not is_theirs(referral, actor):
        raise WrongActor
    return transition


def is_theirs(referral: Referral, actor: Actor) -> bool:
    """Whether this referral is this actor's to act on: their own, their person's, or their order."""
    if actor.role is Role.PEER:
        return actor.peer_id is not None and actor.peer_id == referral.peer_id
    if actor.role is Role.PERSON:
        return actor.person_id == referral.person_id
    if actor.role is Role.REQUESTER:
        return referral.origin is not None and actor.source == referral.origin.source
    return True


def _may_give_up(referral: Referral, actor: Actor, program: Program, reason: str | None) -> bool:
    """Guard 4: the attempts the program demands since the last answer, or a coordinator's typed reason."""
    tried = 0
    for attempt in referral.attempts:
        tried = 0 if attempt.outcome is ContactOutcome.ANSWERED else tried + 1
    return tried >= program.contact_attempts or (actor.role in STAFF and reason is not None)


def _came_from(referral: Referral) -> Status:
    before = referral.before_pause if referral.status is Status.PAUSED else referral.before_question
    if before is None:
        raise IllegalTransition
    return before


def _with_memory(referral: Referral, event: Event, now: datetime, status: Status, task: TaskStatus) -> Referral:
    """The new status and Task.status, and what has to be remembered of the step."""
    after = replace(referral, status=status, task_status=task)
    if event is Event.PAUSE:
        after = replace(after, before_pause=referral.status)
    elif event is Event.ASK_QUESTION:
        after = replace(after, before_question=referral.status)
    elif event is Event.RESUME and referral.status is Status.PAUSED:
        after = replace(after, before_pause=None)
    elif event is Event.RESUME:
        after = replace(after, before_question=None, question=None)
    elif event in (Event.START_MATCHING, Event.WAITLIST):
        after = replace(after, peer_id=None, peer_accepted_at=None, proposals=(), meeting_at=None)
    elif event in (Event.MISS, Event.MOVE):
        after = replace(after, meeting_at=None)
    if task is not TaskStatus.REQUESTED and task not in TASK_ENDS and after.accepted_at is None:
        after = replace(after, accepted_at=now)
    if task is TaskStatus.COMPLETED and referral.task_status is not TaskStatus.COMPLETED:
        after = replace(after, completed_at=now, completed_as=status)
    return replace(after, closed_at=after.closed_at or now) if status in FINAL else after


def outward(referral: Referral, *, choice_recorded: bool, attendance: bool) -> Outward:
    """What may be told of this referral to the party that ordered it.

    choice_recorded  the person has said what may be shared, and has not stopped since
    attendance       the recipient holds class attendance now
    Source           docs/rules.md, States "Outward form"
    """
    if referral.status is Status.ENTERED_IN_ERROR:
        return Outward(TaskStatus.ENTERED_IN_ERROR, Status.ENTERED_IN_ERROR, SHOWN[Status.ENTERED_IN_ERROR], None)
    told = referral.told
    if told is not None and told.task_status in TASK_ENDS:
        return _after_completion(referral) if told.task_status is TaskStatus.COMPLETED else told
    if referral.status in FINAL or referral.closed_at is not None:
        return _end(referral, choice_recorded=choice_recorded)
    if not choice_recorded:
        return _before_choice(referral)
    if referral.task_status is TaskStatus.COMPLETED:
        return _after_completion(referral)
    hidden = referral.status in _NEED_ATTENDANCE and not attendance
    status = Status.IN_CONTACT if hidden else referral.status
    return Outward(_told_at_least(referral, referral.task_status), status, SHOWN[status], _reason_of(referral))


def _told_at_least(referral: Referral, wanted: TaskStatus) -> TaskStatus:
    return wanted if referral.told is None else never_back(referral.told.task_status, wanted)


def _reason_of(referral: Referral) -> str | None:
    if referral.status is Status.INFO_NEEDED:
        return referral.question
    return "Paused." if referral.status is Status.PAUSED else None  # never who asked, nor why


def _before_choice(referral: Referral) -> Outward:
    """Only what says nothing about the person; a question to the referrer is about the order."""
    if referral.status is Status.INFO_NEEDED and referral.task_status is not TaskStatus.COMPLETED:
        task = _told_at_least(referral, referral.task_status)
        return Outward(task, Status.INFO_NEEDED, SHOWN[Status.INFO_NEEDED], referral.question)
    status = referral.status
    if status is Status.PAUSED:
        status = referral.before_pause or Status.TRIAGE
    if status is Status.INFO_NEEDED:
        status = referral.before_question or Status.TRIAGE
    shown = _BEFORE_CHOICE.get(status, Status.IN_CONTACT)
    if referral.told is not None and referral.told.status is Status.IN_CONTACT:
        shown = Status.IN_CONTACT  # going back would tell of a change of peer
    wanted = TaskStatus.IN_PROGRESS
    if shown is not Status.IN_CONTACT:
        early = status in (Status.SENT, Status.RECEIVED, Status.TRIAGE)
        wanted = TaskStatus.REQUESTED if early else TaskStatus.ACCEPTED
    return Outward(_told_at_least(referral, wanted), shown, SHOWN[shown], None)


def _end(referral: Referral, *, choice_recorded: bool) -> Outward:
    status, why = referral.status, referral.status_reason
    if status is Status.WITHDRAWN_REFERRER:
        return Outward(TaskStatus.CANCELLED, status, SHOWN[status], why or SHOWN[status])
    if status is Status.DECLINED_PROGRAM:
        if referral.task_status is TaskStatus.REJECTED:
            return Outward(TaskStatus.REJECTED, status, SHOWN[status], why)
        return Outward(TaskStatus.CANCELLED, status, SHOWN[status], f"declined after acceptance: {why}")
    if choice_recorded and referral.task_status is TaskStatus.COMPLETED:
        return _after_completion(referral)
    return CLOSED_FORM


def _after_completion(referral: Referral) -> Outward:
    """Task.status stays completed (guard 6); only the text may still change."""
    status = referral.completed_as or Status.ENROLLED
    if status in (Status.REDIRECTED, Status.TRANSFERRED):
        to = referral.status_reason if status is Status.REDIRECTED else None
        return Outward(TaskStatus.COMPLETED, status, SHOWN[status], to)
    if status is Status.CLOSED:
        return Outward(TaskStatus.COMPLETED, Status.ENROLLED, "Finished working together", None)
    if referral.closed_at is not None:
        return replace(CLOSED_FORM, task_status=TaskStatus.COMPLETED)
    if referral.status is Status.ENROLLED:
        status = Status.ENROLLED
    display = SHOWN[Status.PAUSED] if is_paused(referral) else SHOWN[status]
    return Outward(TaskStatus.COMPLETED, status, display, None)


def outward_steps(before: Outward | None, after: Outward) -> tuple[Outward, ...]:
    """The versions a Task at `before` has to go through to say `after`, in order; `after` is the last.

    A jump that the guides do not know (requested to completed) gets its legal steps, which tell nothing new.
    Source  docs/rules.md, States "Bridging"
    """
    start = before.task_status if before is not None else TaskStatus.REQUESTED
    between = task_steps(start, after.task_status)[:-1]
    return (*(Outward(task, Status.TRIAGE, SHOWN[Status.TRIAGE], None) for task in between), after)


def requester_move(stored: TaskStatus, asked: TaskStatus) -> Event:
    """What it means when the party that ordered it writes this Task.status.

    Raises  IllegalTransition when nobody may go there, WrongActor when it is ours to say
    Source  docs/rules.md, States: the requester sets requested, entered-in-error and cancelled
    """
    if asked is TaskStatus.ENTERED_IN_ERROR and stored is not TaskStatus.ENTERED_IN_ERROR:
        return Event.MISTAKE
    if asked not in TASK_MOVES.get(stored, frozenset()):
        raise IllegalTransition(field="Task.status")
    if asked is TaskStatus.CANCELLED:
        return Event.WITHDRAW_REFERRER
    if stored is TaskStatus.DRAFT:
        return Event.RECEIVE
    raise WrongActor(field="Task.status")
