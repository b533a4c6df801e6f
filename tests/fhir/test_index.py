"""What a resource is found by."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from peerfhir.fhir.index import BEGINNING, END, MAX_ROWS, folded, identifiers_of, key_mark, key_of, rows_of, span_of
from peerfhir.fhir.tables import instant_of, micros
from tests.support.fhir import example

SEED = 20261121
DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("2024", 366 * DAY), ("2025", 365 * DAY), ("2024-02", 29 * DAY), ("2024-02-29", DAY),
        ("2024-02-29T10:00Z", 60_000_000), ("2024-02-29T10:00:00Z", 1_000_000), ("2024-02-29T10:00:00.1Z", 100_000),
        ("2024-02-29T10:00:00.123456789+05:30", 1), ("2024-12-31T23:59:60Z", 1_000_000), ("9999", 365 * DAY),
    ],
)  # fmt: skip
def test_a_date_covers_what_it_says(text: str, width: int) -> None:
    span = span_of(text)
    assert span is not None
    assert span[1] - span[0] == width


@pytest.mark.parametrize("text", ["", "0000", "2024-13", "2024-02-30", "24", "2024-1-1", "2024-02-29T25:00:00Z",
                                  "2024-02-29T10:00:00+99:00", "2024T10:00", "x", "２０２４"])  # fmt: skip
def test_what_is_no_date_covers_nothing(text: str) -> None:
    assert span_of(text) is None


def test_an_instant_is_kept_to_the_microsecond() -> None:
    rng = random.Random(SEED)
    for _ in range(300):
        at = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.randrange(10**15))
        assert instant_of(micros(at)) == at
        span = span_of(at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        assert span == (micros(at), micros(at) + 1)


def test_a_period_may_be_open() -> None:
    made = {"resourceType": "EpisodeOfCare", "period": {"start": "2024-01-01"}}
    ((_, low, high),) = rows_of(made).dates
    assert (low, high) == (span_of("2024-01-01")[0], END)  # type: ignore[index]
    ((_, low, high),) = rows_of({**made, "period": {"end": "2024-01-01"}}).dates
    assert (low, high) == (BEGINNING, span_of("2024-01-01")[1])  # type: ignore[index]
    assert not rows_of({**made, "period": {}}).dates


def test_a_task_is_found_by_what_the_loop_asks() -> None:
    rows = rows_of(example("Task-requested"))
    assert ("identifier", "T-77", "https://ehr.example.org/tasks") in rows.tokens
    assert ("status", "requested", "http://hl7.org/fhir/task-status") in rows.tokens
    assert ("owner", "Organization/peer-program") in rows.references
    assert ("intent", "order", "http://hl7.org/fhir/request-intent") in rows.tokens


def test_odd_shapes_are_passed_over() -> None:
    made = {"resourceType": "Task", "status": 1, "identifier": {"value": 2}, "focus": "x", "owner": {"reference": 3},
            "authoredOn": {"start": 4}, "code": {"coding": [None, 5, {"code": 6}]}, "for": {"reference": "#x"}}  # fmt: skip
    assert len(rows_of(made)) == 0
    assert identifiers_of(made) == []
    assert len(rows_of({"resourceType": "Nonsense"})) == 0


def test_there_is_an_end_to_rows() -> None:
    many = [{"system": "urn:x", "value": str(one)} for one in range(MAX_ROWS * 2)]
    assert len(rows_of({"resourceType": "Patient", "identifier": many})) == MAX_ROWS


def test_a_key_is_short_and_differs_where_the_value_differs() -> None:
    rng = random.Random(SEED)
    seen = set()
    for _ in range(200):
        value = "x" * rng.randrange(150, 400) + str(rng.random())
        assert len(key_of(value)) <= 200
        assert key_of(key_of(value)) == key_of(value)
        seen.add(key_of(value))
    assert len(seen) == 200


def test_text_is_compared_plainly() -> None:
    assert folded("  Núñez   ØRSTED ") == "nunez ørsted"
    assert len(folded("x" * 1000)) == 200


def test_an_identifier_without_a_value_claims_nothing() -> None:
    body = {"identifier": [{"system": "urn:x"}, {"value": "1"}, {"value": "1"}, {"system": "urn:x", "value": "1"}]}
    assert identifiers_of(body) == [("", "1"), ("urn:x", "1")]


@pytest.mark.parametrize(
    "found", [{"identifier": {"value": "17"}}, {"display": "A program"}, {"reference": "#here"}],
)  # fmt: skip
def test_what_is_there_is_not_missing_although_nothing_finds_it(found: dict[str, object]) -> None:
    rows = rows_of({"resourceType": "Task", "owner": found, "code": {"text": "By telephone"}})
    assert key_mark("owner") in rows.keys
    assert f"{key_mark('code')}by telephone" in rows.keys
    assert not rows.references


def test_a_patient_at_an_address_elsewhere_is_a_patient() -> None:
    rows = rows_of({"resourceType": "Task", "for": {"reference": "https://ehr.example.org/fhir/r4/path/Patient/p1"}})
    assert key_mark("patient") in rows.keys
    rows = rows_of({"resourceType": "Task", "for": {"reference": "https://ehr.example.org/fhir/r4/path/Group/p1"}})
    assert key_mark("patient") not in rows.keys


def test_a_name_is_found_by_what_stands_before_and_after_it_and_an_address_not_by_its_use() -> None:
    name = {"family": "Long", "prefix": ["Dr"], "suffix": ["MD"]}
    rows = rows_of({"resourceType": "Practitioner", "name": [name]})
    assert {("name", "dr", "Dr"), ("name", "md", "MD")} <= rows.strings
    rows = rows_of({"resourceType": "Organization", "address": [{"use": "work", "type": "both", "city": "Oslo"}]})
    assert [one[1] for one in rows.strings if one[0] == "address"] == ["oslo"]
