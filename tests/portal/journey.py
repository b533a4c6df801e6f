"""One long journey through every page, as coordinator, peer, supervisor, engineer and the person served."""

from __future__ import annotations

from typing import Any

from peerfhir.pathway.vocabulary import Priority
from tests.portal.browse import Browser, Page
from tests.portal.site import Site

WORKING = "Rent worries; wants that kept between us."
GROUP_WORKING = "Quiet start. Good moment when they compared tea shops."
SUMMARY = "We talked about the week and set one goal."
ANSWERS = (2, 2, 1, 2, 1, 1, 2, 1, 0, 1)


def answers(page: Page, given: tuple[int | None, ...] = ANSWERS) -> dict[str, Any]:
    """The fields of a questionnaire, answered by place; None skips one."""
    names = [n for n in dict.fromkeys(e.attrs.get("name", "") for e in page.reader.elements) if n.startswith("/")]
    chosen = {name: page.offered(name)[place] for name, place in zip(names, given, strict=True) if place is not None}
    return {**chosen, "client_uuid": page.held("client_uuid"), "referral_id": page.held("referral_id")}


def walk(site: Site) -> dict[str, Page]:
    """Each page by a name."""
    kept: dict[str, Page] = {}

    def keep(name: str, page: Page, status: int = 200) -> Page:
        assert page.status == status, f"{name}: {page.status} {page.text[:300]}"
        kept[name] = page
        return page

    marisol = site.refer("Marisol", "Vega")
    jonas = site.refer("Jonas", "Lindqvist", reason="", priority=Priority.URGENT)
    others = [site.refer("Amina", "Okoye"), site.refer("Pete", "Marsh")]
    stranger = site.browser()
    keep("sign-in", stranger.open("/sign-in"))
    keep("sign-in wrong", stranger.press("/sign-in", {"login": "carla", "password": "no"}), 401)
    desk = site.browser("carla")
    keep("home lead", desk.page)
    keep("queue lead", desk.open("/referrals"))
    at = f"/referrals/{jonas.id}"
    keep("referral new", desk.open(at))
    desk.press(f"{at}/triage")
    keep("referral error", desk.press(f"{at}/decline", {"reason": "", "sentence": "We would love to, but"}), 422)
    at, about = f"/referrals/{marisol.id}", f"/people/{marisol.person_id}"
    site.proposed(marisol)
    desk.open(at)
    keep("referral proposed", desk.page)
    keep("link", desk.press(f"{at}/link"))
    own = site.link(desk, marisol)
    person = site.browser()  # a link does not end with the day
    keep("me choosing", person.open(own))
    keep("me chosen", person.press(f"{own}/choose", {"peer_id": site.peers["tomas"].id}))
    peer = site.browser("tomas")
    keep("home peer new", peer.page)
    keep("referral asked", peer.open(at))
    keep("referral assigned", peer.press(f"{at}/accept"))
    keep("referral outreach", peer.press(f"{at}/contact", {"channel": "phone", "outcome": "no-answer"}))
    peer.press(f"{at}/contact", {"channel": "phone", "outcome": "answered"})
    keep("meeting error", peer.press(f"{at}/meeting", {"at": "2026-11-20T14:30"}), 422)
    keep("referral booked", peer.press(f"{at}/meeting", {"at": "2026-11-21T19:00"}))
    keep("home peer", peer.open("/"))
    keep("me booked", person.open(own))
    keep(
        "me shared",
        person.press(f"{own}/sharing", {f"hospital.{x}": "on" for x in ("attendance", "summary", "scores")}),
    )
    site.clock.move(minutes=65)
    peer = site.browser("tomas")  # who was away too long signs in again
    _note(site, peer, keep, about, at)
    for other in others:
        site.matched(other)
    _group_and_questions(site, peer, keep, about)
    _others(site, keep, at, about, own, person)
    return kept


def _note(site: Site, peer: Browser, keep: Any, about: str, at: str) -> None:
    keep("note", peer.open(f"{about}/note"))
    note = site.note(started_at="2026-11-21T19:00", ended_at="2026-11-21T19:30", worry="yes", working_note=WORKING)
    wrong = {**note, "ended_at": "2026-11-21T18:00", "modality": "", "show": "preview", "minutes": "x"}
    keep("note error", peer.press(f"{about}/note", wrong), 422)
    keep("preview kept", peer.press(f"{about}/note", {**note, "keep_between_us": "yes", "show": "preview"}))
    page = keep("preview", peer.press(f"{about}/note", {**note, "show": "preview"}))
    again = {name: page.held(name) for name in {**note, "drafted": ""} if page.held(name)}
    page = keep("note again", peer.press(f"{about}/note", {**again, "show": "edit"}))
    keep("person worry", peer.press(f"{about}/note", again))
    peer.open(at)
    keep("referral enrolled", peer.press(f"{at}/enrol"))
    keep("referral paused", peer.press(f"{at}/pause"))
    peer.press(f"{at}/resume")


def _group_and_questions(site: Site, peer: Browser, keep: Any, about: str) -> None:
    page = keep("group", peer.open("/groups/new"))
    group = {
        "topic": "Finding your feet in a new town",
        "started_at": "2026-11-21T18:45",
        "ended_at": "2026-11-21T19:15",
        "modality": "in-person",
        "summary": "The group shared ideas for meeting people.",
        "attendees": page.offered("attendees"),
        "working_note": GROUP_WORKING,
        "client_uuid": page.held("client_uuid"),
    }
    keep("group error", peer.press("/groups/new", {**group, "attendees": [], "summary": "Marisol came."}), 422)
    keep("people peer", peer.press("/groups/new", group))
    keep("queue peer", peer.open("/referrals"))
    page = keep("questions", peer.open(f"{about}/phq-9"))
    keep("score", peer.press(f"{about}/phq-9", answers(page)))
    page = peer.open(f"{about}/phq-9")
    keep("questions error", peer.press(f"{about}/phq-9", {**answers(page), "/44250-9": "LA0-0"}), 422)
    raised = {**answers(page), "/44260-8": page.offered("/44260-8")[2], "safe_now": "unsure"}
    keep("score raised", peer.press(f"{about}/phq-9", raised))
    page = peer.open(f"{about}/phq-9")
    keep("score skipped", peer.press(f"{about}/phq-9", answers(page, (*ANSWERS[:8], None, None))))
    page = peer.open(f"{about}/phq-9")
    keep("score few", peer.press(f"{about}/phq-9", answers(page, (None, None, None, *ANSWERS[3:]))))
    keep("person peer", peer.open(about))


def _others(site: Site, keep: Any, at: str, about: str, own: str, person: Browser) -> None:
    lead = site.browser("sue")
    keep("home worry", lead.page)
    keep("person supervisor", lead.open(about))
    keep("people lead", lead.open("/people"))
    site.deliver_all()
    keep("me ledger", person.open(own))
    keep("me stopped", person.press(f"{own}/stop"))
    keep("trace", lead.open(f"/trace/{at.rpartition('/')[2]}"))
    keep("referral ended", lead.open(at))
    engineer = site.browser("ed")
    keep("home engineer", engineer.page)
    keep("forbidden", engineer.open("/people"), 403)
    keep("nothing here", lead.open("/people/nobody"), 404)
    keep("link gone", site.browser().open("/me/" + "x" * 43), 404)
    keep("old form", lead.press("/sign-out", {"_token": "x"}), 403)
