"""Whoever got no answer presses again: each form of the walk, sent twice, leaves what it leaves when sent once."""

from __future__ import annotations

from typing import Any

from peerfhir.pathway.vocabulary import Stage, Status
from tests.portal.browse import Browser
from tests.portal.journey import answers
from tests.portal.site import Site

ALREADY_SO = (200, 409, 422)


class Twice:
    """A browser whose every press is sent twice; the second answer is a page, or says that it is so already."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.second: dict[str, int] = {}

    def open(self, path: str) -> Any:
        return self.browser.open(path)

    def press(self, path: str, fields: Any = None) -> None:
        token = self.browser.page.token
        assert self.browser.press(path, {**(fields or {}), "_token": token}).status == 200
        status = self.browser.press(path, {**(fields or {}), "_token": token}).status
        assert status in ALREADY_SO, f"{path}: {status}"
        self.second[path.rsplit("/", 1)[1]] = status


def test_every_form_of_the_walk_may_be_sent_twice(site: Site) -> None:
    referral = site.refer("Marisol", "Vega")
    at, about = f"/referrals/{referral.id}", f"/people/{referral.person_id}"
    desk = Twice(site.browser("carla"))
    desk.open(at)
    desk.press(f"{at}/triage")
    desk.press(f"{at}/propose")
    own = site.link(desk.browser, referral)
    person = Twice(site.browser())
    person.open(own)
    person.press(f"{own}/choose", {"peer_id": site.peers["tomas"].id})
    peer = Twice(site.browser("tomas"))
    peer.open(at)
    peer.press(f"{at}/accept")
    once = peer.open(at).held("client_uuid")
    peer.press(f"{at}/contact", {"channel": "phone", "outcome": "no-answer", "client_uuid": once})
    other = peer.open(at).held("client_uuid")
    peer.press(f"{at}/contact", {"channel": "phone", "outcome": "answered", "client_uuid": other})
    peer.press(f"{at}/meeting", {"at": "2026-11-21T19:00"})
    person.press(f"{own}/sharing", {"hospital.attendance": "on", "hospital.summary": "on", "hospital.scores": "on"})
    for _ in range(2):  # the first meeting, and one more
        form = peer.open(f"{about}/note").held("client_uuid")
        peer.press(f"{about}/note", site.note(client_uuid=form, worry="yes"))
    peer.open(at)
    peer.press(f"{at}/enrol")
    peer.press(f"{at}/stage", {"stage": list(Stage)[-1].value})
    form = peer.open("/groups/new")
    peer.press(
        "/groups/new",
        {
            "topic": "Tea", "started_at": "2026-11-21T17:00", "ended_at": "2026-11-21T17:30", "modality": "in-person",
            "summary": "We talked.", "attendees": form.offered("attendees"), "client_uuid": form.held("client_uuid"),
        },
    )  # fmt: skip
    form = peer.open(f"{about}/phq-9")
    peer.press(f"{about}/phq-9", {**answers(form), "client_uuid": form.held("client_uuid")})
    with site.work() as work:
        after = work.referral(referral.id)
        assert after.status is Status.ENROLLED
        assert [one.outcome.value for one in after.attempts] == ["no-answer", "answered"]
        assert len(work.encounters_of(referral.person_id)) == 3
        assert len(work.outcomes_of(referral.person_id)) == 1
        assert len(work.grants_of(referral.person_id)) == 3
        engagement = work.engagement_of(referral.id)
        assert engagement is not None
        assert len(engagement.stages) == len({one.stage for one in engagement.stages}) == 2
    person.open(own)
    person.press(f"{own}/stop")
    assert {name: status for name, status in {**desk.second, **peer.second, **person.second}.items() if status != 200}
