"""A stage on which one process is killed again and again, at seeded moments, while the walk goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peerfhir.practice.stage import NotReady, Stage

BETWEEN = (0.05, 0.4)  # seconds from "ready again" to the next SIGKILL
AT_WORK = '"event": "at work"'  # what a worker logs when it begins


@dataclass(frozen=True)
class Order:
    """How a process was started, so that it can be started again."""

    command: Sequence[str]
    environment: Mapping[str, str]
    ready: str | None


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: in which act, how long after the process was ready, and how long the next one took to be."""

    act: str
    waited: float
    back: float


@dataclass
class Deadly(Stage):
    """Kills `victim`, with its whole process group, `shares[act]` times in each act; starts it again each time.

    An act that is over gives the kills it did not use to the next one.
    """

    victim: str = ""
    seed: int = 0
    shares: Mapping[str, int] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    fault: Exception | None = None
    act: str = ""
    _allowed: int = 0
    _hands: threading.RLock = field(default_factory=threading.RLock)  # on the victim
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    # -- what the walk asks of a stage -----------------------------------------------------------------------

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], ready: str | None = None
    ) -> None:
        self.orders[name] = Order(command, environment, ready)
        with self._hands if name == self.victim else contextlib.nullcontext():
            seen = self._worker_starts()
            super().start(name, command, environment, ready)
            if name == "worker":
                self._wait_for_work(seen)

    def stop(self, name: str) -> None:
        with self._hands if name == self.victim else contextlib.nullcontext():
            super().stop(name)

    def check(self) -> None:
        if self.fault is not None:
            raise self.fault
        super().check()

    def close(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(60)
        super().close()

    # -- the acts --------------------------------------------------------------------------------------------

    def begin(self, act: str) -> None:
        """An act begins: its share of kills may fall from now on."""
        self.act = act
        self._allowed += self.shares[act]
        if self._thread is None:
            self._thread = threading.Thread(target=self._kill_them_all, daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until every kill that is allowed so far has fallen and the victim is back."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and len(self.kills) < self._allowed:
            self.check()
            time.sleep(0.02)

    # -- the killing -----------------------------------------------------------------------------------------

    def _kill_them_all(self) -> None:
        chance = random.Random(self.seed)
        try:
            while not self._over.is_set():
                if len(self.kills) >= self._allowed or self.victim not in self._running:
                    time.sleep(0.01)
                    continue
                self._kill(chance.uniform(*BETWEEN))
        except Exception as fault:  # told to the walk, which asks at every look
            self.fault = fault

    def _kill(self, wait: float) -> None:
        if self._over.wait(wait):
            return
        with self._hands:
            process = self._running.pop(self.victim, None)
            if process is None:
                return  # the walk has stopped it meanwhile
            act = self.act
            died = process.poll() is not None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            if died:
                raise NotReady(self.victim, self.tail(self.victim))
            begun = time.monotonic()
            order = self.orders[self.victim]
            self.start(self.victim, order.command, order.environment, order.ready)
            self.kills.append(Kill(act, wait, time.monotonic() - begun))

    def _worker_starts(self) -> int:
        log = Path(self.folder / "worker.log")
        return log.read_text("utf-8", "replace").count(AT_WORK) if log.exists() else 0

    def _wait_for_work(self, seen: int) -> None:
        until = time.monotonic() + 60
        while self._worker_starts() <= seen:
            if time.monotonic() > until or self._running["worker"].poll() is not None:
                raise NotReady("worker", self.tail("worker"))
            time.sleep(0.01)
