"""A projection's Context over plain values, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.people import Person, Program
from peerfhir.pathway.referral import Referral
from tests.adapters.making import PROGRAM


@dataclass
class Shelf:
    people: list[Person] = field(default_factory=list)
    referrals: list[Referral] = field(default_factory=list)
    engagements: list[Engagement] = field(default_factory=list)
    stored: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    program: Program = PROGRAM

    def referral(self, referral_id: str) -> Referral:
        return next(each for each in self.referrals if each.id == referral_id)

    def referrals_of(self, person_id: str) -> Sequence[Referral]:
        return [each for each in self.referrals if each.person_id == person_id]

    def person(self, person_id: str) -> Person:
        return next(each for each in self.people if each.id == person_id)

    def engagement_of(self, referral_id: str) -> Engagement | None:
        return next((each for each in self.engagements if each.referral_id == referral_id), None)

    def current(self, kind: str, resource_id: str, /) -> dict[str, Any] | None:
        return self.stored.get((kind, resource_id))


def stored_task(referral: Referral) -> dict[str, Any]:
    """The Task as the hospital posted it, under our own id."""
    assert referral.origin is not None
    return {
        "resourceType": "Task",
        "id": referral.origin.task_id,
        "meta": {"versionId": "1"},
        "identifier": [
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]},
                "system": "https://ehr.example.org/tasks",
                "value": "T-77",
            }
        ],
        "status": "requested",
        "intent": "order",
        "priority": "routine",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": f"ServiceRequest/{referral.origin.request_id}"},
        "for": {"reference": f"Patient/{referral.origin.patient_id}"},
        "authoredOn": "2026-11-21T14:05:02-05:00",
        "requester": {"reference": "PractitionerRole/clin1"},
        "owner": {"reference": "Organization/program"},
        "note": [{"text": "Please call after five."}],
    }
