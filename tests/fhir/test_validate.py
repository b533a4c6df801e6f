"""What speaks against a resource, where, and in which words. Cases: one rule of the specification each."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from peerfhir.fhir import judge
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.validate import validate
from peerfhir.fhir.writer import write
from tests.support.fhir import EXAMPLES, example, referral


def order(**changed: Any) -> dict[str, Any]:
    made = {"resourceType": "ServiceRequest", "status": "active", "intent": "order",
            "subject": {"reference": "Patient/1"}}  # fmt: skip
    return {name: value for name, value in {**made, **changed}.items() if value != "-"}


def seen(resource: Any) -> list[tuple[str, str]]:
    return [(one.code, one.expression) for one in validate(resource) if one.code != "not-supported"]


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
def test_every_example_is_accepted(name: str) -> None:
    assert [one for one in validate(example(name)) if one.code != "not-supported"] == []  # no profile is installed


@pytest.mark.parametrize(
    "resource",
    [
        order(),
        order(status="-", _status={"extension": [{"url": "x", "valueCode": "y"}]}),
        order(authoredOn="2026"), order(authoredOn="2026-11"), order(authoredOn="2026-11-21T10:00:00.123456+05:30"),
        order(authoredOn="2024-02-29"), order(authoredOn="2026-06-30T23:59:60Z"),
        {"resourceType": "Patient", "name": [{"given": [None], "_given": [{"extension": [{"url": "x", "valueCode": "y"}]}]}]},
        {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"url": "Binary/1"}}]},
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
         "valueQuantity": {"value": Decimal("1E+3")}},
        order(subject={"type": "http://hl7.org/fhir/StructureDefinition/Patient", "display": "x"}),
        {"resourceType": "Binary", "contentType": "text/plain; charset=utf-8", "data": "eA=="},
        {"resourceType": "Patient", "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}],
         "managingOrganization": {"reference": "#o"}},
        {"resourceType": "Coverage", "status": "active", "beneficiary": {"reference": "Patient/1"},
         "payor": [{"reference": "Organization/1"}]},
        {"resourceType": "Patient", "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><b>one = 1, data: 2</b><!-- x --></div>'}},
    ],
)  # fmt: skip
def test_what_is_right_is_accepted(resource: Any) -> None:
    assert validate(resource) == ()


NARRATIVE = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'


@pytest.mark.parametrize(
    ("resource", "code", "expression"),
    [
        (order(status="-"), "required", "ServiceRequest.status"),
        (order(subject="-"), "required", "ServiceRequest.subject"),
        (order(status="banana"), "code-invalid", "ServiceRequest.status"),
        ({"resourceType": "Claim", "status": "active", "type": {"text": "x"}, "use": "claim", "created": "2026",
          "patient": {"reference": "Patient/1"}, "provider": {"display": "x"}, "priority": {"text": "x"},
          "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "x"}}],
          "item": [{"sequence": 1, "productOrService": {"text": "x"}, "diagnosisSequence": [1, Decimal("2.0")]}]},
         "value", "Claim.item[0].diagnosisSequence[1]"),
        ({"resourceType": "Binary", "contentType": "banana"}, "code-invalid", "Binary.contentType"),
        (order(extension=[{"url": "x", "valueMoney": {"value": 1, "currency": "dollars"}}]), "code-invalid",
         "ServiceRequest.extension[0].value.currency"),
        (order(text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/html">x</div>'}), "invariant",
         "ServiceRequest.text.div"),
        (order(priority="high"), "code-invalid", "ServiceRequest.priority"),
        (order(occurrenceDateTime="2026", occurrencePeriod={"start": "2026"}), "structure", "ServiceRequest.occurrence"),
        (order(nonsense=1), "structure", "ServiceRequest.nonsense"),
        (order(authored_on="2026"), "structure", "ServiceRequest.authored_on"),
        (order(category={"text": "x"}), "structure", "ServiceRequest.category"),
        (order(status=["active"]), "structure", "ServiceRequest.status"),
        (order(category=[]), "structure", "ServiceRequest.category"),
        (order(code={}), "structure", "ServiceRequest.code"),
        (order(code=None), "structure", "ServiceRequest.code"),
        (order(subject={"reference": "not a reference"}), "value", "ServiceRequest.subject.reference"),
        (order(subject={"reference": "Nonsense/1"}), "value", "ServiceRequest.subject.reference"),
        (order(subject={"reference": "javascript:alert(1)"}), "value", "ServiceRequest.subject.reference"),
        (order(subject={"reference": "file:///etc/passwd"}), "value", "ServiceRequest.subject.reference"),
        (order(subject={"reference": "Patient?identifier=1"}), "value", "ServiceRequest.subject.reference"),
        (order(subject={"reference": "#nowhere"}), "invariant", "ServiceRequest.subject.reference"),
        (order(subject={"reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}), "not-found",
         "ServiceRequest.subject.reference"),
        (order(id="x" * 65), "value", "ServiceRequest.id"),
        (order(id="a_b"), "value", "ServiceRequest.id"),
        (order(occurrencePeriod={"start": "2026-02-02", "end": "2026-02-01"}), "invariant",
         "ServiceRequest.occurrence"),
        (order(extension=[{"url": "x", "valueCode": "y", "extension": [{"url": "z", "valueCode": "y"}]}]), "invariant",
         "ServiceRequest.extension[0]"),
        (order(extension=[{"url": "x"}]), "invariant", "ServiceRequest.extension[0]"),
        (order(extension=[{"valueCode": "x"}]), "required", "ServiceRequest.extension[0].url"),
        (order(authoredOn="2026-11-21T10:00:00"), "value", "ServiceRequest.authoredOn"),
        (order(authoredOn="2026-11-21T10:00Z"), "value", "ServiceRequest.authoredOn"),
        (order(authoredOn=2026), "value", "ServiceRequest.authoredOn"),
        (order(authoredOn="11/02/2026"), "value", "ServiceRequest.authoredOn"),
        (order(authoredOn="2026-11-21 10:00:00Z"), "value", "ServiceRequest.authoredOn"),
        (order(authoredOn="2026-02-30"), "value", "ServiceRequest.authoredOn"),
        (order(authoredOn="2026-02-30T10:00:00Z"), "value", "ServiceRequest.authoredOn"),
        (order(doNotPerform="true"), "value", "ServiceRequest.doNotPerform"),
        (order(doNotPerform=1), "value", "ServiceRequest.doNotPerform"),
        (order(patientInstruction=1), "value", "ServiceRequest.patientInstruction"),
        (order(patientInstruction=""), "value", "ServiceRequest.patientInstruction"),
        (order(patientInstruction=" \n"), "value", "ServiceRequest.patientInstruction"),
        (order(status=" active"), "value", "ServiceRequest.status"),
        (order(instantiatesUri=["a b"]), "value", "ServiceRequest.instantiatesUri[0]"),
        (order(text={"status": "generated", "div": NARRATIVE % "<script>x</script>"}), "invariant",
         "ServiceRequest.text.div"),
        (order(text={"status": "generated", "div": NARRATIVE % '<a href="x" onclick="y">z</a>'}), "invariant",
         "ServiceRequest.text.div"),
        (order(text={"status": "generated", "div": NARRATIVE % '<a href="javascript:x">z</a>'}), "invariant",
         "ServiceRequest.text.div"),
        (order(text={"status": "generated", "div": "plain"}), "invariant", "ServiceRequest.text.div"),
        ({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueQuantity": {"value": "1.5"}},
         "value", "Observation.value.value"),
        ({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "issued": "2026-11-21"}, "value",
         "Observation.issued"),
        ({"resourceType": "Observation", "status": "done", "code": {"text": "x"}}, "code-invalid", "Observation.status"),
        ({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [
            {"linkId": "1", "answer": [{"valueString": "x", "valueInteger": 1}]}]}, "structure",
         "QuestionnaireResponse.item[0].answer[0].value"),
        ({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [
            {"linkId": "1", "answer": [{"valueInteger": Decimal("2.5")}]}]}, "value",
         "QuestionnaireResponse.item[0].answer[0].value"),
        ({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [
            {"linkId": "1", "answer": [{"valueInteger": "2"}]}]}, "value",
         "QuestionnaireResponse.item[0].answer[0].value"),
        ({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{"text": "x"}]}, "required",
         "QuestionnaireResponse.item[0].linkId"),
        ({"resourceType": "Encounter", "status": "finished"}, "required", "Encounter.class"),
        ({"resourceType": "Patient", "birthDate": "1980-13-45"}, "value", "Patient.birthDate"),
        ({"resourceType": "Patient", "birthDate": "1980-01-01T10:00:00Z"}, "value", "Patient.birthDate"),
        ({"resourceType": "Patient", "birthDate": "0000"}, "value", "Patient.birthDate"),
        ({"resourceType": "Patient", "gender": "F"}, "code-invalid", "Patient.gender"),
        ({"resourceType": "Patient", "telecom": [{"rank": 0}]}, "value", "Patient.telecom[0].rank"),
        ({"resourceType": "Patient", "photo": [{"data": "no base64!"}]}, "value", "Patient.photo[0].data"),
        ({"resourceType": "Patient", "name": [{"given": [None]}]}, "structure", "Patient.name[0].given[0]"),
        ({"resourceType": "Patient", "contained": [{"resourceType": "Nonsense"}]}, "structure",
         "Patient.contained[0].resourceType"),
        ({"resourceType": "Patient", "contained": [{"resourceType": 1}]}, "structure",
         "Patient.contained[0].resourceType"),
        ({"resourceType": "Patient", "contained": [{"resourceType": "Medication", "nonsense": 1}]}, "structure",
         "Patient.contained[0].nonsense"),
        ({"resourceType": "Patient", "identifier": [{"resourceType": "Patient"}]}, "structure",
         "Patient.identifier[0].resourceType"),
        ({"resourceType": "DocumentReference", "status": "current", "content": []}, "structure",
         "DocumentReference.content"),
        ({"resourceType": "DocumentReference", "status": "current"}, "required", "DocumentReference.content"),
        ({"resourceType": "OperationOutcome", "issue": []}, "structure", "OperationOutcome.issue"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Nonsense"}}]},
         "structure", "Bundle.entry[0].resource.resourceType"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order(status=None)}]}, "structure",
         "Bundle.entry[0].resource.status"),
        ({"resourceType": "SubscriptionTopic", "status": "draft"}, "structure", "resourceType"),
        ({"resourceType": "Coverage", "nonsense": 1, "status": "active"}, "structure", "Coverage.nonsense"),
        ({"id": "x"}, "structure", "resourceType"),
        ([], "structure", "resourceType"), ("x", "structure", "resourceType"), (None, "structure", "resourceType"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(resource: Any, code: str, expression: str) -> None:
    assert (code, expression) in seen(resource)


def test_the_allowed_codes_are_said() -> None:
    (found,) = validate(order(status="banana"))
    assert "active" in found.text
    assert "banana" not in found.text


@pytest.mark.parametrize("missing", ["focus", "for", "requester", "authoredOn"])
def test_a_referral_task_needs_what_makes_it_one(missing: str) -> None:
    task = example("Task-requested")
    del task[missing]
    assert seen(task) == [("required", f"Task.{missing}")]
    bundle = referral()
    del bundle["entry"][5]["resource"][missing]
    assert seen(bundle) == [("required", f"Bundle.entry[5].resource.{missing}")]


def test_a_referral_task_is_an_order_and_gives_reasons_in_words() -> None:
    assert seen({**example("Task-requested"), "intent": "plan"}) == [("value", "Task.intent")]
    coded = {**example("Task-requested"), "statusReason": {"coding": [{"code": "x"}]}}
    assert seen(coded) == [("required", "Task.statusReason.text")]


def test_another_kind_of_task_needs_none_of_it() -> None:
    assert seen({"resourceType": "Task", "status": "requested", "intent": "plan"}) == []


def test_a_urn_is_looked_for_in_the_bundle() -> None:
    bundle = referral()
    bundle["entry"][0]["fullUrl"] = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    bundle["entry"][5]["resource"]["for"]["reference"] = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    assert seen(bundle) == []
    bundle["entry"][5]["resource"]["for"]["reference"] = "urn:uuid:00000000-bfdc-4613-8bf2-c5e300945f0a"
    assert seen(bundle) == [("not-found", "Bundle.entry[5].resource.for.reference")]


def test_no_text_holds_a_value() -> None:
    canary = "Marisolita"
    resource = {"resourceType": "Patient", "gender": canary, "birthDate": canary, "active": canary, "name": canary,
                "managingOrganization": {"reference": f"{canary} {canary}"}, canary + " x": 1}  # fmt: skip
    found = validate(resource)
    assert len(found) >= 5
    assert canary.encode() not in write([(one.text, one.expression) for one in found])


def test_there_is_an_end_to_findings() -> None:
    assert len(validate({"resourceType": "Patient", "name": [{"x": 1}] * 5000})) <= 201


def test_every_finding_of_a_long_bundle_is_looked_at_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    class Counted(Finding):
        def __getattribute__(self, name: str) -> Any:
            nonlocal looks
            looks += name == "severity"
            return super().__getattribute__(name)

    monkeypatch.setattr(judge, "Finding", Counted)
    claims = {"resourceType": "Patient", "meta": {"profile": ["http://example.org/not-at-hand"]}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": claims}] * 1500}
    assert validate(bundle)
    assert 1500 < looks < 1500 * 10


def test_findings_can_be_moved_below_a_place() -> None:
    assert Finding("error", "x", "Task.status", "").below("Bundle.entry[1].resource").expression == (
        "Bundle.entry[1].resource.status"
    )
    assert Finding("error", "x", "Task", "").below("Bundle").expression == "Bundle"
