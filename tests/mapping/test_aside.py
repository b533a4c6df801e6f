from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from peerfhir.fhir import model
from peerfhir.mapping.aside import COLUMNS, Made, Mapped, Refused
from peerfhir.mapping.readers import InputRefused
from peerfhir.mapping.registry import Mappings
from peerfhir.mapping.run import Program
from tests.support.generated import CALM
from tests.support.mapping_folder import load

REFERRAL = """mapping: rows
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: csv
  key: id
  fields:
    id: {type: string!, maxLength: 12}
    born: {type: date!, format: MM/DD/YYYY}
    seen: {type: dateTime, format: YYYY-MM-DD HH:mm, timezone: America/Chicago}
    sex: {type: code, codes: sex}
    town: {type: string, from: Home town}
    note: {type: string, sensitive: SUD, pattern: "[a-z ]*"}
    tags: {type: string, split: ";"}
conceptMaps:
  sex: {F: female, M: male, "": unknown}
  town: {Ulm: DE}
bundle: none
resources:
  patient:
    resourceType: Patient
    identifier: {value: =id}
    birthDate: =born
    gender: =sex.translate('sex')
    address: {country: =town.translate('town'), city: =town}
    contact: {name: {family: =note}, telecom: {value: =tags.first(), system: phone, period: {start: =seen}}}
"""
HEAD = "id,born,seen,sex,Home town,note,tags\n"
GOOD = "R-1,04/17/1989,2026-03-02 10:00,F,Ulm,well,a;b\n"
BAD = (
    ",04/17/1989,,F,Ulm,,\n"  # no id
    "R-3,02/30/1989,,F,Ulm,,\n"  # no such day
    "R-4,04/17/1989,2026-03-08 02:30,F,Ulm,,\n"  # no such local time
    "R-5,04/17/1989,,X,Ulm,CANARY,\n"  # two fields
    "R-6,04/17/1989,,F,CANARY,,\n"  # not in the code map
    "R-7,04/17/1989,,F\n"  # too few cells
    "R-8-CANARY-CANARY,04/17/1989,,F,Ulm,,\n"  # too long
)


@cache
def mappings(folder: Path) -> Mappings:
    return load(folder, "rows", REFERRAL)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return mappings(tmp_path_factory.mktemp("rows")).get("rows").program


def told(program: Program, text: str) -> list[Any]:
    found: list[Any] = []
    for one in Mapped(program, io.BytesIO(text.encode())):
        found.append(one.place if isinstance(one, Made) else [str(problem).split("\n")[0] for problem in one.problems])
    return found


def test_good_rows_go_on_and_bad_ones_say_row_column_rule_and_reason(program: Program) -> None:
    assert told(program, HEAD + GOOD + BAD + GOOD) == [
        "row 1",
        ["row 2, column 1 (id): error PM701: a required field has no value"],
        ["row 3, column 2 (born): error PM702: this day is not in the calendar (MM/DD/YYYY)"],
        ["row 4, column 3 (seen): error PM702: this local time does not exist in the time zone (YYYY-MM-DD HH:mm)"],
        [
            "row 5, column 4 (sex): error PM703: the value is not one of F, M",
            "row 5, column 6 (note): error PM703: the value does not match the pattern",
        ],
        ["row 6: error PM710: patient.address.country: the code is not in code map 'town', which has no default"],
        ["row 7: error PM700: 7 cells are expected, 4 are there"],
        ["row 8, column 1 (id): error PM703: the value is longer than 12 characters"],
        "row 9",
    ]


def test_an_error_row_is_cells_and_holds_no_value(program: Program) -> None:
    found = [one for one in Mapped(program, io.BytesIO((HEAD + BAD).encode())) if isinstance(one, Refused)]
    cells = [problem.cells() for one in found for problem in one.problems]
    assert all(len(one) == len(COLUMNS) for one in cells)
    assert cells[0] == (
        "row 1",
        "1",
        "id",
        "PM701",
        "a required field has no value",
        "",
        "mappings/rows/rows.map.yaml:8:5",
    )
    assert cells[5][-2:] == ("patient.address.country", "mappings/rows/rows.map.yaml:25:24")
    told = repr(cells) + repr([str(problem) for one in found for problem in one.problems])
    assert "CANARY" not in told
    assert [one.raw is None for one in found] == [False, False, False, False, False, True, False]


def test_what_a_row_becomes_is_what_its_cells_say(program: Program) -> None:
    (made,) = Mapped(program, io.BytesIO((HEAD + GOOD).encode()))
    assert isinstance(made, Made)
    assert made.typed["seen"] == "2026-03-02T10:00:00-06:00"
    assert made.result.only() == {
        "resourceType": "Patient", "identifier": [{"value": "R-1"}], "birthDate": "1989-04-17", "gender": "female",
        "address": [{"country": "DE", "city": "Ulm"}],
        "contact": [{"name": {"family": "well"}, "telecom": [{"value": "a", "system": "phone", "period": {"start": "2026-03-02T10:00:00-06:00"}}]}],
    }  # fmt: skip


def test_the_order_of_columns_does_not_matter_and_more_are_told_by_number(program: Program) -> None:
    names, values = HEAD.strip().split(","), GOOD.strip().split(",")
    text = ",".join(["CANARY", *reversed(names)]) + "\n" + ",".join(["x", *reversed(values)]) + "\n"
    mapped = Mapped(program, io.BytesIO(text.encode()))
    assert mapped.warnings == ["1 column not declared: 1"]
    assert [one.place for one in mapped if isinstance(one, Made)] == ["row 1"]
    broken = (
        ",".join(["CANARY", *reversed(names)]) + "\n" + ",".join(["x", *reversed(["R", "never", *values[2:]])]) + "\n"
    )
    assert "column 7 (born)" in told(program, broken)[0][0]


def test_an_input_that_is_no_table_is_refused_as_a_whole(program: Program) -> None:
    with pytest.raises(InputRefused, match="has no column"):
        Mapped(program, io.BytesIO(b"CANARY\n1\n"))


SESSION = """mapping: lines
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: {kind}
  key: id
  fields: {{id: string!, people: [{{who: string!, on: date}}], open: {{type: string, unused: not asked}}}}
bundle: none
resources:
  basic:
    $each: people as p
    $identity: =%p.who
    resourceType: Basic
    code: {{text: "{{{{%p.who}}}}"}}
    created: =%p.on
    subject: {{display: =now().toString()}}
"""


def lines(folder: Path, kind: str) -> Program:
    return load(folder, "lines", SESSION.format(kind=kind)).get("lines").program


def test_a_line_that_does_not_fit_is_told_by_line_and_pointer(tmp_path: Path) -> None:
    data = b'{"id": "1", "people": [{"who": "a", "on": "2026-01-01"}]}\n{"id": "2", "people": [{"who": "a"}, {"who": 5}], "more": 1}\n{"id"\n{"id": "4", "people": []}\n'
    now = datetime(2026, 3, 2, tzinfo=UTC)
    mapped = Mapped(lines(tmp_path, "ndjson"), io.BytesIO(data), now)
    found = list(mapped)
    assert [one.place for one in found] == ["line 1", "line 2", "line 3", "line 4"]
    first, second, third = found[:3]
    assert isinstance(first, Made)
    assert first.result.only()["subject"] == {"display": "2026-03-02T00:00:00.000Z"}
    assert isinstance(second, Refused)
    assert [(one.field, one.code, one.column) for one in second.problems] == [("/people/1/who", "PM702", None)]
    assert isinstance(third, Refused)
    assert third.problems[0].code == "PM700"
    assert mapped.warnings == ["1 key of a record not declared; others may have more"]


def test_the_same_fields_are_read_from_a_document(tmp_path: Path) -> None:
    (made,) = Mapped(lines(tmp_path, "json"), io.BytesIO(b'{"id": "1", "people": []}'))
    assert (made.place, type(made)) == ("/", Made)


class _Lines(io.RawIOBase):
    """Many lines that are never whole in memory."""

    def __init__(self, line: bytes, count: int) -> None:
        self._line, self._left = line, count

    def readable(self) -> bool:
        return True

    def readline(self, size: int | None = -1) -> bytes:
        self._left -= 1
        return self._line if self._left >= 0 else b""


def test_memory_is_flat_while_many_lines_are_mapped(tmp_path: Path) -> None:
    program = (
        load(
            tmp_path,
            "lines",
            SESSION.replace("    subject: {{display: =now().toString()}}\n", "").format(kind="ndjson"),
        )
        .get("lines")
        .program
    )
    line = b'{"id": "1", "people": [{"who": "a", "on": "2026-01-01"}]}\n'
    list(Mapped(program, _Lines(line, 10)))
    tracemalloc.start()
    try:
        count = sum(1 for one in Mapped(program, _Lines(line, 20_000)) if isinstance(one, Made))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 400_000


def test_a_record_that_would_grow_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    text = (
        SESSION.replace("display: =now().toString()", "display: =open")
        .replace(", unused: not asked", "")
        .format(kind="json")
    )
    program = load(tmp_path, "lines", text).get("lines").program
    for people, characters in ((9_000, 20_000), (900, 20_000), (10_001, 1)):
        record = {"id": "1", "open": "x" * characters, "people": [{"who": str(at)} for at in range(people)]}
        with pytest.raises(Exception, match="PM750"):
            program.run(record)
    assert (
        len(program.run({"id": "1", "open": "x" * 5_000, "people": [{"who": str(at)} for at in range(900)]}).entries)
        == 900
    )


CELL = st.one_of(st.sampled_from(["", "R-1", "04/17/1989", "2026-03-02 10:00", "F", "Ulm", "a;b", "CANARY\x00", "13/13/2000", '"', "ß", "X" * 50]), st.text(max_size=8))  # fmt: skip


@seed(51)
@settings(CALM, max_examples=150)
@given(st.lists(st.lists(CELL, min_size=6, max_size=8), max_size=4), st.sampled_from(['"{}"', "{}"]))
def test_any_rows_become_valid_resources_or_reasons_and_never_a_crash(
    program: Program, table: list[list[str]], quoting: str
) -> None:
    text = HEAD + GOOD + "".join(",".join(quoting.format(cell) for cell in row) + "\n" for row in table)
    found = iter(Mapped(program, io.BytesIO(text.encode("utf-8", "surrogatepass"))))
    for one in limited(found):
        if isinstance(one, Refused):
            assert one.problems
            assert all("CANARY" not in str(problem) and problem.code != "PM790" for problem in one.problems)
        else:
            assert set(one.result.only()["identifier"][0]) == {"value"}
            if one.place == "row 1":
                assert model.parse(one.result.only()) == []


def limited(found: Iterator[Made | Refused]) -> Iterator[Made | Refused]:
    for count, one in enumerate(found):
        assert count < 100
        yield one
