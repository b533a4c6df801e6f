"""Fixtures of the whole house: both databases, a held clock."""

from __future__ import annotations

import io
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from peerfhir import logs
from tests.support import postgres
from tests.support.clock import HeldClock

WHY_NO_POSTGRES = "PostgreSQL's own binaries (initdb, postgres) are not installed on this machine"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A private server for this session (one per xdist worker)."""
    if postgres.binaries() is None:
        if os.environ.get("REQUIRE_POSTGRES"):
            pytest.fail(WHY_NO_POSTGRES)
        pytest.skip(WHY_NO_POSTGRES)
    for _ in range(2):  # a port taken between asking and starting is tried once more
        with postgres.server() as url:
            engine = create_engine(url, isolation_level="AUTOCOMMIT")
            for _ in range(100):
                try:
                    with engine.connect() as connection:
                        connection.execute(text("select 1"))
                    break
                except Exception:
                    time.sleep(0.1)
            else:
                engine.dispose()
                continue
            engine.dispose()
            yield url
            return
    raise RuntimeError("PostgreSQL did not start")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file; tests get copies, so that each does not migrate anew."""
    path = tmp_path_factory.mktemp("template") / "peerfhir.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a migrated PostgreSQL database; tests get copies."""
    name = "template_peerfhir"
    _on(postgres_server, f"create database {name}")
    _migrate(postgres_server.rsplit("/", 1)[0] + "/" + name)
    return name


def _migrate(url: str) -> None:
    from peerfhir.records.database import open_engine, upgrade

    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()


def _on(maintenance: str, statement: str) -> None:
    admin = create_engine(maintenance, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(statement))
    admin.dispose()


@contextmanager
def _postgres_database(request: pytest.FixtureRequest, template: str | None) -> Iterator[str]:
    maintenance = request.getfixturevalue("postgres_server")
    name = "t_" + uuid.uuid4().hex[:12]
    _on(maintenance, f"create database {name}" + (f" template {template}" if template else ""))
    try:
        yield maintenance.rsplit("/", 1)[0] + "/" + name
    finally:
        _on(maintenance, f"drop database {name} with (force)")


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of each kind, with the current schema."""
    if request.param == "sqlite":
        path = tmp_path / "peerfhir.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    with _postgres_database(request, request.getfixturevalue("postgres_template")) as url:
        yield url


@pytest.fixture(params=BOTH)
def bare_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine on an empty database of each kind, with the settings of the product."""
    from peerfhir.records.database import open_engine

    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'bare.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(_postgres_database(request, None))
        engine = open_engine(url)
        stack.callback(engine.dispose)
        yield engine


@pytest.fixture
def engine(engine_url: str) -> Iterator[Engine]:
    """An engine on a database with the current schema."""
    from peerfhir.records.database import open_engine

    engine = open_engine(engine_url)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly when one of the two databases was not tested, and what other people's programs have judged."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in getattr(report, "user_properties", ()):
            if name == "judge":
                terminalreporter.write_line(f"JUDGED BY {value}")
    if postgres.binaries() is None and not os.environ.get("PYTEST_XDIST_WORKER"):
        terminalreporter.write_line(f"NOT TESTED ON POSTGRESQL: {WHY_NO_POSTGRES}.", yellow=True)


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """Everything that would be written to the log, at its finest; the loggers are put back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("peerfhir")
    kept = (root.handlers[:], root.level, ours.handlers[:], ours.level, ours.propagate)
    stream = io.StringIO()
    logs.set_up(stream)
    ours.setLevel(logging.DEBUG)
    yield stream
    root.handlers[:], ours.handlers[:] = kept[0], kept[2]
    root.setLevel(kept[1])
    ours.setLevel(kept[3])
    ours.propagate = kept[4]
    structlog.reset_defaults()
