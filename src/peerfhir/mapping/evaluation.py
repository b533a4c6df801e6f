"""One evaluation of a compiled mapping: its time, its limits, and the errors of its rules."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peerfhir.fhir import writer
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.identity import record_key
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.tree import Rule

Json = Any
MAX_PROBLEMS = 20
MAX_TURNS = 10_000  # of all $each of one record together
MAX_RESOURCES = 1_000
MAX_OUTPUT = 5 * 1024 * 1024  # characters of all texts that one record becomes
MAX_WRITTEN = 64 * 1024 * 1024  # characters that the turns of one record may put together
MAX_SECONDS = 0.25  # of work on one record, not of waiting; asked at every $each and while many items are looked at

_FEW_TURNS = 100  # below, nothing is measured
_SMALL = 64 * 1024  # bytes of a record; a smaller one cannot become too much without many turns
_FEW_ITEMS = 16  # looked at between two questions to the clock


class Run:
    """One evaluation: counts turns; the first error ends it. `now` is when the record was accepted.

    seconds  of work it may take; None: those of a record
    """

    record_key = staticmethod(record_key)

    def __init__(self, record: Json = None, now: datetime | None = None, seconds: float | None = None) -> None:
        self._record = record
        self._seconds = seconds
        self._turns = 0
        self._started = -1.0
        self._items = 0
        self.now = now

    def turns(self, items: Sequence[Any]) -> Sequence[Any]:
        """The items of a $each, counted."""
        self._turns += len(items)
        if self._turns > MAX_TURNS:
            raise EvaluationProblem("PM750", f"the record needs more than {MAX_TURNS} turns of $each")
        if self._turns > _FEW_TURNS and self._turns * _longest(self._record) > MAX_WRITTEN:
            raise EvaluationProblem("PM750", "the record has texts that are too long for so many turns of $each")
        self._ask()
        return items

    def watch(self, items: int) -> None:
        """Items that an expression looks at, in where(), select(), repeat() and the like."""
        self._items += items
        if self._items >= _FEW_ITEMS:
            self._items = 0
            self._ask()

    def _ask(self) -> None:
        work = time.thread_time()  # of this thread alone: a busy machine refuses nothing
        if self._started < 0:
            self._started = work
        elif work - self._started > (limit := MAX_SECONDS if self._seconds is None else self._seconds):
            raise EvaluationProblem("PM750", f"this needs more than {limit} seconds of work")

    @property
    def is_large(self) -> bool:
        """Whether it is worth measuring what was made."""
        try:
            return self._turns > _FEW_TURNS or len(writer.write(self._record)) > _SMALL
        except TypeError:  # not a record that was read, but one that somebody made in Python
            return True

    def missing(self, rule: int) -> None:
        """A required element is empty."""
        raise EvaluationProblem("PM722", "a required element is empty")


class CarefulRun(Run):
    """One evaluation that goes on after an error and notes each with its rule."""

    def __init__(
        self, rules: Sequence[Rule], record: Json = None, now: datetime | None = None, seconds: float | None = None
    ) -> None:
        super().__init__(record, now, seconds)
        self._rules = rules
        self.found: list[Problem] = []

    def note(self, rule: int, problem: EvaluationProblem) -> None:
        """A rule failed."""
        at = self._rules[rule]
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(at.mark, problem.rule, at.address, problem.what))

    def missing(self, rule: int) -> None:
        self.note(rule, EvaluationProblem("PM722", "a required element is empty"))


def _longest(value: Json) -> int:
    """Characters of the longest text in a record."""
    if isinstance(value, str):
        return len(value)
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((_longest(one) for one in below), default=0)


def written(value: Json) -> int:
    """Characters of all texts in what was made, without its punctuation."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + written(one) for key, one in value.items())
    return sum(written(one) for one in value) if isinstance(value, list) else 1
