from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping import identity
from tests.support.generated import CALM

# docs/mapping-guide.md
VECTORS = [
    ("referral-csv", "patient", ("R-1000",), "a1defa48-2310-59b2-94b5-b0e466bd401b"),
    ("group-session", "encounter", ("G-0", "A-17"), "7fb1c370-5ba6-5e98-902a-504542591b19"),
]


@pytest.mark.parametrize(("mapping", "resource", "parts", "expected"), VECTORS)
def test_the_vectors_of_the_language_hold(mapping: str, resource: str, parts: tuple[str, ...], expected: str) -> None:
    assert identity.full_url(identity.seed(mapping, resource), *parts) == f"urn:uuid:{expected}"


def test_the_namespace_is_made_as_the_language_says() -> None:
    assert uuid.uuid5(uuid.NAMESPACE_URL, "urn:peerfhir:mapping") == identity.NAMESPACE


@seed(9)
@CALM
@given(st.text(), st.text(), st.lists(st.text()))
def test_every_id_is_the_uuid_that_the_standard_library_makes(mapping: str, resource: str, parts: list[str]) -> None:
    try:
        name = "\x1f".join([mapping, resource, *parts])
        name.encode()
    except UnicodeEncodeError:
        return
    assert (
        identity.full_url(identity.seed(mapping, resource), *parts)
        == f"urn:uuid:{uuid.uuid5(identity.NAMESPACE, name)}"
    )


def test_parts_are_written_as_text() -> None:
    start = identity.seed("m", "r")
    assert identity.full_url(start, 5, True, Decimal("1.20")) == identity.full_url(start, "5", "true", "1.20")


def test_a_record_without_a_key_is_named_by_all_of_it() -> None:
    first = identity.record_key({"a": 1, "b": ["x", {"d": 1, "c": 2}]})
    assert identity.record_key({"b": ["x", {"c": 2, "d": 1}], "a": 1}) == first
    assert identity.record_key({"b": [{"c": 2, "d": 1}, "x"], "a": 1}) != first
    assert len(first) == 64


@seed(10)
@CALM
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_searched_value_holds_no_sign_with_a_meaning(value: str) -> None:
    written = identity.searched(value)
    assert not set(written) & set("|,$&=#+ \\")
    assert written.isascii()


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_value_in_search_text_stops_the_record(value: object) -> None:
    with pytest.raises(EvaluationProblem) as failed:
        identity.searched(value)
    assert failed.value.rule == "PM732"
