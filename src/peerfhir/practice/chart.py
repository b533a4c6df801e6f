"""One chart as a page shows it: the referral's state, what arrived, and from where."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

OPEN_WORDS = ("Sent", "Received", "Being reviewed", "In contact", "Working together")


@dataclass(frozen=True)
class Arrival:
    """One thing in the chart, in words."""

    type: str
    title: str
    when: str
    text: str
    reference: str
    code: str = ""


@dataclass(frozen=True)
class Referral:
    """What the clinician sees of one order."""

    order: str
    status: str
    code: str
    reason: str
    why: str
    sent: str
    changed: str
    ended: bool
    history: tuple[tuple[str, str], ...] = ()


@dataclass
class Chart:
    """A patient's chart."""

    name: str
    born: str
    number: str
    gender: str
    language: str
    phone: str
    referrals: list[Referral] = field(default_factory=list)
    encounters: list[Arrival] = field(default_factory=list)
    documents: list[Arrival] = field(default_factory=list)
    scores: list[Arrival] = field(default_factory=list)
    procedures: list[Arrival] = field(default_factory=list)
    messages: list[Arrival] = field(default_factory=list)


def chart_of(
    patient: dict[str, Any], held: Sequence[tuple[dict[str, Any], str]], tasks: Sequence[list[dict[str, Any]]]
) -> Chart:
    """The page's view of everything about one patient.

    held   (resource, source) of the current versions; source says who wrote it
    tasks  every version of each Task, oldest first
    """
    name = patient["name"][0]
    language = (patient.get("communication") or [{}])[0].get("language", {}).get("coding", [{}])[0]
    chart = Chart(
        name=" ".join([*name["given"], name["family"], *name.get("suffix", [])]),
        born=patient["birthDate"],
        number=patient["identifier"][0]["value"],
        gender=patient["gender"],
        language=language.get("display", ""),
        phone=next((t["value"] for t in patient.get("telecom", [])), ""),
    )
    orders = {f"ServiceRequest/{r['id']}": r for r, _ in held if r["resourceType"] == "ServiceRequest"}
    for versions in tasks:
        chart.referrals.append(_referral(versions, orders.get(versions[-1]["focus"]["reference"], {})))
    shelves = {
        "Encounter": (chart.encounters, _encounter),
        "DocumentReference": (chart.documents, _document),
        "Observation": (chart.scores, _score),
        "Procedure": (chart.procedures, _procedure),
        "Communication": (chart.messages, _message),
    }
    for resource, source in held:
        if source != "hospital" and resource["resourceType"] in shelves:
            shelf, words = shelves[resource["resourceType"]]
            shelf.append(words(resource))
    for shelf, _ in shelves.values():
        shelf.sort(key=lambda each: each.when, reverse=True)
    return chart


def moment(text: str) -> str:
    """An instant for people: date and minute."""
    return text[:16].replace("T", " ")


def _referral(versions: list[dict[str, Any]], order: dict[str, Any]) -> Referral:
    task = versions[-1]
    history: list[tuple[str, str]] = []
    for version in versions:
        words = _status(version)
        if not history or history[-1][1] != words:
            history.append((moment(version["meta"]["lastUpdated"]), words))
    return Referral(
        order=(order.get("identifier") or [{}])[0].get("value", ""),
        status=_status(task),
        code=task["status"],
        reason=task.get("statusReason", {}).get("text", ""),
        why=(order.get("reasonCode") or [{}])[0].get("text", ""),
        sent=moment(task.get("authoredOn", "")),
        changed=moment(task["meta"]["lastUpdated"]),
        ended=task["status"] in ("completed", "cancelled", "rejected", "failed"),
        history=tuple(history),
    )


def _status(task: dict[str, Any]) -> str:
    business = task.get("businessStatus", {})
    return str(business.get("text") or (business.get("coding") or [{}])[0].get("display", "") or task["status"])


def _encounter(encounter: dict[str, Any]) -> Arrival:
    kind = (encounter.get("type") or [{}])[0]
    period = encounter.get("period", {})
    episode = (encounter.get("episodeOfCare") or [{}])[0].get("identifier", {}).get("value", "")
    minutes = encounter.get("length", {}).get("value")
    text = ", ".join(
        part for part in (f"{minutes} minutes" if minutes else "", f"episode {episode}" if episode else "") if part
    )
    return _arrival(encounter, kind.get("text") or "Peer support meeting", period.get("start", ""), text)


def _document(document: dict[str, Any]) -> Arrival:
    attachment = document["content"][0]["attachment"]
    text = base64.b64decode(attachment.get("data", "")).decode("utf-8", "replace")
    return _arrival(document, document.get("type", {}).get("text") or "Note", document.get("date", ""), text)


def _score(observation: dict[str, Any]) -> Arrival:
    coding = observation["code"]["coding"][0]
    value = observation.get("valueQuantity", {}).get("value")
    band = (observation.get("interpretation") or [{}])[0]
    words = band.get("text") or (band.get("coding") or [{}])[0].get("display", "")
    if value is not None:
        text = f"{value}" + (f" ({words})" if words else "")
    elif "hasMember" in observation:
        text = "panel"
    else:
        text = observation.get("valueCodeableConcept", {}).get("text") or "no score"
    return _arrival(
        observation, coding.get("display", ""), observation.get("effectiveDateTime", ""), text, coding["code"]
    )


def _procedure(procedure: dict[str, Any]) -> Arrival:
    start = procedure.get("performedPeriod", {}).get("start", "")
    code = (procedure["code"].get("coding") or [{}])[0].get("code", "")
    return _arrival(procedure, procedure["code"].get("text") or "Peer support", start, "", code)


def _message(message: dict[str, Any]) -> Arrival:
    texts = []
    for payload in message.get("payload", []):
        attached = payload.get("contentAttachment", {}).get("data", "")
        texts.append(payload.get("contentString") or base64.b64decode(attached).decode("utf-8", "replace"))
    return _arrival(message, "Message from the peer program", message.get("sent", ""), "\n".join(texts))


def _arrival(resource: dict[str, Any], title: str, when: str, text: str, code: str = "") -> Arrival:
    return Arrival(
        resource["resourceType"], title, moment(when), text, f"{resource['resourceType']}/{resource['id']}", code
    )
