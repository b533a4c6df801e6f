from __future__ import annotations

from peerfhir.errors import Fault
from peerfhir.gateway.refusals import FAULT_OF, fault_of
from peerfhir.pathway import refusals


def _all(kind):
    return {kind, *(one for below in kind.__subclasses__() for one in _all(below))}


def test_every_refusal_of_the_pathway_has_an_answer_and_a_sentence():
    kinds = _all(refusals.Refusal) - {refusals.Refusal}
    assert {kind for kind in kinds if kind.__module__ == refusals.__name__} == set(FAULT_OF)
    for kind in FAULT_OF:
        fault = fault_of(kind())
        assert isinstance(fault, Fault)
        assert 400 <= fault.status < 500
        assert fault.what.endswith(".")


def test_the_field_becomes_the_place_unless_the_door_knows_better():
    refusal = refusals.ReasonMissing(field="reason")
    assert fault_of(refusal).place == "reason"
    assert fault_of(refusal, place="Task.statusReason.text").place == "Task.statusReason.text"
    assert fault_of(refusals.Refusal("Not now.")).status == 422
