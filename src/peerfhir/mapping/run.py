"""One record -> resources, within limits; every error of the record is found before it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from peerfhir.config import Limits
from peerfhir.errors import MappingFailed
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.check import Checked
from peerfhir.mapping.compile import Compiled, compiled
from peerfhir.mapping.evaluation import MAX_OUTPUT, MAX_PROBLEMS, MAX_RESOURCES, MAX_TURNS, CarefulRun, Run, written
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.quick import Quick, of_cells, of_objects
from peerfhir.mapping.source import RecordReader, Source

Json = Any
__all__ = ["MAX_PROBLEMS", "MAX_RESOURCES", "MAX_TURNS", "Entry", "Program", "RecordFailed", "Result"]

_ADVICE = "Mend the mapping or the record, then run it again."


class RecordFailed(MappingFailed):
    """This record does not fit the mapping.

    problems  each with the place of the rule or declaration and, for a field, its pointer in the record
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        shown = tuple(problems[:MAX_PROBLEMS])
        told = [f"{one.code}: {one.address}: {one.what}" if one.address else f"{one.code}: {one.what}" for one in shown]
        rest = [f"{one.mark}: {text}" for one, text in zip(shown[1:], told[1:], strict=True)]
        super().__init__("; ".join([told[0], *rest]), place=str(shown[0].mark), advice=_ADVICE)
        self.problems = shown


class Entry(NamedTuple):
    """One resource that was made, with its place in a Bundle."""

    name: str
    resource: Json
    full_url: str | None
    request: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """What one record became.

    entries  the resources, in the order of the document
    kind     transaction, batch, collection or none
    values   the record of a from-fhir mapping: a field without a value is not there
    labels   resource name -> security labels of the fields that may have fed it; no entry for none
    """

    entries: tuple[Entry, ...]
    kind: str
    values: Json
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def resources(self) -> Mapping[str, list[Json]]:
        """Resource name -> what was made under it, in document order."""
        found: dict[str, list[Json]] = {}
        for entry in self.entries:
            found.setdefault(entry.name, []).append(entry.resource)
        return found

    def only(self) -> Json:
        """The one resource of a mapping that makes one.

        Raises  MappingFailed when there is none or more than one
        """
        if len(self.entries) != 1:
            raise MappingFailed(f"One resource was expected, {len(self.entries)} were made.")
        return self.entries[0].resource

    def bundle(self) -> Json:
        """The resources as a Bundle of the mapping's kind; a collection when it says none."""
        entries = []
        for entry in self.entries:
            made: dict[str, Any] = {"fullUrl": entry.full_url} if entry.full_url else {}
            made["resource"] = entry.resource
            if self.kind in ("transaction", "batch"):
                made["request"] = dict(entry.request)
            entries.append(made)
        kind = "collection" if self.kind == "none" else self.kind
        return {"resourceType": "Bundle", "type": kind, **({"entry": entries} if entries else {})}


class Program:
    """One mapping, ready to run. Immutable; any number of threads may run it.

    limits  lower ones than those of the engine
    """

    def __init__(self, checked: Checked, limits: Limits | None = None) -> None:
        self._checked = checked
        self._limits = limits
        self._reader: RecordReader | None = None
        if checked.source.format != "fhir":
            self._reader = RecordReader(checked.source, checked.document.source.mark)
        self._labels = {one.name: one.labels for one in checked.template.resources if one.labels}

    @cached_property
    def _quick(self) -> Quick:
        return of_objects(self._checked.source)

    @cached_property
    def _plain(self) -> Compiled:
        return compiled(self._checked)

    def ready(self) -> None:
        """Compile it now instead of at the first record."""
        _ = self._plain

    @cached_property
    def _careful(self) -> Compiled:
        return compiled(self._checked, careful=True)

    @property
    def checked(self) -> Checked:
        """What it was compiled from, for the tools."""
        return self._checked

    def typed(self, record: Json) -> Json:
        """The typed record that rules see.

        Raises  MappingFailed when it does not fit its declaration
        """
        return self._typed(record)

    @property
    def source(self) -> Source:
        """The source that its records must fit."""
        return self._checked.source

    def run(self, record: Json, *, now: datetime | None = None, limits: Limits | None = None) -> Result:
        """Map one record. The record is not changed and the result shares nothing with it.

        record  a Python dict; for format fhir a resource of the source's type
        now     when the record was accepted, for now() and today()
        limits  for this record, instead of those of the mapping
        Raises  RecordFailed with the place of the rule or declaration, never with a value
        """
        return self.run_typed(self._typed(record), now=now, limits=limits)

    def run_typed(self, typed: Json, *, now: datetime | None = None, limits: Limits | None = None) -> Result:
        """Map a record that was read already; else as `run`."""
        limits = limits or self._limits
        run = Run(typed, now, limits.record_seconds if limits else None)
        try:
            made = self._plain.function(typed, run)
        except EvaluationProblem:
            raise self._failed(typed, now, limits) from None
        except Exception as fault:
            raise self._broken(fault) from None
        if self._checked.template.record is not None:
            self._check_size(made, limits)
            return Result((), "none", made)
        entries = tuple([Entry._make(one) for one in made])
        self._check_entries(entries, run, limits)
        return Result(entries, self._checked.document.bundle, {}, self._labels)

    def row_reader(self, columns: Sequence[str]) -> Quick:
        """A function of one row of cells -> typed record, for a file with these columns.

        The function raises RecordFailed
        """
        quick = of_cells(self._checked.source, columns)

        def read(cells: Sequence[str]) -> Json:
            try:
                return quick(cells)
            except Exception:  # whatever the quick reader did not expect: the careful one says what it is
                return self._read_carefully(dict(zip(columns, cells, strict=False)))

        return read

    def _typed(self, record: Json) -> Json:
        if self._reader is None:
            expected = self._checked.source.type
            if not isinstance(record, dict) or record.get("resourceType") != expected:
                raise RecordFailed([self._at_source("PM700", f"a {expected} is expected")])
            return record
        try:
            return self._quick(record)
        except Exception:  # as above
            return self._read_carefully(record)

    def _read_carefully(self, record: Json) -> Json:
        problems: list[Problem] = []
        typed = self._reader.read(record, problems) if self._reader is not None else record
        if problems:
            raise RecordFailed(problems)
        return typed

    def _failed(self, typed: Json, now: datetime | None, limits: Limits | None) -> MappingFailed:
        run = CarefulRun(self._careful.rules, typed, now, limits.record_seconds if limits else None)
        try:
            self._careful.function(typed, run)
        except EvaluationProblem as problem:
            run.found.append(self._at_source(problem.rule, problem.what))
        except Exception as fault:
            return self._broken(fault)
        first = [problem for problem in run.found if problem.code != "PM722"]
        return RecordFailed(first or run.found or [self._at_source("PM790", "a rule failed and cannot be named")])

    def _check_entries(self, entries: Sequence[Entry], run: Run, limits: Limits | None) -> None:
        most = limits.resources if limits else MAX_RESOURCES
        urls = [entry.full_url for entry in entries if entry.full_url is not None]
        if len(set(urls)) != len(urls):
            raise RecordFailed(
                [self._at_source("PM731", "two resources have the same fullUrl: their identity is the same")]
            )
        if len(entries) > most:
            raise RecordFailed([self._at_source("PM750", f"the record makes more than {most} resources")])
        if run.is_large or (limits is not None and limits.output_characters < MAX_OUTPUT):
            self._check_size([entry.resource for entry in entries], limits)

    def _check_size(self, made: Json, limits: Limits | None) -> None:
        most = limits.output_characters if limits else MAX_OUTPUT
        if written(made) > most:
            raise RecordFailed([self._at_source("PM750", f"the record makes more than {most} characters")])

    def _at_source(self, code: str, what: str) -> Problem:
        return Problem(self._checked.document.source.mark, code, "", what)

    def _broken(self, fault: Exception) -> MappingFailed:
        """A fault of the engine itself, at the line of the rule it happened in."""
        path = self._checked.document.mark.path
        if isinstance(fault, RecursionError):
            return RecordFailed([self._at_source("PM750", "the record is nested too deep for a rule")])
        line, trace = 1, fault.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == path:
                line = trace.tb_lineno
            trace = trace.tb_next
        return MappingFailed(f"PM790: the engine failed here ({type(fault).__name__})", place=f"{path}:{line}:1")
