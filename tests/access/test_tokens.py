from __future__ import annotations

import pytest
from sqlalchemy import select

from peerfhir.access import clients, scopes, tokens
from peerfhir.access.tokens import Held, Remembered
from peerfhir.pathway.vocabulary import Recipient, Role
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import access_token

MAY = scopes.parse("system/Task.rs")


@pytest.fixture
def hospital(engine, clock):
    with writing(engine) as connection:
        client_id, _ = clients.add_client(connection, clock, "alpha", "Hospital", "system/*.cruds", "riverside")
    return client_id


def _issue(engine, clock, client_id, seconds=300) -> str:
    with writing(engine) as connection:
        return tokens.issue(connection, clock, client_id, "alpha", MAY, seconds)


def _verify(engine, clock, token) -> Held | None:
    with reading(engine) as connection:
        return tokens.verify(connection, clock, token, {"riverside": Recipient.HOSPITAL})


def test_a_token_says_who_holds_it_and_is_kept_only_as_its_digest(engine, clock, hospital):
    token = _issue(engine, clock, hospital)
    held = _verify(engine, clock, token)
    assert held is not None
    caller = held.caller
    assert (caller.client_id, caller.program_id, caller.source) == (hospital, "alpha", "riverside")
    assert caller.recipient is Recipient.HOSPITAL
    assert caller.scopes == MAY
    assert caller.actor().role is Role.REQUESTER
    assert caller.actor().source == "riverside"
    with reading(engine) as connection:
        assert token not in str(connection.execute(select(access_token)).all())


def test_a_token_ends_to_the_second_and_is_swept_away_later(engine, clock, hospital):
    token = _issue(engine, clock, hospital)
    clock.move(seconds=299)
    assert _verify(engine, clock, token)
    clock.move(seconds=1)
    assert _verify(engine, clock, token) is None
    clock.move(days=2)
    _issue(engine, clock, hospital)
    with reading(engine) as connection:
        assert len(connection.execute(select(access_token)).all()) == 1


def test_a_client_ends_its_own_token_and_no_other(engine, clock, hospital):
    token = _issue(engine, clock, hospital)
    with writing(engine) as connection:
        tokens.revoke(connection, clock, token, "client-other")
    assert _verify(engine, clock, token)
    with writing(engine) as connection:
        tokens.revoke(connection, clock, token, hospital)
    assert _verify(engine, clock, token) is None


def test_a_client_without_endpoint_speaks_for_itself_and_no_grant_counts_for_it(lite, clock):
    with writing(lite) as connection:
        client_id, _ = clients.add_client(connection, clock, "alpha", "Tool", "system/*.rs")
    held = _verify(lite, clock, _issue(lite, clock, client_id))
    assert held is not None
    assert (held.caller.source, held.caller.recipient) == (client_id, None)


def test_what_was_found_good_is_believed_for_a_second_at_most(lite, clock):
    with writing(lite) as connection:
        client_id, _ = clients.add_client(connection, clock, "alpha", "Tool", "system/*.rs")
    token = _issue(lite, clock, client_id)
    asked = []

    def look_up(key: str) -> Held | None:
        asked.append(key)
        return _verify(lite, clock, key)

    remembered = Remembered(clock, look_up, most=3)
    for _ in range(100):
        assert remembered.caller(token)
    assert len(asked) == 1
    with writing(lite) as connection:
        clients.revoke_client(connection, clock, client_id)
    clock.move(seconds=0.999)
    assert remembered.caller(token)
    clock.move(seconds=0.001)
    assert remembered.caller(token) is None
    assert remembered.caller(token) is None
    assert len(asked) == 3  # what is not good is asked again each time, so that a new token works at once


def test_a_remembered_token_still_ends_at_its_end_and_memory_stays_small(lite, clock):
    with writing(lite) as connection:
        client_id, _ = clients.add_client(connection, clock, "alpha", "Tool", "system/*.rs")
    remembered = Remembered(clock, lambda key: _verify(lite, clock, key), seconds=60, most=3)
    token = _issue(lite, clock, client_id, seconds=30)
    assert remembered.caller(token)
    clock.move(seconds=30)
    assert remembered.caller(token) is None
    for _ in range(10):
        assert remembered.caller(_issue(lite, clock, client_id))
        assert len(remembered._held) <= 3
