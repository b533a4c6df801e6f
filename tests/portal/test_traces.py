from __future__ import annotations

from tests.portal.journey import WORKING, answers


def test_the_trail_tells_where_everything_went_and_nothing_it_says(site):
    referral = site.refer("Marisol", "Vega", reason="The reason nobody else reads.")
    peer, own = site.matched(referral)
    site.share(own, "hospital.attendance", "hospital.summary", "hospital.scores", "hospital.item-level")
    peer.open(f"/people/{referral.person_id}/note")
    peer.press(f"/people/{referral.person_id}/note", site.note(summary="We set one goal."))
    at = f"/people/{referral.person_id}/phq-9"
    peer.press(at, answers(peer.open(at)))
    site.deliver_all()
    for login in ("carla", "sue", "ed"):
        page = site.browser(login).open(f"/trace/{referral.id}")
        assert page.status == 200
        assert referral.number in page.text
        for words in ("Being looked at", "Meeting", "To be sent", "Done"):
            assert words in page.text, words
        for secret in ("Marisol", "Vega", "The reason", "We set", WORKING, "555 0100", "Okafor"):
            assert secret not in page.html, secret


def test_the_trail_of_another_program_is_not_there(site):
    theirs = site.refer("Wilhelmina", "Quist", "hilltop")
    for login in ("carla", "ed"):
        for wanted in (theirs.id, "nobody", theirs.number):
            assert site.browser(login).open(f"/trace/{wanted}").status == 404
