from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from peerfhir.mapping.problems import Problem
from peerfhir.mapping.quick import Quick, of_cells, of_objects
from peerfhir.mapping.records import RecordReader
from tests.mapping.sources import MARK, source
from tests.support.generated import CALM

ROW = """format: csv
fields:
  id: string!
  name: string
  at: {type: dateTime!, format: YYYY-MM-DD HH:mm, offset: "-05:00"}
  born: {type: date, format: MM/DD/YYYY, min: 1900-01-01}
  sex: {type: code, codes: sex}
  size: {type: decimal!, max: 9.5}
  many: {type: integer, split: ";"}
  own: {type: boolean, "true": [Y], "false": [N]}
  web: uri
  word: {type: string, pattern: "[A-Z]{2}[0-9]+", maxLength: 6}
"""
GOOD = ["R-1", "", "2026-03-02 10:00", "04/17/1989", "F", "1.50", "1;2", "Y", "urn:x", "AB12"]
SESSION = """format: json
empty: [""]
unknown: refuse
fields:
  id: string!
  who: {id: string!, name: string}
  minutes: integer!
  at: dateTime
  flags: [boolean]
  people: [{key: string!, status: {type: code!, codes: [present, absent]}, left: time, deep: {a: uri}}]
"""
MEETING = {"id": "G", "who": {"id": "f"}, "minutes": 5, "at": "2026-03-02T10:00:00Z", "flags": [True, None], "people": [{"key": "a", "status": "present"}, None, {"key": "b", "status": "absent", "left": "", "deep": {"a": "x"}}]}  # fmt: skip


@cache
def columns(text: str) -> list[str]:
    return [one.key for one in source(text).fields.items.values()]


def test_a_plainly_good_row_is_read_without_a_doubt() -> None:
    assert of_cells(source(ROW), columns(ROW))(GOOD) == careful(ROW, dict(zip(columns(ROW), GOOD, strict=True)))
    turned = list(reversed(columns(ROW)))
    assert of_cells(source(ROW), turned)(list(reversed(GOOD)))["id"] == "R-1"


def test_a_plainly_good_object_is_read_without_a_doubt() -> None:
    assert of_objects(source(SESSION))(MEETING) == careful(SESSION, MEETING)


@pytest.mark.parametrize("people", [{}, "", {"key": "a"}, 5, False, [[]], [{}], ({"key": "a", "status": "present"},)])
def test_a_list_of_objects_is_a_list(people: Any) -> None:
    try:
        found = of_objects(source(SESSION))({**MEETING, "people": people})
    except Exception:  # a doubt, whatever it is called
        return
    assert found == careful(SESSION, {**MEETING, "people": people})


@cache
def reader(text: str) -> RecordReader:
    return RecordReader(source(text), MARK)


def careful(text: str, record: Any) -> Any:
    problems: list[Problem] = []
    found = reader(text).read(record, problems)
    return None if problems else found


CELLS = {
    "id": ["R-1", " R-1 ", "", " "], "name": ["", " x ", "\u00a0", "é"], "at": ["2026-03-02 10:00", "2026-02-30 10:00", "", " 2026-03-02 10:00", "2026-03-02T10:00:00Z"],
    "born": ["04/17/1989", "04/17/1889", "13/01/2000", ""], "sex": ["F", "M", "f", "X", ""], "size": ["1.50", "-0", "9.51", "1e2", "1,5", "NaN", "00", ""], "many": ["1;2", ";;", "1;x", "", "1; 2"],
    "own": ["Y", "N", "true", ""], "web": ["urn:x", "a b", ""], "word": ["AB12", "AB12345", "ab1", "AB1\n", ""],
}  # fmt: skip


@cache
def quick(text: str) -> tuple[Quick, Quick]:
    return of_cells(source(text), columns(text)), of_objects(source(text))


SPOILED = st.dictionaries(st.sampled_from(list(CELLS)), st.integers(0, 9), max_size=3)


@seed(41)
@settings(CALM, max_examples=400)
@given(SPOILED, st.sampled_from(["", "trim: false\n", 'empty: ["", "X", "N"]\n', "empty: []\n"]))
def test_what_the_quick_reader_reads_is_what_the_careful_one_reads(spoiled: dict[str, int], options: str) -> None:
    text = options + ROW
    record = dict(zip(columns(text), GOOD, strict=True))
    record |= {name: CELLS[name][at % len(CELLS[name])] for name, at in spoiled.items()}
    expected = careful(text, record)
    for read, raw in zip(quick(text), (list(record.values()), record), strict=True):
        try:
            found = read(raw)
        except Exception:  # a doubt, whatever it is called
            continue
        assert found == expected


VALUES: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "present", "absent", "x", " x ", "a b", "2026-03-02T10:00:00Z", "10:00:00", 2**40])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["id", "name", "key", "status", "left", "deep", "a", "zz"]), inner, max_size=4)),
    max_leaves=8,
)  # fmt: skip
PEOPLE = st.lists(st.none() | st.fixed_dictionaries({}, optional={"key": VALUES | st.just("k"), "status": st.sampled_from(["present", "absent", "left", None]), "left": VALUES, "deep": VALUES}), max_size=3)  # fmt: skip


@seed(42)
@settings(CALM, max_examples=400)
@given(
    st.fixed_dictionaries(
        {"id": st.just("G") | VALUES, "minutes": st.just(5) | VALUES},
        optional={"who": st.just({"id": "f"}) | VALUES, "at": VALUES, "flags": st.lists(st.none() | st.booleans()) | VALUES, "people": PEOPLE | VALUES, "zz": st.just(1)},
    ),
    st.sampled_from(["", "trim: true\n"]),
)  # fmt: skip
def test_what_is_read_quickly_of_an_object_is_what_is_read_carefully(record: dict[str, Any], options: str) -> None:
    text = options + SESSION
    try:
        found = quick(text)[1](record)
    except Exception:  # a doubt, whatever it is called
        return
    assert found == careful(text, record)


@pytest.mark.parametrize("name", ["__import__('os')", "a'b", 'a"b', "a\\", "a\nb", "{x}", "r[0]"])
def test_a_column_of_any_name_is_a_text_and_never_code(name: str) -> None:
    text = f"format: csv\nfields: {{a: {{type: string!, from: {json_text(name)}}}}}"
    assert of_cells(source(text), [name])(["v"]) == {"a": "v"}
    assert of_objects(source(text))({name: "v"}) == {"a": "v"}


def json_text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
