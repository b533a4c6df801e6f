"""The processes of the house: the web server with its workers, and the practice hospital."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from peerfhir.clock import SystemClock
from peerfhir.config import Settings, compose
from peerfhir.errors import BadRequest

if TYPE_CHECKING:
    from flask import Flask

_SWITCH_SECONDS = 0.002
BLOCKING_THREADS = 256  # two workers with these hold against 400 slow clients; see docs/operating.md
BACKPRESSURE = 1000
BACKLOG = 2048
HEADER_READ_MILLISECONDS = 10_000
KILL_SECONDS = 10


def web_from_environment() -> Flask:
    """The web app of one server process; what `peerfhir serve` hands to the server."""
    from peerfhir.logs import set_up

    # A thread that holds the database's turn gives the interpreter away at each statement; with the usual 5 ms it
    # would wait that long for threads that are only computing, and everybody else with it.
    sys.setswitchinterval(_SWITCH_SECONDS)
    set_up()
    from peerfhir.wiring import House

    return House.open(Path(os.environ.get("PEERFHIR_CONFIG", "config")), os.environ).web()


def serve_web(
    settings: Settings, config: Path, *, host: str | None = None, port: int | None = None, with_worker: bool = False
) -> None:
    """Run the server until it is told to stop; beside it the worker, when asked."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    # what each server process needs is read once, before they are forked: a restart is faster, memory is shared
    import peerfhir.gateway.app
    import peerfhir.portal.app  # noqa: F401

    os.environ["PEERFHIR_CONFIG"] = str(config.resolve())
    worker = None
    if with_worker:
        worker = subprocess.Popen([sys.executable, "-m", "peerfhir.cli", "work"])
    server = Granian(
        "peerfhir.serving:web_from_environment",
        factory=True,
        interface=Interfaces.WSGI,
        address=host or settings.host,
        port=port or settings.port,
        workers=settings.workers,
        blocking_threads=BLOCKING_THREADS,
        backpressure=BACKPRESSURE,
        backlog=BACKLOG,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_MILLISECONDS),
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_SECONDS,
        websockets=False,
        log_enabled=False,
    )
    try:
        server.serve()
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait(timeout=KILL_SECONDS + 2)


def serve_practice(folder: Path, mood: str, port: int, gateway: str, environ: Mapping[str, str]) -> None:
    """Run the practice hospital: one process, its own database file."""
    from functools import partial as bound

    from werkzeug.serving import make_server

    from peerfhir.fhir.tables import metadata
    from peerfhir.practice.app import create_app
    from peerfhir.practice.hospital import Hospital, Practice
    from peerfhir.practice.moods import MOODS
    from peerfhir.records.database import open_engine, reading, writing

    if mood not in MOODS:
        raise BadRequest(f"There is no such mood; there are: {', '.join(MOODS)}.", place="--mood")
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_engine(f"sqlite:///{folder.resolve() / 'hospital.db'}")
    metadata.create_all(engine)
    hospital = Hospital(
        Practice(
            mood=MOODS[mood],
            base_url=f"http://127.0.0.1:{port}",
            gateway=gateway,
            client=(environ.get("PRACTICE_CLIENT_ID", ""), environ.get("PRACTICE_SECRET", "")),
            partner=(environ.get("PRACTICE_PARTNER_ID", "peerfhir"), environ.get("PRACTICE_PARTNER_SECRET") or _key()),
            key=environ.get("PRACTICE_KEY") or _key(),
            program=environ.get(
                "PRACTICE_PROGRAM", "https://peerfhir.example.org/organizations|riverside-peer-support"
            ),
            canonical=environ.get("PRACTICE_CANONICAL", "http://peerfhir.example.org/fhir"),
        ),
        bound(reading, engine),
        bound(writing, engine),
        SystemClock(),
    )
    hospital.furnish()
    server = make_server("127.0.0.1", port, create_app(hospital), threaded=True)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
        engine.dispose()


def make_secret(config: Path) -> Path | None:
    """The file that signs forms, where settings name one and it is not there yet; its path when it was made."""
    named = compose(config / "peerfhir.yaml").plain().get("secret_key_file")
    path = config.resolve().parent / str(named) if named else None
    if path is None or path.exists():
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(_key() + "\n", "utf-8")
    return path


def _key() -> str:
    return secrets.token_urlsafe(48)
