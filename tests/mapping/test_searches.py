from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.mapping.folders import put, told

HEAD = """mapping: row
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  unknown: ignore
  fields: {id: string!, word: string, at: instant!, version: integer!}
systems: {mrn: https://hospital.example/mrn}
"""
PATIENT = """resources:
  patient:
    resourceType: Patient
    identifier: {system: $mrn, value: =id}
"""


def entry(folder: Path, lines: str, **record: object) -> Any:
    """The first entry of the bundle."""
    found = put(folder, row__row=HEAD + PATIENT + lines)
    assert [str(one) for one in found.problems if one.severity == "error"] == []
    full = {"id": "a|b,c", "at": "2026-03-02T10:00:00Z", "version": 3, **record}
    return found.loaded["row"].program.run(full).bundle()["entry"][0]


def test_values_in_a_search_are_escaped_and_constants_are_not(tmp_path: Path) -> None:
    made = entry(tmp_path, '    $request: {ifNoneExist: "identifier={{%systems.mrn}}|{{id}}"}\n')
    assert made["request"]["ifNoneExist"] == "identifier=https://hospital.example/mrn|a%5C%7Cb%5C%2Cc"


def test_a_conditional_update_has_its_version_and_time_as_written(tmp_path: Path) -> None:
    made = entry(
        tmp_path,
        "    $request: {method: PUT, url: 'Patient?identifier={{id}}', ifMatch: 'W/\"{{version}}\"', ifModifiedSince: =at}\n",
    )
    assert made["request"] == {
        "method": "PUT", "url": "Patient?identifier=a%5C%7Cb%5C%2Cc", "ifMatch": 'W/"3"',
        "ifModifiedSince": "2026-03-02T10:00:00Z",
    }  # fmt: skip


def test_a_conditional_reference_is_escaped_like_a_search(tmp_path: Path) -> None:
    lines = "    $request: {ifNoneExist: 'identifier={{id}}'}\n    managingOrganization: {reference: 'Organization?identifier={{id}}'}\n"
    made = entry(tmp_path, lines)
    assert made["resource"]["managingOrganization"] == {"reference": "Organization?identifier=a%5C%7Cb%5C%2Cc"}


def test_the_address_of_another_resource_is_a_text(tmp_path: Path) -> None:
    lines = "    $request: {ifNoneExist: 'identifier={{id}}'}\n  note:\n    resourceType: Basic\n    code: {text: \"=fullUrl('patient')\"}\n"
    found = put(tmp_path, row__row=HEAD + PATIENT + lines)
    result = found.loaded["row"].program.run({"id": "7", "at": "2026-03-02T10:00:00Z", "version": 3})
    assert result.resources["note"][0]["code"]["text"] == result.entries[0].full_url
    unknown = put(tmp_path, row__row=HEAD + PATIENT + lines.replace("'patient'", "'patent'"))
    assert "E PM264 17" in told(unknown)


def test_the_time_of_an_expression_is_when_the_record_was_accepted(tmp_path: Path) -> None:
    lines = "    $request: {ifNoneExist: 'identifier={{id}}'}\n    birthDate: =today()\n"
    found = put(tmp_path, row__row=HEAD + PATIENT + lines)
    record = {"id": "7", "at": "2026-03-02T10:00:00Z", "version": 3}
    made = found.loaded["row"].program.run(record, now=datetime(2026, 3, 2, 10, tzinfo=UTC))
    assert made.resources["patient"][0]["birthDate"] == "2026-03-02"


LINE = {
    "$request: {ifNoneExist: 'identifer={{id}}'}": "E PM272",
    "$request: {ifNoneExist: 'identifier={{word}}'}": "E PM273",
    "$request: {ifNoneExist: 'identifier={{%systems.mrn}}2|{{id}}'}": "W PM274",
    "$request: {method: PUT}": "E PM275",
    "$request: {method: PUT, url: 'Patient?identifier={{id}}', ifNoneExist: 'identifier={{id}}'}": "E PM275",
    "$request: {method: POST, ifMatch: x}": "E PM275",
    "$request: {method: PATCH}": "E PM275",
    "$request: {method: PUT, url: 'Patient?identifier={{id}}', ifMatch: =word}": "E PM273",
    "active: true": "W PM271",
    "generalPractitioner: {reference: 'Patient?identifier={{id}}'}": "E PM262",
    "generalPractitioner: {reference: 'Practitioner?number={{id}}'}": "E PM272",
    "generalPractitioner: {reference: '#gp'}": "E PM264",
    "telecom: {system: phone, value: =id, extension: {url: x, valueCoding: {system: loinc, code: x}}}": "E PM263",
}


@pytest.mark.parametrize("line", LINE)
def test_what_a_request_or_reference_gets_wrong_is_told_at_its_line(line: str, tmp_path: Path) -> None:
    found = put(tmp_path, row__row=HEAD + PATIENT + f"    {line}\n")
    code = LINE[line].split()[1]
    assert [one.mark.line for one in found.problems if one.code == code] == [12 if code == "PM271" else 14]
    assert [one.severity[0].upper() for one in found.problems if one.code == code] == [LINE[line][0]]


def test_a_value_of_a_search_that_can_be_empty_is_named_where_it_stands(tmp_path: Path) -> None:
    line = "    $request: {ifNoneExist: 'identifier={{%systems.mrn}}|{{ word }}'}\n"
    found = put(tmp_path, row__row=HEAD + PATIENT + line)
    (one,) = [one for one in found.problems if one.code == "PM273"]
    assert one.what == "'word' can be empty; the search would match others"
    assert one.mark.column == line.index("word") + 1


def test_a_field_of_a_refused_expression_is_not_said_to_be_unused(tmp_path: Path) -> None:
    found = put(tmp_path, row__row=HEAD + PATIENT + "    multipleBirthInteger: =version.toQuantity('mins')\n")
    told_of = [one.address for one in found.problems if one.code == "PM300"]
    assert "PM243" in {one.code for one in found.problems}
    assert "source.fields.version" not in told_of


def test_a_contained_resource_is_found_by_its_id(tmp_path: Path) -> None:
    lines = "    contained: {resourceType: Practitioner, id: gp}\n    generalPractitioner: {reference: '#gp'}\n"
    made = entry(tmp_path, lines + "    $request: {ifNoneExist: 'identifier={{id}}'}\n")
    assert made["resource"]["contained"] == [{"resourceType": "Practitioner", "id": "gp"}]


def test_conditional_references_belong_to_transactions(tmp_path: Path) -> None:
    lines = "    managingOrganization: {reference: 'Organization?identifier={{id}}'}\n"
    found = put(tmp_path, row__row=HEAD + "bundle: none\n" + PATIENT + lines)
    assert "E PM262 15" in told(found)
