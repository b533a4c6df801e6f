"""Resources with one thing wrong, as strangers write them: every one is refused, at its place, without an exception."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from peerfhir.fhir import site
from peerfhir.fhir.reader import Json
from peerfhir.fhir.validate import validate

PATIENT: dict[str, Any] = {"resourceType": "Patient"}
SEEN: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
CONDITION: dict[str, Any] = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
BESIDE = {"extension": [{"url": "http://x", "valueCode": "y"}]}
INNER = {"resourceType": "Organization", "id": "a", "name": "x"}
AT_A = {"managingOrganization": {"reference": "#a"}}


def person(**more: Any) -> Json:
    return {**PATIENT, **more}


def bundle(kind: str, *entries: Any) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


CASES: list[tuple[str, Any]] = [
    # primitives and what stands beside them
    ("Patient.name[0].given", person(name=[{"given": ["a", "b"], "_given": [BESIDE]}])),
    ("Patient.name[0].given", person(name=[{"given": ["a"], "_given": [None, BESIDE]}])),
    ("Patient.name[0].given", person(name=[{"given": ["a"], "_given": BESIDE}])),
    ("Patient.birthDate", person(_birthDate=[BESIDE])),
    ("Patient.birthDate", person(birthDate="2020", _birthDate={})),
    ("Patient.birthDate", person(birthDate="2020", _birthDate=None)),
    ("Patient._name", person(_name=[BESIDE])),
    ("Patient._resourceType", person(_resourceType=BESIDE)),
    ("Patient.birthDate", person(birthDate="2021-04-31")),
    ("Patient.birthDate", person(birthDate="2021-02-29")),
    ("Observation.effective", {**SEEN, "effectiveDateTime": "2021-02-01T24:00:00Z"}),
    ("Observation.effective", {**SEEN, "effectiveDateTime": "2021-02-01T10:00:00+15:00"}),
    ("Observation.issued", {**SEEN, "issued": "2021"}),
    ("Observation.value", {**SEEN, "valueTime": "10:00:00Z"}),
    ("Observation.value", {**SEEN, "valueInteger": Decimal("2.0")}),
    ("Observation.value", {**SEEN, "valueInteger": 2**31}),
    ("Observation.value", {**SEEN, "valueInteger": True}),
    ("Observation.value.value", {**SEEN, "valueQuantity": {"value": "1"}}),
    ("Patient.gender", person(gender="male ")),
    ("Patient.name[0].family", person(name=[{"family": "a\x07b"}])),
    ("Patient.name[0].family", person(name=[{"family": " "}])),
    ("Patient.extension[0].value", person(extension=[{"url": "http://x", "valueOid": "1.2.3"}])),
    # shapes
    ("Patient.name[0]", person(name=[{}])),
    ("Patient.name[0]", person(name=[[{"family": "x"}]])),
    ("Patient.name[0].familyName", person(name=[{"familyName": "x"}])),
    ("Patient.maritalStatus", person(maritalStatus=[{"text": "x"}])),
    ("Patient.deceased", person(deceasedBoolean=True, deceasedDateTime="2021")),
    ("Observation.value", {**SEEN, "valueString": "x", "_valueInteger": BESIDE}),
    ("Observation.valueDecimal", {**SEEN, "valueDecimal": Decimal("1.5")}),
    ("Observation.code.coding", {**SEEN, "code": {"coding": "x"}}),
    ("Observation.code.coding[0]", {**SEEN, "code": {"coding": ["x"]}}),
    ("Patient.name[0].modifierExtension", person(name=[{"family": "x", "modifierExtension": BESIDE["extension"]}])),
    ("Patient.extension[0].url", person(extension=[{"url": None, "valueCode": "x"}])),
    ("Patient.extension[0].valueFoo", person(extension=[{"url": "http://x", "valueFoo": "y"}])),
    ("Patient.meta.profile", person(meta={"profile": "http://x"})),
    ("Patient.meta.lastUpdated", person(meta={"lastUpdated": "2021"})),
    ("resourceType", [PATIENT]),
    ("resourceType", {"resourceType": "patient"}),
    # references and contained resources
    ("Patient.managingOrganization.type", person(managingOrganization={"reference": "Organization/1", "type": "Patient"})),
    ("Patient.managingOrganization.reference", person(managingOrganization={"reference": "http://x.org/fhir/Patient/1"})),
    ("Patient.managingOrganization.reference", person(managingOrganization={"reference": 1})),
    ("Patient.managingOrganization.reference", person(managingOrganization={"reference": "Nonsense/1"})),
    ("Patient.contained[1].id", person(contained=[INNER, {**INNER, "name": "y"}], **AT_A)),
    ("Patient.contained[0]", person(contained=[{"resourceType": "Organization", "name": "x"}])),
    ("Patient.contained[0]", person(contained=[{"resourceType": "Organization", "id": "a"}], **AT_A)),
    ("Patient.contained[0]", person(contained=[None])),
    ("Patient.contained[0]", person(contained=["x"])),
    # resources in resources
    ("Bundle.entry[1].fullUrl", bundle("collection", *[{"fullUrl": "http://x/Patient/1", "resource": PATIENT}] * 2)),
    ("Bundle.entry[0].request.method", bundle("batch", {"resource": PATIENT, "request": {"method": "FOO", "url": "x"}})),
    ("Bundle.entry[0].resource", bundle("collection", {"resource": None})),
    ("Bundle.entry[0]", bundle("collection", None)),
    ("Bundle.entry[0].resource.entry[0].resource.gender",
     bundle("collection", {"resource": bundle("collection", {"resource": person(gender="x")})})),
    ("Bundle.entry[0].response.outcome.issue", bundle("batch-response", {"response": {
        "status": "200", "outcome": {"resourceType": "OperationOutcome", "issue": []}}})),
    ("Parameters.parameter[0].part[0].resource.gender", {"resourceType": "Parameters", "parameter": [
        {"name": "x", "part": [{"name": "y", "resource": person(gender="x")}]}]}),
    # rules
    ("Patient.name[0].period", person(name=[{"period": {"start": "2022-05-05T10:00:00Z", "end": "2022-05-04"}}])),
    ("Condition.clinicalStatus", {**CONDITION, "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
                                  "abatementDateTime": "2021"}),
    ("Condition.clinicalStatus.coding", {**CONDITION, "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "x"}]}}),
    ("Condition.clinicalStatus", {**CONDITION, "clinicalStatus": {"text": "active"}}),
    ("Encounter.class", {"resourceType": "Encounter", "status": "finished", "class": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("place", "resource"), CASES, ids=[f"{at}-{one[0]}" for at, one in enumerate(CASES)])
def test_it_is_refused_at_its_place(place: str, resource: Any) -> None:
    found = site.judge().findings(resource, strict=True)
    assert place in [one.expression for one in found if one.severity == "error"], found
    assert validate(resource, strict=True, informed=True)


NARRATIVE = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'


@pytest.mark.parametrize(
    "inside",
    [
        "<script>x</script>", "<p onclick='x'>a</p>", '<img src="x" onerror="y"/>', '<a href="javascript:x">z</a>',
        '<a href="JaVaScRiPt:x">z</a>', '<a href="&#106;avascript:x">z</a>', '<a href=" java&#10;script:x">z</a>',
        '<a href="java\nscript:x">z</a>', '<a href="vbscript:x">y</a>', '<a href="data:text/html,x">y</a>',
        '<p style="background:url(javascript:x)">a</p>', "<video src='x'/>", "<svg/>", "<iframe src='x'></iframe>",
        "<form>x</form>", "<style>a</style>", "<!DOCTYPE html>", "<?x y?>", "<![CDATA[<script>]]>", "<b>x", "<b><i>x</b></i>",
        "<b><i><u>x</u></b></i>", "a & b", "a < b", "</div><div>x", "<p a>x</p>", "<p class=x>y</p>", "<P>x</P>", "", "  ", "<b></b>",
    ],
)  # fmt: skip
def test_a_narrative_that_runs_or_is_no_xhtml_is_refused(inside: str) -> None:
    found = site.judge().findings(person(text={"status": "generated", "div": NARRATIVE % inside}))
    assert [(one.code, one.expression) for one in found][:1] == [("invariant", "Patient.text.div")]
    assert found[0].rule in ("txt-1", "txt-2")


@pytest.mark.parametrize(
    "inside",
    [
        '<p title="a > b">x</p>', "<!-- a <b> -->x", '<img src="#a" alt="b"/>', "a <b>one = 1, data: 2</b>", "a &amp; b &#160;",
        '<a href="http://x/y?a=1&amp;b=data:3">x</a>', '<p class="javascript">x</p>', "<table><tr ><td>x</td ></tr></table >",
        '<a href="https://example.org/java:x">y</a>', '<img src="data:image/png;base64,AAAA" alt="x"/>', "x<br/>y<hr />",
    ],
)  # fmt: skip
def test_a_narrative_that_is_xhtml_is_accepted(inside: str) -> None:
    assert site.judge().findings(person(text={"status": "generated", "div": NARRATIVE % inside})) == []
