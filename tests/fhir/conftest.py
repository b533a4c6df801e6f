"""One database of each kind for all tests of a module; every test has a program of its own in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from peerfhir.fhir.store import metadata
from peerfhir.records.database import open_engine


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine on a database that has the tables of `fhir`, and only those."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('fhir') / 'fhir.db'}"
    else:
        maintenance = request.getfixturevalue("postgres_server")
        name = "t_" + uuid.uuid4().hex[:12]
        admin = create_engine(maintenance, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"create database {name}"))
        admin.dispose()
        url = maintenance.rsplit("/", 1)[0] + "/" + name
    engine = open_engine(url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()
