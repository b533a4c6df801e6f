"""Every refusal has its own code and a sentence."""

from __future__ import annotations

from peerfhir.pathway import refusals
from peerfhir.pathway.refusals import Refusal

KINDS = [kind for kind in vars(refusals).values() if isinstance(kind, type) and issubclass(kind, Refusal)]


def test_every_refusal_has_its_own_reason_and_a_sentence():
    assert len({kind.reason for kind in KINDS}) == len(KINDS) > 15
    for kind in KINDS:
        assert str(kind()).endswith(".")
        assert str(kind("Other words.", field="x")) == "Other words."
