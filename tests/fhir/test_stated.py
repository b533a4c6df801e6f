"""Invariants of types that Python has no rules for: one case that breaks each, and one that keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.stated import constraints_of_type

TEXT = {"text": "x"}
PATIENT = {"reference": "Patient/1"}
_STATUS = "http://terminology.hl7.org/CodeSystem/allergyintolerance-"


def status(kind: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": _STATUS + kind, "code": code}]}


def allergy(**more: Any) -> dict[str, Any]:
    return {"resourceType": "AllergyIntolerance", "patient": PATIENT, "code": TEXT, **more}


def history(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "FamilyMemberHistory",
        "status": "completed",
        "patient": PATIENT,
        "relationship": TEXT,
        **more,
    }


def vaccine(education: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Immunization", "status": "completed", "vaccineCode": TEXT, "patient": PATIENT,
            "occurrenceDateTime": "2026", "education": [education]}  # fmt: skip


def values(**more: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "status": "active", **more}


def codes(inner: str) -> dict[str, Any]:
    return {"resourceType": "CodeSystem", "status": "active", "content": "complete",
            "concept": [{"code": "a", "concept": [{"code": inner}]}]}  # fmt: skip


def shape(most: str) -> dict[str, Any]:
    elements = [
        {"id": "Patient", "path": "Patient"},
        {"id": "Patient.name", "path": "Patient.name", "min": 2, "max": most},
    ]
    return {"resourceType": "StructureDefinition", "url": "http://x", "name": "A", "status": "active", "kind": "resource",
            "abstract": False, "type": "Patient", "baseDefinition": "http://y", "derivation": "constraint",
            "differential": {"element": elements}}  # fmt: skip


CASES = {
    "ait-1": (allergy(), allergy(clinicalStatus=status("clinical", "active"))),
    "ait-2": (
        allergy(clinicalStatus=status("clinical", "active"), verificationStatus=status("verification", "entered-in-error")),
        allergy(verificationStatus=status("verification", "entered-in-error")),
    ),
    "imm-1": (vaccine({"publicationDate": "2026"}), vaccine({"documentType": "a"})),
    "fhs-1": (history(ageString="x", bornString="y"), history(ageString="x")),
    "fhs-2": (history(estimatedAge=True), history(estimatedAge=True, ageString="x")),
    "vsd-1": (
        values(compose={"include": [{"system": "http://x"}], "exclude": [{"version": "1"}]}),
        values(compose={"include": [{"system": "http://x"}]}),
    ),
    "vsd-10": (
        values(expansion={"timestamp": "2026", "contains": [{"abstract": True, "display": "x", "contains": [{"code": "a"}]}]}),
        values(expansion={"timestamp": "2026", "contains": [{"code": "a", "system": "http://x"}]}),
    ),
    "csd-1": (codes("a"), codes("b")),
    "eld-2": (shape("1"), shape("2")),
}  # fmt: skip


EMPTY = {"resourceType": "Parameters", "parameter": [{"name": "x"}]}
ABATED = {"resourceType": "Condition", "subject": PATIENT, "abatementString": "x"}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(schema.r4())


@pytest.mark.parametrize("key", CASES)
def test_what_breaks_an_invariant_is_named_and_what_keeps_it_is_right(judge: Judge, key: str) -> None:
    wrong, right = CASES[key]
    assert key in [one.rule for one in judge.findings(wrong) if one.severity == "error"]
    assert [one for one in judge.findings(right) if one.severity == "error"] == []


@pytest.mark.parametrize(("wrong", "key"), [(EMPTY, "inv-1"), (ABATED, "con-4")])
def test_what_is_left_out_can_break_an_invariant(judge: Judge, wrong: Any, key: str) -> None:
    assert [one.rule for one in judge.findings(wrong)] == [key]


def test_it_is_named_where_it_stands_in_a_bundle(judge: Judge) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": vaccine({"publicationDate": "2026"})}],
    }
    found = [one.expression for one in judge.findings(bundle) if one.rule == "imm-1"]
    assert found == ["Bundle.entry[0].resource.education[0]"]


def test_types_with_rules_in_python_are_asked_nothing_twice() -> None:
    base = schema.r4()
    assert constraints_of_type("Observation") == constraints_of_type("Task") == constraints_of_type("no type") == ()
    stated = {one.key for name in base.resources for one in constraints_of_type(name)}
    print(f"{len(stated)} keys of R4 are asked as FHIRPath")
    assert len(stated) > 110
