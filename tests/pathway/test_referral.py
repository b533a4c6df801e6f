"""A referral's steps, its memory, and what others are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from peerfhir.pathway.referral import (
    CLOSED_FORM,
    NEEDS_STATUS_REASON,
    SHOWN,
    ContactAttempt,
    Event,
    Outward,
    Referral,
    move,
    outward,
    outward_steps,
    requester_move,
)
from peerfhir.pathway.refusals import (
    AttemptsMissing,
    Closed,
    IllegalTransition,
    NotFoundHere,
    ReasonMissing,
    TooLong,
    WrongActor,
)
from peerfhir.pathway.transitions import FINAL, OPEN, TASK_MOVES, task_status_of
from peerfhir.pathway.vocabulary import CompleteOn, ContactOutcome, Role, Status, TaskStatus
from tests.pathway.cases import actor_of, standing
from tests.support.books import PROGRAM, START

PERSON, PEER, COORDINATOR = actor_of(Role.PERSON), actor_of(Role.PEER), actor_of(Role.COORDINATOR)
REQUESTER = actor_of(Role.REQUESTER)

BEFORE_CHOICE = {  # Source: docs/rules.md, Consent, what says nothing about the person; and the referrer's own acts
    Status.RECEIVED,
    Status.TRIAGE,
    Status.WAITLISTED,
    Status.DECLINED_PROGRAM,
    Status.IN_CONTACT,
    Status.CLOSED,
    Status.INFO_NEEDED,
    Status.WITHDRAWN_REFERRER,
    Status.ENTERED_IN_ERROR,
}


def go(referral: Referral, event: Event, actor=COORDINATOR, program=PROGRAM, **more) -> Referral:
    return move(referral, event, actor, program, START, **more)


def test_a_pause_remembers_where_it_came_from():
    for status in OPEN:
        if status in (Status.PAUSED, Status.ENROLLED):
            continue
        paused = go(standing(status), Event.PAUSE, PERSON)
        assert paused.status is Status.PAUSED
        assert paused.before_pause is status
        assert go(paused, Event.RESUME, PERSON).status is status


def test_a_pause_during_a_question_keeps_both_memories():
    asked = go(standing(Status.MATCHING), Event.ASK_QUESTION, reason="Which unit?")
    paused = go(asked, Event.PAUSE, PERSON)
    back = go(go(paused, Event.RESUME, PERSON), Event.RESUME)
    assert back.status is Status.MATCHING
    assert back.before_pause is None
    assert back.before_question is None


def test_a_hold_from_accepted_is_left_for_in_progress_because_the_guide_knows_no_way_back():
    paused = go(standing(Status.MATCHING), Event.PAUSE, PERSON)
    assert paused.task_status is TaskStatus.ON_HOLD
    assert go(paused, Event.RESUME, PERSON).task_status is TaskStatus.IN_PROGRESS


def test_a_lost_memory_is_refused_and_not_guessed():
    with pytest.raises(IllegalTransition):
        go(replace(standing(Status.PAUSED), before_pause=None), Event.RESUME, PERSON)


def test_giving_up_needs_the_attempts_or_a_coordinators_sentence():
    tried = standing(Status.OUTREACH).attempts
    for count in range(4):
        referral = replace(standing(Status.OUTREACH), attempts=tried[:count])
        if count < 3:
            with pytest.raises(AttemptsMissing):
                go(referral, Event.GIVE_UP, PEER, reason="A peer's sentence is not enough.")
            with pytest.raises(AttemptsMissing):
                go(referral, Event.GIVE_UP, COORDINATOR, reason="  ")
        else:
            assert go(referral, Event.GIVE_UP, PEER).status is Status.UNABLE_TO_CONTACT
        given_up = go(referral, Event.GIVE_UP, COORDINATOR, reason="The number belongs to somebody else.")
        assert given_up.status is Status.UNABLE_TO_CONTACT


def test_an_answer_starts_the_count_of_attempts_again():
    answer = ContactAttempt(START, "a", "phone", ContactOutcome.ANSWERED)
    tried = standing(Status.OUTREACH).attempts
    with pytest.raises(AttemptsMissing):
        go(replace(standing(Status.OUTREACH), attempts=(*tried, answer, *tried[:2])), Event.GIVE_UP, PEER)
    assert go(replace(standing(Status.OUTREACH), attempts=(answer, *tried)), Event.GIVE_UP, PEER)


def test_the_program_says_how_many_attempts():
    referral = replace(standing(Status.OUTREACH), attempts=standing(Status.OUTREACH).attempts[:1])
    assert go(referral, Event.GIVE_UP, PEER, replace(PROGRAM, contact_attempts=1))


@pytest.mark.parametrize("event", [Event.ASK_QUESTION, Event.REDIRECT, Event.DECLINE_PROGRAM, Event.TRANSFER])
def test_a_sentence_is_asked_for_where_others_will_read_one(event):
    for empty in (None, "", "   "):
        with pytest.raises(ReasonMissing):
            go(standing(Status.TRIAGE), event, reason=empty)
    with pytest.raises(TooLong):
        go(standing(Status.TRIAGE), event, reason="x" * 601)
    assert go(standing(Status.TRIAGE), event, reason=" why ").status_reason == "why"


def test_after_an_end_every_step_says_that_it_has_ended():
    for status in FINAL[:-1]:
        with pytest.raises(Closed):
            go(standing(status), Event.PAUSE, PERSON)
        assert go(standing(status), Event.MISTAKE, REQUESTER).status is Status.ENTERED_IN_ERROR
    with pytest.raises(Closed):
        go(standing(Status.ENTERED_IN_ERROR), Event.MISTAKE, REQUESTER)


def test_enrolled_is_an_end_only_when_it_completed_the_task():
    with pytest.raises(Closed):
        go(standing(Status.ENROLLED), Event.WITHDRAW_PERSON, PERSON)
    still_open = standing(Status.ENROLLED, TaskStatus.IN_PROGRESS)
    after = go(still_open, Event.WITHDRAW_PERSON, PERSON, replace(PROGRAM, complete_on=CompleteOn.EPISODE_CLOSED))
    assert after.task_status is TaskStatus.CANCELLED


@pytest.mark.parametrize("complete_on", list(CompleteOn))
def test_complete_on_decides_when_the_task_completes(complete_on):
    program = replace(PROGRAM, complete_on=complete_on)
    met = go(standing(Status.CONTACT_MADE), Event.MEET, PEER, program)
    enrolled = go(met, Event.ENROL, PEER, program)
    at_intro = TaskStatus.COMPLETED if complete_on is CompleteOn.INTRO_DONE else TaskStatus.IN_PROGRESS
    at_enrol = TaskStatus.IN_PROGRESS if complete_on is CompleteOn.EPISODE_CLOSED else TaskStatus.COMPLETED
    assert (met.task_status, enrolled.task_status) == (at_intro, at_enrol)
    if complete_on is not CompleteOn.EPISODE_CLOSED:
        assert enrolled.completed_at == START
        assert enrolled.completed_as is (Status.INTRO_DONE if complete_on is CompleteOn.INTRO_DONE else Status.ENROLLED)


def test_a_completed_task_does_not_move_again():
    program = replace(PROGRAM, complete_on=CompleteOn.INTRO_DONE)
    met = go(standing(Status.CONTACT_MADE), Event.MEET, PEER, program)
    for event, actor in ((Event.DECIDE, PEER), (Event.PAUSE, PERSON), (Event.WITHDRAW_PERSON, PERSON)):
        assert go(met, event, actor, program).task_status is TaskStatus.COMPLETED


def test_another_program_is_not_found():
    elsewhere = replace(COORDINATOR, program_id="elsewhere")
    with pytest.raises(NotFoundHere):
        go(standing(Status.RECEIVED), Event.START_TRIAGE, elsewhere)


# -- what others are told


@pytest.mark.parametrize("attendance", [True, False])
@pytest.mark.parametrize("status", [*OPEN, *FINAL])
def test_before_the_persons_choice_only_what_says_nothing_about_them_is_told(status, attendance):
    for task in {standing(status).task_status, TaskStatus.COMPLETED, TaskStatus.ON_HOLD, TaskStatus.IN_PROGRESS}:
        told = outward(standing(status, task), choice_recorded=False, attendance=attendance)
        assert told.status in BEFORE_CHOICE
        assert told.task_status is not TaskStatus.COMPLETED


def test_before_the_choice_an_enrolled_person_is_in_contact():
    told = outward(standing(Status.ENROLLED), choice_recorded=False, attendance=False)
    assert told == Outward(TaskStatus.IN_PROGRESS, Status.IN_CONTACT, "In contact", None)


def test_before_the_choice_a_pause_does_not_show():
    for status in (Status.MATCHING, Status.OUTREACH):
        paused = go(standing(status), Event.PAUSE, PERSON)
        told = outward(paused, choice_recorded=False, attendance=False)
        assert told == outward(standing(status), choice_recorded=False, attendance=False)


def test_once_in_contact_a_change_of_peer_does_not_show_before_the_choice():
    in_contact = Outward(TaskStatus.IN_PROGRESS, Status.IN_CONTACT, "In contact", None)
    back = replace(go(standing(Status.OUTREACH), Event.START_MATCHING, PERSON), told=in_contact)
    assert outward(back, choice_recorded=False, attendance=False) == in_contact


@pytest.mark.parametrize("status", [Status.OUTREACH, Status.INTRO_MISSED, Status.DECIDING])
def test_some_states_go_out_as_in_contact_unless_attendance_is_granted(status):
    hidden = outward(standing(status), choice_recorded=True, attendance=False)
    assert (hidden.status, hidden.display) == (Status.IN_CONTACT, "In contact")
    assert outward(standing(status), choice_recorded=True, attendance=True).status is status


@pytest.mark.parametrize("choice", [True, False])
@pytest.mark.parametrize("attendance", [True, False])
def test_three_ends_leave_as_one_and_the_same_message(choice, attendance):
    told = {
        outward(
            replace(standing(status), status_reason=why, decline_reason=why),
            choice_recorded=choice,
            attendance=attendance,
        )
        for status in (Status.DECLINED_PERSON, Status.WITHDRAWN_PERSON, Status.UNABLE_TO_CONTACT)
        for why in (None, "a reason that stays here")
    }
    assert told == {CLOSED_FORM}
    assert CLOSED_FORM.reason == "Referral closed."
    assert CLOSED_FORM.task_status is TaskStatus.CANCELLED


@pytest.mark.parametrize("choice", [True, False])
@pytest.mark.parametrize("status", [*OPEN, *FINAL])
def test_a_status_that_needs_a_reason_never_leaves_without_one(status, choice):
    told = outward(
        replace(standing(status), status_reason="why", question="why"), choice_recorded=choice, attendance=True
    )
    assert told.reason or told.task_status not in NEEDS_STATUS_REASON


def test_a_pause_says_that_and_not_who_asked():
    paused = go(standing(Status.CONTACT_MADE), Event.PAUSE, PERSON, reason="I need time for myself")
    told = outward(paused, choice_recorded=True, attendance=True)
    assert told == Outward(TaskStatus.ON_HOLD, Status.PAUSED, "Paused", "Paused.")


def test_a_question_goes_to_the_referrer_with_its_words():
    asked = go(standing(Status.RECEIVED), Event.ASK_QUESTION, reason="Which unit?")
    for choice in (True, False):
        told = outward(asked, choice_recorded=choice, attendance=False)
        assert told == Outward(TaskStatus.REQUESTED, Status.INFO_NEEDED, "Question for you", "Which unit?")


def test_a_refusal_after_acceptance_says_so():
    declined = go(standing(Status.MATCHING), Event.DECLINE_PROGRAM, reason="No peer speaks the language.")
    told = outward(declined, choice_recorded=False, attendance=False)
    assert told.task_status is TaskStatus.CANCELLED
    assert told.reason == "declined after acceptance: No peer speaks the language."


@pytest.mark.parametrize("status", [Status.REDIRECTED, Status.TRANSFERRED])
def test_where_a_person_was_sent_on_to_shows_only_after_their_choice(status):
    ended = replace(standing(status), completed_as=status, status_reason="the day center", closed_at=START)
    assert outward(ended, choice_recorded=False, attendance=True) == CLOSED_FORM
    told = outward(ended, choice_recorded=True, attendance=False)
    assert (told.task_status, told.status) == (TaskStatus.COMPLETED, status)
    assert told.reason == ("the day center" if status is Status.REDIRECTED else None)


def completed(**changes) -> Referral:
    told = Outward(TaskStatus.COMPLETED, Status.ENROLLED, SHOWN[Status.ENROLLED], None)
    made = replace(standing(Status.ENROLLED), completed_at=START, completed_as=Status.ENROLLED, told=told)
    return replace(made, **changes)


def test_a_later_end_leaves_the_task_completed_and_says_closed():
    after = completed(closed_at=START + timedelta(days=30), engagement_status="finished")
    for choice in (True, False):
        told = outward(after, choice_recorded=choice, attendance=False)
        assert told == Outward(TaskStatus.COMPLETED, Status.CLOSED, "Referral closed", "Referral closed.")


def test_a_later_pause_changes_only_the_text():
    told = outward(completed(engagement_status="onhold"), choice_recorded=True, attendance=False)
    assert told == Outward(TaskStatus.COMPLETED, Status.ENROLLED, "Paused", None)


def test_what_was_completed_at_the_first_meeting_says_working_together_once_enrolled():
    at_intro = completed(completed_as=Status.INTRO_DONE)
    assert outward(at_intro, choice_recorded=True, attendance=False).status is Status.ENROLLED
    deciding = replace(at_intro, status=Status.DECIDING)
    assert outward(deciding, choice_recorded=True, attendance=True).status is Status.INTRO_DONE


def test_the_last_word_about_an_ended_task_stays_the_last():
    rejected = Outward(TaskStatus.REJECTED, Status.DECLINED_PROGRAM, "x", "why")
    for told in (CLOSED_FORM, rejected):
        assert outward(completed(told=told), choice_recorded=True, attendance=True) == told
    mistake = replace(completed(told=CLOSED_FORM), status=Status.ENTERED_IN_ERROR)
    assert outward(mistake, choice_recorded=True, attendance=True).status is Status.ENTERED_IN_ERROR


def test_a_jump_gets_its_legal_steps():
    after = Outward(TaskStatus.COMPLETED, Status.REDIRECTED, "Referred on", None)
    first, last = outward_steps(None, after)
    assert (first.task_status, last) == (TaskStatus.ACCEPTED, after)
    assert outward_steps(first, after) == (after,)
    assert outward_steps(after, after) == (after,)


# -- what the requester's writing means


@pytest.mark.parametrize("stored", list(TaskStatus))
@pytest.mark.parametrize("asked", list(TaskStatus))
def test_the_requester_may_cancel_and_correct_and_nothing_else(stored, asked):
    may_cancel = {TaskStatus.REQUESTED, TaskStatus.ACCEPTED, TaskStatus.IN_PROGRESS, TaskStatus.ON_HOLD}
    if asked is TaskStatus.ENTERED_IN_ERROR and stored is not asked:
        assert requester_move(stored, asked) is Event.MISTAKE
    elif asked is TaskStatus.CANCELLED and stored in may_cancel:
        assert requester_move(stored, asked) is Event.WITHDRAW_REFERRER
    elif (stored, asked) == (TaskStatus.DRAFT, TaskStatus.REQUESTED):
        assert requester_move(stored, asked) is Event.RECEIVE
    elif asked in TASK_MOVES.get(stored, frozenset()):
        with pytest.raises(WrongActor):
            requester_move(stored, asked)
    else:
        with pytest.raises(IllegalTransition):
            requester_move(stored, asked)


def test_every_status_that_is_told_has_words():
    inside_only = {Status.DECLINED_PERSON, Status.WITHDRAWN_PERSON, Status.UNABLE_TO_CONTACT}
    assert set(SHOWN) == set(Status) - inside_only
    for status in inside_only:
        assert task_status_of(status, CompleteOn.ENROLLED) is TaskStatus.CANCELLED
