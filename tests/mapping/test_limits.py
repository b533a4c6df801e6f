from __future__ import annotations

import io
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from peerfhir.fhir import writer
from peerfhir.fhir.fhirpath.patterns import MAX_SUBJECT
from peerfhir.mapping import evaluation, record_query
from peerfhir.mapping.aside import Mapped, Refused
from peerfhir.mapping.csv_rows import MAX_CELL
from peerfhir.mapping.evaluation import MAX_OUTPUT, MAX_RESOURCES
from peerfhir.mapping.forms import MAX_TEXT
from peerfhir.mapping.readers import InputRefused
from peerfhir.mapping.run import Program, RecordFailed
from tests.mapping.sources import raws
from tests.support.mapping_folder import load, refusals

HEAD = "mapping: m\nversion: 1.0.0\nfhirVersion: 4.0.1\n"
MANY = 2_000  # items: the square of it takes seconds, a round of it is nothing


def program(folder: Path, source: str, resources: str, bundle: str = "none") -> Program:
    """One mapping made for one test."""
    text = f"{HEAD}source: {source}\nbundle: {bundle}\nresources:\n{resources}"
    return load(folder, "m", text).get("m").program


def codes(made: Program, record: Any) -> set[str]:
    """The codes that a record fails with; empty when it does not."""
    try:
        made.run(record)
    except RecordFailed as failed:
        return {one.code for one in failed.problems}
    return set()


# --- time ----------------------------------------------------------------------------------------------------------

LONG = [
    "a.where(n in %source.a.n).count()", "a.where($this.n in %source.a.n and $index >= 0).count()",
    "iif(a.exists(%source.a.where(n = 'x').exists()), 1, 0)", "iif(a.all(%source.a.n.distinct().count() > 0), 1, 0)",
    "a.select(%source.a.n.distinct().count()).count()", "a.n.aggregate($total | %source.a.n, 'x').count()",
    "a.repeat(%source.a.where(n = 'x')).count()", "a.sort(%source.a.n.distinct().count()).count()",
    "a.where(b.where($this in %source.a.n).exists()).count()", "a.select(b.select(%source.a.n.join(',').length())).count()",
]  # fmt: skip


@cache
def list_of(size: int) -> Any:
    """A valid record with so many items."""
    return {"a": [{"n": f"n{at}", "b": ["b"]} for at in range(size)]}


@pytest.mark.parametrize("text", LONG)
def test_an_expression_that_looks_at_everything_for_each_item_is_stopped(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = program(
        tmp_path, "{format: json, fields: {a: [{n: string!, b: [string]}]}}",
        f'  o: {{resourceType: Observation, status: final, code: {{text: x}}, valueInteger: "={text}"}}\n',
    )  # fmt: skip
    assert codes(made, list_of(5)) == set()
    monkeypatch.setattr(evaluation, "MAX_SECONDS", 0.02)
    begin = time.process_time()
    assert codes(made, list_of(MANY)) == {"PM750"}
    assert time.process_time() - begin < 3  # two builds run, the plain one and the one that finds every error


def test_descendants_of_a_resource_for_each_of_its_parts_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        f"{HEAD}direction: from-fhir\nsource: {{format: fhir, type: Questionnaire}}\nrecord:\n"
        "  fields: {n: integer}\n  values: {n: =item.select(%source.descendants().count()).count()}\n"
    )
    made = load(tmp_path, "m", text).get("m").program
    items = [{"linkId": str(at), "type": "string"} for at in range(MANY)]
    few: dict[str, Any] = {"resourceType": "Questionnaire", "status": "draft", "item": items[:3]}
    assert codes(made, few) == set()
    monkeypatch.setattr(evaluation, "MAX_SECONDS", 0.02)
    assert codes(made, {**few, "item": items}) == {"PM750"}


def test_a_plain_path_asks_no_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = program(
        tmp_path, "{format: json, fields: {a: [{n: string!, b: [string]}]}}",
        "  o: {resourceType: Basic, code: {text: =a.where(n = 'n1' and b.exists()).n.first()}}\n",
    )  # fmt: skip
    monkeypatch.setattr(evaluation.time, "thread_time", lambda: pytest.fail("the clock was asked"))
    assert made.run(list_of(MANY)).only()["code"] == {"text": "n1"}


def test_finding_the_records_of_a_document_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "format: json\nrecord: a.where(n in %resource.a.n)\nunknown: ignore\nfields: {n: string!}"
    assert len(raws(text, writer.write(list_of(5)))) == 5
    monkeypatch.setattr(record_query, "MAX_SECONDS", 0.02)
    with pytest.raises(InputRefused) as refused:
        raws(text, writer.write(list_of(MANY)))
    assert refused.value.rule == "PM750"


# --- sizes ---------------------------------------------------------------------------------------------------------


def test_a_fourth_each_inside_three_is_refused_when_the_mapping_is_read(tmp_path: Path) -> None:
    source = "source: {format: json, fields: {a: [{b: [{c: [{d: [string]}]}]}]}}\n"
    template = (
        "bundle: none\nresources:\n  q:\n    resourceType: Questionnaire\n    status: draft\n    item:\n"
        "      $each: a as x\n      linkId: x\n      type: group\n      item:\n        $each: \"%x.b as y\"\n"
        "        linkId: y\n        type: group\n        item:\n          $each: \"%y.c as z\"\n          linkId: z\n"
        "          type: group\n          item: {INNER linkId: w, type: display}\n"
    )  # fmt: skip
    assert refusals(tmp_path, "m", HEAD + source + template.replace("INNER", "")) == ()
    four = refusals(tmp_path, "m", HEAD + source + template.replace("INNER", '$each: "%z.d as w",'))
    assert len(four) == 1
    assert "PM750" in four[0]


def test_a_record_makes_at_most_a_thousand_resources(tmp_path: Path) -> None:
    made = program(
        tmp_path, "{format: json, fields: {a: [string]}}",
        "  b: {$each: a as x, resourceType: Basic, code: {text: =%x}}\n", "collection",
    )  # fmt: skip
    assert len(made.run({"a": ["x"] * MAX_RESOURCES}).entries) == MAX_RESOURCES
    assert codes(made, {"a": ["x"] * (MAX_RESOURCES + 1)}) == {"PM750"}


@pytest.mark.parametrize("nested", [False, True])
def test_what_a_record_becomes_is_limited_however_few_texts_it_has(nested: bool, tmp_path: Path) -> None:
    fields, value = ("{p: {t: string!}}", "=p.t") if nested else ("{t: string!}", "=t")
    made = program(
        tmp_path, f"{{format: json, fields: {fields}}}",
        f"  p: {{resourceType: Patient, name: {{given: [{', '.join([value] * 5)}]}}}}\n",
    )  # fmt: skip
    for size, wanted in ((MAX_TEXT - 1_000, set[str]()), (MAX_TEXT, {"PM750"}), (MAX_TEXT + 1, {"PM703"})):
        text = "x" * size
        assert codes(made, {"p": {"t": text}} if nested else {"t": text}) == wanted


def test_a_record_without_a_bundle_is_limited_too(tmp_path: Path) -> None:
    text = (
        f"{HEAD}direction: from-fhir\nsource: {{format: fhir, type: Basic}}\nrecord:\n"
        "  fields: {a: string, b: string}\n  values: {a: =code.text, b: =code.text}\n"
    )
    made = load(tmp_path, "m", text).get("m").program
    assert codes(made, {"resourceType": "Basic", "code": {"text": "x" * 1000}}) == set()
    assert codes(made, {"resourceType": "Basic", "code": {"text": "x" * (MAX_OUTPUT // 2)}}) == {"PM750"}


def test_a_cell_of_more_than_a_mebibyte_ends_the_file(tmp_path: Path) -> None:
    made = program(tmp_path, "{format: csv, fields: {a: string!}}", "  b: {resourceType: Basic, code: {text: =a}}\n")

    def found(size: int) -> list[str]:
        data = b"a\nx\n" + b"y" * size + b"\nz\n"
        return [one.problems[0].code if isinstance(one, Refused) else "made" for one in Mapped(made, io.BytesIO(data))]

    assert found(MAX_CELL) == ["made", "made", "made"]
    assert found(MAX_CELL + 1) == ["made", "PM750"]


@pytest.mark.parametrize(("depth", "code"), [(60, ""), (65, "PM700")])
def test_json_is_read_sixty_four_levels_deep(depth: int, code: str, tmp_path: Path) -> None:
    made = program(
        tmp_path, "{format: ndjson, unknown: ignore, fields: {a: string!}}",
        "  b: {resourceType: Basic, code: {text: =a}}\n",
    )  # fmt: skip
    data = b'{"a": "x", "b": ' + b"[" * depth + b"]" * depth + b"}\n"
    found = [one.problems[0].code if isinstance(one, Refused) else "" for one in Mapped(made, io.BytesIO(data))]
    assert found == [code]


@pytest.mark.parametrize("text", ["t.matches('x+')", "t.matchesFull('x+')", "t.replaceMatches('y', 'z').exists()"])
def test_a_text_of_more_than_ten_thousand_characters_is_not_matched(text: str, tmp_path: Path) -> None:
    made = program(
        tmp_path, "{format: json, fields: {t: string!}}",
        f'  p: {{resourceType: Patient, active: "={text}"}}\n',
    )  # fmt: skip
    assert codes(made, {"t": "x" * MAX_SUBJECT}) == set()
    assert codes(made, {"t": "x" * (MAX_SUBJECT + 1)}) == {"PM750"}


@pytest.mark.parametrize(
    "text", ["t.replace('x', t).length()", "t.toChars().join(t).length()", "t.replaceMatches('x', t).length()", "t.toChars().aggregate($total & $total & $this, '').length()"],
)  # fmt: skip
def test_a_text_that_grows_with_the_square_of_a_field_is_not_made(text: str, tmp_path: Path) -> None:
    made = program(
        tmp_path, "{format: json, fields: {t: string!}}",
        f'  o: {{resourceType: Observation, status: final, code: {{text: x}}, valueInteger: "={text}"}}\n',
    )  # fmt: skip
    assert codes(made, {"t": "x" * 9}) == set()
    assert codes(made, {"t": "x" * 9_000}) == {"PM750"}


@pytest.mark.parametrize("operator", ["&", "+"])
def test_variables_that_double_each_other_come_to_an_end(operator: str, tmp_path: Path) -> None:
    rest = "".join(f"  v{at}: =%v{at - 1} {operator} %v{at - 1}\n" for at in range(1, 41))
    text = f"{HEAD}source: {{format: json, fields: {{t: string!}}}}\nbundle: none\nvars:\n  v0: =t\n{rest}"
    text += "resources:\n  b: {resourceType: Basic, code: {text: =%v40}}\n"
    assert codes(load(tmp_path, "m", text).get("m").program, {"t": "lol"}) == {"PM750"}


def test_many_long_matches_are_stopped_after_one_that_took_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = program(
        tmp_path, "{format: json, fields: {t: string!}}",
        "  p: {resourceType: Patient, active: \"=t.matches('(x+)-y') or t.matches('(x+)-z') or t.matches('(x+)-w')\"}\n",
    )  # fmt: skip
    assert made.run({"t": "x" * 3_000}).only() == {"resourceType": "Patient", "active": False}
    monkeypatch.setattr(evaluation, "MAX_SECONDS", 0.001)
    assert codes(made, {"t": "x" * 3_000}) == {"PM750"}


def test_a_field_with_a_pattern_takes_ten_thousand_characters(tmp_path: Path) -> None:
    made = program(
        tmp_path, "{format: json, fields: {t: {type: string!, pattern: x+}}}",
        "  b: {resourceType: Basic, code: {text: =t}}\n",
    )  # fmt: skip
    assert codes(made, {"t": "x" * MAX_SUBJECT}) == set()
    assert codes(made, {"t": "x" * (MAX_SUBJECT + 1)}) <= {"PM703", "PM750"} != set()


def test_at_most_twenty_errors_of_a_record_are_told(tmp_path: Path) -> None:
    fields = ", ".join(f"f{at}: integer!" for at in range(30))
    made = program(tmp_path, f"{{format: json, fields: {{{fields}}}}}", "  b: {resourceType: Basic, code: {text: x}}\n")
    with pytest.raises(RecordFailed) as failed:
        made.run({})
    assert len(failed.value.problems) == evaluation.MAX_PROBLEMS == 20
