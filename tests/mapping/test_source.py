from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from peerfhir.config import Mark, compose
from peerfhir.mapping.fields import Declarations
from peerfhir.mapping.problems import Problem, Problems
from peerfhir.mapping.source import RecordReader, Source, read
from tests.mapping.marked import HEAD, places, told, wanted
from tests.support.generated import CALM

MARK = Mark("x", 1, 1)


def source(text: str) -> Source:
    problems = Problems()
    found = read(compose(Path("x"), text=text), Declarations({}, problems), problems)
    assert not problems.errors
    assert found is not None
    return found


def typed(text: str, record: Any) -> tuple[dict[str, Any], list[str]]:
    problems: list[Problem] = []
    found = RecordReader(source(text), MARK).read(record, problems)
    return found, [f"{problem.code} {problem.address}" for problem in problems]


JSON = "format: json\nfields: {v: %s}"
CSV = "format: csv\nfields: {v: %s}"


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("string", "x ", "x "), ("code", "a b", "a b"), ("uri", "urn:x:y", "urn:x:y"), ("boolean", False, False),
        ("integer", 0, 0), ("decimal", Decimal("1.50"), Decimal("1.50")), ("decimal", 2, 2), ("date", "2026-02", "2026-02"),
        ("dateTime", "2026-02-28T10:00:00+01:00", "2026-02-28T10:00:00+01:00"), ("time", "10:00:00", "10:00:00"),
        ("instant", "2026-02-28T10:00:00.123Z", "2026-02-28T10:00:00.123Z"), ("string", None, None),
        ("{type: string, from: other}", None, None), ("[string]", ["a", None, "b"], ["a", "b"]), ("[string]", None, []),
        ("[{n: string}]", [{"n": "a"}, {}], [{"n": "a"}, {"n": None}]), ("{n: string}", {"n": "a"}, {"n": "a"}),
        ("{n: string}", None, None), ("{fields: {type: string}}", {"type": "a"}, {"type": "a"}), ("code", "", None),
        ('{type: boolean, "true": [Y], "false": [N]}', "Y", True),
    ],
)  # fmt: skip
def test_a_json_value_becomes_what_its_field_says(kind: str, raw: Any, value: Any) -> None:
    assert typed(JSON % kind, {"v": raw}) == ({"v": value}, [])


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("string", " x ", "x"), ("string", "", None), ("integer", "-5", -5), ("decimal", "1.50", Decimal("1.50")),
        ("boolean", "true", True), ('{type: boolean, "true": [Y], "false": ["N", ""]}', "N", False), ("date", "2026-01-31", "2026-01-31"),
        ('{type: string, split: ";"}', "a;b;;c", ["a", "b", "c"]), ("string", ["x"], "x"), ("[string]", "x", ["x"]),
        ("[string]", ["x", "y"], ["x", "y"]),
    ],
)  # fmt: skip
def test_a_cell_of_text_becomes_what_its_field_says(kind: str, raw: Any, value: Any) -> None:
    assert typed(CSV % kind, {"v": raw}) == ({"v": value}, [])


@pytest.mark.parametrize(
    ("kind", "raw", "code"),
    [
        ("string", 5, "PM702 /v"), ("string", True, "PM702 /v"), ("string", ["x"], "PM702 /v"), ("integer", "5", "PM702 /v"),
        ("integer", 5.5, "PM702 /v"), ("integer", True, "PM702 /v"), ("integer", 2**31, "PM702 /v"), ("boolean", "true", "PM702 /v"),
        ("boolean", 1, "PM702 /v"), ("date", "2026-02-30", "PM702 /v"), ("date", "28.2.2026", "PM702 /v"),
        ("dateTime", "2026-02-28T10:00:00", "PM702 /v"), ("instant", "2026-02-28", "PM702 /v"), ("time", "25:00:00", "PM702 /v"),
        ("code", " a", "PM702 /v"), ("code", "a  b", "PM702 /v"), ("uri", "a b", "PM702 /v"), ("string!", None, "PM701 /v"),
        ("string!", "", "PM701 /v"), ("[string!]", [], "PM701 /v"), ("[string]", "x", "PM702 /v"), ("{n: string!}", None, "PM701 /v"),
        ("[{n: string!}]", [{}], "PM701 /v/0/n"), ("[{n: string}]", ["x"], "PM700 /v/0"), ("{n: string}", "x", "PM700 /v"),
        ("{type: code, codes: [a, b]}", "c", "PM703 /v"), ("{type: integer, min: 1, max: 3}", 0, "PM703 /v"),
        ("{type: integer, min: 1, max: 3}", 4, "PM703 /v"), ("{type: decimal, max: 1.5}", Decimal("1.6"), "PM703 /v"),
        ("{type: string, maxLength: 3}", "abcd", "PM703 /v"), ("decimal", Decimal("NaN"), "PM702 /v"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_its_field_is_told_by_its_path(kind: str, raw: Any, code: str) -> None:
    assert typed(JSON % kind, {"v": raw})[1] == [code]


def test_undeclared_keys_are_ignored_unless_they_are_refused() -> None:
    assert typed(JSON % "string", {"v": "x", "secret": 1}) == ({"v": "x"}, [])
    found = typed("unknown: refuse\n" + JSON % "string", {"v": "x", "secret": 1})
    assert found == ({"v": "x"}, ["PM704 /"])


def test_a_record_that_is_no_object_is_told_so() -> None:
    for record in (None, [], "x", 5):
        assert typed(JSON % "string", record)[1] == ["PM700 /"]


def test_ranges_declare_a_row_of_fields() -> None:
    found = source("format: json\nkey: id\nfields: {id: string!, q1..q3: integer!}")
    assert list(found.fields.names()) == ["id", "q1", "q2", "q3"]
    assert found.key == ("id",)


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.decimals()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.sampled_from(["s", "i", "l", "o", "n", "zz"]), inner)),
    max_leaves=10,
)
FLAT = """format: {kind}
fields:
  s: string
  i: integer!
  l: [date]
"""
DEEP = """
  o: {n: {type: code, codes: [a, b]}, s: dateTime}
  n: [{n: decimal, l: [boolean]}]
"""


@seed(8)
@CALM
@given(ANYTHING, st.sampled_from(["json", "csv", "form"]))
def test_any_value_becomes_a_typed_record_or_problems_and_never_a_crash(record: Any, kind: str) -> None:
    found, problems = typed(FLAT.format(kind=kind) + (DEEP if kind == "json" else ""), record)
    assert set(found) == {"s", "i", "l", *("on" if kind == "json" else "")}
    if not problems:
        assert isinstance(found["i"], int)
        assert isinstance(found["l"], list)


DECLARED = """source:
  format: json
  key: [id, nothing] #! PM302
  unknown: never #! PM007
  encoding: utf-8 #! PM007
  fields:
    id: string!
    a: strin #! PM007
    b: {type: string, form: x} #! PM002
    c: {type: date, format: MM/DD/YY} #! PM310
    d: {type: integer, min: 5, max: 3} #! PM312
    e: {type: boolean, "true": [x], "false": [x]} #! PM312
    f: {type: string, from: id} #! PM302
    g: [string, code] #! PM007
    h-i: string #! PM007
    j: {type: string, pattern: "(a*)*"} #! PM124
    k: {type: integer, min: many} #! PM007
    l: {type: code, codes: nothing} #! PM130
bundle: none
resources:
  basic: {resourceType: Basic, code: {text: =id}}
"""


def test_a_declaration_that_breaks_a_rule_is_refused_at_its_line(tmp_path: Path) -> None:
    text = HEAD.format(id="declared") + DECLARED
    errors, _ = told(tmp_path, "declared", text)
    assert places(errors) == wanted(text), "\n".join(errors)


@pytest.mark.parametrize(
    "written",
    [
        "{fields: {a: string}}", "{format: xml, fields: {a: string}}", "{format: ndjson, record: a, fields: {a: string}}",
        "{format: json}", "{format: json, fields: x}", "{format: json, fields: {a: string}, record: b.count()}",
        "{format: csv, fields: {a: string}, delimiter: ';;'}", "{format: fhir, type: Task}", "{format: [json]}",
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_read_is_refused(tmp_path: Path, written: str) -> None:
    text = (
        f"{HEAD.format(id='declared')}source: {written}\nresources: {{b: {{resourceType: Basic, code: {{text: x}}}}}}\n"
    )
    errors, _ = told(tmp_path, "declared", text)
    assert 4 in {line for line, _ in places(errors)}
    assert {code for _, code in places(errors)} <= {"PM007", "PM002", "PM120"}
