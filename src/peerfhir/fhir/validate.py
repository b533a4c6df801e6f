"""A resource -> findings with FHIRPath expressions."""

from __future__ import annotations

from typing import Any

from peerfhir.fhir import model, references
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json
from peerfhir.fhir.structure import structure

__all__ = ["Finding", "validate"]

REFERRAL_TASK = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement"
_NEEDED = {  # of a Task that asks for an order to be carried out (SDOHCC, BSeR, COW)
    "focus": "Refer to the ServiceRequest that is to be carried out.",
    "for": "Refer to the Patient.",
    "requester": "Refer to the PractitionerRole or Organization that asks.",
    "authoredOn": "Say when the Task was made.",
}


def validate(resource: Json, *, by_model: bool = True) -> tuple[Finding, ...]:
    """Everything that speaks against a resource, errors first; empty when nothing does. Never raises.

    Judged are the structure and required codes of R4 (read from the models, see fhir.definitions), `fhir.model`
    itself, references as far as they can be followed without a store, and the rules of a referral Task.

    by_model  False leaves the model to the types that the index does not know, at a quarter of the cost: a test
              shows that for the others it refuses nothing that the structure accepts
    Source    docs/rules.md, Doors
    """
    found = structure(resource)
    if not found and by_model:
        found = model.parse(resource)
    if isinstance(resource, dict):
        found += _rules(resource)
    return tuple(dict.fromkeys(sorted(found, key=lambda one: one.severity != "error")))


def _rules(resource: dict[str, Any]) -> list[Finding]:
    name = resource.get("resourceType")
    if name != "Bundle":
        path = name if isinstance(name, str) and name in model.R4_TYPES else ""
        return references.check(resource, path) + _task(resource, path)
    entries = resource.get("entry")
    entries = [one if isinstance(one, dict) else {} for one in entries] if isinstance(entries, list) else []
    full_urls = frozenset(one["fullUrl"] for one in entries if isinstance(one.get("fullUrl"), str))
    found: list[Finding] = []
    for at, entry in enumerate(entries):
        inner = entry.get("resource")
        if isinstance(inner, dict):
            path = f"Bundle.entry[{at}].resource"
            found += references.check(inner, path, in_bundle=full_urls) + _task(inner, path)
    return found


def _task(resource: dict[str, Any], path: str) -> list[Finding]:
    """A Task that asks for an order to be carried out names it, the person, who asks and when; its intent is order."""
    if resource.get("resourceType") != "Task" or not _is_referral(resource):
        return []
    found = [
        Finding("error", "required", f"{path}.{name}", f"This element is required in a referral Task. {advice}")
        for name, advice in _NEEDED.items()
        if name not in resource
    ]
    if resource.get("intent") in ("proposal", "plan", "unknown", "option"):
        found.append(Finding("error", "value", f"{path}.intent", "The intent of a referral Task is `order`."))
    reason = resource.get("statusReason")
    if isinstance(reason, dict) and not reason.get("text"):
        found.append(Finding("error", "required", f"{path}.statusReason.text", "Give the reason as a text."))
    return found


def _is_referral(task: dict[str, Any]) -> bool:
    code, meta = task.get("code"), task.get("meta")
    codings = code.get("coding") if isinstance(code, dict) else None
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    fulfill = isinstance(codings, list) and any(isinstance(c, dict) and c.get("code") == "fulfill" for c in codings)
    return fulfill or (isinstance(profiles, list) and REFERRAL_TASK in profiles)
