from __future__ import annotations

import re


def test_a_lead_sees_what_needs_them_and_how_many(site):
    site.refer("Marisol", "Vega")
    site.choosing(site.refer("Amina", "Okoye"))
    site.matched(site.refer("Pete", "Marsh"))
    page = site.browser("carla").page
    assert re.search(r"At a glance 1 New 1 Person is choosing 1 With a peer", page.text)
    assert "Marisol Vega" in page.text
    assert "Pete" not in page.text


def test_a_lead_of_a_quiet_program_is_told_so(site):
    assert "Every referral is on its way." in site.browser("carla").page.text


def test_a_peer_sees_who_is_new_and_todays_meeting(site):
    referral = site.refer("Marisol", "Vega")
    own = site.choosing(referral)
    person = site.browser()
    person.open(own)
    person.press(f"{own}/choose", {"peer_id": site.peers["tomas"].id})
    peer = site.browser("tomas")
    assert "Marisol" in peer.page.text
    assert "Vega" not in peer.page.html
    peer.open(f"/referrals/{referral.id}")
    peer.press(f"/referrals/{referral.id}/accept")
    peer.press(f"/referrals/{referral.id}/meeting", {"at": "2026-11-21T21:00"})
    text = peer.open("/").text
    assert "First meeting with Marisol 9:00 pm" in text
    assert "Nothing new is waiting for you." in text
    assert "People who walk with you: 1" in text
    site.clock.move(hours=8)
    assert "First meeting with Marisol" not in site.browser("tomas").page.text  # it is tomorrow by now


def test_support_is_always_one_tap_away(site):
    page = site.browser("tomas").page
    assert "I need support" in page.text
    assert "Sue" in page.text


def test_an_engineer_sees_numbers_and_no_names(site):
    referral = site.refer("Marisol", "Vega")
    page = site.browser("ed").page
    assert f"/trace/{referral.id}" in page.links
    assert referral.number in page.text
    assert "Marisol" not in page.html
    assert "Vega" not in page.html
