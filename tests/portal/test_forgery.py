from __future__ import annotations

import random

import pytest
from flask import Flask, request

from peerfhir.portal.forgery import Forged, Forgery
from tests.portal.rules import routes
from tests.portal.site import BASE

SECRET = "a secret of at least thirty-two characters"
SEED = 20261121


@pytest.fixture
def forgery() -> Forgery:
    return Forgery(SECRET, "https://peers.example.org")


def test_a_token_works_for_the_login_it_was_made_for_and_no_other(forgery):
    token = forgery.token("login one")
    forgery.check_token(token, "login one")
    for wrong in ("login two", "", "link login one"):
        with pytest.raises(Forged):
            forgery.check_token(token, wrong)
    with pytest.raises(Forged):
        Forgery(SECRET + "!", "https://peers.example.org").check_token(token, "login one")


def test_a_changed_token_is_no_token(forgery):
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    token = forgery.token("login one")
    tried = {token[:n] for n in range(len(token))} | {token + "A", "", ".", "null", token.swapcase()}
    for _ in range(300):
        at = chance.randrange(len(token))
        tried.add(token[:at] + chance.choice("ABCxyz019-_.") + token[at + 1 :])
    for other in tried - {token}:
        try:
            forgery.check_token(other, "login one")
        except Forged:
            continue
        # base64 has spare bits at its end: another spelling of the same bytes is the same token
        assert other[:-1] == token[:-1]


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        ({"Origin": "https://peers.example.org"}, True),
        ({"Origin": "https://peers.example.org:443"}, True),
        ({"Referer": "https://peers.example.org/people/1"}, True),
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://peers.example.org.evil.example"}, False),
        ({"Origin": "http://peers.example.org"}, False),
        ({"Origin": "https://peers.example.org:8443"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://peers.example.org@evil.example"}, False),
        ({"Origin": "javascript:1"}, False),
        ({"Origin": "https://[half"}, False),
        ({"Origin": "https://peers.example.org:port"}, False),
        ({"Referer": "https://evil.example/?https://peers.example.org"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://peers.example.org"}, False),
    ],
)
def test_a_form_comes_from_our_own_origin(forgery, headers, good):
    with Flask("x").test_request_context("/x", method="POST", data={"a": "b"}, headers=headers):
        if good:
            forgery.check_origin(request)
        else:
            with pytest.raises(Forged):
                forgery.check_origin(request)


@pytest.mark.parametrize("media", ["text/plain", "application/json", "multipart/form-data", "", "text/html"])
def test_only_a_form_is_a_form(forgery, media):
    with (
        Flask("x").test_request_context("/x", method="POST", data=b"a=b", content_type=media),
        pytest.raises(Forged),
    ):
        forgery.check_origin(request)


def test_a_service_of_this_machine_answers_to_each_of_its_names():
    near = Forgery(SECRET, "http://127.0.0.1:8080", loopback=True)
    app = Flask("x")
    for host, origin, good in (
        ("localhost:8080", "http://localhost:8080", True),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("localhost:8080", "http://localhost:9090", False),
        ("rebound.example:8080", "http://rebound.example:8080", False),
    ):
        with app.test_request_context(
            "/x", method="POST", data={"a": "b"}, base_url=f"http://{host}", headers={"Origin": origin}
        ):
            if good:
                near.check_origin(request)
            else:
                with pytest.raises(Forged):
                    near.check_origin(request)


def test_no_unsafe_route_takes_a_forged_form(site):
    """docs/rules.md, Delivery: without a token, with another's, from elsewhere, as text: 403 and nothing happens."""
    referral = site.refer("Marisol", "Vega")
    own = site.choosing(referral)
    key = own.rpartition("/")[2]
    staff = {login: site.browser(login) for login in ("carla", "tomas")}
    tokens = {login: browser.open("/").token for login, browser in staff.items()}
    person = site.browser()
    tokens["person"] = person.open(own).token
    tokens["visitor"] = site.browser().open("/sign-in").token
    with site.work() as work:
        before = work.referral(referral.id)
    tried = 0
    for route in routes(site, referral.id, referral.person_id, key):
        if route.method != "POST":
            continue
        browser = person if "/me/" in route.path else staff["carla"] if "link" in route.path else staff["tomas"]
        mine = tokens["person"] if "/me/" in route.path else tokens["carla" if "link" in route.path else "tomas"]
        for fields, more in (
            ({}, {}),
            ({"_token": ""}, {}),
            ({"_token": tokens["carla" if mine == tokens["tomas"] else "tomas"]}, {}),
            ({"_token": tokens["visitor"]}, {}),
            ({"_token": [mine, mine]}, {}),
            ({"_token": mine}, {"headers": {"Origin": "https://evil.example"}}),
            ({"_token": mine}, {"headers": {"Origin": "null"}}),
            ({"_token": mine}, {"content_type": "text/plain"}),
            ({"_token": mine}, {"content_type": "multipart/form-data"}),
        ):
            if route.endpoint == "portal.sign_in_try":
                fields = {**fields, "_token": fields.get("_token") and tokens["tomas"]}
            answer = browser.web.post(
                route.path, data={**fields}, base_url=BASE, **{"headers": {"Origin": BASE}, **more}
            )
            assert answer.status_code == 403, (route, fields, more, answer.status_code)
            assert answer.mimetype == "text/html"
            tried += 1
    assert tried > 200
    with site.work() as work:
        assert work.referral(referral.id) == before
        assert work.grants_of(referral.person_id) == []
