"""A site with pages on a fresh SQLite database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from peerfhir.records.database import open_engine, upgrade
from tests.portal.site import Site, build
from tests.support.clock import HeldClock


@pytest.fixture
def site(tmp_path: Path, clock: HeldClock) -> Iterator[Site]:
    engine = open_engine(f"sqlite:///{tmp_path / 'peerfhir.db'}")
    upgrade(engine)
    yield build(engine, clock)
    engine.dispose()
