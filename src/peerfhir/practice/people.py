"""Invented patients and staff of the practice hospital; every name is marked as invented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MARK = "(invented)"
ORGANIZATION = "hospital"
PROGRAM = "peer-program"
CLINICIAN = "clin1"


@dataclass(frozen=True)
class Invented:
    """Someone who does not exist, with a chart to practise on."""

    id: str
    given: str
    family: str
    birth_date: str
    gender: str
    language: str
    phone: str
    record_number: str

    @property
    def name(self) -> str:
        return f"{self.given} {self.family} {MARK}"


PATIENTS = (
    Invented("p1", "Marisol", "Vega", "1988-04-12", "female", "es", "+1-555-0142", "MRN-1001"),
    Invented("p2", "Tomas", "Birch", "1971-09-30", "male", "en", "+1-555-0143", "MRN-1002"),
    Invented("p3", "Noor", "Hadley", "1999-01-22", "female", "en", "+1-555-0144", "MRN-1003"),
)
LANGUAGES = {"es": "Spanish", "en": "English"}


def patient(who: Invented, base: str) -> dict[str, Any]:
    """A US Core Patient. `base` is the identifier namespace of this hospital."""
    return {
        "resourceType": "Patient",
        "id": who.id,
        "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},
        "identifier": [
            {
                "use": "usual",
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                "system": f"{base}/mrn",
                "value": who.record_number,
            }
        ],
        "active": True,
        "name": [{"use": "official", "family": who.family, "given": [who.given], "suffix": [MARK]}],
        "telecom": [{"system": "phone", "value": who.phone, "use": "mobile", "rank": 1}],
        "gender": who.gender,
        "birthDate": who.birth_date,
        "address": [{"use": "home", "city": "Riverside", "state": "NC", "postalCode": "27000", "country": "US"}],
        "communication": [
            {
                "language": {
                    "coding": [{"system": "urn:ietf:bcp:47", "code": who.language, "display": LANGUAGES[who.language]}]
                },
                "preferred": True,
            }
        ],
        "managingOrganization": {"reference": f"Organization/{ORGANIZATION}"},
    }


def staff(base: str, program_identifier: str) -> list[dict[str, Any]]:
    """The hospital, the program as the hospital knows it, and one clinician.

    program_identifier  "system|value" of the program's Organization
    """
    system, _, value = program_identifier.partition("|")
    return [
        {
            "resourceType": "Organization",
            "id": ORGANIZATION,
            "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-organization"]},
            "identifier": [{"system": f"{base}/organizations", "value": "riverside-hospital"}],
            "active": True,
            "name": f"Riverside General Hospital {MARK}",
            "telecom": [{"system": "phone", "value": "+1-555-0110", "use": "work"}],
            "address": [{"city": "Riverside", "state": "NC", "postalCode": "27000", "country": "US"}],
        },
        {
            "resourceType": "Organization",
            "id": PROGRAM,
            "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-organization"]},
            "identifier": [{"system": system, "value": value}],
            "active": True,
            "name": "Riverside Peer Support Program",
            "telecom": [{"system": "phone", "value": "+1-555-0100", "use": "work"}],
            "address": [{"city": "Riverside", "state": "NC", "postalCode": "27000", "country": "US"}],
        },
        {
            "resourceType": "Practitioner",
            "id": "doc1",
            "identifier": [{"system": f"{base}/practitioners", "value": "P-31"}],
            "active": True,
            "name": [{"family": "Okafor", "given": ["Joan"], "prefix": ["Dr."], "suffix": [MARK]}],
        },
        {
            "resourceType": "PractitionerRole",
            "id": CLINICIAN,
            "meta": {
                "profile": ["http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-practitionerrole"]
            },
            "identifier": [{"system": f"{base}/practitioner-roles", "value": "PR-31"}],
            "active": True,
            "practitioner": {"reference": "Practitioner/doc1", "display": f"Dr. Joan Okafor {MARK}"},
            "organization": {"reference": f"Organization/{ORGANIZATION}"},
            "code": [{"text": "Attending physician"}],
            "telecom": [{"system": "phone", "value": "+1-555-0111", "use": "work"}],
        },
    ]
