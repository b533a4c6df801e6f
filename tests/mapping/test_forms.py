from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from peerfhir.mapping.forms import fits, is_day
from tests.support.generated import CALM

GOOD: dict[str, list[Any]] = {
    "code": ["a", "a b", "a-b"], "id": ["A.b-9", "x" * 64], "uri": ["urn:x:y"], "oid": ["urn:oid:1.2.0"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"], "base64Binary": ["", "QQ==", "QUI=", "QUJD"],
    "date": ["2026", "2026-02", "2024-02-29"], "dateTime": ["2026", "2026-02-28", "2026-02-28T23:59:60Z", "2026-02-28T10:00:00.123+14:00"],
    "instant": ["2026-02-28T10:00:00-05:00"], "time": ["10:00:00", "10:00:00.5"], "integer": [0, -(2**31), 2**31 - 1],
    "positiveInt": [1], "unsignedInt": [0], "decimal": [1, Decimal("1.50")], "boolean": [True, False], "string": ["x", " x\n"],
    "markdown": ["# x"],
}  # fmt: skip
BAD: dict[str, list[Any]] = {
    "code": ["", " a", "a ", "a  b", "a\tb", 5], "id": ["", "x" * 65, "a/b", "a_b"], "uri": ["", "a b"], "oid": ["1.2.3", "urn:oid:3.1"],
    "uuid": ["c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"], "base64Binary": ["A", "AA=A", "?"],
    "date": ["26", "2026-13", "2026-02-30", "2026-2-3", "0000"], "dateTime": ["2026-02-28T10:00:00", "2026-02-28T10:00Z", "2026-02-30T10:00:00Z"],
    "instant": ["2026-02-28", "2026-02-28T10:00:00"], "time": ["10:00", "24:00:00"], "integer": [2**31, True, Decimal(1), "1"],
    "positiveInt": [0], "unsignedInt": [-1], "decimal": ["1", True, Decimal("Infinity"), 1.5], "boolean": ["true", 1, None], "string": ["", " \n", None, 5],
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
def test_what_has_the_form_fits(kind: str) -> None:
    assert [value for value in GOOD[kind] if not fits(kind, value)] == []


@pytest.mark.parametrize("kind", BAD)
def test_what_has_not_the_form_does_not_fit(kind: str) -> None:
    assert [value for value in BAD[kind] if fits(kind, value)] == []


@seed(11)
@CALM
@given(st.integers(1, 9999), st.integers(0, 14), st.integers(0, 33))
def test_days_are_those_of_the_calendar(year: int, month: int, day: int) -> None:
    text = f"{year:04}-{month:02}-{day:02}"
    try:
        date(year, month, day)
    except ValueError:
        assert not fits("date", text)
    else:
        assert fits("date", text)
        assert is_day(text)
