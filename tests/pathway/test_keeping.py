"""Saving a referral and owing what follows from it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from peerfhir.pathway.keeping import check_close_to, keep, lighten, owe_encounter, referral_of, release_peer, take_on
from peerfhir.pathway.refusals import StaleVersion, WrongActor
from peerfhir.pathway.vocabulary import Role, ShareClass, Status
from tests.support.books import COORDINATOR, a_meeting, arrive, as_peer, as_person, bring, new_books, share, staff


def test_a_status_is_owed_only_when_what_is_told_has_changed():
    books = new_books()
    referral = arrive(books)
    person = books.person(referral.person_id)
    again = keep(books, person, replace(referral, reason="another word"))
    assert (again.version, len(books.owed())) == (2, 1)


def test_an_old_version_is_refused():
    books = new_books()
    referral = arrive(books)
    person = books.person(referral.person_id)
    keep(books, person, referral)
    with books.refused(StaleVersion):
        keep(books, person, referral)


def test_a_cancelled_meeting_is_never_owed():
    books = new_books()
    referral = bring(books, Status.ENROLLED)
    share(books, referral.person_id, ShareClass.ATTENDANCE)
    books.shelf.waiting.clear()
    meeting = replace(a_meeting(books, referral), status="cancelled")
    owe_encounter(books, books.person(referral.person_id), books.referral(referral.id), meeting)
    assert books.owed() == []


def test_a_record_belongs_to_the_latest_open_referral_of_the_peer():
    books = new_books()
    first = bring(books, Status.ASSIGNED)
    second = bring(books, Status.ASSIGNED, task_id="task-2")
    person = books.person(first.person_id)
    assert referral_of(books, person, None, peer_id="p1").id == second.id
    assert referral_of(books, person, first.id, peer_id="p1").id == first.id
    assert referral_of(books, person, None, peer_id="p2") is None


def test_close_to_a_person_are_they_themselves_their_peer_and_coordinating_staff():
    books = new_books()
    referral = bring(books, Status.ASSIGNED)
    person = books.person(referral.person_id)
    for actor in (as_person(person.id), as_peer("p1"), COORDINATOR, staff(Role.SUPERVISOR)):
        check_close_to(books.acting(actor), person)
    for actor in (as_person("other"), as_peer("p2"), staff(Role.ENGINEER), staff(Role.PEER)):
        with pytest.raises(WrongActor):
            check_close_to(books.acting(actor), person)


def test_a_caseload_never_falls_below_nothing_and_needs_a_peer():
    books = new_books()
    referral = bring(books, Status.ASSIGNED)
    books.save_peer(replace(books.peer("p1"), load=Decimal("0.2")))
    release_peer(books, books.referral(referral.id))
    assert books.peer("p1").load == 0
    nobody = replace(referral, peer_id=None, peer_accepted_at=None)
    before = books.state()
    for change in (take_on, lighten, release_peer):
        change(books, nobody)
    assert books.state() == before


def test_a_meeting_under_an_order_without_an_endpoint_is_owed_nowhere():
    books = new_books()
    referral = bring(books, Status.ENROLLED)
    share(books, referral.person_id, ShareClass.ATTENDANCE)
    books.shelf.waiting.clear()
    local = replace(referral, origin=replace(referral.origin, endpoint=None))
    owe_encounter(books, books.person(referral.person_id), local, a_meeting(books, referral))
    assert books.owed() == []
