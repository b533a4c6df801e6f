from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping.folders import BASE, put, told

HEAD = """mapping: row
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  unknown: ignore
  fields:
    id: string!
    phone: string
    fax: string
    words: [string]
systems: {mrn: https://hospital.example/mrn}
bundle: none
"""
FRAGMENTS = """fragments:
  number:
    type: ContactPoint
    params: {number: string, use: code}
    body: {system: phone, value: =%number, use: =%use}
  named:
    type: Identifier
    params: {value: string}
    body: {system: $mrn, value: "no. {{%value}}", assigner: {display: =%source.id}}
"""
PATIENT = """resources:
  patient:
    resourceType: Patient
"""


def made(folder: Path, elements: str, **record: object) -> object:
    """The patient of a record."""
    found = put(folder, row__row=HEAD + FRAGMENTS + PATIENT + elements)
    assert [str(one) for one in found.problems if one.severity == "error"] == []
    return found.loaded["row"].program.run({"id": "7", **record}).resources["patient"][0]


def test_a_fragment_stands_where_it_is_used_with_its_arguments(tmp_path: Path) -> None:
    text = """    telecom:
      - {$use: number, with: {number: =phone, use: mobile}}
      - {$use: number, with: {number: "+1 {{fax}}", use: work}, rank: 2}
"""
    assert made(tmp_path, text, phone="555", fax="556") == {
        "resourceType": "Patient",
        "telecom": [
            {"system": "phone", "value": "555", "use": "mobile"},
            {"system": "phone", "value": "+1 556", "use": "work", "rank": 2},
        ],
    }


def test_constant_arguments_keep_nothing_alive(tmp_path: Path) -> None:
    text = "    telecom: {$use: number, with: {number: =phone, use: mobile}}\n"
    assert made(tmp_path, text) == {"resourceType": "Patient"}


def test_a_fragment_sees_the_record_as_source_and_the_systems(tmp_path: Path) -> None:
    text = "    identifier: {$use: named, with: {value: =phone}}\n"
    identifier = {"system": "https://hospital.example/mrn", "value": "no. 555", "assigner": {"display": "7"}}
    assert made(tmp_path, text, phone="555") == {"resourceType": "Patient", "identifier": [identifier]}


def test_a_fragment_repeats_and_depends_like_any_node(tmp_path: Path) -> None:
    text = """    telecom:
      $each: words as word
      $if: (%word = 'no').not()
      $use: number
      with: {number: =%word, use: home}
"""
    patient = made(tmp_path, text, words=["1", "no", "2"])
    assert isinstance(patient, dict)
    assert [one["value"] for one in patient["telecom"]] == ["1", "2"]


REFUSED = {
    "telecom: {$use: nummer, with: {number: =phone, use: home}}": ["E PM252 27"],
    "telecom: {$use: number, with: {number: =phone}}": ["E PM252 27"],
    "telecom: {$use: number, with: {number: =phone, use: home, rank: 1}}": ["E PM252 27"],
    "telecom: {$use: number, with: {number: =words, use: home}}": ["E PM252 27"],
    "telecom: {$use: number, with: {number: =phone, use: nowhere}}": ["E PM240 27"],
    "telecom: {$use: number, with: {number: 5, use: home}}": ["E PM230 27"],
    "telecom: {$use: number, with: {number: =phone, use: home}, value: x}": ["E PM205 27"],
    "telecom: {$use: number, with: [x]}": ["E PM252 27"],
    "identifier: {$use: number, with: {number: =phone, use: home}}": ["E PM252 27"],
    "name: {$use: number, with: {number: =phone, use: home}}": ["E PM252 27"],
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_use_that_does_not_fit_is_refused_at_its_line(line: str, tmp_path: Path) -> None:
    found = put(tmp_path, row__row=HEAD + FRAGMENTS + PATIENT + f"    {line}\n")
    assert [one for one in told(found) if one[0] == "E"] == REFUSED[line]


BROKEN = {
    "number:\n    type: ContactPint": "PM201",
    "number:\n    type: ContactPoint\n    params: {a: text}": "PM252",
    "number:\n    type: ContactPoint\n    params: [a]": "PM007",
    "{value: =%nummber}": "PM110",
    "{value: =phone}": "PM111",
    "{sytem: phone}": "PM202",
    "{system: telephone}": "PM240",
    "{system: $mnr}": "PM139",
    "{$use: number, with: {number: x, use: home}}": "PM252",
}


@pytest.mark.parametrize("change", BROKEN)
def test_a_fragment_is_checked_by_itself(change: str, tmp_path: Path) -> None:
    head, body = "number:\n    type: ContactPoint", "{system: phone, value: =%number, use: =%use}"
    text = FRAGMENTS.replace(body, change) if change.startswith("{") else FRAGMENTS.replace(head, change)
    text = text.replace("    params: {number: string, use: code}\n", "", int("params" in change))
    found = put(tmp_path, row__row=HEAD + text + PATIENT + "    active: true\n")
    assert BROKEN[change] in {one.code for one in found.problems if one.severity == "error"}


def test_fragments_that_use_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    text = """fragments:
  a: {type: Period, body: {$use: b}}
  b: {type: Period, body: {$use: a}}
"""
    found = put(tmp_path, row__row=HEAD + text + PATIENT + "    active: true\n")
    assert [one.code for one in found.problems if one.severity == "error"] == ["PM252", "PM252"]
    assert "a -> b -> a" in next(one.what for one in found.problems if one.code == "PM252")


def test_a_fragment_of_a_library_is_checked_there_and_used_here(tmp_path: Path) -> None:
    library = "library: common\nversion: 1.0.0\nsystems: {mrn: https://hospital.example/mrn}\n" + FRAGMENTS
    using = BASE.replace("fhirVersion: 4.0.1\n", "fhirVersion: 4.0.1\nimports: [common@1]\n").replace(
        "systems: {mrn: https://hospital.example/mrn, ", "systems: {"
    )
    using = using.replace(
        "  note:", "    contact: {telecom: {$use: number, with: {number: =word, use: home}}}\n  note:"
    )
    found = put(tmp_path, row__row=using, library__common=library)
    assert [str(one) for one in found.problems] == []
    broken = put(tmp_path, library__common=library.replace("=%number", "=%nummer"))
    assert {(one.mark.path, one.code) for one in broken.problems} == {("mappings/library/common.library.yaml", "PM110")}


def test_fragments_that_double_are_told_before_they_are_written_out(tmp_path: Path) -> None:
    fragments = ["fragments:", "  f0: {type: Extension, body: {url: http://a.example/x, valueString: a}}"]
    for at in range(1, 40):
        both = f"{{$use: f{at - 1}}}, {{$use: f{at - 1}}}"
        fragments.append(f"  f{at}: {{type: Extension, body: {{url: http://a.example/x, extension: [{both}]}}}}")
    patient = PATIENT + "    extension: [{$use: f39}]\n"
    found = put(tmp_path, row__row=HEAD + "\n".join(fragments) + "\n" + patient)
    what = "with its rows and fragments written out this has 81,913 nodes; the most are 50,000"
    assert [str(one) for one in found.problems] == [
        f"mappings/row/row.map.yaml:29:3: error PM252: fragments.f13: {what}"
    ]
