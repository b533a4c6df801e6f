"""Each invariant that is checked has a resource that keeps it and one that breaks it; the others are named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from peerfhir.fhir import invariants, schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.rules import RULES
from peerfhir.fhir.shelves import USUAL

ORDER: dict[str, Any] = {"resourceType": "ServiceRequest", "status": "active", "intent": "order",
                         "subject": {"reference": "Patient/1"}}  # fmt: skip
SEEN: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "s", "code": "a"}]},
}
CONDITION: dict[str, Any] = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
PLAN: dict[str, Any] = {
    "resourceType": "CarePlan",
    "status": "active",
    "intent": "plan",
    "subject": {"reference": "Patient/1"},
}
TASK: dict[str, Any] = {"resourceType": "Task", "status": "requested", "intent": "order"}
FORM: dict[str, Any] = {"resourceType": "Questionnaire", "status": "active"}
PATIENT: dict[str, Any] = {"resourceType": "Patient"}
LINKED = {"managingOrganization": {"reference": "#o"}}
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
INNER = {"resourceType": "Organization", "id": "o", "name": "x"}
WITH = {"extension": [{"url": "http://x", "valueCode": "y"}]}


UCUM = "http://unitsofmeasure.org"
IMPLEMENTED = {"description": "x"}
MESSAGING = [{"endpoint": [{"protocol": {"code": "http"}, "address": "http://x"}]}]
PROBLEM = [{"coding": [{"code": "problem-list-item"}]}]
CONSENT: dict[str, Any] = {
    "resourceType": "Consent",
    "status": "active",
    "category": [{"text": "x"}],
    "policyRule": {"text": "x"},
}


def scope(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": code}]}


def statement(**more: Any) -> dict[str, Any]:
    made = {"resourceType": "CapabilityStatement", "status": "active", "date": "2026", "kind": "capability",
            "fhirVersion": "4.0.1", "format": ["json"], "software": {"name": "x"},
            "rest": [{"mode": "server", "resource": [{"type": "Task"}]}], **more}  # fmt: skip
    return {name: value for name, value in made.items() if value is not None}


def team(member: str) -> dict[str, Any]:
    return {"resourceType": "CareTeam", "participant": [
        {"member": {"reference": member}, "onBehalfOf": {"reference": "Organization/1"}}]}  # fmt: skip


def with_value(kind: str, **value: Any) -> dict[str, Any]:
    return {**PATIENT, "extension": [{"url": "http://x", f"value{kind}": value}]}


DATA_TYPES = ("Age", "Count", "DataRequirement", "Distance", "Duration", "Range", "Timing", "TriggerDefinition")


def clinical(code: str) -> dict[str, Any]:
    return {"coding": [{"system": CLINICAL, "code": code}]}


def bundle(kind: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **more}


def timing(**repeat: Any) -> dict[str, Any]:
    return {**ORDER, "occurrenceTiming": {"repeat": repeat}}


def item(**more: Any) -> dict[str, Any]:
    return {**FORM, "item": [{"linkId": "1", "type": "choice", **more}]}


def contact(**more: Any) -> dict[str, Any]:
    return {**PATIENT, "contact": [more]}


def section(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Composition", "status": "final", "type": {"text": "x"}, "date": "2026", "title": "x",
            "author": [{"reference": "Practitioner/1"}], "section": [{"title": "x", **more}]}  # fmt: skip


def audit(**entity: Any) -> dict[str, Any]:
    return {"resourceType": "AuditEvent", "type": {"code": "x"}, "recorded": "2026-11-21T10:00:00Z", "entity": [entity],
            "agent": [{"requestor": True}], "source": {"observer": {"reference": "Device/1"}}}  # fmt: skip


def goal(**target: Any) -> dict[str, Any]:
    return {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"},
            "subject": {"reference": "Patient/1"}, "target": [target]}  # fmt: skip


def visit(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "status": "proposed",
        "participant": [{"status": "accepted", "actor": {"reference": "Patient/1"}}],
        **more,
    }


def library(**data: Any) -> dict[str, Any]:
    return {
        "resourceType": "Library",
        "status": "active",
        "type": {"text": "x"},
        "dataRequirement": [{"type": "Patient", **data}],
    }


def library_trigger(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Library", "status": "active", "type": REASON,
            "extension": [{"url": "http://x", "valueTriggerDefinition": {"type": "data-added", **more}}]}  # fmt: skip


def listed(mode: str, **entry: Any) -> dict[str, Any]:
    return {
        "resourceType": "List",
        "status": "current",
        "mode": mode,
        "entry": [{"item": {"reference": "Task/1"}, **entry}],
    }


def group(actual: bool) -> dict[str, Any]:
    return {
        "resourceType": "Group",
        "type": "person",
        "actual": actual,
        "member": [{"entity": {"reference": "Patient/1"}}],
    }


def firm(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "name": "x", **more}


def composed(kind: str) -> dict[str, Any]:
    return {
        "resource": section(text={"status": "generated", "div": "<div>x</div>"}) if kind == "Composition" else PATIENT
    }


DOCUMENT = {"identifier": {"system": "urn:x", "value": "1"}, "timestamp": "2026-11-21T10:00:00Z"}
HEADER = {"resource": {"resourceType": "MessageHeader", "eventUri": "urn:x", "source": {"endpoint": "urn:x"}}}
REASON = {"text": "x"}
PARTICIPANT = {"status": "accepted"}
RIGHT_AND_WRONG: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("ext-1", {**PATIENT, **WITH}, {**PATIENT, "extension": [{"url": "http://x"}]}),
    ("qty-3", {**SEEN, "valueQuantity": {"code": "kg", "system": "s"}}, {**SEEN, "valueQuantity": {"code": "kg"}}),
    ("att-1", {**PATIENT, "photo": [{"data": "TQ==", "contentType": "image/png"}]}, {**PATIENT, "photo": [{"data": "TQ=="}]}),
    ("cpt-2", {**PATIENT, "telecom": [{"system": "phone", "value": "1"}]}, {**PATIENT, "telecom": [{"value": "1"}]}),
    ("rat-1", {**SEEN, "valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 2}}}, {**SEEN, "valueRatio": {"numerator": {"value": 1}}}),
    ("exp-1", item(extension=[{"url": "http://x", "valueExpression": {"language": "text/fhirpath", "expression": "1"}}]),
     item(extension=[{"url": "http://x", "valueExpression": {"language": "text/fhirpath"}}])),
    ("drq-1", library(codeFilter=[{"path": "code"}]), library(codeFilter=[{"path": "code", "searchParam": "code"}])),
    ("drq-2", library(dateFilter=[{"path": "date"}]), library(dateFilter=[{"valueDateTime": "2026"}])),
    ("tim-1", timing(duration=1, durationUnit="h"), timing(duration=1)),
    ("tim-2", timing(period=1, periodUnit="d"), timing(period=1)),
    ("tim-4", timing(duration=0, durationUnit="h"), timing(duration=-1, durationUnit="h")),
    ("tim-5", timing(period=0, periodUnit="d"), timing(period=-1, periodUnit="d")),
    ("tim-6", timing(period=1, periodMax=2, periodUnit="d"), timing(periodMax=2)),
    ("tim-7", timing(duration=1, durationMax=2, durationUnit="h"), timing(durationMax=2)),
    ("tim-8", timing(count=1, countMax=2), timing(countMax=2)),
    ("tim-10", timing(when=["MORN"]), timing(when=["MORN"], timeOfDay=["10:00:00"])),
    ("tim-9", timing(offset=5, when=["MORN"]), timing(offset=5, when=["C"])),
    ("trd-1", library_trigger(data=[{"type": "Patient"}]), library_trigger(data=[{"type": "Patient"}], timingDate="2026")),
    ("trd-2", library_trigger(data=[{"type": "Patient"}], condition={"language": "text/cql", "expression": "x"}),
     library_trigger(condition={"language": "text/cql", "expression": "x"})),
    ("app-3", visit(), visit(status="booked")),
    ("app-4", visit(status="cancelled", cancelationReason=REASON), visit(cancelationReason=REASON)),
    ("lst-2", listed("changes", deleted=True), listed("working", deleted=True)),
    ("lst-3", listed("working", date="2026"), listed("changes", date="2026")),
    ("grp-1", group(True), group(False)),
    ("org-2", firm(address=[{"use": "work", "city": "x"}]), firm(address=[{"use": "home", "city": "x"}])),
    ("org-3", firm(telecom=[{"use": "work", "system": "phone"}]), firm(telecom=[{"use": "home", "system": "phone"}])),
    ("que-7", item(enableWhen=[{"question": "1", "operator": "exists", "answerBoolean": True}]),
     item(enableWhen=[{"question": "1", "operator": "exists", "answerInteger": 1}])),
    ("que-10", item(type="string", maxLength=5), item(type="date", maxLength=5)),
    ("que-13", item(repeats=True, initial=[{"valueString": "x"}, {"valueString": "y"}]), item(initial=[{"valueString": "x"}, {"valueString": "y"}])),
    ("inv-1", {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "x"}]},
     {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "x", "resource": PATIENT}]}),
    ("prr-1", {**ORDER, "orderDetail": [REASON], "code": REASON}, {**ORDER, "orderDetail": [REASON]}),
    ("cpl-3", {**PLAN, "activity": [{"reference": {"reference": "Task/1"}}]},
     {**PLAN, "activity": [{"reference": {"reference": "Task/1"}, "detail": {"status": "scheduled"}}]}),
    ("obs-6", {**SEEN, "dataAbsentReason": REASON}, {**SEEN, "dataAbsentReason": REASON, "valueString": "x"}),
    ("obs-3", {**SEEN, "referenceRange": [{"text": "x"}]}, {**SEEN, "referenceRange": [{"age": {"low": {"value": 1}}}]}),
    ("obs-7", {**SEEN, "component": [{"code": SEEN["code"]}]}, {**SEEN, "component": [{"code": SEEN["code"]}], "valueString": "x"}),
    ("con-1", {**CONDITION, "stage": [{"summary": REASON}]}, {**CONDITION, "stage": [{"type": REASON}]}),
    ("con-2", {**CONDITION, "evidence": [{"code": [REASON]}]}, {**CONDITION, "evidence": [WITH]}),
    ("con-4", {**CONDITION, "abatementString": "x", "clinicalStatus": clinical("resolved")},
     {**CONDITION, "abatementString": "x", "clinicalStatus": clinical("active")}),
    ("con-5", {**CONDITION, "verificationStatus": {"coding": [{"system": VERIFIED, "code": "entered-in-error"}]}},
     {**CONDITION, "clinicalStatus": clinical("active"), "verificationStatus": {"coding": [{"system": VERIFIED, "code": "entered-in-error"}]}}),
    ("cmp-1", section(entry=[{"reference": "Task/1"}]), section()),
    ("cmp-2", section(emptyReason=REASON, text={"status": "generated", "div": "<div>x</div>"}), section(emptyReason=REASON, entry=[{"reference": "Task/1"}])),
    ("lst-1", {"resourceType": "List", "status": "current", "mode": "working", "emptyReason": REASON},
     {"resourceType": "List", "status": "current", "mode": "working", "emptyReason": REASON, "entry": [{"item": {"reference": "Task/1"}}]}),
    ("pat-1", contact(name={"text": "x"}), contact(gender="male")),
    ("org-1", {"resourceType": "Organization", "name": "x"}, {"resourceType": "Organization", "active": True}),
    ("ppc-1", {"resourceType": "Consent", "status": "active", "scope": REASON, "category": [REASON], "policyRule": REASON},
     {"resourceType": "Consent", "status": "active", "scope": REASON, "category": [REASON]}),
    ("sev-1", audit(name="x"), audit(name="x", query="TQ==")),
    ("app-1", visit(), visit(participant=[PARTICIPANT])),
    ("app-2", visit(start="2026-11-21T10:00:00Z", end="2026-11-21T11:00:00Z"), visit(start="2026-11-21T10:00:00Z")),
    ("gol-1", goal(measure=REASON, detailString="x"), goal(detailString="x")),
    ("qrs-1", {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{"linkId": "1", "item": [{"linkId": "2"}]}]},
     {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{"linkId": "1", "item": [{"linkId": "2"}], "answer": [{"valueInteger": 1}]}]}),
    ("que-1", item(type="group", item=[{"linkId": "2", "type": "string"}]), item(type="group")),
    ("que-2", item(item=[{"linkId": "2", "type": "string"}]), item(item=[{"linkId": "1", "type": "string"}])),
    ("que-3", item(type="display"), item(type="display", code=[{"code": "x"}])),
    ("que-4", item(answerValueSet="urn:x"), item(answerValueSet="urn:x", answerOption=[{"valueString": "x"}])),
    ("que-5", item(answerOption=[{"valueString": "x"}]), item(type="boolean", answerOption=[{"valueString": "x"}])),
    ("que-6", item(required=True), item(type="display", required=True)),
    ("que-8", item(initial=[{"valueString": "x"}]), item(type="display", initial=[{"valueString": "x"}])),
    ("que-9", item(readOnly=True), item(type="display", readOnly=True)),
    ("que-11", item(answerOption=[{"valueString": "x", "initialSelected": True}]), item(answerOption=[{"valueString": "x"}], initial=[{"valueString": "x"}])),
    ("que-12", item(enableWhen=[{"question": "1", "operator": "exists", "answerBoolean": True}] * 2, enableBehavior="all"),
     item(enableWhen=[{"question": "1", "operator": "exists", "answerBoolean": True}] * 2)),
    ("inv-1", {**TASK, "authoredOn": "2026-11-21", "lastModified": "2026-11-21"}, {**TASK, "authoredOn": "2026-11-21", "lastModified": "2026-11-20"}),
    ("dom-2", {**PATIENT, "contained": [INNER], **LINKED}, {**PATIENT, "contained": [{**INNER, "contained": [{**INNER, "id": "i"}], "partOf": {"reference": "#i"}}], **LINKED}),
    ("dom-3", {**PATIENT, "contained": [INNER], **LINKED}, {**PATIENT, "contained": [INNER]}),
    ("dom-4", {**PATIENT, "contained": [{**INNER, "meta": {"tag": [{"code": "x"}]}}], **LINKED}, {**PATIENT, "contained": [{**INNER, "meta": {"versionId": "1"}}], **LINKED}),
    ("dom-5", {**PATIENT, "contained": [INNER], **LINKED}, {**PATIENT, "contained": [{**INNER, "meta": {"security": [{"code": "R"}]}}], **LINKED}),
    ("ref-1", {**PATIENT, "contained": [INNER], **LINKED}, {**PATIENT, **LINKED}),
    ("per-1", {**ORDER, "occurrencePeriod": {"start": "2026-11-21T10:00:00+02:00", "end": "2026-11-21T09:00:00Z"}},
     {**ORDER, "occurrencePeriod": {"start": "2026-11-21T10:00:00+02:00", "end": "2026-11-21T07:00:00Z"}}),
    ("txt-1", {**PATIENT, "text": {"status": "generated", "div": "<div><b>x</b></div>"}}, {**PATIENT, "text": {"status": "generated", "div": "<div><form>x</form></div>"}}),
    ("bdl-1", bundle("searchset", {"resource": PATIENT}, total=1), bundle("collection", {"resource": PATIENT}, total=1)),
    ("bdl-2", bundle("searchset", {"resource": PATIENT, "search": {"mode": "match"}}), bundle("collection", {"resource": PATIENT, "search": {"mode": "match"}})),
    ("bdl-3", bundle("batch", {"request": {"method": "GET", "url": "Patient"}}), bundle("batch", {"resource": PATIENT})),
    ("bdl-4", bundle("batch-response", {"response": {"status": "200"}}), bundle("batch-response", {"resource": PATIENT})),
    ("bdl-5", bundle("collection", {"resource": PATIENT}), bundle("collection", {"fullUrl": "urn:x"})),
    ("bdl-7", bundle("collection", {"resource": PATIENT, "fullUrl": "urn:x"}, {"resource": PATIENT, "fullUrl": "urn:y"}),
     bundle("collection", {"resource": PATIENT, "fullUrl": "urn:x"}, {"resource": PATIENT, "fullUrl": "urn:x"})),
    ("bdl-8", bundle("collection", {"resource": PATIENT, "fullUrl": "http://x/Patient/1"}), bundle("collection", {"resource": PATIENT, "fullUrl": "http://x/Patient/1/_history/1"})),
    ("bdl-9", bundle("document", composed("Composition"), **DOCUMENT), bundle("document", composed("Composition"), timestamp=DOCUMENT["timestamp"])),
    ("bdl-10", bundle("document", composed("Composition"), **DOCUMENT), bundle("document", composed("Composition"), identifier=DOCUMENT["identifier"])),
    ("bdl-11", bundle("document", composed("Composition"), **DOCUMENT), bundle("document", composed("Patient"), **DOCUMENT)),
    ("que-0", {**FORM, "name": "Phq9"}, {**FORM, "name": "phq 9"}),
    ("cpb-0", statement(name="Ours"), statement(name="ours and theirs")),
    ("cpb-1", statement(), statement(rest=None)),
    ("cpb-2", statement(), statement(kind="instance", software=None)),
    ("cpb-3", statement(messaging=MESSAGING, kind="instance", implementation=IMPLEMENTED), statement(messaging=MESSAGING)),
    ("cpb-7", statement(document=[{"mode": "producer", "profile": "http://x"}, {"mode": "consumer", "profile": "http://x"}]),
     statement(document=[{"mode": "producer", "profile": "http://x"}] * 2)),
    ("cpb-9", statement(), statement(rest=[{"mode": "server", "resource": [{"type": "Task"}, {"type": "Task"}]}])),
    ("cpb-12", statement(), statement(rest=[{"mode": "server", "resource": [{"type": "Task", "searchParam": [{"name": "x", "type": "token"}] * 2}]}])),
    ("cpb-14", statement(kind="instance", implementation=IMPLEMENTED), statement(kind="instance")),
    ("cpb-15", statement(), statement(implementation=IMPLEMENTED)),
    ("cpb-16", statement(kind="requirements", software=None, description="x"), statement(kind="requirements")),
    *((key, {**CONSENT, "patient": {"reference": "Patient/1"}, "scope": scope(code)}, {**CONSENT, "scope": scope(code)})
      for key, code in (("ppc-2", "patient-privacy"), ("ppc-3", "research"), ("ppc-4", "adr"), ("ppc-5", "treatment"))),
    ("ctm-1", team("Practitioner/1"), team("Patient/1")),
    ("con-3", {**CONDITION, "category": PROBLEM, "clinicalStatus": clinical("active")}, {**CONDITION, "category": PROBLEM}),
    ("age-1", with_value("Age", value=1, code="a", system=UCUM), with_value("Age", value=-1, code="a", system=UCUM)),
    ("cnt-3", with_value("Count", value=1, code="1", system=UCUM), with_value("Count", value=Decimal("1.5"), code="1", system=UCUM)),
    ("dis-1", with_value("Distance", value=1, code="m", system=UCUM), with_value("Distance", value=1, system="http://x")),
    ("drt-1", with_value("Duration", value=1, code="h", system=UCUM), with_value("Duration", code="h", system=UCUM)),
    ("rng-2", {**SEEN, "valueRange": {"low": {"value": 1}, "high": {"value": 2}}}, {**SEEN, "valueRange": {"low": {"value": 2}, "high": {"value": 1}}}),
    ("trd-3", library_trigger(data=[{"type": "Patient"}]), library_trigger()),
    ("bdl-12", bundle("message", HEADER), bundle("message", {"resource": PATIENT})),
]  # fmt: skip


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(schema.r4())


@pytest.mark.parametrize(("key", "right", "wrong"), RIGHT_AND_WRONG, ids=[one[0] for one in RIGHT_AND_WRONG])
def test_an_invariant_is_kept_and_broken(judge: Judge, key: str, right: Any, wrong: Any) -> None:
    assert [one for one in judge.findings(right) if one.severity == "error"] == []
    found = judge.findings(wrong)
    assert any(f"({key})" in one.text for one in found), found


def test_every_invariant_that_is_checked_has_its_two_resources() -> None:
    tested = {key for key, _, _ in RIGHT_AND_WRONG}
    known = {rule.key for rules in RULES.values() for rule in rules}
    native = {key.split(".")[0] for key in invariants.NATIVE} - {"txt-2", "dom-6"}  # asked for people: see test_places
    assert known | native == tested


def test_every_invariant_of_the_forty_types_is_checked() -> None:
    base = schema.r4()
    names = [*sorted(USUAL), *DATA_TYPES]
    left = {f"{key} ({name})" for name in names for key in invariants.unchecked(name, base)}
    others = {key for name in base.resources - USUAL for key in invariants.unchecked(name, base)}
    print(
        f"invariants checked: {len(RIGHT_AND_WRONG)}; of forty types and their data types not checked: {sorted(left)}"
    )
    print(f"of the other {len(base.resources - USUAL)} types {len(others)} are not checked: {sorted(others)}")
    assert left == set()
    assert "sdf-1" in invariants.unchecked("StructureDefinition", base)
