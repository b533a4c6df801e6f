from __future__ import annotations

from sqlalchemy import update

from peerfhir.records.database import writing
from peerfhir.records.schema import outbox_message
from tests.portal.journey import WORKING, answers


def test_what_was_sent_is_listed_with_its_words_and_cannot_be_unsent(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    person = site.browser()
    assert "Nothing about you has been sent." in person.open(own).text
    site.share(own, "hospital.attendance", "hospital.summary", "hospital.scores")
    peer.open(f"/people/{referral.person_id}/note")
    peer.press(f"/people/{referral.person_id}/note", site.note(summary="We set one goal."))
    at = f"/people/{referral.person_id}/phq-9"
    peer.press(at, answers(peer.open(at)))
    assert "Nothing about you has been sent." in person.open(own).text  # owed is not sent
    site.deliver_all()
    page = person.open(own)
    assert "What was sent cannot be taken back." in page.text
    for line in ("That we met, to the hospital", "A short summary of a meeting, to the hospital", "We set one goal.",
                 "The total of your answers, to the hospital"):  # fmt: skip
        assert line in page.text
    for same in ("One answer", "That peer support took place", "That you answered questions"):
        assert same not in page.text
    assert WORKING not in page.html


def test_what_is_kept_at_our_own_door_was_not_sent(site):
    referral = site.refer("Marisol", "Vega")
    own = site.choosing(referral)
    site.deliver_all()
    with writing(site.parts.engine) as connection:
        connection.execute(update(outbox_message).values(form="kept", rung=4))
    assert "Nothing about you has been sent." in site.browser().open(own).text


def test_a_state_that_was_told_often_on_a_day_is_listed_once(site):
    referral = site.refer("Marisol", "Vega")
    _, own = site.matched(referral)
    site.share(own, "hospital.attendance")
    site.deliver_all()
    page = site.browser().open(own)
    assert page.text.count("Where your referral stands, to the hospital") == 1


def test_what_was_allowed_is_listed_with_its_days(site):
    referral = site.refer("Marisol", "Vega")
    own = site.choosing(referral)
    site.share(own, "hospital.attendance", "hospital.summary")
    site.clock.move(days=2)
    page = site.share(own, "hospital.attendance")
    assert "That we met, with the hospital: on since Saturday, November 21, at 6:30 pm" in page.text
    assert "A short summary, with the hospital: from Saturday, November 21, at 6:30 pm to today at 6:30 pm" in page.text
