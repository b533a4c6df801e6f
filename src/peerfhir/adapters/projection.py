"""A record -> the resources our own API serves for it, under ids that never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from peerfhir.adapters import consent as consents
from peerfhir.adapters import encounter as encounters
from peerfhir.adapters import engagement as engagements
from peerfhir.adapters import outcome as outcomes
from peerfhir.adapters import people
from peerfhir.adapters import referral as referrals
from peerfhir.adapters.author import checked
from peerfhir.adapters.pieces import Refs
from peerfhir.fhir.labels import Projected
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.consent import Grant, has_chosen
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.outcome import Instrument, Outcome
from peerfhir.pathway.people import Person, Program
from peerfhir.pathway.referral import Origin, Referral, outward
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece, ShareClass

# What a person granted to whom is for the program alone: no grant names this class, so nobody outside is shown it.
LEDGER = "ledger"


class Context(Protocol):
    """What a projection may look up; records gives it, inside the transaction that saves the record."""

    @property
    def program(self) -> Program: ...
    def referral(self, referral_id: str) -> Referral: ...
    def referrals_of(self, person_id: str) -> Sequence[Referral]: ...
    def person(self, person_id: str) -> Person: ...
    def engagement_of(self, referral_id: str) -> Engagement | None: ...
    def current(self, kind: str, resource_id: str, /) -> Json | None: ...


@dataclass(frozen=True)
class _Here:
    """What stands around one record on our own API; `patient` is set when we have to serve the Patient ourselves."""

    refs: Refs
    engagement: Engagement | None
    patient: Projected | None


def project(
    mappings: Mappings, instruments: Mapping[str, Instrument], record: object, context: Context
) -> list[Projected]:
    """The resources of one saved record; none for what is never exported (people, groups, safety, peers).

    Raises  MappingFailed (never): the record is kept all the same
    """
    match record:
        case Referral():
            return _referral(mappings, record, context)
        case Engagement():
            return _engagement(mappings, record, context)
        case Encounter():
            return _encounter(mappings, record, context)
        case Outcome():
            return _outcome(mappings, instruments[record.instrument_id], record, context)
        case Grant():
            return _grant(mappings, record, context)
    return []


def _referral(mappings: Mappings, referral: Referral, context: Context) -> list[Projected]:
    """Our own Task, brought up to date in its outward form; the order's other resources stay as they were sent.

    Attendance counts as not granted: every recipient of `existence` reads this one Task, and a grant is for one.
    """
    origin = referral.origin
    current = context.current("Task", origin.task_id) if origin and origin.task_id else None
    if current is None:
        return []
    here = _here(mappings, referral.person_id, referral, context)
    person = context.person(referral.person_id)
    shown = outward(referral, choice_recorded=has_chosen(person), attendance=False)
    ours = referrals.status_to_fhir(mappings, referral, shown, here.refs, here.engagement, program=context.program)
    merged = referrals.merge_task(current, ours)
    return [Projected(checked(merged), ShareClass.EXISTENCE.value, referral.person_id)]


def _engagement(mappings: Mappings, engagement: Engagement, context: Context) -> list[Projected]:
    referral = context.referral(engagement.referral_id)
    here = _here(mappings, engagement.person_id, referral, context)
    resource = engagements.to_fhir(mappings, engagement, here.refs, context.program)
    return _with_patient(here, [_own(resource, engagement.id, ShareClass.EXISTENCE.value, engagement.person_id)])


def _encounter(mappings: Mappings, encounter: Encounter, context: Context) -> list[Projected]:
    """Encounter, then its summary and procedure. The peer is not named: these classes do not cover the name."""
    here = _here(mappings, encounter.person_id, _order(encounter.referral_id, context), context)
    refs = here.refs
    pieces = [Piece.ENCOUNTER]
    if encounter.summary is not None:
        pieces.append(Piece.SUMMARY)
    if encounter.status != "cancelled":
        pieces.append(Piece.PROCEDURE)
    made = []
    for piece in pieces:
        resource = encounters.to_fhir(
            mappings,
            piece,
            encounter,
            refs,
            engagement=here.engagement,
            peer=None,
            program=context.program,
            named=False,
        )
        made.append(_own(resource, encounter.id, SHARE_CLASS_OF[piece].value, encounter.person_id))
        refs = replace(refs, encounter=f"Encounter/{encounter.id}")
    return _with_patient(here, made)


def _outcome(mappings: Mappings, instrument: Instrument, outcome: Outcome, context: Context) -> list[Projected]:
    """The answers, each answered question, the total and the panel.

    The panel names the total alone as its member: the list of answered questions is itself an answer.
    """
    here = _here(mappings, outcome.person_id, _order(outcome.referral_id, context), context)
    refs = replace(here.refs, encounter=f"Encounter/{outcome.encounter_id}" if outcome.encounter_id else None)
    linked = replace(refs, response=f"QuestionnaireResponse/{outcome.id}", total=f"Observation/{outcome.id}-total")
    made: list[Projected] = []

    def add(piece: Piece, resource_id: str, refs: Refs, link_id: str | None = None) -> None:
        resource = outcomes.to_fhir(mappings, piece, outcome, instrument, refs, link_id)
        made.append(_own(resource, resource_id, SHARE_CLASS_OF[piece].value, outcome.person_id))

    add(Piece.RESPONSE, outcome.id, refs)
    for item in instrument.items:
        if item.link_id in outcome.answers and item.code:
            add(Piece.ITEM, f"{outcome.id}-{item.code}", linked, item.link_id)
    add(Piece.TOTAL, f"{outcome.id}-total", linked)
    add(Piece.PANEL, f"{outcome.id}-panel", linked)
    return _with_patient(here, made)


def _grant(mappings: Mappings, grant: Grant, context: Context) -> list[Projected]:
    here = _here(mappings, grant.person_id, None, context)
    resource = consents.to_fhir(mappings, grant, here.refs, context.program)
    return [_own(resource, grant.id, LEDGER, grant.person_id)]


def _here(mappings: Mappings, person_id: str, referral: Referral | None, context: Context) -> _Here:
    """Where a record of this person stands: the order it belongs to, and the Patient that came with it.

    A record without an order is put beside the Patient of any order of the person; only when no order ever brought
    one do we serve the Patient from what we know.
    """
    orders = [referral] if referral else []
    orders += [each for each in reversed(context.referrals_of(person_id)) if each is not referral]
    patient_id = next((each.origin.patient_id for each in orders if each.origin and each.origin.patient_id), None)
    engagement = context.engagement_of(referral.id) if referral else None
    origin = (referral.origin if referral else None) or Origin(source="")
    refs = Refs(
        patient=f"Patient/{patient_id or person_id}",
        request=f"ServiceRequest/{origin.request_id}" if origin.request_id else None,
        task=f"Task/{origin.task_id}" if origin.task_id else None,
        program=_owner(origin, context),
        episode=f"EpisodeOfCare/{engagement.id}" if engagement else None,
    )
    if patient_id:
        return _Here(refs, engagement, None)
    ours = people.person_to_fhir(mappings, context.person(person_id))
    return _Here(refs, engagement, _own(ours, person_id, ShareClass.EXISTENCE.value, person_id))


def _owner(origin: Origin, context: Context) -> str | None:
    """The Organization of the program as the order's Task names it."""
    task = context.current("Task", origin.task_id) if origin.task_id else None
    owner: str | None = ((task or {}).get("owner") or {}).get("reference")
    return owner


def _order(referral_id: str | None, context: Context) -> Referral | None:
    return context.referral(referral_id) if referral_id else None


def _own(resource: Json, resource_id: str, share_class: str, person_id: str) -> Projected:
    head = {"resourceType": resource["resourceType"], "id": resource_id}
    whole = {**head, **{key: resource[key] for key in resource if key not in head}}
    return Projected(checked(whole), share_class, person_id)


def _with_patient(here: _Here, made: list[Projected]) -> list[Projected]:
    return made if here.patient is None else [here.patient, *made]
