"""A house of its own for each benchmark: configuration, database, server, clients; removed afterwards."""

from __future__ import annotations

import base64
import http.client
import json
import multiprocessing
import os
import platform
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peerfhir.wiring import House

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))
ENDPOINT = "bench-hospital"
HOSPITAL = "https://ehr.example.org/fhir"


def machine() -> str:
    """What every line ends with."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


def line(name: str, result: str, target: str, more: str = "") -> None:
    print(f"{name}: {result}  target {target}  [{machine()}{', ' + more if more else ''}]", flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Served:
    port: int
    token: str
    journal: str
    process: subprocess.Popen[bytes]
    seconds_to_ready: float
    config: Path
    environment: dict[str, str]


def wait(port: int) -> float:
    """Seconds from now until a server at this port is ready."""
    began = time.monotonic()
    while time.monotonic() - began < 30:
        try:
            if ask(port, "GET", "/readyz")[0] == 200:
                return time.monotonic() - began
        except OSError:
            pass
        time.sleep(0.01)
    raise RuntimeError("the server did not come up")


@contextmanager
def served(prepare: Callable[[House], None] | None = None) -> Iterator[Served]:
    """The shipped server command on a new SQLite database, with one client and its token.

    prepare  fills the database before the server starts
    """
    from peerfhir.operators import Operator
    from peerfhir.records.database import journal
    from peerfhir.wiring import House

    folder = Path(tempfile.mkdtemp(prefix="peerfhir-bench-"))
    port = free_port()
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "config" / "endpoints" / f"{ENDPOINT}.yaml").write_text(
        f"endpoint: {ENDPOINT}\nprogram: riverside\nbase_url: {HOSPITAL}\n", "utf-8"
    )
    ours = {
        "PEERFHIR_SECRET_KEY": "k" * 40,
        "PEERFHIR_MAPPINGS": str(ROOT / "mappings"),
        "PEERFHIR_BASE_URL": f"http://127.0.0.1:{port}",
        "PEERFHIR_PORT": str(port),
        "PEERFHIR_ACCESS_TOKEN_SECONDS": "3600",
    }
    house = House.open(folder / "config", ours)
    house.migrate()
    ident, secret = Operator(house).add_client("bench", "system/*.cruds", endpoint=ENDPOINT)
    mode = journal(house.engine)
    if prepare is not None:
        prepare(house)
    house.engine.dispose()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PEERFHIR_")} | ours
    environment["PYTHONPATH"] = str(ROOT / "src")
    process = subprocess.Popen(
        [sys.executable, "-m", "peerfhir.cli", "serve", "--config", str(folder / "config")],
        env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        ready = wait(port)
        basic = base64.b64encode(f"{ident}:{secret}".encode()).decode()
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "system/*.cruds"})
        status, answer = ask(
            port, "POST", "/oauth/token", form,
            {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"},
        )  # fmt: skip
        assert status == 200, answer
        yield Served(port, json.loads(answer)["access_token"], mode, process, ready, folder / "config", environment)
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
        shutil.rmtree(folder, ignore_errors=True)


def ask(port: int, method: str, path: str, body: str | bytes | None = None, headers: dict[str, str] | None = None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _load(
    port: int, token: str, make: Callable[[int, int], tuple[str, str, bytes | None]], which: int, seconds: float, queue
):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    times: list[float] = []
    bad = 0
    n = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        method, path, body = make(which, n)
        began = time.monotonic()
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        times.append(time.monotonic() - began)
        bad += answer.status >= 300
        n += 1
    queue.put((times, bad))


def load(server: Served, make, clients: int, seconds: float) -> tuple[float, float, float, int]:
    """(per second, p50 ms, p95 ms, refused) of `clients` processes with keep-alive, for `seconds`."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [
        context.Process(target=_load, args=(server.port, server.token, make, which, seconds, queue))
        for which in range(clients)
    ]
    began = time.monotonic()
    for each in workers:
        each.start()
    results = [queue.get() for _ in workers]
    for each in workers:
        each.join()
    took = time.monotonic() - began
    times = sorted(t for some, _ in results for t in some)
    p95 = times[int(len(times) * 0.95)] * 1000
    return len(times) / took, statistics.median(times) * 1000, p95, sum(bad for _, bad in results)


def referral(which: int, n: int) -> dict:
    """One referral as a hospital sends it: seven entries, each conditional on its identifier."""
    from datetime import UTC, datetime

    from peerfhir.practice import orders, people

    number = which * 1_000_000 + n
    base = "https://practice-hospital.example.org"
    made = orders.resources(
        orders.Order("p1", "Would like company on the way.", contact="mobile, evenings"), number,
        datetime(2026, 11, 21, 12, tzinfo=UTC), base, "http://peerfhir.example.org/fhir/CodeSystem/peer-referral-status",
    )  # fmt: skip
    who = people.patient(people.PATIENTS[0], base)
    who["identifier"][0]["value"] = f"MRN-{number}"
    staff = [
        s
        for s in people.staff(base, "https://peerfhir.example.org/organizations|riverside-peer-support")
        if s["id"] != "doc1"
    ]
    return orders.as_transaction([who, *staff, *made], HOSPITAL)
