"""Starts, stops and cleans up the processes of a demonstration, and shows a log when one fails."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_STOP_SECONDS = 12
_READY_SECONDS = 40
_TAIL_LINES = 12


class NotReady(Exception):
    """A process did not come up, or went away."""

    def __init__(self, name: str, tail: str) -> None:
        self.name = name
        self.tail = tail
        super().__init__(name)


@dataclass
class Stage:
    """The processes that this demonstration started, by name; it ends only these.

    folder  where each process' log goes, as <name>.log
    """

    folder: Path
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], ready: str | None = None
    ) -> None:
        """Start `peerfhir <command>`; waits until `ready` (a URL) answers 200.

        environment  the whole environment of the process, nothing is added
        Raises       NotReady with the log's tail
        """
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own command line, nothing from outside
                [sys.executable, "-m", "peerfhir.cli", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment),
                start_new_session=True,  # so that a Ctrl-C reaches them through us, in order
            )
        if ready is not None:
            self._wait(name, ready)

    def _wait(self, name: str, url: str) -> None:
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until:
            if self._running[name].poll() is not None:
                break
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback, our own port
                    if answer.status == 200:
                        return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise NotReady(name, self.tail(name))

    def stop(self, name: str) -> None:
        """End one process and what it started: asked first, then ended."""
        process = self._running.pop(name, None)
        if process is None:
            return
        for sign, patience in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            try:
                process.wait(timeout=patience)
                break
            except subprocess.TimeoutExpired:
                continue

    def check(self) -> None:
        """Raises NotReady when a process has gone away by itself."""
        for name, process in list(self._running.items()):  # others may start and stop meanwhile
            if process.poll() is not None:
                raise NotReady(name, self.tail(name))

    def close(self) -> None:
        """End everything, last started first."""
        for name in reversed(list(self._running)):
            self.stop(name)

    def tail(self, name: str) -> str:
        """The last lines of a process' log: codes and places, no person."""
        try:
            lines = (self.folder / f"{name}.log").read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_TAIL_LINES:])


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
