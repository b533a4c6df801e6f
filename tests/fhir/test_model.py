"""The library behind one door: whatever it raises is a finding, and it never shows a value."""

from __future__ import annotations

from typing import Any

import pytest

from peerfhir.fhir.model import R4_TYPES, parse


@pytest.mark.parametrize(
    "resource",
    [None, [], "x", 1, {}, {"resourceType": 1}, {"resourceType": "Nope"}, {"resourceType": "SubscriptionTopic"},
     {"resourceType": "Resource"}, {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Nope"}}]},
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": 1}}]},
     {"resourceType": "Task", "status": ["Marisolita"], "for": {"reference": 5}, "Marisolita": {}}],
)  # fmt: skip
def test_whatever_is_wrong_is_a_finding(resource: Any) -> None:
    found = parse(resource)
    assert found
    assert not any("Marisolita" in one.text for one in found)


def test_the_place_of_a_finding_is_fhirpath() -> None:
    found = parse({"resourceType": "Task", "status": "draft", "intent": "order", "note": [{"text": "x"}, {"txt": "y"}]})
    assert "Task.note[1].txt" in [one.expression for one in found]


def test_an_extended_value_in_an_extension_is_let_through() -> None:
    inner = {"url": "x", "valueString": "a", "_valueString": {"extension": [{"url": "y", "valueCode": "b"}]}}
    assert parse({"resourceType": "Patient", "extension": [inner]}) == []


def test_the_list_is_that_of_r4() -> None:
    assert len(R4_TYPES) == 146
    assert {"Task", "MedicinalProduct", "EffectEvidenceSynthesis"} <= R4_TYPES
    assert not {"SubscriptionTopic", "Ingredient", "Citation", "Resource", "DomainResource"} & R4_TYPES
