"""The mappings that ship, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.mapping.registry import Mappings
from tests.support import shipped

MAPPINGS = Path(__file__).parents[2] / "mappings"


@pytest.fixture(scope="session")
def mappings() -> Mappings:
    return shipped.mappings()
