from __future__ import annotations

import pytest

from peerfhir.pathway.consent import in_force
from peerfhir.pathway.vocabulary import Status
from tests.portal.browse import Browser
from tests.portal.site import Site


@pytest.fixture
def choosing(site: Site) -> tuple[Site, Browser, str, str]:
    """Marisol has her page open; three peers are proposed."""
    referral = site.refer("Marisol", "Vega")
    own = site.choosing(referral)
    person = site.browser()
    person.open(own)
    return site, person, own, referral.id


def granted(site: Site, referral_id: str) -> set[str]:
    with site.work() as work:
        person_id = work.referral(referral_id).person_id
        return {f"{one.recipient}.{one.share_class}" for one in work.grants_of(person_id) if in_force(one, work.now())}


def test_the_person_chooses_among_at_most_three_or_none(choosing):
    site, person, own, referral_id = choosing
    offered = person.page.offered("peer_id")
    assert len(offered) == 4
    assert offered[-1] == "none"
    assert person.page.by_id("choose").text
    page = person.press(f"{own}/choose", {"peer_id": offered[0]})
    assert "Thank you. We ask them now." in page.text
    assert page.offered("peer_id") == []
    with site.work() as work:
        assert work.referral(referral_id).peer_id == offered[0]


def test_none_of_these_is_an_answer(choosing):
    site, person, own, referral_id = choosing
    page = person.press(f"{own}/choose", {"peer_id": "none"})
    assert "Thank you. We look for others." in page.text
    with site.work() as work:
        assert work.referral(referral_id).status is Status.MATCHING


@pytest.mark.parametrize("wrong", ["peer-tomas.h", "nobody", "x" * 65, "<b>"])
def test_somebody_who_was_not_proposed_cannot_be_chosen(choosing, wrong):
    site, person, own, referral_id = choosing
    page = person.press(f"{own}/choose", {"peer_id": wrong})
    assert page.status in (403, 422)
    with site.work() as work:
        assert work.referral(referral_id).peer_id is None


def test_changing_peer_needs_no_reason(choosing):
    site, person, own, referral_id = choosing
    person.press(f"{own}/choose", {"peer_id": site.peers["tomas"].id})
    page = person.press(f"{own}/change-peer")
    assert page.status == 200
    with site.work() as work:
        assert work.referral(referral_id).status is Status.MATCHING


def test_everything_is_off_until_it_is_turned_on(choosing):
    site, person, own, referral_id = choosing
    switches = person.page.all("input", type="checkbox")
    assert len(switches) == 10
    assert not any("checked" in e.attrs for e in switches)
    assert granted(site, referral_id) == set()
    chosen = {"hospital.attendance", "hospital.summary", "referrer.scores"}
    page = person.press(f"{own}/sharing", dict.fromkeys(chosen, "on"))
    assert granted(site, referral_id) == chosen
    assert {e.attrs["name"] for e in page.all("input", type="checkbox") if "checked" in e.attrs} == chosen
    page = person.press(f"{own}/sharing", {"hospital.attendance": "on"})
    assert granted(site, referral_id) == {"hospital.attendance"}
    assert "A short summary, with the hospital: from today" in page.text
    person.press(f"{own}/sharing", {})
    assert granted(site, referral_id) == set()


def test_names_of_switches_that_do_not_exist_turn_nothing_on(choosing):
    site, person, own, referral_id = choosing
    wrong = ("hospital.everything", "employer.summary", "hospital", ".", "hospital.", ".summary", "hospital.summary.x")
    assert person.press(f"{own}/sharing", dict.fromkeys(wrong, "on")).status == 200
    assert granted(site, referral_id) == set()
    page = person.press(f"{own}/sharing", {"payer.summary": "on", "hospital.summary": "on"})
    assert page.status == 422
    assert "This cannot be shared with them." in page.text
    assert granted(site, referral_id) == set()


def test_stopping_takes_two_taps_and_no_reason(choosing):
    site, person, own, referral_id = choosing
    site.share(own, "hospital.summary")
    page = person.open(own)
    [form] = [e for e in page.all("form") if e.attrs["action"].endswith("/stop")]
    assert form.within("details") is not None  # one tap opens it, the second one stops
    fields = [e.attrs["name"] for e in page.reader.elements if e.within("form") is form and "name" in e.attrs]
    assert fields == ["_token"]
    page = person.press(f"{own}/stop")
    assert "You stopped" in page.text
    assert "Nothing more is sent." in page.text
    assert granted(site, referral_id) == set()
    with site.work() as work:
        assert work.referral(referral_id).status is Status.WITHDRAWN_PERSON
    assert not any(action.endswith("/stop") for action in page.actions)
    assert person.press(f"{own}/stop").status == 200  # once more does no harm


def test_starting_again_is_possible(choosing):
    site, person, own, referral_id = choosing
    person.press(f"{own}/stop")
    page = person.press(f"{own}/sharing", {"hospital.summary": "on"})
    assert page.status == 200
    assert "You stopped" not in page.text
    assert granted(site, referral_id) == {"hospital.summary"}


def test_the_page_says_who_the_peer_is_and_when_they_meet(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    person = site.browser()
    assert "Tomas T. walks with you." in person.open(own).text
    peer.press(f"/referrals/{referral.id}/meeting", {"at": "2026-11-25T10:00"})
    assert "Your first meeting: Wednesday, November 25, at 10:00 am" in person.open(own).text


def test_the_page_has_no_way_into_the_pages_of_staff(choosing):
    _, person, own, _ = choosing
    assert all(href.startswith(("#", "tel:")) for href in person.page.links)
    assert all(action.startswith(own) for action in person.page.actions)
    assert person.open("/people").path == "/sign-in"


def test_what_a_person_does_is_written_down_as_theirs(choosing):
    from sqlalchemy import select

    from peerfhir.records.schema import audit

    site, person, own, referral_id = choosing
    person.press(f"{own}/sharing", {"hospital.summary": "on"})
    with site.work() as work:
        person_id = work.referral(referral_id).person_id
        rows = work.connection.execute(select(audit).where(audit.c.role == "person")).all()
    assert {row.actor for row in rows} == {person_id}
    assert {"read", "create"} <= {row.action for row in rows}
