"""What rules of a StructureMap are made of, and where they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from peerfhir.config import Mark
from peerfhir.fhir.fhirpath.compile import emit
from peerfhir.fhir.fhirpath.parser import Expression, Member, Variable, parse
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.exports.expression_text import Words
from peerfhir.mapping.fields import Fields
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.tree import Leaf

Json = Any
Rule = dict[str, Json]
Path = tuple[str, tuple[str, ...]]  # a variable, and the elements below it
NUMBERS = ("integer", "decimal", "boolean")  # kinds of fields that are no texts
_NOT_NAME = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True)
class Item:
    """The item of a $each: its %name, the variable that holds it, its declared fields, and one that every item has."""

    name: str
    variable: str
    fields: Fields | None = None
    sure: str | None = None


@dataclass(frozen=True)
class At:
    """Where rules are written.

    source  the variable that holds the record
    target  the variable of what is filled, and its FHIR type; of a record, what is declared of it
    item    of the innermost $each
    shown   conditions of which one holds here
    """

    source: str
    target: str
    type: str
    words: Words
    item: Item | None = None
    fields: Fields | None = None
    shown: frozenset[str] = frozenset()

    @property
    def here(self) -> str:
        """The variable that a rule without a condition stands on."""
        return self.item.variable if self.item is not None else self.source


@dataclass(frozen=True)
class Spot:
    """One element or field that is filled.

    built  the type that must be named when a structure is begun there, because the element takes several
    """

    key: str
    kind: str
    built: str = ""
    fields: Fields | None = None


@dataclass
class Writer:
    """What is written so far: gaps, the ConceptMaps that are needed, and names that are taken."""

    opened: Opened
    canonical: str
    inline: bool
    gaps: list[str] = field(default_factory=list)
    used: dict[str, Json] = field(default_factory=dict)
    count: int = 0
    leaves: dict[Mark, Leaf] = field(default_factory=dict)

    def fresh(self, letter: str) -> str:
        """A variable that is not taken."""
        self.count += 1
        return f"{letter}{self.count}"

    def gap(self, mark: Mark, address: str, why: str) -> list[Rule]:
        """Note what cannot be said; no rule comes of it."""
        self.gaps.append(f"{mark}: {address}: {why}")
        return []

    def is_sure(self, text: str) -> bool:
        """Whether an expression over the record gives one value for every record."""
        try:
            static = emit(text, self.opened.checked.scope).type
        except ExpressionProblem:
            return False
        return static.card == "one" and not static.blank


def path_of(text: str, at: At) -> Path | None:
    """Variable and elements of an expression that names a field of the record or of an item, or one below it."""
    try:
        return path(parse(text), at)
    except ExpressionProblem:
        return None


def path(node: Expression, at: At) -> Path | None:
    """The same for a parsed expression."""
    steps: list[str] = []
    while isinstance(node, Member) and node.base is not None:
        steps.insert(0, node.name)
        node = node.base
        if isinstance(node, Variable) and node.name in at.words.items:
            return at.words.items[node.name].strip("%."), tuple(steps)
    if isinstance(node, Member):
        return at.words.record.strip("%."), (node.name, *steps)
    return None


def item_of(writer: Writer, name: str, variable: str, found: Path, at: At) -> Item:
    """The item of a $each over a path."""
    kind, fields, _ = _end(writer, found, at)
    if fields is not None:
        return Item(name, variable, fields, next((key for key, one in fields.items.items() if one.required), None))
    elements = writer.opened.checked.scope.definitions.elements(kind).items() if kind else ()
    sure = next((key for key, one in elements if one.minimum > 0 and one.choice is None), None)
    return Item(name, variable, None, sure)


def repeats(writer: Writer, found: Path, at: At) -> bool:
    """Whether there may be several values of a path."""
    return _end(writer, found, at)[2]


def _end(writer: Writer, found: Path, at: At) -> tuple[str, Fields | None, bool]:
    """What a path ends in: its FHIR type, or its declared fields; and whether it may repeat."""
    checked = writer.opened.checked
    (context, steps), many = found, False
    if checked.source.type:
        kind = checked.source.type if context == at.source else ""
        for step in steps:
            element = checked.scope.definitions.element(kind, step) if kind else None
            kind, many = (element.type, many or element.many) if element is not None else ("", True)
        return kind, None, many
    inside = at.item is not None and context == at.item.variable
    known = at.item.fields if at.item is not None and inside else checked.source.fields
    for step in steps:
        one = known.items.get(step) if known is not None else None
        known, many = (one.fields, many or one.repeats) if one is not None else (None, True)
    return "", known, many


def copied(target: str, element: str, value: Json) -> Json:
    """A target that takes a constant."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    kinds = {bool: "valueBoolean", int: "valueInteger", str: "valueString"}
    return placed(target, element, "copy", {kinds.get(type(value), "valueDecimal"): value})


def placed(target: str, element: str, transform: str = "", *parameters: Mapping[str, Json], variable: str = "") -> Json:
    """A target: an element of a variable, what is put there, and the variable that then holds it."""
    made: dict[str, Json] = {"context": target, "contextType": "variable", "element": element}
    if variable:
        made["variable"] = variable
    if transform:
        made["transform"] = transform
    return {**made, "parameter": [dict(one) for one in parameters]} if parameters else made


def begun(target: str, spot: Spot, variable: str) -> Json:
    """A target that begins a structure."""
    if spot.built:
        return placed(target, spot.key, "create", {"valueString": spot.built}, variable=variable)
    return placed(target, spot.key, variable=variable)


def constant(source: str, target: str, element: str, value: Json) -> Rule:
    """A rule that writes a constant."""
    return then({"context": source}, [copied(target, element, value)], [])


def then(source: dict[str, Json], targets: list[Json], rules: list[Rule], name: str = "") -> Rule:
    """One rule. Its name is what it writes, as an id of R4 wants it."""
    last = targets[-1] if targets else {}
    called = name or f"{last.get('context', source.get('element', 'rule'))}-{last.get('element', 'each')}"
    made: Rule = {"name": _NOT_NAME.sub("-", called).strip("-")[:64], "source": [source]}
    if targets:
        made["target"] = targets
    if rules:
        made["rule"] = rules
    return made
