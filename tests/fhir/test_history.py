"""Deletes, and what is told of everything that was: versions newest first, page by page, deletes too."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.errors import Forbidden
from peerfhir.fhir.reader import read
from tests.support.clock import HeldClock
from tests.support.fhir import BASE, OpenSession, Server, issues

SEED = 20261121


@pytest.fixture
def server(shared: Engine) -> Server:
    return Server(shared, HeldClock())


def patient(**changed: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}], "active": True, **changed}


def told(bundle: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (one["request"]["method"], one["response"]["etag"], one.get("resource", {}).get("gender", ""))
        for one in bundle.get("entry", [])
    ]


def test_what_was_deleted_is_gone_and_its_versions_stay(server: Server) -> None:
    kept = server.post(patient(gender="male"))
    where = f"Patient/{kept['id']}"
    server.ask("PUT", where, {**kept, "gender": "female"})
    reply = server.ask("DELETE", where)
    assert (reply.status, reply.body, reply.headers["ETag"]) == (204, b"", 'W/"3"')
    for path, status in (
        (where, 410),
        (f"{where}/_history/3", 410),
        (f"{where}/_history/2", 200),
        (f"{where}/_history/4", 404),
    ):
        assert server.ask("GET", path).status == status, path
    assert issues(server.ask("GET", where))[0][0] == "deleted"
    assert server.ask("PUT", where, {**kept, "gender": "other"}).status == 410
    assert server.ask("PATCH", where, {"gender": "other"}).status == 410
    assert server.ask("DELETE", where).status == 204  # once more is the same
    assert server.get("Patient?identifier=urn:mrn|1")["total"] == 0
    assert server.get("Patient?_count=0")["total"] == 0
    bundle = server.get(f"{where}/_history")
    assert told(bundle) == [("DELETE", 'W/"3"', ""), ("PUT", 'W/"2"', "female"), ("POST", 'W/"1"', "male")]
    assert bundle["total"] == 3
    assert bundle["type"] == "history"
    assert [one["response"]["status"] for one in bundle["entry"]] == ["204 No Content", "200 OK", "201 Created"]
    assert bundle["entry"][0]["fullUrl"] == f"{BASE}/{where}"
    assert [one.method for one in server.seen] == ["create", "update", "delete"]


def test_a_delete_may_name_the_version_it_means(server: Server) -> None:
    where = f"Patient/{server.post(patient())['id']}"
    assert server.ask("DELETE", where, if_match='W/"2"').status == 412
    assert server.ask("GET", where).status == 200
    assert server.ask("DELETE", where, if_match='W/"1"', prefer="return=OperationOutcome").status == 200
    assert server.ask("DELETE", "Patient/never-was").status == 404
    assert server.ask("DELETE", f"{where}?name=x").status == 400


def test_an_identifier_that_was_deleted_may_come_again(server: Server) -> None:
    condition = {"if_none_exist": "identifier=urn:mrn|1"}
    first = read(server.ask("POST", "Patient", patient(), **condition).body)
    assert server.ask("DELETE", f"Patient/{first['id']}").status == 204
    again = server.ask("POST", "Patient", patient(), **condition)
    assert again.status == 201
    assert read(again.body)["id"] != first["id"]
    order = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": {"display": "x"},
             "identifier": [{"system": "urn:o", "value": "1"}]}  # fmt: skip
    made = server.post(order)
    assert server.ask("POST", "ServiceRequest", order).status == 409
    assert server.ask("DELETE", f"ServiceRequest/{made['id']}").status == 204
    assert server.ask("POST", "ServiceRequest", order).status == 201


def test_what_others_refer_to_is_not_deleted_alone_but_together(server: Server) -> None:
    who = server.post(patient())["id"]
    seen = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{who}"},
    }
    about = server.post(seen)["id"]
    reply = server.ask("DELETE", f"Patient/{who}")
    assert (reply.status, issues(reply)[0][0]) == (409, "conflict")
    entries = [{"request": {"method": "DELETE", "url": f"Patient/{who}"}},
               {"request": {"method": "DELETE", "url": f"Observation/{about}"}}]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = read(server.ask("POST", "", bundle).body)
    assert [one["response"]["status"] for one in answer["entry"]] == ["204 No Content"] * 2
    assert server.ask("POST", "Observation", seen).status == 422


def test_the_history_of_a_type_is_told_page_by_page_while_more_is_written(server: Server) -> None:
    rng = random.Random(SEED)
    wanted: list[tuple[str, str]] = []
    alive: dict[str, dict[str, Any]] = {}
    for number in range(60):
        if rng.random() < 0.4:
            server.clock.move(seconds=1)  # type: ignore[attr-defined]
        what = rng.random()
        if what < 0.5 or not alive:
            made = server.post({"resourceType": "Organization", "name": f"n{number}"})
            alive[made["id"]] = made
            wanted.append((made["id"], 'W/"1"'))
        else:
            ident = rng.choice(sorted(alive))
            if what < 0.8:
                reply = server.ask("PUT", f"Organization/{ident}", {**alive[ident], "name": f"m{number}"})
            else:
                reply = server.ask("DELETE", f"Organization/{ident}")
                del alive[ident]
            wanted.append((ident, reply.headers["ETag"]))
    seen, pages = [], 0
    asked = "Organization/_history?_count=7"
    while asked:
        bundle = server.get(asked)
        seen += [(one["fullUrl"].rsplit("/", 1)[1], one["response"]["etag"]) for one in bundle["entry"]]
        assert [one["response"]["lastModified"] for one in bundle["entry"]] == sorted(
            (one["response"]["lastModified"] for one in bundle["entry"]), reverse=True
        )
        links = {one["relation"]: one["url"] for one in bundle["link"]}
        asked = links.get("next", "").removeprefix(f"{BASE}/")
        server.clock.move(seconds=1)  # type: ignore[attr-defined]
        server.post({"resourceType": "Organization", "name": "another"})
        pages += 1
    assert sorted(seen) == sorted(wanted), f"seed {SEED}"
    assert pages == 9


def test_a_history_may_begin_at_an_instant(server: Server) -> None:
    kept = server.post(patient())
    where = f"Patient/{kept['id']}"
    server.clock.move(seconds=10)  # type: ignore[attr-defined]
    server.ask("PUT", where, {**kept, "gender": "female"})
    later = server.get(where)["meta"]["lastUpdated"]
    assert told(server.get(f"{where}/_history?_since={later}")) == [("PUT", 'W/"2"', "female")]
    assert told(server.get(f"{where}/_history?_since=2030-01-01")) == []
    assert len(told(server.get(f"{where}/_history?_since=2020"))) == 2
    assert server.get(f"{where}/_history?_count=0")["link"]


@pytest.mark.parametrize(
    "asked", ["_count=x", "_count=-1", "_since=yesterday", "_after=x", "_after=MQ", "_at=2020", "nonsense=1", "_sort=_id",
              "&".join(["_count=1"] * 30)],
)  # fmt: skip
def test_what_a_history_does_not_understand_is_refused(server: Server, asked: str) -> None:
    server.post(patient())
    reply = server.ask("GET", f"Patient/_history?{asked}")
    assert reply.status == 400
    assert issues(reply)


def test_a_session_may_forbid_history_and_deletes(shared: Engine) -> None:
    class Closed(OpenSession):
        def may(self, interaction: str, resource_type: str) -> None:
            if interaction in ("history-instance", "history-type", "delete"):
                raise Forbidden

    server = Server(shared, session=Closed)
    where = f"Patient/{server.post(patient())['id']}"
    assert server.ask("GET", f"{where}/_history").status == 403
    assert server.ask("GET", "Patient/_history").status == 403
    assert server.ask("DELETE", where).status == 403
    assert server.ask("GET", where).status == 200
