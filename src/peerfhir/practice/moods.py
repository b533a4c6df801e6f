"""What the practice hospital lets others write: openly, or as a vendor's published statement offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_READ = frozenset({"read", "search-type"})
_ALL = frozenset({"read", "vread", "search-type", "create", "update"})


def _types(create: str = "", update: str = "", read: str = "") -> dict[str, frozenset[str]]:
    offered: dict[str, set[str]] = {}
    for interaction, names in (("create", create), ("update", update)):
        for name in names.split():
            offered.setdefault(name, set(_READ)).add(interaction)
    for name in read.split():
        offered.setdefault(name, set(_READ))
    return {name: frozenset(interactions) for name, interactions in offered.items()}


@dataclass(frozen=True)
class Mood:
    """One way a hospital behaves.

    offers              resource type -> interactions of its CapabilityStatement
    conditional_create  whether If-None-Exist is honoured (otherwise the header is ignored, as servers do)
    rules               resource type -> name of a vendor rule below that a create must keep
    """

    name: str
    software: str
    offers: Mapping[str, frozenset[str]]
    conditional_create: bool
    transactions: bool
    rules: Mapping[str, str] = field(default_factory=dict)


_CHART = "Encounter DocumentReference Procedure Observation QuestionnaireResponse Communication"
_ORDERS = "Patient Organization Practitioner PractitionerRole ServiceRequest Consent"

# Source: the vendors' R4 CapabilityStatements as published in July and August 2026 (Epic "May 2026",
# Oracle Health Millennium, athenahealth athenaOne). What a site enables may be less.
MOODS: dict[str, Mood] = {
    "open": Mood(
        "open",
        "Practice hospital",
        dict.fromkeys(f"{_CHART} {_ORDERS} Task Condition Goal CarePlan EpisodeOfCare".split(), _ALL),
        conditional_create=True,
        transactions=True,
    ),
    "epic-like": Mood(
        "epic-like",
        "Practice hospital, accepting what Epic's statement offers",
        _types(
            create="ServiceRequest DocumentReference Observation Procedure Condition QuestionnaireResponse "
            "Communication",
            update="Task ServiceRequest DocumentReference Observation Procedure",
            read=f"{_ORDERS} Task Encounter CarePlan Goal CareTeam",
        ),
        conditional_create=False,
        transactions=False,
    ),
    "oracle-like": Mood(
        "oracle-like",
        "Practice hospital, accepting what Oracle Health Millennium's statement offers",
        _types(
            create="DocumentReference Encounter Observation Procedure Condition Communication",
            update="DocumentReference Observation Condition QuestionnaireResponse",
            read=_ORDERS,
        ),
        conditional_create=False,
        transactions=False,
        rules={
            "DocumentReference": "oracle-note",
            "Observation": "oracle-observation",
            "Procedure": "oracle-procedure",
            "Communication": "oracle-message",
            "Encounter": "oracle-encounter",
        },
    ),
    "athena-like": Mood(
        "athena-like",
        "Practice hospital, accepting what athenahealth's statement offers",
        _types(
            create="QuestionnaireResponse",
            read=f"{_ORDERS} DocumentReference Encounter Observation Procedure Condition CarePlan Goal",
        ),
        conditional_create=False,
        transactions=False,
    ),
}


def complaint(rule: str, resource: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why this vendor would refuse the resource: (element, sentence), or None when it would not.

    Source  vendor documentation of Oracle Health Millennium (R4), 2026-08
    """
    return _RULES[rule](resource)


def _oracle_note(note: Mapping[str, Any]) -> tuple[str, str] | None:
    context = note.get("context", {})
    attachment = (note.get("content") or [{}])[0].get("attachment", {})
    codings = note.get("type", {}).get("coding", [])
    allowed = ("application/pdf", "text/plain;charset=utf-8", "text/html;charset=utf-8", "text/rtf;charset=utf-8")
    checks = (
        (note.get("status") == "current", "status", "only current"),
        (note.get("docStatus") in ("final", "amended"), "docStatus", "final or amended is required"),
        (sum(c.get("system") == "http://loinc.org" for c in codings) == 1, "type", "one LOINC coding"),
        (attachment.get("contentType") in allowed, "content.attachment.contentType", "a type with its charset"),
        (len(context.get("encounter", [])) <= 1, "context.encounter", "at most one"),
        ("T" in context.get("period", {}).get("end", ""), "context.period.end", "required, with a time"),
        ("T" in note.get("date", "T"), "date", "every date carries a time"),
    )
    return _first(checks)


def _oracle_observation(observation: Mapping[str, Any]) -> tuple[str, str] | None:
    codes = [c.get("code") for each in observation.get("category", []) for c in each.get("coding", [])]
    return _first(((codes in (["vital-signs"], ["laboratory"]), "category", "vital signs or laboratory only"),))


def _oracle_procedure(procedure: Mapping[str, Any]) -> tuple[str, str] | None:
    performers = [p.get("actor", {}).get("reference", "Practitioner/") for p in procedure.get("performer", [])]
    return _first(
        (
            (procedure.get("status") == "completed", "status", "only completed"),
            (all(p.startswith("Practitioner/") for p in performers), "performer", "a Practitioner"),
        )
    )


def _oracle_message(message: Mapping[str, Any]) -> tuple[str, str] | None:
    codes = {c.get("code") for each in message.get("category", []) for c in each.get("coding", [])}
    payload = message.get("payload", [])
    return _first(
        (
            (message.get("status") == "completed", "status", "only completed"),
            (bool(codes & {"notification", "reminder", "312853008"}), "category", "notification or reminder"),
            (bool(payload) and all("contentAttachment" in p for p in payload), "payload", "contentAttachment"),
        )
    )


def _oracle_encounter(encounter: Mapping[str, Any]) -> tuple[str, str] | None:
    status = encounter.get("status")
    return _first(
        (
            (status not in ("cancelled", "entered-in-error"), "status", "neither cancelled nor entered-in-error"),
            (bool(encounter.get("type")), "type", "required"),
            (not ("location" in encounter and "serviceProvider" in encounter), "location", "not with serviceProvider"),
        )
    )


def _first(checks: tuple[tuple[bool, str, str], ...]) -> tuple[str, str] | None:
    return next(((element, sentence) for kept, element, sentence in checks if not kept), None)


_RULES = {
    "oracle-note": _oracle_note,
    "oracle-observation": _oracle_observation,
    "oracle-procedure": _oracle_procedure,
    "oracle-message": _oracle_message,
    "oracle-encounter": _oracle_encounter,
}
