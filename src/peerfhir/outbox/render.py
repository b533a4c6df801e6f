"""A record, by its exact version, and an endpoint -> the bytes that will be sent, and by which mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from peerfhir.adapters import encounter as encounters_out
from peerfhir.adapters import outcome as outcomes_out
from peerfhir.adapters import referral as referrals_out
from peerfhir.adapters.author import author
from peerfhir.adapters.pieces import KEPT, Refs
from peerfhir.adapters.writeback import Rung, plan
from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.errors import Fault, NotFound
from peerfhir.fhir import writer
from peerfhir.fhir.capability import Offer
from peerfhir.fhir.reader import Json, read_own
from peerfhir.fhir.store import Store
from peerfhir.mapping.catalogue import Loaded
from peerfhir.mapping.registry import InUse, Mappings
from peerfhir.outbox import addresses, consent
from peerfhir.outbox.lease import MadeBy, Message
from peerfhir.outbox.parked import PINNED
from peerfhir.outbox.prepared import Change, Prepared, Revision
from peerfhir.outbox.reconcile import identifiers_of
from peerfhir.pathway.consent import has_chosen
from peerfhir.pathway.outcome import Instrument
from peerfhir.pathway.people import Program
from peerfhir.pathway.referral import SHOWN, Outward, Referral, outward
from peerfhir.pathway.transitions import TASK_ENDS, never_back, task_steps
from peerfhir.pathway.vocabulary import Piece, ShareClass, Status, TaskStatus
from peerfhir.records import encounters, outcomes, people, referrals

_AS_REQUESTED = frozenset({"received", "ready"})  # other implementations say so before we have accepted
_NEED_ATTENDANCE = frozenset({Status.OUTREACH, Status.INTRO_MISSED, Status.DECIDING})  # docs/rules.md, States


class PlanChanged(Fault):
    """The hospital takes another form of this now than the one it was made in. Run it again as current."""

    code = "plan-changed"
    issue = "conflict"
    status = 409


class Render:
    """The renderer of the house: plan, look up addresses, map, check, write once.

    pinned     a mapping as it was, by its content hash; raises NotFound, MappingFailed
    made_with  what runs the mappings, and the FHIR packages that are installed; written beside the bytes
    """

    def __init__(
        self,
        mappings: InUse,
        clock: Clock,
        *,
        programs: Mapping[str, Program],
        instruments: Mapping[str, Instrument],
        pinned: Callable[[Connection, str], Loaded] | None = None,
        made_with: tuple[str, str] = ("", ""),
    ) -> None:
        self._mappings = mappings
        self._clock = clock
        self._programs = programs
        self._instruments = instruments
        self._pinned = pinned
        self._made_with = made_with

    def __call__(self, connection: Connection, message: Message, endpoint: EndpointSettings, offer: Offer) -> Prepared:
        """The message as this endpoint takes it, from the record version that the row names.

        A replay that is pinned is made by the mapping that made it before, whatever its version is now.
        Raises  MappingFailed, InvalidResource (never)
        """
        mappings = self._mappings.now.under(endpoint.overlays, endpoint.limits)
        before = message.mapping_sha256 if message.replay_mode == PINNED else None
        if before and self._pinned is not None and not mappings.holds(message.mapping_id or "", before):
            mappings = mappings.with_pinned(self._pinned(connection, before))
        there = Rendering(mappings, self._clock, self._programs, self._instruments, self._made_with)
        prepared = there.prepared(connection, message, endpoint, offer)
        if before not in (None, prepared.made_by.mapping_sha256):
            raise PlanChanged
        return prepared


@dataclass(frozen=True)
class Rendering:
    """One message, by the mappings that its endpoint has at this moment."""

    mappings: Mappings
    clock: Clock
    programs: Mapping[str, Program]
    instruments: Mapping[str, Instrument]
    made_with: tuple[str, str]

    def prepared(self, connection: Connection, message: Message, endpoint: EndpointSettings, offer: Offer) -> Prepared:
        rung = plan(Piece(message.piece), offer, endpoint)
        here = _Here(connection, message, endpoint, self.clock.now())
        refs = here.refs(self.clock)
        if rung.form == KEPT:
            return Prepared(KEPT, rung.number, rung.reason)
        if refs is None or (rung.form == "Task" and refs.task is None):
            # nothing can be said of somebody, or of an order, that the hospital's addresses do not name
            return Prepared(KEPT, 4, "the hospital has not told us where the person or the order is in its system")
        if message.piece == Piece.STATUS:
            return self._status(here, rung, refs, offer)
        if message.record_type == "encounter":
            named = here.granted(ShareClass.CARE_TEAM_CONTACT)
            return replace(self._created(rung, self._of_encounter(here, rung, refs, named)), named=named)
        return self._created(rung, self._of_outcome(here, rung, refs))

    def _created(self, rung: Rung, resource: Json) -> Prepared:
        names = identifiers_of(resource)
        return replace(self._chosen(rung), create=author(resource), identifier=names[0] if names else None)

    def _chosen(self, rung: Rung) -> Prepared:
        if rung.mapping is None:
            return Prepared(rung.form, rung.number, rung.reason)
        used, (engine, packages) = self.mappings.get(rung.mapping), self.made_with
        made_by = MadeBy(used.id, used.sha256, used.version, used.overlay, engine or None, packages or None)
        return Prepared(rung.form, rung.number, rung.reason, made_by)

    def _of_encounter(self, here: _Here, rung: Rung, refs: Refs, named: bool) -> Json:
        message, connection = here.message, here.connection
        record = encounters.at(connection, message.program_id, message.record_id, message.record_version)
        engagement = (
            referrals.engagement_of(connection, message.program_id, message.referral_id)
            if message.referral_id
            else None
        )
        return encounters_out.to_fhir(
            self.mappings,
            Piece(message.piece),
            record,
            replace(refs, encounter=here.sent(record.number, Piece.ENCOUNTER, "Encounter")),
            engagement=engagement,
            peer=people.peer_at(connection, message.program_id, record.peer_id),
            program=self.programs[message.program_id],
            named=named,
            mapping=rung.mapping,
        )

    def _of_outcome(self, here: _Here, rung: Rung, refs: Refs) -> Json:
        message, connection = here.message, here.connection
        record = outcomes.at(connection, message.program_id, message.record_id, message.record_version)
        instrument = self.instruments[record.instrument_id]
        meeting = (
            encounters.at(connection, message.program_id, record.encounter_id).number if record.encounter_id else None
        )
        items = [here.sent(record.number, Piece.ITEM, "Observation", item.link_id) for item in instrument.items]
        around = replace(
            refs,
            encounter=here.sent(meeting, Piece.ENCOUNTER, "Encounter") if meeting else None,
            response=here.sent(record.number, Piece.RESPONSE, "QuestionnaireResponse"),
            total=here.sent(record.number, Piece.TOTAL, "Observation"),
            items=tuple(item for item in items if item),
        )
        return outcomes_out.to_fhir(
            self.mappings, Piece(message.piece), record, instrument, around, message.detail, rung.mapping
        )

    def _status(self, here: _Here, rung: Rung, refs: Refs, offer: Offer) -> Prepared:
        message = here.message
        record = referrals.at(here.connection, message.program_id, message.record_id, message.record_version)
        chosen = has_chosen(people.at(here.connection, message.program_id, message.person_id))
        shown = _shown(record, chosen=chosen, attendance=here.granted(ShareClass.ATTENDANCE))
        as_code = False
        if chosen:  # otherwise nothing but the order's own state is said
            refs, as_code = here.with_outputs(refs)
        resource = referrals_out.status_to_fhir(
            self.mappings,
            record,
            shown,
            refs,
            referrals.engagement_of(here.connection, message.program_id, record.id),
            program=self.programs[message.program_id],
            performed_as_code=as_code,
            mapping=rung.mapping,
        )
        if rung.form != "Task":
            return self._created(rung, resource)
        origin = record.origin
        local = f"Task/{origin.task_id}" if origin else ""
        change = Change(refs.task or "", local, lambda current: _revised(current, resource, shown.task_status))
        return replace(self._chosen(rung), change=change)


def _shown(referral: Referral, *, chosen: bool, attendance: bool) -> Outward:
    """What was decided to tell when it was owed; less when the person agrees to less by now."""
    shown = referral.told or outward(referral, choice_recorded=chosen, attendance=attendance)
    if shown.status in _NEED_ATTENDANCE and not (chosen and attendance):
        return replace(shown, status=Status.IN_CONTACT, display=SHOWN[Status.IN_CONTACT])
    return shown


def _revised(current: Json, ours: Json, wanted: TaskStatus) -> Revision:
    """Our part on top of the Task as it is there, one legal step at a time (docs/rules.md, States "Bridging")."""
    said = current.get("status")
    try:
        before = TaskStatus.REQUESTED if said in _AS_REQUESTED else TaskStatus(said)
    except ValueError:
        before = wanted  # a status we do not know: it is theirs to repair, ours is written
    after = never_back(before, wanted)
    if before in TASK_ENDS and after is not wanted:
        return Revision(None)  # its keeper has ended it
    steps = task_steps(before, after)
    if len(steps) > 1:
        return Revision(writer.write({**current, "status": steps[0].value}), more=True)
    merged = referrals_out.merge_task(current, {**ours, "status": after.value})
    return Revision(None) if merged == current else Revision(writer.write(merged))


@dataclass(frozen=True)
class _Here:
    """Looks up what surrounds one message, in the transaction that asked consent."""

    connection: Connection
    message: Message
    endpoint: EndpointSettings
    now: datetime

    def refs(self, clock: Clock) -> Refs | None:
        """Patient, order, Task and program as the endpoint knows them; None when it does not name the person."""
        mine = self.message.referral_id
        orders = [referrals.at(self.connection, self.message.program_id, mine)] if mine else []
        orders += reversed(referrals.of_person(self.connection, self.message.program_id, self.message.person_id))
        known = (self._theirs("Patient", one.origin.patient_id if one.origin else None) for one in orders)
        patient = next((found for found in known if found), None)
        if patient is None:
            return None
        origin = orders[0].origin if mine else None
        task_id, request_id = (origin.task_id, origin.request_id) if origin else (None, None)
        store = Store(self.connection, self.message.program_id, clock)
        task, request = _stored(store, "Task", task_id), _stored(store, "ServiceRequest", request_id)
        requester = self._reference((request or {}).get("requester") or (task or {}).get("requester"))
        return Refs(
            patient=patient,
            request=self._theirs("ServiceRequest", request_id),
            task=self._theirs("Task", task_id),
            program=self._reference((task or {}).get("owner")),
            recipients=(requester,) if requester else (),
        )

    def sent(self, number: str, piece: Piece, form: str, detail: str | None = None) -> str | None:
        """The address of an earlier piece, when it was sent in this form."""
        local = ":".join([number, piece.value, *([detail] if detail else [])])
        found = self._address(local)
        return found if found and found.startswith(f"{form}/") else None

    def with_outputs(self, refs: Refs) -> tuple[Refs, bool]:
        """What was sent for the referral, as outputs of its Task; and whether a session could only be said in words."""
        referral_id = self.message.referral_id or ""
        settled = addresses.sent_of(self.connection, self.message.program_id, self.endpoint.id, referral_id)
        by_piece: dict[str, list[str]] = {}
        as_code = False
        for piece, form, reference in settled:
            as_code = as_code or (piece == Piece.PROCEDURE and form == KEPT)
            if reference and reference.startswith(f"{form}/"):
                kind = "document" if form in ("DocumentReference", "Communication") else piece
                by_piece.setdefault(kind, []).append(reference)
        outputs = replace(
            refs,
            procedures=tuple(by_piece.get(Piece.PROCEDURE, ())),
            response=_last(by_piece.get(Piece.RESPONSE)),
            total=_last(by_piece.get(Piece.TOTAL)),
            items=tuple(by_piece.get(Piece.ITEM, ())),
            documents=tuple(by_piece.get("document", ())),
        )
        return outputs, as_code

    def granted(self, share_class: ShareClass) -> bool:
        """Whether the endpoint's recipient holds a class now."""
        return consent.ask_for(self.connection, self.message, self.endpoint, self.now, share_class).permit

    def _theirs(self, kind: str, ours: str | None) -> str | None:
        return self._address(f"{kind}/{ours}") if ours else None

    def _reference(self, element: Json | None) -> str | None:
        """A reference in our own copy of what they sent, as they know it."""
        text = element.get("reference") if isinstance(element, dict) else None
        if not isinstance(text, str):
            return None
        base = f"{self.endpoint.base_url}/"
        return text.removeprefix(base) if text.startswith(base) else self._address(text)

    def _address(self, local: str) -> str | None:
        return addresses.of(self.connection, self.message.program_id, self.endpoint.id, local)


def _stored(store: Store, kind: str, resource_id: str | None) -> Json | None:
    if resource_id is None:
        return None
    try:
        return read_own(store.read(kind, resource_id).body)
    except NotFound:
        return None


def _last(references: list[str] | None) -> str | None:
    return references[-1] if references else None
