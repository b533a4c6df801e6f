"""One try of a draft on a record: problems with their places, the result, and the rule and cell behind every value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from peerfhir.fhir import writer
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.aside import Made, Refused
from peerfhir.mapping.catalogue import survey
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.examples import came
from peerfhir.mapping.explain import MASK, told
from peerfhir.mapping.inputs import EXAMPLES_NOW, outcomes, output, records
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.problems import MAX_PER_FILE, Problem
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.traced import Trace, Tracer
from peerfhir.portal.comparison import compared
from peerfhir.portal.draft import Draft, Typed
from peerfhir.portal.printed import Pieces, printed
from peerfhir.portal.told import Teller
from peerfhir.portal.veil import Veil

Json = Any
MOST_RECORDS = 200
MOST_VALUES = 1_500
MOST_STEPS = 300
MOST_CODES = 200
# An address, a number or a telephone that nobody made up: those that are reserved for examples are let through.
_REAL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@(?!(?:[\w-]+\.)*(?:example|test|invalid)(?:\.(?:com|org|net))?\b)[\w-]+\.[\w.]+"
    r"|\b(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}\b"
    r"|(?<![\w-])\(?(?!555)[2-9][0-9]{2}\)?[-. ](?!555)[2-9][0-9]{2}[-. ][0-9]{4}(?![\w-])"
)


@dataclass
class Trial:
    """What came of it, in plain values: it leaves the process that made it as JSON.

    problems    worst first in the order of the files; `spots` are the characters to light up
    pieces      the result as text, cut where a value begins or ends; each with the number of its value
    values      every value and every absence: rule, cells and reason
    compared    what differs from another version, as `comparison.compared` says
    steps       of a traced run: how often each loop went round, what each condition said, and each trace()
    veiled      whether something is hidden that a sensitive field fed
    suffix      of the example's expected file: expected.json or error.txt
    """

    problems: list[Json] = field(default_factory=list)
    pieces: list[Json] = field(default_factory=list)
    values: list[Json] = field(default_factory=list)
    compared: Json = field(default_factory=dict)
    steps: list[Json] = field(default_factory=list)
    veiled: bool = False
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
    policy       the file that says what sensitive fields may reach; None: what holds without one
    """

    canonical: str
    instruments: Mapping[str, Form] = field(default_factory=dict)
    profiles: Mapping[str, Json] = field(default_factory=dict)
    policy: Path | None = None


@dataclass(frozen=True)
class Wanted:
    """What is shown besides the result.

    show     the values of sensitive fields too
    traced   the steps of a traced run
    against  the version to compare with; None: the documents as they are on disk
    """

    show: bool = False
    traced: bool = False
    against: Draft | None = None


PLAIN = Wanted()


def tried(draft: Draft, record: str, number: int, site: Site, wanted: Wanted = PLAIN) -> Trial:
    """Check and compile the draft, map the records, and explain the one of that number, counted from 1."""
    trial = Trial(looks_real=looks_real(record))
    opened, problems = _opened(draft, site)
    teller = Teller(draft, record, opened)
    trial.problems = [teller.problem(one) for one in problems[:MAX_PER_FILE]]
    if opened is None:
        return trial
    trial.format, trial.rules = opened.checked.source.format, len(opened.rules)
    _Tryer(trial, teller, opened, record, wanted).run(number)
    other = wanted.against or (draft.as_on_disk() if draft.mapping else None)
    if trial.suffix and other is not None:
        before = _opened(other, site)[0]
        trial.compared = compared(before, opened, record.encode(), trial.number, show=wanted.show)
    return trial


def looks_real(record: str) -> bool:
    """Whether something in a record looks as if it belonged to somebody."""
    return _REAL.search(record) is not None


def _opened(draft: Draft, site: Site) -> tuple[Opened | None, list[Problem]]:
    found = survey(
        draft.root, canonical=site.canonical, instruments=site.instruments, profiles=site.profiles, folder=Typed(draft),
        policy=site.policy,
    )  # fmt: skip
    name = f"{draft.id}+{draft.overlay}" if draft.overlay else draft.id
    loaded = found.loaded.get(name)
    opened = Opened(loaded, draft.path.parent, loaded.document.mark.path) if loaded is not None else None
    order = {"error": 0, "warning": 1, "info": 2}
    return opened, sorted(found.problems, key=lambda one: order[one.severity])


class _Tryer:
    def __init__(self, trial: Trial, teller: Teller, opened: Opened, record: str, wanted: Wanted) -> None:
        self._trial = trial
        self._teller = teller
        self._opened = opened
        self._record = record.encode()
        self._wanted = wanted

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
        said: list[tuple[str, list[Json]]] = []
        try:
            trace = Tracer(self._opened.checked).run(made.typed, EXAMPLES_NOW, said)
            every = told(self._opened, given, trace, made.typed, show=self._wanted.show)
            found = list(islice(every, MOST_VALUES))
        except EvaluationProblem:
            trace, found = Trace((), (), {}, frozenset()), []
        veil = Veil(found)
        trial = self._trial
        trial.veiled = any(one.masked for one in found)
        trial.values = [self._teller.value(one) for one in found]
        trial.codes = list(_codes(self._opened, trace, veil))
        trial.pieces = printed(output(made.result), made.result, Pieces(found, tops(trace), veil))
        if self._wanted.traced:
            trial.steps = [*self._teller.steps(trace, veil), *_said(said, veil)][:MOST_STEPS]


def _said(said: Sequence[tuple[str, list[Json]]], veil: Veil) -> Iterator[Json]:
    for name, values in said:
        what, address = veil.shown(values), MASK if veil.hides(name) else name
        yield {"kind": "trace", "what": what, "address": address, "place": "", "spots": ""}


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


def _codes(opened: Opened, trace: Trace, veil: Veil) -> Iterator[Json]:
    """The code maps as grids, with what this record looked up."""
    for name, table in opened.checked.scope.tables.items():
        if not isinstance(table, CodeMap):
            continue
        used = {one for one in trace.used.get(name, ()) if not veil.hides(one)}
        entries = [*table.entries.items()]
        entries += [(key, one) for key, one in (("*", table.default), ("", table.blank)) if one is not None]
        rows = [
            {"from": source, "to": one.code or "", "display": one.display or "", "used": source in used}
            for source, one in entries[:MOST_CODES]
        ]
        yield {"name": name, "rows": rows, "more": max(len(entries) - MOST_CODES, 0)}
