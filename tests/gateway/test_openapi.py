"""The document tells of every route and of nothing else, and its page stands on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from peerfhir.gateway.app import create_app
from peerfhir.portal.app import create_pages
from peerfhir.practice.people import PATIENTS
from tests.support import doors
from tests.support.browser import chromium
from tests.support.served import Served

PAGE = {"/api-docs", "/api-docs/static/<path:filename>"}  # for people: HTML, and how it looks
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
def document(web_app: Flask) -> dict[str, Any]:
    answer = web_app.test_client().get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    return dict(answer.json)


@pytest.fixture
def page(web_app: Flask) -> Any:
    return web_app.test_client().get("/api-docs")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            yield path, method, one


def as_openapi(rule: str) -> str:
    return re.sub(r"<(?:[a-z]+(?:\([^)]*\))?:)?(\w+)>", r"{\1}", rule)


def test_every_route_is_described_and_everything_described_is_a_route(document, lite, clock) -> None:
    """The pages for people and FHIR, which its CapabilityStatement describes, are no part of it."""
    whole = create_app(replace(doors.parts(lite, clock), pages=create_pages))
    routes = {
        (as_openapi(rule.rule), method.lower())
        for rule in whole.url_map.iter_rules()
        if not rule.endpoint.startswith(("portal.", "fhir.")) and rule.rule not in PAGE
        for method in rule.methods & METHODS
    }
    assert {(path, method) for path, method, _ in operations(document)} == routes
    assert len(routes) > 15


def test_the_document_says_which_openapi_it_is_and_where_the_service_is(document) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": doors.BASE}]
    assert (
        document["components"]["securitySchemes"]["token"]["flows"]["clientCredentials"]["tokenUrl"] == doors.TOKEN_URL
    )


def test_everything_has_words_for_people(document) -> None:
    names = set()
    for path, _, one in operations(document):
        names.add(one["operationId"])
        assert one["summary"], path
        for each in one.get("parameters", []):
            assert each["description"], (path, each["name"])
        for status, answer in one["responses"].items():
            assert answer["description"], (path, status)
    assert len(names) == len(list(operations(document)))
    for name, schema in document["components"]["schemas"].items():
        for key, one in schema.get("properties", {}).items():
            assert one.get("description"), f"{name}.{key}"


def test_every_operation_says_how_it_refuses(document) -> None:
    for path, _, one in operations(document):
        said = set(one["responses"])
        assert "431" in said
        if path.startswith("/admin"):
            assert {"200", "400", "401", "403", "431", "500", "503"} <= said
            assert ("{" in path) == ("404" in said)
        elif path.startswith("/oauth"):
            assert {"400", "401", "411", "413", "415", "429"} <= said
        assert set(one.get("security", [])[0] if one.get("security") else {}) == (
            {"token"} if path.startswith("/admin") else {"client"} if path.startswith("/oauth") else set()
        )


def test_no_reference_leads_nowhere(document) -> None:
    for place in re.findall(r"#/components/schemas/(\w+)", str(document)):
        assert place in document["components"]["schemas"]


def test_examples_are_of_nobody(document) -> None:
    text = str(document)
    for one in PATIENTS:
        assert one.id not in re.findall(r"'examples': \[([^\]]*)\]", text)
    assert not re.search(r"birthDate|family|given|MRN|@|\bphone", text)


def test_an_answer_has_no_field_that_the_document_does_not_name(document) -> None:
    schemas = document["components"]["schemas"]
    for name in ("InboxLine", "OutboxLine", "Attempt", "Hop", "Token", "Ready"):
        assert schemas[name]["additionalProperties"] is False
        assert set(schemas[name]["required"]) == set(schemas[name]["properties"])
    for secret in ("body", "person_id", "target", "outcome"):
        assert secret not in schemas["OutboxShown"]["properties"]


# -- the page ---------------------------------------------------------------------------------------------------


def test_the_page_tells_of_every_operation_and_needs_nothing_from_elsewhere(page, document) -> None:
    assert (page.status_code, page.mimetype) == (200, "text/html")
    for path, _, one in operations(document):
        assert f'id="{one["operationId"]}"' in page.text
        assert f">{path}<" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert not re.search(r'(?:src|href)="(?!/|#)', page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_every_link_of_the_page_leads_somewhere(page, web_app) -> None:
    web = web_app.test_client()
    for target in set(re.findall(r'href="([^"]+)"', page.text)):
        if target.startswith("#"):
            assert f'id="{target[1:]}"' in page.text
        else:
            with web.get(target) as answer:
                assert answer.status_code == 200, target


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_in_a_browser_nothing_moves_sideways_and_an_operation_opens_by_keyboard(browser, web_app, width) -> None:
    served = Served()
    served.start(web_app)
    context = browser.new_context(viewport={"width": width, "height": 844}, java_script_enabled=False)
    try:
        tab = context.new_page()
        failed: list[str] = []
        tab.on("requestfailed", lambda request: failed.append(request.url))
        tab.goto(f"{served.url}/api-docs")
        summary = tab.locator("#show_outbox summary")
        body = tab.locator("#show_outbox .inside")
        assert not body.is_visible()
        summary.focus()
        tab.keyboard.press("Enter")
        assert body.is_visible()
        assert tab.locator("body").bounding_box()["width"] <= width
        assert body.bounding_box()["x"] + body.bounding_box()["width"] <= width
        assert failed == []
        assert {one.path for one in served.answered if one.status >= 400} <= {"/favicon.ico"}
    finally:
        context.close()
        served.stop()
