"""A database where rows can be put in and looked at."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from peerfhir.records.database import upgrade


@pytest.fixture
def lite(tmp_path, clock) -> Engine:
    """SQLite only, for what does not differ between the two databases."""
    from peerfhir.records.database import open_engine

    engine = open_engine(f"sqlite:///{tmp_path / 'peerfhir.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()
