from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.errors import MappingFailed
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from tests.mapping.folders import BASE, OVERLAY, put, told
from tests.support.mapping_folder import CANONICAL

RECORD = {"id": "7", "name": "Rivera", "word": "555", "email": "a@example.org", "sex": "F"}


def patient(folder: Path, overlay: str) -> Json:
    """The patient of the sample record under an overlay."""
    found = put(folder, row__row=BASE, row__overlays__north=OVERLAY + overlay)
    assert [one for one in found.problems if one.severity == "error"] == []
    return found.loaded["row+north"].program.run(RECORD).resources["patient"][0]


def test_an_overlay_changes_adds_and_removes_and_leaves_the_rest(tmp_path: Path) -> None:
    made = patient(
        tmp_path,
        """systems: {mrn: "urn:oid:1.2.3"}
conceptMaps: {sex: {F: other}}
rules:
  - {at: "patient.telecom[system=email]", remove: true}
  - {at: patient.active, add: true, because: this hospital wants it}
  - {at: patient.name, set: {text: "of {{name}}"}}
  - {at: "patient.telecom[0].system", set: sms}
  - {at: note, remove: true}
""",
    )
    assert made == {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "7"}],
        "name": [{"text": "of Rivera"}],
        "telecom": [{"system": "sms", "value": "555"}],
        "gender": "other",
        "active": True,
    }


def test_the_mapping_by_itself_is_as_it_was(tmp_path: Path) -> None:
    found = put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY + "rules: [{at: note, remove: true}]\n")
    assert list(found.loaded["row"].program.run(RECORD).resources) == ["patient", "note"]
    assert list(found.loaded["row+north"].program.run(RECORD).resources) == ["patient"]
    assert found.loaded["row"].sha256 != found.loaded["row+north"].sha256
    assert found.loaded["row+north"].files == ("mappings/row/overlays/north.overlay.yaml", "mappings/row/row.map.yaml")


def test_an_item_is_added_to_a_list_and_a_code_map_replaced(tmp_path: Path) -> None:
    made = patient(
        tmp_path,
        """rules:
  - {at: patient.telecom, add: {system: fax, value: =word}}
  - {at: patient.gender, replace-map: other}
""",
    )
    assert [one["system"] for one in made["telecom"]] == ["phone", "email", "fax"]
    assert made["gender"] == "other"


def test_an_overlay_brings_fields_variables_and_a_bundle(tmp_path: Path) -> None:
    overlay = """bundle: collection
source: {fields: {born: date}}
rules:
  - {at: patient.birthDate, add: =born}
"""
    found = put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY + overlay)
    result = found.loaded["row+north"].program.run({**RECORD, "born": "1989-04-17"})
    assert result.bundle()["type"] == "collection"
    assert result.resources["patient"][0]["birthDate"] == "1989-04-17"


REFUSED = {
    "no-rule": ("rules:\n  - {at: patient.gendr, set: male}\n", ["E PM400 6"]),
    "no-resource": ("rules:\n  - {at: patent.gender, set: male}\n", ["E PM400 6"]),
    "no-item": ("rules:\n  - {at: 'patient.telecom[9]', remove: true}\n", ["E PM400 6"]),
    "two-items": ("rules:\n  - {at: patient.telecom.value, set: x}\n", ["E PM400 6"]),
    "no-address": ("rules:\n  - {at: 'patient..x', remove: true}\n", ["E PM400 6"]),
    "absent": ("rules:\n  - {at: patient.birthDate, set: '2026-01-01'}\n", ["E PM402 6"]),
    "there": ("rules:\n  - {at: patient.gender, add: male}\n", ["E PM402 6"]),
    "twice": ("rules:\n  - {at: patient.name, remove: true}\n  - {at: patient.name.family, set: =id}\n", ["E PM402 7"]),
    "nothing": ("rules:\n  - {at: patient.name.family, set: =name}\n", ["W PM403 6"]),
    "no-map": ("rules:\n  - {at: patient.name.family, replace-map: sex}\n", ["E PM403 6"]),
    "no-operation": ("rules:\n  - {at: patient.name}\n", ["E PM007 6"]),
    "two-operations": ("rules:\n  - {at: patient.name, set: x, remove: true}\n", ["E PM007 6"]),
    "unknown-key": ("rules:\n  - {at: note, remove: true, why: x}\nresources: {}\n", ["E PM002 7"]),
    "a-reference": ("rules:\n  - {at: note.subject, add: {$ref: patint}}\n", ["E PM264 6"]),
    "a-code": ("conceptMaps: {sex: {F: feminine}}\n", ["E PM240 26"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_overlay_gets_wrong_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    text, wanted = REFUSED[name]
    found = put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY + text)
    assert told(found) == wanted
    assert ("row+north" in found.loaded) == wanted[0].startswith("W")


def test_messages_of_the_merged_mapping_show_both_files(tmp_path: Path) -> None:
    found = put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY + "conceptMaps: {sex: {F: feminine}}\n")
    lines = str(found.problems[0]).splitlines()
    assert lines[0].startswith("mappings/row/row.map.yaml:26:13: error PM240: patient.gender: feminine")
    assert lines[-1] == "    note: mappings/row/overlays/north.overlay.yaml:1:1: under this overlay"


def test_a_removed_resource_that_is_referred_to_is_missed_and_a_required_element_too(tmp_path: Path) -> None:
    base = BASE + "    subject: {$ref: patient}\n"
    rules = "rules:\n  - {at: patient, remove: true}\n  - {at: note.code, remove: true}\n"
    found = put(tmp_path, row__row=base.replace("bundle: none\n", ""), row__overlays__north=OVERLAY + rules)
    assert {one.code for one in found.problems if one.severity == "error"} == {"PM264", "PM220"}


def test_losses_are_named_with_their_reason_and_are_no_unused_fields(tmp_path: Path) -> None:
    rules = "rules:\n  - {at: 'patient.telecom[1]', remove: true, because: email is not taken}\n"
    found = put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY + rules)
    assert found.problems == ()
    losses = found.loaded["row+north"].losses
    assert [(one.address, one.because) for one in losses] == [("patient.telecom[1]", "email is not taken")]


HEADS = {
    "extends: row@^1.0": ("extends: row@^2.0", "PM401"),
    "overlay: row.north": ("overlay: row.south", "PM004"),
    "extends: row@^1.0\n": ("extends: other@^1.0\n", "PM401"),
    "applies-to: {endpoint: north-epic}": ("", "PM007"),
    "version: 1.0.0": ("version: 1", "PM007"),
    "overlay: row.north\n": ("mapping: row\n", "PM004"),
}


@pytest.mark.parametrize("old", HEADS)
def test_the_head_of_an_overlay_is_checked(old: str, tmp_path: Path) -> None:
    new, code = HEADS[old]
    found = put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY.replace(old, new))
    assert code in {one.code for one in found.problems}
    assert "row+north" not in found.loaded


def test_an_overlay_of_nothing_and_two_for_one_endpoint_are_refused(tmp_path: Path) -> None:
    alone = OVERLAY.replace("row", "gone")
    again = OVERLAY.replace("row.north", "row.south")
    found = put(
        tmp_path, row__row=BASE, gone__overlays__north=alone, row__overlays__north=OVERLAY, row__overlays__south=again
    )
    assert told(found) == ["E PM401 3", "E PM404 4"]


def test_an_endpoint_turns_its_overlays_on_by_name(tmp_path: Path) -> None:
    put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY + "rules: [{at: patient.name, remove: true}]\n")
    mappings = Mappings.load(tmp_path / "mappings", canonical=CANONICAL)
    assert mappings.ids() == ("row",)
    assert [(one.overlay, one.endpoint) for one in mappings.overlays()] == [("north", "north-epic")]
    there = mappings.under(["row.north"])
    assert "name" not in there.run("row", RECORD).resources["patient"][0]
    assert "name" in mappings.run("row", RECORD).resources["patient"][0]
    assert there.sha256("row") != mappings.sha256("row")
    assert mappings.refused("north-epic", ["row.north"]) == []
    assert mappings.refused("south", ["row.north"]) == [(0, "'row.north' applies to endpoint 'north-epic'")]
    assert [at for at, _ in mappings.refused("north-epic", ["row.gone", "row.north", "row.north"])] == [0, 1, 2]
    with pytest.raises(MappingFailed, match=r"row\.south"):
        mappings.under(["row.south"])


def test_a_code_that_the_element_does_not_take_points_at_the_entry_of_the_overlay(tmp_path: Path) -> None:
    maps = "conceptMaps:\n  sex:\n    X: femail\nrules: [{at: note, remove: true}]\n"
    found = put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY + maps)
    (problem,) = (one for one in found.problems if one.code == "PM240")
    line = 1 + (OVERLAY + maps).splitlines().index("    X: femail")
    assert problem.mark.path == "mappings/row/row.map.yaml"
    assert [(mark.path.rpartition("/")[2], mark.line) for mark, what in problem.notes if what == "this entry"] == [
        ("north.overlay.yaml", line)
    ]
