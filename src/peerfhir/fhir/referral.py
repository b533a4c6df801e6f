"""What a Task that asks for an order to be carried out says, beside what R4 asks of any Task."""

from __future__ import annotations

from typing import Any

from peerfhir.fhir.issues import Finding

REFERRAL_TASK = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement"
_NEEDED = {  # of a Task that asks for an order to be carried out (SDOHCC, BSeR, COW)
    "focus": "Refer to the ServiceRequest that is to be carried out.",
    "for": "Refer to the Patient.",
    "requester": "Refer to the PractitionerRole or Organization that asks.",
    "authoredOn": "Say when the Task was made.",
}


def check(resource: dict[str, Any], path: str) -> list[Finding]:
    """A Task that asks for an order to be carried out names it, the person, who asks and when; its intent is order."""
    if not _is_referral(resource):
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
