from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from peerfhir.pathway.people import Program
from peerfhir.pathway.referral import ContactAttempt
from peerfhir.pathway.vocabulary import ContactOutcome, Status
from peerfhir.portal.states import chip, history, meaning, time_line
from peerfhir.portal.words import catalogue
from tests.portal.test_actions import referral
from tests.portal.test_words import NOON

PROGRAM = Program("p", "Program", contact_attempts=3)


def test_every_state_has_a_chip_and_a_sentence():
    words = catalogue()
    for status in Status:
        found = chip(referral(status), PROGRAM, words)
        assert found.text
        assert found.tone in ("new", "wait", "go", "rest")
        assert meaning(referral(status), words).endswith(".")


def test_tries_are_counted_since_they_last_answered():
    missed = ContactAttempt(NOON, "a", "phone", ContactOutcome.NO_ANSWER)
    answered = replace(missed, outcome=ContactOutcome.ANSWERED)
    one = referral(Status.OUTREACH, attempts=(missed, missed, answered, missed, missed))
    assert chip(one, PROGRAM, catalogue()).text == "Reaching out (try 2 of 3)"


def test_a_choice_that_waits_for_the_peer_is_told_apart():
    words = catalogue()
    chosen = chip(referral(Status.MATCH_PROPOSED, peer_id="me"), PROGRAM, words)
    open_ = chip(referral(Status.MATCH_PROPOSED, peer_id=None), PROGRAM, words)
    assert chosen.text != open_.text
    ended = replace(referral(Status.ENROLLED), closed_at=NOON)
    assert chip(ended, PROGRAM, words).text == "Closed"
    assert meaning(ended, words) == "It has ended."


def test_a_time_line_tells_states_and_tries_and_nothing_twice():
    words = catalogue()
    at = [NOON + timedelta(hours=n) for n in range(6)]
    tried = ContactAttempt(at[3], "a", "phone", ContactOutcome.LEFT_VOICEMAIL)
    steps = [
        referral(Status.RECEIVED), referral(Status.TRIAGE), referral(Status.TRIAGE, reason="changed"),
        referral(Status.OUTREACH, attempts=(tried,)), referral(Status.CONTACT_MADE, attempts=(tried,)),
    ]  # fmt: skip
    line = time_line(list(zip(at, steps, strict=False)), PROGRAM, words)
    assert [one.text for one in line] == [
        "New", "Being looked at", "By phone: I left a voice message", "Reaching out (try 1 of 3)", "In touch",
    ]  # fmt: skip


def test_history_is_of_one_program(site):
    one = site.refer("Marisol", "Vega")
    with site.work() as work:
        assert [r.status for _, r in history(work.connection, work.program, one.id)] == [Status.RECEIVED]
    with site.work("hilltop") as work:
        assert history(work.connection, work.program, one.id) == []
