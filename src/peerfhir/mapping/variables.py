"""`vars`: named expressions over the record, each computed at most once and only when a rule reads it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from peerfhir.fhir.fhirpath.types import Scope
from peerfhir.mapping.directives import Directives
from peerfhir.mapping.document import Section
from peerfhir.mapping.leaves import Leaves, Place, bare, start_of
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.tree import Rule

_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_NAME = re.compile(r"%`?([A-Za-z_][A-Za-z0-9_]*)`?")

Name = tuple[Rule, str, ast.expr, bool]


@dataclass
class Names:
    """The variables of one document: Python name, code and whether it is a list, in the order of their use."""

    leaves: Leaves
    found: list[Name] = field(default_factory=list)
    needs: dict[str, set[str]] = field(default_factory=dict)  # Python name -> the ones its code reads

    def used(self) -> tuple[Name, ...]:
        """Those that some rule reads, by itself or through another."""
        waiting = [place for place in self.leaves.seen if place in self.needs]
        wanted: set[str] = set()
        while waiting:
            place = waiting.pop()
            if place not in wanted:
                wanted.add(place)
                waiting += self.needs[place] & self.needs.keys()
        return tuple(one for one in self.found if one[1] in wanted)


class Variables:
    """Checks the variables of one document."""

    def __init__(self, leaves: Leaves, directives: Directives, problems: Problems) -> None:
        self._leaves = leaves
        self._directives = directives
        self._problems = problems

    def checked(self, section: Section, scope: Scope) -> tuple[Place, Names]:
        """A place that knows every variable, and their code."""
        place = Place(scope, "vars")
        names = Names(self._leaves)
        for name in self._order(section):
            node, mark = section.items[name], section.marks[name]
            here = place.below(name)
            if node.kind != "scalar" or not str(node.value).startswith("="):
                what = "a variable is an expression"
                self._problems.add(node.mark, "PM007", here.address, what, f"write {name}: =...")
                continue
            found = self._leaves.expression(node, start_of(node), bare(node), here)
            if found is None:
                continue
            place, python = self._directives.bind(place, name, found, mark)
            names.found.append((Rule(node.mark, here.address), python, found.code, found.type.card == "many"))
            names.needs[python] = {one.id for one in ast.walk(found.code) if isinstance(one, ast.Name)}
            self._leaves.watched |= {python}
        self._leaves.seen.clear()
        return place, names

    def _order(self, section: Section) -> list[str]:
        """Each name after those it reads; PM114 for names that read each other in a circle."""
        reads = {name: self._reads(str(node.value)) & section.items.keys() for name, node in section.items.items()}
        order: list[str] = []
        left = dict(reads)
        while left:
            ready = [name for name, needed in left.items() if not needed & left.keys()]
            if not ready:
                self._circle(left, section)
                break
            order += ready
            left = {name: needed for name, needed in left.items() if name not in ready}
        return order

    def _circle(self, left: dict[str, set[str]], section: Section) -> None:
        path = [next(iter(left))]
        while path.count(path[-1]) < 2:
            path.append(next(iter(sorted(left[path[-1]] & left.keys()))))
        shown = " -> ".join(f"%{one}" for one in path[path.index(path[-1]) :])
        name = path[-1]
        self._problems.add(section.marks[name], "PM114", f"vars.{name}", f"the variable needs itself: {shown}")

    def _reads(self, text: str) -> set[str]:
        return set(_NAME.findall(_TEXT.sub("''", text)))
