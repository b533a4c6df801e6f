"""Chains, modifiers, orders, parts and companions of a search, on both databases."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.errors import Forbidden
from tests.support.clock import HeldClock
from tests.support.fhir import BASE, OpenSession, Server, issues

SEED = 20261121


@pytest.fixture(scope="module")
def server(shared: Engine) -> Server:
    return Server(shared, HeldClock())


@pytest.fixture(scope="module")
def chart(server: Server) -> dict[str, str]:
    """Two people and what is known of them; name -> id."""
    made: dict[str, str] = {}

    def keep(label: str, kind: str, /, **elements: Any) -> str:
        made[label] = server.post({"resourceType": kind, **elements})["id"]
        return made[label]

    ana = keep("ana", "Patient", name=[{"family": "Núñez", "given": ["Ana"]}], birthDate="1961-07-04", gender="female",
               identifier=[{"system": "urn:mrn", "value": "1"}])  # fmt: skip
    bo = keep("bo", "Patient", name=[{"family": "ANDERS", "given": ["Bo"]}], birthDate="1990",
              extension=[{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [
                  {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}},
                  {"url": "text", "valueString": "White"}]}])  # fmt: skip
    clinic = keep("clinic", "Organization", name="Clinic", address=[{"city": "Springfield", "postalCode": "12345"}])
    for name, who, value, day in (
        ("a1", ana, "5.4", "2026-01-10"),
        ("a2", ana, "5", "2026-03-01"),
        ("b1", bo, "17", "2026-02-01"),
    ):
        keep(name, "Observation", status="final", code={"coding": [{"system": "http://loinc.org", "code": "44261-6"}]},
             subject={"reference": f"Patient/{who}"}, effectiveDateTime=day, performer=[{"reference": f"Organization/{clinic}"}],
             valueQuantity={"value": Decimal(value), "unit": "points", "code": "{score}", "system": "http://unitsofmeasure.org"})  # fmt: skip
    keep("order", "ServiceRequest", status="active", intent="order", subject={"reference": f"Patient/{ana}"},
         requester={"reference": f"Organization/{clinic}", "identifier": {"system": "urn:npi", "value": "77"}})  # fmt: skip
    keep("task", "Task", status="requested", intent="order", focus={"reference": f"ServiceRequest/{made['order']}"},
         **{"for": {"reference": f"Patient/{ana}"}}, authoredOn="2026-01-01", owner={"identifier": {"value": "88"}},
         requester={"reference": f"Organization/{clinic}"})  # fmt: skip
    keep("goal", "Goal", lifecycleStatus="active", description={"text": "Sleep"}, subject={"reference": f"Patient/{bo}"},
         target=[{"measure": {"text": "x"}, "dueDate": "2026-02-01"}, {"measure": {"text": "y"}, "dueDate": "2026-06-01"}])  # fmt: skip
    return made


def found(server: Server, asked: str) -> list[str]:
    bundle = server.get(asked)
    return [one["resource"]["id"] for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("Observation?patient.identifier=urn:mrn|1", "a1 a2"), ("Observation?patient.name=nun", "a1 a2"),
        ("Observation?subject:Patient.family=anders", "b1"), ("Observation?subject.birthdate=lt1980", "a1 a2"),
        ("Observation?patient.gender:missing=true", "b1"), ("Observation?patient.gender:not=male", "a1 a2 b1"),
        ("Observation?patient._id={ana}", "a1 a2"), ("Observation?performer:Organization.name=clinic", "a1 a2 b1"),
        ("Observation?performer.name=nobody", ""), ("Task?focus.status=active", "task"), ("Task?focus.status=draft", ""),
        ("Task?patient.birthdate=1961&requester.name=clinic", "task"), ("Patient?race=2106-3", "bo"),
        ("Observation?value-quantity=5.4", "a1"), ("Observation?value-quantity=5", "a1 a2"), ("Observation?value-quantity=5.0", "a2"), ("Observation?value-quantity=gt5", "a1 b1"),
        ("Observation?value-quantity=le5.4", "a1 a2"), ("Observation?value-quantity=17|http://unitsofmeasure.org|{{score}}", "b1"),
        ("Observation?value-quantity=17||points", "b1"), ("Observation?value-quantity=17||mg", ""),
        ("Observation?value-quantity=ne17", "a1 a2"), ("Observation?value-quantity=ap5.2", "a1 a2"),
        ("Observation?value-quantity=1.7e1", "b1"), ("Observation?value-quantity:missing=true", ""),
        ("Observation?date=ge2026-02-01", "a2 b1"), ("Observation?patient={ana}&date=ge2026-02-01", "a2"),
        ("Observation?patient={ana}&date=ne2026-01-10", "a2"), ("Observation?date=sa2026-01-10&date=eb2026-03-01", "b1"),
        ("Observation?date=ap2026-02-01", "a1 a2 b1"), ("Observation?date:missing=true", ""),
        ("Goal?target-date=2026-02-01", "goal"), ("Goal?target-date=gt2026-05", "goal"), ("Goal?target-date=2026-04", ""),
        ("Patient?family:exact=Núñez", "ana"), ("Patient?family:exact=nunez", ""), ("Patient?family=nunez", "ana"),
        ("Patient?family:contains=der", "bo"), ("Patient?name:exact=Bo", "bo"), ("Patient?name:missing=true", ""),
        ("Organization?address=spring", "clinic"), ("Organization?address-postalcode=123", "clinic"),
        ("Organization?address-city=xspring", ""), ("ServiceRequest?requester:identifier=urn:npi|77", "order"),
        ("ServiceRequest?requester:identifier=urn:other|77", ""), ("Task?owner:identifier=88", "task"),
        ("Task?owner:missing=true", ""), ("Task?requester:missing=false&owner:missing=false", "task"),
        ("Observation?subject:Patient={bo}", "b1"), ("Observation?performer={clinic}&patient={bo}", "b1"),
        ("Patient/{ana}/Observation", "a1 a2"), ("Patient/{bo}/Observation?value-quantity=gt5", "b1"), ("Patient/{ana}/Task", "task"),
        ("Patient/{bo}/Goal", "goal"), ("Observation?_id={a1},{b1}&patient.family=anders", "b1"),
    ],
)  # fmt: skip
def test_it_is_found_by(server: Server, chart: dict[str, str], asked: str, names: str) -> None:
    path = asked.format(**chart)
    wanted = sorted(chart[name] for name in names.split())
    assert sorted(found(server, path)) == wanted
    sign = "&" if "?" in path else "?"
    assert server.get(f"{path}{sign}_summary=count")["total"] == len(wanted)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("Observation?_sort=date", "a1 b1 a2"), ("Observation?_sort=-date", "a2 b1 a1"),
        ("Observation?_sort=value-quantity", "a2 a1 b1"), ("Observation?patient={ana}&_sort=-value-quantity", "a1 a2"),
        ("Patient?_sort=family", "bo ana"), ("Patient?_sort=-birthdate", "bo ana"), ("Patient?_sort=gender", "ana bo"),
        ("Patient?_sort=-gender", "ana bo"), ("Observation?_sort=code,-date", "a2 b1 a1"), ("Patient?_sort=name", "ana bo"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 2, 50])
def test_it_comes_in_the_order_asked_whatever_the_page(
    server: Server, chart: dict[str, str], asked: str, names: str, count: int
) -> None:
    seen: list[str] = []
    path = f"{asked.format(**chart)}&_count={count}"
    for _ in range(99):
        seen += found(server, path)
        links = {one["relation"]: one["url"] for one in server.get(path)["link"]}
        path = links.get("next", "").removeprefix(f"{BASE}/")
        if not path:
            break
    assert seen == [chart[name] for name in names.split()]


def test_an_order_by_any_parameter_holds_every_row_once_while_rows_change(shared: Engine) -> None:
    rng = random.Random(SEED)
    server = Server(shared, HeldClock())
    made = {}
    for _ in range(40):
        body = {"resourceType": "Patient", "name": [{"family": f"f{rng.randrange(8)}"}]}
        if rng.random() < 0.3:
            del body["name"]
        one = server.post({**body, "gender": rng.choice(["male", "female"])})
        made[one["id"]] = one
    for order in ("family", "-family", "gender,-family", "-gender,family,-_id", "family,_lastUpdated"):
        seen: list[dict[str, Any]] = []
        path = f"Patient?_sort={order}&_count=7"
        for _ in range(99):
            bundle = server.get(path)
            seen += [one["resource"] for one in bundle["entry"]]
            path = {one["relation"]: one["url"] for one in bundle["link"]}.get("next", "").removeprefix(f"{BASE}/")
            last = seen[-1]  # the very row that the link names changes its place before the link is followed
            server.ask("PATCH", f"Patient/{last['id']}", {"language": rng.choice(["en", "es"])})
            if not path:
                break
        assert sorted(one["id"] for one in seen) == sorted(made), f"seed {SEED}, order {order}"


def test_a_page_that_is_no_longer_there_says_so(shared: Engine) -> None:
    server = Server(shared, HeldClock())
    for number in range(3):
        server.post({"resourceType": "Patient", "name": [{"family": f"f{number}"}]})
    bundle = server.get("Patient?_sort=family&_count=1")
    link = bundle["link"][1]["url"].removeprefix(f"{BASE}/")
    for wrong in (
        link.replace("_sort=family", "_sort=_id"),
        link.replace("_sort=family&", ""),
        link.replace("_sort=family", "_sort=-_lastUpdated"),
    ):
        assert server.ask("GET", wrong).status == 400, wrong
    assert len(found(server, link)) == 1


# -- parts ------------------------------------------------------------------------------------------------------------


def test_a_part_is_marked_as_a_part(server: Server, chart: dict[str, str]) -> None:
    tag = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED",
            "display": "Resource encoded in summary mode"}]  # fmt: skip
    one = server.get(f"Patient?_id={chart['ana']}&_elements=gender")["entry"][0]["resource"]
    assert set(one) == {"resourceType", "id", "meta", "gender"}
    assert one["meta"]["tag"] == tag
    short = server.get(f"Observation?_id={chart['a1']}&_summary=true")["entry"][0]["resource"]
    assert short["meta"]["tag"] == tag
    assert {"status", "code", "subject", "valueQuantity"} <= set(short)
    text = server.get(f"Observation?_id={chart['a1']}&_summary=text")["entry"][0]["resource"]
    assert set(text) == {"resourceType", "id", "meta", "status", "code"}
    data = server.get(f"Observation?_id={chart['a1']}&_summary=data")["entry"][0]["resource"]
    assert "text" not in data
    assert "tag" not in server.get(f"Observation?_id={chart['a1']}&_summary=false")["entry"][0]["resource"]["meta"]
    assert "entry" not in server.get(f"Observation?_id={chart['a1']}&_summary=count")
    alone = server.get(f"Observation/{chart['a1']}?_elements=status")
    assert set(alone) == {"resourceType", "id", "meta", "status", "code"}
    assert "tag" not in server.get(f"Observation/{chart['a1']}")["meta"]  # what is stored stays whole


def test_a_total_is_told_when_asked_or_when_it_costs_nothing(server: Server, chart: dict[str, str]) -> None:
    assert "total" not in server.get("Observation?_count=2")
    assert server.get("Observation?_count=2&_total=accurate")["total"] == 3
    assert server.get("Observation?_count=2&_total=estimate")["total"] == 3
    assert "total" not in server.get("Observation?_count=2&_total=none")
    assert server.get("Observation?_count=3")["total"] == 3
    assert server.get("Observation?_count=0&_totalMethod=count")["total"] == 3


# -- companions -------------------------------------------------------------------------------------------------------


def _brought(server: Server, asked: str) -> list[str]:
    bundle = server.get(asked)
    return sorted(
        one["resource"]["resourceType"] for one in bundle.get("entry", []) if one["search"]["mode"] == "include"
    )


def test_includes_go_as_far_as_they_are_asked(server: Server, chart: dict[str, str]) -> None:
    task = f"Task?_id={chart['task']}"
    assert _brought(server, f"{task}&_include=Task:focus") == ["ServiceRequest"]
    assert _brought(server, f"{task}&_include=Task:focus:ServiceRequest") == ["ServiceRequest"]
    assert _brought(server, f"{task}&_include=Task:focus:Procedure") == []
    assert _brought(server, f"{task}&_include=Task:focus&_include:iterate=ServiceRequest:requester") == [
        "Organization",
        "ServiceRequest",
    ]
    assert _brought(server, f"{task}&_include=Task:focus&_include=Task:patient") == ["Patient", "ServiceRequest"]
    assert _brought(server, f"Patient?_id={chart['ana']}&_revinclude=Observation:patient") == [
        "Observation",
        "Observation",
    ]
    assert _brought(server, f"Patient?_id={chart['ana']}&_revinclude=ServiceRequest:subject"
                            "&_revinclude:iterate=Task:focus") == ["ServiceRequest", "Task"]  # fmt: skip
    assert _brought(server, f"Patient?_id={chart['bo']}&_revinclude=Observation:performer") == []


def test_a_companion_that_matches_too_stands_there_once(server: Server, chart: dict[str, str]) -> None:
    bundle = server.get("Patient?_revinclude=Goal:patient&_include:iterate=Goal:patient")
    refs = [one["fullUrl"] for one in bundle["entry"]]
    assert len(refs) == len(set(refs)) == 3


def test_a_session_may_forbid_the_type_that_a_chain_or_an_include_leads_to(shared: Engine) -> None:
    class Narrow(OpenSession):
        def may(self, interaction: str, resource_type: str) -> None:
            if resource_type == "Patient" and interaction in ("read", "search-type"):
                raise Forbidden

    open_one = Server(shared)
    who = open_one.post({"resourceType": "Patient", "name": [{"family": "x"}]})["id"]
    order = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{who}"},
    }
    open_one.post(order)
    server = Server(shared, program=open_one.program, session=Narrow)
    assert server.ask("GET", "ServiceRequest?patient.family=x").status == 403
    assert server.get("ServiceRequest?_include=ServiceRequest:patient")["total"] == 1
    assert _brought(server, "ServiceRequest?_include=ServiceRequest:patient") == []
    condition = {"if_none_exist": "patient.family=x"}
    assert server.ask("POST", "ServiceRequest", order, **condition).status == 403


# -- $everything ------------------------------------------------------------------------------------------------------


def test_everything_is_the_chart_and_whom_it_names_page_by_page(server: Server, chart: dict[str, str]) -> None:
    whole = server.get(f"Patient/{chart['ana']}/$everything")
    matches = {one["resource"]["id"] for one in whole["entry"] if one["search"]["mode"] == "match"}
    assert matches == {chart[name] for name in ("ana", "a1", "a2", "order", "task")}
    assert {one["resource"]["id"] for one in whole["entry"] if one["search"]["mode"] == "include"} == {chart["clinic"]}
    assert whole["total"] == 5
    seen: list[str] = []
    path = f"Patient/{chart['ana']}/$everything?_count=1"
    for _ in range(99):
        bundle = server.get(path)
        seen += [one["resource"]["id"] for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]
        path = {one["relation"]: one["url"] for one in bundle["link"]}.get("next", "").removeprefix(f"{BASE}/")
        if not path:
            break
    assert len(seen) == 5
    assert set(seen) == matches
    only = server.get(f"Patient/{chart['ana']}/$everything?_type=Observation,Task")
    assert {one["resource"]["resourceType"] for one in only["entry"] if one["search"]["mode"] == "match"} == {
        "Observation",
        "Task",
    }
    assert server.get(f"Patient/{chart['ana']}/$everything?_since=2030-01-01T00:00:00Z")["total"] == 1


@pytest.mark.parametrize(
    "asked", ["_count=0", "_count=x", "_type=Nonsense", "_since=x", "_after=x", "_after=VGFzay4", "start=2020", "x=1"]
)
def test_what_everything_does_not_understand_is_refused(server: Server, chart: dict[str, str], asked: str) -> None:
    reply = server.ask("GET", f"Patient/{chart['ana']}/$everything?{asked}")
    assert reply.status == (200 if asked == "_after=VGFzay4" else 400)
    if reply.status == 400:
        assert issues(reply)
