"""What the examples of a mapping reach: rules that gave a value, both branches of conditions, rows of code maps."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from peerfhir.config import Node as Yaml
from peerfhir.errors import MappingFailed
from peerfhir.fhir.fhirpath.parser import Call, Expression, children
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.examples import Example
from peerfhir.mapping.inputs import EXAMPLES_NOW, Given, records
from peerfhir.mapping.outcomes import Trace
from peerfhir.mapping.outline import Written, code_maps
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.traced import Tracer

_WITH_RESOURCE = ("identity", "head")


@dataclass(frozen=True)
class Coverage:
    """What was reached, and what was not.

    rules     reached and all; `silent` are the rules that never produced a value
    branches  taken and all, of every $if and iif(); `untaken` names the others
    codes     looked up and all, of every code map; `unused` names the others
    """

    rules: tuple[int, int]
    silent: tuple[Written, ...]
    branches: tuple[int, int]
    untaken: tuple[str, ...]
    codes: tuple[int, int]
    unused: tuple[tuple[str, str], ...]

    @property
    def percent(self) -> int:
        """Of the rules, rounded down."""
        reached, every = self.rules
        return 100 if not every else reached * 100 // every


def covered(opened: Opened, found: Iterable[Example]) -> Coverage:
    """The coverage of a mapping by its examples; those that must fail count for nothing they did not reach."""
    tracer = Tracer(opened.checked)
    tally = _Tally(opened)
    for example in found:
        try:
            with example.input.open("rb") as stream:
                for given in records(opened, stream):
                    tally.record(tracer, given)
        except MappingFailed:
            continue
    return tally.coverage()


def accepted(node: Yaml | None) -> frozenset[str]:
    """The addresses of rules that need no example, by `accept` entries of PM501."""
    entries = node.value if node is not None and node.kind == "list" else []
    found = [{key: str(one.value) for key, one in entry.value.items()} for entry in entries if entry.kind == "map"]
    return frozenset(one["at"] for one in found if one.get("code") == "PM501" and "at" in one)


class _Tally:
    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._seen: set[tuple[str, str]] = set()  # address and mark of what gave a value
        self._made: set[str] = set()
        self._branches: set[tuple[str, bool]] = set()
        self._iif: set[tuple[str, int, bool]] = set()
        self._used: dict[str, set[str]] = {}

    def record(self, tracer: Tracer, given: Given) -> None:
        """One record; where it fails, it counts for nothing."""
        typed = self._opened.typed(given.raw)
        with suppress(EvaluationProblem):
            if typed is not None:
                self.add(tracer.run(typed, EXAMPLES_NOW))

    def add(self, trace: Trace) -> None:
        for _, outcome in trace.control:
            self._note(outcome.kind, outcome.rule.address, str(outcome.rule.mark), outcome.is_there)
        for made in trace.made:
            self._made.add(made.name)
            self._seen |= {(f"{made.name}.$request.{key}", "") for key, value in made.request.items() if value}
            for _, one in made.outcome.walk():
                self._note(one.kind, one.rule.address, str(one.rule.mark), one.is_there)
        self._iif |= trace.chosen
        self._branches |= trace.decided
        for name, codes in trace.used.items():
            self._used.setdefault(name, set()).update(codes)

    def _note(self, kind: str, address: str, mark: str, there: bool) -> None:
        if kind == "if":
            self._seen.add((address, mark))
        elif kind == "each" and there:
            self._seen.add((f"{address}.$each", ""))
        elif kind == "let":
            self._seen.add((f"{address}.$let", ""))
        elif there:
            self._seen.add(("", mark))

    def coverage(self) -> Coverage:
        rules = self._opened.rules
        excused = accepted(self._opened.document.accept)
        silent = tuple(rule for rule in rules if rule.address not in excused and not self._reached(rule))
        branches, untaken = self._decided()
        codes, unused = self._looked_up()
        return Coverage((len(rules) - len(silent), len(rules)), silent, branches, untaken, codes, unused)

    def _reached(self, rule: Written) -> bool:
        if rule.kind in _WITH_RESOURCE:
            return rule.resource in self._made
        if rule.kind in ("request", "each"):
            return (rule.address, "") in self._seen
        if rule.kind == "let":
            return (rule.address.rpartition(".")[0], "") in self._seen
        return ("", str(rule.mark)) in self._seen or (rule.address, str(rule.mark)) in self._seen

    def _decided(self) -> tuple[tuple[int, int], tuple[str, ...]]:
        every, missing = 0, []
        for rule in self._opened.rules:
            if rule.kind == "if":
                every += 2
                missing += [
                    f"{rule.address} never {str(one).lower()}"
                    for one in (True, False)
                    if (str(rule.mark), one) not in self._branches
                ]
            count = sum(self._iifs(one) for one in rule.expressions)
            for number in range(count):
                every += 2
                missing += [
                    f"{rule.address} iif() never {str(one).lower()}"
                    for one in (True, False)
                    if (str(rule.mark), number, one) not in self._iif
                ]
        return (every - len(missing), every), tuple(missing)

    def _iifs(self, expression: Expression) -> int:
        own = int(isinstance(expression, Call) and expression.name == "iif")
        return own + sum(self._iifs(child) for child in children(expression))

    def _looked_up(self) -> tuple[tuple[int, int], tuple[tuple[str, str], ...]]:
        every, unused = 0, []
        read = {name for rule in self._opened.rules for one in rule.expressions for name in code_maps(one)}
        for name, table in self._opened.checked.scope.tables.items():
            if name not in read:
                continue
            entries = getattr(table, "entries", {})
            wanted = list(entries)
            used = self._used.get(name, set())
            if getattr(table, "blank", None) is not None:
                wanted.append("")
            every += len(wanted)
            unused += [(name, code) for code in wanted if code not in used]
            if getattr(table, "default", None) is not None:
                every += 1
                if not used - set(entries) - {""}:
                    unused.append((name, "*"))
        return (every - len(unused), every), tuple(unused)
