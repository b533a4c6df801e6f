from __future__ import annotations

import re

from peerfhir.pathway.vocabulary import Status


def test_a_referral_goes_from_the_hospital_to_walking_together(site):
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.enrolled(referral)
    assert peer.page.text.count("Working together") >= 2
    with site.work() as work:
        assert work.referral(referral.id).status is Status.ENROLLED
    line = [e.text.strip() for e in peer.page.all("p") if e.within("ol") is not None]
    assert line == [
        "New", "Being looked at", "Peers proposed", "Chosen, waiting for the peer", "Peer has said yes",
        "First meeting done", "Working together",
    ]  # fmt: skip


def test_at_most_three_peers_are_proposed_with_reasons_and_one_is_marked_as_chosen(site):
    site.add_peer("dora")
    referral = site.refer("Marisol", "Vega")
    desk = site.proposed(referral)
    names = [e.text.strip() for e in desk.page.all("h3", **{"class": "face"})]
    assert len(names) == 3
    reasons = [e for e in desk.page.all("ul") if e.attrs.get("class") == "reasons"]
    assert len(reasons) == 3
    assert all(e.text.strip() for e in reasons)
    assert desk.page.by_id("chosen-peer") is None
    own = site.link(desk, referral)
    person = site.browser()
    chosen = next(value for value in person.open(own).offered("peer_id") if value != "none")
    person.press(f"{own}/choose", {"peer_id": chosen})
    shown = desk.open(f"/referrals/{referral.id}").by_id("chosen-peer")
    assert shown is not None
    with site.work() as work:
        assert shown.attrs["data-peer"] == work.peer(chosen).display


def test_a_peer_knows_the_first_name_until_they_say_yes(site):
    referral = site.refer("Marisol", "Vega", phone="555 0199")
    own = site.choosing(referral)
    person = site.browser()
    person.open(own)
    person.press(f"{own}/choose", {"peer_id": site.peers["tomas"].id})
    peer = site.browser("tomas")
    page = peer.open(f"/referrals/{referral.id}")
    assert "Marisol" in page.text
    assert "Vega" not in page.html
    assert "555 0199" not in page.html
    assert f"/people/{referral.person_id}" not in page.links
    assert peer.open(f"/people/{referral.person_id}").status == 404
    page = peer.open(f"/referrals/{referral.id}")
    page = peer.press(f"/referrals/{referral.id}/accept")
    assert "Vega" in page.text
    assert "555 0199" in page.text


def test_not_me_needs_no_reason_and_gives_the_referral_back(site):
    referral = site.refer("Marisol", "Vega")
    own = site.choosing(referral)
    person = site.browser()
    person.open(own)
    person.press(f"{own}/choose", {"peer_id": site.peers["tomas"].id})
    peer = site.browser("tomas")
    peer.open(f"/referrals/{referral.id}")
    page = peer.press(f"/referrals/{referral.id}/not-me")
    assert page.path == "/referrals"
    assert "That is fine." in page.text
    assert peer.open(f"/referrals/{referral.id}").status == 404
    with site.work() as work:
        assert work.referral(referral.id).status is Status.MATCHING


def test_a_step_that_no_longer_fits_is_told_in_words_and_changes_nothing(site):
    referral = site.refer("Marisol", "Vega")
    first, second = site.browser("carla"), site.browser("sue")
    for desk in (first, second):
        desk.open(f"/referrals/{referral.id}")
    assert first.press(f"/referrals/{referral.id}/triage").status == 200
    page = second.press(f"/referrals/{referral.id}/triage")
    assert page.status == 422
    assert "That step does not fit any more." in page.text
    assert "Being looked at" in page.text


def test_declining_asks_for_both_and_keeps_what_was_entered(site):
    referral = site.refer("Marisol", "Vega")
    desk = site.browser("carla")
    desk.open(f"/referrals/{referral.id}")
    page = desk.press(f"/referrals/{referral.id}/decline", {"reason": "no-capacity", "sentence": ""})
    assert page.status == 422
    assert page.held("reason") == ["no-capacity"]
    page = desk.press(f"/referrals/{referral.id}/decline", {"reason": "no-capacity", "sentence": "We are full."})
    assert page.status == 200
    with site.work() as work:
        kept = work.referral(referral.id)
    assert (kept.status, kept.decline_reason, kept.status_reason) == (
        Status.DECLINED_PROGRAM, "no-capacity", "We are full.",
    )  # fmt: skip


def test_a_question_is_asked_and_work_goes_on_where_it_was(site):
    referral = site.refer("Marisol", "Vega")
    desk = site.browser("carla")
    desk.open(f"/referrals/{referral.id}")
    page = desk.press(f"/referrals/{referral.id}/question", {"sentence": "Which evenings suit?"})
    assert "Question asked" in page.text
    page = desk.press(f"/referrals/{referral.id}/resume")
    assert "New" in page.text


def test_contact_meeting_and_a_missed_one_are_noted(site):
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.matched(referral)
    at = f"/referrals/{referral.id}"
    page = peer.press(f"{at}/contact", {"channel": "phone", "outcome": "left-voicemail"})
    assert "Reaching out (try 1 of 3)" in page.text
    assert "By phone: I left a voice message" in page.text
    page = peer.press(f"{at}/contact", {"channel": "text-chat", "outcome": "answered"})
    assert "In touch" in page.text
    page = peer.press(f"{at}/meeting", {"at": "2026-11-20T10:00"})
    assert page.status == 422
    assert "still to come" in page.text
    assert page.held("at") == ["2026-11-20T10:00"]
    page = peer.press(f"{at}/meeting", {"at": "2026-11-25T10:00"})
    assert "Wednesday, November 25, at 10:00 am" in page.text
    with site.work() as work:
        assert work.referral(referral.id).meeting_at.isoformat() == "2026-11-25T15:00:00+00:00"
    page = peer.press(f"{at}/missed")
    assert "First meeting missed, still trying" in page.text


def test_stages_and_the_end_of_walking_together(site):
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.enrolled(referral)
    at = f"/referrals/{referral.id}"
    assert peer.press(f"{at}/stage", {"stage": "plan"}).status == 200
    assert peer.press(f"{at}/stage", {"stage": "plan"}).status == 409
    assert peer.press(f"{at}/stage", {"stage": ""}).status == 422
    page = peer.press(f"{at}/close", {"reason": "goals-met"})
    assert page.status == 200
    assert "Closed" in page.text
    assert page.actions == {"/sign-out"}
    with site.work() as work:
        engagement = work.engagement_of(referral.id)
    assert [event.stage for event in engagement.stages] == ["connect", "plan"]
    assert (engagement.status, engagement.closing_reason) == ("finished", "goals-met")


def test_a_link_is_shown_once_and_a_new_one_ends_the_old(site):
    referral = site.refer("Marisol", "Vega")
    desk = site.browser("carla")
    first = site.link(desk, referral)
    assert desk.page.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(r"/me/[A-Za-z0-9_-]{40,}", first)
    assert first not in desk.open(f"/referrals/{referral.id}").html
    second = site.link(desk, referral)
    assert site.browser().open(first).status == 404
    assert site.browser().open(second).status == 200


def test_a_person_who_must_not_be_contacted_is_marked(site):
    referral = site.refer("Marisol", "Vega", contact_prohibited=True)
    assert "Do not contact this person yet." in site.browser("carla").open(f"/referrals/{referral.id}").text
