from __future__ import annotations

import pytest

from tests.portal.journey import GROUP_WORKING

GROUP = {
    "topic": "Finding your feet in a new town",
    "started_at": "2026-11-21T17:30",
    "ended_at": "2026-11-21T18:15",
    "modality": "in-person",
    "summary": "The group shared ideas for meeting people.",
    "working_note": GROUP_WORKING,
}


@pytest.fixture
def three(site):
    referrals = [site.refer(*name) for name in (("Amina", "Okoye"), ("Marisol", "Vega"), ("Pete", "Marsh"))]
    links = [site.matched(one)[1] for one in referrals]
    peer = site.browser("tomas")
    peer.open("/groups/new")
    return referrals, links, peer


def test_each_attendee_gets_a_record_of_their_own(site, three):
    referrals, _, peer = three
    ids = peer.page.offered("attendees")
    assert ids == [one.person_id for one in referrals]  # by first name
    page = peer.press("/groups/new", {**GROUP, "attendees": ids, "client_uuid": peer.page.held("client_uuid")})
    assert page.path == "/people"
    assert "Each person has a record of their own." in page.text
    with site.work() as work:
        kept = [work.encounters_of(one) for one in ids]
    assert [len(one) for one in kept] == [1, 1, 1]
    assert len({one[0].number for one in kept}) == 3
    assert all(one[0].summary == GROUP["summary"] and one[0].working_note == "" for one in kept)
    assert {one[0].minutes for one in kept} == {45}


def test_the_same_group_twice_is_once(site, three):
    _, _, peer = three
    fields = {**GROUP, "attendees": peer.page.offered("attendees"), "client_uuid": peer.page.held("client_uuid")}
    for _ in range(2):
        assert peer.press("/groups/new", fields).status == 200
        peer.open("/groups/new")
    with site.work() as work:
        assert all(len(work.encounters_of(one)) == 1 for one in fields["attendees"])


def test_no_attendee_shows_up_on_the_page_of_another(site, three):
    referrals, links, peer = three
    site.share(links[1], "hospital.attendance", "hospital.summary")
    peer.press("/groups/new", {**GROUP, "attendees": peer.page.offered("attendees")})
    site.deliver_all()
    page = peer.open(f"/people/{referrals[1].person_id}")
    assert GROUP_WORKING in page.text
    assert "Amina" not in page.html
    assert "Pete" not in page.html
    page = site.browser().open(links[1])
    assert GROUP["summary"] in page.text
    for word in ("Amina", "Pete", GROUP_WORKING, referrals[0].person_id, referrals[2].person_id):
        assert word not in page.html


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"attendees": []}, "Please tick who was there."),
        ({"topic": ""}, "Please fill this in."),
        ({"topic": "With Marisol"}, "Please leave out the names"),
        ({"summary": "Okoye led us."}, "Please leave out the names"),
        ({"ended_at": "2026-11-21T17:00"}, "The end is before the start."),
        ({"ended_at": "2026-11-21T22:00"}, "The meeting has to be over"),
        ({"summary": "word " * 121}, "at most 120 words"),
    ],
)
def test_a_mistake_is_told_and_everything_entered_stays(site, three, changed, words):
    _, _, peer = three
    fields = {**GROUP, "attendees": peer.page.offered("attendees"), **changed}
    page = peer.press("/groups/new", fields)
    assert page.status == 422
    assert words in page.text
    assert page.held("attendees") == fields["attendees"]
    assert page.held("working_note") == [GROUP_WORKING]
    assert page.held("topic") == [fields["topic"]]
    with site.work() as work:
        assert all(work.encounters_of(one) == [] for one in peer.page.offered("attendees"))


def test_who_stopped_is_not_on_the_list(site, three):
    referrals, links, peer = three
    person = site.browser()
    person.open(links[1])
    person.press(f"{links[1]}/stop")
    assert peer.open("/groups/new").offered("attendees") == [referrals[0].person_id, referrals[2].person_id]


def test_without_people_there_is_no_form(site):
    page = site.browser("bea").open("/groups/new")
    assert "There is nobody on your list yet." in page.text
    assert page.actions == {"/sign-out"}
