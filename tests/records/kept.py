"""Small works that many tests do, and looks into the tables afterwards."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Table, func, select, update

from peerfhir.fhir.labels import Projected
from peerfhir.fhir.tables import metadata as resources
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter, GroupSession
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.people import Peer, Person
from peerfhir.pathway.ports import Owed
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.pathway.vocabulary import Piece
from peerfhir.records import messages as kept_messages
from peerfhir.records import schema
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import lane, outbox_message
from peerfhir.records.work import Office, Work
from tests.records import made
from tests.support.clock import HeldClock

ALL_TABLES: list[Table] = [*schema.metadata.sorted_tables, *resources.sorted_tables]


def rows(engine: Engine, table: Table) -> list[dict[str, Any]]:
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def sizes(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        return {one.name: connection.execute(select(func.count()).select_from(one)).scalar_one() for one in ALL_TABLES}


def as_basic(record: Any, context: Any) -> list[Projected]:
    """A projector that would show everything it is given, if it were let."""
    words = repr(record)
    resource = {"resourceType": "Basic", "id": record.id, "code": {"text": words}}
    return [Projected(resource, "summary", getattr(record, "person_id", None))]


def a_whole_day(work: Work, maker: made.Maker) -> str:
    """Every kind of thing that a work can do, once."""
    who = work.save_person(made.person(maker))
    peer = work.save_peer(maker.record(Peer))
    draft = made.referral(maker, who.id, number=work.next_number("PF"))
    referral = work.save_referral(draft)
    mine = {"person_id": who.id, "peer_id": peer.id, "referral_id": referral.id}
    engagement = work.save_engagement(maker.record(Engagement, **mine))
    group = work.save_group(maker.record(GroupSession, peer_id=peer.id, attendees=(who.id,), working_note="SECRET"))
    note = maker.record(
        Encounter, **mine, engagement_id=engagement.id, group_id=group.id, working_note="SECRET", client_uuid="SECRET-1"
    )
    note = work.save_encounter(note)
    outcome = work.save_outcome(maker.record(Outcome, person_id=who.id, referral_id=referral.id))
    work.save_safety_event(maker.record(SafetyEvent, person_id=who.id))
    work.save_grant(maker.record(Grant, person_id=who.id))
    for piece, kind, record in (
        (Piece.ENCOUNTER, "encounter", note),
        (Piece.SUMMARY, "encounter", note),
        (Piece.TOTAL, "outcome", outcome),
        (Piece.STATUS, "referral", referral),
    ):
        work.owe(Owed(piece, kind, record.id, who.id, referral.id))
    work.cancel_owed(who.id, "narrowed", keep=frozenset({Piece.STATUS, Piece.TOTAL}))
    work.audit("read", f"person/{who.id}", who.id)
    return referral.id


def messages(engine: Engine, *where: Any) -> list[Any]:
    with reading(engine) as connection:
        return connection.execute(select(outbox_message).where(*where).order_by(outbox_message.c.id)).all()


def lanes(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return connection.execute(select(lane).order_by(lane.c.id)).all()


def set_state(engine: Engine, message_id: int, **values: object) -> None:
    with writing(engine) as connection:
        connection.execute(update(outbox_message).where(outbox_message.c.id == message_id).values(**values))


def a_referral(office: Office, maker: made.Maker, program: str = "north", **given: Any) -> tuple[Person, Referral]:
    with office.work(made.actor(program)) as work:
        who = work.save_person(made.person(maker, program))
        return who, work.save_referral(made.referral(maker, who.id, program, **given))


def a_note(work: Work, maker: made.Maker, referral: Referral) -> Encounter:
    return work.save_encounter(maker.record(Encounter, person_id=referral.person_id, referral_id=referral.id))


def status_of(referral: Referral) -> Owed:
    return Owed(Piece.STATUS, "referral", referral.id, referral.person_id, referral.id)


def piece_of(note: Encounter, piece: Piece = Piece.ENCOUNTER) -> Owed:
    return Owed(piece, "encounter", note.id, note.person_id, note.referral_id)


def keep(engine: Engine, clock: HeldClock, key: str, program: str = "north", raw: bytes = b"{}") -> tuple[str, bool]:
    with writing(engine) as connection:
        return kept_messages.keep_inbox(
            connection,
            clock.now(),
            program_id=program,
            source="clinic",
            message_key=key,
            content_type="application/fhir+json",
            raw=raw,
            focus=["Task/1/_history/1"],
            execution_id="x",
        )


def owe_two(office: Office, maker: made.Maker) -> tuple[Any, list[int]]:
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        work.owe(piece_of(a_note(work, maker, referral)))
        work.owe(status_of(referral))
    with reading(office.engine) as connection:
        return referral, list(connection.execute(select(outbox_message.c.id).order_by(outbox_message.c.id)).scalars())
