from __future__ import annotations

from tests.portal.site import BASE, PASSWORD, open_site


def test_whoever_signs_in_sees_their_first_page(site):
    for login, words in (
        ("carla", "Needs you now"), ("sue", "Needs you now"), ("tomas", "New for you"), ("ed", "Follow a referral"),
    ):  # fmt: skip
        assert words in site.signed_in(login).page.text


def test_a_wrong_password_says_nothing_about_why_and_keeps_the_name(site):
    browser = site.browser()
    texts = set()
    for login in ("carla", "nobody", "carla.h"):
        browser.open("/sign-in")
        page = browser.press("/sign-in", {"login": login, "password": "wrong"})
        assert page.status == 401
        assert page.held("login") == [login]
        assert page.held("password") == [""]
        texts.add(page.text)
    assert len(texts) == 1
    page = browser.press("/sign-in", {"login": "", "password": ""})
    assert page.status == 422


def test_afterwards_one_goes_on_to_the_page_one_wanted_and_nowhere_else(site):
    referral = site.refer("Marisol", "Vega")
    wanted = f"/referrals/{referral.id}"
    browser = site.browser()
    page = browser.open(wanted)
    assert page.path == "/sign-in"
    assert page.held("next") == [wanted]
    page = browser.press("/sign-in", {"login": "carla", "password": PASSWORD, "next": wanted})
    assert page.path == wanted
    for elsewhere in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/a//b",
        "javascript:1",
        "/people?x",
    ):
        other = site.browser()
        other.open("/sign-in")
        answer = other.web.post(
            "/sign-in", base_url=BASE, headers={"Origin": BASE},
            data={"_token": other.page.token, "login": "carla", "password": PASSWORD, "next": elsewhere},
        )  # fmt: skip
        assert answer.headers["Location"] == "/", elsewhere


def test_the_form_of_another_visit_does_not_sign_in(site):
    """Otherwise a stranger could sign somebody in as themselves, and read what is then written down."""
    mine, theirs = site.browser(), site.browser()
    token = mine.open("/sign-in").token
    theirs.open("/sign-in")
    page = theirs.press("/sign-in", {"_token": token, "login": "carla", "password": PASSWORD})
    assert page.status == 403


def test_signing_out_ends_the_login(site):
    browser = site.signed_in("carla")
    stolen = browser.web.get_cookie("peerfhir", domain="127.0.0.1")
    browser.open("/")
    page = browser.press("/sign-out")
    assert "You are signed out." in page.text
    assert browser.open("/people").path == "/sign-in"
    other = site.app.test_client()
    other.set_cookie("peerfhir", stolen.value, domain="127.0.0.1")
    assert other.get("/people", base_url=BASE).status_code == 303


def test_who_was_away_too_long_is_told_so(site):
    browser = site.signed_in("carla")
    site.clock.move(minutes=16)
    page = browser.open("/people")
    assert page.path == "/sign-in"
    assert "You were signed out to keep things private." in page.text
    assert page.held("next") == ["/people"]


def test_who_types_for_long_stays_signed_in(site):
    browser = site.signed_in("carla")
    for _ in range(5):
        site.clock.move(minutes=10)
        assert browser.web.get("/alive?123", base_url=BASE).status_code == 204
    assert browser.open("/people").path == "/people"


def test_a_form_of_an_earlier_login_is_too_old(site):
    browser = site.signed_in("carla")
    token = browser.open("/").token
    browser.press("/sign-out")
    again = site.signed_in("carla")
    again.open("/")
    assert again.press("/sign-out", {"_token": token}).status == 403


def test_cookies_are_locked_up(site):
    safe = open_site(site.parts.engine, site.clock, site, base_url="https://peers.example.org", insecure_cookies=False)
    web = safe.app.test_client()
    answer = web.get("/sign-in", base_url="https://peers.example.org")
    [cookie] = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-peerfhir-visit=")
    for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert part in cookie
    assert "Domain" not in cookie
