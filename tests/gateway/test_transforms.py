"""A partner maps a record and translates a code over FHIR: the same engine, the same refusals, nothing of a value."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from peerfhir.fhir.reader import Json
from peerfhir.fhir.validate import validate
from peerfhir.fhir.writer import write
from peerfhir.mapping.registry import Mappings
from tests.support import doors
from tests.support.clock import HeldClock
from tests.support.playground import RECORD, furnish

CANONICAL = "http://peerfhir.example.org/fhir"
SENSITIVE = """\
mapping: note
version: 2.1.0
status: active
fhirVersion: 4.0.1
source:
  format: json
  key: number
  fields:
    number: string!
    born: date!
    word: string!
conceptMaps:
  word: {map: {a: alpha, b: {code: beta, equivalence: wider}, c: {equivalence: unmatched}}, system: "urn:x:words"}
  any-word: {a: alpha, "*": other, "": none}
bundle: none
resources:
  patient:
    resourceType: Patient
    identifier: {system: "urn:x:numbers", value: =number}
    birthDate: =born
    maritalStatus: {coding: {system: "urn:x:words", code: =word.translate('word').code}, text: =word.translate('any-word')}
"""
BACK = """\
mapping: note-back
version: 1.0.0
status: active
fhirVersion: 4.0.1
direction: from-fhir
source: {format: fhir, type: Patient}
record:
  fields: {number: string, born: date}
  values: {number: =identifier.value.first(), born: =birthDate}
"""


@pytest.fixture(scope="module")
def mappings(tmp_path_factory: pytest.TempPathFactory) -> Mappings:
    root = furnish(tmp_path_factory.mktemp("maps"))
    for name, text in (("note", SENSITIVE), ("note-back", BACK)):
        (root / name).mkdir()
        (root / name / f"{name}.map.yaml").write_text(text)
    return Mappings.load(root, canonical=CANONICAL)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, mappings: Mappings) -> Iterator[tuple[Flask, Engine, HeldClock]]:
    """One app for all of these: nothing here writes."""
    with doors.reading(tmp_path_factory.mktemp("house"), mappings) as made:
        yield made


@pytest.fixture(scope="module")
def partner(house: tuple[Flask, Engine, HeldClock]) -> doors.Speaker:
    return doors.speaker(*house)


def parameters(**given: Any) -> Json:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in given.items()]}


def binary(text: str, kind: str = "text/csv") -> Json:
    return {"resourceType": "Binary", "contentType": kind, "data": base64.b64encode(text.encode()).decode()}


def said(answer: Any) -> str:
    assert answer.json["resourceType"] == "OperationOutcome", answer.text
    return " ".join(issue["diagnostics"] for issue in answer.json["issue"])


def told(answer: Any) -> tuple[bool, list[tuple[str, Json]]]:
    assert answer.status_code == 200, answer.text
    named = {one["name"]: one for one in answer.json["parameter"]}
    parts = [{part["name"]: part for part in one["part"]} for one in answer.json["parameter"] if one["name"] == "match"]
    return named["result"]["valueBoolean"], [
        (part["equivalence"]["valueCode"], part.get("concept", {}).get("valueCoding")) for part in parts
    ]


NOTE = {"number": "7", "born": "1989-04-17", "word": "b"}


# -- $transform


def test_a_record_is_mapped_as_the_engine_maps_it(partner: doors.Speaker, mappings: Mappings) -> None:
    answer = partner.post(f"/fhir/StructureMap/$transform?source={CANONICAL}/StructureMap/note|2.1.0", NOTE)
    assert (answer.status_code, answer.mimetype) == (200, "application/fhir+json")
    assert answer.json == mappings.run("note", NOTE).only()
    assert answer.json["maritalStatus"] == {"coding": [{"system": "urn:x:words", "code": "beta"}], "text": "other"}


def test_parameters_name_the_map_and_hold_the_content(partner: doors.Speaker) -> None:
    asked = parameters(
        source={"valueUri": f"{CANONICAL}/StructureMap/referral-csv"}, content={"resource": binary(RECORD)}
    )
    answer = partner.post("/fhir/StructureMap/$transform", asked)
    assert [one["resource"]["resourceType"] for one in answer.json["entry"]] == ["Patient", "ServiceRequest", "Task"]
    over = partner.post("/fhir/StructureMap/referral-csv.general-hospital/$transform", binary(RECORD))
    assert [one["resource"]["resourceType"] for one in over.json["entry"]] == ["Patient", "ServiceRequest"]
    assert over.json["entry"][0]["resource"]["active"] is False


def test_what_a_resource_becomes_comes_in_a_binary_when_it_is_none(partner: doors.Speaker) -> None:
    patient = {"resourceType": "Patient", "identifier": [{"value": "7"}], "birthDate": "1989-04-17"}
    answer = partner.post("/fhir/StructureMap/note-back/$transform", patient)
    assert answer.json["contentType"] == "application/json"
    assert base64.b64decode(answer.json["data"]) == write({"number": "7", "born": "1989-04-17"})


def test_a_record_that_does_not_fit_says_where_and_never_what(partner: doors.Speaker) -> None:
    wrong = RECORD.replace("1989-04-17", "17.4.1989").replace(",recovery,", ",yoga-class,")
    answer = partner.post("/fhir/StructureMap/referral-csv/$transform", binary(wrong))
    assert answer.status_code == 422
    assert [issue["code"] for issue in answer.json["issue"]] == ["processing", "processing"]
    assert "row 1, column 7 (dob): PM702" in said(answer)
    assert "column 16 (program): PM703" in said(answer)
    for value in ("17.4.1989", "yoga-class", "Rivera"):
        assert value not in answer.text
    answer = partner.post("/fhir/StructureMap/note/$transform", {**NOTE, "born": "yesterday"})
    assert answer.status_code == 422
    assert "PM702: /born" in said(answer)
    assert "yesterday" not in answer.text


@pytest.mark.parametrize(
    ("path", "sent", "status", "code"),
    [
        ("/StructureMap/$transform", NOTE, 400, "invalid"),
        (f"/StructureMap/$transform?source={CANONICAL}/StructureMap/nothing", NOTE, 404, "not-found"),
        (f"/StructureMap/$transform?source={CANONICAL}/StructureMap/note|9.9.9", NOTE, 404, "not-found"),
        ("/StructureMap/$transform?source=http://elsewhere.example/StructureMap/note", NOTE, 404, "not-found"),
        ("/StructureMap/nothing/$transform", NOTE, 404, "not-found"),
        ("/StructureMap/referral-csv.nowhere/$transform", NOTE, 404, "not-found"),
        (f"/StructureMap/note/$transform?source={CANONICAL}/StructureMap/note-back", NOTE, 400, "invalid"),
        ("/StructureMap/note/$transform?colour=blue", NOTE, 400, "invalid"),
        ("/StructureMap/note/$transform", [NOTE], 400, "invalid"),
        ("/StructureMap/note/$transform", {"resourceType": "Parameters", "parameter": [{"name": "input"}]}, 400, None),
        ("/StructureMap/note/$transform", {"resourceType": "Parameters", "parameter": "many"}, 400, "invalid"),
        ("/StructureMap/note/$transform", parameters(input={"valueString": "x"}), 422, "not-supported"),
        ("/StructureMap/note/$transform", parameters(content={"valueString": "x"}), 400, "invalid"),
        ("/StructureMap/note-back/$transform", {"resourceType": "Observation"}, 422, "processing"),
        ("/StructureMap/referral-csv/$transform", {"a": "b"}, 422, "processing"),
        ("/StructureMap/referral-csv/$transform", binary(RECORD + RECORD.split("\n")[1] + "\n"), 422, "processing"),
        ("/StructureMap/referral-csv/$transform", binary(RECORD, "text/plain"), 422, "processing"),
        ("/StructureMap/referral-csv/$transform", {**binary(RECORD), "data": "%%%"}, 400, "invalid"),
        ("/StructureMap/referral-csv/$transform", {**binary(RECORD), "data": 7}, 400, "invalid"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_an_outcome(
    partner: doors.Speaker, path: str, sent: Json, status: int, code: str | None
) -> None:
    answer = partner.post(f"/fhir{path}", sent)
    assert answer.status_code == status, answer.text
    assert said(answer)
    if code is not None:
        assert answer.json["issue"][0]["code"] == code


# -- $translate


def test_a_code_is_translated_with_its_equivalence(partner: doors.Speaker) -> None:
    at = "/fhir/ConceptMap/note-word/$translate"
    system = "urn:peerfhir:codes:note:word"
    assert told(partner.get(f"{at}?code=a")) == (True, [("equivalent", {"system": "urn:x:words", "code": "alpha"})])
    answer = partner.get(f"/fhir/ConceptMap/$translate?url={CANONICAL}/ConceptMap/note-word&code=b&system={system}")
    assert told(answer) == (True, [("wider", {"system": "urn:x:words", "code": "beta"})])
    assert told(partner.get(f"{at}?code=c")) == (False, [("unmatched", None)])
    assert told(partner.get(f"{at}?code=unheard-of")) == (False, [])
    assert told(partner.get(f"{at}?code=a&system=http://loinc.org")) == (False, [])
    assert told(partner.get(f"{at}?code=a&targetsystem=http://loinc.org")) == (False, [])


def test_a_default_is_a_target_and_codes_go_back(partner: doors.Speaker) -> None:
    assert told(partner.get("/fhir/ConceptMap/note-any-word/$translate?code=zzz")) == (
        True, [("equivalent", {"code": "other"})]
    )  # fmt: skip
    back = partner.get("/fhir/ConceptMap/note-word/$translate?code=beta&reverse=true&system=urn:x:words")
    assert told(back) == (True, [("narrower", {"system": "urn:peerfhir:codes:note:word", "code": "b"})])


def test_codings_come_as_parameters(partner: doors.Speaker) -> None:
    coding = {"system": "urn:peerfhir:codes:note:word", "code": "a"}
    for given in ({"coding": {"valueCoding": coding}},
                  {"codeableConcept": {"valueCodeableConcept": {"coding": [{"system": "urn:other", "code": "a"}, coding]}}}):  # fmt: skip
        answer = partner.post("/fhir/ConceptMap/note-word/$translate", parameters(**given))
        assert told(answer) == (True, [("equivalent", {"system": "urn:x:words", "code": "alpha"})])


def test_the_engine_and_the_operation_say_the_same_of_every_code(partner: doors.Speaker, mappings: Mappings) -> None:
    table: Any = mappings.get("referral-csv").program.checked.scope.tables["program"]
    for code in table.entries:
        _, matches = told(partner.get(f"/fhir/ConceptMap/referral-csv-program/$translate?code={code}"))
        assert matches == [("equivalent", table.translate(code))]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ConceptMap/$translate?code=a", 400),
        ("/ConceptMap/note-word/$translate", 400),
        ("/ConceptMap/note-word/$translate?code=a&code=b", 400),
        ("/ConceptMap/note-word/$translate?code=a&colour=blue", 400),
        ("/ConceptMap/note-word/$translate?code=a&reverse=perhaps", 400),
        ("/ConceptMap/note-word/$translate?code=a&source=http://x/ValueSet/y", 422),
        ("/ConceptMap/note-word/$translate?code=a&conceptMapVersion=9.9.9", 404),
        (f"/ConceptMap/note-word/$translate?code=a&url={CANONICAL}/ConceptMap/note-any-word", 400),
        ("/ConceptMap/nothing-at-all/$translate?code=a", 404),
        ("/ConceptMap/note/$translate?code=a", 404),
        ("/ConceptMap/note-word.csv", 404),
    ],
)
def test_what_cannot_be_translated_is_refused_with_an_outcome(partner: doors.Speaker, path: str, status: int) -> None:
    answer = partner.get(f"/fhir{path}")
    assert answer.status_code == status, answer.text
    assert said(answer)


# -- the door, the maps themselves, and what is said of all this


def test_scopes_are_asked_before_a_body_is_read(house: tuple[Flask, Engine, HeldClock]) -> None:
    made, *_ = house
    other = doors.speaker(*house, scope="system/Patient.rs system/ConceptMap.r")
    for path in ("/fhir/StructureMap/note/$transform", "/fhir/StructureMap/$transform"):
        answer = other.web.post(path, data=b"{", content_type="text/plain", headers=other.headers())
        assert answer.status_code == 403, answer.text
        assert said(answer)
    assert other.get("/fhir/ConceptMap/note-word/$translate?code=a").status_code == 200
    assert made.test_client().post("/fhir/StructureMap/note/$transform", json=NOTE).status_code == 401


def test_other_methods_say_which_are_served(partner: doors.Speaker) -> None:
    for method, path, allowed in (
        ("GET", "/fhir/StructureMap/$transform", "POST, OPTIONS"),
        ("PUT", "/fhir/ConceptMap/$translate", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/fhir/StructureMap/note", "GET, HEAD, OPTIONS"),
        ("BREW", "/fhir/StructureMap/note", "GET, HEAD, OPTIONS"),
    ):  # fmt: skip
        answer = partner.web.open(path, method=method, headers=partner.headers())
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert said(answer)
    assert partner.get("/fhir/StructureMap/note", Accept="application/fhir+xml").status_code == 406


def test_the_maps_are_readable_and_valid(partner: doors.Speaker) -> None:
    for path in ("StructureMap/note", "StructureMap/referral-csv.general-hospital", "ConceptMap/note-word",
                 "ConceptMap/referral-csv-program", "ConceptMap/referral-csv.general-hospital-sex"):  # fmt: skip
        answer = partner.get(f"/fhir/{path}")
        assert answer.status_code == 200, answer.text
        kind, _, name = path.partition("/")
        assert (answer.json["resourceType"], answer.json["id"]) == (kind, name)
        assert answer.json["url"] == f"{CANONICAL}/{path}"
        found = [one for one in validate(answer.json, by_model=False) if one.severity == "error"]
        assert found == [], path
    assert partner.get("/fhir/StructureMap/nothing").status_code == 404
    anew = partner.get("/fhir/StructureMap/referral-csv").json
    assert anew["description"] == "Every run names what it makes anew (urn:uuid); references follow."
    assert "description" not in partner.get("/fhir/StructureMap/note").json


def test_the_capability_statement_says_so(partner: doors.Speaker) -> None:
    statement = partner.get("/fhir/metadata").json
    named = {one["type"]: one for one in statement["rest"][0]["resource"]}
    for kind, name in (("StructureMap", "transform"), ("ConceptMap", "translate")):
        assert named[kind]["interaction"] == [{"code": "read"}, {"code": "search-type"}]
        definition = f"http://hl7.org/fhir/OperationDefinition/{kind}-{name}"
        assert named[kind]["operation"] == [{"name": name, "definition": definition}]
    assert [one for one in validate(statement, by_model=False) if one.severity == "error"] == []


def test_the_shipped_mappings_have_names_that_can_be_asked_for() -> None:
    found = sorted((Path(__file__).parents[2] / "mappings").glob("*/*.map.yaml"))
    assert len(found) >= 27
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", path.parent.name) for path in found)
