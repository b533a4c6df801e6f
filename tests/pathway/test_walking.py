"""Enrolment, stages, pauses and the end of walking alongside."""

from __future__ import annotations

from decimal import Decimal

import pytest

from peerfhir.pathway import steps
from peerfhir.pathway.refusals import AlreadyRecorded, Closed, IllegalTransition, WrongActor
from peerfhir.pathway.vocabulary import ClosingReason, CompleteOn, ShareClass, Stage, Status, TaskStatus
from tests.support.books import (
    COORDINATOR,
    REQUESTER,
    a_meeting,
    as_peer,
    as_person,
    bring,
    new_books,
    share,
)

P1 = as_peer("p1")


def walking(complete_on: CompleteOn = CompleteOn.ENROLLED, *classes: ShareClass):
    books = new_books(complete_on)
    referral = bring(books, Status.ENROLLED)
    share(books, referral.person_id, *classes)
    return books, books.referral(referral.id)


def test_enrolment_starts_the_engagement_and_lightens_the_caseload():
    books, referral = walking()
    engagement = books.engagement_of(referral.id)
    assert (engagement.number, engagement.status, engagement.peer_id) == ("EP-000001", "active", "p1")
    assert [e.stage for e in engagement.stages] == [Stage.CONNECT]
    assert referral.engagement_status == "active"
    assert books.peer("p1").load == Decimal("1.0")


def test_stages_are_a_log_and_may_go_anywhere():
    books, referral = walking()
    way = [Stage.PLAN, Stage.EXPLORE, Stage.WALK_ALONGSIDE, Stage.RECONNECT, Stage.CONNECT]
    for stage in way:
        engagement = steps.enter_stage(books.acting(P1), referral.id, stage)
    assert [e.stage for e in engagement.stages] == [Stage.CONNECT, *way]
    with books.refused(AlreadyRecorded):
        steps.enter_stage(books.acting(P1), referral.id, Stage.CONNECT)
    for other in (as_peer("p2"), as_person(referral.person_id), COORDINATOR):
        with books.refused(WrongActor):
            steps.enter_stage(books.acting(other), referral.id, Stage.PLAN)


def test_there_is_no_stage_before_enrolment_and_none_after_the_end():
    books = new_books()
    referral = bring(books, Status.DECIDING)
    with books.refused(IllegalTransition):
        steps.enter_stage(books.acting(P1), referral.id, Stage.PLAN)
    with books.refused(IllegalTransition):
        steps.close_engagement(books.acting(P1), referral.id, ClosingReason.GOALS_MET)
    books, referral = walking()
    steps.close_engagement(books.acting(P1), referral.id, ClosingReason.GOALS_MET)
    for late in (
        lambda: steps.enter_stage(books.acting(P1), referral.id, Stage.PLAN),
        lambda: steps.close_engagement(books.acting(P1), referral.id, ClosingReason.GOALS_MET),
        lambda: steps.pause(books.acting(P1), referral.id),
        lambda: steps.resume(books.acting(P1), referral.id),
    ):
        with books.refused(Closed):
            late()


def test_a_pause_after_completion_holds_the_engagement_and_leaves_the_task():
    books, referral = walking()
    before = len(books.told(referral.id))
    paused = steps.pause(books.acting(as_person(referral.person_id)), referral.id)
    assert (paused.status, paused.task_status) == (Status.ENROLLED, TaskStatus.COMPLETED)
    assert books.engagement_of(referral.id).status == "onhold"
    assert books.told(referral.id)[before:] == [("completed", "enrolled")]
    assert books.referral(referral.id).told.display == "Paused"
    with books.refused(IllegalTransition):
        steps.pause(books.acting(P1), referral.id)
    steps.resume(books.acting(P1), referral.id)
    assert books.engagement_of(referral.id).status == "active"
    assert books.referral(referral.id).told.display == "Working together"
    with books.refused(IllegalTransition):
        steps.resume(books.acting(P1), referral.id)


def test_only_the_two_of_them_pause_and_go_on():
    books, referral = walking()
    for other in (as_peer("p2"), COORDINATOR, REQUESTER, as_person("other")):
        with books.refused(WrongActor):
            steps.pause(books.acting(other), referral.id)
    steps.pause(books.acting(P1), referral.id)
    with books.refused(WrongActor):
        steps.resume(books.acting(REQUESTER), referral.id)


def test_a_pause_while_the_task_is_open_holds_both():
    books, referral = walking(CompleteOn.EPISODE_CLOSED, ShareClass.ATTENDANCE)
    assert books.told(referral.id)[-1] == ("in-progress", "enrolled")
    steps.pause(books.acting(P1), referral.id)
    assert books.told(referral.id)[-1] == ("on-hold", "paused")
    assert books.engagement_of(referral.id).status == "onhold"
    steps.resume(books.acting(P1), referral.id)
    assert books.told(referral.id)[-1] == ("in-progress", "enrolled")


@pytest.mark.parametrize("complete_on", list(CompleteOn))
def test_each_way_of_completing_tells_its_own_story(complete_on):
    books = new_books(complete_on)
    referral = bring(books, Status.INTRO_SCHEDULED)
    share(books, referral.person_id, ShareClass.ATTENDANCE)
    me = books.acting(P1)
    steps.record_encounter(me, a_meeting(books, referral))
    steps.leave_to_decide(me, referral.id)
    steps.enrol(me, referral.id)
    steps.record_encounter(me, a_meeting(books, referral))
    steps.close_engagement(me, referral.id, ClosingReason.GOALS_MET)
    story = books.told(referral.id)[4:]
    assert (
        story
        == {
            CompleteOn.ENROLLED: [
                ("in-progress", "intro-scheduled"),
                ("in-progress", "intro-done"),
                ("in-progress", "deciding"),
                ("completed", "enrolled"),
                ("completed", "closed"),
            ],
            CompleteOn.INTRO_DONE: [
                ("in-progress", "intro-scheduled"),
                ("completed", "intro-done"),
                ("completed", "enrolled"),
                ("completed", "closed"),
            ],
            CompleteOn.EPISODE_CLOSED: [
                ("in-progress", "intro-scheduled"),
                ("in-progress", "intro-done"),
                ("in-progress", "deciding"),
                ("in-progress", "enrolled"),
                ("completed", "enrolled"),
            ],
        }[complete_on]
    )
    after = books.referral(referral.id)
    assert (after.status, after.task_status, after.closed_at) == (
        Status.ENROLLED,
        TaskStatus.COMPLETED,
        books.now(),
    )
    assert len([w for w in books.owed() if w.owed.record_type == "encounter"]) == 4


def test_the_end_has_a_reason_that_stays_here():
    books, referral = walking()
    for other in (as_peer("p2"), REQUESTER, as_person("other")):
        with books.refused(WrongActor):
            steps.close_engagement(books.acting(other), referral.id, ClosingReason.GOALS_MET)
    ended = steps.close_engagement(books.acting(COORDINATOR), referral.id, ClosingReason.SAFETY)
    assert (ended.status, ended.closing_reason, ended.ended_at) == ("finished", "safety", books.now())
    assert books.peer("p1").load == 0
    told = books.referral(referral.id).told
    assert (told.task_status, told.status, told.reason) == (TaskStatus.COMPLETED, Status.CLOSED, "Referral closed.")


def test_an_end_that_nobody_may_know_of_says_closed():
    books = new_books(CompleteOn.EPISODE_CLOSED)
    referral = bring(books, Status.ENROLLED)
    steps.close_engagement(books.acting(P1), referral.id, ClosingReason.GOALS_MET)
    assert books.told(referral.id)[-1] == ("cancelled", "closed")


def test_a_paused_episode_can_be_completed():
    books, referral = walking(CompleteOn.EPISODE_CLOSED)
    steps.pause(books.acting(P1), referral.id)
    steps.close_engagement(books.acting(COORDINATOR), referral.id, ClosingReason.LOST_CONTACT)
    assert books.told(referral.id)[-2:] == [("on-hold", "paused"), ("completed", "enrolled")]
    assert books.referral(referral.id).before_pause is None
