"""A whole house on a database of its own, for tests that need every room."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

from peerfhir.wiring import House

ROOT = Path(__file__).resolve().parents[2]
SECRET = "k" * 40


def furnish(folder: Path, database_url: str | None = None, **environ: str) -> House:
    """A house with the shipped configuration, in `folder`, on an upgraded database."""
    shutil.copytree(ROOT / "config", folder / "config", dirs_exist_ok=True)
    settings = {"PEERFHIR_SECRET_KEY": SECRET, "PEERFHIR_MAPPINGS": str(ROOT / "mappings"), **environ}
    if database_url:
        settings["PEERFHIR_DATABASE_URL"] = database_url
    house = House.open(folder / "config", settings)
    house.migrate()
    return house


@cache
def routes() -> frozenset[str]:
    """Every path of the web app."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        house = furnish(Path(folder))
        found = frozenset(rule.rule for rule in house.web().url_map.iter_rules())
        house.engine.dispose()
    return found
