"""One order as a hospital sends it, with invented people; every call gives fresh values."""

from __future__ import annotations

from typing import Any

_PLACER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}


def patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"use": "usual", "system": "https://ehr.example.org/mrn", "value": "MRN-1001"}],
        "name": [
            {"use": "nickname", "given": ["Mari"]},
            {"use": "official", "family": "Vega", "given": ["Marisol"]},
        ],
        "telecom": [{"system": "phone", "value": "+1-555-0142", "use": "mobile"}],
        "gender": "female",
        "birthDate": "1988-04-12",
        "address": [{"city": "Riverside", "postalCode": "27000"}],
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]}},
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}, "preferred": True},
        ],
    }


def request() -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": "sr1",
        "identifier": [{"type": _PLACER, "system": "https://ehr.example.org/orders", "value": "ORD-1001"}],
        "status": "active",
        "intent": "order",
        "priority": "urgent",
        "code": {
            "coding": [{"system": "http://snomed.info/sct", "code": "461481000124109"}],
            "text": "Referral to peer support",
        },
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-11-21T14:05:00-05:00",
        "requester": {"reference": "PractitionerRole/clin1"},
        "reasonCode": [{"text": "Lonely since moving here."}],
        "note": [{"text": "Safe contact: mobile, after 17:00, no voicemail."}],
    }


def task() -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "id": "t1",
        "identifier": [{"type": _PLACER, "system": "https://ehr.example.org/tasks", "value": "T-77"}],
        "status": "requested",
        "intent": "order",
        "priority": "routine",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": "ServiceRequest/sr1"},
        "for": {"reference": "Patient/p1"},
        "authoredOn": "2026-11-21T14:05:02-05:00",
        "requester": {"reference": "PractitionerRole/clin1"},
    }


def requester() -> dict[str, Any]:
    return {
        "resourceType": "PractitionerRole",
        "id": "clin1",
        "practitioner": {"reference": "Practitioner/doc1", "display": "Dr. Joan Okafor"},
        "organization": {"reference": "Organization/hospital", "display": "Riverside General Hospital"},
    }


def consent(title: str = "Agreed to be contacted: yes, said so", **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"coding": [{"code": "IDSCL"}]}],
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2026-11-21T14:00:00-05:00",
        "sourceAttachment": {"contentType": "text/plain; charset=utf-8", "title": title},
        "provision": {"type": "permit"},
    } | changes
