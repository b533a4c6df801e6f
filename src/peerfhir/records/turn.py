"""SQLite's one writer: processes take turns at a file, threads of a process share one commit."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from peerfhir.errors import DatabaseBusy

if sys.platform != "win32":
    import fcntl

BUSY_SECONDS = 5.0  # how long a writer waits for its turn before it says "busy"
_QUEUE_SECONDS = 0.0005
_MOST_TOGETHER = 8  # in one commit, so that nobody waits long for the others
_LONGEST_SECONDS = 0.03  # nor holds up the other processes


class Turn:
    """Which process may write now.

    SQLite itself would let them poll with growing sleeps, up to 100 ms. The file holds nothing; a process that is
    killed gives its turn back with its last breath. SQLite's own lock stays the one that keeps the data whole.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".turn")
        self._file: tuple[int, int] | None = None  # process, descriptor: a forked child needs one of its own

    if sys.platform == "win32":  # SQLite's own waiting has to do between processes

        def take(self) -> None:
            """Nothing to do here."""

        def leave(self) -> None:
            """Nothing to do here."""

    else:

        def take(self) -> None:
            """Wait until no other process writes. Raises DatabaseBusy (later) after BUSY_SECONDS."""
            until = time.monotonic() + BUSY_SECONDS
            if self._file is None or self._file[0] != os.getpid():
                self._file = (os.getpid(), os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            while True:
                try:
                    return fcntl.flock(self._file[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise DatabaseBusy from None
                    time.sleep(_QUEUE_SECONDS)

        def leave(self) -> None:
            """Let another process write."""
            if self._file is not None:
                fcntl.flock(self._file[1], fcntl.LOCK_UN)


class _Batch:
    """One transaction of the database, filled by several threads one after the other."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.members = 0
        self.began = time.monotonic()
        self.ended = threading.Event()
        self.fault: BaseException | None = None  # why it was not committed

    @property
    def driver(self) -> Any:
        return self.connection.connection.driver_connection

    @property
    def full(self) -> bool:
        return self.members >= _MOST_TOGETHER or time.monotonic() - self.began > _LONGEST_SECONDS


class Shared:
    """The write transactions of one process, of which those that wait for each other are committed together.

    A commit costs as much as all statements before it, most of it waiting for the disk. So a thread that is done
    while others wait hands its open transaction to the next, and waits for the commit of the last: nobody goes on
    before what it wrote is durable. What one of them breaks off is undone to where it began, the others' stays.
    Source  docs/decisions/028-writers-share-a-commit.md
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._gate = threading.Condition()
        self._inside = False
        self._waiting = 0
        self._open: _Batch | None = None

    @contextmanager
    def joined(self, engine: Engine) -> Iterator[Connection]:
        """A connection inside a write transaction; when the block has ended without an exception it is committed.

        Raises  DatabaseBusy (later) when the turn does not come in time, or when the commit that was shared failed
        """
        batch = self._enter(engine)
        place = f"member_{batch.members}" if batch.members else None  # the first has the whole transaction to undo
        try:
            if place:
                batch.driver.execute(f"SAVEPOINT {place}")
            yield batch.connection
            if place:
                batch.driver.execute(f"RELEASE {place}")
        except BaseException:
            self._broken_off(batch, place)
            raise
        batch.members += 1
        if not self._handed_over(batch):
            self._commit(batch)
        batch.ended.wait()
        if batch.fault is not None:
            raise DatabaseBusy from None  # the text of its cause may quote a row

    def _enter(self, engine: Engine) -> _Batch:
        with self._gate:
            self._waiting += 1
            try:
                if not self._gate.wait_for(lambda: not self._inside, BUSY_SECONDS):
                    raise DatabaseBusy
            finally:
                self._waiting -= 1
            self._inside = True
        if self._open is None:
            try:
                self._open = self._begun(engine)
            except BaseException:
                self._next()
                raise
        return self._open

    def _begun(self, engine: Engine) -> _Batch:
        self._turn.take()
        try:
            connection = engine.connect()
            try:
                connection.begin()
            except BaseException:
                connection.close()
                raise
        except BaseException:
            self._turn.leave()
            raise
        return _Batch(connection)

    def _handed_over(self, batch: _Batch) -> bool:
        """True when a thread is waiting that will go on with this transaction, and commit it or hand it on."""
        with self._gate:
            if not self._waiting or batch.full:
                return False
            self._inside = False
            self._gate.notify_all()
            return True

    def _broken_off(self, batch: _Batch, place: str | None) -> None:
        """Undo what one member did; commit what the others did before it, who are waiting for that."""
        if place is None:
            self._end(batch, keep=False)
            return
        with suppress(Exception):  # where it fails, the transaction is no more: the commit says so
            batch.driver.execute(f"ROLLBACK TO {place}")
            batch.driver.execute(f"RELEASE {place}")
        with suppress(Exception):  # the others are told in `batch.fault`; this member has its own fault to raise
            self._commit(batch)

    def _commit(self, batch: _Batch) -> None:
        # SQLite ends a whole transaction of its own accord when the disk is full or fails
        self._end(batch, keep=batch.driver.in_transaction)

    def _end(self, batch: _Batch, *, keep: bool) -> None:
        transaction = batch.connection.get_transaction()
        try:
            if transaction is None or not keep:
                batch.fault = DatabaseBusy()
            else:
                transaction.commit()
        except BaseException as error:
            batch.fault = error
            if transaction is not None:
                transaction.rollback()  # a commit that SQLite refuses leaves its transaction open
            raise
        finally:
            try:
                batch.connection.close()  # rolls back what was not committed
            finally:
                self._turn.leave()
                self._open = None
                self._next()
                batch.ended.set()

    def _next(self) -> None:
        with self._gate:
            self._inside = False
            self._gate.notify_all()
