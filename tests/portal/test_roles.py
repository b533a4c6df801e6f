"""Which route answers whom: every route, every role, their own and another's; two programs, no crossing."""

from __future__ import annotations

import re

from tests.portal.browse import Browser
from tests.portal.journey import answers
from tests.portal.rules import routes
from tests.portal.site import BASE, Site

OPEN_TO_ALL = {"portal.sign_in", "portal.sign_in_try"}
WITH_A_LINK = re.compile(r"portal\.me")
WITHOUT_AN_ID = {"portal.home", "portal.alive", "portal.sign_out"}
# Pages of people: who may open them at all. Steps of a referral are tried as forms, and refuse in their own words.
ROLES = {
    "queue": "lead peer", "referral": "lead peer", "people": "lead peer", "person": "lead peer", "note": "peer",
    "group": "peer", "questions": "peer", "answers": "lead peer", "trace": "lead engineer", "act": "lead peer",
    "playground": "engineer",
}  # fmt: skip


def kind(endpoint: str) -> str:
    name = endpoint.removeprefix("portal.")
    for start, found in (
        ("referrals", "queue"), ("referral_", "act"), ("referral", "referral"), ("people", "people"),
        ("person", "person"), ("note", "note"), ("group", "group"), ("questions", "questions"),
        ("answers", "answers"), ("trace", "trace"), ("playground", "playground"),
    ):  # fmt: skip
        if name.startswith(start):
            return found
    raise AssertionError(name)


def status(browser: Browser, method: str, path: str) -> int:
    if method == "GET":
        return browser.web.get(path, base_url=BASE).status_code
    token = browser.page.token
    return browser.web.post(path, data={"_token": token}, headers={"Origin": BASE}, base_url=BASE).status_code


def furnish(site: Site) -> tuple[list, str]:
    """Marisol walks with Tomas; her answers and link are there."""
    referral = site.refer("Marisol", "Vega")
    peer, own = site.enrolled(referral)
    about = f"/people/{referral.person_id}"
    page = peer.press(f"{about}/phq-9", answers(peer.open(f"{about}/phq-9")))
    outcome = page.path.rpartition("/")[2]
    return routes(site, referral.id, referral.person_id, own.rpartition("/")[2], outcome), own


def test_every_route_answers_only_those_it_is_for(site):
    found, _ = furnish(site)
    who = {"coordinator": "carla", "supervisor": "sue", "peer": "tomas", "other peer": "ana", "engineer": "ed"}
    browsers = {role: site.browser(login) for role, login in who.items()}
    for browser in browsers.values():
        browser.open("/")
    tried = 0
    for route in found:
        if route.endpoint in OPEN_TO_ALL | WITHOUT_AN_ID or WITH_A_LINK.match(route.endpoint):
            continue
        allowed = ROLES[kind(route.endpoint)].split()
        for role, browser in browsers.items():
            seen = status(browser, route.method, route.path)
            group = "lead" if role in ("coordinator", "supervisor") else "peer" if "peer" in role else role
            about_someone = any(len(part) == 36 for part in route.path.split("/"))
            tried += 1
            if group not in allowed:
                assert seen == 403, (role, route, seen)
            elif role == "other peer" and about_someone:
                assert seen in (404, 422), (role, route, seen)  # 422: the form was empty, and nothing was looked up
                if route.method == "GET" or seen != 422:
                    assert seen == 404, (role, route, seen)
            elif route.endpoint == "portal.answers_gad-7":  # the answers there are of another questionnaire
                assert seen == 404, (role, route, seen)
            else:
                assert seen in (200, 303, 403, 409, 422), (role, route, seen)
                if route.method == "GET":
                    assert seen == 200, (role, route, seen)
    assert tried > 150


def test_a_stranger_is_sent_to_sign_in_and_no_body_is_read(site):
    found, _ = furnish(site)
    stranger = site.browser()
    huge = b"_token=x&a=" + b"a" * 300_000
    for route in found:
        if route.endpoint in OPEN_TO_ALL or WITH_A_LINK.match(route.endpoint):
            continue
        answer = stranger.web.open(
            route.path, method=route.method, base_url=BASE, headers={"Origin": BASE},
            data=huge if route.method == "POST" else None, content_type="application/x-www-form-urlencoded",
        )  # fmt: skip
        assert answer.status_code == 303, (route, answer.status_code)
        assert answer.headers["Location"].startswith("/sign-in"), route
        if route.method == "POST":
            assert answer.headers["Connection"] == "close"


def test_a_wrong_link_opens_nothing(site):
    found, own = furnish(site)
    key = own.rpartition("/")[2]
    stranger = site.browser()
    for route in found:
        if not WITH_A_LINK.match(route.endpoint):
            continue
        for wrong in (key[:-1] + ("A" if key[-1] != "A" else "B"), key.swapcase(), "x", "..", key + "A"):
            seen = status(stranger, route.method, route.path.replace(key, wrong))
            assert seen == 404 or (wrong == ".." and seen in (404, 303)), (route, wrong, seen)


def test_two_programs_have_no_crossing(site):
    """Every id of one program, asked for by each role of the other, is as unknown as one that never was."""
    theirs = site.refer("Wilhelmina", "Quist", "hilltop", reason="The secret reason of the hilltop.")
    peer, own = site.enrolled(theirs, "tomas.h", "carla.h")
    about = f"/people/{theirs.person_id}"
    outcome = peer.press(f"{about}/phq-9", answers(peer.open(f"{about}/phq-9"))).path.rpartition("/")[2]
    ours = site.refer("Marisol", "Vega")
    site.enrolled(ours)
    real = routes(site, theirs.id, theirs.person_id, own.rpartition("/")[2], outcome)
    never = routes(site, "0" * 36, "1" * 36, "x" * 43, "2" * 36)
    crossings = 0
    for login in ("carla", "sue", "tomas", "ana", "ed"):
        browser = site.browser(login)
        for route, unknown in zip(real, never, strict=True):
            if route.endpoint in OPEN_TO_ALL | WITHOUT_AN_ID or WITH_A_LINK.match(route.endpoint):
                continue
            browser.open("/")
            seen, expected = status(browser, route.method, route.path), status(browser, unknown.method, unknown.path)
            assert seen == expected, (login, route, seen, expected)
            crossings += seen == 200 and route.path != unknown.path
            text = browser.web.get(route.path, base_url=BASE).text
            crossings += any(word in text for word in ("Wilhelmina", "Quist", "hilltop", "Hilltop", theirs.person_id))
    assert crossings == 0


def test_a_group_takes_nobody_who_is_not_on_the_list(site):
    theirs = site.refer("Wilhelmina", "Quist", "hilltop")
    colleague = site.refer("Amina", "Okoye")
    site.matched(colleague, "ana")
    mine = site.refer("Marisol", "Vega")
    peer, _ = site.enrolled(mine)
    page = peer.open("/groups/new")
    assert page.offered("attendees") == [mine.person_id]
    group = {"topic": "Tea", "started_at": "2026-11-21T17:45", "ended_at": "2026-11-21T18:15", "modality": "in-person"}
    for stranger in (theirs.person_id, colleague.person_id, "nobody"):
        answer = peer.press("/groups/new", {**group, "attendees": [mine.person_id, stranger]})
        assert answer.status == 404
        peer.open("/groups/new")
    with site.work() as work:
        assert [one.group_id for one in work.encounters_of(mine.person_id)] == [None]


def test_what_was_changed_by_hand_in_a_form_changes_nothing_else(site):
    """Fields that the service owns are not the form's to set."""
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.matched(referral)
    about = f"/people/{referral.person_id}"
    peer.open(f"{about}/note")
    owned = {
        "id": "x", "program_id": "hilltop", "person_id": "x", "peer_id": "peer-ana", "referral_id": "x", "number": "E-1",
        "status": "entered-in-error", "service": "warm-line", "late": "yes", "version": "9", "recorded_by": "x",
        "engagement_id": "x", "group_id": "x", "recorded_at": "2020-01-01T00:00",
    }  # fmt: skip
    assert peer.press(f"{about}/note", {**site.note(), **owned}).status == 200
    with site.work() as work:
        [saved] = work.encounters_of(referral.person_id)
    assert saved.program_id == "riverside"
    assert saved.peer_id == site.peers["tomas"].id
    assert saved.referral_id == referral.id
    assert (saved.status, saved.version, saved.late, saved.group_id) == ("finished", 1, False, None)
    assert saved.number != "E-1"
