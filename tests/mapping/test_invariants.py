from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peerfhir.mapping.catalogue import survey
from peerfhir.mapping.problems import Problem
from tests.mapping.folders import put
from tests.support.mapping_folder import CANONICAL

HEAD = """mapping: one
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  unknown: ignore
  fields:
    id: string!
    word: string
    other: string
    number: decimal
    born: date
    flag: boolean
    words: [string]
    code: {type: code, codes: [a, b]}
systems: {ucum: http://unitsofmeasure.org, obs: http://terminology.hl7.org/CodeSystem/observation-category,
  loinc: http://loinc.org, clinical: http://terminology.hl7.org/CodeSystem/condition-clinical,
  ver: http://terminology.hl7.org/CodeSystem/condition-ver-status, mrn: https://x.example/mrn,
  cat: http://terminology.hl7.org/CodeSystem/condition-category, act: http://terminology.hl7.org/CodeSystem/v3-ActCode}
fragments:
  way: {type: ContactPoint, params: {number: string}, body: {value: =%number, use: home}}
bundle: none
resources:
  one:
"""
OBSERVATION = "resourceType: Observation\nstatus: final\ncode: {text: x}\n"
PATIENT = "resourceType: Patient\n"
TASK = "resourceType: Task\nstatus: draft\nintent: plan\n"
CONDITION = "resourceType: Condition\nsubject: {reference: Patient/1}\n"
LAB = "resourceType: Observation\nstatus: final\ncode: loinc#1-8\n"

# key of the invariant, what breaks it (§ stands where the message points), and what almost breaks it
CASES: list[tuple[str, str, str]] = [
    ("pat-1", PATIENT + "contact: {§gender: male, relationship: [{text: =word}]}",
     PATIENT + "contact: {gender: male, name: {family: =word}}"),
    ("pat-1", PATIENT + "contact:\n  - name: {text: =word}\n  - §gender: female",
     PATIENT + "contact:\n  - name: {text: =word}\n  - {gender: female, telecom: {$each: words as w, system: phone, value: =%w}}"),
    ("obs-6", OBSERVATION + "dataAbsentReason: {text: unknown}\nvalueString: =id",
     OBSERVATION + "dataAbsentReason: {text: unknown}\nvalueString: =word"),
    ("obs-6", OBSERVATION + "dataAbsentReason: {text: unknown}\nvalueQuantity: {value: 5, unit: x}",
     OBSERVATION + "dataAbsentReason: {$if: word.empty(), text: unknown}\nvalueString: =id"),
    ("obs-7", LAB + "valueString: =id\ncomponent: {code: loinc#1-8, valueString: =id}",
     LAB + "valueString: =id\ncomponent: {code: loinc#2-8, valueString: =id}"),
    ("obs-3", OBSERVATION + "referenceRange: {§type: {text: =id}}",
     OBSERVATION + "referenceRange: {type: {text: =id}, text: =word}"),
    ("qty-3", OBSERVATION + "valueQuantity: {§value: =number, code: min}",
     OBSERVATION + "valueQuantity: {value: =number, code: min, system: $ucum}"),
    ("qty-3", OBSERVATION + "valueQuantity: {$literal: {value: 5, code: min}}",
     OBSERVATION + "valueQuantity: {$literal: {value: 5, unit: min}}"),
    ("ext-1", PATIENT + "extension: {§url: 'http://x.example/e', valueString: =id, extension: [{url: a, valueString: =id}]}",
     PATIENT + "extension: {url: 'http://x.example/e', extension: [{url: a, valueString: =word}]}"),
    ("ext-1", PATIENT + "birthDate: {$value: =born, extension: [{§url: 'http://x.example/e'}]}",
     PATIENT + "birthDate: {$value: =born, extension: [{url: 'http://x.example/e', valueBoolean: true}]}"),
    ("per-1", PATIENT + "identifier: {value: =id, period: {§start: 2026-02-01, end: 2026-01-01}}",
     PATIENT + "identifier: {value: =id, period: {start: 2026-02-01, end: 2026-02}}"),
    ("per-1", PATIENT + "identifier: {value: =id, period: {§start: '2026-02-01T10:00:00+01:00', end: '2026-02-01T08:59:59Z'}}",
     PATIENT + "identifier: {value: =id, period: {start: '2026-02-01T10:00:00+01:00', end: '2026-02-01T09:00:00Z'}}"),
    ("inv-1", TASK + "authoredOn: 2026-02-02\nlastModified: 2026-02-01",
     TASK + "authoredOn: 2026-02-02\nlastModified: =born"),
    ("ref-1", OBSERVATION + "subject: {$literal: {reference: '#p'}}\nperformer: {$literal: {reference: '#q'}}\ncontained: [{resourceType: Patient, id: q, active: true}]",
     OBSERVATION + "subject: {reference: '#p'}\ncontained: [{resourceType: Patient, id: p, active: true}]"),
    ("dom-3", OBSERVATION + "contained: [{resourceType: Patient, id: p, active: true}]",
     OBSERVATION + "subject: {reference: '#p'}\ncontained: [{resourceType: Patient, id: p, active: true}]"),
    ("dom-2", OBSERVATION + "subject: {reference: '#p'}\ncontained: [{resourceType: Patient, id: p, generalPractitioner: {$literal: {reference: '#o'}}, "
     "contained: [{resourceType: Organization, id: o, name: =id}]}]",
     OBSERVATION + "subject: {reference: '#p'}\ncontained: [{resourceType: Patient, id: p, active: true}]"),
    ("dom-4", OBSERVATION + "subject: {reference: '#p'}\ncontained: [{resourceType: Patient, id: p, meta: {versionId: '1'}, active: true}]",
     OBSERVATION + "subject: {reference: '#p'}\ncontained: [{resourceType: Patient, id: p, meta: {source: 'urn:x'}, active: true}]"),
    ("dom-5", OBSERVATION + "subject: {reference: '#p'}\ncontained: [{resourceType: Patient, id: p, meta: {security: {code: R}}, active: true}]",
     OBSERVATION + "meta: {security: {code: R}}"),
    ("con-3", CONDITION + "category: cat#problem-list-item", CONDITION + "category: cat#encounter-diagnosis"),
    ("con-4", CONDITION + "clinicalStatus: clinical#active\nabatementDateTime: 2026-01-01",
     CONDITION + "clinicalStatus: clinical#resolved\nabatementDateTime: 2026-01-01"),
    ("con-5", CONDITION + "clinicalStatus: clinical#active\nverificationStatus: ver#entered-in-error",
     CONDITION + "clinicalStatus: clinical#active\nverificationStatus: ver#confirmed"),
    ("con-1", CONDITION + "clinicalStatus: clinical#active\nstage: {§type: {text: =id}}",
     CONDITION + "clinicalStatus: clinical#active\nstage: {type: {text: =id}, summary: {text: =word}}"),
    ("cpt-2", PATIENT + "telecom: {§value: =word, use: home}", PATIENT + "telecom: {value: =word, system: phone}"),
    ("cpt-2", PATIENT + "telecom: {$use: way, with: {number: =word}}",
     PATIENT + "telecom: {$use: way, with: {number: =word}, system: phone}"),
    ("att-1", PATIENT + "photo: {§data: AAAA}", PATIENT + "photo: {data: AAAA, contentType: image/png}"),
    ("org-1", "resourceType: Organization\nactive: true", "resourceType: Organization\nactive: true\nname: =word"),
    ("org-2", "resourceType: Organization\nname: =id\naddress: {§use: home, city: =word}",
     "resourceType: Organization\nname: =id\naddress: {use: work, city: =word}"),
    ("grp-1", "resourceType: Group\ntype: person\nactual: false\nmember: {entity: {reference: Patient/1}}",
     "resourceType: Group\ntype: person\nactual: =flag\nmember: {entity: {reference: Patient/1}}"),
    ("app-2", "resourceType: Appointment\nstatus: proposed\nstart: '2026-01-01T10:00:00Z'\nparticipant: {status: accepted, actor: {display: =id}}",
     "resourceType: Appointment\nstatus: proposed\nparticipant: {status: accepted, actor: {display: =id}}"),
    ("app-3", "resourceType: Appointment\nstatus: booked\nparticipant: {status: accepted, actor: {display: =id}}",
     "resourceType: Appointment\nstatus: proposed\nparticipant: {status: accepted, actor: {display: =id}}"),
    ("ppc-1", "resourceType: Consent\nstatus: active\nscope: {text: x}\ncategory: {text: x}",
     "resourceType: Consent\nstatus: active\nscope: {text: x}\ncategory: {text: x}\npolicyRule: {text: x}"),
    ("que-0", "resourceType: Questionnaire\nstatus: draft\nname: no name", "resourceType: Questionnaire\nstatus: draft\nname: Name"),
    ("que-2", "resourceType: Questionnaire\nstatus: draft\nitem: [{linkId: a, type: string}, {linkId: a, type: string}]",
     "resourceType: Questionnaire\nstatus: draft\nitem: [{linkId: a, type: string}, {linkId: =id, type: string}]"),
    ("que-7", ("resourceType: Questionnaire\nstatus: draft\nitem: [{linkId: a, type: string, enableWhen: {§question: b, operator: exists, "
     "answerString: x}}]"),
     ("resourceType: Questionnaire\nstatus: draft\nitem: [{linkId: a, type: string, enableWhen: {question: b, operator: exists, "
     "answerBoolean: true}}]")),
    ("tim-10", ("resourceType: ServiceRequest\nstatus: draft\nintent: order\nsubject: {reference: Patient/1}\n"
     "occurrenceTiming: {repeat: {§timeOfDay: ['10:00:00'], when: [MORN]}}"),
     "resourceType: ServiceRequest\nstatus: draft\nintent: order\nsubject: {reference: Patient/1}\noccurrenceTiming: {repeat: {when: [MORN]}}"),
    ("rat-1", OBSERVATION + "valueRatio: {§numerator: {value: =number}}",
     OBSERVATION + "valueRatio: {numerator: {value: =number}, denominator: {value: 1}}"),
]  # fmt: skip


def told(folder: Path, text: str, profiles: dict[str, Any] | None = None, head: str = HEAD) -> list[Problem]:
    """The problems of a mapping that makes one resource."""
    body = "".join(f"    {line}\n" for line in text.replace("§", "").splitlines())
    put(folder, one__one=head + body)
    return [
        one
        for one in survey(folder / "mappings", canonical=CANONICAL, profiles=profiles).problems
        if one.code not in ("PM300", "PM241", "PM221", "PM271")
    ]


@pytest.mark.parametrize(("key", "bad", "good"), CASES, ids=[f"{at}-{case[0]}" for at, case in enumerate(CASES)])
def test_an_invariant_that_no_record_can_meet_is_told_and_its_near_miss_is_not(
    key: str, bad: str, good: str, tmp_path: Path
) -> None:
    found = told(tmp_path, bad)
    assert {one.code for one in found} == {"PM223"}, [str(one) for one in found]
    assert found[0].what.endswith(f"({key})")
    assert found[0].severity == ("warning" if key in ("con-3", "que-0") else "error")
    before = (HEAD + "".join(f"    {line}\n" for line in bad.splitlines())).partition("§")
    if before[1]:
        place = (before[0].count("\n") + 1, len(before[0]) - before[0].rfind("\n"))
        assert (found[0].mark.line, found[0].mark.column) in (place, (place[0], place[1] - 1))
    assert [str(one) for one in told(tmp_path, good)] == []


RULED = "http://x.example/StructureDefinition/ruled"


def ruled(*rules: dict[str, Any]) -> dict[str, Any]:
    """A profile of Patient with invariants, on the whole and on its names."""
    constraints = [{"severity": "error", "human": f"sentence of {one['key']}", **one} for one in rules]
    return {
        "url": RULED, "snapshot": {"element": [
            {"id": "Patient", "path": "Patient", "constraint": constraints},
            {"id": "Patient.name", "path": "Patient.name", "min": 0, "max": "*",
             "constraint": [{"key": "n-1", "severity": "error", "human": "a name", "expression": "family.exists()"}]},
        ]},
    }  # fmt: skip


def test_the_invariants_of_a_profile_are_decided_where_its_elements_stand(tmp_path: Path) -> None:
    head = HEAD.replace("systems:", f"profiles: {{ruled: {RULED}}}\nsystems:")
    profile = ruled(
        {"key": "r-1", "expression": "identifier.where(system = 'https://x.example/mrn').exists()"},
        {"key": "r-2", "expression": "gender.exists()", "severity": "warning"},
        {"key": "r-3", "expression": "nonsense(("},
        {"key": "r-4", "expression": "false", "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice", "valueBoolean": True}]},
        {"key": "pat-1", "expression": "false"},
    )  # fmt: skip
    bad = PATIENT + "profile: ruled\nidentifier: {system: $loinc, value: =id}\nname: [{text: =id}, {family: =word}]"
    found = [(one.severity, one.address, one.what) for one in told(tmp_path, bad, {RULED: profile}, head)]
    assert found == [
        ("error", "one", "sentence of r-1 (r-1)"),
        ("warning", "one", "sentence of r-2 (r-2)"),
        ("error", "one.name[0]", "a name (n-1)"),
    ]
    good = PATIENT + "profile: ruled\ngender: male\nidentifier: {system: =word, value: =id}\nname: {family: =word}"
    assert [str(one) for one in told(tmp_path, good, {RULED: profile}, head)] == []


def test_what_another_mistake_takes_away_is_not_told_as_an_invariant(tmp_path: Path) -> None:
    found = told(tmp_path, PATIENT + "telecom: {value: =word, system: $mnr}")
    assert [one.code for one in found] == ["PM139"]
