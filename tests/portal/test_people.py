from __future__ import annotations


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


def test_a_lead_sees_who_was_met_and_when_in_one_look(site):
    first, second = site.refer("Marisol", "Vega"), site.refer("Amina", "Okoye")
    peer, _ = site.matched(first)
    peer.open(f"/people/{first.person_id}/note")
    peer.press(f"/people/{first.person_id}/note", site.note())
    text = site.browser("sue").open("/people").text
    assert "Amina Okoye New Not met yet" in text
    assert "Marisol Vega First meeting done Last met Saturday, November 21" in text
    assert second.person_id
