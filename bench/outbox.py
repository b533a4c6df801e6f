"""Outbox: enqueue and drain per second, and a claim with 20,000 messages waiting, on SQLite and on PostgreSQL."""

from __future__ import annotations

import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, func, insert, select, update

from house import ROOT, line
from peerfhir.clock import SystemClock
from peerfhir.errors import Verdict
from peerfhir.fhir.capability import build
from peerfhir.outbox import lanes
from peerfhir.outbox.answers import EhrAnswer
from peerfhir.outbox.deliver import Outbox
from peerfhir.outbox.lease import Ending
from peerfhir.pathway.vocabulary import Piece
from peerfhir.records.database import journal, open_engine, upgrade, writing
from peerfhir.records.schema import lane, outbox_message
from peerfhir.records.work import Office

sys.path.insert(0, str(ROOT))
from tests.records import made
from tests.records.kept import a_note, a_referral, piece_of
from tests.support import postgres
from tests.support.owing import PROGRAM, PlainRender, always, endpoint_at

WAITING, HEADS, BATCH, SECONDS = 20_000, 400, 20, 3.0
MESSAGES = 10_000  # more than can be drained in that time
CLOCK = SystemClock()
ENDPOINT = endpoint_at("http://127.0.0.1:9/fhir", max_in_flight=BATCH)
STATEMENT = build("A hospital that answers at once")
GOALS = {
    "sqlite": (">= 1000/s in WAL, >= 300/s in TRUNCATE", ">= 2000/s in WAL, no floor in TRUNCATE", "<= 3 ms"),
    "postgresql": (">= 500/s", ">= 1400/s", "<= 5 ms"),
}


class AtOnce:
    """Stands for the wire: nothing of the time below is the hospital's."""

    def exchange(self, method: str, path: str, body: object, headers: object, *, authorize: bool = True) -> EhrAnswer:
        if path == "metadata":
            return EhrAnswer(200, {}, STATEMENT)
        return EhrAnswer(201, {"location": f"{ENDPOINT.base_url}/{path}/1/_history/1"})

    def close(self) -> None: ...


def enqueued(engine: Engine) -> float:
    """A note and the piece owed of it, with audit and version, one durable transaction each: how many per second."""
    with redirect_stdout(io.StringIO()):  # its seed is for tests
        maker = made.Maker(20261121)
    office = Office(
        engine, CLOCK, programs=made.PROGRAMS, instruments={}, recipients=made.RECIPIENTS, project=made.nothing_to_show
    )
    referrals = [a_referral(office, maker)[1] for _ in range(50)]
    done, began = 0, time.monotonic()
    while time.monotonic() - began < SECONDS:
        with office.work(made.actor()) as work:
            work.owe(piece_of(a_note(work, maker, referrals[done % len(referrals)])))
        done += 1
    return done / (time.monotonic() - began)


def fill(engine: Engine, name: str, messages: int, heads: int, due_in: timedelta) -> None:
    """Messages that wait in as many lanes as there are heads, written at once."""
    now = CLOCK.now()
    keys = [f"{name}-{n}" for n in range(heads)]
    common = {"program_id": PROGRAM, "endpoint": ENDPOINT.id}
    with writing(engine) as connection:
        connection.execute(insert(lane), [{**common, "order_key": key} for key in keys])
        mine = lane.c.order_key.in_(keys)
        ids = dict(connection.execute(select(lane.c.order_key, lane.c.id).where(mine)).all())
        rows = [
            {
                **common, "lane_id": ids[keys[n % heads]], "idem": f"{name}{n}:encounter", "piece": Piece.ENCOUNTER,
                "share_class": "attendance", "person_id": keys[n % heads], "record_type": "encounter",
                "record_id": f"{name}{n}", "record_version": 1, "state": "ready", "created_at": now,
                "horizon_at": now + timedelta(hours=72),
            }
            for n in range(messages)
        ]  # fmt: skip
        connection.execute(insert(outbox_message), rows)
        head = select(func.min(outbox_message.c.id)).where(outbox_message.c.lane_id == lane.c.id).scalar_subquery()
        connection.execute(update(lane).where(mine).values(head_id=head, head_due=now + due_in))
    if engine.dialect.name == "postgresql":
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("ANALYZE")


def drained(engine: Engine) -> float:
    """Claim twenty, ask, render, keep the bytes, settle: how many per second are done, in commits of their own."""
    fill(engine, "drain", MESSAGES, 100, timedelta(0))
    outbox = Outbox(engine, CLOCK, {ENDPOINT.id: ENDPOINT}, lambda _: AtOnce(), PlainRender(), always, "bench")
    done, began = 0, time.monotonic()
    while time.monotonic() - began < SECONDS:
        turn = outbox.run_once(BATCH)
        if not turn:
            break
        done += turn
    took = time.monotonic() - began
    outbox.close()
    with writing(engine) as connection:  # what is left is none of the next measurement's
        connection.execute(update(lane).values(head_due=None, head_id=None))
    return done / took


def claimed(engine: Engine) -> tuple[float, float]:
    """Milliseconds (median) to ask when nothing is due, and to lease one message, with its commit."""
    fill(engine, "wait", WAITING, HEADS, timedelta(hours=1))
    idle = cost(lambda: lanes.claim(engine, CLOCK, ENDPOINT, "bench", BATCH))
    fill(engine, "due", 1, 1, timedelta(0))
    times = []
    for _ in range(60):
        began = time.monotonic()
        (lease,) = lanes.claim(engine, CLOCK, ENDPOINT, "bench", BATCH)
        times.append(time.monotonic() - began)
        with writing(engine) as connection:
            back = Ending("ready", due=CLOCK.now(), verdict=Verdict.LATER)
            lanes.settle(connection, lease, back, CLOCK.now())
    return idle, statistics.median(times) * 1000


def synced() -> float:
    """Milliseconds (median) that this disk takes to make 4 kB durable: no commit is faster."""
    with tempfile.TemporaryFile() as file:

        def write() -> None:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())

        return cost(write)


def cost(run: Callable[[], object]) -> float:
    times = []
    for _ in range(60):
        began = time.monotonic()
        run()
        times.append(time.monotonic() - began)
    return statistics.median(times) * 1000


@contextmanager
def databases() -> Iterator[list[str]]:
    """A new SQLite file, and a private PostgreSQL server where its binaries are."""
    with tempfile.TemporaryDirectory(prefix="peerfhir-bench-") as folder:
        here = [f"sqlite:///{Path(folder) / 'bench.db'}"]
        if postgres.binaries() is None:
            yield here
        else:
            with postgres.server() as url:
                yield [*here, url]


if __name__ == "__main__":
    with databases() as urls:
        for url in urls:
            engine = open_engine(url)
            upgrade(engine)
            kind = engine.dialect.name
            goals, more = GOALS[kind], f"journal {journal(engine)}, fsync {synced():.1f} ms"
            line(f"enqueue, {kind}", f"{enqueued(engine):.0f}/s", goals[0], more)
            line(f"drain in batches of {BATCH} without a wire, {kind}", f"{drained(engine):.0f}/s", goals[1], more)
            idle, one = claimed(engine)
            found = f"{one:.1f} ms, {idle:.1f} ms when nothing is due"
            line(f"claim with {WAITING} waiting behind {HEADS} heads, {kind}", found, goals[2], more)
            engine.dispose()
