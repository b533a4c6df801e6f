from __future__ import annotations

import re

from peerfhir.pathway.vocabulary import Priority


def test_the_queue_shows_what_needs_someone_first(site):
    site.refer("Old", "Routine")
    site.clock.move(minutes=5)
    site.refer("New", "Urgent", priority=Priority.URGENT)
    waiting = site.refer("In", "Choice")
    site.choosing(waiting)
    page = site.browser("carla").open("/referrals")
    assert re.search(r"Needs you now 2 .*New Urgent.*Old Routine.*choosing 1 .*In Choice", page.text)
    assert "Urgent" in page.text


def test_every_open_referral_stands_in_the_queue_once(site):
    names = ["Ana", "Bo", "Cy", "Di", "Ed"]
    made = [site.refer(name, "Example") for name in names]
    site.choosing(made[1])
    site.matched(made[2])
    site.enrolled(made[3])
    page = site.browser("carla").open("/referrals")
    for name, referral in zip(names, made, strict=True):
        assert page.links.count(f"/referrals/{referral.id}") == 1, name
    peer = site.browser("tomas").open("/referrals")
    assert [referral.id for referral in made if f"/referrals/{referral.id}" in peer.links] == [made[2].id, made[3].id]


def test_what_has_ended_leaves_the_queue(site):
    referral = site.refer("Marisol", "Vega")
    desk = site.browser("carla")
    desk.open(f"/referrals/{referral.id}")
    desk.press(f"/referrals/{referral.id}/decline", {"reason": "other", "sentence": "Sorry."})
    assert "There is no referral here." in desk.open("/referrals").text
