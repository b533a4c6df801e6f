"""The compartment of a Patient: which resources belong to a chart, and by which references."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from peerfhir.fhir.parameters import Parameter

# Source: the R4 CompartmentDefinition "patient", as far as its parameters are served here. A Task is in no R4
# compartment; R5 puts it in, and a referral without its Task would be half a referral.
PATIENT: Mapping[str, tuple[str, ...]] = {
    "CarePlan": ("subject",),
    "CareTeam": ("subject", "participant"),
    "Communication": ("subject", "sender", "recipient"),
    "Condition": ("subject", "asserter"),
    "Consent": ("patient",),
    "DocumentReference": ("subject", "author"),
    "Encounter": ("subject",),
    "EpisodeOfCare": ("patient",),
    "Goal": ("subject",),
    "Group": ("member",),
    "Observation": ("subject", "performer"),
    "Procedure": ("subject", "performer"),
    "Provenance": ("target",),
    "QuestionnaireResponse": ("subject", "author"),
    "RelatedPerson": ("patient",),
    "ServiceRequest": ("subject", "performer"),
    "Task": ("subject",),
}


@cache
def of(resource_type: str) -> Parameter:
    """All references that put a resource of this type into a compartment, as one parameter."""
    names = PATIENT[resource_type]
    return Parameter("patient compartment", "reference", (), ("Patient",), stored=names)
