"""`map run` and `map explain`: records one after the other, good ones on, failed ones aside."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from peerfhir.errors import MappingFailed
from peerfhir.fhir import writer
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.examples import faults
from peerfhir.mapping.explain import explained, lines
from peerfhir.mapping.inputs import Failure, Given, failures, mapped, output, records
from peerfhir.mapping.run import Result
from peerfhir.mapping.shelf import Opened

Json = Any
Say = Callable[[str], None]
LONG = 2_000  # records; a shorter input is done before a bar could be read
_FIELD = re.compile(r"/[^\s:]*|\(([^)]*)\)")


class Running:
    """One input through one mapping.

    record  only this one, counted from 1; 0 is all of them
    """

    def __init__(
        self, opened: Opened, path: Path | None, *, record: int = 0, ndjson: bool = False, validate: bool = False,
        now: str = "", trace: bool = False, show: bool = False,
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

    def into(self, target: Path | None, aside: Path | None, say: Say, warn: Say) -> int:
        """Print every result, or write it to `target`; how many records failed.

        aside  a CSV of row, column and reason of every failed record; without it they are told to `warn`
        """
        with _sheet(aside) as sheet:
            failed = _Failed(self._name, sheet, warn)
            if target is None:
                self._write(say, failed)
            else:
                with _replacing(target) as file:
                    self._write(lambda text: _line(file, text), failed)
        if self.bad and (aside is not None or self.good):
            warn(f"{self.good} mapped, {self.bad} failed" + (f"; see {aside}" if aside is not None else ""))
        return self.bad

    def _write(self, say: Say, failed: _Failed) -> None:
        if self._ndjson:
            for value in self._values(failed):
                say(writer.write(value).decode())
            return
        first = next(values := self._values(failed), None)
        second = next(values, None)
        if second is None:
            if first is not None:
                say(writer.indented(first))
            return
        say("[")
        say(writer.indented(first) + ",")
        say(writer.indented(second))
        for value in values:
            say(",")
            say(writer.indented(value))
        say("]")

    def _values(self, failed: _Failed) -> Iterator[Json]:
        try:
            with _bar(self._path) as seen:
                for at, given in enumerate(records(self._opened, self._data()), start=1):
                    seen(at)
                    if self._record and at != self._record:
                        continue
                    value = self._one(given, failed)
                    if value is not None:
                        self.good += 1
                        yield value
                    else:
                        self.bad += 1
                    if at == self._record:
                        return
        except MappingFailed as fault:
            self.bad += 1
            failed.note(None, failures(fault))

    def _one(self, given: Given, failed: _Failed) -> Json | None:
        found = mapped(self._opened, given)
        if not isinstance(found, Result):
            failed.note(given, found)
            return None
        value = output(found)
        if self._validate and (wrong := faults(value)):
            failed.note(given, tuple(Failure("PM503", f"{address}: {what}", "") for address, what in wrong))
            return None
        if self._trace:
            failed.warn("\n".join(lines(explained(self._opened, given, show=self._show), self._name)))
        return value

    def _data(self) -> bytes:
        return sys.stdin.buffer.read() if self._path is None else self._path.read_bytes()


class _Failed:
    """Where failed records go."""

    def __init__(self, name: str, sheet: Any, warn: Say) -> None:
        self._name = name
        self._sheet = sheet
        self.warn = warn

    def note(self, given: Given | None, found: tuple[Failure, ...]) -> None:
        """Every reason why one record gave nothing."""
        position = given.position if given is not None else "file"
        for one in found:
            field = _FIELD.search(one.what)
            key = (field.group(1) or field.group()).lstrip("/") if field else ""
            column = given.columns.get(key.partition("/")[0]) if given is not None else None
            if self._sheet is not None:
                self._sheet.writerow((position.removeprefix("row "), column or key, str(one)))
            else:
                where = f"{position}, column {column} ({key})" if column else position
                self.warn(f"{self._name}:{where}: error {one}")
                if one.place:
                    self.warn(f"    note: {one.place}: declared here")


@contextmanager
def _sheet(path: Path | None) -> Iterator[Any]:
    if path is None:
        yield None
        return
    with _replacing(path) as file:
        sheet = csv.writer(file, lineterminator="\n")
        sheet.writerow(("row", "column", "reason"))
        yield sheet


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
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
    with _replacing(path) as file:
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
    opened: Opened, path: Path | None, name: str, record: int, address: str, form: str, *, show: bool
) -> tuple[bool, list[str]]:
    """What `map explain` prints, and whether the record could be mapped."""
    data = sys.stdin.buffer.read() if path is None else path.read_bytes()
    try:
        given = next((one for at, one in enumerate(records(opened, data), start=1) if at == record), None)
    except MappingFailed as fault:
        return False, [f"{name}: error {one}" for one in failures(fault)]
    if given is None:
        return False, [f"{name} has no record {record}."]
    try:
        found = explained(opened, given, show=show, path=address)
    except MappingFailed as fault:
        return False, [f"{name}: error {one}" for one in failures(fault)]
    except EvaluationProblem as problem:
        outcome = mapped(opened, given)
        told = [str(one) for one in outcome] if not isinstance(outcome, Result) else [f"{problem.rule}: {problem.what}"]
        return False, [f"{name}:{given.position}: error {one}" for one in told]
    if address and not found:
        return False, [f"Nothing stands at '{address}', in the output or in the mapping."]
    if form == "json":
        return True, [writer.indented([one.told() for one in found])]
    return True, list(lines(found, name))
