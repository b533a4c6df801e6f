"""What four kinds of hospital offer, as their CapabilityStatements said in July and August 2026."""

from __future__ import annotations

from peerfhir.config import EndpointSettings, WriteRule
from peerfhir.fhir.capability import Offer

_CHART = "Encounter DocumentReference Procedure Observation QuestionnaireResponse Communication"


def _offer(creates: str, updates: str, *, conditional: bool = False) -> Offer:
    return Offer(
        creates=frozenset(creates.split()),
        updates=frozenset(updates.split()),
        reads=frozenset(),
        searches={},
        conditional_creates=frozenset(creates.split() if conditional else ()),
        software="test",
        read_at=None,
    )


# Source: docs/rules.md, Write-back; survey scores cannot be written at Oracle Health which only its settings can say.
OFFERS: dict[str, Offer] = {
    "open": _offer(f"{_CHART} Task", f"{_CHART} Task", conditional=True),
    "epic-like": _offer(
        "ServiceRequest DocumentReference Observation Procedure Condition QuestionnaireResponse Communication",
        "Task ServiceRequest DocumentReference Observation Procedure",
    ),
    "oracle-like": _offer(
        "DocumentReference Encounter Observation Procedure Condition Communication",
        "DocumentReference Observation Condition QuestionnaireResponse",
    ),
    "athena-like": _offer("QuestionnaireResponse", ""),
}
_SURVEYS = "Millennium takes vital signs and laboratory results as Observation, no survey scores"
_WRITES: dict[str, dict[str, WriteRule]] = {
    "oracle-like": {
        "Observation": WriteRule(accept=False, because=_SURVEYS),
        "DocumentReference": WriteRule(mapping="summary-oracle"),
        "Procedure": WriteRule(mapping="procedure-oracle"),
    },
}


def endpoint(name: str, *, receives_charges: bool = False) -> EndpointSettings:
    return EndpointSettings(
        id=name,
        program="riverside",
        base_url="https://hospital.example",
        writes=_WRITES.get(name, {}),
        receives_charges=receives_charges,
    )
