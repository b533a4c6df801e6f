"""Books in memory, which note everything that was saved, owed and cancelled; and people to fill them with."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from peerfhir.pathway import steps
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter, GroupSession
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.outcome import AnswerOption, Band, Instrument, Item, Outcome, Scale, Sentinel
from peerfhir.pathway.people import Actor, Identifier, Peer, Person, Program
from peerfhir.pathway.ports import Owed
from peerfhir.pathway.referral import Origin, Referral
from peerfhir.pathway.refusals import NotFoundHere, Refusal, StaleVersion
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.pathway.vocabulary import (
    CompleteOn,
    ContactOutcome,
    Modality,
    Piece,
    Recipient,
    Role,
    ServiceType,
    ShareClass,
    Status,
    TaskStatus,
)

START = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
HOSPITAL = "practice-hospital"


@dataclass
class Waiting:
    """One owed piece, with the referral as it was then."""

    owed: Owed
    at: datetime
    referral: Referral
    cancelled: str | None = None


@dataclass
class Shelf:
    """What all views of the same books share."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    saves: list[tuple[str, Any, Any]] = field(default_factory=list)  # kind, before, after
    numbers: dict[str, int] = field(default_factory=dict)
    instruments: dict[str, Instrument] = field(default_factory=dict)
    rng: random.Random = field(default_factory=lambda: random.Random(20261125))
    now: datetime = START


class MemoryBooks:
    """pathway.ports.Books over dicts. `acting` gives the same books to somebody else."""

    def __init__(self, program: Program, actor: Actor, shelf: Shelf | None = None) -> None:
        self.program = program
        self.actor = actor
        self.shelf = shelf or Shelf()

    def acting(self, actor: Actor) -> MemoryBooks:
        return MemoryBooks(self.program, actor, self.shelf)

    def later(self, **delta: float) -> None:
        self.shelf.now += timedelta(**delta)

    def state(self) -> object:
        """Everything that is kept, to compare: the records are frozen, so a shallow copy holds still."""
        shelf = self.shelf
        kept = {kind: dict(records) for kind, records in shelf.records.items() if records}
        waiting = [(w.owed, w.at, w.referral, w.cancelled) for w in shelf.waiting]
        return kept, waiting, len(shelf.saves), dict(shelf.numbers)

    def now(self) -> datetime:
        return self.shelf.now

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.shelf.rng.getrandbits(128), version=4))

    def next_number(self, prefix: str) -> str:
        self.shelf.numbers[prefix] = self.shelf.numbers.get(prefix, 0) + 1
        return f"{prefix}-{self.shelf.numbers[prefix]:06d}"

    def _all(self, kind: str) -> dict[str, Any]:
        return self.shelf.records.setdefault(kind, {})

    def _get(self, kind: str, key: str) -> Any:
        found = self._all(kind).get(key)
        if found is None or found.program_id != self.program.id:
            raise NotFoundHere
        return found

    def _save(self, kind: str, record: Any) -> Any:
        before = self._all(kind).get(record.id)
        if (before.version if before else 0) != record.version:
            raise StaleVersion
        saved = replace(record, version=record.version + 1)
        self._all(kind)[record.id] = saved
        self.shelf.saves.append((kind, before, saved))
        return saved

    def person(self, person_id: str) -> Person:
        return self._get("person", person_id)

    def person_by_identifier(self, identifiers: Sequence[Identifier]) -> Person | None:
        people = self._all("person").values()
        return next((p for p in people if set(p.identifiers) & set(identifiers)), None)

    def save_person(self, person: Person) -> Person:
        return self._save("person", person)

    def peer(self, peer_id: str) -> Peer:
        return self._get("peer", peer_id)

    def peers(self) -> Sequence[Peer]:
        return [p for p in self._all("peer").values() if p.program_id == self.program.id]

    def save_peer(self, peer: Peer) -> Peer:
        return self._save("peer", peer)

    def referral(self, referral_id: str) -> Referral:
        return self._get("referral", referral_id)

    def referrals_of(self, person_id: str) -> Sequence[Referral]:
        return [r for r in self._all("referral").values() if r.person_id == person_id]

    def referral_by_task(self, task_id: str) -> Referral | None:
        referrals = self._all("referral").values()
        return next((r for r in referrals if r.origin and r.origin.task_id == task_id), None)

    def recipient_of(self, referral: Referral) -> Recipient | None:
        return Recipient.HOSPITAL if referral.origin and referral.origin.endpoint else None

    def save_referral(self, referral: Referral) -> Referral:
        return self._save("referral", referral)

    def engagement_of(self, referral_id: str) -> Engagement | None:
        return next((e for e in self._all("engagement").values() if e.referral_id == referral_id), None)

    def save_engagement(self, engagement: Engagement) -> Engagement:
        return self._save("engagement", engagement)

    def encounter(self, encounter_id: str) -> Encounter:
        return self._get("encounter", encounter_id)

    def encounter_by_client_uuid(self, client_uuid: str) -> Encounter | None:
        return next((e for e in self._all("encounter").values() if e.client_uuid == client_uuid), None)

    def encounters_of(self, person_id: str) -> Sequence[Encounter]:
        return [e for e in self._all("encounter").values() if e.person_id == person_id]

    def save_encounter(self, encounter: Encounter) -> Encounter:
        return self._save("encounter", encounter)

    def save_group(self, session: GroupSession) -> GroupSession:
        return self._save("group", session)

    def instrument(self, instrument_id: str) -> Instrument:
        if instrument_id not in self.shelf.instruments:
            raise NotFoundHere
        return self.shelf.instruments[instrument_id]

    def outcomes_of(self, person_id: str) -> Sequence[Outcome]:
        return [o for o in self._all("outcome").values() if o.person_id == person_id]

    def save_outcome(self, outcome: Outcome) -> Outcome:
        return self._save("outcome", outcome)

    def save_safety_event(self, event: SafetyEvent) -> SafetyEvent:
        return self._save("safety", event)

    def safety_event_from(self, source: str) -> SafetyEvent | None:
        return next((e for e in self._all("safety").values() if e.source == source), None)

    def grants_of(self, person_id: str) -> Sequence[Grant]:
        return [g for g in self._all("grant").values() if g.person_id == person_id]

    def save_grant(self, grant: Grant) -> Grant:
        return self._save("grant", grant)

    def owe(self, owed: Owed) -> None:
        self.shelf.waiting.append(Waiting(owed, self.now(), self.referral(owed.referral_id)))

    def cancel_owed(
        self, person_id: str, reason: str, *, keep: frozenset[Piece] = frozenset(), referral_id: str | None = None
    ) -> int:
        hit = [
            w
            for w in self.shelf.waiting
            if w.cancelled is None
            and w.owed.person_id == person_id
            and w.owed.piece not in keep
            and referral_id in (None, w.owed.referral_id)
        ]
        for waiting in hit:
            waiting.cancelled = reason
        return len(hit)

    # what tests look at

    def owed(self, *pieces: Piece, cancelled: bool = False) -> list[Waiting]:
        return [
            w
            for w in self.shelf.waiting
            if (cancelled or w.cancelled is None) and (not pieces or w.owed.piece in pieces)
        ]

    def told(self, referral_id: str) -> list[tuple[str, str]]:
        """(Task.status, businessStatus) of each status owed for a referral, in order."""
        return [
            (w.referral.told.task_status.value, w.referral.told.status.value)
            for w in self.owed(Piece.STATUS, cancelled=True)
            if w.owed.referral_id == referral_id and w.referral.told
        ]

    @contextmanager
    def refused(self, kind: type[Refusal]) -> Iterator[None]:
        """The step inside is refused in this way, and has changed nothing."""
        before = self.state()
        try:
            yield
        except kind as refusal:
            if type(refusal) is not kind:
                raise AssertionError(f"refused as {type(refusal).__name__}, not {kind.__name__}") from refusal
            if self.state() != before:
                raise AssertionError("a refused step has saved something") from refusal
            return
        raise AssertionError(f"not refused, {kind.__name__} was expected")


PROGRAM = Program("riverside", "Riverside Peer Support", time_zone="America/New_York")


def staff(role: Role = Role.COORDINATOR, program_id: str = "riverside") -> Actor:
    return Actor(f"user-{role.value}", role, program_id, "Staff")


GATEWAY = Actor("gateway", Role.GATEWAY, "riverside", source=HOSPITAL)
REQUESTER = Actor("client-1", Role.REQUESTER, "riverside", source=HOSPITAL)
OTHER_REQUESTER = Actor("client-2", Role.REQUESTER, "riverside", source="other-hospital")
COORDINATOR = staff()


def as_peer(peer_id: str) -> Actor:
    return Actor(f"user-{peer_id}", Role.PEER, "riverside", peer_id=peer_id)


def as_person(person_id: str) -> Actor:
    return Actor(f"person-{person_id}", Role.PERSON, "riverside", person_id=person_id)


def a_peer(peer_id: str, **changes: Any) -> Peer:
    made = Peer(
        peer_id,
        "riverside",
        f"Peer {peer_id}",
        languages=frozenset({"en"}),
        credential_until=date(2027, 1, 1),
    )
    return replace(made, **changes)


def a_person(person_id: str = "", **changes: Any) -> Person:
    made = Person(
        person_id,
        "riverside",
        "Rosalind",
        "Testcase",
        identifiers=(Identifier("urn:example:mrn", f"MRN-{person_id or 'x'}"),),
    )
    return replace(made, **changes)


def an_order(task_id: str = "task-1", **changes: Any) -> Referral:
    made = Referral(
        "",
        "riverside",
        "",
        "",
        Status.SENT,
        TaskStatus.REQUESTED,
        origin=Origin(HOSPITAL, HOSPITAL, task_id, f"request-{task_id}"),
    )
    return replace(made, **changes)


def scale_of_nine() -> Instrument:
    """A questionnaire of the shape of PHQ-9, without its text."""
    options = tuple(AnswerOption(f"A{n}", "urn:example", f"Answer {n}", Decimal(n)) for n in range(4))
    items = tuple(
        Item(f"/{n}", f"Question {n}", f"code-{n}", options, Sentinel(Decimal(1)) if n == 9 else None)
        for n in range(1, 10)
    )
    bands = tuple(Band(Decimal(low), f"band-{low}", f"Band {low}") for low in (0, 5, 10, 15, 20))
    scale = Scale("total", tuple(i.link_id for i in items), Decimal(0), Decimal(27), 2, bands=bands)
    return Instrument(
        "phq-9", "Nine questions", "1", "urn:example:nine", "panel", "total", "Panel", "Total", items, scale
    )


def new_books(complete_on: CompleteOn = CompleteOn.ENROLLED, *, peers: int = 3) -> MemoryBooks:
    """A program with some peers and one questionnaire, in the hands of its gateway."""
    books = MemoryBooks(replace(PROGRAM, complete_on=complete_on), GATEWAY)
    books.shelf.instruments["phq-9"] = scale_of_nine()
    for n in range(1, peers + 1):
        books.save_peer(a_peer(f"p{n}"))
    return books


def arrive(books: MemoryBooks, person: Person | None = None, task_id: str = "task-1") -> Referral:
    return steps.receive_referral(books.acting(GATEWAY), person or a_person(), an_order(task_id))


def bring(books: MemoryBooks, status: Status, person: Person | None = None, task_id: str = "task-1") -> Referral:
    """A referral that has come as far as `status` on the usual way, with peer p1."""
    referral = arrive(books, person, task_id)
    at = referral.id
    peer, coordinator = as_peer("p1"), COORDINATOR
    person_actor = as_person(referral.person_id)
    way: list[tuple[Status, Any]] = [
        (Status.RECEIVED, lambda: referral),
        (Status.TRIAGE, lambda: steps.start_triage(books.acting(coordinator), at)),
        (Status.MATCH_PROPOSED, lambda: steps.propose_peers(books.acting(coordinator), at)),
        (Status.MATCH_PROPOSED, lambda: steps.choose_peer(books.acting(person_actor), at, "p1")),
        (Status.ASSIGNED, lambda: steps.accept_person(books.acting(peer), at)),
        (Status.OUTREACH, lambda: attempt(books, at, ContactOutcome.NO_ANSWER)),
        (Status.CONTACT_MADE, lambda: attempt(books, at, ContactOutcome.ANSWERED)),
        (
            Status.INTRO_SCHEDULED,
            lambda: steps.book_meeting(books.acting(peer), at, books.now() + timedelta(days=1)),
        ),
        (Status.INTRO_DONE, lambda: steps.record_encounter(books.acting(peer), a_meeting(books, referral))),
        (Status.DECIDING, lambda: steps.leave_to_decide(books.acting(peer), at)),
        (Status.ENROLLED, lambda: steps.enrol(books.acting(peer), at)),
    ]
    last = max(n for n, (reached, _) in enumerate(way) if reached is status)
    for _, step in way[: last + 1]:
        books.later(hours=1)
        step()
    return books.referral(at)


def attempt(books: MemoryBooks, referral_id: str, outcome: ContactOutcome, peer: str = "p1") -> Referral:
    return steps.log_contact(books.acting(as_peer(peer)), referral_id, Modality.PHONE, outcome)


def a_meeting(books: MemoryBooks, referral: Referral, **changes: Any) -> Encounter:
    """A draft of a meeting that ended ten minutes ago."""
    ended = books.now() - timedelta(minutes=10)
    made = Encounter(
        id="",
        program_id="",
        person_id=referral.person_id,
        peer_id=referral.peer_id or "p1",
        referral_id=None,
        engagement_id=None,
        number="",
        service=ServiceType.ONE_TO_ONE,
        modality=Modality.IN_PERSON,
        started_at=ended - timedelta(minutes=40),
        ended_at=ended,
        minutes=40,
        summary="We met and talked.",
        working_note="Only for us.",
    )
    return replace(made, **changes)


def answers_of(books: MemoryBooks, referral: Referral, answers: Mapping[str, str], **changes: Any) -> Outcome:
    made = Outcome("", "", referral.person_id, "phq-9", "", books.now(), answers)
    return replace(made, **changes)


def share(books: MemoryBooks, person_id: str, *classes: ShareClass) -> list[Grant]:
    return steps.choose_sharing(books.acting(as_person(person_id)), person_id, {Recipient.HOSPITAL: frozenset(classes)})
