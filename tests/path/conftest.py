"""A loop on a database of its own: SQLite and PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support.loop import Loop
from tests.support.scene import running

LoopOf = Callable[..., Loop]


@pytest.fixture
def loop_of(tmp_path: Path, engine_url: str) -> Iterator[LoopOf]:
    """Opens a loop of the kind a test asks for; closes it afterwards."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(running(tmp_path, engine_url, **how))


@pytest.fixture
def loop(loop_of: LoopOf) -> Loop:
    """A loop with an open hospital."""
    return loop_of()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty database of each kind, shared by the tests of one module."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'peerfhir.db'}"
        return
    maintenance = request.getfixturevalue("postgres_server")
    name = f"m_{uuid.uuid4().hex[:12]}"
    admin = create_engine(maintenance, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    try:
        yield maintenance.rsplit("/", 1)[0] + "/" + name
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"drop database {name} with (force)"))
        admin.dispose()
