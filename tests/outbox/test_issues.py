from __future__ import annotations

import json

import pytest

from peerfhir.outbox.issues import without_values


@pytest.mark.parametrize("answer", [None, [], "x", {"resourceType": "Patient"}, {"issue": []}])
def test_what_is_no_outcome_is_not_kept(answer):
    assert without_values(answer) is None


def test_codes_and_places_stay_and_every_text_goes():
    issues = [
        {
            "severity": "error",
            "code": "invariant",
            "diagnostics": "CANARY",
            "details": {"text": "CANARY", "coding": [{"code": "CANARY"}]},
            "expression": ["Encounter.period", "Encounter.identifier.where(value='CANARY')", 5],
            "location": ["/f:Encounter/f:CANARY with words"],
        },
        {"severity": "CANARY", "code": 7, "expression": "Encounter"},
        "CANARY",
    ]
    kept = without_values({"resourceType": "OperationOutcome", "text": {"div": "CANARY"}, "issue": issues})
    assert b"CANARY" not in kept
    assert json.loads(kept)["issue"][0] == {
        "severity": "error", "code": "invariant", "expression": ["Encounter.period"], "location": [],
    }  # fmt: skip


def test_a_flood_of_issues_is_cut():
    kept = without_values({"resourceType": "OperationOutcome", "issue": [{"severity": "error"}] * 10_000})
    assert len(json.loads(kept)["issue"]) == 20
    assert without_values({"resourceType": "OperationOutcome", "issue": "x"}) is not None
