from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mapping.marked import FIELDS, HEAD, places, told
from tests.support.mapping_folder import load


def values(folder: Path, written: str, **record: Any) -> Any:
    text = f"{HEAD.format(id='one')}{FIELDS}bundle: none\nresources:\n  basic:\n    resourceType: Basic\n    code: {written}\n"
    given = {"id": "7", "at": "2026-01-01T00:00:00Z", "items": [], "object": {"name": "o"}, **record}
    return load(folder, "one", text).run("one", given).only().get("code")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("loinc#44261-6", {"coding": [{"system": "http://loinc.org", "code": "44261-6"}]}),
        ('loinc#44261-6 "PHQ-9 total"', {"coding": [{"system": "http://loinc.org", "code": "44261-6", "display": "PHQ-9 total"}]}),
        ("{coding: loinc#a}", {"coding": [{"system": "http://loinc.org", "code": "a"}]}),
        ("{coding: {system: $our, code: a}}", {"coding": [{"system": "http://peerfhir.example.org/fhir/CodeSystem/our", "code": "a"}]}),
        ("{text: loinc#a}", {"text": "loinc#a"}),
        ("\"=code.translate('coded')\"", {"coding": [{"system": "http://loinc.org", "code": "x", "display": "X"}]}),
        ("{coding: \"=code.translate('coded')\"}", {"coding": [{"system": "http://loinc.org", "code": "x", "display": "X"}]}),
        ('{text: "{{id}}"}', {"text": "7"}),
        ("{text: =id}", {"text": "7"}),
        ('{text: "=\'=\' & id"}', {"text": "=7"}),
        ('{text: "{{%canonical}}/{{%loinc}}"}', {"text": "http://peerfhir.example.org/fhir/http://loinc.org"}),
    ],
)  # fmt: skip
def test_a_scalar_gives_what_it_says(tmp_path: Path, code: str, expected: dict[str, Any]) -> None:
    assert values(tmp_path, code, code="a") == expected


def test_one_value_cannot_hold_several_types(tmp_path: Path) -> None:
    text = """mapping: one
version: 1.0.0
fhirVersion: 4.0.1
direction: from-fhir
source: {format: fhir, type: Observation}
record:
  fields: {score: decimal, unit: string, any: string}
  values:
    score: =value.value
    unit: =value.unit
    any: =value
"""
    errors, _ = told(tmp_path, "one", text)
    assert places(errors) == [(11, "PM231")]
    loaded = load(tmp_path, "one", text.replace("    any: =value\n", ""))
    given = {"resourceType": "Observation", "valueQuantity": {"value": 12, "unit": "{score}"}}
    assert loaded.run("one", given).values == {"score": 12, "unit": "{score}"}
    assert loaded.run("one", {"resourceType": "Observation", "valueString": "x"}).values == {}
