from __future__ import annotations

import pytest
from sqlalchemy import update

from peerfhir.errors import Conflict, NotFound
from peerfhir.inbox import parked
from peerfhir.records.database import writing
from peerfhir.records.schema import inbox_message
from tests.inbox.order import PROGRAM, messages, place


def test_what_is_parked_is_shown_with_reason_and_advice_and_without_content(engine, clock):
    first = place(engine, clock, 1)
    place(engine, clock, 2)
    with writing(engine) as connection:
        change = update(inbox_message).where(inbox_message.c.id == first)
        connection.execute(change.values(state="parked", reason="reference-missing", advice="Task.focus: not sent"))
    (listed,) = parked.list_parked(engine, PROGRAM)
    assert (listed["id"], listed["reason"], listed["advice"]) == (first, "reference-missing", "Task.focus: not sent")
    assert "body" not in listed
    assert "body" not in parked.show(engine, PROGRAM, first)
    assert parked.list_parked(engine, "lakeside") == []


def test_a_rerun_puts_it_back_in_its_place(engine, clock):
    message = place(engine, clock, 1)
    with writing(engine) as connection:
        connection.execute(update(inbox_message).values(state="parked", reason="x", attempts=8, settled_at=clock.now()))
    clock.move(hours=1)
    assert parked.rerun(engine, clock, PROGRAM, message) == message
    row = messages(engine)[message]
    assert (row.state, row.reason, row.attempts, row.due_at, row.settled_at) == ("ready", None, 0, clock.now(), None)


def test_only_a_parked_message_of_the_own_program_is_run_again(engine, clock):
    message = place(engine, clock, 1)
    with pytest.raises(Conflict):
        parked.rerun(engine, clock, PROGRAM, message)
    for program, wanted in (("lakeside", message), (PROGRAM, "no-such-message")):
        with pytest.raises(NotFound):
            parked.rerun(engine, clock, program, wanted)
