"""Statements: ours is true, theirs is read for what it plainly says."""

from __future__ import annotations

import random
from typing import Any

from peerfhir.fhir.capability import build, offer_of
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.validate import validate
from tests.support.bodies import mutated

SEED = 20261121


def test_our_statement_is_valid_and_offers_what_is_served() -> None:
    statement = build("PeerFHIR", base="https://x.example/fhir", version="0.1.0", oauth={"token": "https://x.example/t"},
                      instantiates=["http://x.example/y"], description="z")  # fmt: skip
    assert validate(statement) == ()
    offer = offer_of(statement)
    assert offer.creates == offer.updates == offer.reads == set(PARAMETERS)
    assert offer.conditional_creates == offer.creates
    assert offer.software == "PeerFHIR"
    assert {"status", "owner", "focus", "_id", "_lastUpdated"} <= offer.searches["Task"]
    security = statement["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


def test_a_smaller_offer_is_said_as_it_is() -> None:
    statement = build("Small", {"Task": ["read", "update"], "Patient": ["read", "search-type"]},
                      conditional_create=False, transactions=False)  # fmt: skip
    assert validate(statement) == ()
    offer = offer_of(statement)
    assert (offer.creates, offer.updates, offer.reads) == (frozenset(), {"Task"}, {"Task", "Patient"})
    assert set(offer.searches) == {"Patient"}
    assert not offer.conditional_creates
    assert "interaction" not in statement["rest"][0]


def test_a_conditional_create_is_offered_by_type() -> None:
    entries = [{"type": "Observation", "conditionalCreate": True}, {"type": "Encounter", "conditionalCreate": False}]
    entries += [{"type": "Procedure"}, {"type": "Task", "conditionalCreate": "true"}]
    assert offer_of({"rest": [{"mode": "server", "resource": entries}]}).conditional_creates == {"Observation"}


def test_somebody_elses_statement_never_surprises() -> None:
    rng = random.Random(SEED)
    statement = build("X", {"Task": ["read", "create"], "Patient": ["search-type"]})
    for _ in range(500):
        offer_of(mutated(rng, statement))
    odd: list[Any] = [None, [], {}, {"rest": 1}, {"rest": [1]}, {"rest": [{"resource": [{"type": 1}]}]}]
    for one in odd:
        assert offer_of(one).creates == frozenset()


def test_the_client_side_of_a_statement_is_no_offer() -> None:
    entry = {"type": "Task", "interaction": [{"code": "create"}]}
    assert offer_of({"rest": [{"mode": "client", "resource": [entry]}]}).creates == frozenset()
    assert offer_of({"rest": [{"resource": [entry]}]}).creates == {"Task"}
