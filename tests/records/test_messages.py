from __future__ import annotations

import hashlib
import random
import threading
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from peerfhir.errors import NotFound
from peerfhir.fhir.reader import read_own
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.vocabulary import Piece
from peerfhir.records import messages
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import attempt, inbox_message, outbox_message
from peerfhir.records.work import Office
from tests.records import made
from tests.records.test_owed import a_note, a_referral, piece_of, status_of
from tests.support.clock import HeldClock


def keep(engine: Engine, clock: HeldClock, key: str, program: str = "north", raw: bytes = b"{}") -> tuple[str, bool]:
    with writing(engine) as connection:
        return messages.keep_inbox(
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


def test_a_message_is_kept_as_its_bytes_came(engine: Engine, clock: HeldClock) -> None:
    raw = b'{"resourceType": "Task",  "x": 1.50}\n'
    message_id, new = keep(engine, clock, "k1", raw=raw)
    assert new
    with reading(engine) as connection:
        shown = messages.show_inbox(connection, "north", message_id)
        whole = messages.show_inbox(connection, "north", message_id, content=True)
    assert "body" not in shown
    assert whole["body"] == raw
    assert shown["body_sha256"] == hashlib.sha256(raw).hexdigest()
    assert read_own(shown["focus"].encode()) == ["Task/1/_history/1"]
    assert (shown["state"], shown["attempts"], shown["lease_epoch"]) == ("ready", 0, 0)
    assert shown["received_at"] == shown["due_at"] == clock.now()


def test_the_same_message_again_is_the_same_message(engine: Engine, clock: HeldClock) -> None:
    first, _ = keep(engine, clock, "k1")
    again, new = keep(engine, clock, "k1", raw=b"other bytes")
    assert (again, new) == (first, False)
    other, new = keep(engine, clock, "k1", "south")
    assert new
    assert other != first


def test_a_hundred_copies_from_eight_threads_are_kept_once_each(engine: Engine, clock: HeldClock) -> None:
    print("seed 5")
    keys = [f"k{n % 20}" for n in range(100)]
    random.Random(5).shuffle(keys)
    answers: list[tuple[str, tuple[str, bool]]] = []

    def send(mine: list[str]) -> None:
        for key in mine:
            answers.append((key, keep(engine, clock, key)))

    threads = [threading.Thread(target=send, args=(keys[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 100
    assert sum(new for _, (_, new) in answers) == 20
    assert len({(key, message_id) for key, (message_id, _) in answers}) == 20
    with reading(engine) as connection:
        assert len(connection.execute(select(inbox_message)).all()) == 20


def test_received_messages_are_listed_newest_first_by_state(engine: Engine, clock: HeldClock) -> None:
    ids = []
    for n in range(4):
        clock.move(seconds=1)
        ids.append(keep(engine, clock, f"k{n}")[0])
    with writing(engine) as connection:
        connection.execute(update(inbox_message).where(inbox_message.c.id == ids[1]).values(state="parked"))
    with reading(engine) as connection:
        assert [one["id"] for one in messages.list_inbox(connection, "north")] == ids[::-1]
        assert [one["id"] for one in messages.list_inbox(connection, "north", limit=2)] == ids[:1:-1]
        assert [one["id"] for one in messages.list_inbox(connection, "north", state="parked")] == [ids[1]]
        assert all("body" not in one for one in messages.list_inbox(connection, "north"))
        assert messages.waiting(connection, "north") == {("inbox", "ready"): 3, ("inbox", "parked"): 1}
        assert messages.waiting(connection, "south") == {}
        with pytest.raises(NotFound):
            messages.show_inbox(connection, "north", "unknown")


def owe_two(office: Office, maker: made.Maker) -> tuple[Any, list[int]]:
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        work.owe(piece_of(a_note(work, maker, referral)))
        work.owe(status_of(referral))
    with reading(office.engine) as connection:
        return referral, list(connection.execute(select(outbox_message.c.id).order_by(outbox_message.c.id)).scalars())


def test_what_is_owed_is_listed_without_content_and_shown_with_its_attempts(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    referral, (first, second) = owe_two(office, maker)
    with writing(engine) as connection:
        connection.execute(update(outbox_message).where(outbox_message.c.id == first).values(body=b"x", outcome=b"y"))
        for n in (1, 2):
            connection.execute(
                insert(attempt).values(
                    outbox_id=first, program_id="north", n=n, worker="w", epoch=n, started_at=clock.now(), status=503
                )
            )
    with reading(engine) as connection:
        listed = messages.list_outbox(connection, "north")
        assert [one["id"] for one in listed] == [second, first]
        assert not {"body", "outcome"} & set(listed[0])
        shown = messages.show_outbox(connection, "north", first)
        assert not {"body", "outcome"} & set(shown)
        assert [one["n"] for one in shown["tries"]] == [1, 2]
        assert shown["next_at"] == clock.now()
        whole = messages.show_outbox(connection, "north", first, content=True)
        assert (whole["body"], whole["outcome"]) == (b"x", b"y")
        assert messages.show_outbox(connection, "north", second)["next_at"] is None
        for given, wanted in (
            ({"state": "ready"}, 2),
            ({"state": "done"}, 0),
            ({"endpoint": "clinic"}, 2),
            ({"endpoint": ""}, 0),
            ({"person_id": referral.person_id}, 2),
            ({"referral_id": "x"}, 0),
            ({"limit": 1}, 1),
        ):
            assert len(messages.list_outbox(connection, "north", **given)) == wanted
        for program, message_id in (("south", first), ("north", 99)):
            with pytest.raises(NotFound):
                messages.show_outbox(connection, program, message_id)


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
            messages.trace(connection, "north", wanted)
            for wanted in (referral.id, referral.number, referral.origin.task_id, inbox_id, str(first), str(second))
        ]
        assert messages.trace(connection, "south", referral.id) == []
        for unknown in ("", "unknown", "0", "9" * 30, "²"):
            assert messages.trace(connection, "north", unknown) == []
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
        hops = messages.trace(connection, "north", referral.id)
    assert len(hops) == 3
    assert canary not in repr(hops)
    assert who.id not in repr(hops)
