from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from peerfhir.mapping.csv_rows import MAX_CELL
from peerfhir.mapping.readers import MAX_LINE, InputRefused, Rows, rows
from tests.mapping.sources import short, source

TWO = "format: csv\nfields: {a: string, b: string}"


def opened(text: str, data: bytes) -> Rows:
    return rows(source(text), io.BytesIO(data))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a,b\n1,2\n", [("row 1", ["1", "2"])]), (b"\xef\xbb\xbfa,b\r\n1,2\r\n", [("row 1", ["1", "2"])]), (b"a,b\r1,2\r3,4", [("row 1", ["1", "2"]), ("row 2", ["3", "4"])]),
        (b'a,b\n"1,x","2 ""y"""\n', [("row 1", ["1,x", '2 "y"'])]), (b'a,b\n"1\n2",3\n4,5\n', [("row 1", ["1\n2", "3"]), ("row 2", ["4", "5"])]),
        (b"a,b\n\n1,2\n\n3,4\n", [("row 1", ["1", "2"]), ("row 2", ["3", "4"])]), (b" a , b \n1,2\n", [("row 1", ["1", "2"])]), (b"a,b\n", []), (b"b,x,a\n1,2,3\n", [("row 1", ["1", "2", "3"])]),
        ("a,b\nä,中\n".encode(), [("row 1", ["ä", "中"])]), (b"a,b\n1,2,3\n4\n5,6\n", [("row 1", "PM700"), ("row 2", "PM700"), ("row 3", ["5", "6"])]),
        (b"a,b\n1,\x00\n2,\xff\n3,\xed\xa0\x80\n4,\x1b\n5,6\n", [("row 1", "PM700"), ("row 2", "PM700"), ("row 3", "PM700"), ("row 4", "PM700"), ("row 5", ["5", "6"])]),
    ],
)  # fmt: skip
def test_a_row_is_a_record_and_a_bad_row_does_not_stop_the_others(data: bytes, found: Any) -> None:
    assert short(TWO, data) == found


@pytest.mark.parametrize(
    ("options", "data", "cells"),
    [
        ('delimiter: ";"', b"a;b\n1;2\n", ["1", "2"]), ('delimiter: "\\t"', b"a\tb\n1\t2\n", ["1", "2"]), ('quote: "\'"', b"a,b\n'1,2',\"3\n", ["1,2", '"3']), ("header: false", b"1,2\n", ["1", "2"]),
        ("encoding: latin-1", b"a,b\n\xe4,2\n", ["ä", "2"]), ("encoding: cp1252", b"a,b\n\x80,2\n", ["€", "2"]), ("encoding: utf-8-sig", b"\xef\xbb\xbfa,b\n1,2\n", ["1", "2"]),
    ],
)  # fmt: skip
def test_a_file_is_read_as_its_source_says(options: str, data: bytes, cells: list[str]) -> None:
    assert short(f"{options}\n{TWO}", data) == [("row 1", cells)]


@pytest.mark.parametrize("end", [b"\n", b"", b"\n" + b"1,2\n" * 50])
def test_a_quote_that_is_not_closed_ends_the_file_because_a_cell_could_pass_for_a_row(end: bytes) -> None:
    found = short(TWO, b'a,b\n1,2\n3,"4' + end)
    assert found == [("row 1", ["1", "2"]), ("row 2", "PM700")]
    inside = b'a,b\n1,"he said "no"\n7,evil\n'  # the quote in the note is not doubled
    assert short(TWO, inside) == [("row 1", "PM700")]


def test_a_control_character_in_a_cell_of_several_lines_spoils_that_row_alone() -> None:
    assert short(TWO, b'a,b\n1,"x\x00\n7,evil\n"\n2,3\n') == [("row 1", "PM700"), ("row 2", ["2", "3"])]


def test_a_cell_or_a_line_without_end_is_not_read_into_memory() -> None:
    assert short(TWO, b'a,b\n1,"' + b"x\n" * MAX_CELL) == [("row 1", "PM750")]
    endless = _Endless(b"a,b\n1,")
    assert [one.code for one in rows(source(TWO), endless)] == ["PM750"]
    assert endless.given < 3 * MAX_LINE


class _Endless(io.RawIOBase):
    """A line that never ends."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self.given = 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)

    def read(self, size: int = -1) -> bytes:
        self.given += 8192
        start, self._start = self._start, b""
        return start or b"x" * 8192


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"a\n1\n", "has no column 'b'"), (b"", "has no column 'a', 'b'"), (b"a;b\n1;2\n", "has no column"), (b"a,a,b\n1,2,3\n", "'a' stands twice"), (b"A,B\n1,2\n", "has no column"),
        ("a,b\n1,2\n".encode("utf-16"), "no text"), (b"a,\xff\n1,2\n", "no text"), (b'a,"b\n', "the header"), (b"x" * (MAX_LINE + 2), "the header"),
    ],
)  # fmt: skip
def test_a_file_without_its_columns_is_refused_as_a_whole(data: bytes, what: str) -> None:
    with pytest.raises(InputRefused, match=what) as refused:
        opened(TWO, data)
    assert refused.value.rule in ("PM700", "PM750")


def test_a_header_of_one_column_hints_at_the_delimiter() -> None:
    with pytest.raises(InputRefused) as refused:
        opened(TWO, b"a;b\n1;2\n")
    assert "delimiter ','" in (refused.value.advice or "")


def test_columns_that_are_not_declared_are_told_by_number_or_refused() -> None:
    data = b"secret,a,b,other\n1,2,3,4\n"
    assert opened(TWO, data).warnings == ("2 columns not declared: 1, 4",)
    assert opened(f"unknown: ignore\n{TWO}", data).warnings == ()
    with pytest.raises(InputRefused, match="PM704: 2 columns") as refused:
        opened(f"unknown: refuse\n{TWO}", data)
    assert "secret" not in str(refused.value)


class _Many(io.RawIOBase):
    """A file of many rows that is never whole in memory."""

    def __init__(self, head: bytes, row: bytes, count: int) -> None:
        self._pieces: Iterator[bytes] = iter([head, *[row * 100] * (count // 100)])

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")

    def read(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")

    def readline(self, size: int | None = -1) -> bytes:
        raise AssertionError("a csv file is read in pieces")


def test_memory_is_flat_while_a_long_file_streams_through() -> None:
    stream = _Many(b"a,b\n", b"0123456789,abcdefghijklmnopqrstuvwxyz\n", 50_000)
    tracemalloc.start()
    try:
        count = sum(1 for one in rows(source(TWO), stream) if not one.code)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 50_000
    assert peak < 400_000  # the file has two million characters
