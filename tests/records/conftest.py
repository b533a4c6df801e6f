"""An office on each kind of database, with records made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from peerfhir.records.work import Office
from tests.records import made
from tests.support.clock import HeldClock


@pytest.fixture
def maker() -> made.Maker:
    return made.Maker(20261121)


@pytest.fixture
def open_office(engine: Engine, clock: HeldClock) -> Callable[..., Office]:
    """An office with a projector of the test's choice."""

    def build(project=made.nothing_to_show, **changes: object) -> Office:
        given = {
            "programs": made.PROGRAMS,
            "instruments": {"phq-9": made.instrument()},
            "recipients": made.RECIPIENTS,
            "horizon": {"other": timedelta(hours=1)},
            **changes,
        }
        return Office(engine, clock, project=project, **given)

    return build


@pytest.fixture
def office(open_office: Callable[..., Office]) -> Office:
    return open_office()
