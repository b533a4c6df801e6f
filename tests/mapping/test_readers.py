from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from peerfhir.mapping.readers import MAX_LINE, InputRefused, rows
from tests.mapping.sources import declared, raws, short, source
from tests.support.generated import CALM

JSON = "format: json\nfields: {a: string}"
LINES = "format: ndjson\nfields: {a: string}"
FORM = "format: form\nfields: {a: string, b: [string]}"


def test_a_document_is_one_record_and_its_numbers_keep_their_digits() -> None:
    assert short(JSON, b'{"a": 1.20}') == [("/", {"a": Decimal("1.20")})]
    assert short(JSON, b"\xef\xbb\xbf[1]") == [("/", [1])]


@pytest.mark.parametrize(
    ("path", "document", "found"),
    [
        ("referrals", b'{"referrals": [{"a": 1}, {"a": 2}]}', [("/referrals/0", {"a": 1}), ("/referrals/1", {"a": 2})]),
        ("data.referrals", b'{"data": {"referrals": [5]}}', [("/data/referrals/0", 5)]),
        ("pages.items", b'{"pages": [{"items": [1, 2]}, {}, {"items": [3]}]}', [("/pages/0/items/0", 1), ("/pages/0/items/1", 2), ("/pages/2/items/0", 3)]),
        ("$this", b"[1, 2]", [("/0", 1), ("/1", 2)]), ("one", b'{"one": {"a": 1}}', [("/one", {"a": 1})]), ("items[1]", b'{"items": [1, 2]}', [("/items/1", 2)]),
        ("`a/b`.`c~d`", b'{"a/b": {"c~d": [1]}}', [("/a~1b/c~0d/0", 1)]), ("items", b'{"items": []}', []), ("items", b'{"items": [null, 1]}', [("/items/1", 1)]),
    ],
)  # fmt: skip
def test_the_records_of_a_document_are_named_by_a_path(path: str, document: bytes, found: Any) -> None:
    assert short(f"format: json\nrecord: {path!r}\nfields: {{a: string}}", document) == found


@pytest.mark.parametrize(
    ("path", "document", "found"),
    [
        ("referrals.where(status = 'new')", b'{"referrals": [{"status": "old"}, {"status": "new"}]}', [("/referrals/1", {"status": "new"})]),
        ("referrals.where(status = 'new')", b'{"referrals": []}', []),
        ("people.referrals.where($index > 0)", b'{"people": [{"referrals": {"a": 1}}, {"referrals": [{"a": 2}]}]}', [("/people/1/referrals/0", {"a": 2})]),
        ("a | b", b'{"b": {"x": 1}, "a": [{"x": 2}]}', [("/a/0", {"x": 2}), ("/b", {"x": 1})]),
        ("first()", b'[{"x": 1}, {"x": 2}]', [("/0", {"x": 1})]), ("a[b]", b'{"a": [{"x": 1}, {"x": 2}], "b": 1}', [("/a/1", {"x": 2})]),
        ("descendants().where(kind = 'referral')", b'{"a/b": {"kind": "referral"}, "c": [[{"d": {"kind": "referral"}}]]}', [("/a~1b", {"kind": "referral"}), ("/c/0/0/d", {"kind": "referral"})]),
        ("Person.where(x > 1)", b'{"Person": [{"x": 1.5}, {"x": 1}]}', [("/Person/0", {"x": Decimal("1.5")})]),
        ("a.x.where($this > 1)", b'{"a": [{"x": 1}, {"x": 2}]}', [("/", 2)]), ("%resource.a.tail()", b'{"a": [{"x": 1}, {"x": 2}]}', [("/a/1", {"x": 2})]),
    ],
)  # fmt: skip
def test_the_records_of_a_document_are_what_an_expression_gives(path: str, document: bytes, found: Any) -> None:
    assert short(f'format: json\nrecord: "{path}"\nfields: {{a: string}}', document) == found


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("a.count()", "PM120"), ("a.exists()", "PM120"), ("'x'", "PM120"), ("{}", "PM120"), ("%x", "PM110"), ("a.", "PM100"), ("", "PM100"),
        ("a.where(today() > b)", "PM122"), ("a.frob()", "PM122"), ("a.where('x')", "PM126"), ("a.translate('m')", "PM130"),
    ],
)  # fmt: skip
def test_an_expression_that_gives_no_objects_is_refused_when_the_mapping_is_read(path: str, rule: str) -> None:
    assert declared(f'format: json\nrecord: "{path}"\nfields: {{a: string}}')[1] == [f"error {rule} 2"]


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("a.b.where(c)", b'{"a": {"c": 1}}'),
        ("a.where(b > 1)", b'{"a": [{"b": "x"}]}'),
        ("a.single()", b'{"a": [{}, {}]}'),
    ],
)
def test_a_document_that_the_expression_does_not_fit_is_refused(path: str, document: bytes) -> None:
    with pytest.raises(InputRefused) as refused:
        raws(f"format: json\nrecord: {path!r}\nfields: {{a: string}}", document)
    assert refused.value.rule in ("PM700", "PM712")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"{", "PM700"), (b"", "PM700"), (b'{"a": 1, "a": 2}', "PM700"), (b'{"a": NaN}', "PM700"), (b'{"a": Infinity}', "PM700"), (b'{"a": -Infinity}', "PM700"),
        (b'{"a": 1e999}', "PM700"), (b"\xff\xfe{}", "PM700"), (b'{"a": "\\ud800"}', "PM700"), (b'{"a": "\\u0000"}', "PM700"), (b"[" * 100_000, "PM700"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "PM700"), (b"{'a': 1}", "PM700"), (b'{"a": 01}', "PM700"), (b'{"b": 1}', ""),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_read_is_refused_as_a_whole(data: bytes, rule: str) -> None:
    if not rule:
        assert short(JSON, data) == [("/", {"b": 1})]
        return
    with pytest.raises(InputRefused) as refused:
        raws(JSON, data)
    assert refused.value.rule == rule


def test_a_document_without_the_place_of_its_records_is_refused() -> None:
    with pytest.raises(InputRefused, match="nothing where its records"):
        raws("format: json\nrecord: a.b\nfields: {a: string}", b'{"a": {"c": 1}}')


def test_a_line_is_a_record_and_a_bad_one_does_not_stop_the_others() -> None:
    data = b'\xef\xbb\xbf{"a": 1}\n\n  \n{"a": \n{"a": 1, "a": 2}\n\xff\n{"a": "\\u0000"}\n[NaN]\r\n{"a": 3}'
    assert short(LINES, data) == [
        ("line 1", {"a": 1}), ("line 4", "PM700"), ("line 5", "PM700"), ("line 6", "PM700"), ("line 7", "PM700"), ("line 8", "PM700"), ("line 9", {"a": 3}),
    ]  # fmt: skip
    assert raws(LINES, b'{"b": 2}\n{"a": 1,, }')[1].what == "This is not JSON. (column 9)"


def test_a_line_that_is_too_long_is_passed_over() -> None:
    data = b'{"a": "' + b"x" * (3 * MAX_LINE) + b'"}\n{"a": 1}\n' + b"x" * (MAX_LINE + 5)
    assert short(LINES, data) == [("line 1", "PM750"), ("line 2", {"a": 1}), ("line 3", "PM750")]


def test_a_form_post_is_a_record_and_repeated_names_are_a_list() -> None:
    assert short(FORM, b"a=x+y&b=1&b=2&c=") == [("record", {"a": ["x y"], "b": ["1", "2"], "c": [""]})]
    assert short(FORM, b"") == [("record", {})]
    for data in (b"a", b"a=%ff", b"a=\xff", b"a=%00", b"a=%ED%A0%80", b"&".join([b"a=1"] * 2_001)):
        assert short(FORM, data) == [("record", "PM700")]


def test_an_empty_input_of_lines_has_no_records() -> None:
    assert short(LINES, b"") == []
    assert short(LINES, b"\n \n") == []


@seed(31)
@CALM
@given(
    st.binary(max_size=200),
    st.sampled_from(
        [
            JSON,
            "format: json\nrecord: descendants().where(a > 0) | $this.a\nfields: {a: string}",
            LINES,
            FORM,
            "format: csv\nfields: {a: string}",
            "format: csv\nheader: false\nfields: {a: string, b: string}",
            "format: csv\nheader: false\nencoding: cp1252\nfields: {a: string}",
        ]
    ),
)
def test_any_bytes_are_records_or_refusals_and_never_a_crash(data: bytes, text: str) -> None:
    try:
        found = list(rows(source(text), io.BytesIO(data)))
    except InputRefused as refused:
        assert refused.rule in ("PM700", "PM704", "PM750")
        return
    for one in found:
        assert one.code in ("", "PM700", "PM750")
        assert (one.value is None) == bool(one.code) or text is JSON


def test_a_stream_is_left_open_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a\n1\n")
    with path.open("rb") as stream:
        assert len(list(rows(source("format: csv\nfields: {a: string}"), stream))) == 1
        assert not stream.closed
