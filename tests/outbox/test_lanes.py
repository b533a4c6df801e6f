from __future__ import annotations

import random
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from peerfhir.clock import SystemClock
from peerfhir.errors import Verdict
from peerfhir.outbox import lanes
from peerfhir.outbox.lease import Ending, Kept
from peerfhir.pathway.vocabulary import Piece
from peerfhir.records import owed
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import attempt, lane, outbox_message
from tests.support.owing import PROGRAM, endpoint_at, owe, owe_in, rows, states

ENDPOINT = endpoint_at("http://127.0.0.1:9/fhir", lease_seconds=60.0)
DONE = Ending("done", verdict=Verdict.DONE, status=201, on_wire=True)
SENT = Kept(
    "Observation", 1, "the hospital takes Observation", method="POST", target="Observation", body=b"{}",
    mapping_id="m", mapping_sha256="0" * 64,
)  # fmt: skip


def settle(engine, clock, lease, ending=DONE):
    with writing(engine) as connection:
        return lanes.settle(connection, lease, ending, clock.now())


def put_on_wire(engine, lease):
    with writing(engine) as connection:
        return lanes.keep(connection, lease, SENT, on_wire=True)


def heads(engine):
    with reading(engine) as connection:
        return dict(connection.execute(select(lane.c.order_key, lane.c.head_id)).all())


def end_leases(engine):
    with writing(engine) as connection:
        connection.execute(
            update(lane).values(lease_until=lanes.lease_clock(connection, SystemClock()) - timedelta(days=400))
        )


def test_only_the_head_of_a_lane_is_leased_and_only_once(engine, clock):
    first = owe(engine, clock, "E-1", person="a")
    owe(engine, clock, "E-2", person="a")
    other = owe(engine, clock, "E-3", person="b")
    leases = lanes.claim(engine, clock, ENDPOINT, "w1", 20)
    assert [lease.message.id for lease in leases] == [first, other]
    assert lanes.claim(engine, clock, ENDPOINT, "w2", 20) == []
    assert [lease.epoch for lease in leases] == [1, 1]
    assert settle(engine, clock, leases[0]) == "done"
    assert [lease.message.idem for lease in lanes.claim(engine, clock, ENDPOINT, "w2", 20)] == ["E-2:encounter"]


def test_a_late_worker_changes_nothing(engine, clock):
    owe(engine, clock, "E-1")
    (late,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
    assert put_on_wire(engine, late)
    end_leases(engine)
    (now,) = lanes.claim(engine, clock, ENDPOINT, "w2", 1)
    assert (now.epoch, now.doubt, now.kept) == (2, True, True)
    assert settle(engine, clock, late) is None
    assert not put_on_wire(engine, late)
    assert states(engine) == {"E-1:encounter": "leased"}
    with reading(engine) as connection:
        first = connection.execute(select(attempt).order_by(attempt.c.id)).first()
    assert (first.late, first.verdict, first.on_wire, first.status) == (True, None, True, 201)
    assert settle(engine, clock, now) == "done"


def test_the_same_worker_with_an_older_epoch_is_fenced_too(engine, clock):
    owe(engine, clock, "E-1")
    (old,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
    end_leases(engine)
    (new,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
    assert settle(engine, clock, old) is None
    assert settle(engine, clock, new) == "done"


def test_a_clock_set_forward_does_not_make_a_worker_lease_what_it_has_in_its_hands(engine, clock):
    owe(engine, clock, "E-1")
    (lease,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
    end_leases(engine)
    assert lanes.claim(engine, clock, ENDPOINT, "w1", 1, frozenset({lease.lane_id})) == []


def test_attempts_without_a_clear_answer_leave_a_doubt_and_others_do_not(engine, clock):
    clear = [
        Ending("ready", verdict=Verdict.LATER, status=429, on_wire=True),
        Ending("ready", verdict=Verdict.LATER, status=425, on_wire=True),
        Ending("ready", verdict=Verdict.LATER, on_wire=False),  # no connection
        Ending("ready", verdict=Verdict.DONE, status=200, on_wire=True),  # one step of several
    ]
    doubtful = [
        Ending("ready", verdict=Verdict.LATER, status=503, on_wire=True),
        Ending("ready", verdict=Verdict.LATER, status=408, on_wire=True),
        Ending("ready", verdict=Verdict.LATER, status=409, on_wire=True),
        Ending("ready", verdict=Verdict.RECONCILE, on_wire=True),
        Ending("ready", verdict=None),  # a fault of ours after the wire
    ]
    for n, ending in enumerate([*clear, *doubtful]):
        owe(engine, clock, f"E-{n}", person=f"p{n}")
        (lease,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
        assert not lease.doubt
        put_on_wire(engine, lease)
        settle(engine, clock, lease, replace(ending, due=clock.now()))
        (again,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
        assert again.doubt == (ending in doubtful), ending
        settle(engine, clock, again)


def test_a_doubt_stays_until_the_message_is_settled(engine, clock):
    owe(engine, clock, "E-1")
    unclear = Ending("ready", verdict=Verdict.RECONCILE, on_wire=True, due=clock.now())
    throttled = Ending("ready", verdict=Verdict.LATER, status=429, on_wire=True, due=clock.now())
    for ending in (unclear, throttled, throttled):
        (lease,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
        put_on_wire(engine, lease)
        settle(engine, clock, lease, ending)
    (lease,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
    assert lease.doubt


def replay_of(engine, clock, parent, number, **changes):
    """A row as parked.rerun makes it."""
    with writing(engine) as connection:
        row = dict(connection.execute(select(outbox_message).where(outbox_message.c.id == parent)).mappings().one())
        row |= {"state": "ready", "parent_id": parent, **changes}
        del row["id"]
        return connection.execute(outbox_message.insert().values(**row).returning(outbox_message.c.id)).scalar_one()


def test_a_parked_create_holds_back_later_updates_of_the_same_resource_and_nothing_else(engine, clock):
    created = owe(engine, clock, "E-1")
    owe(engine, clock, "S-1", piece=Piece.PROCEDURE)
    update_id = replay_of(engine, clock, created, "E-1", idem="E-1:encounter:2", parent_id=0, record_version=2)
    owe(engine, clock, "E-2")
    (lease,) = lanes.claim(engine, clock, ENDPOINT, "w1", 1)
    settle(engine, clock, lease, Ending("parked", "refused", verdict=Verdict.NEVER))
    seen = []
    while leases := lanes.claim(engine, clock, ENDPOINT, "w1", 1):
        seen.append(leases[0].message.idem)
        settle(engine, clock, leases[0])
    assert seen == ["S-1:procedure", "E-2:encounter"]
    assert heads(engine) == {"person-1": None}
    again = replay_of(engine, clock, created, "E-1")
    with writing(engine) as connection:
        connection.execute(update(outbox_message).where(outbox_message.c.id == created).values(state="superseded"))
        owed.move_head(connection, lease.lane_id, clock.now())
    order = []
    for _ in range(6):
        for taken in lanes.claim(engine, clock, ENDPOINT, "w1", 1):
            order.append(taken.message.id)
            settle(engine, clock, taken)
    assert order == [again, update_id], "the rerun of the create goes before the update it holds"


def test_a_lane_whose_head_was_settled_elsewhere_finds_its_place_again(engine, clock):
    first = owe(engine, clock, "E-1")
    second = owe(engine, clock, "E-2")
    with writing(engine) as connection:
        connection.execute(update(outbox_message).where(outbox_message.c.id == first).values(state="cancelled"))
    assert lanes.claim(engine, clock, ENDPOINT, "w1", 1) == []
    assert heads(engine) == {"person-1": second}
    assert [lease.message.id for lease in lanes.claim(engine, clock, ENDPOINT, "w1", 1)] == [second]


def test_a_lane_that_lost_its_head_is_mended(engine, clock):
    first = owe(engine, clock, "E-1", person="a")
    owe(engine, clock, "E-2", person="b")
    with writing(engine) as connection:
        connection.execute(update(lane).where(lane.c.order_key == "a").values(head_id=None, head_due=None))
    assert len(lanes.claim(engine, clock, ENDPOINT, "w1", 5)) == 1
    with writing(engine) as connection:
        assert lanes.mend(connection, ENDPOINT.id, clock.now()) == 1
        assert lanes.mend(connection, ENDPOINT.id, clock.now()) == 0
    assert heads(engine)["a"] == first


def test_owing_while_settling_never_strands_a_message(engine):
    """The race between the last settle of a lane and the next thing owed in it, run many times."""
    clock = SystemClock()
    chance = random.Random(5)
    stop = threading.Event()

    def works(name):
        while not stop.is_set():
            for lease in lanes.claim(engine, clock, ENDPOINT, name, 4):
                settle(engine, clock, lease)

    workers = [threading.Thread(target=works, args=(f"w{n}",)) for n in range(2)]
    for worker in workers:
        worker.start()
    try:
        for n in range(120):
            with writing(engine) as connection:
                for person in ("a", "b"):
                    owe_in(connection, clock, f"E-{n}-{person}", person=person)
            stop.wait(chance.uniform(0, 0.01))
        open_ones = select(func.count()).where(outbox_message.c.state.in_(("ready", "leased")))
        for _ in range(600):
            with reading(engine) as connection:
                if connection.execute(open_ones).scalar_one() == 0:
                    break
            stop.wait(0.05)
    finally:
        stop.set()
        for worker in workers:
            worker.join(20)
    assert set(states(engine).values()) == {"done"}
    with reading(engine) as connection:
        tries = connection.execute(select(attempt.c.outbox_id, func.count()).group_by(attempt.c.outbox_id)).all()
    assert {count for _, count in tries} == {1}
    assert set(heads(engine).values()) == {None}


def test_max_in_flight_counts_every_worker(engine, clock):
    for n in range(10):
        owe(engine, clock, f"E-{n}", person=f"p{n}")
    few = replace(ENDPOINT, max_in_flight=3)
    assert len(lanes.claim(engine, clock, few, "w1", 2)) == 2
    assert len(lanes.claim(engine, clock, few, "w2", 20)) == 1
    assert lanes.claim(engine, clock, few, "w3", 20) == []


@pytest.mark.parametrize("waiting", [3000])
def test_a_claim_costs_what_is_due_and_not_what_is_waiting(engine, clock, waiting):
    with writing(engine) as connection:
        for n in range(waiting):
            owe_in(connection, clock, f"E-{n}", person=f"p{n % 50}")
        connection.execute(
            update(lane).where(lane.c.order_key != "p7").values(head_due=clock.now() + timedelta(days=1))
        )
    assert len(lanes.claim(engine, clock, ENDPOINT, "w1", 20)) == 1
    assert [row.program_id for row in rows(engine)[:1]] == [PROGRAM]
