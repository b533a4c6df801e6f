"""Fixtures of the whole house: both databases, a held clock."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'peerfhir.db'}"
        return
    maintenance = request.getfixturevalue("postgres_server")
    name = "t_" + uuid.uuid4().hex[:12]
    admin = create_engine(maintenance, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    try:
        yield maintenance.rsplit("/", 1)[0] + "/" + name
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"drop database {name} with (force)"))
        admin.dispose()


@pytest.fixture
def bare_engine(engine_url: str) -> Iterator[Engine]:
    """An engine on an empty database, with the settings of the product."""
    from peerfhir.records.database import open_engine

    engine = open_engine(engine_url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(bare_engine: Engine) -> Engine:
    """An engine on a database with the current schema."""
    from peerfhir.records.database import upgrade

    upgrade(bare_engine)
    return bare_engine


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly when one of the two databases was not tested."""
    if postgres.binaries() is None and not os.environ.get("PYTEST_XDIST_WORKER"):
        terminalreporter.write_line(f"NOT TESTED ON POSTGRESQL: {WHY_NO_POSTGRES}.", yellow=True)
