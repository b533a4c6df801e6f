"""Generated bodies of strangers through every writing route: never a 5xx, never a piece of the body in the answer."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.errors import BadBody
from peerfhir.fhir.model import parse
from peerfhir.fhir.reader import read
from peerfhir.fhir.rest import Call
from peerfhir.fhir.site import judge_of
from peerfhir.fhir.validate import validate
from peerfhir.fhir.writer import write
from tests.support.bodies import CANARY, examples, mutated
from tests.support.fhir import BASE, Server, referral

SEED = 20261121


def test_no_body_makes_a_5xx(tmp_path: Any) -> None:
    from peerfhir.fhir.store import metadata
    from peerfhir.records.database import open_engine

    engine = open_engine(f"sqlite:///{tmp_path / 'fhir.db'}")
    metadata.create_all(engine)
    server = Server(engine)
    rng = random.Random(SEED)
    start = [*examples(), referral(1), referral(2)]
    where = f"Patient/{server.post({'resourceType': 'Patient', 'active': True})['id']}"
    seen: Counter[int] = Counter()
    for number in range(8000):
        body = mutated(rng, rng.choice(start))
        name = body.get("resourceType") if isinstance(body, dict) else None
        path = rng.choice([name if isinstance(name, str) else "Patient", "Patient", "", where, "Task"])
        method = "PUT" if path == where else "POST"
        headers = {"if-none-exist": f"identifier=urn:x|{number}"} if rng.random() < 0.2 else {}
        reply = server.rest.answer(Call(method, "" if path == "Bundle" else path, "", headers, body, BASE))
        assert reply.status < 500, f"seed {SEED}, case {number}: {reply.body!r}"
        if reply.status >= 400:
            assert CANARY.encode() not in reply.body.replace(f".{CANARY}".encode(), b""), f"seed {SEED}, case {number}"
        seen[reply.status] += 1
    assert seen[422] > 1500
    assert seen[400] > 500
    engine.dispose()


def test_broken_bytes_of_resources_never_surprise_the_engine(shared: Engine) -> None:
    server = Server(shared)
    rng = random.Random(SEED + 1)
    raw = [write(one) for one in [*examples(), referral(1)]]
    for number in range(1500):
        data = bytearray(rng.choice(raw))
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(4)] = rng.choice(
                [b'"', b"{}", b"\\u0000", b"\x00", b"null", b",", b"1e5", b""]
            )
        try:
            body = read(bytes(data))
        except BadBody:
            continue
        name = body.get("resourceType") if isinstance(body, dict) else "Patient"
        path = "" if name == "Bundle" else str(name)
        assert server.rest.answer(Call("POST", path, "", {}, body, BASE)).status < 500, (
            f"seed {SEED + 1}, case {number}"
        )


def test_no_search_makes_a_5xx(shared: Engine) -> None:
    server = Server(shared)
    server.ask("POST", "", referral(3))
    rng = random.Random(SEED + 2)
    names = ["status", "identifier", "patient", "authored-on", "_lastUpdated", "_count", "_sort", "_after", "_id", "name",
             "owner:missing", "status:not", "_include", "_revinclude", "subject:Patient", "x", "_total", "code", "",
             "_summary", "family:contains", "period", "focus", "_profile", "_elements", "patient.name", "subject:Patient.birthdate",
             "owner:identifier", "name:exact", "value-quantity", "_include:iterate", "_totalMethod", "patient.identifier:not",
             "patient.", ".name", "a.b.c", "status:", ":not", "_sort:x"]  # fmt: skip
    values = ["", "|", "a|b", "|b", "a|", ",", "a,b", "\\,", "ge2024", "2024-02-30", "true", "1", "-1", "1" * 40, "%00",
              "%ff", "%", "Patient/x", "Patient/", "é", "_id", "-_lastUpdated", "MS4x", "Task:focus", "Task:owner:Patient",
              "a" * 3000, "'; drop table", "_", "%25", "*", "requested,accepted", "\x1f",
              "dC4xLng", "di4xLng", "aS4wLng", "di45OTk5OTk5OTk5OTk5OTk5OTk5LngK", "gt1e99", "5.4||mg", "1e-99|x|y", "ap2024",
              "family,-birthdate", "-_id,_id", "--status", "\U0010ffff", "\x7f", "9999-12-31", "0001", "ap0001", "sa9999-12-31"]  # fmt: skip
    for number in range(1500):
        asked = "&".join(f"{rng.choice(names)}={rng.choice(values)}" for _ in range(rng.randrange(1, 5)))
        headers = {"prefer": "handling=lenient"} if rng.random() < 0.5 else {}
        name = rng.choice(["Task", "Patient", "Observation", "Organization", "Consent"])
        reply = server.rest.answer(Call("GET", name, asked, headers, None, BASE))
        assert reply.status in (200, 400), f"seed {SEED + 2}, case {number}: {asked!r} {reply.status}"


def test_the_judge_refuses_everything_the_model_refuses() -> None:
    """So what arrives needs no second judgement by the models, which cost four times as much."""
    rng = random.Random(SEED + 3)
    start = examples()
    judge = judge_of(())
    both = Counter({True: 0, False: 0})
    for number in range(2500):
        body = mutated(rng, rng.choice(start))
        refused = any(one.severity == "error" for one in judge.findings(body))
        if not refused:
            assert not parse(body), f"seed {SEED + 3}, case {number}: {parse(body)[:2]}"
        both[refused] += 1
    assert both[True] > 1000
    assert both[False] > 200


@pytest.mark.parametrize("depth", [30, 300, 5000])
def test_nesting_is_a_finding_and_no_exception(depth: int) -> None:
    inner: Any = {"url": "x", "valueString": "s"}
    for _ in range(depth):
        inner = {"url": "x", "extension": [inner]}
    found = validate({"resourceType": "Patient", "extension": [inner]})
    assert bool(found) == (depth > 60)
    item: Any = {"linkId": "0", "type": "string"}
    for number in range(1, depth + 1):
        item = {"linkId": str(number), "type": "group", "item": [item]}
    assert validate({"resourceType": "Coverage", "extension": [inner]})
    assert bool(validate({"resourceType": "Questionnaire", "status": "draft", "item": [item]})) == (depth > 60)


def test_no_address_makes_a_5xx(shared: Engine) -> None:
    """Every method at made-up addresses, with and without a body."""
    server = Server(shared)
    who = server.post({"resourceType": "Patient", "active": True})["id"]
    rng = random.Random(SEED + 4)
    parts = ["Patient", "Task", who, "_history", "_search", "$validate", "$everything", "metadata", "1", "9" * 30, "", "..", "%00",
             "_after", "Observation", "x" * 65, "é", "Nonsense", "$", "_", "$meta", "٣"]  # fmt: skip
    queries = [
        "",
        "_count=1",
        "_after=x",
        "identifier=1",
        "_format=json",
        "_format=xml",
        "profile=%00",
        "mode=x",
        "_since=x",
        "&&==",
        "%",
    ]
    bodies: list[Any] = [None, {}, [], "x", 1, {"resourceType": "Patient"}, {"resourceType": "Patient", "id": who},
                         [{"op": "add", "path": "/active", "value": 1}], {"resourceType": "Parameters", "parameter": [None, 1, {}]},
                         {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": [], "url": {}}}]}]  # fmt: skip
    headers = [{}, {"if-match": '"\x00"'}, {"if-none-match": "*,,"}, {"if-modified-since": "yesterday"}, {"prefer": "=;=,return"},
               {"if-none-exist": "a=b&c"}, {"if-none-exist": ""}, {"accept": ";;q=x"}, {"if-modified-since": "Sat, 99 Foo 2026"}]  # fmt: skip
    for number in range(2500):
        path = "/".join(rng.choice(parts) for _ in range(rng.randrange(0, 5)))
        method = rng.choice(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"])
        call = Call(method, path, rng.choice(queries), rng.choice(headers), rng.choice(bodies), BASE)
        reply = server.rest.answer(call)
        assert reply.status < 500, f"seed {SEED + 4}, case {number}: {method} {path} {reply.body!r}"
        assert reply.status < 400 or read(reply.body)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_ten_thousand_entries_are_refused_at_once(shared: Engine, kind: str) -> None:
    server = Server(shared)
    entry = {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    reply = server.ask("POST", "", {"resourceType": "Bundle", "type": kind, "entry": [entry] * 10_000})
    assert (reply.status, read(reply.body)["issue"][0]["code"]) == (422, "too-costly")
    assert server.get("Patient?_count=0")["total"] == 0
