"""Invariants of R4 and of profiles that a template breaks whatever the data are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from peerfhir.fhir.definitions import PRIMITIVES, Definitions, invariants
from peerfhir.fhir.snapshot import Node as Outline
from peerfhir.mapping.certain import Known, Part
from peerfhir.mapping.decided import Decider
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.tree import Const, Each, If, Items, Let, Node, Pair, Resource, Rule, Struct

_BEST_PRACTICE = "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice"
_CONTAINED = frozenset(("dom-2", "dom-3", "dom-4", "dom-5"))


class Place(NamedTuple):
    """A node of a template, and what it stands in.

    kind     its FHIR type
    element  the element it stands in, as "Type.name"; "" for a resource
    resource, root  the resource around it, and the one that this is contained in
    """

    node: Node
    kind: str
    element: str
    resource: Struct
    root: Struct


def places(resource: Resource, definitions: Definitions) -> Iterator[Place]:
    """Every structure and constant of a resource, each before what lies below it; leaves as they are."""
    body: Node = resource.body
    while isinstance(body, (Each, If, Let)):
        body = body.body
    if isinstance(body, Struct):
        yield from _below(Place(body, resource.type, "", body, body), definitions)


def _below(place: Place, definitions: Definitions) -> Iterator[Place]:
    node = place.node
    match node:
        case Items(nodes=nodes):
            for one in nodes:
                yield from _below(place._replace(node=one), definitions)
        case Each(body=body) | If(body=body) | Let(body=body):
            yield from _below(place._replace(node=body), definitions)
        case Pair(extra=extra):
            yield place
            if extra is not None:
                yield from _below(place._replace(node=extra, kind="Element", element=""), definitions)
        case Struct():
            yield from _in_struct(place, node, definitions)
        case _:
            yield place


def _in_struct(place: Place, struct: Struct, definitions: Definitions) -> Iterator[Place]:
    kind = struct.kind or place.kind
    resource, root = place.resource, place.root
    if definitions.is_resource(kind) and struct is not resource:
        resource, root = struct, root if place.element.endswith(".contained") else struct
    yield Place(struct, kind, place.element, resource, root)
    for key, child in struct.entries:
        element = definitions.element(kind, key)
        if element is not None:
            name = f"{element.choice}[x]" if element.choice else key
            yield from _below(
                Place(child, element.type, f"{_owner(kind, key, definitions)}.{name}", resource, root), definitions
            )


def _owner(kind: str, key: str, definitions: Definitions) -> str:
    """The type that defines an element: Quantity of an Age."""
    return "Quantity" if definitions.is_a(kind, "Quantity") else kind


class Invariants:
    """PM223 for the resources of one document."""

    def __init__(self, definitions: Definitions, problems: Problems) -> None:
        self._definitions = definitions
        self._problems = problems
        self._decider = Decider(definitions)

    def check(self, places: Iterable[Place]) -> None:
        """Note every invariant that is false in every record that makes the structure."""
        for place in places:
            part = _part(place)
            if part is None:
                continue
            contains = isinstance(place.node, Struct) and "contained" in dict(place.node.entries)
            for key, severity, human, expression in self._rules(place):
                if key in _CONTAINED and not contains:
                    continue
                if self._decider.is_false(expression, part, place.resource, place.root):
                    rule: Rule = place.node.rule
                    what = f"{human.strip()} ({key})"
                    self._problems.add(rule.mark, "PM223", rule.address, what, warning=severity == "warning")

    def _rules(self, place: Place) -> Iterator[tuple[str, str, str, str]]:
        found = invariants()
        for owner in (place.kind, place.element):
            for at in found["types"].get(owner, ()):
                yield tuple(found["rules"][at])
        if isinstance(place.node, Struct) and place.node.outline is not None:
            yield from _own(place.node.outline)


def _part(place: Place) -> Part | None:
    node = place.node
    if isinstance(node, Struct):
        return Part(node, place.kind, True)
    if isinstance(node, Const) and isinstance(node.value, dict) and place.kind not in PRIMITIVES:
        return Part(Known(node.value), place.kind, True)
    return None


def _own(outline: Outline) -> Iterator[tuple[str, str, str, str]]:
    """The invariants that a profile adds to an element."""
    known = {rule[0] for rule in invariants()["rules"]} | {"ele-1", "ext-1"}
    for rule in outline.element.get("constraint", ()):
        best = any(one.get("url") == _BEST_PRACTICE for one in rule.get("extension", ()))
        if rule["key"] not in known and rule.get("expression") and not best:
            yield rule["key"], rule["severity"], rule.get("human", ""), rule["expression"]
