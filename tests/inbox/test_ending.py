"""Workers that end, in order or not, while messages are in their hands."""

from __future__ import annotations

from typing import Any

import pytest

from peerfhir.inbox.intake import Intake
from tests.inbox.order import inbox_of, messages, place, shipped


class Killed(BaseException):
    pass


def test_a_message_of_a_killed_worker_is_taken_up_after_ten_seconds(engine, clock):
    def dies(*_: Any) -> Any:
        raise Killed

    message = place(engine, clock, 1)
    with pytest.raises(Killed):
        inbox_of(engine, clock, "killed", read_order=dies).run_once()
    other = inbox_of(engine, clock, "other")
    clock.move(seconds=9)
    assert other.run_once() == 0
    clock.move(seconds=2)
    assert other.run_once() == 1
    assert messages(engine)[message].state == "done"


def test_a_message_over_which_workers_die_is_parked_and_holds_up_nobody(engine, clock):
    def dies(store: Any, task: Any, source: Any) -> Any:
        if task["id"] == "t1":
            raise Killed
        return intake(store, task, source)

    intake = Intake(shipped(), frozenset({"general"}))
    bad, good = place(engine, clock, 1), place(engine, clock, 2)
    deaths = 0
    for n in range(12):
        try:
            inbox_of(engine, clock, f"w{n}", read_order=dies).run_once()
        except Killed:
            deaths += 1
        clock.move(seconds=11)
    rows = messages(engine)
    assert (rows[bad].state, rows[bad].reason, deaths) == ("parked", "worker-died", 8)
    assert rows[good].state == "done"


def test_a_worker_that_is_told_to_stop_finishes_its_message_and_begins_no_other(engine, clock):
    def stopping(store: Any, task: Any, source: Any) -> Any:
        inbox.stop()
        return intake(store, task, source)

    intake = Intake(shipped(), frozenset({"general"}))
    for n in range(5):
        place(engine, clock, n)
        clock.move(milliseconds=1)
    inbox = inbox_of(engine, clock, "w1", read_order=stopping)
    inbox.run_once()
    rows = sorted(messages(engine).values(), key=lambda row: row.received_at)
    assert [row.state for row in rows] == ["done", "ready", "ready", "ready", "ready"]
    assert [row.attempts for row in rows] == [1, 0, 0, 0, 0]
    assert {row.lease_owner for row in rows} == {None}
    assert inbox.run_once() == 0
    assert inbox_of(engine, clock, "w2").run_once() == 4
