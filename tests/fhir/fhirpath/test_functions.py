from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath import functions, operators
from peerfhir.fhir.fhirpath.conversions import concatenated
from peerfhir.fhir.fhirpath.model import Item, Model
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from tests.support.generated import CALM

THREE = (True, False, None)


def worlds(value: bool | None) -> set[bool]:
    """What an unknown value could be."""
    return {True, False} if value is None else {value}


def agreed(results: set[bool]) -> bool | None:
    return results.pop() if len(results) == 1 else None


@pytest.mark.parametrize(("left", "right"), list(itertools.product(THREE, THREE)))
def test_and_or_not_say_what_holds_in_every_possible_world(left: bool | None, right: bool | None) -> None:
    pairs = list(itertools.product(worlds(left), worlds(right)))
    assert operators.both(left, right) is agreed({a and b for a, b in pairs})
    assert operators.either(left, right) is agreed({a or b for a, b in pairs})
    assert operators.negated(left) is agreed({not a for a in worlds(left)})


def same_time(left: object, right: object) -> bool | None:
    """Two dates, moments or times of day as a record holds them."""
    return operators.same(*(functions.moment_of(one, kind_of_time(one)) for one in (left, right)))


def kind_of_time(text: object) -> str:
    return "Time" if isinstance(text, str) and text[2:3] == ":" else "DateTime"


def test_nothing_equals_nothing() -> None:
    assert operators.same(None, "a") is None
    assert operators.same("a", None) is None
    assert operators.equal([], ["a"]) is None
    assert same_time(None, "2020") is None


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, Decimal("1.0"), True), ("1", 1, False), (True, 1, False), (False, 0, False), ("a", "a", True),
    ],
)  # fmt: skip
def test_values_are_equal_by_type_and_content(left: object, right: object, equal: bool) -> None:
    assert operators.same(left, right) is equal
    assert operators.same(right, left) is equal


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (["a", "b"], ["a", "b"], True), (["a", "b"], ["b", "a"], False), (["a"], ["a", "a"], False), (["a"], [1], False),
    ],
)  # fmt: skip
def test_collections_are_equal_item_by_item_in_order(left: list[object], right: list[object], equal: bool) -> None:
    assert operators.equal(left, right) is equal


MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@seed(5)
@CALM
@given(MOMENTS, OFFSETS, OFFSETS, st.integers(0, 3))
def test_one_moment_is_equal_in_every_zone(at: datetime, here: timezone, there: timezone, seconds: int) -> None:
    at = at.replace(microsecond=0)
    left, right = at.astimezone(here).isoformat(), (at + timedelta(seconds=seconds)).astimezone(there).isoformat()
    if len(left) == len(right) == len("2020-01-01T00:00:00+00:00"):
        assert same_time(left, right) is (seconds == 0)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("2026-02-01", "2026-02-01", True), ("2026-02", "2026-02-01", None), ("2026-02", "2026-03-01", False),
        ("2026-02-01T10:00:00Z", "2026-02-01", None), ("2026-02-01T10:00:00Z", "2026-02-02", False),
        ("2026-02-01T10:00:00", "2026-02-01T10:00:00Z", None), ("2026-02-01T10:00:00.0Z", "2026-02-01T10:00:00Z", True),
        ("10:00", "10:00:00", None), ("10:00:00", "10:00:01", False), ("10:00:00", "10:00:00", True),
        ("2026-02-01T10:00Z", "2026-02-01T10:00:00Z", None),
    ],
)  # fmt: skip
def test_times_of_different_precision_are_equal_unequal_or_unknown(left: str, right: str, equal: bool | None) -> None:
    assert same_time(left, right) is equal
    assert same_time(right, left) is equal


@seed(6)
@CALM
@given(st.one_of(st.text(), st.integers(), st.dictionaries(st.text(), st.integers()), st.just("2020-99-99T99:99:99Z")))
def test_what_is_no_time_is_an_error_and_not_a_crash(value: object) -> None:
    try:
        result = same_time(value, "2020-01-01T00:00:00+01:00")
    except EvaluationProblem as problem:
        assert problem.rule == "PM712"
    else:
        assert result in (True, False, None)


MODEL = Model(r4())


def test_structures_are_equal_by_what_they_hold() -> None:
    one, other = ({"a": 1, "b": [1]}, {"b": [1], "a": 1})
    assert operators.same(Item(one, "Coding"), Item(other, "Coding")) is True
    assert operators.same(Item({"a": 1}, "Coding"), Item(one, "Coding")) is False


def test_navigation_leaves_out_nulls_and_flattens_lists() -> None:
    people = {"name": [{"given": ["A", None]}, {"given": ["B"]}]}
    names = MODEL.step([Item(people, "Patient")], "name")
    assert [one.value for one in MODEL.step(names, "given")] == ["A", "B"]
    assert MODEL.step([Item({}, "Patient")], "name") == []
    assert functions.fields_of([{"a": ["x"]}, {"a": []}, {"a": ["y"]}], "a") == ["x", "y"]
    assert functions.field_of(None, "a") is None


@pytest.mark.parametrize("value", ["text", 5, True, ["x"]])
def test_input_of_the_wrong_shape_is_an_error_of_the_record(value: object) -> None:
    with pytest.raises(EvaluationProblem):
        MODEL.step([Item(value, "HumanName")], "given")
    with pytest.raises(EvaluationProblem):
        functions.text({"a": value})
    with pytest.raises(EvaluationProblem):
        functions.flag("true")


def test_a_structure_held_by_a_variable_is_of_the_type_that_has_its_elements() -> None:
    kinds = ("Quantity", "CodeableConcept", "string", "Period")
    assert functions.item_of(MODEL, {"coding": []}, kinds).kind == "CodeableConcept"
    assert functions.item_of(MODEL, {"start": "2026"}, kinds).kind == "Period"
    assert functions.item_of(MODEL, "text", kinds).kind == "string"
    assert functions.item_of(MODEL, {"resourceType": "Task"}, ("Resource",)).kind == "Task"
    assert functions.item_of(MODEL, None, kinds) is None


def test_values_are_printed_as_fhirpath_prints_them() -> None:
    printed = [functions.text(value) for value in ("a", 5, Decimal("1.20"), Decimal("1E+2"), True, False, None)]
    assert printed == ["a", "5", "1.20", "100", "true", "false", ""]
    assert concatenated("a", None, 1) == "a1"


def test_one_value_is_needed_where_a_singleton_is() -> None:
    assert functions.only([]) is None
    assert functions.only(["a"]) == "a"
    with pytest.raises(EvaluationProblem):
        functions.only(["a", "b"])
    assert operators.truth(["anything"]) is True
    assert operators.truth([]) is None
