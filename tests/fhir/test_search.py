"""Searches: what matches, what is refused, what is ignored on request, and how pages follow each other."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.errors import BadRequest
from peerfhir.fhir.cursors import Cursor, cursor
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.reader import read
from peerfhir.fhir.search import parse
from tests.support.clock import HeldClock
from tests.support.fhir import BASE, Server, example, issues

SEED = 20261121


@pytest.fixture
def server(shared: Engine) -> Server:
    return Server(shared, HeldClock())


def found(server: Server, asked: str, **headers: str) -> list[str]:
    bundle = server.get(asked, **headers)
    return sorted(
        one["resource"]["id"] for one in bundle.get("entry", []) if one.get("search", {}).get("mode") == "match"
    )


def task(number: int, **changed: Any) -> dict[str, Any]:
    made = example("Task-requested")
    for name in ("owner", "id"):
        del made[name]
    made["identifier"][0]["value"] = f"T-{number}"
    return {**made, **changed}


@pytest.fixture
def tasks(server: Server) -> dict[str, str]:
    """Three tasks that differ in what is searched; name -> id."""
    system = "http://hl7.org/fhir/CodeSystem/peer"
    waiting = {"coding": [{"system": system, "code": "waiting"}, {"system": "urn:other", "code": "Waiting"}]}
    organization = server.post({"resourceType": "Organization", "name": "Årsta Peers"})["id"]
    made = {
        "plain": server.post(task(1)),
        "owned": server.post(task(2, owner={"reference": f"Organization/{organization}"}, businessStatus=waiting,
                                  status="accepted", authoredOn="2026-11-20T23:30:00-05:00")),
        "old": server.post(task(3, status="completed", authoredOn="2025", executionPeriod={"start": "2025-01-10"})),
    }  # fmt: skip
    return {**{name: one["id"] for name, one in made.items()}, "organization": organization}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", "plain owned old"), ("status=requested", "plain"), ("status=requested,completed", "plain old"),
        ("status=http://hl7.org/fhir/task-status|requested", "plain"), ("status=urn:x|requested", ""),
        ("status=Requested", ""), ("status:not=requested", "owned old"), ("status:not=requested,accepted", "old"),
        ("status=requested&status=accepted", ""), ("identifier=https://ehr.example.org/tasks|T-1", "plain"),
        ("identifier=T-1", "plain"), ("identifier=|T-1", ""),
        ("business-status=waiting", "owned"), ("business-status=Waiting", "owned"), ("business-status=WAITING", ""),
        ("business-status=urn:other|waiting", ""), ("business-status=urn:other|Waiting", "owned"),
        ("business-status=|waiting", ""), ("business-status:missing=true", ""),
        ("business-status:missing=false", "plain owned old"), ("business-status:not=waiting", "plain old"),
        ("owner:missing=true", "plain old"), ("owner:missing=false", "owned"), ("owner:missing=true&status=requested", "plain"),
        ("code=fulfill", "plain owned old"), ("intent=order", "plain owned old"), ("intent:not=order", ""),
        ("patient=https://ehr.example.org/fhir/Patient/p1", "plain owned old"), ("patient=p1", ""),
        ("subject=https://ehr.example.org/fhir/Patient/p1", "plain owned old"), ("patient:missing=true", ""),
        ("focus=https://ehr.example.org/fhir/ServiceRequest/sr1", "plain owned old"),
        ("authored-on=2026-11-21", "plain owned"), ("authored-on=2026-11-20", ""), ("authored-on=2026", "plain owned"),
        ("authored-on=2026-11", "plain owned"), ("authored-on=ge2026-11-21", "plain owned"), ("authored-on=gt2026-11-21", ""),
        ("authored-on=lt2026-11-21", "old"), ("authored-on=le2026-11-21", "plain owned old"), ("authored-on=ne2025", "plain owned"),
        ("authored-on=sa2025", "plain owned"), ("authored-on=eb2026", "old"), ("authored-on=2025-06", ""),
        ("authored-on=2026-11-21T04:30:00Z", "owned"), ("authored-on=2026-11-20T23:30:00-05:00", "owned"),
        ("authored-on=ge2026-11-21&authored-on=lt2026-11-21T12:00:00Z", "owned"),
        ("period=ge2025-06", "old"), ("period=lt2025-01-10", ""), ("period=2025-01-11", ""), ("period=sa2025-01-09", "old"),
        ("period:missing=true", "plain owned"), ("_lastUpdated=2026-11-21", "plain owned old"), ("_lastUpdated=gt2026-11-21", ""),
        ("_lastUpdated=ge2026-11-21T23:30:15.123Z", "plain owned old"), ("_lastUpdated=lt2026-11-21T23:30:15.123Z", ""),
        ("_profile=http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement",
         "plain owned old"),
        ("_totalMethod=count&status=requested", "plain"), ("_format=json&_pretty=true&status=requested", "plain"),
        ("status=", "plain owned old"), ("status=requested,", "plain"), ("status=a\\,b", ""),
    ],
)  # fmt: skip
def test_a_task_is_found_by(server: Server, tasks: dict[str, str], asked: str, names: str) -> None:
    wanted = sorted(tasks[name] for name in names.split())
    assert found(server, f"Task?{asked}") == wanted
    assert server.get(f"Task?{asked}&_count=0")["total"] == len(wanted)


def test_a_reference_is_found_however_it_is_written(server: Server, tasks: dict[str, str]) -> None:
    where = tasks["organization"]
    for text in (where, f"Organization/{where}", f"{BASE}/Organization/{where}", f"nobody,{where}"):
        assert found(server, f"Task?owner={text}") == [tasks["owned"]]
    assert found(server, f"Task?owner:Organization={where}") == [tasks["owned"]]
    assert found(server, f"Task?owner:Practitioner={where}") == []


def test_ids_are_searched_as_any_other(server: Server, tasks: dict[str, str]) -> None:
    assert found(server, f"Task?_id={tasks['old']},{tasks['plain']}") == sorted([tasks["old"], tasks["plain"]])
    assert found(server, f"Task?_id={tasks['old']}&status=requested") == []


@pytest.mark.parametrize(
    ("asked", "total"),
    [
        ("name=arsta", 1), ("name=ÅRS", 1), ("name=peers", 0), ("name:contains=peers", 1), ("name=%25", 0), ("name=_", 0),
        ("name:contains=%25", 0), ("name:missing=false", 1),
    ],
)  # fmt: skip
def test_a_name_is_compared_without_case_and_accents(
    server: Server, tasks: dict[str, str], asked: str, total: int
) -> None:
    assert server.get(f"Organization?{asked}")["total"] == total


def test_a_person_is_found_by_any_part_of_the_name(server: Server) -> None:
    kept = server.post({"resourceType": "Patient", "name": [{"family": "Núñez", "given": ["Ana", "María"]}], "gender": "female",
                        "birthDate": "1988-04-12"})["id"]  # fmt: skip
    for asked in ("name=nunez", "name=mar", "family=nu", "given=Ana", "gender=female", "birthdate=1988-04-12",
                  "birthdate=1988-04", "birthdate=gt1988"):  # fmt: skip
        assert found(server, f"Patient?{asked}") == ([] if asked.endswith("gt1988") else [kept])
    assert found(server, "Patient?family=ana") == []


def test_an_index_follows_its_resource(server: Server, tasks: dict[str, str]) -> None:
    kept = server.get(f"Task/{tasks['plain']}")
    kept.update(status="rejected", priority="urgent")
    kept["businessStatus"] = {"text": "x", "coding": [{"code": "closed"}]}
    assert server.ask("PUT", f"Task/{tasks['plain']}", kept).status == 200
    assert found(server, "Task?status=requested") == []
    assert found(server, "Task?status=rejected&business-status=closed&priority=urgent") == [tasks["plain"]]
    assert found(server, "Task?priority=routine") == sorted([tasks["owned"], tasks["old"]])


@pytest.mark.parametrize(
    "asked",
    ["nonsense=1", "status:exact=x", "owner:exact=x", "name=x", "_sort=nonsense", "_summary=all", "_count=x", "_count=-1",
     "_sort=status,-status", "_sort=status,intent,priority,code", "identifier=urn:x|", "status:text=x", "_elements=a.b",
     "patient.nonsense=x", "patient.organization.name=x", "owner:Nonsense.name=x", "patient:missing=x", "_has:Task=x",
     "_include=Task:focus:Medication", "_include:recurse=Task:focus", "_revinclude=Task:owner", "_include=*", "_id:not=x",
     "patient.identifier=|", "_sort=-", "_contained=true",
     "authored-on=yesterday", "authored-on=xx2026", "authored-on=2026-02-30", "_lastUpdated=x", "owner:missing=maybe",
     "_after=nonsense", "_include=Task:nonsense", "_include=Patient:x", "_total=some", "status=|", "status=%1f",
     "status=" + ",".join("a" * 101), "&".join(["status=a"] * 31)],
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_name(server: Server, asked: str) -> None:
    reply = server.ask("GET", f"Task?{asked}")
    assert reply.status == 400
    assert issues(reply)


def test_lenient_handling_ignores_it_and_says_so(server: Server, tasks: dict[str, str]) -> None:
    bundle = server.get("Task?nonsense=1&status=requested&foo:exact=x", prefer="handling=lenient")
    assert bundle["total"] == 1
    assert [one["search"]["mode"] for one in bundle["entry"]] == ["match", "outcome"]
    assert "nonsense, foo:exact" in bundle["entry"][1]["resource"]["issue"][0]["diagnostics"]
    assert bundle["link"][0]["url"] == f"{BASE}/Task?status=requested"


def test_a_modifier_that_is_not_taken_is_refused_even_so(server: Server) -> None:
    for asked in ("status:exact=x", "status:text=x", "date:not=2026", "subject:Practitioner:missing=true"):
        kind = "Encounter" if asked.startswith("date") else "Task"
        assert server.ask("GET", f"{kind}?{asked}", prefer="handling=lenient").status == 400, asked


def test_the_self_link_says_what_was_used(server: Server) -> None:
    asked = "Task?status=requested,accepted&_count=3&_totalMethod=count&identifier=urn:x|1"
    assert server.get(asked)["link"][0] == {
        "relation": "self",
        "url": f"{BASE}/Task?status=requested,accepted&_count=3&_totalMethod=count&identifier=urn:x|1",
    }


@pytest.mark.parametrize("order", ["_id", "-_id", "_lastUpdated", "-_lastUpdated"])
def test_pages_hold_everything_once_while_rows_are_written(server: Server, order: str) -> None:
    rng = random.Random(SEED)
    clock = server.clock
    made = []
    for number in range(23):
        if rng.random() < 0.5:
            clock.move(seconds=1)  # type: ignore[attr-defined]
        made.append(server.post({"resourceType": "Organization", "name": f"n{number}"})["id"])
    seen: list[Any] = []
    asked = f"Organization?_count=5&_sort={order}&name=n"
    while asked:
        bundle = server.get(asked)
        assert "total" not in bundle or len(seen) + len(bundle["entry"]) >= 23  # counted when asked, or when it is free
        seen += [one["resource"] for one in bundle["entry"]]
        links = {one["relation"]: one["url"] for one in bundle["link"]}
        asked = links.get("next", "").removeprefix(f"{BASE}/")
        server.post({"resourceType": "Organization", "name": "another"})
    ids = [one["id"] for one in seen]
    assert set(ids) == set(made)
    assert len(ids) == 23
    key = "id" if order.endswith("_id") else "meta"
    values = [one["id"] if key == "id" else one["meta"]["lastUpdated"] for one in seen]
    assert values == sorted(values, reverse=order.startswith("-"))


def test_a_count_of_nothing_still_counts(server: Server, tasks: dict[str, str]) -> None:
    bundle = server.get("Task?_count=0")
    assert bundle["total"] == 3
    assert "entry" not in bundle
    assert server.get("Task?_summary=count")["total"] == 3
    assert server.get("Task?status=draft") == {
        "resourceType": "Bundle", "type": "searchset", "total": 0,
        "link": [{"relation": "self", "url": f"{BASE}/Task?status=draft"}],
    }  # fmt: skip


def test_includes_bring_along_what_is_pointed_at(server: Server, tasks: dict[str, str]) -> None:
    bundle = server.get("Task?status=accepted&_include=Task:owner&_include=Task:focus")
    modes = [(one["resource"]["resourceType"], one["search"]["mode"]) for one in bundle["entry"]]
    assert modes == [("Task", "match"), ("Organization", "include")]
    assert bundle["total"] == 1
    back = server.get(f"Organization?_id={tasks['organization']}&_revinclude=Task:owner")
    assert [one["search"]["mode"] for one in back["entry"]] == ["match", "include"]
    assert back["entry"][1]["resource"]["id"] == tasks["owned"]


def test_the_chart_of_a_patient_is_a_compartment(server: Server) -> None:
    who = server.post({"resourceType": "Patient"})["id"]
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{who}"},
    }
    kept = server.post(body)["id"]
    assert found(server, f"Patient/{who}/Observation?status=final") == [kept]
    assert found(server, f"Patient/{who}/Observation?status=preliminary") == []


def test_a_form_and_a_query_are_one_search() -> None:
    query = parse("Task", "status=requested", form={"owner": ["Organization/1"], "_count": ["3"]})
    assert [clause.parameter.name for clause in query.clauses] == ["status", "owner"]
    assert query.count == 3


def test_what_stands_behind_the_id_in_an_order_decides_nothing() -> None:
    assert parse("Patient", "_sort=_id,-name").sort == ()
    assert parse("Patient", "_sort=-_id,name").sort == (("_id", True),)
    assert parse("Patient", "_sort=gender,-_id,name").sort == (("gender", False), ("_id", True))


def test_long_values_are_found_by_all_of_them(server: Server) -> None:
    one, other = "x" * 900 + "1", "x" * 900 + "2"
    kept = server.post({"resourceType": "Patient", "identifier": [{"system": "urn:" + "s" * 400, "value": one}]})["id"]
    assert found(server, f"Patient?identifier=urn:{'s' * 400}|{one}") == [kept]
    assert found(server, f"Patient?identifier={other}") == []
    title = server.post({"resourceType": "Organization", "name": "n" * 700})["id"]
    assert found(server, f"Organization?name={'n' * 50}") == [title]


def test_an_address_is_found_whole(server: Server) -> None:
    form = example("Questionnaire-phq9")
    kept = server.post({name: one for name, one in form.items() if name != "id"})["id"]
    assert found(server, f"Questionnaire?url={form['url']}") == [kept]
    assert found(server, f"Questionnaire?url={form['url'][:-1]}") == []


def test_a_canonical_is_found_in_any_version_or_in_the_one_asked_for(server: Server) -> None:
    made = {}
    for version in ("", "|1.0", "|2.0"):
        sent = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": f"urn:form{version}"}
        made[version] = server.post(sent)["id"]
    assert found(server, "QuestionnaireResponse?questionnaire=urn:form") == sorted(made.values())
    for version in ("|1.0", "|2.0"):
        assert found(server, f"QuestionnaireResponse?questionnaire=urn:form{version}") == [made[version]]
    assert found(server, "QuestionnaireResponse?questionnaire=urn:form|3.0") == []


def test_a_cursor_is_read_back_or_refused() -> None:
    rng = random.Random(SEED)
    for _ in range(200):
        row = Cursor(rng.choice("itv"), rng.randrange(10**17), f"{rng.random()}")
        assert cursor(str(row)) == row
    for text in ("", "x", "====", "MQ", "é", "1" * 500):
        with pytest.raises(BadRequest):
            cursor(text)


def test_every_parameter_of_every_type_can_be_asked(shared: Engine) -> None:
    server = Server(shared)
    values = {
        "token": "a|b",
        "reference": "Patient/x",
        "date": "ge2026",
        "string": "x",
        "uri": "urn:x",
        "quantity": "5||mg",
    }
    for name, own in PARAMETERS.items():
        for key, one in own.items():
            reply = server.ask("GET", f"{name}?{key}={values[one.kind]}")
            assert (reply.status, read(reply.body)["total"]) == (200, 0), (name, key)
