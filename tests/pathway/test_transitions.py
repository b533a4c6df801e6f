"""The table of a referral's states."""

from __future__ import annotations

import copy

import pytest

from peerfhir.pathway.people import Actor
from peerfhir.pathway.referral import Event, is_ended, move
from peerfhir.pathway.refusals import Refusal
from peerfhir.pathway.transitions import (
    FINAL,
    OPEN,
    TASK_ENDS,
    TASK_MOVES,
    TRANSITIONS,
    never_back,
    task_status_of,
    task_steps,
)
from peerfhir.pathway.vocabulary import CompleteOn, Role, Status, TaskStatus
from tests.pathway.cases import actor_of, standing
from tests.support.books import PROGRAM, START

STATES = (*OPEN, *FINAL)

# Source: docs/rules.md, States, columns "Task.status" and "Set by"
TABLE = {
    "sent": ("requested", {"requester"}),
    "received": ("requested", {"gateway"}),
    "triage": ("requested", {"coordinator"}),
    "info-needed": ("on-hold", {"coordinator"}),
    "waitlisted": ("accepted", {"coordinator"}),
    "match-proposed": ("accepted", {"coordinator"}),
    "assigned": ("accepted", {"peer"}),
    "outreach": ("in-progress", {"peer"}),
    "contact-made": ("in-progress", {"peer"}),
    "intro-scheduled": ("in-progress", {"peer"}),
    "intro-missed": ("in-progress", {"peer"}),
    "intro-cancelled": ("in-progress", {"peer"}),
    "intro-done": ("in-progress", {"peer"}),
    "deciding": ("in-progress", {"peer"}),
    "enrolled": ("completed", {"peer"}),
    "paused": ("on-hold", {"peer", "person"}),
    "redirected": ("completed", {"coordinator"}),
    "declined-program": ("rejected", {"coordinator"}),
    "declined-person": ("cancelled", {"person", "peer"}),
    "unable-to-contact": ("cancelled", {"peer", "coordinator"}),
    "withdrawn-referrer": ("cancelled", {"requester"}),
    "withdrawn-person": ("cancelled", {"person"}),
    "transferred-higher-care": ("completed", {"coordinator"}),
    "entered-in-error": ("entered-in-error", {"requester"}),
}


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("status", STATES)
def test_every_step_is_listed_or_refused_and_a_refusal_changes_nothing(status, event):
    for role in Role:
        referral = standing(status)
        before = copy.deepcopy(referral)
        listed = TRANSITIONS.get((status, event))
        allowed = listed is not None and role in listed.actors
        if is_ended(referral) and event is not Event.MISTAKE:
            allowed = False
        try:
            after = move(referral, event, actor_of(role), PROGRAM, START, reason="why")
        except Refusal:
            assert not allowed, (status, event, role)
        else:
            assert allowed, (status, event, role)
            assert listed is not None
            assert after.status is (listed.to or before.before_pause)
            assert (
                after.task_status is before.task_status
                or after.task_status
                in {
                    *TASK_MOVES.get(before.task_status, frozenset()),
                    TaskStatus.ENTERED_IN_ERROR,
                    # the two jumps that are bridged when they are told
                    *({TaskStatus.COMPLETED} if before.task_status is TaskStatus.REQUESTED else ()),
                }
                or before.task_status in TASK_ENDS
            )
        assert referral == before


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("status", STATES)
def test_somebody_else_of_the_same_role_is_refused(status, event):
    strangers = {
        Role.PEER: Actor("b", Role.PEER, "riverside", peer_id="p2"),
        Role.PERSON: Actor("b", Role.PERSON, "riverside", person_id="y"),
        Role.REQUESTER: Actor("b", Role.REQUESTER, "riverside", source="other"),
        Role.COORDINATOR: Actor("b", Role.COORDINATOR, "elsewhere"),
        Role.GATEWAY: Actor("b", Role.GATEWAY, "elsewhere"),
    }
    for stranger in strangers.values():
        with pytest.raises(Refusal):
            move(standing(status), event, stranger, PROGRAM, START, reason="why")


def test_the_table_says_what_the_vocabulary_says():
    reached: dict[str, set[str]] = {}
    for transition in TRANSITIONS.values():
        if transition.to is not None:
            reached.setdefault(transition.to.value, set()).update(role.value for role in transition.actors)
    for status, (task, set_by) in TABLE.items():
        before = TaskStatus.REQUESTED if task == "rejected" else TaskStatus.ACCEPTED
        if task == "requested":
            before = TaskStatus.DRAFT
        assert task_status_of(Status(status), CompleteOn.ENROLLED, before).value == task, status
        if status != "sent":  # sent is the requester's own writing, before it reaches us
            assert reached[status] - {"supervisor"} == set_by, status


@pytest.mark.parametrize("status", OPEN)
def test_from_any_open_state_it_can_end_and_pause(status):
    for event in (
        Event.WITHDRAW_PERSON,
        Event.WITHDRAW_REFERRER,
        Event.DECLINE_PERSON,
        Event.REDIRECT,
        Event.TRANSFER,
        Event.MISTAKE,
    ):
        assert (status, event) in TRANSITIONS
    assert ((status, Event.PAUSE) in TRANSITIONS) is (status is not Status.PAUSED)


def test_an_end_is_left_only_for_entered_in_error():
    left = {(status, event) for status, event in TRANSITIONS if status in FINAL}
    assert {event for _, event in left} == {Event.MISTAKE}
    assert {status for status, _ in left} == set(FINAL) - {Status.ENTERED_IN_ERROR}


def test_every_state_can_be_reached():
    seen, ahead = {Status.SENT}, [Status.SENT]
    while ahead:
        at = ahead.pop()
        for (source, _), transition in TRANSITIONS.items():
            if source is at and transition.to is not None and transition.to not in seen:
                seen.add(transition.to)
                ahead.append(transition.to)
    assert seen == set(STATES)


@pytest.mark.parametrize("complete_on", list(CompleteOn))
@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("before", list(TaskStatus))
def test_a_task_status_is_never_one_that_the_guide_forbids(before, status, complete_on):
    if before is TaskStatus.DRAFT:
        return
    after = task_status_of(status, complete_on, before)
    if after is before or after is TaskStatus.ENTERED_IN_ERROR:
        return
    assert before not in TASK_ENDS
    assert task_steps(before, after), (before, after)
    if before is not TaskStatus.REQUESTED:
        assert after in TASK_MOVES[before]


def test_hold_before_acceptance_stays_requested():
    assert task_status_of(Status.INFO_NEEDED, CompleteOn.ENROLLED, TaskStatus.REQUESTED) is TaskStatus.REQUESTED
    assert task_status_of(Status.PAUSED, CompleteOn.ENROLLED, TaskStatus.REQUESTED) is TaskStatus.REQUESTED


def test_a_refusal_after_acceptance_is_a_cancellation():
    assert never_back(TaskStatus.REQUESTED, TaskStatus.REJECTED) is TaskStatus.REJECTED
    for before in (TaskStatus.ACCEPTED, TaskStatus.IN_PROGRESS, TaskStatus.ON_HOLD):
        assert never_back(before, TaskStatus.REJECTED) is TaskStatus.CANCELLED


def test_the_way_between_two_task_statuses_is_legal_and_the_shortest():
    assert task_steps(TaskStatus.REQUESTED, TaskStatus.COMPLETED) == (TaskStatus.ACCEPTED, TaskStatus.COMPLETED)
    assert task_steps(TaskStatus.REQUESTED, TaskStatus.CANCELLED) == (TaskStatus.CANCELLED,)
    assert task_steps(TaskStatus.REJECTED, TaskStatus.ACCEPTED) == ()
    assert task_steps(TaskStatus.ACCEPTED, TaskStatus.ACCEPTED) == ()
    for before in TASK_MOVES:
        for after in TaskStatus:
            way = task_steps(before, after)
            for one, two in zip((before, *way), way, strict=False):
                assert two in TASK_MOVES[one] or two is TaskStatus.ENTERED_IN_ERROR
