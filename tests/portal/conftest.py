"""A site with pages on its own SQLite database, and one long journey whose every page is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from peerfhir.records.database import open_engine, upgrade
from tests.portal.browse import Page
from tests.portal.journey import walk
from tests.portal.site import Site, build, open_site
from tests.support.clock import HeldClock


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The house with its staff, built once: passwords are slow on purpose."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('portal') / 'furnished.db'}")
    upgrade(engine)
    made = build(engine, HeldClock())
    engine.dispose()
    return made


def _copy(furnished: Site, folder: Path, clock: HeldClock) -> Iterator[Site]:
    database = folder / "peerfhir.db"
    shutil.copy(furnished.parts.engine.url.database or "", database)
    engine = open_engine(f"sqlite:///{database}")
    yield open_site(engine, clock, furnished)
    engine.dispose()


@pytest.fixture
def site(furnished: Site, tmp_path: Path, clock: HeldClock) -> Iterator[Site]:
    yield from _copy(furnished, tmp_path, clock)


@pytest.fixture(scope="session")
def pages(furnished: Site, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Page]:
    """Every kind of page, as each reader sees it, by a name."""
    opened = _copy(furnished, tmp_path_factory.mktemp("journey"), HeldClock())
    try:
        return walk(next(opened))
    finally:
        opened.close()
