"""Transactions are whole or not at all, wherever the fault is."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import Engine, func, select

from peerfhir.fhir import tables
from peerfhir.fhir.reader import read
from tests.support.fhir import Server, issues, referral

SEED = 20261121
ALL = [tables.metadata.tables[name] for name in sorted(tables.metadata.tables)]


def _rows(server: Server) -> list[int]:
    """How many rows of this program each table has."""
    with server.engine.connect() as connection:
        return [
            connection.execute(select(func.count()).where(table.c.program_id == server.program)).scalar_one()
            for table in ALL
        ]


def _broken(rng: random.Random, bundle: dict[str, Any]) -> int:
    """Break one entry in one of the ways that only the store or only validation can see; returns its position."""
    at = rng.randrange(7)
    entry = bundle["entry"][at]
    kind = rng.randrange(6)
    if kind == 0:
        entry["resource"]["nonsense"] = 1
    elif kind == 1:
        entry["request"]["ifNoneExist"] = "identifier=urn:twice|1"  # matches two
    elif kind == 2:
        entry["resource"]["extension"] = [{"url": "urn:x", "valueReference": {"reference": "Patient/nobody"}}]
    elif kind == 3:
        entry["resource"]["id"] = "nobody"
        entry["request"] = {"method": "PUT", "url": f"{entry['resource']['resourceType']}/nobody"}
    elif kind == 4:
        entry["resource"]["extension"] = [{"url": "urn:x", "valueReference": {"reference": "Patient?identifier=no"}}]
    else:
        entry["request"]["url"] = "Nonsense"
    return at


def test_a_fault_in_a_random_entry_leaves_no_row_behind(shared: Engine) -> None:
    server = Server(shared)
    twice = [{"system": "urn:twice", "value": "1"}]
    for name in ("Patient", "Organization", "PractitionerRole"):
        for _ in range(2):
            server.post({"resourceType": name, "identifier": twice, "active": True})
    order = {"status": "active", "intent": "order", "subject": {"display": "x"}}
    for source in ("one", "two"):  # two senders, so that both may have it
        other = Server(shared, program=server.program, source=source)
        other.post({"resourceType": "ServiceRequest", "identifier": twice, **order})
        other.post({"resourceType": "Task", "identifier": twice, "status": "requested", "intent": "order"})
        said = {"scope": {"text": "x"}, "category": [{"text": "x"}], "policyRule": {"text": "x"}}
        consent = {"status": "active", "identifier": twice, **said}
        other.post({"resourceType": "Consent", **consent})
    before = _rows(server)
    rng = random.Random(SEED)
    for number in range(250):
        bundle = referral(number)
        at = _broken(rng, bundle)
        reply = server.ask("POST", "", bundle)
        said = f"seed {SEED}, case {number}: {reply.body!r}"
        assert 400 <= reply.status < 500, said
        assert any(place.startswith(f"Bundle.entry[{at}]") for _, place in issues(reply)), said
        if number % 25 == 0:
            assert _rows(server) == before, said
    assert _rows(server) == before


def test_an_answer_stands_where_its_entry_stood(shared: Engine) -> None:
    server = Server(shared)
    rng = random.Random(SEED)
    for number in range(20):
        bundle = referral(number)
        rng.shuffle(bundle["entry"])
        bundle["entry"].insert(rng.randrange(8), {"request": {"method": "GET", "url": "Task?_count=0"}})
        answer = read(server.ask("POST", "", bundle).body)
        for asked, given in zip(bundle["entry"], answer["entry"], strict=True):
            if asked["request"]["method"] == "GET":
                assert given["resource"]["total"] == number + 1
            else:
                assert given["response"]["location"].startswith(f"{asked['request']['url']}/")
                assert set(given["response"]) == {"status", "location", "etag", "lastModified"}


def test_an_entry_may_name_this_server_in_full(shared: Engine) -> None:
    server = Server(shared)
    bundle = referral()
    for entry in bundle["entry"]:
        entry["request"]["url"] = f"https://peerfhir.example/fhir/{entry['request']['url']}"
    assert server.ask("POST", "", bundle).status == 200


def test_a_reference_below_our_base_becomes_ours(shared: Engine) -> None:
    server = Server(shared)
    who = server.post({"resourceType": "Patient"})["id"]
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": f"https://peerfhir.example/fhir/Patient/{who}"}}  # fmt: skip
    assert server.post(body)["subject"]["reference"] == f"Patient/{who}"
    body["subject"] = {"reference": "https://peerfhir.example/fhir/Patient/nobody"}
    assert server.ask("POST", "Observation", body).status == 422
