"""A referral <-> Task and ServiceRequest, and our part of a Task that somebody else keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from peerfhir.adapters import consent as consents
from peerfhir.adapters import labels, people, words
from peerfhir.adapters.pieces import PIECES, Refs
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.people import Identifier, Person, Program
from peerfhir.pathway.referral import Origin, Outward, Referral
from peerfhir.pathway.vocabulary import DeclineReason, Piece, Priority, ServiceType, Status, TaskStatus

_OURS = ("status", "statusReason", "businessStatus", "executionPeriod")


def from_fhir(
    mappings: Mappings, task: Json, request: Json, patient: Json, requester: Json | None, consent: Json | None
) -> tuple[Person, Referral]:
    """An order as the drafts of a person and a referral: no ids, program, number; `origin.source` is the caller's.

    task, request, patient   resources as our own API keeps them; their ids go into `origin`
    requester                what Task.requester refers to, when it was sent along
    consent                  the Consent among ServiceRequest.supportingInfo, when there is one
    Raises                   MappingFailed (never)
    """
    asked = mappings.run("referral-task", task).values
    order = mappings.run("referral-request", request).values
    agreement = consents.agreement(mappings, consent)
    person = replace(people.person_from_fhir(mappings, patient), safe_contact=_joined(order.get("notes")))
    referral = Referral(
        id="",
        program_id="",
        person_id="",
        number="",
        status=Status.SENT,
        task_status=TaskStatus.REQUESTED,
        service=ServiceType(order["service"]),
        priority=Priority(order.get("priority") or asked.get("priority") or "routine"),
        reason=_joined(order.get("reasons")) or _joined(order.get("reason_codes")),
        requested_by=asked.get("requester") or people.referrer_name(mappings, requester) or order.get("requester"),
        contact_agreed=agreement.contact_agreed,
        contact_prohibited=bool(order.get("contact_prohibited")) or agreement.refused,
        origin=Origin(
            source="",
            task_id=task.get("id"),
            request_id=request.get("id"),
            patient_id=patient.get("id"),
            placer=_identifier(order) or _identifier(asked),
        ),
    )
    return person, referral


def status_to_fhir(
    mappings: Mappings,
    referral: Referral,
    outward: Outward,
    refs: Refs,
    engagement: Engagement | None,
    *,
    program: Program | None = None,
    at: datetime | None = None,
    performed_as_code: bool = False,
    mapping: str | None = None,
) -> Json:
    """Where a referral stands, in its outward form only: a Task fragment for `merge_task`, or a lower form.

    program            names us to a reader; its name stands in the lower forms
    at                 when it came to stand so, for the lower forms; None: the latest instant the referral knows
    performed_as_code  the destination takes no Procedure: say in the output that peer support was given
    mapping            the form the plan chose; None is the Task fragment
    Raises             MappingFailed (never)
    """
    name = program.name if program else "Peer support"
    enrolled = outward.status is Status.ENROLLED
    completed = outward.task_status is TaskStatus.COMPLETED
    moment = at or referral.closed_at or referral.completed_at or referral.accepted_at or referral.received_at
    no_capacity = referral.decline_reason == DeclineReason.NO_CAPACITY.value
    record: Json = {
        "number": referral.number,
        "version": referral.version,
        "task_status": outward.task_status.value,
        "status": outward.status.value,
        "display": outward.display,
        "reason": outward.reason,
        "no_capacity": no_capacity and outward.status is Status.DECLINED_PROGRAM,
        "started_at": _iso(referral.accepted_at if outward.task_status in _ACCEPTED else None),
        "ended_at": _iso(referral.completed_at if completed else None),
        "enrolled": enrolled,
        "outcome_said": completed and not enrolled,
        "performed_as_code": performed_as_code and not refs.procedures,
        "episode_number": engagement.number if engagement and enrolled else None,
        "episode_ref": refs.episode if enrolled else None,
        "at": _iso(moment),
        "patient_ref": refs.patient,
        "request_ref": refs.request,
        "task_ref": refs.task,
        "program_ref": refs.program,
        "program_name": name,
        "procedure_refs": list(refs.procedures),
        "content_refs": [ref for ref in (refs.response, refs.total, *refs.items) if ref],
        "document_refs": list(refs.documents),
        "recipient_refs": list(refs.recipients),
        "sender_ref": refs.sender,
        **words.attachment(words.of_status(referral, outward, name)),
    }
    resource = mappings.run(mapping or PIECES[Piece.STATUS][0].mapping, record).only()
    if resource["resourceType"] == "Task":
        return resource
    return labels.labelled(resource, labels.CONFIDENTIALITY_OF[Piece.STATUS])


def merge_task(current: Json, ours: Json) -> Json:
    """The Task as it stands, with our part brought up to date; everything its keeper keeps is kept.

    current  the stored Task, as last read
    ours     a fragment from `status_to_fhir`
    Returns  a new Task: status, reason, business status and execution period are ours; outputs that are not there
             yet are appended (compared by type and value); our identifier stands once; notes are untouched
    Source   docs/rules.md, States "Who may write which Task field"
    """
    merged: Json = {key: value for key, value in current.items() if key != "statusReason"}
    merged.update({key: ours[key] for key in _OURS if key in ours})
    for key in ("identifier", "output"):
        entries = _appended(current.get(key, []), ours.get(key, []))
        if entries:
            merged[key] = entries
    return merged


def _appended(there: list[Json], more: list[Json]) -> list[Json]:
    """The entries that are there, then those of `more` whose essence is not among them."""
    known = [_essence(entry) for entry in there]
    entries = list(there)
    for entry in more:
        if _essence(entry) not in known:
            entries.append(entry)
            known.append(_essence(entry))
    return entries


def _essence(entry: Json) -> Json:
    """What makes two entries the same: an identifier's system and value; an output's type codes and value.

    Displays and ids are left out: a server may add them.
    """
    if "system" in entry or "type" not in entry:
        return ("identifier", entry.get("system"), entry.get("value"))
    value = {key: _bare(entry[key]) for key in entry if key.startswith("value")}
    return ("output", _bare(entry["type"]), value)


def _bare(value: Json) -> Json:
    """A value without the parts a server may add: display, id, extension; a concept is its codes, else its text."""
    if isinstance(value, list):
        return [_bare(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("coding"):
        return sorted((str(each.get("system")), str(each.get("code"))) for each in value["coding"])
    if isinstance(value.get("reference"), str):
        return value["reference"].partition("/_history/")[0]
    return {key: _bare(each) for key, each in value.items() if key not in ("display", "id", "extension", "type")}


_ACCEPTED = frozenset({TaskStatus.ACCEPTED, TaskStatus.IN_PROGRESS, TaskStatus.ON_HOLD, TaskStatus.COMPLETED})


def _identifier(values: Json) -> Identifier | None:
    system, value = values.get("placer_system"), values.get("placer_value")
    return Identifier(system, value) if system and value else None


def _joined(texts: list[str] | None) -> str | None:
    return "\n".join(texts) if texts else None


def _iso(moment: datetime | None) -> str | None:
    return words.instant(moment) if moment else None
