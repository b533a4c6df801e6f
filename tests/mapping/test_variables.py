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
  fields: {id: string!, name: string, words: [string]}
bundle: none
vars:
"""
BASIC = """resources:
  basic:
    resourceType: Basic
    code: {text: x}
"""


def test_a_variable_is_computed_from_others_in_any_order(tmp_path: Path) -> None:
    text = HEAD + "  whole: =%half & '!'\n  half: ='of ' & name\n" + BASIC
    text += "    subject: {display: =%whole}\n    author: {display: '{{%half}}'}\n    implicitRules: =words.first()\n"
    found = put(tmp_path, row__row=text)
    basic = found.loaded["row"].program.run({"id": "7", "name": "A", "words": ["x"]}).resources["basic"][0]
    assert basic["subject"] == {"display": "of A!"}
    assert basic["author"] == {"display": "of A"}


def test_a_variable_that_no_rule_reads_is_never_computed(tmp_path: Path) -> None:
    failing = "conceptMaps: {one: {a: b}}\n"
    text = failing.join([HEAD.replace("vars:\n", ""), "vars:\n  unread: =name.translate('one')\n" + BASIC])
    found = put(tmp_path, row__row=text)
    assert found.loaded["row"].program.run({"id": "7", "name": "z"}).resources["basic"]


def test_many_values_are_named_too(tmp_path: Path) -> None:
    text = (
        HEAD
        + "  all: =words\n"
        + BASIC
        + "    extension: {$each: '%all as w', url: http://x.example, valueString: =%w}\n"
    )
    found = put(tmp_path, row__row=text)
    basic = found.loaded["row"].program.run({"id": "7", "words": ["a", "b"]}).resources["basic"][0]
    assert [one["valueString"] for one in basic["extension"]] == ["a", "b"]


REFUSED = {
    "  a: =%b\n  b: =%c\n  c: =%a": "E PM114 10",
    "  a: =%a": "E PM114 10",
    "  a: name": "E PM007 10",
    "  a: {b: c}": "E PM007 10",
    "  a: =nam": "E PM111 10",
    "  a: =%gone": "E PM110 10",
    "  source: =name": "E PM113 10",
    "  a-b: =name": "E PM007 10",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_variable_that_cannot_be_used_is_refused_at_its_line(text: str, tmp_path: Path) -> None:
    found = put(tmp_path, row__row=HEAD + text + "\n" + BASIC)
    assert REFUSED[text] in told(found)


def test_a_circle_is_shown(tmp_path: Path) -> None:
    found = put(tmp_path, row__row=HEAD + "  a: =%b\n  b: =%a & 'x'\n" + BASIC)
    assert [one.what for one in found.problems if one.code == "PM114"] == ["the variable needs itself: %a -> %b -> %a"]


def test_a_name_that_hides_a_variable_is_a_warning(tmp_path: Path) -> None:
    text = (
        HEAD
        + "  all: =name\n"
        + BASIC
        + "    extension: {$each: words as all, url: http://x.example, valueString: =%all}\n"
    )
    assert "W PM113 15" in told(put(tmp_path, row__row=text))
