"""Places: names of JSON as FHIRPath, and the lines of a text where an element stands."""

from __future__ import annotations

from typing import Any

import pytest

from peerfhir.fhir import schema, terms
from peerfhir.fhir.lines import Lines
from peerfhir.fhir.nesting import nested, without
from peerfhir.fhir.places import spoken, steps_of
from peerfhir.fhir.site import judge_of
from peerfhir.fhir.terminology import Terminology

SEEN: dict[str, Any] = {"resourceType": "Observation", "component": [{"valueQuantity": {"value": 1}}]}
HOLDS = {"resourceType": "Patient", "contained": [SEEN], "_birthDate": {"extension": [{"valueCode": "x"}]}}
BUNDLE = {"resourceType": "Bundle", "entry": [{"resource": HOLDS}]}


@pytest.mark.parametrize(
    ("resource", "place", "said"),
    [
        (SEEN, "Observation.component[0].valueQuantity.value", "Observation.component[0].value.value"),
        (HOLDS, "Patient._birthDate.extension[0].valueCode", "Patient.birthDate.extension[0].value"),
        (HOLDS, "Patient.contained[0].component[0].valueQuantity", "Patient.contained[0].component[0].value"),
        (BUNDLE, "Bundle.entry[0].resource.contained[0].component[0].valueQuantity.value",
         "Bundle.entry[0].resource.contained[0].component[0].value.value"),
        (SEEN, "Observation.nonsense[3].more", "Observation.nonsense[3].more"),
        (SEEN, "Observation", "Observation"),
        ({}, "", ""),
    ],
)  # fmt: skip
def test_a_place_is_written_as_fhirpath(resource: Any, place: str, said: str) -> None:
    assert spoken(schema.r4(), resource, place) == said


def test_steps_are_names_and_numbers() -> None:
    assert steps_of("Patient.name[0].given[12]") == ["name", 0, "given", 12]
    assert steps_of("Patient") == []


TEXT = """{
 "resourceType": "Patient",
 "name": [
  {"family":
   "x"},
  {"given": [
    "a", "b:\\"}{,",
    "c"], "_given": [null,
     {"id": "z"}]}],
 "deceasedBoolean": true, "_birthDate":
  {"id": "y"}
}"""


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        ("Patient", 1), ("Patient.resourceType", 2), ("Patient.name", 3), ("Patient.name[0].family", 5), ("Patient.name[1]", 6),
        ("Patient.name[1].given[1]", 7), ("Patient.name[1].given[2]", 8), ("Patient.deceased", 10), ("Patient.birthDate", 11),
        ("Patient.gender", 1), ("Patient.name[1].given[9]", 6), ("Patient.name[7].family", 3), ("", 1),
    ],
)  # fmt: skip
def test_the_line_of_an_element_or_of_what_is_around_it(expression: str, line: int) -> None:
    assert Lines(TEXT, [expression]).of(expression) == line
    assert Lines(TEXT, [expression, "Patient.name[0].family", "Patient.active"]).of(expression) == line


def test_the_resources_inside_are_found_and_left_out() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": []}
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": SEEN, "response": {"outcome": outcome}}, "junk", {"resource": None}],
    }
    assert [place for place, _ in nested(bundle, "Bundle")] == [
        "Bundle.entry[0].resource", "Bundle.entry[0].response.outcome", "Bundle.entry[2].resource",
    ]  # fmt: skip
    assert without(bundle)["entry"][0]["resource"] == {"resourceType": "Observation"}
    assert bundle["entry"][0]["resource"] is SEEN  # what was sent is not changed
    told = {"resourceType": "Parameters", "parameter": [{"name": "x", "part": [{"name": "y", "resource": SEEN}]}]}
    assert [place for place, _ in nested(told, "Parameters")] == ["Parameters.parameter[0].part[0].resource"]
    assert without(told)["parameter"][0]["part"][0]["resource"] == {"resourceType": "Observation"}
    for junk in ({"entry": {}}, {"entry": [None]}, {"entry": [{"response": "x"}]}):
        assert nested({"resourceType": "Bundle", **junk}, "Bundle") == []


def test_codes_are_known_wrong_or_cannot_be_looked_up() -> None:
    known = Terminology({}, {"urn:known": ["a"]})
    codings = [{"system": "urn:known", "code": "a"}, {"system": "urn:known", "code": "b"}, {"system": "urn:x", "code": "c"},
               {"system": "urn:x", "code": "d"}, {"code": "e"}]  # fmt: skip
    found = list(
        terms.check(
            {"code": {"coding": codings}, "value": {"system": "urn:x", "code": "kg", "value": 1}}, "X", known, set()
        )
    )
    assert [(one.severity, one.expression) for one in found] == [
        ("warning", "X.code.coding[1].code"), ("information", "X.code.coding[2].code"),
    ]  # fmt: skip


def test_what_is_good_practice_is_said_to_people_and_not_at_doors() -> None:
    judge = judge_of(())
    person = {
        "resourceType": "Patient",
        "maritalStatus": {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]},
    }
    assert judge.findings(person) == judge.findings(person, at_door=True) == []
    found = judge.findings(person, informed=True)
    assert [(one.severity, one.rule or one.code) for one in found] == [
        ("warning", "dom-6"),
        ("information", "informational"),
    ]


def test_what_is_only_told_never_hides_an_error() -> None:
    right = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "urn:x", "code": "a"}]}}
    entries = [{"resource": {**right, "meta": {"profile": [f"http://x/{n}"]}}} for n in range(300)]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [*entries, {"resource": {**right, "status": "banana"}}],
    }
    found = judge_of(()).findings(bundle, informed=True)
    assert (found[0].severity, found[0].expression) == ("error", "Bundle.entry[300].resource.status")
    assert len(found) == 200
    assert sum(one.code == "informational" for one in found) <= 1
