from __future__ import annotations

import hashlib

import pytest

from peerfhir.records.database import writing
from tests.inbox.order import keep, messages


def test_what_arrived_is_kept_byte_for_byte_and_due_at_once(engine, clock):
    with writing(engine) as connection:
        message = keep(connection, clock, 1, 1)
    row = messages(engine)[message]
    assert row.body == b'{"resourceType":"Bundle"}'
    assert row.body_sha256 == hashlib.sha256(row.body).hexdigest()
    assert (row.state, row.due_at, row.received_at, row.attempts) == ("ready", clock.now(), clock.now(), 0)
    assert row.focus == '["Patient/p1/_history/1","Task/t1/_history/1"]'


def test_the_same_key_is_the_same_message_for_its_program_and_source_only(engine, clock):
    with writing(engine) as connection:
        first = keep(connection, clock, 1, 1)
        assert keep(connection, clock, 1, 1) == first
        others = {
            keep(connection, clock, 1, 2),
            keep(connection, clock, 1, 1, source="another"),
            keep(connection, clock, 1, 1, program="lakeside"),
        }
    assert len({first} | others) == 4
    assert len(messages(engine)) == 4


def test_nothing_is_kept_of_a_transaction_that_failed(engine, clock):
    def kept_and_failed():
        with writing(engine) as connection:
            keep(connection, clock, 1, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        kept_and_failed()
    assert messages(engine) == {}
