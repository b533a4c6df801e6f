"""Section 11 of the language against a second, naive interpreter of generated templates."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from peerfhir.errors import MappingFailed
from tests.mapping import samples
from tests.support.mapping_folder import load

SEED = 20261123
FIELDS = {
    "f": "string",
    "g": "string",
    "r": "string!",
    "flag": "boolean",
    "l": "[string]",
    "e": "[{n: string!, o: string}]",
}

Record = dict[str, Any]


class Shape:
    """One generated node of an Extension template: its YAML, and what it must give."""

    def __init__(self, chance: random.Random, depth: int, loop: str = "") -> None:
        self.loop = loop
        self.each = ""
        if not loop and chance.random() < 0.2:
            self.each = self.loop = "x"
        self.condition = chance.choice([None, None, None, "flag", "f.exists()"])
        self.let = chance.random() < 0.15
        self.keep = chance.random() < 0.15
        self.leaf = self.children = None
        if depth == 0 or chance.random() < 0.4:
            names = (
                ["'word'", "f", "g", "r", "(f & g)"]
                + (["%x.n", "%x.o"] if self.loop else [])
                + (["%y"] if self.let else [])
            )
            self.leaf = (chance.choice(["=", "text", "const"]), chance.choice(names))
        else:
            self.children = [Shape(chance, depth - 1, self.loop) for _ in range(chance.randrange(1, 4))]

    def yaml(self) -> str:
        parts = []
        if self.each:
            parts.append("$each: e as x")
        if self.let:
            parts.append("$let: {y: =f}")
        if self.condition:
            parts.append(f'$if: "{self.condition}"')
        if self.keep:
            parts.append("$keep: true")
        parts.append("url: http://x.example")
        if self.leaf:
            kind, name = self.leaf
            parts.append("valueString: " + {"=": f'"={name}"', "text": '"<{{' + name + '}}>"', "const": "fixed"}[kind])
        for_children = ", ".join(child.yaml() for child in self.children or ())
        if self.children:
            parts.append(f"extension: [{for_children}]")
        return "{" + ", ".join(parts) + "}"

    def gives(self, record: Record, item: Record | None = None) -> list[tuple[dict[str, Any], bool]]:
        """The values this node gives, each with whether it keeps the structure around it."""
        found = []
        for one in record["e"] if self.each else [item]:
            if self.condition == "flag" and record["flag"] is not True:
                continue
            if self.condition == "f.exists()" and record["f"] is None:
                continue
            value, alive, dynamic = self.content(record, one)
            if value is not None:
                found.append((value, alive or self.keep or ((self.each or self.condition) and not dynamic)))
        return found

    def dynamic(self) -> bool:
        """Whether an expression decides anything below."""
        if self.leaf:
            return self.leaf[0] != "const"
        return any(child.dynamic() or child.each or child.condition or child.keep for child in self.children or ())

    def content(self, record: Record, item: Record | None) -> tuple[dict[str, Any] | None, bool, bool]:
        value: dict[str, Any] = {"url": "http://x.example"}
        alive = False
        if self.leaf:
            text = self.text(record, item)
            if text is not None:
                value["valueString"] = text
                alive = self.leaf[0] != "const"
        else:
            made = [one for child in self.children or () for one in child.gives(record, item)]
            if made:
                value["extension"] = [one for one, _ in made]
                alive = any(living for _, living in made)
        dynamic = self.dynamic()
        return (value if alive or not dynamic or self.keep else None), alive, dynamic

    def text(self, record: Record, item: Record | None) -> str | None:
        kind, name = self.leaf or ("", "")
        if kind == "const":
            return "fixed"
        values = {"'word'": "word", "(f & g)": (record["f"] or "") + (record["g"] or ""), "%y": record["f"], **record}
        if item is not None:
            values |= {"%x.n": item["n"], "%x.o": item["o"]}
        value = values[name] or None
        return value if kind == "=" or value is None else f"<{value}>"


def document(shapes: list[Shape]) -> str:
    fields = ", ".join(
        f'{name}: "{kind}"' if kind[0] not in "[{" else f"{name}: {kind}" for name, kind in FIELDS.items()
    )
    return f"""mapping: made
version: 1.0.0
fhirVersion: 4.0.1
source: {{format: json, fields: {{{fields}}}}}
bundle: none
resources:
  basic:
    resourceType: Basic
    code: {{text: x}}
    extension: [{", ".join(shape.yaml() for shape in shapes)}]
"""


def record(chance: random.Random) -> Record:
    maybe = lambda: chance.choice([None, None, "a", "b", ""])  # noqa: E731
    return {
        "f": maybe() or None, "g": maybe(), "r": chance.choice("cd"), "flag": chance.choice([True, False, None]), "l": [],
        "e": [{"n": chance.choice("mn"), "o": maybe()} for _ in range(chance.randrange(3))],
    }  # fmt: skip


@pytest.mark.parametrize("number", range(120))
def test_generated_templates_give_what_a_naive_interpreter_gives(tmp_path: Path, number: int) -> None:
    chance = random.Random(f"{SEED}-{number}")
    shapes = [Shape(chance, 3) for _ in range(chance.randrange(1, 4))]
    text = document(shapes)
    loaded = load(tmp_path, "made", text)
    program = loaded._loaded["made"].program
    for _ in range(12):
        row = record(chance)
        wanted = [value for shape in shapes for value, _ in shape.gives(row)]
        assert loaded.run("made", row).only().get("extension", []) == wanted, (text, row)
        run_of_the_careful_build = program._careful.function(program._typed(row), _Silent())
        assert run_of_the_careful_build[0][1].get("extension", []) == wanted


class _Silent:
    """A run in which nothing may go wrong."""

    def turns(self, items: list[Any]) -> list[Any]:
        return items

    def note(self, rule: int, problem: object) -> None:
        raise AssertionError((rule, problem))


BASE = """mapping: made
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, fields: {a: string, b: string, n: integer, d: decimal, flag: boolean, l: [string], at: dateTime, big: string}}
bundle: none
resources:
  task:
    resourceType: Task
    status: draft
    intent: plan
"""


def task(folder: Path, lines: str, **values: Any) -> dict[str, Any]:
    made = load(folder, "made", BASE + lines).run("made", values).only()
    return {key: value for key, value in made.items() if key not in ("resourceType", "status", "intent")}


@pytest.mark.parametrize(
    ("lines", "values", "expected"),
    [
        ("    description: =a", {"a": ""}, {}),
        ("    description: =a & b", {}, {}),
        ('    description: "{{a}} and {{b}}"', {"a": "x"}, {}),
        ('    description: "{{a}} and {{n}} {{flag}} {{d}}"', {"a": "x", "n": 0, "flag": False, "d": Decimal("1.50")}, {"description": "x and 0 false 1.50"}),
        ("    restriction: {repetitions: =n}", {"n": 1}, {"restriction": {"repetitions": 1}}),
        ("    input: [{type: {text: x}, valueInteger: =n}, {type: {text: y}, valueBoolean: =flag}]", {"n": 0, "flag": False}, {"input": [{"type": {"text": "x"}, "valueInteger": 0}, {"type": {"text": "y"}, "valueBoolean": False}]}),
        ("    note: {text: =a, authorString: fixed}", {}, {}),
        ("    note: {$keep: true, text: fixed, authorString: =a}", {}, {"note": [{"text": "fixed"}]}),
        ("    note: [{text: fixed}, {text: =a}]", {}, {"note": [{"text": "fixed"}]}),
        ("    note: [[{text: one}], [{text: two}]]", {}, {"note": [{"text": "one"}, {"text": "two"}]}),
        ("    code: {coding: [{code: x}, {code: =a}], text: =b}", {}, {}),
        ("    code: {coding: [{code: x}, {code: =a}], text: =b}", {"b": "t"}, {"code": {"coding": [{"code": "x"}], "text": "t"}}),
        ("    owner: {identifier: {system: 'urn:x:y', value: =a}, display: =b}", {"b": "t"}, {"owner": {"display": "t"}}),
        ("    instantiatesUri: {$literal: '=not'}", {}, {"instantiatesUri": "=not"}),
        ("    description: {$literal: '{{not}} $x'}", {}, {"description": "{{not}} $x"}),
        ("    description: $5", {}, {"description": "$5"}),
        ("    description: {$if: flag, $value: =a}", {"flag": True, "a": "x"}, {"description": "x"}),
        ("    description: {$if: flag, $value: =a}", {"flag": None, "a": "x"}, {}),
        ("    description: {$let: {x: =a, y: =%x & '!'}, $value: =%y}", {"a": "x"}, {"description": "x!"}),
        ("    for: {$if: flag.not(), display: here}", {"flag": False}, {"for": {"display": "here"}}),
        ("    performerType: {coding: {code: =a}, text: fixed}", {"a": "x"}, {"performerType": [{"coding": [{"code": "x"}], "text": "fixed"}]}),
        ("    meta: {tag: [{code: =a}]}\n    id: t1", {"a": "x"}, {"id": "t1", "meta": {"tag": [{"code": "x"}]}}),
        ('    text: {status: generated, div: "<div xmlns=\\"http://www.w3.org/1999/xhtml\\">{{a}} & co</div>"}', {"a": "<b>&"}, {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">&lt;b&gt;&amp; & co</div>'}}),
        ("    meta: {profile: =l}", {"l": ["http://a", "http://b"]}, {"meta": {"profile": ["http://a", "http://b"]}}),
        ("    meta: {profile: [=l, 'http://c', =a]}", {"l": ["http://a"], "a": "http://d"}, {"meta": {"profile": ["http://a", "http://c", "http://d"]}}),
        ("    meta: {profile: {$each: l as p, $value: =%p}}", {"l": ["http://a"]}, {"meta": {"profile": ["http://a"]}}),
        ("    note: {$each: l as p, text: =%p}", {"l": ["a", "", "b"]}, {"note": [{"text": "a"}, {"text": "b"}]}),
        ("    for: {$let: {x: =l}, display: =%x.first()}", {"l": ["a"]}, {"for": {"display": "a"}}),
        ("    lastModified: =at", {"at": "2026-01"}, {"lastModified": "2026-01"}),
    ],
)  # fmt: skip
def test_a_node_gives_what_the_language_says(
    tmp_path: Path, lines: str, values: Record, expected: dict[str, Any]
) -> None:
    made = task(tmp_path, lines, **values)
    assert made == expected
    assert list(made) == list(expected)


@pytest.mark.parametrize(
    ("lines", "values", "code"),
    [
        ("    implicitRules: =a", {"a": "has blanks"}, "PM720"),
        ("    priority: =a", {"a": "fast"}, "PM721"),
        ("    restriction: {repetitions: =n}", {"n": 0}, "PM720"),
        ("    id: =a", {"a": "no/id"}, "PM720"),
        ("    meta: {lastUpdated: =at}", {"at": "2026-01-01"}, "PM720"),
        ("    input: {type: {text: x}, valueBase64Binary: =a}", {"a": "?"}, "PM720"),
        ("    meta: {profile: [=l]}", {"l": ["http://a", "b c"]}, "PM720"),
        ("    note: {text: =a, authorString: =b}", {"b": "x"}, "PM722"),
    ],
)
def test_a_value_that_does_not_fit_fails_at_its_rule(tmp_path: Path, lines: str, values: Record, code: str) -> None:
    with pytest.raises(MappingFailed) as failed:
        task(tmp_path, lines, **values)
    assert f"{code}: task" in str(failed.value)
    assert (failed.value.place or "").startswith("mappings/made/made.map.yaml:11:")


def test_compiled_code_carries_the_lines_of_the_yaml() -> None:
    checked = samples.mappings()._loaded["group-session"].program
    text = (samples.DOCUMENTS / "group-session" / "group-session.map.yaml").read_text().splitlines()
    code = checked._plain.function.__code__  # type: ignore[attr-defined]
    assert code.co_filename.endswith("group-session/group-session.map.yaml")
    lines = {line for *_, line in code.co_lines() if line}
    assert any("period:" in text[line - 1] for line in lines)
    assert max(lines) <= len(text)
