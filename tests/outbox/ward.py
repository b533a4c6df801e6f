"""One referral as records keep it, with the addresses of its resources at a hospital: for tests of what is rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from peerfhir.clock import Clock
from peerfhir.fhir.capability import Offer
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.reader import read
from peerfhir.fhir.store import Store
from peerfhir.mapping.registry import Mappings
from peerfhir.outbox import addresses
from peerfhir.outbox.addresses import Address
from peerfhir.outbox.lease import Message
from peerfhir.outbox.prepared import Prepared
from peerfhir.outbox.render import Render
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.outcome import Instrument, Outcome
from peerfhir.pathway.people import Peer, Person
from peerfhir.pathway.referral import Outward, Referral
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece, Recipient, ShareClass
from peerfhir.records import consents, encounters, outcomes, people, referrals
from peerfhir.records.database import reading, writing
from peerfhir.records.owed import OwedRow, owe_row
from peerfhir.records.schema import outbox_message
from tests.adapters.making import PROGRAM, Maker
from tests.support.owing import endpoint_at
from tests.support.shipped import mappings as mappings_that_ship

MAPPINGS = Path(__file__).parents[2] / "mappings"
CHART = frozenset({"Encounter", "DocumentReference", "Procedure", "Observation", "QuestionnaireResponse"})
OPEN = Offer(creates=CHART | {"Communication"}, updates=frozenset({"Task"}))
ENDPOINT = endpoint_at("https://ehr.example.org/fhir", id="open", program=PROGRAM.id)


@cache
def shipped() -> Mappings:
    """The mappings of the house, checked once."""
    return mappings_that_ship()


@dataclass
class Ward:
    """A referral that is under way, one meeting and one questionnaire, and a hospital that knows the order."""

    engine: Engine
    clock: Clock
    render: Render
    person: Person
    referral: Referral
    encounter: Encounter
    outcome: Outcome
    instrument: Instrument
    peer: Peer

    def message(self, piece: Piece, record: Any, detail: str | None = None) -> Message:
        """A piece owed of a record."""
        number = self.referral.number if piece is Piece.STATUS else record.number
        tail = [str(record.version)] if piece is Piece.STATUS else [detail] if detail else []
        return Message(
            id=1, program_id=PROGRAM.id, lane_id=1, endpoint="open", idem=":".join([number, piece, *tail]),
            piece=piece, detail=detail, share_class=SHARE_CLASS_OF[piece], person_id=self.person.id,
            referral_id=self.referral.id, record_type=type(record).__name__.lower(), record_id=record.id,
            record_version=record.version, reason=None, rung=None, rung_reason=None, form=None, mapping_id=None,
            mapping_sha256=None, named=False, method=None, target=None, if_none_exist=None, if_match=None, body=None, attempts=0,
            horizon_at=self.clock.now(), parent_id=0, replay_mode=None, execution_id=None,
        )  # fmt: skip

    def rendered(
        self, piece: Piece, record: Any, detail: str | None = None, offer: Offer = OPEN, **changes: Any
    ) -> Prepared:
        endpoint = replace(ENDPOINT, **changes)
        with reading(self.engine) as connection:
            return self.render(connection, self.message(piece, record, detail), endpoint, offer)

    def created(self, piece: Piece, record: Any, detail: str | None = None, **more: Any) -> Any:
        return read(self.rendered(piece, record, detail, **more).create or b"")

    def sent(self, piece: Piece, record: Any, form: str, reference: str | None, detail: str | None = None) -> None:
        """An earlier piece that was settled, in this form."""
        with writing(self.engine) as connection:
            idem = ":".join([record.number, piece, *([detail] if detail else [])])
            row = OwedRow(
                PROGRAM.id, "open", self.person.id, idem, piece, detail, SHARE_CLASS_OF[piece], self.person.id,
                self.referral.id, type(record).__name__.lower(), record.id, record.version, self.clock.now(),
            )  # fmt: skip
            made = owe_row(connection, row, self.clock.now())
            done = outbox_message.update().where(outbox_message.c.id == made)
            connection.execute(done.values(state="done", form=form))
            if reference:
                self.at_hospital(connection, idem, reference)

    def at_hospital(self, connection: Connection, local: str, reference: str) -> None:
        addresses.remember(connection, PROGRAM.id, "open", local, Address(reference), self.clock.now())

    def grant(self, *classes: ShareClass) -> None:
        with writing(self.engine) as connection:
            for one in classes:
                grant = Grant(
                    f"g-{one}", PROGRAM.id, self.person.id, Recipient.HOSPITAL, one,
                    self.clock.now() - timedelta(minutes=1),
                )  # fmt: skip
                consents.save(connection, grant, self.clock.now())

    def tell(self, told: Outward, *, chosen: bool = True) -> Referral:
        """Save a version of the referral that says this outwards."""
        with writing(self.engine) as connection:
            now = self.clock.now()
            self.referral = referrals.save(connection, replace(self.referral, told=told), now)
            at = now if chosen else None
            self.person = people.save(connection, replace(self.person, sharing_chosen_at=at), now)
        return self.referral


def make_ward(engine: Engine, clock: Clock, seed: int = 20261121) -> Ward:
    maker = Maker(seed)
    person, peer, instrument = maker.person(), maker.peer(), maker.instrument()
    referral = replace(maker.referral(person), version=0, told=None)
    origin = referral.origin
    assert origin is not None
    now = clock.now()
    with writing(engine) as connection:
        person = people.save(connection, replace(person, sharing_chosen_at=now), now)
        peer = people.save_peer(connection, peer, now)
        referral = referrals.save(connection, referral, now)
        encounter = replace(maker.encounter(person, referral), peer_id=peer.id, status="finished")
        encounter = encounters.save(connection, encounter, now)
        outcome = replace(maker.outcome(person, instrument, referral), encounter_id=encounter.id)
        outcome = outcomes.save(connection, outcome, now)
        store = Store(connection, PROGRAM.id, clock)
        ours = {"Patient": origin.patient_id, "Task": origin.task_id, "ServiceRequest": origin.request_id}
        task = {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "owner": {"reference": "Organization/our-program"},
            "requester": {"reference": f"{ENDPOINT.base_url}/PractitionerRole/clin1"},
        }
        store.create(task, Labels(), id=origin.task_id)
        ward = Ward(
            engine, clock,
            Render(
                shipped(), clock,
                programs={PROGRAM.id: PROGRAM}, instruments={instrument.id: instrument},
            ),
            person, referral, encounter, outcome, instrument, peer,
        )  # fmt: skip
        for kind, identity in ours.items():
            ward.at_hospital(connection, f"{kind}/{identity}", f"{kind}/their-{kind.lower()}")
        ward.at_hospital(connection, "Organization/our-program", "Organization/their-program")
    return ward
