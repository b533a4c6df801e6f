from __future__ import annotations

import re

import pytest

from peerfhir.errors import BodyTooLarge, DatabaseBusy, TooManyRequests
from peerfhir.portal import home
from tests.portal.site import BASE

POLICY = {
    "default-src": "'none'", "style-src": "'self'", "script-src": "'self'", "img-src": "'self'", "form-action": "'self'",
    "base-uri": "'none'", "object-src": "'none'", "frame-ancestors": "'none'",
}  # fmt: skip


def test_every_page_says_what_may_be_loaded_and_that_it_is_not_to_be_kept(pages):
    assert len(pages) > 45
    for name, page in pages.items():
        policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
        assert policy == POLICY, name
        assert page.headers["Cache-Control"] == "no-store", name
        assert page.headers["X-Content-Type-Options"] == "nosniff", name
        assert page.headers["Referrer-Policy"] == "same-origin", name
        assert page.headers["Content-Type"] == "text/html; charset=utf-8", name


def test_addresses_carry_no_personal_data(pages):
    for name, page in pages.items():
        for href in [*page.links, *page.actions, page.path]:
            assert not re.search("Marisol|Vega|Amina|Okoye|Jonas|555|Okafor", _without_numbers(href)), (name, href)


def _without_numbers(href: str) -> str:
    """Our own random identifiers and keys hold any letters; whatever else an address says is judged."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=/me/)[\w-]{40,}", "-", href)


def test_own_files_may_be_kept_until_they_change(site):
    page = site.browser().open("/sign-in")
    for element in (*page.all("link"), *page.all("script")):
        address = element.attrs.get("href") or element.attrs["src"]
        with site.app.test_client().get(address, base_url=BASE) as answer:
            assert answer.status_code == 200
            assert answer.data
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for missing in ("/static/nothing.css", "/static/../app.py", "/static/%2e%2e/app.py"):
        assert site.app.test_client().get(missing, base_url=BASE).status_code == 404


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (DatabaseBusy(), 503, "nothing was half saved"),
        (BodyTooLarge(), 413, "too much at once"),
        (TooManyRequests(7), 429, "A little slower"),
        (RuntimeError("the secret words of Marisol"), 500, "Something broke on our side"),
    ],
)
def test_a_fault_is_a_page_and_never_a_trace(site, monkeypatch, fault, status, words):
    browser = site.browser("carla")

    def fall_over(*given):
        raise fault

    monkeypatch.setattr(home, "_lead", fall_over)
    page = browser.open("/")
    assert page.status == status
    assert words in page.text
    assert "Marisol" not in page.html
    assert "Traceback" not in page.html
    if status == 429:
        assert page.headers["Retry-After"] == "7"


def test_a_wrong_method_is_a_page(site):
    browser = site.browser("carla")
    answer = browser.web.put("/referrals", base_url=BASE)
    assert answer.status_code == 405


def test_a_form_that_is_too_large_or_no_text_is_a_page(site):
    browser = site.browser("carla")
    token = browser.open("/").token
    headers = {"Origin": BASE, "Content-Type": "application/x-www-form-urlencoded"}
    for body, status in (
        (b"_token=" + token.encode() + b"&a=" + b"x" * 300_000, 413),
        (b"a=%ff", 400),
        (b"a=%00", 400),
    ):
        answer = browser.web.post("/sign-out", data=body, headers=headers, base_url=BASE)
        assert answer.status_code == status
        assert answer.mimetype == "text/html"


def test_a_page_that_was_read_is_in_the_audit_without_a_name(site):
    referral = site.refer("Marisol", "Vega")
    browser = site.browser("carla")
    for path in ("/referrals", f"/referrals/{referral.id}", "/people", f"/people/{referral.person_id}"):
        assert browser.open(path).status == 200
    from sqlalchemy import select

    from peerfhir.records.schema import audit

    with site.work() as work:
        rows = work.connection.execute(select(audit).where(audit.c.actor == site.users["carla"])).all()
    read = {(row.action, row.subject, row.person_id) for row in rows}
    assert ("read", f"referral/{referral.id}", referral.person_id) in read
    assert ("read", f"person/{referral.person_id}", referral.person_id) in read
    assert ("search", "people", None) in read
    assert "Marisol" not in str(rows)
