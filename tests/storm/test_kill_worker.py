"""R1, the fast figure: nothing owed is lost or doubled while the worker is killed again and again.

Counted by identifier in the hospital's own store, never in ours.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from peerfhir.clock import SystemClock
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import attempt, lane, outbox_message
from tests.support.ehr import NEITHER, PERSONALITIES, FakeEhr, Faults
from tests.support.owing import owe_in, states

pytestmark = pytest.mark.storm

ROOT = Path(__file__).parents[2]
MESSAGES, PEOPLE, KILLS = 300, 60, 20
SEED = int(os.environ.get("STORM_SEED", "20261121"))
# The lease is longer than the slowest answer, also on a machine that is busy with other things. What a killed worker
# had in flight counts as in flight until its lease ends, so there is room for several killed workers.
ENDPOINT = {"lease_seconds": 2.0, "retry_base_seconds": 0.02, "retry_cap_seconds": 0.1, "max_in_flight": 40}


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_a_worker_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing(engine, engine_url, personality):
    print(f"seed {SEED}")
    clock = SystemClock()
    numbers = [f"E-{n:04}" for n in range(MESSAGES)]
    with writing(engine) as connection:
        for n, number in enumerate(numbers):
            owe_in(connection, clock, number, person=f"person-{n % PEOPLE}")
    faults = Faults(before=0.30, dropped=0.10, after=0.05, latency=(0.0, 0.06))  # a kill has to find work on the wire
    with FakeEhr(personality=personality, faults=faults, seed=SEED) as hospital:
        orders = {
            "database": engine_url, "hospital": hospital.url, "endpoint": ENDPOINT, "seed": SEED, "kills": KILLS,
            "workers": 1, "between": [0.01, 0.12], "at_most": 150,
        }  # fmt: skip
        with nursery(orders) as keeper:
            assert json.loads(keeper.stdout.readline())["kills"] >= KILLS
            wait_until_settled(engine, 120)
        arrived = hospital.arrived()
    found = states(engine)
    by_state = {state: [idem for idem, one in found.items() if one == state] for state in set(found.values())}
    doubled = [number for number, count in arrived.items() if count > 1]
    assert doubled == []
    assert set(by_state) <= ({"done", "parked"} if personality == NEITHER else {"done"}), "stuck"
    assert {idem.split(":")[0] for idem in by_state["done"]} <= set(arrived), "said to have arrived, and did not"
    lost = set(numbers) - set(arrived) - {idem.split(":")[0] for idem in by_state.get("parked", ())}
    assert lost == set()
    with reading(engine) as connection:
        died = connection.execute(select(func.count()).where(attempt.c.ended_at.is_(None))).scalar_one()
        leases = connection.execute(select(lane.c.lease_owner)).scalars().all()
        reasons = set(connection.execute(select(outbox_message.c.reason)).scalars())
    assert died >= 5, "the kills did not hit anything"
    assert set(leases) == {None}
    assert reasons == ({None, "ambiguous"} if personality == NEITHER else {None})


def test_three_workers_never_hold_the_same_lane(engine, engine_url):
    """R9: with nothing going wrong each message is tried by exactly one worker, in its person's order."""
    clock = SystemClock()
    chance = random.Random(SEED)
    people = [f"person-{n}" for n in range(40)]
    with writing(engine) as connection:
        for n in range(200):
            owe_in(connection, clock, f"E-{n:04}", person=chance.choice(people))
    with FakeEhr() as hospital:
        orders = {
            "database": engine_url, "hospital": hospital.url, "endpoint": {**ENDPOINT, "lease_seconds": 30.0},
            "seed": SEED, "kills": 0, "workers": 3, "between": [0, 0], "at_most": 150,
        }  # fmt: skip
        with nursery(orders) as keeper:
            keeper.stdout.readline()
            wait_until_settled(engine, 120)
        arrived = [one["identifier"][0]["value"] for one in hospital.all_of("Observation")]
    assert sorted(arrived) == [f"E-{n:04}" for n in range(200)]
    with reading(engine) as connection:
        tries = connection.execute(
            select(attempt.c.worker, attempt.c.late, attempt.c.n, outbox_message.c.idem, outbox_message.c.lane_id)
            .join(outbox_message, outbox_message.c.id == attempt.c.outbox_id)
            .order_by(attempt.c.id)
        ).all()
    assert len(tries) == 200
    assert {(one.late, one.n) for one in tries} == {(False, 1)}
    assert len({one.worker for one in tries} - {"first"}) == 3
    place = {number: at for at, number in enumerate(arrived)}
    for lane_id in {one.lane_id for one in tries}:
        mine = [place[one.idem.split(":")[0]] for one in tries if one.lane_id == lane_id]
        assert mine == sorted(mine), "inverted"


class nursery:  # noqa: N801 - reads as a statement
    """The process that starts workers, with its orders; it is gone when the block ends."""

    def __init__(self, orders: dict) -> None:
        self._orders = orders

    def __enter__(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.storm.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._process.stdin.write(json.dumps(self._orders) + "\n")
        self._process.stdin.flush()
        return self._process

    def __exit__(self, *why: object) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait(10)
            self._process.stdout.close()


def wait_until_settled(engine, seconds: float) -> None:
    end = time.monotonic() + seconds
    open_ones = select(func.count()).where(outbox_message.c.state.in_(("ready", "leased")))
    while time.monotonic() < end:
        with reading(engine) as connection:
            if connection.execute(open_ones).scalar_one() == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"still open after {seconds} s: {states(engine)}")
