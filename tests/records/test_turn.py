from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, insert

from peerfhir.errors import DatabaseBusy, Fault
from peerfhir.records import turn
from peerfhir.records.database import open_engine, upgrade, writing
from peerfhir.records.schema import endpoint_state


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turn, "_LONGEST_SECONDS", 60.0)  # a slow machine must not end a batch that a test is about
    engine = open_engine(f"sqlite:///{tmp_path / 'turn.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def commits(engine: Engine) -> list[int]:
    counted: list[int] = []
    event.listen(engine, "commit", lambda connection: counted.append(1))
    return counted


def put(connection, name: str) -> None:
    row = {"endpoint": name, "paused": False, "breaker": "closed", "failures": 0}
    connection.execute(insert(endpoint_state).values(**row))


def seen(engine: Engine) -> set[str]:
    """What another program would find in the file."""
    other = sqlite3.connect(str(engine.url.database))
    try:
        return {name for (name,) in other.execute("SELECT endpoint FROM endpoint_state")}
    finally:
        other.close()


def waiting_for(engine: Engine, many: int) -> None:
    """Until so many threads wait for the writer."""
    shared = engine.get_execution_options()["peerfhir_shared"]
    until = time.monotonic() + 10
    while shared._waiting < many:
        assert time.monotonic() < until
        time.sleep(0.001)


class Member(threading.Thread):
    """A thread that writes one row, then does something inside its transaction, and says how it ended."""

    def __init__(self, engine: Engine, name: str, then: Callable[..., object] = lambda connection: None) -> None:
        super().__init__(daemon=True)
        self._engine, self._row, self._then = engine, name, then
        self.fault: BaseException | None = None
        self.found: set[str] = set()
        self.start()

    def run(self) -> None:
        try:
            with writing(self._engine) as connection:
                put(connection, self._row)
                self._then(connection)
            self.found = seen(self._engine)
        except BaseException as fault:
            self.fault = fault


def together(engine: Engine, *others: tuple[str, Callable[..., object]]) -> list[Member]:
    """A first writer that stays until all others wait, then they, one after the other, and how each ended."""
    inside = threading.Event()

    def stay(connection) -> None:
        inside.set()
        waiting_for(engine, len(others))

    members = [Member(engine, "first", stay)]
    assert inside.wait(10)
    for number, (name, then) in enumerate(others, 1):
        members.append(Member(engine, name, then))
        if number < len(others):  # they come one after the other; with the last one the first goes on
            waiting_for(engine, number)
    for member in members:
        member.join(10)
        assert not member.is_alive()
    return members


def nothing(connection) -> None: ...


def test_those_who_wait_for_each_other_are_committed_at_once_and_nobody_goes_on_before(engine, commits):
    members = together(engine, ("second", nothing), ("third", nothing))
    assert [member.fault for member in members] == [None] * 3
    assert all(member.found >= {"first", "second", "third"} for member in members)
    assert len(commits) == 1


def test_what_one_breaks_off_is_undone_and_what_the_others_wrote_stays(engine, commits):
    def refuse(connection) -> None:
        raise LookupError("no")

    members = together(engine, ("second", refuse), ("third", nothing))
    assert [type(member.fault) for member in members] == [type(None), LookupError, type(None)]
    assert seen(engine) == {"first", "third"}


def test_a_taken_key_costs_its_own_writer_and_nobody_else(engine):
    def again(connection) -> None:
        put(connection, "first")

    members = together(engine, ("second", again))
    assert members[0].fault is None
    assert members[1].fault is not None
    assert seen(engine) == {"first"}


def test_a_transaction_that_sqlite_ended_itself_is_told_to_all_who_were_in_it(engine):
    """As it does when the disk is full or fails."""

    def full(connection) -> None:
        connection.connection.driver_connection.execute("ROLLBACK")
        raise OSError("the disk is full")

    members = together(engine, ("second", full))
    assert isinstance(members[0].fault, DatabaseBusy)
    assert isinstance(members[1].fault, OSError)
    assert seen(engine) == set()


def test_a_commit_that_fails_is_told_to_all_who_were_in_it_and_the_next_writer_goes_on(engine):
    def orphan(connection) -> None:
        """A row whose parent is missing, which SQLite looks at when it commits."""
        driver = connection.connection.driver_connection
        driver.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        driver.execute("CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
        driver.execute("INSERT INTO child VALUES (1)")

    members = together(engine, ("second", orphan))
    assert [isinstance(member.fault, Fault) for member in members] == [True, True]
    assert seen(engine) == set()
    with writing(engine) as connection:
        put(connection, "next")
    assert seen(engine) == {"next"}


def test_many_threads_write_everything_once(engine, commits):
    members = [Member(engine, f"e{number}") for number in range(40)]
    for member in members:
        member.join(30)
    assert [member.fault for member in members] == [None] * 40
    assert seen(engine) == {f"e{number}" for number in range(40)}
    assert len(commits) <= 40


def test_a_batch_that_lasts_is_committed_although_others_wait(engine, commits, monkeypatch):
    monkeypatch.setattr(turn, "_LONGEST_SECONDS", 0.0)
    members = together(engine, ("second", nothing), ("third", nothing))
    assert [member.fault for member in members] == [None] * 3
    assert len(commits) == 3


def test_a_writer_alone_waits_for_nobody(engine, commits):
    for number in range(3):
        with writing(engine) as connection:
            put(connection, f"e{number}")
    assert len(commits) == 3
