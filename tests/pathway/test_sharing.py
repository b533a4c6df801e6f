"""The person's choice, its narrowing, and their stop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from peerfhir.pathway import steps
from peerfhir.pathway.people import Wishes
from peerfhir.pathway.refusals import NotGrantable, SharingStopped, WrongActor
from peerfhir.pathway.vocabulary import CompleteOn, Piece, Recipient, ShareClass, Status, TaskStatus
from tests.support.books import (
    COORDINATOR,
    REQUESTER,
    a_meeting,
    answers_of,
    arrive,
    as_peer,
    as_person,
    bring,
    new_books,
    share,
)

EVERYTHING = (ShareClass.ATTENDANCE, ShareClass.SUMMARY, ShareClass.SCORES, ShareClass.ITEM_LEVEL)
NONE_ASKED = dict.fromkeys([f"/{n}" for n in range(1, 10)], "A0")


def meet(books, referral):
    return steps.record_encounter(books.acting(as_peer("p1")), a_meeting(books, referral))


def test_a_choice_is_written_down_line_by_line_and_replaces_the_earlier_one():
    books = new_books()
    person_id = bring(books, Status.CONTACT_MADE).person_id
    first = share(books, person_id, ShareClass.ATTENDANCE, ShareClass.SUMMARY)
    assert {g.share_class for g in first} == {ShareClass.ATTENDANCE, ShareClass.SUMMARY}
    assert {g.recorded_by for g in first} == {f"person-{person_id}"}
    books.later(minutes=1)
    second = share(books, person_id, ShareClass.SUMMARY, ShareClass.SCORES)
    assert {g.share_class for g in second} == {ShareClass.SUMMARY, ShareClass.SCORES}
    kept = next(g for g in second if g.share_class is ShareClass.SUMMARY)
    assert kept in first
    ended = next(g for g in books.grants_of(person_id) if g.share_class is ShareClass.ATTENDANCE)
    assert (ended.end_reason, ended.ended_at) == ("narrowed", books.now())


def test_the_first_choice_lets_out_the_status_that_was_held_back():
    books = new_books()
    referral = bring(books, Status.INTRO_SCHEDULED)
    share(books, referral.person_id)  # nothing at all is a choice too
    assert books.told(referral.id)[-1] == ("in-progress", "intro-scheduled")


def test_attendance_decides_whether_reaching_out_shows():
    books = new_books()
    referral = bring(books, Status.OUTREACH)
    share(books, referral.person_id, ShareClass.ATTENDANCE)
    assert books.told(referral.id)[-1] == ("in-progress", "outreach")
    share(books, referral.person_id, ShareClass.SUMMARY)
    assert books.told(referral.id)[-1] == ("in-progress", "in-contact")


def test_a_narrower_choice_cancels_what_waits_of_that_class_only():
    books = new_books()
    referral = bring(books, Status.CONTACT_MADE)
    share(books, referral.person_id, *EVERYTHING)
    meet(books, referral)
    share(books, referral.person_id, ShareClass.ATTENDANCE, ShareClass.SCORES)
    cancelled = [w for w in books.owed(cancelled=True) if w.cancelled]
    assert {(w.owed.piece, w.cancelled) for w in cancelled} == {(Piece.SUMMARY, "consent-narrowed")}
    share(books, referral.person_id, *EVERYTHING)
    assert books.owed(Piece.SUMMARY) == []  # a later grant does not release it


def test_only_recipients_of_the_program_can_be_granted():
    books = new_books()
    person_id = arrive(books).person_id
    me = books.acting(as_person(person_id))
    with books.refused(NotGrantable):
        steps.choose_sharing(me, person_id, {Recipient.PAYER: frozenset({ShareClass.SCORES})})
    assert steps.choose_sharing(me, person_id, {Recipient.PAYER: frozenset()}) == []


def test_the_choice_is_made_by_the_person_or_noted_by_those_who_walk_with_them():
    books = new_books()
    referral = bring(books, Status.ASSIGNED)
    wanted = {Recipient.HOSPITAL: frozenset({ShareClass.ATTENDANCE})}
    for stranger in (as_person("other"), as_peer("p2"), REQUESTER):
        with books.refused(WrongActor):
            steps.choose_sharing(books.acting(stranger), referral.person_id, wanted)
    for close in (as_peer("p1"), COORDINATOR):
        steps.choose_sharing(books.acting(close), referral.person_id, wanted)
    (line,) = books.grants_of(referral.person_id)
    assert line.recorded_by == "user-p1"


@pytest.mark.parametrize("complete_on", list(CompleteOn))
def test_a_stop_ends_every_grant_cancels_everything_and_says_closed_once(complete_on):
    books = new_books(complete_on)
    referral = bring(books, Status.ENROLLED)
    share(books, referral.person_id, *EVERYTHING)
    meet(books, referral)
    steps.record_outcome(books.acting(as_peer("p1")), answers_of(books, referral, NONE_ASKED))
    waiting = len(books.owed())
    assert waiting > 10
    books.later(minutes=1)
    count = steps.stop_sharing(books.acting(as_person(referral.person_id)), referral.person_id)
    assert count == waiting
    (last,) = books.owed()
    assert (last.owed.piece, last.at) == (Piece.STATUS, books.now())
    task = TaskStatus.CANCELLED if complete_on is CompleteOn.EPISODE_CLOSED else TaskStatus.COMPLETED
    told = last.referral.told
    assert (told.task_status, told.status, told.reason) == (task, Status.CLOSED, "Referral closed.")
    assert {g.end_reason for g in books.grants_of(referral.person_id)} == {"withdrawn"}
    assert books.engagement_of(referral.id).status == "finished"
    assert books.peer("p1").load == 0
    after = books.referral(referral.id)
    ended = Status.WITHDRAWN_PERSON if complete_on is CompleteOn.EPISODE_CLOSED else Status.ENROLLED
    assert (after.status, after.closed_at) == (ended, books.now())


def test_a_stop_before_enrolment_closes_the_referral():
    for status in (Status.RECEIVED, Status.MATCH_PROPOSED, Status.OUTREACH, Status.DECIDING):
        books = new_books()
        referral = bring(books, status)
        steps.stop_sharing(books.acting(as_person(referral.person_id)), referral.person_id)
        assert books.referral(referral.id).status is Status.WITHDRAWN_PERSON
        (last,) = books.owed()
        assert last.referral.told.task_status is TaskStatus.CANCELLED


def test_a_stop_wins_over_a_pause():
    books = new_books()
    referral = bring(books, Status.OUTREACH)
    steps.pause(books.acting(as_peer("p1")), referral.id)
    steps.stop_sharing(books.acting(as_person(referral.person_id)), referral.person_id)
    assert books.referral(referral.id).status is Status.WITHDRAWN_PERSON


def test_a_second_stop_changes_nothing():
    books = new_books()
    person_id = arrive(books).person_id
    me = books.acting(as_person(person_id))
    assert steps.stop_sharing(me, person_id) == 1
    before = books.state()
    assert steps.stop_sharing(me, person_id) == 0
    assert books.state() == before


def test_only_the_person_stops():
    books = new_books()
    person_id = bring(books, Status.ASSIGNED).person_id
    for other in (as_peer("p1"), COORDINATOR, as_person("other"), REQUESTER):
        with books.refused(WrongActor):
            steps.stop_sharing(books.acting(other), person_id)


def test_the_last_word_about_a_referral_that_had_ended_is_still_said():
    books = new_books()
    declined = arrive(books)
    steps.redirect(books.acting(COORDINATOR), declined.id, "The day center")
    running = bring(books, Status.ASSIGNED, task_id="task-2")
    steps.stop_sharing(books.acting(as_person(running.person_id)), running.person_id)
    assert [(w.owed.referral_id, w.referral.told.status) for w in books.owed()] == [
        (declined.id, Status.RECEIVED),
        (declined.id, Status.CLOSED),
        (running.id, Status.CLOSED),
    ]


def test_starting_again_is_a_new_grant_by_the_person_and_the_old_ones_stay_ended():
    books = new_books()
    referral = bring(books, Status.ENROLLED)
    old = share(books, referral.person_id, ShareClass.ATTENDANCE)
    books.later(minutes=1)
    steps.stop_sharing(books.acting(as_person(referral.person_id)), referral.person_id)
    with books.refused(SharingStopped):
        steps.choose_sharing(books.acting(COORDINATOR), referral.person_id, {})
    books.later(minutes=1)
    new = share(books, referral.person_id, ShareClass.ATTENDANCE)
    assert books.person(referral.person_id).sharing_stopped_at is None
    assert {g.id for g in new}.isdisjoint(g.id for g in old)
    assert len([g for g in books.grants_of(referral.person_id) if g.ended_at is None]) == 1
    assert len(books.owed()) == 1  # what was cancelled stays cancelled; a closed referral stays closed


def test_a_new_order_after_a_stop_is_told_nothing_of_before():
    books = new_books()
    referral = bring(books, Status.ENROLLED)
    share(books, referral.person_id, *EVERYTHING)
    steps.stop_sharing(books.acting(as_person(referral.person_id)), referral.person_id)
    second = bring(books, Status.CONTACT_MADE, task_id="task-2")
    assert second.person_id == referral.person_id
    assert books.told(second.id) == [
        ("requested", "received"),
        ("requested", "triage"),
        ("accepted", "triage"),
        ("in-progress", "in-contact"),
    ]


def test_a_person_with_wishes_keeps_them_through_a_stop():
    books = new_books()
    person_id = arrive(books).person_id
    books.save_person(replace(books.person(person_id), wishes=Wishes(language="so")))
    steps.stop_sharing(books.acting(as_person(person_id)), person_id)
    assert books.person(person_id).wishes.language == "so"
