"""Records of one input, one after the other: what each became, or why it is set aside while the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, NamedTuple

from peerfhir.config import Mark
from peerfhir.errors import MappingFailed
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.readers import Raw, Rows, rows
from peerfhir.mapping.run import Program, RecordFailed, Result
from peerfhir.mapping.told import counted

Json = Any
COLUMNS = ("place", "column", "field", "code", "reason", "address", "declared")  # of RowProblem.cells()


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One reason why a record was set aside; it never holds a value of the record.

    place    "row 3", "line 12", "/referrals/4"
    column   of a csv file, from 1
    field    the column's name, or the pointer of the field below the record; "" when it is about no field
    address  the rule that failed, for a rule
    mark     where the rule or the field stands in the mapping
    """

    place: str
    code: str
    what: str
    mark: Mark
    field: str = ""
    column: int | None = None
    address: str = ""

    def cells(self) -> tuple[str, ...]:
        """The columns of an error row, as COLUMNS names them."""
        column = "" if self.column is None else str(self.column)
        return (self.place, column, self.field, self.code, self.what, self.address, str(self.mark))

    def __str__(self) -> str:
        where = self.place
        if self.column is not None:
            where += f", column {self.column} ({self.field})"
        elif self.field:
            where += f", {self.field}"
        about = f"{self.address}: " if self.address else ""
        return f"{where}: error {self.code}: {about}{self.what}\n    note: {self.mark}: declared here"


class Made(NamedTuple):
    """A record that was mapped. `typed` is the record that the rules saw."""

    place: str
    result: Result
    typed: Json


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that was set aside. `raw` is what was read, for those who may see it; None when nothing was."""

    place: str
    problems: tuple[RowProblem, ...]
    raw: Json = None


class Mapped:
    """The records of one input, mapped one after the other while it is read.

    warnings  what is odd about the input as a whole; the undeclared keys of json records are added while it is read
    """

    def __init__(self, program: Program, stream: IO[bytes], now: datetime | None = None) -> None:
        self._program = program
        self._now = now
        self._rows: Rows = rows(program.source, stream)
        self.columns = self._rows.columns
        self.warnings = list(self._rows.warnings)
        self._names = frozenset(one.key for one in program.source.fields.items.values())

    def __iter__(self) -> Iterator[Made | Refused]:
        program, now = self._program, self._now
        read = self._reader()
        for raw in self._rows:
            if raw.code:
                problem = RowProblem(raw.place, raw.code, raw.what, program.checked.document.source.mark)
                yield Refused(raw.place, (problem,))
                continue
            try:
                typed = read(raw.value)
                yield Made(raw.place, program.run_typed(typed, now=now), typed)
            except RecordFailed as failed:
                yield Refused(raw.place, tuple(self._told(raw, one) for one in failed.problems), raw.value)
            except MappingFailed as failed:
                code, _, what = failed.what.partition(": ")
                yield Refused(raw.place, (RowProblem(raw.place, code, what, _mark(failed)),), raw.value)

    def _reader(self) -> Callable[[Json], Json]:
        if self.columns:
            return self._program.row_reader(self.columns)
        if self._program.source.unknown == "warn" and self._names:
            return self._watched
        return self._program.typed

    def _watched(self, record: Json) -> Json:
        if not self.warnings and isinstance(record, dict) and not record.keys() <= self._names:
            more = len(record.keys() - self._names)
            self.warnings.append(f"{counted(more, 'key')} of a record not declared; others may have more")
        return self._program.typed(record)

    def _told(self, raw: Raw, problem: Problem) -> RowProblem:
        if not problem.address.startswith("/"):
            return RowProblem(raw.place, problem.code, problem.what, problem.mark, address=problem.address)
        if not self.columns:
            return RowProblem(raw.place, problem.code, problem.what, problem.mark, problem.address)
        name = next((one for one in self.columns if _is_below(problem.address, one)), "")
        column = self.columns.index(name) + 1 if name else None
        return RowProblem(raw.place, problem.code, problem.what, problem.mark, name, column)


def _is_below(address: str, column: str) -> bool:
    return address == f"/{column}" or address.startswith(f"/{column}/")


def _mark(failed: MappingFailed) -> Mark:
    path, line, column = (failed.place or ":1:1").rsplit(":", 2)
    return Mark(path, int(line), int(column))
