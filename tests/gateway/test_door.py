from __future__ import annotations

import pytest
from flask import Blueprint, Response, request

from peerfhir.access import links
from peerfhir.errors import Unauthenticated
from peerfhir.gateway import door
from peerfhir.gateway.app import create_app
from peerfhir.pathway.vocabulary import Role
from peerfhir.records import audit
from peerfhir.records.database import reading, writing
from tests.support import doors


def _pages(parts) -> Blueprint:
    """The least a portal does with a door."""
    pages = Blueprint("pages", __name__)

    @pages.post("/sign-in")
    def enter() -> Response:
        door.check_entry(request)
        response = Response("in", content_type="text/html")
        door.let_in(request, response, request.args["login"], request.args["password"])
        return response

    @pages.get("/")
    def home() -> str:
        actor = door.signed_in(request)
        return f"{actor.role} {actor.program_id} {actor.peer_id}"

    @pages.post("/sign-out")
    def leave() -> Response:
        response = Response("out")
        door.let_out(request, response)
        return response

    @pages.get("/me/<key>")
    def own(key: str) -> str:
        actor = door.by_link(key)
        return f"{actor.role} {actor.person_id}"

    return pages


def _app(engine, clock, **changed):
    from dataclasses import replace

    return create_app(replace(doors.parts(engine, clock, **changed), pages=_pages))


def _enter(web, password=doors.PASSWORD, login="ines", **environ):
    return web.post(f"/sign-in?login={login}&password={password}", **environ)


def test_a_login_opens_the_pages_until_it_is_ended(lite, clock):
    doors.add_user(lite, clock, role=Role.PEER, peer_id="peer-1")
    web = _app(lite, clock).test_client()
    assert web.get("/").status_code == 401
    entered = _enter(web)
    assert entered.status_code == 200
    assert web.get("/").text == "peer alpha peer-1"
    clock.move(minutes=14)
    assert web.get("/").status_code == 200
    clock.move(minutes=14)
    assert web.get("/").status_code == 200  # each page slides the limit
    clock.move(minutes=15)
    assert web.get("/").status_code == 401
    _enter(web)
    assert web.post("/sign-out").status_code == 200
    assert web.get("/").status_code == 401


def test_signing_out_without_a_login_or_with_a_dead_one_is_fine(lite, clock):
    doors.add_user(lite, clock)
    web = _app(lite, clock).test_client()
    assert web.post("/sign-out").status_code == 200
    _enter(web)
    clock.move(hours=13)
    assert web.post("/sign-out").status_code == 200


def test_signing_in_again_ends_the_login_before(lite, clock):
    doors.add_user(lite, clock)
    web = _app(lite, clock).test_client()
    _enter(web)
    before = web.get_cookie("peerfhir").value
    _enter(web)
    assert web.get("/").status_code == 200
    assert web.get_cookie("peerfhir").value != before
    web.set_cookie("peerfhir", before)
    assert web.get("/").status_code == 401


@pytest.mark.parametrize("insecure", [False, True])
def test_the_cookie_is_as_tight_as_the_address_allows(lite, clock, insecure):
    doors.add_user(lite, clock)
    base = "http://127.0.0.1:8080" if insecure else "https://peer.example.org"
    web = _app(lite, clock, insecure_cookies=insecure, base_url=base).test_client()
    cookies = _enter(web, base_url=base).headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert ("Secure" in cookie) is not insecure
        assert cookie.startswith("__Host-peerfhir") is not insecure
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie


def test_a_known_browser_is_let_in_while_strangers_are_locked_out(lite, clock):
    doors.add_user(lite, clock)
    app = _app(lite, clock)
    known, stranger = app.test_client(), app.test_client()
    _enter(known)
    known.post("/sign-out")
    for _ in range(8):
        assert _enter(stranger, "a wrong guess").status_code == 401
    assert _enter(stranger).status_code == 401
    assert _enter(known).status_code == 200


def test_a_forged_device_cookie_is_a_stranger(lite, clock):
    user_id = doors.add_user(lite, clock)
    app = _app(lite, clock)
    stranger = app.test_client()
    for _ in range(8):
        _enter(stranger, "a wrong guess")
    for forged in (user_id, f'"{user_id}".x.y', "e30.x.y"):
        stranger.set_cookie("peerfhir-device", forged)
        assert _enter(stranger).status_code == 401


@pytest.mark.parametrize("key", ["", "short", "x" * 43, "x" * 5000, "a b", "é" * 30])
def test_a_guessed_cookie_opens_nothing(lite, clock, key):
    web = _app(lite, clock).test_client()
    assert web.get("/", headers={"Cookie": f"peerfhir={key}"}).status_code == 401


def test_a_persons_link_opens_their_page_and_a_guess_is_not_found(lite, clock):
    with writing(lite) as connection:
        key = links.make_link(connection, clock, "alpha", "p1", "user-1")
    web = _app(lite, clock).test_client()
    assert web.get(f"/me/{key}").text == "person p1"
    for guess in ("x" * 43, "short", "a%20b"):
        assert web.get(f"/me/{guess}").status_code == 404


def test_more_than_sixty_tries_a_minute_from_one_address_have_to_wait(lite, clock):
    web = _app(lite, clock).test_client()
    answers = [_enter(web, login="nobody") for _ in range(62)]
    assert [one.status_code for one in answers] == [401] * 60 + [429] * 2
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert _enter(web, login="nobody", environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).status_code == 401
    clock.move(seconds=60)
    assert _enter(web, login="nobody").status_code == 401


def test_signing_in_and_out_is_in_the_audit(lite, clock):
    user_id = doors.add_user(lite, clock)
    web = _app(lite, clock).test_client()
    _enter(web)
    web.post("/sign-out")
    with reading(lite) as connection:
        lines = [(one.action, one.actor, one.subject) for one in audit.latest(connection, "alpha")]
        assert audit.verify(connection) is None
    assert lines == [("sign-out", user_id, f"user/{user_id}"), ("sign-in", user_id, f"user/{user_id}")]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic x", "Bearer a b", "bearer\tx", "Bearer " + "x" * 600]
)
def test_a_header_without_a_token_is_a_stranger(lite, clock, header):
    app = _app(lite, clock)
    with app.test_request_context("/fhir/Task", headers={"Authorization": header}), pytest.raises(Unauthenticated):
        door.caller(request)


def test_long_headers_are_refused_before_anything_else(lite, clock):
    web = _app(lite, clock).test_client()
    assert web.get("/healthz", headers={"X-Long": "x" * 40_000}).status_code == 431
    assert web.get("/healthz", headers={"X-Long": "x" * 20_000}).status_code == 200
