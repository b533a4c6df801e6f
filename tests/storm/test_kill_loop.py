"""The loop finishes although the gateway, or the worker, is killed at twenty seeded moments.

Real processes: `peerfhir serve`, `peerfhir work` and the practice hospital; the parties are visitors over HTTP, who
repeat what was not answered. Lost and doubled are counted in the hospital's own store, never in ours.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.request
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from peerfhir.demonstration import Demonstration
from peerfhir.pathway.transitions import task_steps
from peerfhir.pathway.vocabulary import TaskStatus
from peerfhir.practice import holdings, visitor
from peerfhir.practice.orders import NotTaken, ProgramClient, as_transaction
from peerfhir.practice.scene import Scene
from peerfhir.records.database import open_engine, reading
from peerfhir.records.schema import (
    attempt,
    consent_grant,
    encounter,
    inbox_message,
    lane,
    outbox_message,
    outcome,
    referral,
)
from tests.support.killer import Deadly
from tests.support.orders import as_sent

pytestmark = pytest.mark.storm

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("STORM_SEED", "20261122"))
KILLS = 20
SHARES = {
    "gateway": {"REFERRED": 4, "MATCHED": 6, "TOGETHER": 6, "THEIR CHOICE": 4},
    "worker": {"REFERRED": 5, "MATCHED": 4, "TOGETHER": 8, "THEIR CHOICE": 3},
}
# The smallest lease that config allows is a little longer than connect + total.
LEASE_SECONDS = 1.4
DEADLINES = f"connect_seconds: 0.3\nread_seconds: 1\ntotal_seconds: 1\nlease_seconds: {LEASE_SECONDS}\n"
SAID = ("Sent", "Received by peer team", "Being reviewed", "In contact", "First meeting done", "Working together",
        "Referral closed")  # fmt: skip
CHART = ("Encounter", "DocumentReference", "Procedure", "Observation", "QuestionnaireResponse")


@pytest.mark.parametrize("victim", ["gateway", "worker"])
def test_the_loop_closes_although_a_process_is_killed_at_twenty_moments(
    victim: str, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"seed {SEED}")
    monkeypatch.setattr(visitor, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(Scene, "PATIENCE_SECONDS", 90)
    stages: list[Deadly] = []
    store: list[dict[str, Any]] = []
    queue: list[Queue] = []

    def make_stage(folder: Path) -> Deadly:
        stages.append(Deadly(folder, victim=victim, seed=SEED, shares=SHARES[victim]))
        return stages[0]

    def tell(line: str) -> None:
        print(line)
        if line in SHARES[victim]:
            stages[0].wait(60)
            stages[0].begin(line)
            if line == "MATCHED" and victim == "gateway":
                queue.append(Queue(stages[0]))
        elif "nothing of why" in line:
            stages[0].wait(60)  # the last of them fall after the last word has arrived
        elif line.startswith("LOOP CLOSED"):
            store.extend(exported(stages[0]))

    shown = Demonstration(
        tmp_path / "try", ROOT / "config", "open", 0, 0, tell,
        database_url=engine_url, deadlines=DEADLINES, make_stage=make_stage,
    )  # fmt: skip
    begun = time.monotonic()
    try:
        assert shown.run(keep=False, verbose=False) == 0
    finally:
        for each in queue:
            each.close()
    kills = stages[0].kills
    print(f"{time.monotonic() - begun:.1f} s; {Counter(one.act for one in kills)}")
    print("back after", " ".join(f"{one.back:.1f}" for one in kills), "s")
    assert len(kills) == KILLS
    judge_chart(store)
    judge_task(store)
    hit = judge_ours(engine_url, store)
    assert victim != "worker" or hit > 0, "the kills did not hit anything"
    for each in queue:
        print(f"the order was sent again: {each.taken} times answered, {each.unanswered} not")
        assert each.faults == []
        assert each.taken > 0


class Queue:
    """The hospital's queue, which sends the order again and again as if it had never had an answer."""

    def __init__(self, stage: Deadly) -> None:
        order = stage.orders["hospital"]
        port, gateway = (order.command[order.command.index(name) + 1] for name in ("--port", "--gateway"))
        client = (order.environment["PRACTICE_CLIENT_ID"], order.environment["PRACTICE_SECRET"])
        self._program = ProgramClient(gateway, *client, now=time.monotonic)
        self._bundle = as_transaction(the_order(exported(stage)), f"http://127.0.0.1:{port}/fhir")
        self.taken, self.unanswered = 0, 0
        self.faults: list[object] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(30)

    def _send(self) -> None:
        while not self._over.wait(0.3):
            try:
                self._program.send(self._bundle)
                self.taken += 1
            except NotTaken as refusal:
                self.unanswered += 1
                if refusal.status:
                    self.faults.append((refusal.status, refusal.outcome))


def the_order(store: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The order and all it refers to, as the hospital kept them first."""
    first = [one["resource"] for one in store if one["version"] == 1 and one["source"] == "hospital"]
    task = next(one for one in first if one["resourceType"] == "Task")
    around = [one for one in first if one["resourceType"] in ("Organization", "PractitionerRole")]
    who = [one for one in first if f"Patient/{one['id']}" == task["for"]["reference"]]
    made = [one for one in first if one["resourceType"] in ("ServiceRequest", "Task", "Consent")]
    return as_sent((*who, *around, *made))


def exported(stage: Deadly) -> list[dict[str, Any]]:
    """Every version in the hospital's own store."""
    order = stage.orders["hospital"]
    port = order.command[order.command.index("--port") + 1]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/practice/export",
        headers={"Authorization": f"Bearer {order.environment['PRACTICE_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return list(json.loads(answer.read())["versions"])


def theirs(store: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the peer program made in the chart."""
    return [one for one in store if one["type"] in CHART and one["source"] != "hospital"]


def judge_chart(store: list[dict[str, Any]]) -> None:
    """Two meetings and one score, each piece once, each written once."""
    made = theirs(store)
    assert Counter(one["type"] for one in made) == holdings.EXPECTED["open"]
    numbers = Counter(f"{one['type']} {named['value']}" for one in made for named in one["resource"]["identifier"])
    assert set(numbers.values()) == {1}, "twice"
    assert {one["version"] for one in made} == {1}


def judge_task(store: list[dict[str, Any]]) -> None:
    """One order, whose Task went forward only and ended closed."""
    versions = [one["resource"] for one in store if one["type"] == "Task"]
    assert len({one["id"] for one in versions}) == 1, "the order was placed twice"
    statuses = [TaskStatus(one["status"]) for one in versions]
    for before, after in pairwise(statuses):
        assert before is after or task_steps(before, after), f"{before} to {after}"
    said = [one["businessStatus"]["coding"][0]["display"] for one in versions]
    places = [SAID.index(words) for words in said]
    assert places == sorted(places), said
    assert said[-1] == "Referral closed"
    outputs = [json.dumps(one, sort_keys=True) for one in versions[-1]["output"]]
    assert len(outputs) == len(set(outputs)), "an output twice"


def judge_ours(url: str, store: list[dict[str, Any]]) -> int:
    """Nothing is left over, nothing was taken in twice, and nothing but the closing followed the stop.

    Returns how many steps and exchanges died with a worker.
    """
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            states = Counter(connection.execute(select(outbox_message.c.state)).scalars())
            leases = connection.execute(
                select(func.count()).select_from(lane).where(lane.c.lease_owner.is_not(None))
            ).scalar_one()
            inbox = Counter(connection.execute(select(inbox_message.c.state)).scalars())
            stopped = connection.execute(select(func.max(consent_grant.c.ended_at))).scalar_one()
            ordered = connection.execute(
                select(func.count()).select_from(referral).where(referral.c.task_id.is_not(None))
            ).scalar_one()
            meetings = connection.execute(select(func.count()).select_from(encounter)).scalar_one()
            scores = connection.execute(select(func.count()).select_from(outcome)).scalar_one()
            order = json.loads(
                connection.execute(select(referral.c.body).where(referral.c.task_id.is_not(None))).scalar_one()
            )
            tries = connection.execute(
                select(attempt.c.outbox_id, attempt.c.started_at, attempt.c.ended_at).order_by(attempt.c.id)
            ).all()
            begun = connection.execute(select(func.sum(inbox_message.c.attempts))).scalar_one()
    finally:
        engine.dispose()
    assert set(states) <= {"done", "cancelled", "superseded"}, states
    assert leases == 0
    assert set(inbox) == {"done"}
    assert ordered == 1
    assert (meetings, scores, len(order["attempts"])) == (6, 1, 1), "three notes, a group of three, a score, a call"
    died = sum(1 for one in tries if one.ended_at is None)
    print(f"{died} attempts at sending and {begun - 1} at taking in died with a worker; outbox {dict(states)}")
    waits = [
        (after.started_at - before.started_at).total_seconds()
        for before, after in pairwise(sorted(tries, key=lambda one: (one.outbox_id, one.started_at)))
        if before.outbox_id == after.outbox_id and before.ended_at is None
    ]
    print("gone on after", " ".join(f"{one:.1f}" for one in waits), "s")
    assert min(waits, default=LEASE_SECONDS) >= LEASE_SECONDS - 0.05, "gone on while the lease held"
    late = [one for one in store if datetime.fromisoformat(one["at"]) > stopped and one["source"] != "hospital"]
    closing = [one for one in store if one["type"] == "Task"][-1]
    assert [one["type"] for one in late if one["type"] != "Task"] == []
    assert datetime.fromisoformat(closing["at"]) > stopped
    return int(died + begun - 1)
