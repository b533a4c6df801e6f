from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping.test_invariants import CONDITION, OBSERVATION, PATIENT, told

MAPS = """conceptMaps:
  setting: {map: {a: HH, b: {code: FLD, display: Field}}, system: act}
  strange: {map: {a: HH, b: {code: HOSPICE}}, system: http://x.example/ours}
  open: {map: {a: HH}, system: act, unmapped: provided}
fragments:"""
VISIT = "resourceType: Encounter\nstatus: finished\n"

CASES = [
    ("PM242 info", PATIENT + "maritalStatus: §act#HH", PATIENT + "maritalStatus: ms#M"),
    ("PM242 info", PATIENT + "maritalStatus: {coding: [{system: $act, code: HH}]}",
     PATIENT + "maritalStatus: {coding: [{system: $act, code: HH}, {system: $ms, code: M}]}"),
    ("PM242 info", PATIENT + "maritalStatus: {coding: [{system: $ms, code: Q}]}", PATIENT + "maritalStatus: {text: =id}"),
    ("PM242 info", PATIENT + "maritalStatus: {coding: [{system: $ms, code: Q}]}",
     PATIENT + "maritalStatus: {coding: [{system: $ms, code: =id}]}"),
    ("PM242 info", VISIT + "class: =code.translate('strange')", VISIT + "class: =code.translate('setting')"),
    ("PM242 info", VISIT + "class: {system: $ms, code: =code}", VISIT + "class: =code.translate('open')"),
    ("PM242 info", OBSERVATION + "interpretation: §clinical#active", OBSERVATION + "category: clinical#active"),
    ("PM240 error", CONDITION + "clinicalStatus: §ver#confirmed", CONDITION + "clinicalStatus: clinical#active"),
    ("PM240 error", CONDITION + "clinicalStatus: {coding: {system: $clinical, code: actve}}",
     CONDITION + "clinicalStatus: {coding: {system: $clinical, code: =id}}"),
    ("PM244 info", PATIENT + 'maritalStatus: ms#M "married man"', PATIENT + 'maritalStatus: ms#M "married"'),
    ("PM244 info", PATIENT + "maritalStatus: {coding: {system: $ms, code: M, display: §wed}}",
     PATIENT + "maritalStatus: {coding: {system: $ms, code: M, display: =word}}"),
    ("PM244 info", OBSERVATION + 'category: obs#survey "Questions"', OBSERVATION + 'category: obs#survey " survey "'),
    ("PM244 info", OBSERVATION + 'category: obs#survey "Questions"', OBSERVATION + 'method: loinc#8302-2 "How tall"'),
]  # fmt: skip


def problems(folder: Path, text: str) -> list[str]:
    """Code and severity of each problem about a code."""
    import tests.mapping.test_invariants as head

    wider = head.HEAD.replace("fragments:", MAPS).replace(
        "systems: {", "systems: {ms: http://terminology.hl7.org/CodeSystem/v3-MaritalStatus, "
    )
    found = told(folder, text, head=wider)
    return [f"{one.code} {one.severity}" for one in found if one.code in ("PM240", "PM242", "PM244", "PM223")]


@pytest.mark.parametrize(("what", "bad", "good"), CASES)
def test_a_code_or_display_that_hl7_has_otherwise_is_told_and_its_near_miss_is_not(
    what: str, bad: str, good: str, tmp_path: Path
) -> None:
    assert problems(tmp_path, bad) == [what]
    assert problems(tmp_path, good) == []
