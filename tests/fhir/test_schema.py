"""The compiled base of R4: the cases of the specification, resources by others, and what is said to whom.

Source: docs/rules.md, Delivery.
"""

from __future__ import annotations

import calendar
import re
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest

from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.model import R4_TYPES
from peerfhir.fhir.reader import Json, read
from peerfhir.fhir.schema import PRIMITIVES, Types
from tests.support.fhir import EXAMPLES, example
from tests.support.third_party import folder, load

# HL7's own examples that break the specification, with the rule
WRONG = {
    "bundle-questionnaire.json": "Questionnaire.item without linkId",
    "examplescenario-questionnaire.json": "Questionnaire.item without linkId",
}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(schema.r4())


def errors(judge: Judge, resource: Json, *, strict: bool = True) -> list[tuple[str, str]]:
    return [(one.code, one.expression) for one in judge.findings(resource, strict=strict) if one.severity == "error"]


def order(**changed: Any) -> Json:
    made = {"resourceType": "ServiceRequest", "status": "active", "intent": "order",
            "subject": {"reference": "Patient/1"}, **changed}  # fmt: skip
    return {name: value for name, value in made.items() if value != "-"}


def observation(**changed: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **changed}


def answer(**value: Any) -> Json:
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [{"linkId": "1", "answer": [value]}],
    }


def bundle(entry: Json, kind: str = "collection") -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": [entry]}


def patient(**changed: Any) -> Json:
    return {"resourceType": "Patient", **changed}


def document(**changed: Any) -> Json:
    return {"resourceType": "DocumentReference", "status": "current", **changed}


WITH = {"extension": [{"url": "http://x", "valueCode": "y"}]}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'
ACCEPTED = {
    "baseline": order(),
    "status only as extension": order(status="-", _status=WITH),
    "year only": order(authoredOn="2026"),
    "year and month": order(authoredOn="2026-11"),
    "1e3": observation(valueQuantity={"value": Decimal("1E+3")}),
    "null with extension": patient(name=[{"given": [None], "_given": [WITH]}]),
    "relative attachment url": document(content=[{"attachment": {"url": "Binary/1"}}]),
}
REJECTED = {
    "no status": order(status="-"),
    "no subject": order(subject="-"),
    "status banana": order(status="banana"),
    "priority high": order(priority="high"),
    "two occurrence types": order(occurrenceDateTime="2026", occurrencePeriod={"start": "2026"}),
    "unknown field": order(nonsense=1),
    "snake case": order(authored_on="2026"),
    "category not a list": order(category={"text": "x"}),
    "empty array": order(category=[]),
    "empty object": order(code={}),
    "null": order(code=None),
    "subject of a wrong type": order(subject={"reference": "Medication/1"}),
    "subject garbage": order(subject={"reference": "what is this"}),
    "prr-1": order(orderDetail=[{"text": "x"}]),
    "id of 65": order(id="x" * 65),
    "id with underscore": order(id="a_b"),
    "per-1": order(occurrencePeriod={"start": "2026-02-02", "end": "2026-02-01"}),
    "ref-1": order(subject={"reference": "#nope"}),
    "dom-3": order(contained=[{"resourceType": "Patient", "id": "p"}]),
    "ext-1 both": order(extension=[{"url": "http://x", "valueCode": "y", **WITH}]),
    "ext-1 neither": order(extension=[{"url": "http://x"}]),
    "extension without url": order(extension=[{"valueCode": "y"}]),
    "dateTime without zone": order(authoredOn="2026-11-21T10:00:00"),
    "dateTime without seconds": order(authoredOn="2026-11-21T10:00Z"),
    "dateTime as int": order(authoredOn=2026),
    "date of another country": order(authoredOn="11/02/2026"),
    "dateTime with a space": order(authoredOn="2026-11-21 10:00:00Z"),
    "boolean as text": order(doNotPerform="true"),
    "boolean as number": order(doNotPerform=1),
    "string as number": order(patientInstruction=1),
    "empty string": order(patientInstruction=""),
    "code with a leading space": order(status=" active"),
    "uri with a space": order(instantiatesUri=["a b"]),
    "script": order(text={"status": "generated", "div": DIV % "<script>x</script>"}),
    "no xhtml": order(text={"status": "generated", "div": "plain"}),
    "decimal as text": observation(valueQuantity={"value": "1.5"}),
    "obs-6": observation(valueString="x", dataAbsentReason={"text": "x"}),
    "instant without time": observation(issued="2026-11-21"),
    "qty-3": observation(valueQuantity={"value": 1, "code": "kg"}),
    "two values": answer(valueString="x", valueInteger=1),
    "integer 2.5": answer(valueInteger=Decimal("2.5")),
    "integer as text": answer(valueInteger="2"),
    "no linkId": {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{"text": "x"}]},
    "unknown type in a bundle": bundle({"resource": {"resourceType": "Nonsense"}}),
    "nested null": bundle({"resource": order(status=None)}),
    "bdl-3": bundle({"resource": order()}, "transaction"),
    "encounter without class": {"resourceType": "Encounter", "status": "finished"},
    "month 13": patient(birthDate="1980-13-45"),
    "birthDate with time": patient(birthDate="1980-01-01T10:00:00Z"),
    "wrong type": {"resourceType": "SubscriptionTopic"},
    "no type": {"status": "active"},
    "rank 0": patient(telecom=[{"rank": 0}]),
    "bad base64": patient(photo=[{"contentType": "image/png", "data": "no base64!"}]),
    "content empty": document(content=[]),
    "content missing": document(),
    "issue empty": {"resourceType": "OperationOutcome", "issue": []},
    "task done": {"resourceType": "Task", "status": "done", "intent": "order"},
    "year 0000": patient(birthDate="0000"),
}


def test_the_cases_of_the_specification(judge: Judge) -> None:
    wrong = [name for name, one in ACCEPTED.items() if errors(judge, one)]
    wrong += [name for name, one in REJECTED.items() if not errors(judge, one)]
    total = len(ACCEPTED) + len(REJECTED)
    print(f"cases of the specification: {total - len(wrong)} of {total}")
    assert total == 65
    assert wrong == []


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
def test_every_example_of_ours_is_accepted_as_we_would_send_it(judge: Judge, name: str) -> None:
    assert errors(judge, example(name)) == []


def test_the_examples_of_hl7_are_accepted_but_for_those_that_are_wrong(judge: Judge) -> None:
    paths = sorted(folder("data/hl7-r4-examples").glob("*.json"))
    refused = {path.name for path in paths if errors(judge, load(path), strict=False)}
    print(f"HL7 R4 examples: {len(paths) - len(refused)} of {len(paths)} accepted; wrong themselves: {WRONG}")
    assert refused == set(WRONG)


def test_an_official_example_with_a_wrong_target_is_warned_about_inbound(judge: Judge) -> None:
    wrong = order(subject={"reference": "Medication/1"})
    assert errors(judge, wrong, strict=False) == []
    assert [one.severity for one in judge.findings(wrong)] == ["warning"]


def test_synthetic_records_raise_no_false_alarm(judge: Judge) -> None:
    count = 0
    for path in sorted(folder("data/synthea-r4").glob("*.json")):
        resource = load(path)
        count += len(resource["entry"])
        assert errors(judge, resource, strict=False) == [], path.name
    print(f"Synthea: {count} resources accepted")
    assert count > 500


@pytest.mark.parametrize(
    ("resource", "finding"),
    [
        (order(status="-"), ("required", "ServiceRequest.status")),
        (order(nonsense=1), ("structure", "ServiceRequest.nonsense")),
        (order(status="banana"), ("code-invalid", "ServiceRequest.status")),
        (order(category=[]), ("structure", "ServiceRequest.category")),
        (order(occurrenceDateTime="2026", occurrencePeriod={"start": "2026"}), ("structure", "ServiceRequest.occurrence")),
        (observation(valueQuantity={"value": "x"}), ("value", "Observation.value.value")),
        (patient(name=[{"given": ["a", 1]}]), ("value", "Patient.name[0].given[1]")),
        (patient(name=[{"_given": [{"nonsense": 1}]}]), ("structure", "Patient.name[0].given[0].nonsense")),
        (patient(telecom=[{"rank": Decimal("2.0")}]), ("value", "Patient.telecom[0].rank")),
        (bundle({"resource": order(status="banana")}), ("code-invalid", "Bundle.entry[0].resource.status")),
        (bundle({"resource": patient(contained=[{"resourceType": "Patient", "gender": "x"}])}),
         ("code-invalid", "Bundle.entry[0].resource.contained[0].gender")),
        ({"resourceType": "Parameters", "parameter": [{"name": "a", "part": [{"name": "b", "resource": order(status="-")}]}]},
         ("required", "Parameters.parameter[0].part[0].resource.status")),
        ({"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"},
          "subject": {"reference": "Patient/1"}, "target": [{"dueString": "x"}]}, ("structure", "Goal.target[0].dueString")),
        ([], ("structure", "resourceType")), (None, ("structure", "resourceType")),
    ],
)  # fmt: skip
def test_a_finding_names_its_place_as_fhirpath(judge: Judge, resource: Json, finding: tuple[str, str]) -> None:
    assert finding in errors(judge, resource)


def test_a_choice_of_two_is_said_once(judge: Judge) -> None:
    assert len(errors(judge, order(occurrenceDateTime="2026", occurrencePeriod={"start": "2026"}))) == 1


def test_a_whole_number_with_a_point_is_a_decimal_where_one_belongs(judge: Judge) -> None:
    assert errors(judge, observation(valueQuantity={"value": Decimal("2.0")})) == []


def test_an_extension_of_the_other_type_of_a_choice_counts_as_one(judge: Judge) -> None:
    assert errors(judge, order(occurrenceDateTime="2026", _occurrenceTiming=WITH)) != []
    assert errors(judge, order(occurrenceDateTime="2026", _occurrenceDateTime=WITH)) == []


def test_every_type_of_r4_has_a_schema_that_refuses_unknown_elements() -> None:
    base = schema.r4()
    assert base.resources == R4_TYPES
    types = Types(base, base.terminology, {})
    made = [types.resource(name) for name in sorted(base.resources)] + list(types.defs.values())
    assert len(made) > 500
    assert all(one.get("additionalProperties") is False for one in made if "minProperties" in one)
    print("required value sets that cannot be listed:", sorted(types.unchecked))
    assert len(types.unchecked) < 20


def test_dates_are_those_of_the_calendar() -> None:
    pattern = re.compile(PRIMITIVES["date"]["pattern"])
    for year in (1, 4, 100, 400, 1900, 1999, 2000, 2024, 2026, 2100, 9999):
        for month in range(1, 13):
            last = calendar.monthrange(year, month)[1]
            for day in range(1, 33):
                assert bool(pattern.search(f"{year:04}-{month:02}-{day:02}")) == (day <= last)


def test_every_pattern_runs_in_linear_time() -> None:
    for name, one in PRIMITIVES.items():
        jsonschema_rs.validator_for(one, pattern_options=jsonschema_rs.RegexOptions(), offline=True), name


@pytest.mark.parametrize("text", ["TQ==", "TWE=", "TWFu", " TWFu\nTWFu "])
def test_base64_is_accepted(judge: Judge, text: str) -> None:
    assert errors(judge, {"resourceType": "Binary", "contentType": "text/plain", "data": text}) == []


@pytest.mark.parametrize("text", ["TQ=", "TWE", "T", "TWFu=", "TW=u"])
def test_base64_without_its_padding_is_refused(judge: Judge, text: str) -> None:
    assert errors(judge, {"resourceType": "Binary", "contentType": "text/plain", "data": text}) != []


def test_no_finding_holds_a_value(judge: Judge) -> None:
    canary = "Marisolita"
    wrong = patient(gender=canary, birthDate=canary, active=canary, name=canary, telecom=[{"system": canary}],
                    managingOrganization={"reference": f"{canary} {canary}"}, contained=[{"resourceType": canary}])  # fmt: skip
    found = judge.findings(wrong)
    assert len(found) >= 6
    assert canary not in repr(found)


def test_a_hostile_nest_ends_in_a_finding(judge: Judge) -> None:
    nest = patient()
    for _ in range(200):
        nest = bundle({"resource": nest})
    assert judge.findings(nest) != []


def test_bytes_keep_their_numbers(judge: Judge) -> None:
    read_in = read(
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":12345678901234567890.12345}}'
    )
    assert errors(judge, read_in) == []
