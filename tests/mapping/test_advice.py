from __future__ import annotations

from pathlib import Path

from peerfhir.config import Mark
from peerfhir.mapping.problems import Problems, messages
from tests.mapping.folders import BASE, OVERLAY, put
from tests.mapping.maps import call


def lines(folder: Path, rules: str) -> list[str]:
    """What a check advises when the base has these changes."""
    put(folder, row__row=BASE, row__overlays__north=f"{OVERLAY}rules:\n{rules}")
    said = call("check", "--mappings", folder / "mappings")
    return [line for line in said.out.splitlines() if line.startswith("hint:")]


def test_an_overlay_that_changes_more_than_a_third_of_the_rules_is_nearly_a_mapping_of_its_own(tmp_path: Path) -> None:
    few = "  - {at: patient.gender, remove: true}\n  - {at: patient.name.family, set: =id}\n  - {at: note.code, set: loinc#2}\n"
    many = f"{few}  - {{at: patient.identifier, set: {{value: =id}}}}\n"
    assert lines(tmp_path, few) == []
    assert lines(tmp_path, many) == [
        (
            "hint: mappings/row/overlays/north.overlay.yaml changes 4 of the 9 rules of 'row': "
            "a mapping of its own may be easier to read"
        )
    ]


def test_of_more_than_fifty_problems_in_a_file_the_errors_are_kept() -> None:
    problems = Problems()
    for line in range(1, 61):
        problems.add(Mark("a.yaml", line, 1), "PM300", "x", "unused")
    problems.add(Mark("a.yaml", 70, 1), "PM202", "x", "unknown")
    found = messages(problems.every)
    assert len(found) == 51
    assert found[-2] == "a.yaml:70:1: error PM202: x: unknown"
    assert found[-1] == "a.yaml:1:1: warning PM750: 11 more problems in this file"
