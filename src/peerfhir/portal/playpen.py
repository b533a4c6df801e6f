"""A process of its own for what strangers' mappings do: bounded in time and memory, without a secret in it.

Run as `python -m peerfhir.portal.playpen` it answers one line of JSON on standard output for each on standard input.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import IO, Any

import peerfhir
from peerfhir.clock import Clock
from peerfhir.errors import BadConfiguration, Fault, Verdict
from peerfhir.fhir import reader, writer
from peerfhir.mapping.instruments import Form
from peerfhir.portal.completion import Offers, offered
from peerfhir.portal.draft import Draft
from peerfhir.portal.trial import PLAIN, Site, Trial, Wanted, tried

Json = Any
MOST_WORK = 2.0  # seconds of one try, of work and not of waiting
MOST_WAIT = 20.0  # seconds; a machine so busy that two seconds of work take longer is told apart by it
MOST_MEMORY = 1024 * 1024 * 1024  # bytes of address space
IDLE = 600  # seconds without a try, then the process ends
_BY_ITSELF = (0, -14)  # what it ends with then: its input was closed, or SIGALRM came


class TooMuch(Fault):
    """This takes too long or too much memory, so it was stopped. Nothing else was touched by it."""

    code = "playpen-overrun"
    issue = "too-costly"
    status = 422


class Occupied(Fault):
    """Somebody else's try is running. Wait a moment, then try again."""

    code = "playpen-occupied"
    issue = "transient"
    status = 503
    verdict = Verdict.LATER


class Playpen:
    """One process, started when it is first needed, and again after it had to be stopped. Any thread may ask.

    canonical  base of our own canonicals
    config     the folder `config/`: its instruments and packages are known to a draft as to the service
    """

    def __init__(self, clock: Clock, canonical: str, config: Path) -> None:
        self._clock = clock
        self._site = {"canonical": canonical, "config": str(config.resolve())}
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def tried(self, draft: Draft, record: str, number: int, wanted: Wanted = PLAIN) -> Trial:
        """What `trial.tried` gives.

        Raises  TooMuch when it had to be stopped, Occupied when another try did not end in time;
                RuntimeError with the place of a mistake of ours, and nothing of what was typed
        """
        more = {"record": record, "number": number, "show": wanted.show, "traced": wanted.traced}
        return Trial(**self._told(draft, more | {"against": wanted.against and _sent(wanted.against)}))

    def offered(self, draft: Draft, pane: str, at: int) -> Offers:
        """What `completion.offered` gives. Raises the same."""
        return Offers(**self._told(draft, {"pane": pane, "at": at}))

    def _told(self, draft: Draft, more: Json) -> Json:
        asked = {**self._site, "draft": _sent(draft), **more}
        if not self._turn.acquire(timeout=2 * MOST_WORK):
            raise Occupied
        try:
            answer = self._answer(writer.write(asked) + b"\n")
        finally:
            self._turn.release()
        if "surprise" in answer:
            raise RuntimeError(answer["surprise"])
        return answer

    def end(self) -> None:
        """Stop the process, if there is one."""
        if self._process is not None:
            self._ending()
            self._process = None

    def _answer(self, line: bytes) -> Json:
        for _ in range(2):  # a process that ended while it was idle is not the fault of this try
            process, fresh = self._running()
            answer = self._asked(process, line)
            if answer.endswith(b"\n"):
                return reader.read_own(answer)
            ended = process.poll()
            self.end()
            if fresh or ended not in _BY_ITSELF:
                break
        raise TooMuch

    def _asked(self, process: subprocess.Popen[bytes], line: bytes) -> bytes:
        """The line that comes back; cut when the process ended or did not answer in time."""
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        until = self._clock.monotonic() + MOST_WAIT
        found = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            try:
                process.stdin.write(line)
                process.stdin.flush()
            except OSError:
                return b""
            while not found.endswith(b"\n") and selector.select(max(until - self._clock.monotonic(), 0)):
                piece = os.read(process.stdout.fileno(), 1 << 16)
                if not piece:
                    process.wait()
                    break
                found += piece
        return bytes(found)

    def _running(self) -> tuple[subprocess.Popen[bytes], bool]:
        if self._process is not None and self._process.poll() is None:
            return self._process, False
        self.end()
        command = [sys.executable, "-s", "-m", "peerfhir.portal.playpen"]
        self._process = subprocess.Popen(  # noqa: S603 - our own module, and nothing from outside
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
            env={"PYTHONPATH": str(Path(peerfhir.__file__).parents[1]), "PYTHONUTF8": "1"},
        )  # fmt: skip
        self._ending = weakref.finalize(self, _ended, self._process)
        return self._process, True


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Gone, and its pipes with it."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what it never read goes with it
                continue


def _sent(draft: Draft) -> Json:
    return asdict(draft) | {"root": str(draft.root.resolve())}


# -- inside the process


def _came(sent: Json) -> Draft:
    return Draft(**sent | {"root": Path(sent["root"])})


def serve(given: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until there is nothing more to answer, or nothing came for a while."""
    import resource  # not on every system, and needed here alone

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold what was typed
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(IDLE)
    while line := given.readline():
        signal.alarm(0)
        answer = _guarded(line)
        answers.write(answer + b"\n")
        answers.flush()
        signal.alarm(IDLE)


def _guarded(line: bytes) -> bytes:
    try:
        asked = reader.read_own(line)
        draft = _came(asked["draft"])
        against = _came(asked["against"]) if asked.get("against") else None
        both = [draft] if against is None else [draft, against]
        # files of the site, read once: their time is not the draft's
        known = _instruments(asked["config"]) if any(one.wants_instruments for one in both) else {}
        profiles = _profiles(asked["config"]) if any(one.wants_profiles for one in both) and "record" in asked else {}
        # the default action of SIGPROF ends the process at once, also within one call of C
        signal.setitimer(signal.ITIMER_PROF, MOST_WORK)
        if "pane" in asked:
            return writer.write(asdict(offered(draft, asked["pane"], asked["at"], known)))
        site = Site(asked["canonical"], known, profiles, Path(asked["config"]) / "privacy.yaml")
        wanted = Wanted(asked["show"], asked["traced"], against)
        return writer.write(asdict(tried(draft, asked["record"], asked["number"], site, wanted)))
    except (MemoryError, RecursionError):
        sys.exit(1)
    except Exception as mistake:
        return writer.write({"surprise": _place(mistake)})
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@cache
def _instruments(config: str) -> Mapping[str, Form]:
    """The questionnaires of the site; none while one of them is wrong, which the service tells when it starts."""
    from peerfhir.adapters.instruments import load_instruments
    from peerfhir.adapters.questionnaires import forms

    folder = Path(config) / "instruments"
    try:
        return forms(folder, load_instruments(folder))
    except BadConfiguration:
        return {}


@cache
def _profiles(config: str) -> Mapping[str, Json]:
    """The profiles of the site's packages, with the same exception."""
    from peerfhir.fhir.site import FOLDER, installed
    from peerfhir.mapping.packaged import Packaged

    try:
        return dict(Packaged(installed(Path(config) / FOLDER)))
    except BadConfiguration:
        return {}


def _place(mistake: Exception) -> str:
    """Kind and place: the text of an exception may hold what was typed."""
    where = mistake.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    return f"{type(mistake).__name__} at {where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else ""


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
