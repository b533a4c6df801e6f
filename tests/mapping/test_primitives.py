from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peerfhir.fhir.model import parse
from peerfhir.mapping.primitives import URL
from tests.mapping.folders import put, told

HEAD = """mapping: row
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  unknown: ignore
  fields: {id: string!, born: date, word: string, names: [string], flag: boolean}
bundle: none
resources:
  patient:
    resourceType: Patient
    active: true
"""
EXTENSION = "extension: {url: 'http://x.example/how', valueString: =word}"


def made(folder: Path, elements: str, **record: object) -> Any:
    """The patient of a record, without its type; it is valid R4."""
    found = put(folder, row__row=HEAD + elements)
    assert [str(one) for one in found.problems if one.severity == "error"] == []
    patient = found.loaded["row"].program.run({"id": "7", **record}).resources["patient"][0]
    parse(patient)
    return {key: value for key, value in patient.items() if key not in ("resourceType", "active")}


ABSENT = {"extension": [{"url": URL, "valueCode": "asked-declined"}]}
HOW = {"url": "http://x.example/how", "valueString": "said"}


def test_a_primitive_that_is_empty_says_why(tmp_path: Path) -> None:
    text = "    birthDate: {$value: =born, $absent: asked-declined}\n"
    assert made(tmp_path, text) == {"_birthDate": ABSENT}
    assert made(tmp_path, text, born="2001-02-03") == {"birthDate": "2001-02-03"}


def test_a_primitive_has_extensions_and_an_id_beside_it(tmp_path: Path) -> None:
    text = f"    birthDate: {{$value: =born, id: b, {EXTENSION}}}\n"
    assert made(tmp_path, text, born="2001-02-03", word="said") == {
        "birthDate": "2001-02-03", "_birthDate": {"id": "b", "extension": [HOW]},
    }  # fmt: skip
    assert made(tmp_path, text, word="said") == {"_birthDate": {"id": "b", "extension": [HOW]}}
    assert made(tmp_path, text) == {}


def test_the_reason_joins_the_extensions(tmp_path: Path) -> None:
    text = f"    birthDate: {{$value: =born, $absent: asked-declined, {EXTENSION}}}\n"
    both = made(tmp_path, text, word="said")["_birthDate"]["extension"]
    assert both == [HOW, *ABSENT["extension"]]


def test_a_reason_keeps_the_structure_around_it(tmp_path: Path) -> None:
    text = "    name: {use: official, family: {$value: =word, $absent: asked-declined}}\n"
    assert made(tmp_path, text) == {"name": [{"use": "official", "_family": ABSENT}]}


def test_a_required_element_with_a_reason_is_never_missed(tmp_path: Path) -> None:
    text = (
        "    communication: {preferred: true, language: {coding: {code: {$value: =word, $absent: asked-declined}}}}\n"
    )
    found = put(tmp_path, row__row=HEAD + text)
    assert [one for one in told(found) if "PM22" in one] == []
    text = "    link: {type: {$value: =word.translate('x'), $absent: asked-declined}, other: {display: x}}\n"
    head = HEAD.replace("bundle", "conceptMaps: {x: {a: refer, '*': refer}}\nbundle")
    found = put(tmp_path, row__row=head + text)
    assert [one for one in told(found) if "PM22" in one] == []
    linked = found.loaded["row"].program.run({"id": "7"}).resources["patient"][0]["link"]
    assert linked == [{"_type": ABSENT, "other": {"display": "x"}}]


def test_the_two_lists_of_a_repeating_primitive_stay_side_by_side(tmp_path: Path) -> None:
    text = f"""    name:
      given:
        - =word
        - {{$value: =born.first() & '', {EXTENSION}}}
        - {{$each: names as n, $value: =%n, id: "of-{{{{%n}}}}"}}
        - =names
""".replace("=born.first() & ''", "fixed")
    assert made(tmp_path, text, word="said", names=["a", "b"])["name"] == [
        {
            "given": ["said", "fixed", "a", "b", "a", "b"],
            "_given": [None, {"extension": [HOW]}, {"id": "of-a"}, {"id": "of-b"}, None, None],
        }
    ]
    assert made(tmp_path, text)["name"] == [{"given": ["fixed"]}]


def test_directives_stand_around_a_primitive(tmp_path: Path) -> None:
    text = "    birthDate: {$if: flag.exists(), $value: =born, $absent: asked-declined}\n"
    assert made(tmp_path, text) == {}
    assert made(tmp_path, text, flag=False) == {"_birthDate": ABSENT}


REFUSED = {
    "birthDate: {$value: =born, $absent: no}": "E PM234 14",
    "birthDate: {$value: =born, $absent: declined}": "E PM234 14",
    "name: {$value: =word, $absent: unknown}": "E PM234 14",
    "birthDate: {$value: =born, extnsion: {url: x}}": "E PM202 14",
    "birthDate: {extension: {url: x}}": "E PM231 14",
    "birthDate: {$literal: x, id: y}": "E PM251 14",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_stand_beside_a_primitive_is_refused_at_its_line(line: str, tmp_path: Path) -> None:
    assert REFUSED[line] in told(put(tmp_path, row__row=HEAD + f"    {line}\n"))
