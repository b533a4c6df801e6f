from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.mapping.starter import OPEN
from tests.mapping.maps import Said, call

PEOPLE = """Member ID,First Name,Last Name,DOB,Phone,County,Score,Agreed,Joined at
M-1,Ana,Rivera,04/17/1989,415-555-0134,Kane,7,true,2026-03-02T10:00:00Z
M-2,Ben,Okafor,11/02/1975,,Will,12,false,2026-03-03T10:00:00Z
M-3,Cy,Lund,01/30/1990,415-555-0136,Kane,9,true,2026-03-04T10:00:00Z
M-4,Di,Moss,12/05/1961,415-555-0137,Will,11,true,2026-03-05T10:00:00Z
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(folder: Path, text: str, name: str = "people.csv", *more: str) -> Said:
    (folder / name).write_text(text, "utf-8")
    return call("init", "--from", name, *more)


def test_a_table_becomes_a_mapping_that_passes_the_check_and_maps_its_rows(folder: Path) -> None:
    assert start(folder, PEOPLE).code == 0
    made = (folder / "mappings" / "people" / "people.map.yaml").read_text("utf-8")
    assert '    member_id: {type: string!, from: "Member ID"}' in made
    assert 'DOB: {type: date!, format: "MM/DD/YYYY"}' in made
    assert "Phone: string\n" in made
    assert 'codes: ["Kane", "Will"]' in made
    assert "Score: {type: integer!" in made
    assert "Agreed: {type: boolean!" in made
    assert '{type: dateTime!, from: "Joined at"' in made
    assert call("check").code == 0
    said = call("run", "people", "--input", "people.csv", "--validate")
    assert said.code == 0
    assert '"birthDate": "1989-04-17"' in said.out


def test_a_date_that_could_be_read_two_ways_is_left_open_and_does_not_pass(folder: Path) -> None:
    said = start(folder, "id,seen\nA-1,03/04/2026\nA-2,05/06/2026\n", "visits.csv")
    assert "day or month first?" in said.out
    made = folder / "mappings" / "visits" / "visits.map.yaml"
    assert f"format: {OPEN}" in made.read_text("utf-8")
    refused = call("check")
    assert refused.code == 1
    assert "PM310" in refused.err
    made.write_text(made.read_text("utf-8").replace(f"format: {OPEN}", "format: DD/MM/YYYY"), "utf-8")
    assert call("check").code == 0


def test_a_time_without_a_place_is_left_open_too(folder: Path) -> None:
    said = start(folder, "id,seen\nA-1,2026/03/04 10:00\nA-2,2026/05/16 11:30\n", "visits.csv")
    assert "where is this time?" in said.out
    assert call("check").code == 1


def test_a_year_of_two_digits_stays_text_and_is_told(folder: Path) -> None:
    assert "two digits" in start(folder, "id,born\nA-1,03/14/89\nA-2,05/16/75\n", "visits.csv").out


def test_json_and_lines_of_json_are_samples_too(folder: Path) -> None:
    rows = '{"id": "A-1", "name": "x", "n": 5}\n{"id": "A-2", "name": "y", "n": 6, "more": {"a": 1}}\n'
    said = start(folder, rows, "lines.ndjson", "--type", "Basic", "--id", "lines")
    assert said.code == 0
    assert "a structure: declare its fields" in said.out
    assert "format: ndjson" in (folder / "mappings" / "lines" / "lines.map.yaml").read_text("utf-8")
    assert start(folder, '[{"id": "A-1", "born": "1989-04-17"}]', "one.json").code == 0
    assert "format: json\n  record: $this" in (folder / "mappings" / "one" / "one.map.yaml").read_text("utf-8")
    assert call("run", "one", "--input", "one.json").code == 0


def test_nothing_is_overwritten_and_what_is_no_sample_is_refused(folder: Path) -> None:
    assert start(folder, PEOPLE).code == 0
    again = start(folder, PEOPLE)
    assert again.code == 2
    assert "is there already" in again.err
    assert call("init", "--from", "none.csv").code == 2
    assert start(folder, "{", "broken.json").code == 2
    assert start(folder, "id,name\n", "empty.csv").code == 2
    assert start(folder, PEOPLE, "other.csv", "--type", "Persona").code == 2
    assert start(folder, PEOPLE, "other.csv", "--id", "9").code == 2


def test_a_table_of_another_country_is_read_as_it_is(folder: Path) -> None:
    text = 'Nr.;Name;Geburtstag;Gewicht;Sagt "nie";;a b;a-b\n1;Müller;31.12.1970;72,5;x;;u;v\n2;Öz;01.02.1980;80,0;y;;u;w\n'
    (folder / "fern.csv").write_bytes(text.replace('Sagt "nie"', '"Sagt ""nie"""').encode("latin-1"))
    assert call("init", "--from", "fern.csv").code == 0
    made = (folder / "mappings/fern/fern.map.yaml").read_text("utf-8")
    assert '  format: csv\n  encoding: cp1252\n  delimiter: ";"\n' in made
    assert "type: decimal!, decimalComma: true" in made
    assert 'type: date!, format: "DD.MM.YYYY"' in made
    assert '    a_b_2: {type: string!, from: "a-b"' in made
    assert call("check").code == 0
    assert call("run", "fern", "--input", "fern.csv", "--validate").code == 0


def test_a_row_with_too_many_cells_is_no_fault_and_two_columns_of_one_name_are_refused(folder: Path) -> None:
    assert start(folder, "id\tb\n1\t2\t3\n", "many.csv").code == 0
    assert 'delimiter: "\\t"' in (folder / "mappings/many/many.map.yaml").read_text("utf-8")
    assert call("check").code == 0
    twice = start(folder, "id,id\n1,2\n", "twice.csv")
    assert twice.code == 2
    assert "two of its columns have one name" in twice.err


def test_a_format_left_open_says_what_to_write(folder: Path) -> None:
    start(folder, "id,day\n1,01/02/2026\n2,03/04/2026\n", "days.csv")
    said = call("check")
    assert said.code == 1
    assert "error PM310: source.fields.day: the format is still to be decided" in said.err
    assert "hint: write MM/DD/YYYY or DD/MM/YYYY" in said.err
