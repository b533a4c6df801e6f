"""A batch: each entry for itself, answered where it stood."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.fhir.reader import read
from tests.support.fhir import BASE, Server


@pytest.fixture
def server(shared: Engine) -> Server:
    return Server(shared)


def batch(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return made if resource is None else {"resource": resource, **made}


def test_what_one_entry_does_is_nothing_to_the_others(server: Server) -> None:
    kept = server.post({"resourceType": "Patient", "active": True})
    where = f"Patient/{kept['id']}"
    answer = read(server.ask("POST", "", batch(
        entry("GET", where),
        entry("POST", "Patient", {"resourceType": "Patient", "gender": "banana"}),
        entry("POST", "Patient", {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}, ifNoneExist="identifier=urn:x|1"),
        entry("POST", "Patient", {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}, ifNoneExist="identifier=urn:x|1"),
        entry("PUT", where, {**kept, "active": False}, ifMatch='W/"1"'),
        entry("PUT", where, {**kept, "active": False}, ifMatch='W/"1"'),
        entry("GET", f"{BASE}/{where}", ifNoneMatch='W/"2"'),
        entry("GET", "Patient?identifier=urn:x|1"),
        entry("GET", f"{where}/_history"),
        entry("GET", "Nonsense/1"),
        entry("DELETE", where),
        entry("GET", where),
        entry("GET", "metadata"),
    )).body)  # fmt: skip
    assert answer["type"] == "batch-response"
    said = [one["response"]["status"][:3] for one in answer["entry"]]
    assert said == ["200", "422", "201", "200", "200", "412", "304", "200", "200", "404", "204", "410", "200"]
    assert answer["entry"][0]["resource"]["active"] is True
    assert answer["entry"][1]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert answer["entry"][2]["response"]["location"] == answer["entry"][3]["response"]["location"]
    assert answer["entry"][4]["response"]["etag"] == 'W/"2"'
    assert "resource" not in answer["entry"][4]
    assert answer["entry"][7]["resource"]["total"] == 1
    assert answer["entry"][8]["resource"]["type"] == "history"


def test_prefer_holds_for_each_entry(server: Server) -> None:
    made = batch(entry("POST", "Patient", {"resourceType": "Patient"}))
    answer = read(server.ask("POST", "", made, prefer="return=representation").body)
    assert answer["entry"][0]["resource"]["resourceType"] == "Patient"


@pytest.mark.parametrize(
    "odd",
    [
        entry("POST", "Patient/_search"), entry("POST", "/", {"resourceType": "Bundle", "type": "batch"}),
        entry("GET", "http://elsewhere.example/Patient/1"), entry("PATCH", "Patient/1", {"resourceType": "Patient"}),
        entry("POST", "Patient"), entry("GET", "Patient/../admin"), entry("GET", "/Patient/a_b"), entry("GET", "Patient?nonsense=1"),
    ],
)  # fmt: skip
def test_an_entry_that_is_no_request_is_answered_in_its_place(server: Server, odd: dict[str, Any]) -> None:
    good = entry("GET", "Patient?_count=0")
    reply = server.ask("POST", "", batch(odd, good))
    assert reply.status == 200, reply.body
    said = [one["response"]["status"][:1] for one in read(reply.body)["entry"]]
    assert said == ["4", "2"]


@pytest.mark.parametrize(
    "entries", [[{}], [1], {"a": 1}, [None], [{"request": {"method": "HEAD2", "url": "Patient"}}], ["x"]]
)
def test_a_batch_that_is_no_bundle_is_refused_whole(server: Server, entries: Any) -> None:
    reply = server.ask("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert 400 <= reply.status < 500 or read(reply.body)["entry"][0]["response"]["status"].startswith("4")


def test_a_batch_without_entries_is_answered(server: Server) -> None:
    assert read(server.ask("POST", "", {"resourceType": "Bundle", "type": "batch"}).body) == {
        "resourceType": "Bundle", "type": "batch-response",
    }  # fmt: skip
