from __future__ import annotations

import itertools

import pytest

from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath.types import EMPTY, Scope, Static, joined, system


def scope(kind: str) -> Scope:
    return Scope(Static((kind,), "one", sure=False), r4())


def test_a_choice_element_is_reached_whatever_its_type() -> None:
    step = scope("Observation").step(Static(("Observation",), "one"), "value")
    assert step is not None
    assert {"valueQuantity", "valueString", "valueCodeableConcept"} <= set(step.keys)
    assert {"Quantity", "string", "CodeableConcept"} <= set(step.type.kinds)
    assert step.type.card == "opt"


def test_the_json_name_of_a_choice_means_nothing_in_fhirpath() -> None:
    assert scope("Observation").step(Static(("Observation",), "one"), "valueQuantity") is None
    assert "value" in scope("Observation").names(Static(("Observation",), "one"))
    assert "valueQuantity" not in scope("Observation").names(Static(("Observation",), "one"))


def test_below_many_there_are_many_and_input_may_lack_what_it_must_have() -> None:
    patient = scope("Patient")
    names = patient.step(Static(("Patient",), "one"), "name")
    assert names is not None
    assert names.type.card == "many"
    family = patient.step(names.type, "family")
    assert family is not None
    assert family.type.card == "many"
    status = scope("Task").step(Static(("Task",), "one"), "status")
    assert status is not None
    assert status.type.card == "opt"
    assert "on-hold" in (status.type.codes or ())


@pytest.mark.parametrize(("left", "right"), list(itertools.product(("one", "opt", "many"), repeat=2)))
def test_one_or_the_other_is_as_often_as_the_less_certain_of_both(left: str, right: str) -> None:
    order = ["one", "opt", "many"]
    found = joined(Static(("string",), left), Static(("code",), right))  # type: ignore[arg-type]
    assert found.card == order[max(order.index(left), order.index(right))]
    assert found.kinds == ("string", "code")


def test_codes_stay_closed_only_when_both_are() -> None:
    closed = Static(("code",), "one", codes=frozenset("ab"))
    assert joined(closed, Static(("code",), "one", codes=frozenset("c"))).codes == frozenset("abc")
    assert joined(closed, Static(("code",), "one")).codes is None
    assert joined(closed, EMPTY).codes == frozenset("ab")
    assert joined(closed, EMPTY).card == "opt"


def test_operators_see_system_types() -> None:
    assert [system(kind) for kind in ("code", "positiveInt", "instant", "Coding")] == [
        "String", "Integer", "DateTime", "Coding",
    ]  # fmt: skip
