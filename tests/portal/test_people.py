from __future__ import annotations

from tests.portal.journey import WORKING


def test_a_peer_sees_their_own_people_and_a_lead_sees_all(site):
    mine, other = site.refer("Marisol", "Vega"), site.refer("Amina", "Okoye")
    site.matched(mine, "tomas")
    site.matched(other, "ana")
    page = site.browser("tomas").open("/people")
    assert "Marisol Vega" in page.text
    assert "Amina" not in page.html
    page = site.browser("carla").open("/people")
    assert "Marisol Vega" in page.text
    assert "Amina Okoye" in page.text


def test_the_working_note_is_for_who_wrote_it_and_for_supervisors(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    about = f"/people/{referral.person_id}"
    peer.open(f"{about}/note")
    peer.press(f"{about}/note", site.note(summary="We met."))
    for login, sees in (("tomas", True), ("sue", True), ("carla", False)):
        page = site.browser(login).open(about)
        assert (WORKING in page.html) == sees, login
        assert ("Call next week" in page.text) == sees, login
        assert "We met." in page.text
    assert site.browser("ed").open(about).status == 403
    assert site.browser("ana").open(about).status == 404
    assert site.browser("sue.h").open(about).status == 404
    assert WORKING not in site.browser().open(own).html


def test_a_new_peer_does_not_read_the_working_note_of_the_one_before(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    about = f"/people/{referral.person_id}"
    peer.open(f"{about}/note")
    peer.press(f"{about}/note", site.note())
    person = site.browser()
    person.open(own)
    assert person.press(f"{own}/change-peer").status == 200
    assert peer.open(about).status == 404
    desk = site.browser("carla")
    desk.open(f"/referrals/{referral.id}")
    desk.press(f"/referrals/{referral.id}/propose")
    person.open(own)
    person.press(f"{own}/choose", {"peer_id": site.peers["ana"].id})
    ana = site.browser("ana")
    ana.open(f"/referrals/{referral.id}")
    ana.press(f"/referrals/{referral.id}/accept")
    page = ana.open(about)
    assert page.status == 200
    assert WORKING not in page.html
    assert "With Tomas T." in page.text


def test_the_list_tells_when_they_met_and_what_comes_next(site):
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.matched(referral)
    assert "Not met yet" in peer.open("/people").text
    peer.open(f"/people/{referral.person_id}/note")
    peer.press(f"/people/{referral.person_id}/note", site.note(next_on="2026-11-28"))
    page = peer.open("/people")
    assert "Last met Saturday, November 21" in page.text
    assert "Next, on Saturday, November 28: Call next week" in page.text
    assert "Call next week" not in site.browser("carla").open("/people").text


def test_what_may_be_shared_is_told_in_words(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    about = f"/people/{referral.person_id}"
    assert "They have not said what may be shared." in peer.open(about).text
    site.share(own, "hospital.summary", "hospital.attendance", "referrer.scores")
    text = peer.open(about).text
    assert "With the hospital That you met A short summary" in text
    assert "With the person who referred them Their totals" in text


def test_an_ended_walk_can_be_read_and_not_written(site):
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.enrolled(referral)
    peer.press(f"/referrals/{referral.id}/close", {"reason": "goals-met"})
    about = f"/people/{referral.person_id}"
    page = peer.open(about)
    assert page.status == 200
    assert f"{about}/note" not in page.links
    assert peer.open(f"{about}/note").status == 404
    assert peer.open("/groups/new").offered("attendees") == []
