"""`map run` and `map explain`: records one after the other, good ones on, failed ones aside."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

from peerfhir.errors import MappingFailed
from peerfhir.fhir import writer
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.aside import COLUMNS, Made, Refused, RowProblem
from peerfhir.mapping.examples import faults
from peerfhir.mapping.explain import explained, lines
from peerfhir.mapping.inputs import Given, outcomes, output, records
from peerfhir.mapping.shelf import Opened

Json = Any
Say = Callable[[str], None]
LONG = 2_000  # lines; a shorter input is done before a bar could be read


class Running:
    """One input through one mapping.

    path    None is standard input
    record  only this one, counted from 1; 0 is all of them
    """

    def __init__(
        self, opened: Opened, path: Path | None, *, record: int = 0, ndjson: bool = False, validate: bool = False,
        now: datetime | None = None, trace: bool = False, show: bool = False,
    ) -> None:  # fmt: skip
        self._opened = opened
        self._path = path
        self._record = record
        self._ndjson = ndjson
        self._validate = validate
        self._now = now
        self._trace = trace
        self._show = show
        self._name = path.name if path is not None else "standard input"
        self.good = 0
        self.bad = 0
        self._at_screen = False  # results stand on the terminal: a bar would stand among them
        self.broken = False  # a fault of the engine itself, PM790

    def into(self, target: Path | None, aside: Path | None, say: Say, warn: Say) -> int:
        """Print every result, or write it to `target`; how many records failed.

        aside  a CSV of every reason why a record failed; without it they are told to `warn`
        """
        self._at_screen = target is None and sys.stdout.isatty()
        with _sheet(aside) as sheet:
            if target is None:
                self._write(say, sheet, warn)
            else:
                with replacing(target) as file:
                    self._write(lambda text: _line(file, text), sheet, warn)
        if self.bad and (aside is not None or self.good):
            warn(f"{self.good} mapped, {self.bad} failed" + (f"; see {aside}" if aside is not None else ""))
        return self.bad

    def _write(self, say: Say, sheet: Any, warn: Say) -> None:
        with closing(self._values(sheet, warn)) as values:
            self._print(values, say)

    def _print(self, values: Iterator[Json], say: Say) -> None:
        if self._ndjson:
            for value in values:
                say(writer.write(value).decode())
            return
        first = list(islice(values, 2))
        if len(first) < 2:
            for value in first:
                say(writer.indented(value))
            return
        say("[")
        say(",\n".join(writer.indented(value) for value in first))
        for value in values:
            say(",")
            say(writer.indented(value))
        say("]")

    def _values(self, sheet: Any, warn: Say) -> Generator[Json]:
        with _stream(self._path) as stream, _bar(None if self._at_screen else self._path) as seen:
            odd = partial(self._odd, warn)
            found = outcomes(
                self._opened, stream, self._now, odd
            )  # held, so that the stream is closed before its readers
            for at, outcome in enumerate(found, start=1):
                seen(at)
                if self._record and at != self._record:
                    continue
                problems = self._problems(outcome)
                if problems:
                    self.bad += 1
                    self.broken = self.broken or any(one.code == "PM790" for one in problems)
                    self._tell(problems, sheet, warn)
                elif isinstance(outcome, Made):
                    self.good += 1
                    self._explain(outcome, warn)
                    yield output(outcome.result)
                if at == self._record:
                    return
        if self._record:
            self.bad = 1
            warn(f"{self._name} has no record {self._record}.")

    def _odd(self, warn: Say, what: str) -> None:
        warn(f"{self._name}: warning: {what}")

    def _problems(self, outcome: Made | Refused) -> tuple[RowProblem, ...]:
        if isinstance(outcome, Refused):
            return outcome.problems
        if not self._validate:
            return ()
        mark = self._opened.document.mark
        found = faults(output(outcome.result))
        return tuple(RowProblem(outcome.place, "PM503", what, mark, address=address) for address, what in found)

    def _tell(self, problems: tuple[RowProblem, ...], sheet: Any, warn: Say) -> None:
        for one in problems:
            if sheet is not None:
                sheet.writerow(one.cells())
            else:
                warn(f"{self._name}:{one}")

    def _explain(self, made: Made, warn: Say) -> None:
        if self._trace:
            from peerfhir.mapping.explain import told
            from peerfhir.mapping.traced import Tracer

            trace = Tracer(self._opened.checked).run(made.typed, self._now)
            found = told(self._opened, Given(made.place, made.typed), trace, made.typed, show=self._show)
            warn("\n".join(lines(list(found), self._name)))


@contextmanager
def _stream(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdin.buffer
        return
    with path.open("rb") as stream:
        yield stream


@contextmanager
def _sheet(path: Path | None) -> Iterator[Any]:
    if path is None:
        yield None
        return
    with replacing(path) as file:
        sheet = csv.writer(file, lineterminator="\n")
        sheet.writerow(COLUMNS)
        yield sheet


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A file that takes the place of `path` when everything in it was written, and never before."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with half.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as file:
        file.write(text)


def _line(file: IO[str], text: str) -> None:
    file.write(f"{text}\n")


@contextmanager
def _bar(path: Path | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, for a long input and a terminal only."""
    if path is None or not sys.stderr.isatty() or _lines_of(path) < LONG:
        yield lambda at: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(path.name, total=_lines_of(path))
        yield lambda at: bar.update(task, completed=at) if at % 500 == 0 else None


def _lines_of(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def explanation(
    opened: Opened, path: Path | None, name: str, record: int, address: str, form: str, *, now: datetime, show: bool
) -> tuple[bool, list[str]]:
    """What `map explain` prints, and whether the record could be mapped."""
    data = sys.stdin.buffer.read() if path is None else path.read_bytes()
    try:
        with io.BytesIO(data) as stream:
            given = next(islice(records(opened, stream, every=True), record - 1, None), None)
        if given is None:
            return False, [f"{name} has no record {record}."]
        found = explained(opened, given, now=now, show=show, path=address) if given.raw is not None else None
    except (MappingFailed, EvaluationProblem):
        found = None
    if found is None:
        with io.BytesIO(data) as stream:
            outcome = next(islice(outcomes(opened, stream, now), record - 1, None), None)
        problems = outcome.problems if isinstance(outcome, Refused) else ()
        return False, [f"{name}:{one}" for one in problems] or [f"{name} cannot be read."]
    if address and not found:
        return False, [f"Nothing stands at '{address}', in the output or in the mapping."]
    if form == "json":
        return True, [writer.indented([one.told() for one in found])]
    return True, list(lines(found, name))
