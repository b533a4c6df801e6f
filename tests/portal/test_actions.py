from __future__ import annotations

from dataclasses import replace

import pytest

from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.people import Actor, Program
from peerfhir.pathway.referral import ContactAttempt, Referral
from peerfhir.pathway.transitions import FINAL, TRANSITIONS, Event
from peerfhir.pathway.vocabulary import ContactOutcome, Role, Status, TaskStatus
from peerfhir.portal.actions import ACTIONS, steps_of
from peerfhir.portal.fields import Filled
from peerfhir.portal.words import catalogue
from tests.portal.test_words import NOON

PROGRAM = Program("p", "Program")
ROLES = (Role.COORDINATOR, Role.SUPERVISOR, Role.PEER)
UNCHOSEN = (Status.RECEIVED, Status.TRIAGE, Status.INFO_NEEDED, Status.WAITLISTED, Status.MATCHING,
            Status.MATCH_PROPOSED)  # fmt: skip
BY_TABLE = [action for action in ACTIONS.values() if action.events]


def referral(status: Status, **given) -> Referral:
    start = Referral("r", "p", "someone", "PF-1", status, TaskStatus.IN_PROGRESS)
    if status not in UNCHOSEN:
        start = replace(start, peer_id="me", peer_accepted_at=NOON)
    return replace(start, closed_at=NOON if status in FINAL else None, **given)


def offered(one: Referral, role: Role, engagement: Engagement | None = None) -> list[str]:
    actor = Actor("a", role, "p", peer_id="me" if role is Role.PEER else None)
    return [step.name for step in steps_of(one, engagement, actor, PROGRAM, catalogue(), "Ana")]


def engaged(status: str) -> Engagement:
    return Engagement("e", "p", "r", "someone", "me", "EP-1", status=status)


@pytest.mark.parametrize("status", [one for one in Status if one not in (Status.IN_CONTACT, Status.CLOSED)])
@pytest.mark.parametrize("role", ROLES)
def test_only_steps_that_the_table_allows_this_role_are_shown(status, role):
    names = set(offered(referral(status), role)) - {"note"}
    allowed = {
        action.name
        for action in BY_TABLE
        for event in action.events
        if (found := TRANSITIONS.get((status, event))) is not None and role in found.actors
    }
    assert names <= allowed
    if status in FINAL:
        assert names == set()


def test_every_step_of_the_table_that_staff_may_take_has_a_button_somewhere():
    shown = {
        name
        for status in Status
        for role in ROLES
        for tries in (0, 3)
        for name in offered(referral(status, attempts=_tried(tries)), role)
    }
    events = {event for action in BY_TABLE if action.name in shown for event in action.events}
    by_staff = {event for (_, event), one in TRANSITIONS.items() if one.actors & set(ROLES)}
    assert by_staff - events == {Event.MEET, Event.MOVE}  # a first meeting is said by its note; a move is a new day


def _tried(times: int) -> tuple[ContactAttempt, ...]:
    return tuple(ContactAttempt(NOON, "a", "phone", ContactOutcome.NO_ANSWER) for _ in range(times))


def test_once_the_person_has_chosen_nobody_is_proposed_over_their_head():
    proposed = referral(Status.MATCH_PROPOSED)
    assert "propose" in offered(proposed, Role.COORDINATOR)
    assert "propose" not in offered(replace(proposed, peer_id="me"), Role.COORDINATOR)


def test_a_peer_gives_up_only_after_the_tries_the_program_asks_for():
    one = referral(Status.OUTREACH)
    assert "give-up" not in offered(replace(one, attempts=_tried(2)), Role.PEER)
    assert "give-up" in offered(replace(one, attempts=_tried(3)), Role.PEER)
    reached = (*_tried(2), ContactAttempt(NOON, "a", "phone", ContactOutcome.ANSWERED), *_tried(1))
    assert "give-up" not in offered(replace(one, attempts=reached), Role.PEER)
    assert "give-up" in offered(one, Role.COORDINATOR)


@pytest.mark.parametrize("task", [TaskStatus.COMPLETED, TaskStatus.IN_PROGRESS])
def test_walking_together_has_its_own_steps(task):
    one = referral(Status.ENROLLED, task_status=task)
    assert {"note", "stage", "close", "pause"} <= set(offered(one, Role.PEER, engaged("active")))
    assert "close" in offered(one, Role.COORDINATOR, engaged("active"))
    assert "stage" not in offered(one, Role.COORDINATOR, engaged("active"))
    if task is TaskStatus.COMPLETED:
        assert offered(one, Role.PEER, engaged("onhold")) == ["resume", "close"]
        assert offered(one, Role.PEER, engaged("finished")) == []


def test_the_next_thing_comes_first_and_the_ways_out_last():
    words = catalogue()
    coordinator = Actor("a", Role.COORDINATOR, "p")
    for status, first in ((Status.RECEIVED, "triage"), (Status.TRIAGE, "propose"), (Status.INFO_NEEDED, "resume")):
        found = steps_of(referral(status), None, coordinator, PROGRAM, words, "Ana")
        assert found[0].name == first
        assert found[0].primary
        assert sorted(found, key=lambda one: one.aside) == list(found)
    peer = Actor("a", Role.PEER, "p", peer_id="me")
    for status, first in (
        (Status.ASSIGNED, "contact"),
        (Status.CONTACT_MADE, "meeting"),
        (Status.INTRO_SCHEDULED, "note"),
    ):
        assert steps_of(referral(status), None, peer, PROGRAM, words, "Ana")[0].name == first


def test_a_form_that_came_back_is_open_and_holds_what_was_entered():
    coordinator = Actor("a", Role.COORDINATOR, "p")
    back = ("decline", Filled({"sentence": ("We",), "reason": ("",)}, {"reason": "Please pick."}))
    found = steps_of(referral(Status.TRIAGE), None, coordinator, PROGRAM, catalogue(), "Ana", back)
    decline = next(one for one in found if one.name == "decline")
    assert decline.open
    assert {control.name: (control.value, control.error) for control in decline.controls} == {
        "reason": ("", "Please pick."),
        "sentence": ("We", ""),
    }
    assert not next(one for one in found if one.name == "question").open
