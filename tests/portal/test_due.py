"""Questionnaires that are to be asked stand on the first page of the peer, from the day on which they may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from peerfhir.pathway.outcome import Schedule
from tests.portal.journey import answers
from tests.portal.site import Site

ASKED = "Ask Marisol: PHQ-9"


def scheduled(site: Site) -> None:
    """PHQ-9 two weeks after the start and then every ninety days, a week earlier or later."""
    phq9 = replace(site.parts.instruments["phq-9"], schedule=Schedule(14, 90, 7))
    object.__setattr__(site.parts, "instruments", {**site.parts.instruments, "phq-9": phq9})


def test_a_window_lies_around_the_day_that_is_counted():
    schedule = Schedule(14, 90, 7)
    assert schedule.due(date(2026, 11, 1), None) == (date(2026, 11, 8), date(2026, 11, 22))
    assert schedule.due(date(2026, 11, 1), date(2026, 11, 10)) == (date(2027, 2, 1), date(2027, 2, 15))


def test_a_questionnaire_is_asked_for_in_its_time_and_not_again_until_the_next(site):
    scheduled(site)
    referral = site.refer("Marisol", "Vega")
    site.enrolled(referral)
    at = f"/people/{referral.person_id}/phq-9"

    def first_page(days: int, login: str = "tomas"):
        site.clock.move(days=days)
        return site.browser(login).open("/")

    assert ASKED not in first_page(6).text
    page = first_page(1)
    assert ASKED in page.text
    assert "by Saturday" in page.text
    assert at in page.links
    assert "GAD-7" not in page.text  # it has no schedule
    assert ASKED not in first_page(0, "ana").text
    assert ASKED in first_page(30).text  # late is still to be asked

    peer = site.browser("tomas")
    peer.press(at, answers(peer.open(at)))
    assert ASKED not in peer.open("/").text
    assert ASKED not in first_page(82).text
    assert ASKED in first_page(1).text


def test_who_pauses_or_stopped_is_not_asked(site):
    scheduled(site)
    referral = site.refer("Marisol", "Vega")
    _, own = site.enrolled(referral)
    site.clock.move(days=10)
    peer = site.browser("tomas")
    assert ASKED in peer.open("/").text
    peer.open(f"/referrals/{referral.id}")
    peer.press(f"/referrals/{referral.id}/pause")
    assert ASKED not in peer.open("/").text
    peer.open(f"/referrals/{referral.id}")
    peer.press(f"/referrals/{referral.id}/resume")
    assert ASKED in peer.open("/").text
    person = site.browser()
    person.open(own)
    person.press(f"{own}/stop")
    assert ASKED not in peer.open("/").text


def test_without_a_schedule_nothing_is_asked_for(site):
    referral = site.refer("Marisol", "Vega")
    site.enrolled(referral)
    site.clock.move(days=400)
    assert "Ask " not in site.browser("tomas").open("/").text
