"""Lease, ask consent, render, send, settle: in order per person, one lane in each thread."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sqlalchemy import Engine

from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.errors import DatabaseBusy
from peerfhir.outbox import lanes
from peerfhir.outbox.consent import MaySend, ask
from peerfhir.outbox.courier import Courier
from peerfhir.outbox.ehr import Ehr
from peerfhir.outbox.lease import Lease
from peerfhir.outbox.prepared import Renderer
from peerfhir.outbox.settlement import Settlement
from peerfhir.records.database import writing

_log = logging.getLogger(__name__)

DEFAULT_BATCH = 20  # docs/rules.md, Delivery


class Outbox:
    """Drains what is owed to every endpoint; any number of these may run, on any number of hosts.

    ehr       makes the client of an endpoint; called once for each
    may_send  asked before bytes are made, and again in the commit that precedes the wire
    owner     names this worker in leases and audit; no two at once may share it
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        endpoints: Mapping[str, EndpointSettings],
        ehr: Callable[[EndpointSettings], Ehr],
        render: Renderer,
        may_send: MaySend = ask,
        owner: str = "worker",
        *,
        chance: random.Random | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._owner = owner
        self._stopping = threading.Event()
        self._lines = []
        for endpoint in endpoints.values():
            settlement = Settlement(engine, clock, endpoint, may_send, owner, chance or random.Random())
            courier = Courier(engine, clock, endpoint, ehr(endpoint), render, may_send, settlement)
            self._lines.append(_Line(endpoint, courier))
        self._mended = False

    def run_once(self, limit: int = DEFAULT_BATCH, *, patience: float | None = None) -> int:
        """Lease what is due, deliver it, and return how many attempts were finished.

        limit     messages for each endpoint at most
        patience  seconds to wait for answers; what is slower stays in flight and is counted by a later call.
                  None waits for all, which the endpoints' deadlines bound
        Raises    DatabaseBusy (later)
        """
        if not self._mended:
            self._mend()
        if not self._stopping.is_set():
            for line in self._lines:
                self._send_out(line, limit)
        flying = {future for line in self._lines for future in line.flying.values()}
        done, _ = wait(flying, timeout=patience)
        for line in self._lines:
            line.flying = {lane: future for lane, future in line.flying.items() if future not in done}
        return len(done)

    def in_flight(self) -> int:
        """How many messages are in hand at this moment."""
        return sum(len(line.flying) for line in self._lines)

    def stop(self) -> None:
        """Lease nothing more; what has not reached the wire goes back to its lane."""
        self._stopping.set()
        for line in self._lines:
            line.courier.stop()

    def close(self, seconds: float = 10.0) -> bool:
        """Stop, and wait for what is on the wire; True when all of it was settled.

        What was not is in doubt: its lease ends by itself, and the next worker looks before it sends again.
        Its threads end with the endpoint's deadlines; a process that may not wait for them has to leave hard.
        """
        self.stop()
        flying = {future for line in self._lines for future in line.flying.values()}
        _, late = wait(flying, timeout=seconds)
        for line in self._lines:
            line.close()
        return not late

    def _send_out(self, line: _Line, limit: int) -> None:
        room = line.endpoint.max_in_flight - len(line.flying)
        if room <= 0:
            return
        busy = frozenset(line.flying)
        for lease in lanes.claim(self._engine, self._clock, line.endpoint, self._owner, min(limit, room), busy):
            line.flying[lease.lane_id] = line.threads().submit(_carried, line.courier, lease)

    def _mend(self) -> None:
        for line in self._lines:
            with writing(self._engine) as connection:
                mended = lanes.mend(connection, line.endpoint.id, self._clock.now())
            if mended:
                _log.warning("endpoint %s: %d lanes had lost their place and have it again", line.endpoint.id, mended)
        self._mended = True


class _Line:
    """One endpoint: its courier, its threads, and what is in flight by lane."""

    def __init__(self, endpoint: EndpointSettings, courier: Courier) -> None:
        self.endpoint = endpoint
        self.courier = courier
        self.flying: dict[int, Future[None]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def threads(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.endpoint.max_in_flight, f"outbox-{self.endpoint.id}")
        return self._threads

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        self.courier.close()


def _carried(courier: Courier, lease: Lease) -> None:
    """A lane's turn never takes its thread down: what was not settled is found by the next lease."""
    try:
        courier.carry(lease)
    except DatabaseBusy:
        _log.warning("outbox %d: the database was busy; its lease will end", lease.message.id)
    except Exception as error:  # a fault of ours in one message must not stop the others
        _log.error("outbox %d: %s", lease.message.id, type(error).__name__)
