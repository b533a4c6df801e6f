"""The table of a referral's states: who may do what from where, and what the Task says then."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from peerfhir.pathway.vocabulary import CompleteOn, Role, Status, TaskStatus


class Event(StrEnum):
    """What can happen to a referral."""

    RECEIVE = "receive"
    START_TRIAGE = "start-triage"
    ASK_QUESTION = "ask-question"
    WAITLIST = "waitlist"
    START_MATCHING = "start-matching"
    PROPOSE = "propose"
    ASSIGN = "assign"
    REACH_OUT = "reach-out"
    MAKE_CONTACT = "make-contact"
    BOOK = "book"
    MISS = "miss"
    MOVE = "move"
    MEET = "meet"
    DECIDE = "decide"
    ENROL = "enrol"
    PAUSE = "pause"
    RESUME = "resume"
    REDIRECT = "redirect"
    DECLINE_PROGRAM = "decline-program"
    DECLINE_PERSON = "decline-person"
    GIVE_UP = "give-up"
    WITHDRAW_REFERRER = "withdraw-referrer"
    WITHDRAW_PERSON = "withdraw-person"
    TRANSFER = "transfer"
    MISTAKE = "mistake"


@dataclass(frozen=True)
class Transition:
    """One allowed step. `to` is None for resume: back to where it came from."""

    to: Status | None
    actors: frozenset[Role]
    needs_reason: bool = False


_Row = tuple[tuple[Status, ...], Event, Status | None, frozenset[Role], bool]

_ACCEPTED = (Status.WAITLISTED, Status.MATCHING, Status.MATCH_PROPOSED, Status.ASSIGNED)
_TRYING = (Status.OUTREACH, Status.CONTACT_MADE, Status.INTRO_SCHEDULED, Status.INTRO_MISSED, Status.INTRO_CANCELLED)
_UNDER_WAY = (*_TRYING, Status.INTRO_DONE, Status.DECIDING)
_HELD = (Status.INFO_NEEDED, Status.PAUSED)
_EARLY = (Status.RECEIVED, Status.TRIAGE)

OPEN: tuple[Status, ...] = (Status.SENT, *_EARLY, *_ACCEPTED, *_UNDER_WAY, Status.ENROLLED, *_HELD)
FINAL: tuple[Status, ...] = (
    Status.REDIRECTED,
    Status.DECLINED_PROGRAM,
    Status.DECLINED_PERSON,
    Status.UNABLE_TO_CONTACT,
    Status.WITHDRAWN_REFERRER,
    Status.WITHDRAWN_PERSON,
    Status.TRANSFERRED,
    Status.ENTERED_IN_ERROR,
)

STAFF = frozenset({Role.COORDINATOR, Role.SUPERVISOR})
_PEER = frozenset({Role.PEER})
_EITHER = frozenset({Role.PEER, Role.PERSON})

_WITH_PEER = (Status.MATCH_PROPOSED, Status.ASSIGNED, *_UNDER_WAY)
_NO_MEETING_YET = (Status.ASSIGNED, *_TRYING)
_NOT_REACHED = (Status.ASSIGNED, Status.OUTREACH, Status.INTRO_MISSED, Status.INTRO_CANCELLED)
_BY_REQUESTER = frozenset({Role.REQUESTER})

# Source: docs/rules.md, States; docs/referral-states.md
_ROWS: tuple[_Row, ...] = (
    ((Status.SENT,), Event.RECEIVE, Status.RECEIVED, frozenset({Role.GATEWAY}), False),
    ((Status.RECEIVED,), Event.START_TRIAGE, Status.TRIAGE, STAFF, False),
    ((*_EARLY, *_ACCEPTED, *_UNDER_WAY), Event.ASK_QUESTION, Status.INFO_NEEDED, STAFF, True),
    ((*_EARLY, Status.MATCHING, Status.MATCH_PROPOSED), Event.WAITLIST, Status.WAITLISTED, STAFF, False),
    ((Status.TRIAGE, Status.WAITLISTED), Event.START_MATCHING, Status.MATCHING, STAFF, False),
    # "none of these", "not me" and a change of peer
    (
        (Status.MATCH_PROPOSED, Status.ASSIGNED, *_UNDER_WAY),
        Event.START_MATCHING,
        Status.MATCHING,
        STAFF | _EITHER,
        False,
    ),
    ((Status.MATCHING, Status.MATCH_PROPOSED), Event.PROPOSE, Status.MATCH_PROPOSED, STAFF, False),
    ((Status.MATCH_PROPOSED,), Event.ASSIGN, Status.ASSIGNED, _PEER, False),
    (_NOT_REACHED, Event.REACH_OUT, Status.OUTREACH, _PEER, False),
    (_NOT_REACHED, Event.MAKE_CONTACT, Status.CONTACT_MADE, _PEER, False),
    (_NO_MEETING_YET, Event.BOOK, Status.INTRO_SCHEDULED, _PEER, False),
    ((Status.INTRO_SCHEDULED,), Event.MISS, Status.INTRO_MISSED, _PEER, False),
    ((Status.INTRO_SCHEDULED, Status.INTRO_MISSED), Event.MOVE, Status.INTRO_CANCELLED, _PEER, False),
    (_NO_MEETING_YET, Event.MEET, Status.INTRO_DONE, _PEER, False),
    ((Status.INTRO_DONE,), Event.DECIDE, Status.DECIDING, _PEER, False),
    ((Status.INTRO_DONE, Status.DECIDING), Event.ENROL, Status.ENROLLED, _PEER, False),
    (tuple(s for s in OPEN if s is not Status.PAUSED), Event.PAUSE, Status.PAUSED, _EITHER, False),
    ((Status.PAUSED,), Event.RESUME, None, STAFF | _EITHER, False),
    ((Status.INFO_NEEDED,), Event.RESUME, None, STAFF, False),
    (OPEN, Event.REDIRECT, Status.REDIRECTED, STAFF, True),
    ((*_EARLY, *_ACCEPTED, Status.INFO_NEEDED), Event.DECLINE_PROGRAM, Status.DECLINED_PROGRAM, STAFF, True),
    (OPEN, Event.DECLINE_PERSON, Status.DECLINED_PERSON, _EITHER, False),
    ((*_EARLY, *_ACCEPTED, *_UNDER_WAY, *_HELD), Event.GIVE_UP, Status.UNABLE_TO_CONTACT, STAFF | _PEER, False),
    (OPEN, Event.WITHDRAW_REFERRER, Status.WITHDRAWN_REFERRER, _BY_REQUESTER, True),
    (OPEN, Event.WITHDRAW_PERSON, Status.WITHDRAWN_PERSON, frozenset({Role.PERSON}), False),
    (OPEN, Event.TRANSFER, Status.TRANSFERRED, STAFF, True),
    ((*OPEN, *FINAL[:-1]), Event.MISTAKE, Status.ENTERED_IN_ERROR, _BY_REQUESTER, False),
)

TRANSITIONS: dict[tuple[Status, Event], Transition] = {
    (source, event): Transition(to, actors, needs_reason)
    for sources, event, to, actors, needs_reason in _ROWS
    for source in sources
}

_TASK: dict[Status, TaskStatus] = {
    **dict.fromkeys((Status.SENT, *_EARLY), TaskStatus.REQUESTED),
    **dict.fromkeys(_ACCEPTED, TaskStatus.ACCEPTED),
    **dict.fromkeys((*_UNDER_WAY, Status.ENROLLED, Status.IN_CONTACT), TaskStatus.IN_PROGRESS),
    **dict.fromkeys(_HELD, TaskStatus.ON_HOLD),
    **dict.fromkeys(FINAL, TaskStatus.CANCELLED),
    Status.CLOSED: TaskStatus.CANCELLED,
    Status.REDIRECTED: TaskStatus.COMPLETED,
    Status.TRANSFERRED: TaskStatus.COMPLETED,
    Status.DECLINED_PROGRAM: TaskStatus.REJECTED,
    Status.ENTERED_IN_ERROR: TaskStatus.ENTERED_IN_ERROR,
}

TASK_ENDS = frozenset(
    {TaskStatus.COMPLETED, TaskStatus.REJECTED, TaskStatus.CANCELLED, TaskStatus.FAILED, TaskStatus.ENTERED_IN_ERROR}
)
NEEDS_STATUS_REASON = frozenset(  # Source: Gravity rule, docs/rules.md, States
    {TaskStatus.REJECTED, TaskStatus.CANCELLED, TaskStatus.ON_HOLD, TaskStatus.FAILED}
)
_ENDS_WELL_OR_NOT = frozenset({TaskStatus.CANCELLED, TaskStatus.COMPLETED, TaskStatus.FAILED})
TASK_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {  # Source: docs/rules.md, States; to entered-in-error: any
    TaskStatus.DRAFT: frozenset({TaskStatus.REQUESTED}),
    TaskStatus.REQUESTED: frozenset({TaskStatus.ACCEPTED, TaskStatus.REJECTED, TaskStatus.CANCELLED}),
    TaskStatus.ACCEPTED: _ENDS_WELL_OR_NOT | {TaskStatus.IN_PROGRESS, TaskStatus.ON_HOLD},
    TaskStatus.IN_PROGRESS: _ENDS_WELL_OR_NOT | {TaskStatus.ON_HOLD},
    TaskStatus.ON_HOLD: _ENDS_WELL_OR_NOT | {TaskStatus.IN_PROGRESS},
}


def never_back(before: TaskStatus, wanted: TaskStatus) -> TaskStatus:
    """The nearest Task.status to `wanted` that a Task at `before` may still take, in dialect sdohcc."""
    if before in TASK_ENDS and wanted is not TaskStatus.ENTERED_IN_ERROR:
        return before  # guard 6: a Task that has ended does not move again
    if wanted is TaskStatus.ON_HOLD and before is TaskStatus.REQUESTED:
        return before  # sdohcc knows no hold before acceptance; businessStatus says it
    if wanted is TaskStatus.REJECTED and before is not TaskStatus.REQUESTED:
        return TaskStatus.CANCELLED  # declined after acceptance
    if wanted is TaskStatus.ACCEPTED and before in (TaskStatus.IN_PROGRESS, TaskStatus.ON_HOLD):
        return TaskStatus.IN_PROGRESS  # a hold is left for in-progress only
    if wanted is TaskStatus.REQUESTED and before is not TaskStatus.DRAFT:
        return TaskStatus.IN_PROGRESS if before is TaskStatus.ON_HOLD else before
    return wanted


def task_status_of(status: Status, complete_on: CompleteOn, before: TaskStatus = TaskStatus.REQUESTED) -> TaskStatus:
    """What the Task says for this status, coming from `before`.

    Source  docs/rules.md, States
    """
    wanted = _TASK[status]
    if status is Status.ENROLLED and complete_on is not CompleteOn.EPISODE_CLOSED:
        wanted = TaskStatus.COMPLETED
    if status is Status.INTRO_DONE and complete_on is CompleteOn.INTRO_DONE:
        wanted = TaskStatus.COMPLETED
    return never_back(before, wanted)


def task_steps(before: TaskStatus, after: TaskStatus) -> tuple[TaskStatus, ...]:
    """The shortest legal way from one Task.status to another; empty when there is none, or nothing to do."""
    if before is after:
        return ()
    if after is TaskStatus.ENTERED_IN_ERROR:
        return (after,)
    ways = deque([(before, tuple[TaskStatus, ...]())])
    seen = {before}
    while ways:
        at, way = ways.popleft()
        for step in sorted(TASK_MOVES.get(at, frozenset()) - seen):
            if step is after:
                return (*way, step)
            seen.add(step)
            ways.append((step, (*way, step)))
    return ()
