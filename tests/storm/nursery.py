"""Starts real worker processes and kills them at seeded moments; run as `python -m tests.storm.nursery`.

It imports everything first and forks, so that a worker is at work within milliseconds and dies as a real process
does. It reads its orders as JSON from standard input; when standard input ends, so does it.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from peerfhir.clock import SystemClock
from peerfhir.errors import DatabaseBusy
from peerfhir.records.database import open_engine
from tests.support.owing import endpoint_at, outbox_of


def main() -> None:
    orders: dict[str, Any] = json.loads(sys.stdin.readline())
    chance = random.Random(orders["seed"])
    low, high = orders["between"]
    engine = open_engine(orders["database"])
    warm_up(orders, engine)
    for kill in range(orders["kills"]):
        child = born(orders, engine, f"{orders['seed']}-{kill}")
        time.sleep(chance.uniform(low, high))
        bury([child])
    print(json.dumps({"kills": orders["kills"]}), flush=True)
    children = [born(orders, engine, f"{orders['seed']}-last-{each}") for each in range(orders["workers"])]
    select.select([sys.stdin], [], [], orders["at_most"])
    bury(children)


def warm_up(orders: dict[str, Any], engine: Engine) -> None:
    """One turn here, so that every worker is born with its statements compiled; then no thread and no connection."""
    outbox = outbox_of(engine, SystemClock(), endpoint_at(orders["hospital"], **orders["endpoint"]), owner="first")
    outbox.run_once(4)
    outbox.close()
    while threading.active_count() > 1:
        time.sleep(0.005)
    engine.dispose()


def born(orders: dict[str, Any], engine: Engine, name: str) -> int:
    """A worker in a process of its own, at work on its first messages; its id."""
    hears, says = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(orders, engine, name, lambda: os.write(says, b"."))
        finally:
            os._exit(1)
    select.select([hears], [], [], 5.0)
    os.close(hears)
    os.close(says)
    return child


def work(orders: dict[str, Any], engine: Engine, name: str, at_work: Callable[[], object]) -> None:
    parent = os.getppid()
    endpoint = endpoint_at(orders["hospital"], **orders["endpoint"])
    outbox = outbox_of(engine, SystemClock(), endpoint, owner=name, seed=hash(name))
    fresh = True
    while os.getppid() == parent:
        try:
            handled = outbox.run_once(8 - outbox.in_flight(), patience=0.05)
        except DatabaseBusy:
            handled = 0
        if fresh and (handled or outbox.in_flight()):
            fresh = False
            at_work()
        if not handled:
            time.sleep(0.02)


def bury(children: list[int]) -> None:
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
