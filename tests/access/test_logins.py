from __future__ import annotations

import pytest
from sqlalchemy import select

from peerfhir.access import accounts, logins
from peerfhir.pathway.vocabulary import Role
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import login as table


@pytest.fixture
def key(engine, clock) -> str:
    with writing(engine) as connection:
        user_id, _ = accounts.add_user(
            connection, clock, "alpha", "ines", "Ines", Role.COORDINATOR, "the long way round"
        )
        return logins.begin(connection, clock, user_id, "alpha")


def _who(engine, clock, key):
    with reading(engine) as connection:
        return logins.who(connection, clock, key)


def _touch(engine, clock, key):
    with writing(engine) as connection:
        logins.touch(connection, clock, key)


def test_a_login_ends_after_a_quarter_of_an_hour_without_a_page(engine, clock, key):
    clock.move(minutes=14, seconds=59)
    seen = _who(engine, clock, key)
    assert seen is not None
    assert seen.due
    _touch(engine, clock, key)
    clock.move(minutes=14, seconds=59)
    assert _who(engine, clock, key)
    clock.move(seconds=1)
    assert _who(engine, clock, key) is None


def test_a_login_ends_after_twelve_hours_however_busy(engine, clock, key):
    for _ in range(12 * 6 - 1):
        clock.move(minutes=10)
        assert _who(engine, clock, key)
        _touch(engine, clock, key)
    clock.move(minutes=10)
    assert _who(engine, clock, key) is None


def test_two_pages_in_the_same_moment_write_once(engine, clock, key):
    assert not _who(engine, clock, key).due
    clock.move(seconds=30)
    assert _who(engine, clock, key).due
    _touch(engine, clock, key)
    assert not _who(engine, clock, key).due


def test_signing_out_ends_it_at_once(engine, clock, key):
    with writing(engine) as connection:
        logins.sign_out(connection, clock, key)
    assert _who(engine, clock, key) is None
    assert _who(engine, clock, "a guess") is None


def test_old_logins_are_swept_away(engine, clock, key):
    clock.move(days=2)
    with writing(engine) as connection:
        logins.begin(connection, clock, "someone", "alpha")
        assert len(connection.execute(select(table)).all()) == 1
