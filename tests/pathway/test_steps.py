"""The steps of a referral, one unit of work each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from peerfhir.pathway import steps
from peerfhir.pathway.people import Identifier, Wishes
from peerfhir.pathway.refusals import (
    AttemptsMissing,
    BadTimes,
    Closed,
    IllegalTransition,
    NotFoundHere,
    PeerNotAvailable,
    ReasonMissing,
    WrongActor,
)
from peerfhir.pathway.vocabulary import (
    ContactOutcome,
    DeclineReason,
    Modality,
    Piece,
    Role,
    ShareClass,
    Status,
    TaskStatus,
)
from tests.support.books import (
    COORDINATOR,
    GATEWAY,
    OTHER_REQUESTER,
    REQUESTER,
    a_peer,
    a_person,
    an_order,
    arrive,
    as_peer,
    as_person,
    attempt,
    bring,
    new_books,
    share,
    staff,
)


def test_an_order_that_arrives_is_received_numbered_and_its_sender_is_told():
    books = new_books()
    referral = arrive(books)
    assert (referral.status, referral.task_status) == (Status.RECEIVED, TaskStatus.REQUESTED)
    assert (referral.number, referral.received_at, referral.version) == ("PF-000001", books.now(), 1)
    assert referral.program_id == "riverside"
    assert books.told(referral.id) == [("requested", "received")]


def test_the_same_task_again_is_the_same_referral():
    books = new_books()
    first = arrive(books)
    before = books.state()
    assert arrive(books) == first
    assert books.state() == before


def test_only_the_gateway_receives():
    books = new_books()
    for actor in (REQUESTER, COORDINATOR, as_peer("p1"), staff(Role.ENGINEER)):
        with books.refused(WrongActor):
            steps.receive_referral(books.acting(actor), a_person(), an_order())


def test_a_known_person_keeps_what_is_theirs_and_takes_over_what_the_hospital_knows():
    books = new_books()
    first = arrive(books)
    known = books.person(first.person_id)
    books.save_person(
        replace(known, excluded_peers=frozenset({"p2"}), wishes=Wishes(language="es"), sharing_chosen_at=books.now())
    )
    newer = a_person(
        "",
        phone="+1 555 0100",
        identifiers=(known.identifiers[0], Identifier("urn:example:other", "7")),
        wishes=Wishes(language="en"),
    )
    second = steps.receive_referral(books, newer, an_order("task-2"))
    person = books.person(second.person_id)
    assert second.person_id == first.person_id
    assert (person.phone, person.wishes.language, person.excluded_peers) == ("+1 555 0100", "es", {"p2"})
    assert person.sharing_chosen_at is not None
    assert len(person.identifiers) == 2


def test_an_order_brings_no_choice_about_sharing():
    books = new_books()
    claimed = a_person("", sharing_chosen_at=books.now())
    person = books.person(steps.receive_referral(books, claimed, an_order()).person_id)
    assert person.sharing_chosen_at is None


def test_a_person_without_identifiers_is_a_new_person():
    books = new_books()
    unknown = replace(a_person(), identifiers=())
    one = steps.receive_referral(books, unknown, an_order("a"))
    two = steps.receive_referral(books, unknown, an_order("b"))
    assert one.person_id != two.person_id


def test_the_usual_way_before_the_choice_tells_only_being_reviewed_and_in_contact():
    books = new_books()
    referral = bring(books, Status.ENROLLED)
    assert books.told(referral.id) == [
        ("requested", "received"),
        ("requested", "triage"),
        ("accepted", "triage"),
        ("in-progress", "in-contact"),
    ]
    share(books, referral.person_id, ShareClass.ATTENDANCE)
    assert books.told(referral.id)[-1] == ("completed", "enrolled")


def test_nobody_who_fits_leaves_it_in_matching():
    books = new_books(peers=0)
    referral = bring(books, Status.TRIAGE)
    after = steps.propose_peers(books.acting(COORDINATOR), referral.id)
    assert (after.status, after.proposals) == (Status.MATCHING, ())
    books.save_peer(a_peer("p9"))
    again = steps.propose_peers(books.acting(COORDINATOR), referral.id)
    assert [p.peer_id for p in again.proposals] == ["p9"]


def test_a_peer_from_before_is_known_as_such():
    books = new_books()
    earlier = bring(books, Status.CONTACT_MADE)
    steps.decline_by_person(books.acting(as_person(earlier.person_id)), earlier.id)
    again = bring(books, Status.TRIAGE, task_id="task-2")
    proposals = steps.propose_peers(books.acting(COORDINATOR), again.id).proposals
    assert "You know each other from before" in next(p for p in proposals if p.peer_id == "p1").reasons


def test_none_of_these_is_an_answer_and_brings_other_peers():
    books = new_books(peers=5)
    referral = bring(books, Status.TRIAGE)
    first = steps.propose_peers(books.acting(COORDINATOR), referral.id).proposals
    back = steps.choose_peer(books.acting(as_person(referral.person_id)), referral.id, None)
    assert (back.status, back.proposals) == (Status.MATCHING, ())
    second = steps.propose_peers(books.acting(COORDINATOR), referral.id).proposals
    assert len(second) == 2
    assert not {p.peer_id for p in first} & {p.peer_id for p in second}


def test_only_a_proposed_peer_can_be_chosen_and_only_for_oneself():
    books = new_books(peers=5)
    referral = bring(books, Status.TRIAGE)
    me = books.acting(as_person(referral.person_id))
    with books.refused(IllegalTransition):
        steps.choose_peer(me, referral.id, "p1")
    proposed = steps.propose_peers(books.acting(COORDINATOR), referral.id).proposals
    with books.refused(PeerNotAvailable):
        steps.choose_peer(me, referral.id, "p5")
    for stranger in (as_person("other"), as_peer("p1"), REQUESTER):
        with books.refused(WrongActor):
            steps.choose_peer(books.acting(stranger), referral.id, proposed[0].peer_id)
    assert steps.choose_peer(me, referral.id, "p2").peer_id == "p2"
    steps.withdraw_by_requester(books.acting(REQUESTER), referral.id, "Moved away.")
    with books.refused(Closed):
        steps.choose_peer(me, referral.id, "p1")


def test_a_choice_is_not_undone_by_proposing_again_but_by_the_peer_or_the_person():
    books = new_books()
    referral = bring(books, Status.TRIAGE)
    steps.propose_peers(books.acting(COORDINATOR), referral.id)
    steps.choose_peer(books.acting(as_person(referral.person_id)), referral.id, "p2")
    with books.refused(IllegalTransition):
        steps.propose_peers(books.acting(COORDINATOR), referral.id)
    assert books.referral(referral.id).peer_id == "p2"
    steps.not_me(books.acting(as_peer("p2")), referral.id)
    again = steps.propose_peers(books.acting(COORDINATOR), referral.id)
    assert {one.peer_id for one in again.proposals} & {"p2"} == set()


def test_only_the_chosen_peer_accepts_and_their_caseload_grows():
    books = new_books()
    referral = bring(books, Status.TRIAGE)
    steps.propose_peers(books.acting(COORDINATOR), referral.id)
    with books.refused(WrongActor):
        steps.accept_person(books.acting(as_peer("p2")), referral.id)
    steps.choose_peer(books.acting(as_person(referral.person_id)), referral.id, "p2")
    with books.refused(WrongActor):
        steps.accept_person(books.acting(as_peer("p1")), referral.id)
    accepted = steps.accept_person(books.acting(as_peer("p2")), referral.id)
    assert (accepted.status, accepted.peer_accepted_at) == (Status.ASSIGNED, books.now())
    assert books.peer("p2").load == Decimal("1.5")
    with books.refused(IllegalTransition):
        steps.propose_peers(books.acting(COORDINATOR), referral.id)


def test_a_peer_who_is_full_by_now_cannot_accept():
    books = new_books()
    referral = bring(books, Status.MATCH_PROPOSED)
    books.save_peer(replace(books.peer("p1"), load=Decimal(12)))
    with books.refused(PeerNotAvailable):
        steps.accept_person(books.acting(as_peer("p1")), referral.id)


def test_not_me_needs_no_reason_and_frees_the_caseload():
    books = new_books()
    referral = bring(books, Status.OUTREACH)
    assert books.peer("p1").load == Decimal("1.5")
    with books.refused(WrongActor):
        steps.not_me(books.acting(as_person(referral.person_id)), referral.id)
    after = steps.not_me(books.acting(as_peer("p1")), referral.id)
    assert (after.status, after.peer_id, after.peer_accepted_at) == (Status.MATCHING, None, None)
    assert after.refused_peers == {"p1"}
    assert books.peer("p1").load == 0
    assert books.peer("p1").excluded_people == frozenset()
    assert after.task_status is TaskStatus.IN_PROGRESS


@pytest.mark.parametrize("from_peer", [True, False])
def test_i_know_them_keeps_the_two_apart_for_good(from_peer):
    books = new_books()
    referral = bring(books, Status.ASSIGNED)
    if from_peer:
        steps.not_me(books.acting(as_peer("p1")), referral.id, knows=True)
        assert books.peer("p1").excluded_people == {referral.person_id}
    else:
        steps.change_peer(books.acting(as_person(referral.person_id)), referral.id, knows=True)
        assert books.person(referral.person_id).excluded_peers == {"p1"}
    fresh = bring(books, Status.TRIAGE, task_id="task-2")
    proposals = steps.propose_peers(books.acting(COORDINATOR), fresh.id).proposals
    assert "p1" not in {p.peer_id for p in proposals}


def test_a_peer_does_not_change_the_peer_for_the_person():
    books = new_books()
    referral = bring(books, Status.ASSIGNED)
    with books.refused(WrongActor):
        steps.change_peer(books.acting(as_peer("p1")), referral.id)


def test_attempts_are_noted_and_an_answer_is_contact():
    books = new_books()
    referral = bring(books, Status.ASSIGNED)
    assert attempt(books, referral.id, ContactOutcome.LEFT_VOICEMAIL).status is Status.OUTREACH
    after = attempt(books, referral.id, ContactOutcome.ANSWERED)
    assert after.status is Status.CONTACT_MADE
    assert [a.outcome for a in after.attempts] == [ContactOutcome.LEFT_VOICEMAIL, ContactOutcome.ANSWERED]
    assert attempt(books, referral.id, ContactOutcome.NO_ANSWER).status is Status.CONTACT_MADE
    for other in (COORDINATOR, as_peer("p2"), as_person(referral.person_id)):
        with books.refused(WrongActor):
            steps.log_contact(books.acting(other), referral.id, Modality.PHONE, ContactOutcome.NO_ANSWER)


def test_a_meeting_is_booked_moved_missed_and_booked_again():
    books = new_books()
    referral = bring(books, Status.CONTACT_MADE)
    me = books.acting(as_peer("p1"))
    tomorrow = books.now() + timedelta(days=1)
    for wrong in (books.now(), books.now() - timedelta(days=1), tomorrow.replace(tzinfo=None)):
        with books.refused(BadTimes):
            steps.book_meeting(me, referral.id, wrong)
    assert steps.book_meeting(me, referral.id, tomorrow).meeting_at == tomorrow
    assert steps.cancel_meeting(me, referral.id).meeting_at is None
    steps.book_meeting(me, referral.id, tomorrow)
    missed = steps.miss_meeting(me, referral.id)
    assert (missed.status, missed.meeting_at) == (Status.INTRO_MISSED, None)
    assert steps.book_meeting(me, referral.id, tomorrow).status is Status.INTRO_SCHEDULED


def test_a_program_declines_with_a_sentence_that_the_referrer_reads():
    books = new_books()
    referral = bring(books, Status.TRIAGE)
    with books.refused(ReasonMissing):
        steps.decline(books.acting(COORDINATOR), referral.id, DeclineReason.NO_CAPACITY, " ")
    after = steps.decline(books.acting(COORDINATOR), referral.id, DeclineReason.NO_CAPACITY, "Full until May.")
    assert (after.decline_reason, after.closed_at) == ("no-capacity", books.now())
    assert books.told(referral.id)[-1] == ("rejected", "declined-program")
    assert books.owed(Piece.STATUS)[-1].referral.told.reason == "Full until May."
    with books.refused(Closed):
        steps.propose_peers(books.acting(COORDINATOR), referral.id)


def test_the_waitlist_and_a_question_are_told():
    books = new_books()
    referral = bring(books, Status.TRIAGE)
    steps.ask_question(books.acting(COORDINATOR), referral.id, "Which unit?")
    steps.resume(books.acting(COORDINATOR), referral.id)
    steps.waitlist(books.acting(COORDINATOR), referral.id)
    assert books.told(referral.id)[-3:] == [
        ("requested", "info-needed"),
        ("requested", "triage"),
        ("accepted", "waitlisted"),
    ]


def test_giving_up_after_three_attempts_says_only_closed():
    books = new_books()
    referral = bring(books, Status.ASSIGNED)
    for _ in range(2):
        attempt(books, referral.id, ContactOutcome.NO_ANSWER)
    with books.refused(AttemptsMissing):
        steps.give_up(books.acting(as_peer("p1")), referral.id)
    attempt(books, referral.id, ContactOutcome.NO_ANSWER)
    after = steps.give_up(books.acting(as_peer("p1")), referral.id)
    assert after.status is Status.UNABLE_TO_CONTACT
    assert books.told(referral.id)[-1] == ("cancelled", "closed")
    assert books.peer("p1").load == 0


def test_three_ends_owe_messages_that_differ_in_ids_only():
    last = set()
    for end in ("declined-person", "withdrawn-person", "unable-to-contact"):
        books = new_books()
        referral = bring(books, Status.CONTACT_MADE)
        me = books.acting(as_person(referral.person_id))
        if end == "declined-person":
            steps.decline_by_person(me, referral.id, "not for me")
        elif end == "withdrawn-person":
            steps.stop_sharing(me, referral.person_id)
        else:
            steps.give_up(books.acting(COORDINATOR), referral.id, "The phone is off.")
        assert books.referral(referral.id).status.value == end
        waiting = books.owed(Piece.STATUS)
        assert len(waiting) == 1
        last.add(waiting[0].referral.told)
    assert len(last) == 1


@pytest.mark.parametrize("step", [steps.redirect, steps.transfer])
def test_sending_on_before_acceptance_is_told_in_legal_steps(step):
    books = new_books()
    person_id = bring(books, Status.ENROLLED).person_id
    share(books, person_id, ShareClass.ATTENDANCE)
    second = arrive(books, task_id="task-2")
    after = step(books.acting(COORDINATOR), second.id, "The day center")
    ending = "redirected" if step is steps.redirect else "transferred-higher-care"
    assert books.told(second.id) == [("requested", "received"), ("accepted", "triage"), ("completed", ending)]
    assert [w.referral.version for w in books.owed(Piece.STATUS) if w.owed.referral_id == second.id] == [1, 2, 3]
    assert (after.task_status, after.version) == (TaskStatus.COMPLETED, 3)
    assert after.accepted_at == books.now()


@pytest.mark.parametrize("step", [steps.redirect, steps.transfer])
def test_sending_on_before_the_choice_is_told_as_closed(step):
    books = new_books()
    referral = arrive(books)
    step(books.acting(COORDINATOR), referral.id, "The day center")
    assert books.told(referral.id) == [("requested", "received"), ("cancelled", "closed")]


def test_the_requester_takes_the_order_back_with_a_reason():
    books = new_books()
    referral = bring(books, Status.CONTACT_MADE)
    with books.refused(ReasonMissing):
        steps.withdraw_by_requester(books.acting(REQUESTER), referral.id, "")
    for stranger in (OTHER_REQUESTER, COORDINATOR, as_person(referral.person_id)):
        with books.refused(WrongActor):
            steps.withdraw_by_requester(books.acting(stranger), referral.id, "x")
    steps.withdraw_by_requester(books.acting(REQUESTER), referral.id, "Moved away.")
    assert books.told(referral.id)[-1] == ("cancelled", "withdrawn-referrer")
    assert books.peer("p1").load == 0
    with books.refused(Closed):
        steps.withdraw_by_requester(books.acting(REQUESTER), referral.id, "Again.")


def test_an_order_taken_back_before_its_completion_was_told_is_the_last_word():
    books = new_books()
    referral = bring(books, Status.ENROLLED)
    with books.refused(ReasonMissing):
        steps.withdraw_by_requester(books.acting(REQUESTER), referral.id, " ")
    before = books.told(referral.id)
    after = steps.withdraw_by_requester(books.acting(REQUESTER), referral.id, "Moved away.")
    assert after.status is Status.ENROLLED  # the two go on walking together
    share(books, referral.person_id, ShareClass.ATTENDANCE)
    assert books.told(referral.id) == before


def test_a_mistake_leaves_from_any_state_once():
    for status in (Status.RECEIVED, Status.OUTREACH, Status.ENROLLED):
        books = new_books()
        referral = bring(books, status)
        after = steps.mark_mistake(books.acting(REQUESTER), referral.id)
        assert after.task_status is TaskStatus.ENTERED_IN_ERROR or status is Status.ENROLLED
        assert books.told(referral.id)[-1] == ("entered-in-error", "entered-in-error") or status is Status.RECEIVED
        assert books.peer("p1").load == 0
        with books.refused(Closed):
            steps.mark_mistake(books.acting(REQUESTER), referral.id)


def test_a_mistake_after_an_end_does_not_free_the_caseload_twice():
    books = new_books()
    referral = bring(books, Status.OUTREACH)
    books.save_peer(replace(books.peer("p1"), load=Decimal(5)))
    steps.decline_by_person(books.acting(as_peer("p1")), referral.id)
    steps.mark_mistake(books.acting(REQUESTER), referral.id)
    assert books.peer("p1").load == Decimal("3.5")


def test_nothing_is_owed_for_an_order_without_an_endpoint():
    books = new_books()
    order = an_order()
    local = replace(order, origin=replace(order.origin, endpoint=None))
    referral = steps.receive_referral(books, a_person(), local)
    steps.start_triage(books.acting(COORDINATOR), referral.id)
    assert books.owed() == []
    assert books.referral(referral.id).told.status is Status.TRIAGE


def test_another_programs_referral_is_not_found():
    books = new_books()
    referral = arrive(books)
    with books.refused(NotFoundHere):
        steps.start_triage(books.acting(staff(program_id="elsewhere")), referral.id)
    with books.refused(NotFoundHere):
        steps.start_triage(books.acting(COORDINATOR), "no-such")
    assert GATEWAY.program_id == "riverside"
