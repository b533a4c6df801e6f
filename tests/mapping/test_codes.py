from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peerfhir.errors import MappingFailed
from peerfhir.mapping.registry import Mappings
from tests.mapping.marked import places, told
from tests.support.mapping_folder import load, refusals

TEMPLATE = """mapping: coded
version: 1.0.0
fhirVersion: 4.0.1
source: {{format: json, fields: {{word: string, flag: boolean, number: integer}}}}
systems: {{loinc: http://loinc.org, own: http://own.example}}
conceptMaps:
  m: {map}
bundle: none
resources:
  basic:
    resourceType: Basic
    code: {code}
    identifier: {{value: "{{{{flag}}}} {{{{number}}}} x"}}
"""
TEXT = "{text: \"=word.translate('m')\"}"
CODED = "\"=word.translate('m')\""


def made(folder: Path, map_text: str, word: Any, code: str = TEXT, **beside: str) -> Any:
    loaded = load(folder, "coded", TEMPLATE.format(map=map_text, code=code), **beside)
    return loaded.run("coded", {"word": word}).only().get("code")


@pytest.mark.parametrize(
    ("written", "word", "target"),
    [
        ("{a: x}", "a", "x"),
        ('{a: x, "*": y}', "q", "y"),
        ('{a: x, "": z}', None, "z"),
        ('{a: x, "": z}', "", "z"),
        ("{map: {a: x}, unmapped: provided}", "q", "q"),
        ("{map: {a: x}, unmapped: {code: y}}", "q", "y"),
        ("{map: {a: {code: x, equivalence: wider}}}", "a", "x"),
        ('{map: {a: {equivalence: unmatched}}, unmapped: {code: y}}', "a", "y"),
        ("{1: x, true: y}", "1", "x"),
        ("{1: x, true: y}", "true", "y"),
    ],
)  # fmt: skip
def test_a_code_becomes_its_target(tmp_path: Path, written: str, word: Any, target: str) -> None:
    assert made(tmp_path, written, word) == {"text": target}


@pytest.mark.parametrize(
    "written", ["{a: x}", "{map: {a: x}, unmapped: fail}", "{map: {q: {equivalence: unmatched}, a: x}}"]
)
def test_an_unknown_code_fails_the_record_and_is_not_shown(tmp_path: Path, written: str) -> None:
    with pytest.raises(MappingFailed) as failed:
        made(tmp_path, written, "q")
    assert "PM710: basic.code.text" in str(failed.value)
    assert "'q'" not in str(failed.value)


def test_no_value_gives_no_target_unless_the_map_says_so(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, "coded", TEMPLATE.format(map="{a: x}", code="{$keep: true, text: \"=word.translate('m')\"}")
    )
    assert "code" in loaded.run("coded", {"word": None}).only()
    assert loaded.run("coded", {"word": None}).only()["code"] == {}


def test_a_target_with_more_than_a_code_is_a_coding(tmp_path: Path) -> None:
    written = "{map: {a: {code: x, display: X}, b: y}, system: loinc}"
    assert made(tmp_path, written, "a", CODED) == {
        "coding": [{"system": "http://loinc.org", "code": "x", "display": "X"}]
    }
    assert made(tmp_path, written, "b", CODED) == {"coding": [{"system": "http://loinc.org", "code": "y"}]}
    assert made(tmp_path, written, "b", "{text: \"=word.translate('m').code\"}") == {"text": "y"}


def test_booleans_and_numbers_are_translated_by_their_text(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "coded",
        TEMPLATE.format(
            map="{1: one, true: yes}", code="{text: \"{{flag.translate('m')}} {{number.translate('m')}}\"}"
        ),
    )
    assert loaded.run("coded", {"flag": True, "number": 1}).only()["code"] == {"text": "yes one"}


def test_a_csv_beside_the_mapping_is_a_code_map(tmp_path: Path) -> None:
    table = '\ufeffsource,code,system,display,equivalence,comment\na,x,own,"X, first",,\n*,y,http://y.example,,wider,other\nn,,,,unmatched,\n'
    assert made(tmp_path, "m.csv", "a", CODED, m_csv=table) == {
        "coding": [{"system": "http://own.example", "code": "x", "display": "X, first"}]
    }
    assert made(tmp_path, "m.csv", "zzz", CODED, m_csv=table) == {
        "coding": [{"system": "http://y.example", "code": "y"}]
    }
    assert made(tmp_path, "{map: m.csv, system: loinc}", "a", CODED, m_csv="source,code\na,x\n") == {
        "coding": [{"system": "http://loinc.org", "code": "x"}]
    }


@pytest.mark.parametrize(
    ("table", "line", "code"),
    [
        ("source,target\na,x\n", 1, "PM136"), ("", 1, "PM136"), ("source,code,code\na,x,y\n", 1, "PM136"),
        ("source,code\na,x\na,y\n", 3, "PM131"), ("source,code\na\n", 2, "PM136"), ("source,code\na,\n", 2, "PM136"),
        ('source,code\na,"x\n', 2, "PM136"), ("source,code,equivalence\na,x,same\n", 2, "PM136"),
    ],
)  # fmt: skip
def test_a_broken_csv_is_refused_at_its_line(tmp_path: Path, table: str, line: int, code: str) -> None:
    errors, _ = told(tmp_path, "coded", TEMPLATE.format(map="m.csv", code=TEXT), m_csv=table)
    assert (line, code) in places(errors)
    assert "coded/m.csv:" in errors[0]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("{a: {display: X}}", "PM136"), ("{a: ~}", "PM136"), ("{a: [x]}", "PM136"), ("{map: {a: x}, sytem: loinc}", "PM002"),
        ("{a: {code: x, system: lionc}}", "PM139"), ("{map: {a: x}, system: lionc}", "PM139"), ("none.csv", "PM008"),
        ("../../../etc/passwd.csv", "PM008"), ("/etc/passwd.csv", "PM008"), ("map.json", "PM008"), ("map.xml", "PM136"), ("[a]", "PM007"),
        ("http://site.example/ConceptMap/x|2.1", "PM008"), ("{a: {code: x, equivalence: same}}", "PM136"),
        ('{map: {a: x, "*": y}, unmapped: {code: z}}', "PM136"),
    ],
)  # fmt: skip
def test_a_malformed_code_map_is_refused(tmp_path: Path, written: str, code: str) -> None:
    errors, _ = told(tmp_path, "coded", TEMPLATE.format(map=written, code=TEXT))
    assert code in {found for _, found in places(errors)}, errors


def test_a_file_reached_through_a_link_must_lie_inside_the_mappings(tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("source,code\na,x\n")
    home = tmp_path / "mappings" / "coded"
    home.mkdir(parents=True)
    (home / "m.csv").symlink_to(outside)
    assert "PM008" in refusals(tmp_path, "coded", TEMPLATE.format(map="m.csv", code=TEXT))[0]


def test_a_closed_list_must_be_covered_and_an_open_map_cannot_close_one(tmp_path: Path) -> None:
    text = TEMPLATE.format(map="{a: x, b: y}", code=TEXT)
    closed = text.replace("word: string", "word: {type: code, codes: [a, b, c]}")
    assert "no entry for c" in refusals(tmp_path / "a", "coded", closed)[0]
    by_map = text.replace("word: string", "word: {type: code, codes: m}")
    assert refusals(tmp_path / "b", "coded", by_map) == ()
    assert "PM312" in refusals(tmp_path / "c", "coded", by_map.replace("{a: x, b: y}", '{a: x, "*": y}'))[0]
    assert "PM130" in refusals(tmp_path / "d", "coded", by_map.replace("codes: m", "codes: n"))[0]
    _, warnings = told(tmp_path / "e", "coded", text.replace("word: string", "word: {type: code, codes: [a]}"))
    assert "PM137" in {code for _, code in places(warnings)}


def test_a_coding_of_another_system_is_unknown_when_the_map_names_its_source(tmp_path: Path) -> None:
    text = """mapping: coded
version: 1.0.0
fhirVersion: 4.0.1
direction: from-fhir
source: {format: fhir, type: ServiceRequest}
systems: {own: http://own.example}
conceptMaps: {m: {map: {a: x}, sourceSystem: own, unmapped: {code: other}}}
record:
  fields: {code: code}
  values: {code: "=code.coding.first().translate('m')"}
"""
    loaded: Mappings = load(tmp_path, "coded", text)
    for system, code in (("http://own.example", "x"), ("http://else.example", "other"), (None, "x")):
        coding = {"code": "a"} | ({"system": system} if system else {})
        request = {"resourceType": "ServiceRequest", "code": {"coding": [coding]}}
        assert loaded.run("coded", request).values == {"code": code}
