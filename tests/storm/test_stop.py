"""R10, the fast figure: SIGTERM while busy ends a process within ten seconds, with exit code 0, and a restart resumes.

Orders are sent to a real `peerfhir serve` and worked on by a real `peerfhir work`, against a hospital written apart.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from peerfhir.demonstration import Demonstration
from peerfhir.practice.orders import NotTaken, Order, ProgramClient, as_transaction, resources
from peerfhir.practice.people import PATIENTS, patient, staff
from peerfhir.practice.stage import Stage, free_port
from peerfhir.records.database import reading
from peerfhir.records.schema import inbox_message, lane, outbox_message, referral
from peerfhir.wiring import House
from tests.support.ehr import FakeEhr, Faults
from tests.support.orders import as_sent

pytestmark = pytest.mark.storm

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("STORM_SEED", "20261123"))
STOP_SECONDS = 10
NAMESPACE = "https://practice-hospital.example.org"
STATUS_SYSTEM = "http://peerfhir.example.org/fhir/CodeSystem/peer-referral-status"
PATIENT_DEADLINES = "connect_seconds: 1\nread_seconds: 30\ntotal_seconds: 30\nlease_seconds: 40\n"
QUICK_DEADLINES = "connect_seconds: 1\nread_seconds: 5\ntotal_seconds: 5\nlease_seconds: 7\n"


@dataclass
class Site:
    """A configured house with its processes, and a client of the hospital."""

    stage: Stage
    house: House
    gateway: str
    hospital: str
    client: tuple[str, str]
    environment: dict[str, str]
    acknowledged: list[int] = field(default_factory=list)

    def serve(self) -> None:
        self.stage.start("gateway", ["serve"], self.environment, f"{self.gateway}/readyz")

    def work(self) -> None:
        begun = self.log("worker").count('"event": "at work"')
        self.stage.start("worker", ["work"], self.environment)
        until = time.monotonic() + 40
        while self.log("worker").count('"event": "at work"') == begun:
            assert time.monotonic() < until, self.log("worker")
            time.sleep(0.01)

    def log(self, name: str) -> str:
        path = self.stage.folder / f"{name}.log"
        return path.read_text("utf-8") if path.exists() else ""

    def send(self, number: int) -> None:
        """One order of its own; raises NotTaken when there was no good answer."""
        program = ProgramClient(self.gateway, *self.client, now=time.monotonic)
        program.send(as_transaction(order(number), f"{self.hospital}/fhir"))
        self.acknowledged.append(number)

    def count(self, query: Any) -> Counter[str]:
        with reading(self.house.engine) as connection:
            return Counter(connection.execute(query).scalars())


def order(number: int) -> list[dict[str, Any]]:
    """An order of a person of its own, as the practice hospital would send it."""
    who = patient(PATIENTS[number % len(PATIENTS)], NAMESPACE)
    who |= {"id": f"p{number}", "identifier": [{"system": f"{NAMESPACE}/mrn", "value": f"MRN-{number}"}]}
    around = staff(NAMESPACE, "https://peerfhir.example.org/organizations|riverside-peer-support")
    made = resources(Order(f"p{number}", "Lonely."), number, datetime.now(UTC), NAMESPACE, STATUS_SYSTEM)
    return as_sent((*around, who, *made))


def open_site(folder: Path, url: str, hospital: str, deadlines: str) -> Site:
    shown = Demonstration(folder, ROOT / "config", "open", 0, 0, print, database_url=url, deadlines=deadlines)
    shown._empty()
    gateway = f"http://127.0.0.1:{free_port()}"
    house = shown._furnish(gateway, hospital)
    given = shown._practice_environment(house, house.settings.default_program)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PEERFHIR_")}
    environment = clean | shown._settings() | {"PEERFHIR_CONFIG": str(folder / "config")}
    client = (given["PRACTICE_CLIENT_ID"], given["PRACTICE_SECRET"])
    return Site(Stage(folder), house, gateway, hospital, client, environment)


@pytest.fixture
def hospital() -> Iterator[FakeEhr]:
    with FakeEhr(tokens=True, faults=Faults(latency=(0.02, 0.15)), seed=SEED) as ehr:
        yield ehr


def end(site: Site, name: str, *, group: bool) -> float:
    """SIGTERM; how long the process took. It has to go by itself, with exit code 0."""
    process = site.stage._running.pop(name)
    begun = time.monotonic()
    try:
        (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
        code = process.wait(STOP_SECONDS + 5)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
    took = time.monotonic() - begun
    assert code == 0, site.stage.tail(name)
    assert took <= STOP_SECONDS, f"{took:.1f} s"
    assert "Traceback" not in site.log(name)
    assert '"exception"' not in site.log(name)
    return took


def test_what_is_busy_ends_when_told_and_a_restart_goes_on(hospital: FakeEhr, engine_url: str, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    site = open_site(tmp_path / "site", engine_url, hospital.url.removesuffix("/fhir"), QUICK_DEADLINES)
    numbers = iter(range(1, 10_000))
    took: list[float] = []
    try:
        for turn in range(2):
            site.serve()
            with Senders(site, numbers, hospital):
                time.sleep(chance.uniform(0.3, 0.8))
                took.append(end(site, "gateway", group=turn % 2 == 1))
        kept = site.count(select(inbox_message.c.state))
        assert kept.total() >= len(site.acknowledged) > 0
        for turn in range(4):
            site.work()
            time.sleep(chance.uniform(0.05, 0.6))
            took.append(end(site, "worker", group=turn % 2 == 1))
            assert site.count(select(inbox_message.c.state))["leased"] == 0
            assert site.count(select(lane.c.lease_owner)).keys() <= {None}
        print("ended after", " ".join(f"{one:.1f}" for one in took), "s;", len(site.acknowledged), "orders")
        site.work()
        wait_until_done(site)
        end(site, "worker", group=False)
        with reading(site.house.engine) as connection:
            referrals = connection.execute(select(func.count()).select_from(referral)).scalar_one()
        assert referrals == kept.total()
        for number in site.acknowledged:
            said = [each["businessStatus"]["coding"][0]["code"] for each in hospital.versions_of("Task", f"t{number}")]
            assert said == ["sent", "received"]
    finally:
        site.stage.close()
        site.house.engine.dispose()


def test_a_hospital_that_never_answers_and_a_client_that_never_ends_keep_nobody(
    engine_url: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and says nothing
        hospital = f"http://127.0.0.1:{silent.getsockname()[1]}"
        site = open_site(tmp_path / "site", engine_url, hospital, PATIENT_DEADLINES)
        try:
            site.serve()
            site.send(1)
            site.work()
            until = time.monotonic() + 20
            while not site.count(select(outbox_message.c.state))["leased"] and time.monotonic() < until:
                time.sleep(0.05)
            assert end(site, "worker", group=False) > 1, "nothing was in flight"
            with socket.create_connection(("127.0.0.1", int(site.gateway.rsplit(":", 1)[1]))) as slow:
                slow.sendall(b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ngrant")
                time.sleep(0.3)  # a client that never says the rest
                print(f"the gateway ended after {end(site, 'gateway', group=False):.1f} s")
            assert site.count(select(outbox_message.c.state)) == Counter({"leased": 1})  # its lease ends by itself
        finally:
            site.stage.close()
            site.house.engine.dispose()


def wait_until_done(site: Site) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        waiting = site.count(select(inbox_message.c.state)) + site.count(select(outbox_message.c.state))
        if waiting.keys() <= {"done", "superseded"}:
            return
        assert "parked" not in waiting, waiting
        time.sleep(0.1)
    raise AssertionError(f"still waiting: {waiting}")


class Senders:
    """Four clients that send one order after another until the gateway is gone."""

    def __init__(self, site: Site, numbers: Iterator[int], hospital: FakeEhr) -> None:
        self._site, self._numbers, self._hospital = site, numbers, hospital
        self.refused: list[Any] = []
        self._turn = threading.Lock()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(4)]

    def __enter__(self) -> Senders:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *why: object) -> None:
        for each in self._threads:
            each.join(30)
        assert self.refused == []

    def _send(self) -> None:
        while True:
            with self._turn:
                number = next(self._numbers)
                self._hospital.put_in(next(one for one in order(number) if one["resourceType"] == "Task"))
            try:
                self._site.send(number)
            except NotTaken as refusal:
                if not refusal.unanswered:
                    self.refused.append(refusal.outcome)
                return
