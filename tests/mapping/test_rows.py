from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping.folders import put, told

HEAD = """mapping: row
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  fields: {id: string!, q1: string, q2: string, q3: string}
systems: {loinc: http://loinc.org}
tables:
  item:
    columns: [n, code, text, high]
    rows:
      - [1, 44250-9, "Little interest, or pleasure", 3]
      - [2, 44255-8, Feeling down, 3]
  more: {file: more.csv}
"""
MORE = 'letter,word\na,"one, two"\nb,three\n'
BASIC = """bundle: collection
resources:
  basic:
    resourceType: Basic
    code: {text: x}
"""


def test_a_node_is_repeated_for_each_row_with_its_cells(tmp_path: Path) -> None:
    text = (
        HEAD
        + """bundle: collection
resources:
  response:
    resourceType: QuestionnaireResponse
    status: completed
    item:
      - {linkId: first}
      - {$rows: item, linkId: /<code>, text: <text>, answer: {valueString: "{{q<n>}} of <high>"}}
      - {$rows: more, linkId: <letter>, text: "<word> (<letter>)"}
"""
    )
    found = put(tmp_path, row__row=text, row__more_csv=MORE)
    assert told(found) == ["W PM300 7"]
    response = found.loaded["row"].program.run({"id": "7", "q1": "a", "q2": ""}).resources["response"][0]
    assert response["item"] == [
        {"linkId": "first"},
        {"linkId": "/44250-9", "text": "Little interest, or pleasure", "answer": [{"valueString": "a of 3"}]},
        {"linkId": "a", "text": "one, two (a)"},
        {"linkId": "b", "text": "three (b)"},
    ]
    assert "mappings/row/more.csv" in found.loaded["row"].files


def test_a_resource_is_made_once_per_row_each_with_its_own_name(tmp_path: Path) -> None:
    text = (
        HEAD
        + BASIC
        + """  answer:
    $rows: item
    resourceType: Observation
    status: final
    code: loinc#<code> "<text>"
    valueString: =q<n>
    interpretation: {text: "of <high>"}
  group:
    resourceType: Observation
    status: final
    code: {text: x}
    hasMember: {$ref: answer}
  note:
    $rows: item
    resourceType: Observation
    status: final
    code: {text: x}
    derivedFrom: {$ref: answer}
"""
    )
    found = put(tmp_path, row__row=text, row__more_csv=MORE)
    result = found.loaded["row"].program.run({"id": "7", "q1": "a", "q2": "b"})
    answers = result.resources["answer"]
    assert [one["code"]["coding"][0]["code"] for one in answers] == ["44250-9", "44255-8"]
    assert [one["valueString"] for one in answers] == ["a", "b"]
    urls = [entry.full_url for entry in result.entries if entry.name == "answer"]
    assert len(set(urls)) == 2
    assert [one["reference"] for one in result.resources["group"][0]["hasMember"]] == urls
    assert [one["derivedFrom"][0]["reference"] for one in result.resources["note"]] == urls


def test_a_cell_keeps_its_type_where_it_stands_alone(tmp_path: Path) -> None:
    text = (
        HEAD
        + BASIC
        + """    extension:
      - {$rows: item, url: "http://x.example/<n>", valueInteger: <high>}
"""
    )
    found = put(tmp_path, row__row=text, row__more_csv=MORE)
    basic = found.loaded["row"].program.run({"id": "7"}).resources["basic"][0]
    assert basic["extension"] == [
        {"url": "http://x.example/1", "valueInteger": 3}, {"url": "http://x.example/2", "valueInteger": 3},
    ]  # fmt: skip


REFUSED = {
    "    extension: {$rows: itme, url: x}": "E PM130 21",
    "    extension: {$rows: item, url: 'http://x.example/<m>'}": "E PM253 21",
    "    extension: {$rows: item, url: 'http://x.example', valueString: '=q<text>'}": "E PM253 21",
    "    extension: {$rows: item, url: 'http://x.example', valueString: '=qq<n>'}": "E PM111 21",
    "    implicitRules: {$rows: item, $value: 'http://x.example/<n>'}": "E PM210 21",
    "    subject: {$ref: each}\n  each: {$rows: item, resourceType: Basic, code: {text: x}}": "E PM261 21",
}


@pytest.mark.parametrize("text", REFUSED)
def test_rows_that_do_not_fit_are_refused_at_their_line(text: str, tmp_path: Path) -> None:
    found = put(tmp_path, row__row=HEAD + BASIC + text + "\n", row__more_csv=MORE)
    assert REFUSED[text] in told(found)
    assert "row" not in found.loaded


def test_the_column_of_a_mistake_behind_a_placeholder_is_that_of_the_text(tmp_path: Path) -> None:
    line = "    extension: {$rows: item, url: 'http://x.example', valueString: '=q<n> & worrd'}\n"
    found = put(tmp_path, row__row=HEAD + BASIC + line, row__more_csv=MORE)
    errors = [one for one in found.problems if one.code == "PM111"]
    assert line[errors[0].mark.column - 1 :].startswith("worrd")


TABLES = {
    "  item: {columns: [n], rows: [[1, 2]]}": "E PM007 10",
    "  item: {columns: [n, n], rows: [[1, 2]]}": "E PM007 10",
    "  item: {columns: ['a b'], rows: [[1]]}": "E PM007 10",
    "  item: {columns: [n], rows: [[{a: b}]]}": "E PM007 10",
    "  item: {columns: [n], row: [[1]]}": "E PM002 10",
    "  item: {columns: [n]}": "E PM007 10",
    "  item: {file: gone.csv}": "E PM008 10",
    "  item: {file: item.txt}": "E PM007 10",
}


@pytest.mark.parametrize("text", TABLES)
def test_a_table_that_cannot_be_read_is_refused_at_its_line(text: str, tmp_path: Path) -> None:
    head = HEAD[: HEAD.index("  item:")]
    found = put(tmp_path, row__row=head + text + "\n" + BASIC)
    assert TABLES[text] in told(found)


def test_a_table_in_a_file_is_checked_line_by_line(tmp_path: Path) -> None:
    found = put(tmp_path, row__row=HEAD + BASIC, row__more_csv="letter,word\na\n")
    assert [str(one.mark) for one in found.problems if one.severity == "error"] == ["mappings/row/more.csv:2:1"]
