"""One try of a draft on a record: problems with their places, the result, and the rule and cell behind every value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from typing import Any

from peerfhir.config import Mark
from peerfhir.fhir import writer
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.aside import Made, Refused, RowProblem
from peerfhir.mapping.catalogue import survey
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.difference import changes, shown
from peerfhir.mapping.examples import came
from peerfhir.mapping.explain import MASK, Explained, told
from peerfhir.mapping.inputs import EXAMPLES_NOW, outcomes, output, records
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.problems import MAX_PER_FILE, Problem
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.traced import Trace, Tracer
from peerfhir.portal.draft import Draft, Typed
from peerfhir.portal.printed import Pieces, printed
from peerfhir.portal.spots import Sheet, Spot, offset, spot, written

Json = Any
MOST_RECORDS = 200
MOST_VALUES = 1_500
MOST_CHANGES = 100
MOST_CODES = 200
# An address, a number or a telephone that nobody made up: those that are reserved for examples are let through.
_REAL = re.compile(
    r"[\w.+-]+@(?!(?:[\w-]+\.)*(?:example|test|invalid)(?:\.(?:com|org|net))?\b)[\w-]+\.[\w.]+"
    r"|\b(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}\b"
    r"|(?<![\w-])\(?(?!555)[2-9][0-9]{2}\)?[-. ](?!555)[2-9][0-9]{2}[-. ][0-9]{4}(?![\w-])"
)


@dataclass
class Trial:
    """What came of it, in plain values: it leaves the process that made it as JSON.

    problems    worst first in the order of the files; `spots` are the characters to light up
    pieces      the result as text, cut where a value begins or ends; each with the number of its value
    values      every value and every absence: rule, cells and reason
    changes     what differs from the result of the documents on disk
    suffix      of the example's expected file: expected.json or error.txt
    """

    problems: list[Json] = field(default_factory=list)
    pieces: list[Json] = field(default_factory=list)
    values: list[Json] = field(default_factory=list)
    changes: list[Json] = field(default_factory=list)
    codes: list[Json] = field(default_factory=list)
    records: int = 0
    number: int = 0
    format: str = ""
    rules: int = 0
    expected: str = ""
    suffix: str = ""
    looks_real: bool = False


@dataclass(frozen=True)
class Site:
    """What a draft may name besides what lies beside it: as the service knows it.

    canonical    base of our own canonicals
    instruments  the questionnaires that mappings may name
    profiles     canonical -> StructureDefinition with its snapshot
    """

    canonical: str
    instruments: Mapping[str, Form] = field(default_factory=dict)
    profiles: Mapping[str, Json] = field(default_factory=dict)


def tried(draft: Draft, record: str, number: int, site: Site) -> Trial:
    """Check and compile the draft, map the records, and explain the one of that number, counted from 1."""
    trial = Trial(looks_real=looks_real(record))
    opened, problems = _opened(draft, site)
    teller = _Teller(draft, record, opened)
    trial.problems = [teller.problem(one) for one in problems[:MAX_PER_FILE]]
    if opened is None:
        return trial
    trial.format, trial.rules = opened.checked.source.format, len(opened.rules)
    _Tryer(trial, teller, opened, record).run(number)
    if trial.suffix and draft.mapping:
        trial.changes = _changed(_opened(draft.as_on_disk(), site)[0], opened, record, number)
    return trial


def looks_real(record: str) -> bool:
    """Whether something in a record looks as if it belonged to somebody."""
    return _REAL.search(record) is not None


def _opened(draft: Draft, site: Site) -> tuple[Opened | None, list[Problem]]:
    found = survey(
        draft.root, canonical=site.canonical, instruments=site.instruments, profiles=site.profiles, folder=Typed(draft)
    )
    name = f"{draft.id}+{draft.overlay}" if draft.overlay else draft.id
    loaded = found.loaded.get(name)
    opened = Opened(loaded, draft.path.parent, loaded.document.mark.path) if loaded is not None else None
    order = {"error": 0, "warning": 1, "info": 2}
    return opened, sorted(found.problems, key=lambda one: order[one.severity])


def _changed(before: Opened | None, opened: Opened, record: str, number: int) -> list[Json]:
    """What the same record gives that it did not give before anything was typed."""
    if before is None or before.loaded.sha256 == opened.loaded.sha256:
        return []
    both = []
    for one in (before, opened):
        outcome = next(islice(outcomes(one, BytesIO(record.encode()), EXAMPLES_NOW), number - 1, None), None)
        both.append(output(outcome.result) if isinstance(outcome, Made) else None)
    found = islice(changes(both[0], both[1]), MOST_CHANGES)
    return [{"path": one.path, "before": shown(one.before), "after": shown(one.after)} for one in found]


class _Tryer:
    def __init__(self, trial: Trial, teller: _Teller, opened: Opened, record: str) -> None:
        self._trial = trial
        self._teller = teller
        self._opened = opened
        self._record = record.encode()

    def run(self, number: int) -> None:
        trial = self._trial
        found = list(islice(outcomes(self._opened, BytesIO(self._record), EXAMPLES_NOW), MOST_RECORDS))
        trial.records = len(found)
        trial.number = min(max(number, 1), max(len(found), 1))
        if not found:
            return
        trial.suffix, trial.expected = _expected(found)
        outcome = found[trial.number - 1]
        if isinstance(outcome, Made):
            self._result(outcome)
        else:
            trial.problems = [self._teller.refusal(one) for one in outcome.problems] + trial.problems

    def _result(self, made: Made) -> None:
        given = next(one for one in records(self._opened, BytesIO(self._record)) if one.position == made.place)
        try:
            trace = Tracer(self._opened.checked).run(made.typed, EXAMPLES_NOW)
            found = list(islice(told(self._opened, given, trace, made.typed), MOST_VALUES))
        except EvaluationProblem:
            trace, found = Trace((), (), {}, frozenset()), []
        self._trial.values = [self._teller.value(one) for one in found]
        self._trial.codes = list(_codes(self._opened, trace))
        self._trial.pieces = printed(output(made.result), made.result, Pieces(found, tops(trace)))


def _expected(found: list[Made | Refused]) -> tuple[str, str]:
    """What an example of this input expects: the output, or the errors of the one record that has them."""
    only = found[0]
    if len(found) > 1 or isinstance(only, Made):
        return "expected.json", writer.indented(came(found)) + "\n"
    lines = [f"{one.code} {one.place} {one.field}".rstrip() for one in only.problems]
    return "error.txt", "".join(f"{line}\n" for line in lines)


def tops(trace: Trace) -> list[str]:
    """What the addresses of each resource begin with, in the order of the output."""
    several = {one.name for one in trace.made if one.at}
    return [f"{one.name}[{one.at}]" if one.name in several else one.name for one in trace.made]


def _codes(opened: Opened, trace: Trace) -> Iterator[Json]:
    """The code maps as grids, with what this record looked up."""
    for name, table in opened.checked.scope.tables.items():
        if not isinstance(table, CodeMap):
            continue
        used = trace.used.get(name, frozenset())
        entries = [*table.entries.items()]
        entries += [(key, one) for key, one in (("*", table.default), ("", table.blank)) if one is not None]
        rows = [
            {"from": source, "to": one.code or "", "display": one.display or "", "used": source in used}
            for source, one in entries[:MOST_CODES]
        ]
        yield {"name": name, "rows": rows, "more": max(len(entries) - MOST_CODES, 0)}


class _Teller:
    """Says places: in words, and as the characters of a pane."""

    def __init__(self, draft: Draft, record: str, opened: Opened | None) -> None:
        source = opened.checked.source if opened is not None else None
        self._sheet = Sheet(record)
        if source is not None:
            self._sheet = Sheet(record, source.delimiter, source.quote, source.header)
        folder = Typed(draft)
        over = draft.overlay_path
        self._panes = {folder.label(draft.path): ("mapping", draft.text)}
        if over is not None:
            self._panes[folder.label(over)] = ("overlay", draft.overlay_text)

    def problem(self, one: Problem) -> Json:
        """One problem of a document."""
        return {
            "severity": one.severity, "code": one.code, "what": one.what, "hint": one.hint,
            "place": self._place(one.mark), "where": "", "address": one.address,
            "notes": [f"{self._place(at)}: {what}" for at, what in one.notes], "line": self._line(one.mark),
            "spots": _joined([self._rule(one.mark)]),
        }  # fmt: skip

    def refusal(self, one: RowProblem) -> Json:
        """One reason why the record, or the input as a whole, gives nothing."""
        where = one.place + (f", column {one.column} ({one.field})" if one.column else "")
        where += f", {one.field}" if one.field and not one.column else ""
        heading = self._sheet.heading(one.column) if one.column else None
        return {
            "severity": "error", "code": one.code, "what": one.what, "hint": "", "place": self._place(one.mark),
            "where": where, "address": one.address, "notes": [], "line": self._line(one.mark),
            "spots": _joined([self._rule(one.mark), self._sheet.field(one.place, one.column, one.field), heading]),
        }  # fmt: skip

    def value(self, one: Explained) -> Json:
        """One place of the result."""
        cells = [found for cell in one.cells for found in self._sheet.cell(cell.place)]
        return {
            "address": one.address, "there": one.value is not None, "why": one.why,
            "shown": MASK if one.masked else shown(one.value) if one.value is not None else "",
            "rule": one.text, "place": self._place(one.mark), "spots": _joined([self._rule(one.mark), *cells]),
            "cells": [
                {"field": cell.field, "place": cell.place, "how": cell.how,
                 "shown": MASK if cell.masked else "" if cell.value is None else shown(cell.value)}
                for cell in one.cells
            ],
        }  # fmt: skip

    def _rule(self, mark: Mark) -> Spot | None:
        """Where a rule stands, in the pane that it is in."""
        pane, text = self._panes.get(mark.path, ("", ""))
        if not pane:
            return None
        start = offset(text, mark.line, mark.column)
        end = written(text, start)
        return spot(pane, text, start, min(max(end, start + 1), len(text)))

    def _place(self, mark: Mark) -> str:
        pane, _ = self._panes.get(mark.path, ("", ""))
        here = f"{mark.line}:{mark.column}"
        return here if pane == "mapping" else f"{mark.path.rpartition('/')[2]}:{here}"

    def _line(self, mark: Mark) -> str:
        _, text = self._panes.get(mark.path, ("", ""))
        lines = text.split("\n")
        return lines[mark.line - 1].strip()[:200] if text and mark.line <= len(lines) else ""


def _joined(spots: Sequence[Spot | None]) -> str:
    return " ".join(dict.fromkeys(str(one) for one in spots if one is not None))
