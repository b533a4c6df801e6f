"""Records made up from a seed, with a canary in every field that must never leave."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

from peerfhir.adapters.pieces import Refs
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.engagement import Engagement, StageEvent
from peerfhir.pathway.outcome import AnswerOption, Instrument, Item, Outcome, Scale
from peerfhir.pathway.people import Identifier, Peer, Person, Program, Tag, Wishes
from peerfhir.pathway.referral import ContactAttempt, Origin, Proposal, Referral
from peerfhir.pathway.vocabulary import (
    ContactOutcome,
    Intervention,
    Modality,
    Recipient,
    ServiceType,
    ShareClass,
    Stage,
    Status,
    TaskStatus,
)

CANONICAL = "http://peerfhir.example.org/fhir"
PROGRAM = Program(id="riverside", name="Riverside Peer Support Program")
LOINC = "http://loinc.org"


class Maker:
    """Everything it makes comes from its seed; `canaries` are the secrets it has planted so far."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.canaries: list[str] = []

    def canary(self) -> str:
        text = f"canary{self.random.getrandbits(64):016x}"
        self.canaries.append(text)
        return text

    def id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def key(self) -> str:
        return f"{self.random.getrandbits(40):010X}"

    def instant(self) -> datetime:
        zone = self.random.choice([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=30))])
        return datetime(2026, 11, 21, 14, tzinfo=zone) + timedelta(minutes=self.random.randrange(500_000))

    def refs(self) -> Refs:
        return Refs(
            patient=f"Patient/{self.id()}",
            request=f"ServiceRequest/{self.id()}",
            task=f"Task/{self.id()}",
            program=f"Organization/{self.id()}",
        )

    def person(self) -> Person:
        return Person(
            id=self.id(),
            program_id=PROGRAM.id,
            given=self.random.choice(["Marisol", "Tobias", "Añe", "Ming"]),
            family=f"Vega{self.key()}",
            identifiers=(Identifier("https://ehr.example.org/mrn", f"MRN-{self.key()}"),),
            birth_date=date(1950, 1, 1) + timedelta(days=self.random.randrange(20_000)),
            phone="+1-555-0142",
            email=None,
            area="27000",
            safe_contact=self.canary(),
            need_tags=frozenset({self.canary()}),
            wishes=Wishes(language="es", peer_gender=self.canary(), communities=frozenset({self.canary()})),
            excluded_peers=frozenset({self.canary()}),
        )

    def peer(self) -> Peer:
        return Peer(
            id=self.id(),
            program_id=PROGRAM.id,
            display=f"Ana {self.key()}",
            user_id=self.canary(),
            gender=self.canary(),
            tags=(Tag(self.canary()), Tag(self.canary(), "match-only"), Tag(self.canary(), "public")),
            communities=frozenset({self.canary()}),
            area=self.canary(),
            excluded_people=frozenset({self.canary()}),
            clearances=frozenset({self.canary()}),
        )

    def encounter(self, person: Person, referral: Referral | None = None) -> Encounter:
        minutes = self.random.randrange(5, 120)
        started = self.instant()
        return Encounter(
            id=self.id(),
            program_id=PROGRAM.id,
            person_id=person.id,
            peer_id=self.canary(),
            referral_id=referral.id if referral else None,
            engagement_id=None,
            number=f"E-{self.key()}",
            service=self.random.choice(list(ServiceType)),
            modality=self.random.choice(list(Modality)),
            started_at=started,
            ended_at=started + timedelta(minutes=minutes),
            minutes=minutes,
            setting=self.canary(),
            interventions=(self.random.choice(list(Intervention)),),
            working_note=self.canary(),
            summary=f"Met for {minutes} minutes. Set one goal – two walks a week.",
            topic=self.canary(),
            next_step=self.canary(),
            next_on=date(2027, 3, 4),
            worry=True,
            group_id=self.canary(),
            client_uuid=self.canary(),
            recorded_at=started + timedelta(minutes=minutes + 5),
            recorded_by=self.canary(),
        )

    def group(self, people: list[Person]) -> list[Encounter]:
        """One encounter per attendee: the same meeting, a number of its own each."""
        first = replace(
            self.encounter(people[0]),
            service=ServiceType.GROUP_FACILITATED,
            summary="Took part in a peer support group about sleep.",
        )
        return [
            replace(first, id=self.id(), number=f"E-{self.key()}", client_uuid=self.id(), person_id=person.id)
            for person in people
        ]

    def referral(self, person: Person, status: Status = Status.ENROLLED, task: TaskStatus | None = None) -> Referral:
        received = self.instant()
        done = status in (Status.ENROLLED, Status.REDIRECTED)
        return Referral(
            id=self.id(),
            program_id=PROGRAM.id,
            person_id=person.id,
            number=f"PF-{self.random.randrange(1_000_000):06d}",
            status=status,
            task_status=task or (TaskStatus.COMPLETED if done else TaskStatus.IN_PROGRESS),
            reason=self.canary(),
            requested_by="Dr. Joan Okafor",
            origin=Origin("open", "open", self.id(), self.id(), self.id(), Identifier("https://e.example/o", "ORD-1")),
            status_reason=self.canary(),
            peer_id=self.canary(),
            proposals=(Proposal(self.canary(), 80, (self.canary(),)),),
            attempts=(ContactAttempt(received, self.canary(), "phone", ContactOutcome.NO_ANSWER),),
            received_at=received,
            accepted_at=received + timedelta(days=1),
            completed_at=received + timedelta(days=4) if done else None,
            completed_as=status if done else None,
            version=self.random.randrange(1, 40),
        )

    def engagement(self, referral: Referral) -> Engagement:
        started = self.instant()
        return Engagement(
            id=self.id(),
            program_id=PROGRAM.id,
            referral_id=referral.id,
            person_id=referral.person_id,
            peer_id=self.canary(),
            number=f"EP-{self.random.randrange(1_000_000):06d}",
            started_at=started,
            closing_reason=self.canary(),
            stages=(StageEvent(Stage.RECONNECT, started, self.canary()),),
        )

    def instrument(self) -> Instrument:
        options = tuple(
            AnswerOption(f"LA-{n}-{self.random.randrange(10)}", LOINC, f"Answer {n}", Decimal(n)) for n in range(4)
        )
        items = tuple(Item(f"/{n}000-{n}", f"Question {n}", f"{n}000-{n}", options) for n in range(1, 10))
        scale = Scale("total", tuple(item.link_id for item in items), Decimal(0), Decimal(27), 2)
        return Instrument(
            id="nine",
            title="Nine questions",
            version="1.0",
            url="http://loinc.org/q/44249-1",
            panel_code="44249-1",
            total_code="44261-6",
            panel_display="PHQ-9 quick depression assessment panel [Reported.PHQ]",
            total_display="Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]",
            items=items,
            scale=scale,
        )

    def outcome(self, person: Person, instrument: Instrument, referral: Referral | None = None) -> Outcome:
        answered = self.random.sample(list(instrument.items), self.random.randrange(5, 10))
        scored = self.random.random() < 0.8
        return Outcome(
            id=self.id(),
            program_id=PROGRAM.id,
            person_id=person.id,
            instrument_id=instrument.id,
            number=f"QR-{self.random.randrange(1_000_000):06d}",
            answered_at=self.instant(),
            answers={item.link_id: self.random.choice(item.options).code for item in answered},
            referral_id=referral.id if referral else None,
            total=Decimal(self.random.randrange(28)) if scored else None,
            band_label="moderate" if scored else None,
            absent_reason=None if scored else "too-many-missing",
            administered_by=self.random.choice(["person", "peer", "proxy"]),
            recorded_by=self.canary(),
        )

    def grant(self, person: Person) -> Grant:
        return Grant(
            id=self.id(),
            program_id=PROGRAM.id,
            person_id=person.id,
            recipient=self.random.choice(list(Recipient)),
            share_class=self.random.choice(list(ShareClass)),
            granted_at=self.instant(),
            recorded_by=self.canary(),
            end_reason=self.canary(),
        )
