"""What directives do around the content of a node: $each, $let and $if, and the names they bring."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.compile import ROOTS, WELL_KNOWN, Emitted
from peerfhir.fhir.fhirpath.types import Bound, Static
from peerfhir.mapping.leaves import Leaves, Place, Slot, bare, start_of
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.syntax import NAME
from peerfhir.mapping.tree import Each, If, Let, Node, Rule

MAX_EACH = 3

RESERVED = ROOTS | frozenset(WELL_KNOWN) | frozenset(("systems", "questionnaire", "qitem", "canonical"))
EACH = re.compile(r"(.*\S)\s+as\s+([A-Za-z_]\w*)\s*(?:,\s*([A-Za-z_]\w*))?\s*", re.DOTALL)


class Directives:
    """Reads the directives around the content of a node."""

    def __init__(self, leaves: Leaves, problems: Problems) -> None:
        self.leaves = leaves
        self._problems = problems
        self._count = 0

    def wrapped(
        self, yaml: Yaml, slot: Slot, place: Place, content: Callable[[Yaml, Slot, Place], Node | None]
    ) -> Node | None:
        """The content of a node inside its $each, $let and $if, which are read in this order."""
        rule = Rule(yaml.mark, place.address)
        each = self.each(yaml, place, slot.many) if "$each" in yaml.value else None
        if "$each" in yaml.value and each is None:
            return None
        if each is not None:
            place = each[1]
        names, place = self.names(yaml, place)
        condition = None
        if "$if" in yaml.value:
            condition = self.leaves.condition(yaml.value["$if"], place.below("$if"))
            if condition is None:
                return None
        body = content(yaml, slot, place)
        if body is None:
            return None
        if condition is not None:
            body = If(Rule(yaml.value["$if"].mark, f"{place.address}.$if"), condition.code, body)
        if names:
            body = Let(rule, names, body)
        if each is not None:
            found, _, item, index = each
            body = Each(rule, found.code, found.type.card == "many", item, index, body)
        return body

    def each(self, yaml: Yaml, place: Place, repeats: bool) -> tuple[Emitted, Place, str, str] | None:
        """The items of a $each, the place inside it, and the Python names of item and index."""
        node = yaml.value["$each"]
        here = place.below("$each")
        match = EACH.fullmatch(str(node.value))
        if match is None:
            self._problems.add(node.mark, "PM251", here.address, "$each names its item", "write $each: items as item")
            return None
        if not repeats:
            what = "$each makes many values and one fits"
            self._problems.add(node.mark, "PM211", here.address, what, "add .first() to the expression instead")
            return None
        if place.depth >= MAX_EACH:
            self._problems.add(node.mark, "PM750", here.address, f"at most {MAX_EACH} $each stand inside each other")
            return None
        text, item, index = match.groups()
        found = self.leaves.expression(node, start_of(node), text.removeprefix("="), here)
        if found is None:
            return None
        if found.type.card != "many":
            self._problems.add(node.mark, "PM250", here.address, "there is at most one item here")
        inner, place_of_item = self.bind(place, item, Emitted(found.code, found.type.as_card("one")), node.mark)
        place_of_index = ""
        if index:
            position = Emitted(ast.Constant(0), Static(("integer",), "one", blank=False))
            inner, place_of_index = self.bind(inner, index, position, node.mark)
        place_of_index = place_of_index or self._fresh("i")
        inner = replace(inner, depth=place.depth + 1, item=place_of_item, index=place_of_index)
        return found, inner, place_of_item, place_of_index

    def names(self, yaml: Yaml, place: Place) -> tuple[tuple[tuple[str, ast.expr, bool], ...], Place]:
        """The names of a $let, and the place in which they are known."""
        node = yaml.value.get("$let")
        if node is None:
            return (), place
        if node.kind != "map":
            self._problems.add(
                node.mark, "PM251", place.address, "$let is a map of names", "write $let: {name: =expression}"
            )
            return (), place
        found: list[tuple[str, ast.expr, bool]] = []
        for name, value in node.value.items():
            emitted = self.leaves.expression(value, start_of(value), bare(value), place.below(f"$let.{name}"))
            if emitted is not None:
                place, python = self.bind(place, name, emitted, node.key_marks[name])
                found.append((python, emitted.code, emitted.type.card == "many"))
        return tuple(found), place

    def bind(self, place: Place, name: str, value: Emitted, mark: Mark) -> tuple[Place, str]:
        """The place with one %name more, and the Python name that holds it."""
        if name in RESERVED or not NAME.fullmatch(name):
            self._problems.add(mark, "PM113", place.address, f"%{name} is a reserved name", error=True)
        elif name in place.scope.variables:
            self._problems.add(mark, "PM113", place.address, f"%{name} hides another %{name}")
        python = self._fresh("v")
        self.leaves.types[python] = value.type
        self.leaves.labels.bound(python, value.code)
        variables = {**place.scope.variables, name: Bound(value.type, python)}
        return replace(place, scope=replace(place.scope, variables=variables)), python

    def _fresh(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"
