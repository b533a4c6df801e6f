"""Where every value of an output came from, and why what is absent is absent: rule, source cell, reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.mapping.fields import Field, Fields
from peerfhir.mapping.inputs import Given
from peerfhir.mapping.outcomes import Outcome, Trace
from peerfhir.mapping.outline import Written
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.traced import Tracer

Json = Any
MASK = "(masked)"
_WHY = {
    "empty": "the expression is empty",
    "hollow": "every expression is empty",
    "false": "the condition of $if does not hold",
    "none": "$each has no item",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One source field that a rule read.

    value     as it stood in the record; None when there was nothing
    place     row 3, column 7 or record 1, /attendees/2/status
    how       what the reader made of it
    """

    field: str
    value: Json
    place: str
    how: str
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """One place of an output.

    address  as the author would say it: patient.telecom[1].value
    rule     the address of the rule in the mapping
    value    None when it is absent; `why` then says why
    text     the rule as it was written
    """

    address: str
    rule: str
    mark: Mark
    text: str
    value: Json
    why: str
    cells: tuple[Cell, ...]
    masked: bool = False

    def told(self) -> dict[str, Json]:
        """As JSON, for a program."""
        return {
            "address": self.address, "rule": self.rule, "file": self.mark.path, "line": self.mark.line,
            "column": self.mark.column, "text": self.text, "present": self.value is not None,
            "value": MASK if self.masked else self.value, "why": self.why,
            "sources": [
                {"field": one.field, "value": MASK if one.masked else one.value, "place": one.place, "how": one.how}
                for one in self.cells
            ],
        }  # fmt: skip


def explained(
    opened: Opened, given: Given, *, now: datetime | None = None, show: bool = False, path: str = ""
) -> list[Explained]:
    """Every value of the output of one record, in its order, and every node that is absent.

    show    whether values of sensitive fields are shown
    path    only this address, in the output or in the mapping, and what lies below it
    Raises  EvaluationProblem when a rule fails, MappingFailed when the record does not fit its declaration
    """
    typed = opened.program.typed(given.raw)
    return list(told(opened, given, Tracer(opened.checked).run(typed, now), typed, show=show, path=path))


def told(
    opened: Opened, given: Given, trace: Trace, typed: Json, *, show: bool = False, path: str = ""
) -> Iterator[Explained]:
    """The same for a trace that is there already."""
    teller = _Teller(opened, given, typed, show)
    several = {one.name for one in trace.made if one.at}
    for made in trace.made:
        top = f"{made.name}[{made.at}]" if made.name in several else made.name
        for one in teller.node(made.outcome, top):
            if not path or _lies_in(one.address, path) or _lies_in(one.rule, path):
                yield one
    for name, outcome in trace.control:
        if not outcome.is_there and outcome.kind in ("if", "each"):
            one = teller.explained(outcome, name)
            if not path or _lies_in(one.address, path):
                yield one


def _lies_in(address: str, path: str) -> bool:
    return address == path or address.startswith((f"{path}.", f"{path}["))


class _Teller:
    def __init__(self, opened: Opened, given: Given, typed: Json, show: bool) -> None:
        self._opened = opened
        self._given = given
        self._typed = typed
        self._show = show
        self._rules: dict[Mark, Written] = {rule.mark: rule for rule in opened.rules}
        self._at = {(rule.mark, rule.address): rule for rule in opened.rules}  # a fragment may be used twice
        self._nodes: dict[Mark, tuple[str, Yaml]] = {}
        document = opened.checked.document
        for root in (document.resources, document.record, *document.fragments.items.values()):
            if root is not None:
                self._index("", root)

    def _index(self, key: str, node: Yaml) -> None:
        self._nodes.setdefault(node.mark, (key, node))
        if node.kind == "map":
            for name, one in node.value.items():
                self._index(name, one)
        elif node.kind == "list":
            for one in node.value:
                self._index(key, one)

    def node(self, outcome: Outcome, address: str) -> Iterator[Explained]:
        """What one node gave: itself when it is a leaf or absent, else what lies below it."""
        absent = not outcome.is_there
        passed_on = outcome.kind in ("let", "list") and outcome.below
        if outcome.kind in ("expression", "constant") or (absent and not passed_on):
            yield self.explained(outcome, address)
            return
        for step, one in outcome.below:
            if step == "resourceType":
                continue
            inner = address if step is None else f"{address}[{step}]" if isinstance(step, int) else f"{address}.{step}"
            yield from self.node(one, inner)

    def explained(self, outcome: Outcome, address: str) -> Explained:
        """One leaf, or one node that is absent."""
        rule = outcome.rule
        written = self._at.get((rule.mark, rule.address)) or self._rules.get(rule.mark)
        key, yaml = self._nodes.get(rule.mark, ("", None))
        text = flow(yaml) if yaml is not None else ""
        paths = written.reads if written is not None and outcome.kind != "structure" else frozenset()
        if written is None or outcome.kind == "structure":
            paths = frozenset(path for inner in _below(outcome, self._rules) for path in inner.reads)
        cells = tuple(self._cell(path, outcome.turns) for path in sorted(_longest(paths), key=str))
        why = "" if outcome.is_there else _WHY.get(outcome.why, outcome.why)
        masked = not self._show and any(one.masked for one in cells)
        shown = f"{key}: {text}" if key and not key.startswith("$l") else text
        return Explained(
            address, rule.address, rule.mark, shown, outcome.value if outcome.is_there else None, why, cells, masked
        )

    def _cell(self, path: str, turns: tuple[int, ...]) -> Cell:
        steps = path.split(".")
        raw, typed, keys, field = self._given.raw, self._typed, [], None
        fields: Fields | None = self._opened.checked.source.fields
        left = list(turns)
        for step in steps:
            field = fields.items.get(step) if fields is not None else None
            key = field.key if field is not None else step
            keys.append(key)
            raw = raw.get(key) if isinstance(raw, Mapping) else None
            typed = typed.get(step) if isinstance(typed, Mapping) else None
            if isinstance(raw, list) and not isinstance(typed, list):
                raw = raw[0] if raw else None  # a name of a form that stands once
            elif isinstance(raw, list) and left:
                at = left.pop(0)
                keys.append(str(at))
                raw = raw[at] if at < len(raw) else None
                typed = typed[at] if isinstance(typed, list) and at < len(typed) else None
            fields = field.fields if field is not None else None
        column = self._given.columns.get(keys[0])
        position, pointer = self._given.position, "/" + "/".join(keys)
        place = f"{position}, column {column}" if column else f"{position}, {pointer}"
        if position.startswith("/"):
            place = f"{position.rstrip('/')}{pointer}"
        masked = field is not None and field.sensitive is not None and not self._show
        return Cell(path, raw, place, self._how(field, raw, typed), masked)

    def _how(self, field: Field | None, raw: Json, typed: Json) -> str:
        if typed is None or typed == []:
            return "there is nothing" if raw is None else "counts as no value (source.empty)"
        if field is not None and field.format is not None:
            return f"parsed as {field.kind} with {field.format.written}"
        return "" if raw == typed or field is None else f"read as {field.kind}"


def _below(outcome: Outcome, rules: Mapping[Mark, Written]) -> Iterator[Written]:
    for _, one in outcome.below:
        if one.rule.mark in rules and one.kind != "structure":
            yield rules[one.rule.mark]
        yield from _below(one, rules)


def _longest(paths: frozenset[str]) -> list[str]:
    """Paths without those that only lead to another."""
    return [one for one in paths if not any(other.startswith(f"{one}.") for other in paths)]


def flow(node: Yaml, limit: int = 100) -> str:
    """A node as YAML on one line."""
    if node.kind == "map":
        text = "{" + ", ".join(f"{key}: {flow(one, limit)}" for key, one in node.value.items()) + "}"
    elif node.kind == "list":
        text = "[" + ", ".join(flow(one, limit) for one in node.value) + "]"
    else:
        text = str(node.value) if node.quoted else node.raw
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def lines(found: list[Explained], source: str) -> Iterator[str]:
    """For a person: the value, the rule with its place, and each source cell.

    source  how the input is called
    """
    from peerfhir.mapping.difference import shown

    for one in found:
        value = MASK if one.masked else shown(one.value)
        yield f"{one.address} = {value}" if one.value is not None else f"{one.address}  absent"
        where = f"{one.mark.path.rpartition('/')[2]}:{one.mark.line}:{one.mark.column}"
        reason = f": {one.why}" if one.why else ""
        yield f"  {where:<30}{one.text}{reason}"
        for cell in one.cells:
            told_value = MASK if cell.masked else "nothing" if cell.value is None else shown(cell.value)
            how = f"  {cell.how}" if cell.how else ""
            yield f"  {cell.field} = {told_value}  ({source} {cell.place}){how}"
