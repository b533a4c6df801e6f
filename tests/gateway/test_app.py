from __future__ import annotations

import io

import pytest
import structlog
from flask import abort

from peerfhir import logs
from tests.support import doors


def test_every_answer_carries_a_request_id_that_is_ours_unless_it_is_plain(web_app):
    web = web_app.test_client()
    assert web.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"}).headers["X-Request-Id"] == "abc-1.2_3"
    for wrong in ("", "a b", "x" * 65, "<b>", "é"):
        got = web.get("/healthz", headers={"X-Request-Id": wrong}).headers["X-Request-Id"]
        assert got != wrong
        assert len(got) == 36


@pytest.mark.parametrize(
    "path", ["/healthz", "/fhir/metadata", "/fhir/Patient", "/nowhere", "/oauth/token", "/metrics"]
)
def test_every_answer_is_told_to_stay_what_it_is(web_app, path):
    headers = web_app.test_client().get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "no-store" in headers["Cache-Control"] or path == "/fhir/metadata"
    assert "Strict-Transport-Security" not in headers


def test_behind_https_browsers_are_told_to_stay_there(lite, clock):
    web = doors.app(lite, clock, base_url="https://peer.example.org", insecure_cookies=False).test_client()
    assert web.get("/healthz").headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("POST", "/healthz", 405), ("GET", "/oauth/token", 405), ("GET", "/%ff", 404)],
)
def test_what_is_not_there_is_an_outcome_too(web_app, method, path, status):
    answer = web_app.test_client().open(path, method=method)
    assert answer.status_code == status
    assert answer.content_type in (
        "application/fhir+json; fhirVersion=4.0",
        "application/fhir+json",
        "application/json",
    )
    assert "<" not in answer.text


def test_flasks_own_refusals_are_outcomes_too(lite, clock):
    app = doors.app(lite, clock)
    app.add_url_rule("/folder/", "folder", lambda: "in")

    @app.get("/refuse/<int:status>")
    def refuse(status: int) -> str:
        abort(status)

    web = app.test_client()
    assert web.get("/folder").headers["Location"].endswith("/folder/")
    assert web.get("/refuse/413").json["issue"][0]["code"] == "too-long"
    for status in (400, 404):
        assert web.get(f"/refuse/{status}").json["resourceType"] == "OperationOutcome"


def test_a_method_that_is_not_offered_names_those_that_are(web_app):
    assert "GET" in web_app.test_client().post("/healthz").headers["Allow"]


def test_a_surprise_says_nothing_of_the_request(lite, clock):
    app = doors.app(lite, clock)

    @app.get("/boom")
    def boom() -> str:
        raise RuntimeError("CANARY Marisol Vega MRN-1001")

    lines = io.StringIO()
    logs.set_up(lines)
    try:
        answer = app.test_client().get("/boom?name=CANARY")
    finally:
        structlog.reset_defaults()
    assert answer.status_code == 500
    assert answer.json["resourceType"] == "OperationOutcome"
    assert "CANARY" not in answer.text
    assert answer.headers["X-Request-Id"] in lines.getvalue()
    assert "CANARY" not in lines.getvalue()


def test_behind_a_proxy_tries_are_counted_by_what_the_proxy_saw(lite, clock):
    web = doors.app(lite, clock, base_url="https://peer.example.org", insecure_cookies=False).test_client()
    for number in range(70):
        seen = f"198.51.100.9, 203.0.113.{number}"
        answer = web.post("/oauth/token", data={"a": "b"}, headers={"X-Forwarded-For": seen})
        assert answer.status_code == 400
    web = doors.app(lite, clock).test_client()
    statuses = [
        web.post("/oauth/token", data={"a": "b"}, headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
        for number in range(70)
    ]
    assert statuses[60:] == [429] * 10  # without a proxy the header is anyone's word


def test_each_process_counts_its_share(lite, clock):
    web = doors.app(lite, clock, workers=4).test_client()
    statuses = [web.post("/oauth/token", data={"a": "b"}).status_code for _ in range(16)]
    assert statuses == [400] * 15 + [429]
    assert web.post("/oauth/token", data={"a": "b"}).json["error"] == "temporarily_unavailable"
