"""A clinician's order: kept in the hospital's own store, then sent to the peer program as one transaction."""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from peerfhir.fhir.reader import read
from peerfhir.fhir.writer import write
from peerfhir.practice import people

CANONICAL_TASK = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement"
_GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare"
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Order:
    """The six things a clinician says; scores and diagnoses stay off."""

    patient_id: str
    why: str
    urgency: str = "routine"
    agreed: str = "said-so"  # said-so | signed | not-asked
    contact: str = ""  # the safe way and time
    service: str = "Referral to peer support"


def resources(order: Order, number: int, when: datetime, base: str, status_system: str) -> list[dict[str, Any]]:
    """ServiceRequest, Task and Consent of one order, in this hospital's own references.

    number         running number of the order; becomes ORD-, T- and CON- identifiers
    base           identifier namespace of this hospital
    status_system  code system of the program's business states
    Source         standards: SDOHCC 3.0.0 ServiceRequest, TaskForReferralManagement, Consent
    """
    at = when.isoformat(timespec="seconds")
    until = (when + timedelta(days=90)).date().isoformat()
    who = {"reference": f"Patient/{order.patient_id}"}
    requester = {"reference": f"PractitionerRole/{people.CLINICIAN}"}
    program = {"reference": f"Organization/{people.PROGRAM}"}
    words = {"said-so": "yes, said so", "signed": "yes, signed", "not-asked": "not asked: please ask them"}
    agreement = f"Agreed to be contacted by the peer program: {words[order.agreed]}.\n"
    request: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "id": f"sr{number}",
        "meta": {"profile": [f"{_GRAVITY}/StructureDefinition/SDOHCC-ServiceRequest"]},
        "identifier": [_placer(f"{base}/orders", f"ORD-{1000 + number}")],
        "status": "active",
        "intent": "order",
        "category": [
            {
                "coding": [
                    {"system": "http://snomed.info/sct", "code": "410606002", "display": "Social service procedure"}
                ]
            },
            {
                "coding": [
                    {
                        "system": f"{_GRAVITY}/CodeSystem/SDOHCC-CodeSystemTemporaryCodes",
                        "code": "social-connection",
                        "display": "Social Connection",
                    }
                ]
            },
        ],
        "priority": order.urgency,
        "code": {
            "coding": [
                {
                    "system": "http://snomed.info/sct",
                    "code": "461481000124109",
                    "display": "Referral to peer support (procedure)",
                }
            ],
            "text": order.service,
        },
        "subject": who,
        "occurrencePeriod": {"start": when.date().isoformat(), "end": until},
        "authoredOn": at,
        "requester": requester,
        "performer": [program],
        "reasonCode": [{"text": order.why}],
        "supportingInfo": [{"reference": f"Consent/consent{number}"}],
    }
    if order.contact:
        request["note"] = [{"text": f"Safe contact: {order.contact}"}]
    task = {
        "resourceType": "Task",
        "id": f"t{number}",
        "meta": {"profile": [CANONICAL_TASK]},
        "identifier": [_placer(f"{base}/tasks", f"T-{76 + number}")],
        "status": "requested",
        "intent": "order",
        "priority": order.urgency,
        "code": {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/CodeSystem/task-code",
                    "code": "fulfill",
                    "display": "Fulfill the focal request",
                }
            ]
        },
        "focus": {"reference": f"ServiceRequest/sr{number}"},
        "for": who,
        "authoredOn": at,
        "lastModified": at,
        "requester": requester,
        "owner": program,
        "businessStatus": {"coding": [{"system": status_system, "code": "sent", "display": "Sent"}]},
    }
    consent = {
        "resourceType": "Consent",
        "id": f"consent{number}",
        "meta": {"profile": [f"{_GRAVITY}/StructureDefinition/SDOHCC-Consent"]},
        "identifier": [{"system": f"{base}/consents", "value": f"CON-{500 + number}"}],
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
        "patient": who,
        "dateTime": at,
        "performer": [who],
        "organization": [{"reference": f"Organization/{people.ORGANIZATION}"}],
        "sourceAttachment": {
            "contentType": "text/plain; charset=utf-8",
            "title": f"Agreed to be contacted: {words[order.agreed]}",
            "data": base64.b64encode(agreement.encode()).decode(),
        },
        "policy": [{"uri": f"{base}/policies/referral-disclosure"}],
        "provision": {
            "type": "permit",
            "period": {"start": when.date().isoformat(), "end": until},
            "actor": [
                {
                    "role": {
                        "coding": [
                            {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
                        ]
                    },
                    "reference": program,
                }
            ],
            "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
        },
    }
    return [request, task, consent]


def _placer(system: str, value: str) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]},
        "system": system,
        "value": value,
    }


def as_transaction(held: Sequence[dict[str, Any]], fhir_base: str) -> dict[str, Any]:
    """The same resources as one transaction: absolute references, every entry conditional on its identifier.

    Sending it again changes nothing (R4 http, `ifNoneExist`).
    """
    entries = []
    for resource in held:
        first = resource["identifier"][0]
        entries.append(
            {
                "fullUrl": f"{fhir_base}/{resource['resourceType']}/{resource['id']}",
                "resource": _absolute(dict(resource.items()), fhir_base),
                "request": {
                    "method": "POST",
                    "url": resource["resourceType"],
                    "ifNoneExist": f"identifier={first['system']}|{first['value']}",
                },
            }
        )
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _absolute(value: Any, base: str) -> Any:
    if isinstance(value, dict):
        return {
            key: f"{base}/{inner}" if key == "reference" and isinstance(inner, str) and "://" not in inner
            else _absolute(inner, base)
            for key, inner in value.items()
        }  # fmt: skip
    if isinstance(value, list):
        return [_absolute(inner, base) for inner in value]
    return value


class NotTaken(Exception):
    """The program's gateway did not take the order. `outcome` is what it said."""

    def __init__(self, status: int, outcome: Any) -> None:
        self.status = status
        self.outcome = outcome
        super().__init__(f"HTTP {status}")

    @property
    def unanswered(self) -> bool:
        """No word about the order itself: it may have been taken or not, and sending it again settles that."""
        return self.status in (0, 401, 408, 429) or self.status >= 500


@dataclass
class ProgramClient:
    """The hospital's own small client of the peer program's gateway."""

    gateway: str  # base URL of the service, without /fhir
    client_id: str
    secret: str = field(repr=False)
    now: Callable[[], float]
    _token: str = field(default="", repr=False)
    _until: float = 0.0

    def send(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """POST one transaction; raises NotTaken."""
        return self._exchange("POST", "/fhir", write(bundle), "application/fhir+json", self.token())

    def get(self, path: str) -> dict[str, Any]:
        """Read below /fhir; raises NotTaken."""
        return self._exchange("GET", f"/fhir/{path}", None, "application/fhir+json", self.token())

    def token(self) -> str:
        """A token by client credentials, kept until 30 seconds before its end."""
        if self.now() >= self._until:
            form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "system/*.cruds"}).encode()
            basic = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
            answer = self._exchange(
                "POST",
                "/oauth/token",
                form,
                "application/x-www-form-urlencoded",
                None,
                {"Authorization": f"Basic {basic}"},
            )
            self._token = answer["access_token"]
            self._until = self.now() + answer["expires_in"] - 30
        return self._token

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        kind: str,
        token: str | None,
        more: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        headers = {"Content-Type": kind, "Accept": "application/fhir+json, application/json"} | (more or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.gateway + path, data=body, headers=headers, method=method)  # noqa: S310 - the gateway is configuration
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
                text = answer.read()
                return read(text) if text else {}
        except urllib.error.HTTPError as refusal:
            raise NotTaken(refusal.code, _said(refusal.read())) from refusal
        except (OSError, http.client.HTTPException) as fault:
            raise NotTaken(0, {}) from fault


def _said(text: bytes) -> Any:
    try:
        return read(text)
    except Exception:  # whatever a gateway answers beside JSON is of no use to a clinician
        return {}
