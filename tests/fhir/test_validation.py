"""`$validate`: always an outcome, nothing is ever stored by it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.fhir.reader import read
from peerfhir.fhir.store import metadata
from peerfhir.records.database import open_engine
from tests.support.fhir import Server, issues

GOOD = {"resourceType": "Patient", "gender": "female"}
BAD = {"resourceType": "Patient", "gender": "banana"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """One database is enough: what is understood does not depend on it."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('validation') / 'fhir.db'}")
    metadata.create_all(engine)
    return engine


@pytest.fixture
def server(shared: Engine) -> Server:
    return Server(shared)


def parameters(*pairs: tuple[str, str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, key: value} for name, key, value in pairs]}


def severities(reply: Any) -> set[str]:
    assert reply.status == 200, reply.body
    return {one["severity"] for one in read(reply.body)["issue"]}


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: parameters(("resource", "resource", one)),
                                  lambda one: parameters(("mode", "valueCode", "create"), ("resource", "resource", one))])  # fmt: skip
def test_a_resource_is_judged_and_not_stored(server: Server, wrap: Any) -> None:
    assert "error" not in severities(server.ask("POST", "Patient/$validate", wrap(GOOD)))
    reply = server.ask("POST", "Patient/$validate", wrap(BAD))
    assert "error" in severities(reply)
    assert any(place == "Patient.gender" for _, place in issues(reply))
    assert server.get("Patient?_count=0")["total"] == 0
    assert server.seen == []


def test_what_is_stored_is_judged_when_nothing_is_sent(server: Server) -> None:
    where = f"Patient/{server.post(GOOD)['id']}"
    assert "error" not in severities(server.ask("POST", f"{where}/$validate"))
    update = parameters(("mode", "valueCode", "update"), ("resource", "resource", {**GOOD, "id": "other"}))
    assert "error" in severities(server.ask("POST", f"{where}/$validate", update))
    assert server.ask("POST", "Patient/nobody/$validate").status == 404
    assert "error" in severities(server.ask("POST", "Patient/$validate"))
    assert "error" not in severities(
        server.ask("POST", f"{where}/$validate", parameters(("mode", "valueCode", "delete")))
    )


def test_another_type_than_the_address_says_is_a_finding(server: Server) -> None:
    for body in (
        {"resourceType": "Group"},
        [1],
        "x",
        {"resourceType": "Parameters", "parameter": [{"name": "resource"}]},
    ):
        assert "error" in severities(server.ask("POST", "Patient/$validate", body))


def test_a_profile_may_be_asked_for(server: Server) -> None:
    url = "http://example.org/StructureDefinition/nobody-knows-it"
    for reply in (server.ask("POST", f"Patient/$validate?profile={url}", GOOD),
                  server.ask("POST", "Patient/$validate", parameters(("resource", "resource", GOOD), ("profile", "valueUri", url)))):  # fmt: skip
        assert reply.status == 200
        assert any(one["severity"] != "error" or "profile" in one["diagnostics"] for one in read(reply.body)["issue"])


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("nonsense=1", GOOD), ("mode=banana", GOOD), ("mode=create&mode=update", GOOD),
        ("", parameters(("resource", "resource", GOOD), ("resource", "resource", GOOD))),
        ("", parameters(("nonsense", "valueString", "x"))), ("", parameters(("profile", "valueUri", 1))),
        ("", parameters(("mode", "valueString", "x"), ("mode", "valueCode", "create"))),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_400(server: Server, query: str, body: Any) -> None:
    reply = server.ask("POST", f"Patient/$validate?{query}", body)
    assert reply.status == 400
    assert issues(reply)
