"""One transaction: record, FHIR projection, audit rows, outbox rows, or none of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, select, update

from peerfhir import clock as clocks
from peerfhir.clock import Clock
from peerfhir.errors import InvalidResource, MappingFailed
from peerfhir.fhir.reader import Json
from peerfhir.fhir.store import Store
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter, GroupSession
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.outcome import Instrument, Outcome
from peerfhir.pathway.people import Actor, Identifier, Peer, Person, Program
from peerfhir.pathway.ports import Owed
from peerfhir.pathway.referral import Referral, is_paused
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece, Recipient, TaskStatus
from peerfhir.records import audit, consents, encounters, numbers, outcomes, people, projection, referrals, versions
from peerfhir.records import owed as owings
from peerfhir.records.database import writing
from peerfhir.records.projection import Projector
from peerfhir.records.schema import outbox_message
from peerfhir.records.versions import Noun, Record

_log = logging.getLogger(__name__)

# What a mistake in a program raises. The database and the wire raise others, and those break the work off.
_MISTAKES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, AssertionError)

R = TypeVar("R", bound=Record)

DEFAULT_HORIZON = timedelta(hours=72)
_ENDED = frozenset(
    {TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.REJECTED, TaskStatus.FAILED, TaskStatus.ENTERED_IN_ERROR}
)
_NOUNS: Mapping[str, Noun[Any]] = {
    noun.kind: noun
    for noun in (
        people.PERSON, people.PEER, referrals.REFERRAL, referrals.ENGAGEMENT, encounters.ENCOUNTER,
        encounters.GROUP, outcomes.OUTCOME, outcomes.SAFETY, consents.GRANT,
    )
}  # fmt: skip


class Office:
    """Opens works: what every transaction needs beside its connection.

    recipients  endpoint id -> for whom grants are asked when something is owed there
    horizon     endpoint id -> how long a message is tried
    project     adapters.projection.project, which this room may not import
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        programs: Mapping[str, Program],
        instruments: Mapping[str, Instrument],
        recipients: Mapping[str, Recipient],
        project: Projector,
        horizon: Mapping[str, timedelta] | None = None,
        new_id: Callable[[], str] = clocks.new_id,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.programs = programs
        self.instruments = instruments
        self.recipients = recipients
        self.project = project
        self.horizon = horizon or {}
        self.new_id = new_id

    @contextmanager
    def work(self, actor: Actor, *, execution_id: str | None = None) -> Iterator[Work]:
        """One write transaction on the actor's program: all of it at the end of the block, or nothing.

        Raises  DatabaseBusy (later); NotFoundHere when the actor's program does not exist
        """
        with writing(self.engine) as connection:
            work = self.joined(connection, actor, execution_id=execution_id)
            yield work
            work.finish()

    def joined(self, connection: Connection, actor: Actor, *, execution_id: str | None = None) -> Work:
        """A work inside somebody else's open transaction; call its finish() as the last thing before the commit."""
        program = self.programs.get(actor.program_id)
        if program is None:
            raise NotFoundHere
        return Work(self, connection, actor, program, execution_id)

    def rerun_projection(self, actor: Actor, message_id: int, *, execution_id: str | None = None) -> bool:
        """Project a parked record again, as it is now; True when that worked, False when it stays parked.

        Raises  NotFoundHere when no projection is parked under this id
        """
        with self.work(actor, execution_id=execution_id) as work:
            return work.rerun_projection(message_id)


class Work:
    """One unit of work over one program's records; fulfils pathway.ports.Books and the projection's Context."""

    def __init__(
        self, office: Office, connection: Connection, actor: Actor, program: Program, execution_id: str | None
    ) -> None:
        self.actor = actor
        self.program = program
        self.connection = connection
        self.store = Store(connection, program.id, office.clock)
        self.execution_id = execution_id
        self._office = office
        self._shelf = projection.Shelf(self.store)
        self._now = office.clock.now()  # one instant for everything that happens together
        self._saved: dict[tuple[str, str], Record] = {}  # by kind and id, the last version of each
        self._unprojected: dict[tuple[str, str], None] = {}  # in the order of the first save
        self._entries: list[audit.Entry] = []

    # -- time and numbers

    def now(self) -> datetime:
        return self._now

    def new_id(self) -> str:
        return self._office.new_id()

    def next_number(self, prefix: str) -> str:
        return numbers.next_number(self.connection, self.program.id, prefix)

    # -- people

    def person(self, person_id: str) -> Person:
        return people.at(self.connection, self.program.id, person_id)

    def person_by_identifier(self, identifiers: Sequence[Identifier]) -> Person | None:
        return people.by_identifier(self.connection, self.program.id, identifiers)

    def save_person(self, person: Person) -> Person:
        return self._keep(people.PERSON, person, people.save)

    def peer(self, peer_id: str) -> Peer:
        return people.peer_at(self.connection, self.program.id, peer_id)

    def peers(self) -> Sequence[Peer]:
        return people.peers(self.connection, self.program.id)

    def save_peer(self, peer: Peer) -> Peer:
        return self._keep(people.PEER, peer, people.save_peer)

    # -- referrals

    def referral(self, referral_id: str) -> Referral:
        return referrals.at(self.connection, self.program.id, referral_id)

    def referrals_of(self, person_id: str) -> Sequence[Referral]:
        return referrals.of_person(self.connection, self.program.id, person_id)

    def referral_by_task(self, task_id: str) -> Referral | None:
        return referrals.by_task(self.connection, self.program.id, task_id)

    def save_referral(self, referral: Referral) -> Referral:
        """Keep it; when a pause of it ends here, what waited for that is let go in the same commit."""
        was_paused = referral.version > 0 and not is_paused(referral) and is_paused(self.referral(referral.id))
        saved = self._keep(referrals.REFERRAL, referral, referrals.save)
        if was_paused:
            owings.release(self.connection, self.program.id, saved.person_id, saved.id, self._now)
        return saved

    def engagement(self, engagement_id: str) -> Engagement:
        return referrals.engagement_at(self.connection, self.program.id, engagement_id)

    def engagement_of(self, referral_id: str) -> Engagement | None:
        return referrals.engagement_of(self.connection, self.program.id, referral_id)

    def save_engagement(self, engagement: Engagement) -> Engagement:
        return self._keep(referrals.ENGAGEMENT, engagement, referrals.save_engagement)

    # -- encounters

    def encounter(self, encounter_id: str) -> Encounter:
        return encounters.at(self.connection, self.program.id, encounter_id)

    def encounter_by_client_uuid(self, client_uuid: str) -> Encounter | None:
        return encounters.by_client_uuid(self.connection, self.program.id, client_uuid)

    def encounters_of(self, person_id: str) -> Sequence[Encounter]:
        return encounters.of_person(self.connection, self.program.id, person_id)

    def save_encounter(self, encounter: Encounter) -> Encounter:
        return self._keep(encounters.ENCOUNTER, encounter, encounters.save)

    def save_group(self, session: GroupSession) -> GroupSession:
        return self._keep(encounters.GROUP, session, encounters.save_group)

    # -- outcomes

    def instrument(self, instrument_id: str) -> Instrument:
        try:
            return self._office.instruments[instrument_id]
        except KeyError:
            raise NotFoundHere from None

    def outcome(self, outcome_id: str) -> Outcome:
        return outcomes.at(self.connection, self.program.id, outcome_id)

    def outcomes_of(self, person_id: str) -> Sequence[Outcome]:
        return outcomes.of_person(self.connection, self.program.id, person_id)

    def save_outcome(self, outcome: Outcome) -> Outcome:
        return self._keep(outcomes.OUTCOME, outcome, outcomes.save)

    def save_safety_event(self, event: SafetyEvent) -> SafetyEvent:
        return self._keep(outcomes.SAFETY, event, outcomes.save_safety)

    def safety_event_from(self, source: str) -> SafetyEvent | None:
        return outcomes.safety_from(self.connection, self.program.id, source)

    # -- consent

    def grants_of(self, person_id: str) -> Sequence[Grant]:
        return consents.ledger(self.connection, self.program.id, person_id)

    def save_grant(self, grant: Grant) -> Grant:
        return self._keep(consents.GRANT, grant, consents.save)

    # -- what is owed

    def recipient_of(self, referral: Referral) -> Recipient | None:
        """For whom the referral's hospital receives; None when nothing is owed anywhere."""
        endpoint = referral.origin.endpoint if referral.origin else None
        return None if endpoint is None else self._office.recipients.get(endpoint)

    def owe(self, owed: Owed) -> None:
        """Put a piece in the lane of the hospital that ordered the referral; the same piece again is owed once.

        A status is always told of a fresh version: what is said outwards also depends on the person's choice,
        so the same version may have been told in other words before.
        """
        referral = self._last(referrals.REFERRAL, owed.referral_id)
        endpoint = referral.origin.endpoint if referral.origin else None
        if endpoint is None:
            return
        if owed.piece is Piece.STATUS and (referrals.REFERRAL.kind, referral.id) not in self._saved:
            referral = self.save_referral(referral)
        row = self._row(owed, referral, endpoint)
        message_id = owings.owe_row(self.connection, row, self._now)
        if message_id is not None and owed.piece is Piece.STATUS:
            owings.supersede(
                self.connection, row, message_id, lambda version: self._ended(referral.id, version), self._now
            )

    def _row(self, owed: Owed, referral: Referral, endpoint: str) -> owings.OwedRow:
        record: Any = self._last(_NOUNS[owed.record_type], owed.record_id)
        if owed.piece is Piece.STATUS:
            idem = f"{referral.number}:{owed.piece}:{referral.version}"
        else:
            idem = ":".join([record.number, owed.piece, *([owed.detail] if owed.detail else [])])
        return owings.OwedRow(
            program_id=self.program.id,
            endpoint=endpoint,
            order_key=owed.person_id or owed.referral_id,
            idem=idem,
            piece=owed.piece,
            detail=owed.detail,
            share_class=SHARE_CLASS_OF[owed.piece],
            person_id=owed.person_id,
            referral_id=owed.referral_id,
            record_type=owed.record_type,
            record_id=owed.record_id,
            record_version=record.version,
            horizon_at=self._now + self._office.horizon.get(endpoint, DEFAULT_HORIZON),
            execution_id=self.execution_id,
        )

    def _ended(self, referral_id: str, version: int) -> bool:
        """True when the referral, as it was told of at this version, had ended."""
        then = referrals.at(self.connection, self.program.id, referral_id, version)
        return (then.told.task_status if then.told else then.task_status) in _ENDED

    def cancel_owed(
        self, person_id: str, reason: str, *, keep: frozenset[Piece] = frozenset(), referral_id: str | None = None
    ) -> int:
        """Cancel what waits for a person, or for one referral; how many. Their bytes are gone."""
        count = owings.cancel(
            self.connection, self.program.id, person_id, reason, self._now, keep=keep, referral_id=referral_id
        )
        self.audit("cancel", f"person/{person_id}", person_id, detail=f"{count} owed messages: {reason}")
        return count

    # -- what belongs to every change

    def current(self, type_: str, id_: str) -> Json | None:
        """A stored resource as it is now; None when there is none."""
        return self._shelf.current(type_, id_)

    def audit(
        self, action: str, subject: str, person_id: str | None = None, outcome: str = "ok", detail: str | None = None
    ) -> None:
        """One line of the audit, kept with this transaction. No personal data in any of the words."""
        self._entries.append(
            audit.Entry(
                program_id=self.program.id,
                at=self._now,
                actor=self.actor.id,
                role=self.actor.role.value,
                action=action,
                subject=subject,
                person_id=person_id,
                outcome=outcome,
                detail=detail,
                execution_id=self.execution_id,
            )
        )

    def finish(self) -> None:
        """Project what was saved, then close the audit chain: the last thing before the commit."""
        for kind, record_id in self._unprojected:
            self._project(kind, self._saved[kind, record_id])
        self._unprojected.clear()
        audit.append(self.connection, self._entries)
        self._entries.clear()

    def rerun_projection(self, message_id: int) -> bool:
        """See Office.rerun_projection."""
        row = outbox_message.c
        mine = (row.program_id == self.program.id) & (row.id == message_id)
        parked = self.connection.execute(
            select(row.record_type, row.record_id).where(mine, row.endpoint == "", row.state == "parked")
        ).one_or_none()
        if parked is None:
            raise NotFoundHere
        noun = _NOUNS[parked.record_type]
        fault = self._show(versions.at(self.connection, noun, self.program.id, parked.record_id))
        values: dict[str, Any] = {"state": "done", "reason": None, "advice": None, "settled_at": self._now}
        if fault is not None:
            values = {"reason": fault.code, "advice": projection.advice(fault)}
        self.connection.execute(update(outbox_message).where(mine).values(**values, attempts=row.attempts + 1))
        self.audit("rerun", f"outbox/{message_id}", outcome="failed" if fault else "ok")
        return fault is None

    def _keep(self, noun: Noun[R], record: R, save: Callable[[Connection, R, datetime], R]) -> R:
        if record.program_id != self.program.id:
            raise NotFoundHere
        saved = save(self.connection, record, self._now)
        self._saved[noun.kind, saved.id] = saved
        if noun.kind in projection.PROJECTED:
            self._unprojected[noun.kind, saved.id] = None
        about = getattr(saved, "person_id", saved.id if noun.kind == "person" else None)
        self.audit("create" if record.version == 0 else "update", f"{noun.kind}/{saved.id}", about)
        return saved

    def _last(self, noun: Noun[R], record_id: str) -> R:
        """The record as this work saved it, or as it is."""
        saved = self._saved.get((noun.kind, record_id))
        if saved is not None:
            return cast("R", saved)  # filed under its own kind
        return versions.at(self.connection, noun, self.program.id, record_id)

    def _project(self, kind: str, record: Record) -> None:
        fault = self._show(record)
        if fault is not None:
            projection.park(self.connection, kind, record, fault, self._now, self.execution_id)

    def _show(self, record: Record) -> MappingFailed | InvalidResource | None:
        """Write what the record looks like outside, or say what is wrong with the mapping."""
        try:
            shown = self._office.project(projection.outward(record), self)
        except (MappingFailed, InvalidResource) as fault:
            return fault
        except _MISTAKES as mistake:
            # the kind alone: the text of an exception may hold a value
            _log.error("projection of a %s: %s", type(record).__name__, type(mistake).__name__)
            return MappingFailed("A mistake of ours kept this record from being shown; the log names its kind.")
        for one in shown:
            self._shelf.put(one)
        return None
