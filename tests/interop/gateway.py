"""The shipped server as a process of its own, with a client that has a token."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peerfhir.operators import Operator
from peerfhir.wiring import House, Worker
from tests.support.caller import Caller, exchange
from tests.support.house import ROOT, SECRET
from tests.support.postgres import free_port

ENDPOINT = "general-hospital"
HOSPITAL = "https://ehr.example.org/fhir"


@dataclass(frozen=True)
class Gateway:
    """`peerfhir serve`, as it is shipped, on a SQLite database of its own; its worker runs when a test asks."""

    url: str
    caller: Caller
    worker: Worker
    folder: Path
    environment: dict[str, str]

    @property
    def base(self) -> str:
        """Of the FHIR API."""
        return f"{self.url}/fhir"

    @property
    def authorization(self) -> str:
        return f"Bearer {self.caller.token}"


@contextmanager
def running(folder: Path, *, scope: str = "system/*.cruds") -> Iterator[Gateway]:
    """Starts the server in `folder`, and ends it as a service manager does."""
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "config" / "endpoints" / f"{ENDPOINT}.yaml").write_text(
        f"endpoint: {ENDPOINT}\nprogram: riverside\nbase_url: {HOSPITAL}\n", "utf-8"
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ours = {
        "PEERFHIR_SECRET_KEY": SECRET,
        "PEERFHIR_MAPPINGS": str(ROOT / "mappings"),
        "PEERFHIR_BASE_URL": url,
        "PEERFHIR_PORT": str(port),
        "PEERFHIR_ACCESS_TOKEN_SECONDS": "3600",
    }
    house = House.open(folder / "config", ours)
    house.migrate()
    client_id, secret = Operator(house).add_client("interop", scope)
    worker = house.worker()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PEERFHIR_")} | ours
    process = subprocess.Popen(
        [sys.executable, "-m", "peerfhir.cli", "serve", "--config", str(folder / "config")], env=environment,
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(process, url)
        yield Gateway(url, Caller(url, client_id, secret or ""), worker, folder, environment)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        worker.outbox.close()
        house.engine.dispose()


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended before it was ready"
        try:
            if exchange(url, "GET", "/readyz").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not come up")
