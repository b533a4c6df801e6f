"""Pages of other origins: what a browser is told, and what stays closed."""

from __future__ import annotations

import pytest

from tests.support import doors

PAGE = "https://app.example.org"
PREFLIGHT = {
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization, if-match, x-medplum",
}


@pytest.fixture
def shared_app(lite, clock):
    return doors.app(lite, clock, cors_origins=(PAGE,))


def test_a_configured_page_is_let_call_and_read_what_clients_need(shared_app, lite, clock):
    web = shared_app.test_client()
    asked = web.options("/fhir/Patient/1", headers={"Origin": PAGE, **PREFLIGHT})
    assert asked.status_code == 204
    assert asked.headers["Access-Control-Allow-Origin"] == PAGE
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    assert "if-match" in asked.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in asked.headers
    speaker = doors.speaker(shared_app, lite, clock)
    answer = speaker.get("/fhir/Patient", Origin=PAGE)
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert {"ETag", "Location"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert "Origin" in answer.headers["Vary"]
    assert web.get("/fhir/Patient", headers={"Origin": PAGE}).status_code == 401
    assert web.get("/fhir/Patient", headers={"Origin": PAGE}).headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.json["resourceType"] == "Bundle"


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example.org", "https://app.example.org.evil.example", "null", ""]
)
def test_any_other_page_is_told_nothing(shared_app, origin):
    asked = shared_app.test_client().options("/fhir/Patient", headers={"Origin": origin, **PREFLIGHT})
    assert asked.status_code == 204
    assert not any(name.startswith("Access-Control") for name, _ in asked.headers)


def test_without_a_setting_no_page_is_let_in(web_app):
    web = web_app.test_client()
    for answer in (
        web.options("/fhir/Patient", headers={"Origin": PAGE, **PREFLIGHT}),
        web.get("/fhir/metadata", headers={"Origin": PAGE}),
    ):
        assert not any(name.startswith("Access-Control") for name, _ in answer.headers)
    assert web.get("/fhir/metadata").json["rest"][0]["security"]["cors"] is False


def test_the_statement_says_whether_pages_may_call(shared_app):
    assert shared_app.test_client().get("/fhir/metadata").json["rest"][0]["security"]["cors"] is True


def test_what_a_page_asks_for_is_not_repeated_when_it_is_no_list_of_names(shared_app):
    headers = {"Origin": PAGE, "Access-Control-Request-Headers": "x: y"}
    said = shared_app.test_client().options("/fhir/Patient", headers=headers).headers["Access-Control-Allow-Headers"]
    assert ":" not in said
    assert "Authorization" in said
