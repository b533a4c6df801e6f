from __future__ import annotations

from sqlalchemy import Engine, insert, update

from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.vocabulary import Piece
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import attempt, inbox_message, outbox_message
from peerfhir.records.trace import trace
from peerfhir.records.work import Office
from tests.records import made
from tests.records.kept import keep, owe_two, piece_of
from tests.support.clock import HeldClock


def test_the_trace_tells_a_referral_from_its_order_to_the_last_answer(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    inbox_id, _ = keep(engine, clock, "order")
    clock.move(seconds=1)
    referral, (first, second) = owe_two(office, maker)
    with writing(engine) as connection:
        connection.execute(
            update(inbox_message).values(
                state="done", settled_at=clock.now(), record_type="referral", record_id=referral.id
            )
        )
    clock.move(seconds=5)
    with writing(engine) as connection:
        for status, verdict, error in ((503, "later", None), (None, None, "timeout"), (201, "done", None)):
            connection.execute(
                insert(attempt).values(
                    outbox_id=first, program_id="north", n=1, worker="w", epoch=1, started_at=clock.now(),
                    status=status, verdict=verdict, error=error,
                )
            )  # fmt: skip
        settled = {"settled_at": clock.now(), "form": "Encounter", "rung": 1, "rung_reason": "as its statement says"}
        connection.execute(update(outbox_message).where(outbox_message.c.id == first).values(state="done", **settled))
        connection.execute(
            update(outbox_message)
            .where(outbox_message.c.id == second)
            .values(state="parked", reason="x", settled_at=clock.now())
        )
    with reading(engine) as connection:
        told = [
            trace(connection, "north", wanted)
            for wanted in (referral.id, referral.number, referral.origin.task_id, inbox_id, str(first), str(second))
        ]
        assert trace(connection, "south", referral.id) == []
        for unknown in ("", "unknown", "0", "9" * 30, "²"):
            assert trace(connection, "north", unknown) == []
    assert all(one == told[0] for one in told)
    hops = told[0]
    assert [hop.at for hop in hops] == sorted(hop.at for hop in hops)
    assert [(hop.kind, hop.what) for hop in hops] == [
        ("received", "kept"),
        ("received", "done"),
        ("referral", "triage"),
        ("referral", "triage"),
        ("encounter", next(hop.what for hop in hops if hop.kind == "encounter")),
        ("owed", "encounter"),
        ("owed", "status"),
        ("attempt", "later"),
        ("attempt", "open"),
        ("attempt", "done"),
        ("settled", "done"),
        ("settled", "parked"),
    ]
    details = [hop.detail for hop in hops]
    assert "HTTP 503" in details
    assert "timeout" in details
    assert "encounter as Encounter (rung 1: as its statement says)" in details


def test_the_trace_says_nothing_about_the_person(office: Office, engine: Engine, maker: made.Maker) -> None:
    canary = "CANARY-7391"
    given = {"given": canary, "family": canary, "phone": canary, "email": canary, "safe_contact": canary}
    with office.work(made.actor()) as work:
        who = work.save_person(made.person(maker, **given))
        referral = work.save_referral(made.referral(maker, who.id, reason=canary, status_reason=canary))
        note = maker.record(
            Encounter, person_id=who.id, referral_id=referral.id, summary=canary, working_note=canary, status="finished"
        )
        note = work.save_encounter(note)
        work.owe(piece_of(note, Piece.SUMMARY))
    with reading(engine) as connection:
        hops = trace(connection, "north", referral.id)
    assert len(hops) == 3
    assert canary not in repr(hops)
    assert who.id not in repr(hops)
