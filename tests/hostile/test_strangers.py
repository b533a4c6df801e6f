"""Nothing is parsed for strangers: every route behind a token answers 401 with the body unread (S4, S10)."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from peerfhir.gateway.app import create_app
from peerfhir.portal.app import create_pages
from tests.support import doors

OPEN = {  # rule -> why anyone may ask
    "/healthz": "alive",
    "/health": "alive",
    "/readyz": "ready",
    "/metrics": "numbers without people; the proxy keeps it inside",
    "/.well-known/smart-configuration": "where to get a token",
    "/fhir/.well-known/smart-configuration": "where to get a token",
    "/openapi.json": "describes the JSON API, and nothing of what is in it",
    "/api-docs": "the same as a page",
    "/api-docs/static/<path:filename>": "how that page looks",
    "/oauth/token": "proves itself in the form",
    "/oauth/revoke": "proves itself in the form",
    "/oauth/introspect": "proves itself in the form",
}
COUNTED = {"/oauth/token", "/oauth/revoke", "/oauth/introspect"}  # tries per address are limited
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Canary(io.RawIOBase):
    """A body that notices being read."""

    def __init__(self) -> None:
        self.reads = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        self.reads += 1
        return 0


def _path(rule: str) -> str:
    for name, value in (
        ("<int", "7"), ("<path:", "Patient/x"), ("<", "x"),
    ):  # fmt: skip
        while name in rule:
            start = rule.index(name)
            rule = rule[:start] + value + rule[rule.index(">", start) + 1 :]
    return rule


def _knock(web, method, path, canary, length="1073741824", **headers):
    environ = {"wsgi.input": canary, "CONTENT_LENGTH": length}
    headers = {"Content-Type": "application/fhir+json", **headers}
    return web.open(path, method=method, headers=headers, environ_overrides=environ)


def test_every_route_is_open_for_a_reason_or_asks_for_a_token(web_app):
    rules = {rule.rule for rule in web_app.url_map.iter_rules()}
    assert set(OPEN) <= rules
    behind = rules - set(OPEN)
    assert behind
    assert all(rule.startswith(("/fhir", "/admin")) for rule in behind), behind
    web = web_app.test_client()
    assert web.get("/fhir/metadata").status_code == 200  # a client reads it before it has a token
    asked = 0
    for rule in web_app.url_map.iter_rules():
        if rule.rule in OPEN:
            continue
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            for credentials in ({}, {"Authorization": "Bearer " + "x" * 43}, {"Authorization": "Basic eDp5"}):
                canary = Canary()
                answer = _knock(web, method, _path(rule.rule), canary, **credentials)
                assert answer.status_code == 401, (method, rule.rule, answer.status_code)
                assert canary.reads == 0, (method, rule.rule)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert answer.json["issue"][0]["code"] == "login"
                asked += 1
    assert asked > 30


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/fhir", "/fhir/", "/fhir/Task", "/fhir/Task/1", "/fhir/Nonsense", "/fhir/a/b/c/d"])
def test_a_stranger_learns_nothing_about_what_the_api_has(web_app, method, path):
    canary = Canary()
    answer = _knock(web_app.test_client(), method, path, canary)
    assert answer.status_code in (401, 404, 405)
    assert canary.reads == 0


def test_a_dead_token_is_a_stranger_too(web_app, lite, clock):
    speaker = doors.speaker(web_app, lite, clock)
    clock.move(seconds=301)
    canary = Canary()
    answer = _knock(web_app.test_client(), "POST", "/fhir", canary, "9", **speaker.headers())
    assert answer.status_code == 401
    assert canary.reads == 0


def test_a_token_without_the_scope_does_not_reach_the_admin_routes(web_app, lite, clock):
    speaker = doors.speaker(web_app, lite, clock, scope="system/*.cruds")
    for rule in web_app.url_map.iter_rules():
        if rule.rule.startswith("/admin"):
            method = "POST" if "POST" in rule.methods else "GET"
            canary = Canary()
            answer = _knock(web_app.test_client(), method, _path(rule.rule), canary, **speaker.headers())
            assert answer.status_code == 403, rule.rule
            assert canary.reads == 0


def test_tries_to_get_in_are_counted_on_every_route_that_proves(web_app, clock):
    for rule in sorted(COUNTED):
        clock.move(seconds=60)
        web = web_app.test_client()
        statuses = [web.post(rule, data={"a": "b"}).status_code for _ in range(61)]
        assert 429 not in statuses[:60]
        assert statuses[60] == 429, rule


def test_no_page_reads_or_answers_a_stranger(lite, clock):
    made = create_app(replace(doors.parts(lite, clock), pages=create_pages))
    web = made.test_client()
    open_pages = {"/sign-in", "/alive", "/static/<path:filename>"}
    asked = 0
    for rule in made.url_map.iter_rules():
        if not rule.endpoint.startswith("portal.") or rule.rule in open_pages:
            continue
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            canary = Canary()
            environ = {"wsgi.input": canary, "CONTENT_LENGTH": "100000"}
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": doors.BASE}
            answer = web.open(_path(rule.rule), method=method, headers=headers, environ_overrides=environ)
            assert answer.status_code in (303, 401, 403, 404), (method, rule.rule, answer.status_code)
            assert answer.headers.get("Location", "/sign-in").startswith("/sign-in"), rule.rule
            assert canary.reads == 0, (method, rule.rule)
            asked += 1
    assert asked > 30
