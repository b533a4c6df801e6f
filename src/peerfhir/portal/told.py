"""Problems, values and steps of a try in plain words, each with the characters of the panes that it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from peerfhir.config import Mark
from peerfhir.mapping.aside import RowProblem
from peerfhir.mapping.difference import shown
from peerfhir.mapping.explain import MASK, Explained
from peerfhir.mapping.outcomes import Outcome
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.traced import Trace
from peerfhir.portal.draft import Draft, Typed
from peerfhir.portal.spots import Sheet, Spot, offset, spot, written
from peerfhir.portal.veil import Veil

Json = Any


class Teller:
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

    def steps(self, trace: Trace, veil: Veil) -> Iterator[Json]:
        """How often each loop of a run went round, what each condition said, and what each name held."""
        every = [outcome for _, outcome in trace.control]
        every += [outcome for made in trace.made for outcome in _all(made.outcome)]
        for one in every:
            if one.kind not in ("each", "if", "let"):
                continue
            said = {"each": str(len(one.value or ())), "if": "" if one.why == "false" else "yes"}
            yield {
                "kind": one.kind, "what": said[one.kind] if one.kind in said else veil.shown(one.value),
                "address": one.rule.address, "place": self._place(one.rule.mark),
                "spots": _joined([self._rule(one.rule.mark)]),
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


def _all(outcome: Outcome) -> Iterator[Outcome]:
    """An outcome and everything below it, of what is absent too."""
    yield outcome
    for _, one in outcome.below:
        yield from _all(one)


def _joined(spots: Sequence[Spot | None]) -> str:
    return " ".join(dict.fromkeys(str(one) for one in spots if one is not None))
