from __future__ import annotations

import hashlib
import random
import threading

import pytest
from sqlalchemy import Engine, insert, select, update

from peerfhir.errors import NotFound
from peerfhir.fhir.reader import read_own
from peerfhir.records import messages
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import attempt, inbox_message, outbox_message
from peerfhir.records.work import Office
from tests.records import made
from tests.records.kept import keep, owe_two
from tests.support.clock import HeldClock


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
        with pytest.raises(NotFound):
            messages.show_inbox(connection, "north", "unknown")


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
