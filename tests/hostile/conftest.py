"""A web app on a fresh SQLite database; `engine` where both databases count."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine

from peerfhir.records.database import open_engine, upgrade
from tests.support import doors


@pytest.fixture
def lite(tmp_path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'peerfhir.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def web_app(lite, clock) -> Flask:
    return doors.app(lite, clock)
