from __future__ import annotations

from tests.portal.journey import WORKING


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


def test_what_came_after_their_time_together_is_not_theirs_to_read(site):
    first = site.refer("Marisol", "Vega")
    tomas, _ = site.enrolled(first)
    about = f"/people/{first.person_id}"
    tomas.press(f"/referrals/{first.id}/close", {"reason": "goals-met"})
    with site.work() as work:
        person = work.person(first.person_id)
    again = site.refer("Marisol", "Vega", identifiers=person.identifiers)
    assert again.person_id == first.person_id
    ana, own = site.matched(again, "ana")
    site.share(own, "hospital.summary")
    ana.open(f"{about}/note")
    ana.press(f"{about}/note", site.note(summary="Ana and Marisol went on.", working_note="Only Ana knows."))
    page = ana.open(about)
    assert "Ana and Marisol went on." in page.text
    page = tomas.open(about)
    assert page.status == 200
    assert WORKING in page.html
    assert "Ana and Marisol" not in page.html
    assert "Only Ana knows" not in page.html
    assert "555 0100" not in page.html
    assert "With the hospital" not in page.text
