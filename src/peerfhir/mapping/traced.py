"""The traced build of a mapping: what every rule gave for one record, and why a node is not there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from peerfhir.fhir.fhirpath.compile import ROOT_PLACE
from peerfhir.fhir.fhirpath.made import ENVIRONMENT
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping import primitives, values
from peerfhir.mapping.answers import extracted
from peerfhir.mapping.check import Checked
from peerfhir.mapping.compile import names_of, written
from peerfhir.mapping.evaluation import Run as Turns
from peerfhir.mapping.outcomes import Below, Json, Made, Outcome, Trace
from peerfhir.mapping.tree import (
    Answers,
    Const,
    Each,
    Extract,
    If,
    Items,
    Leaf,
    Let,
    Node,
    Pair,
    Resource,
    Rule,
    Struct,
    is_dynamic,
    is_paired,
)

__all__ = ["Made", "Outcome", "Trace", "Tracer"]


class Tracer:
    """One checked mapping, evaluated node by node instead of as one function; a test shows that both give the same."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._codes: dict[int, Any] = {}
        self._names = names_of(checked)

    def run(self, typed: Json, now: datetime | None = None, said: list[tuple[str, list[Json]]] | None = None) -> Trace:
        """What every rule gives for one typed record.

        said    takes the name and the values of each trace() that is reached
        Raises  EvaluationProblem at the first rule that fails
        """
        names = dict(self._names)
        names[ENVIRONMENT] = replace(names[ENVIRONMENT], trace=said)
        return _Walk(self, self._checked, names, typed, now).trace()

    def code(self, tree: ast.expr) -> Any:
        """A tree of this mapping as Python code, compiled once."""
        known = self._codes.get(id(tree))
        if known is None:
            module = ast.fix_missing_locations(ast.Expression(_Branches().visit(_copied(tree))))
            known = self._codes[id(tree)] = compile(module, self._checked.document.mark.path, "eval")
        return known


def _copied(tree: ast.expr) -> Any:
    """A tree of its own: compiled mappings share theirs."""
    fields = {name: _copied_field(value) for name, value in ast.iter_fields(tree)}
    return ast.copy_location(type(tree)(**fields), tree) if hasattr(tree, "lineno") else type(tree)(**fields)


def _copied_field(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied_field(one) for one in value]
    return _copied(value) if isinstance(value, ast.AST) else value  # type: ignore[arg-type]


class _Branches(ast.NodeTransformer):
    """Notes which branch every iif() of an expression takes, numbered in the order of the text."""

    def __init__(self) -> None:
        self._count = 0

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        number = self._count
        self._count += 1
        self.generic_visit(node)
        node.test = ast.Call(ast.Name("g_chosen", ast.Load()), [ast.Constant(number), node.test], [])
        return node


class _Walk:
    def __init__(
        self, tracer: Tracer, checked: Checked, names: dict[str, Any], typed: Json, now: datetime | None
    ) -> None:
        self._tracer = tracer
        self._checked = checked
        self._names = names
        self._used: dict[str, set[str]] = {}
        self._chosen: set[tuple[str, int, bool]] = set()
        self._decided: set[tuple[str, bool]] = set()
        self._made: list[Made] = []
        self._control: list[tuple[str, Outcome]] = []
        self._address = ""
        self._turns: list[int] = []
        names[ROOT_PLACE] = typed
        names["run"] = run = Turns(typed, now)
        names["g_chosen"] = self._choose
        names[ENVIRONMENT] = replace(names[ENVIRONMENT], now=now, watch=run.watch)
        for name, table in checked.scope.tables.items():
            place = next((key for key, value in names.items() if value == table.translate), None)
            if place is not None:
                names[place] = partial(self._translate, name, table.translate)

    def _choose(self, number: int, taken: bool) -> bool:
        self._chosen.add((self._address, number, taken))
        return taken

    def _translate(self, name: str, inner: Any, value: Any) -> Any:
        code = value.get("code") if isinstance(value, dict) else value
        told = "" if code is None else str(code).lower() if isinstance(code, bool) else str(code)
        self._used.setdefault(name, set()).add(told)
        return inner(value)

    def trace(self) -> Trace:
        template = self._checked.template
        for rule, place, code, _ in template.names:
            self._names[place] = self._eval(code, rule)
        if template.record is not None:
            self._made.append(Made("record", 0, None, {}, self._struct(template.record, always=True)))
        for resource in template.resources:
            self._resource(resource, resource.body)
        used = {name: frozenset(codes) for name, codes in self._used.items()}
        return Trace(tuple(self._made), tuple(self._control), used, frozenset(self._chosen), frozenset(self._decided))

    # --- resources ------------------------------------------------------------------------------------------------

    def _resource(self, resource: Resource, node: Node) -> None:
        match node:
            case Each():
                items = self._items_of(node)
                self._control.append((resource.name, Outcome(node.rule, "each", items or None, why="none")))
                for at, item in enumerate(items):
                    with self._turn(node, at, item):
                        self._resource(resource, node.body)
            case Let():
                self._control.append((resource.name, self._let(node)))
                self._resource(resource, node.body)
            case If():
                holds = self._holds(node)
                self._control.append((resource.name, Outcome(node.rule, "if", holds or None, why="false")))
                if holds:
                    self._resource(resource, node.body)
            case Struct():
                found = self._struct(node, always=True)
                url = self._eval(resource.url, resource.rule) if resource.url is not None else None
                request = {key: self._eval(code, resource.rule) for key, code in resource.request}
                at = sum(one.name == resource.name for one in self._made)
                self._made.append(Made(resource.name, at, url, request, found))
                if resource.extract is not None:
                    self._extract(resource, resource.extract, found, url)

    def _extract(self, resource: Resource, extract: Extract, response: Outcome, url: str | None) -> None:
        parts = [self._eval(code, resource.rule) for code in extract.parts]
        seeded = self._names[extract.seed]
        found = self._names[extract.form].observations(response.value, url, seeded, parts, extract.mode)
        name = f"{resource.name}.$extract"
        for at, (_, one, place, request) in enumerate(extracted(name, found, bool(resource.request))):
            self._made.append(Made(name, at, place, request, Outcome(resource.rule, "constant", one)))

    # --- control --------------------------------------------------------------------------------------------------

    def _eval(self, tree: ast.expr, rule: Rule) -> Any:
        self._address = str(rule.mark)
        return eval(self._tracer.code(tree), self._names)  # noqa: S307 - a tree built from checked syntax, no text

    def _items_of(self, node: Each) -> list[Any]:
        found = self._eval(node.code, node.rule)
        items = found if node.many else [] if found is None else [found]
        return list(self._names["run"].turns(items))

    @contextmanager
    def _turn(self, node: Each, at: int, item: Any) -> Iterator[None]:
        self._names[node.index], self._names[node.place] = at, item
        self._turns.append(at)
        yield
        self._turns.pop()

    def _let(self, node: Let) -> Outcome:
        given = []
        for place, code, _ in node.names:
            self._names[place] = self._eval(code, node.rule)
            given.append(self._names[place])
        return Outcome(node.rule, "let", given, alive=False)

    def _holds(self, node: If) -> bool:
        holds = self._eval(node.code, node.rule) is True
        self._decided.add((str(node.rule.mark), holds))
        return holds

    # --- values ---------------------------------------------------------------------------------------------------

    def _value(self, node: Node) -> Outcome:
        match node:
            case Const():
                return Outcome(node.rule, "constant", values.copied(node.value))
            case Leaf():
                return self._leaf(node)
            case Struct():
                return self._struct(node)
            case Items():
                return self._list(node)
            case Answers():
                return self._answers(node)
            case Let():
                self._let(node)
                inner = self._value(node.body)
                return Outcome(node.rule, "let", inner.value, inner.alive, inner.why, [(None, inner)])
            case If():
                if not self._holds(node):
                    return Outcome(node.rule, "if", None, why="false")
                inner = self._value(node.body)
                return Outcome(node.rule, "if", inner.value, inner.value is not None, inner.why, [(None, inner)])
        what = f"{type(node).__name__} stands only in a list"
        raise TypeError(what)

    def _leaf(self, node: Leaf) -> Outcome:
        found = self._eval(node.code, node.rule)
        given = found if node.many else [found]
        if node.blank:
            given = [one if node.many or node.field is not None else written(one) for one in given if one != ""]
        if node.field is not None:
            given = [values.field_checker(node.field)(one) for one in given]
        elif node.form is not None or node.codes is not None:
            given = [values.form_checker(node.form, node.codes)(one) for one in given]
        if node.wrap or node.copy:
            given = [values.wrapped(one) if node.wrap else values.copied(one) for one in given]
        value: Json = given if node.many else given[0] if given else None
        there = value is not None and value != [] if node.many else value is not None
        why = "" if there else "empty"
        return Outcome(node.rule, "expression", value if there else None, there, why, turns=tuple(self._turns))

    def _struct(self, node: Struct, *, always: bool = False) -> Outcome:
        below: Below = [part for key, child in node.entries for part in self._parts(key, child)]
        alive = any(one.alive for _, one in below)
        there = always or node.keep or not is_dynamic(node) or alive
        value = {key: one.value for key, one in below if one.value is not None} if there else None
        if there:
            for key in node.needed:
                if key not in (value or {}) and any(step == key for step, _ in below):
                    raise EvaluationProblem("PM722", "a required element is empty")
        why = "" if there else "hollow"
        return Outcome(
            node.rule, "structure", value, alive or (there and node.keep), why, below, turns=tuple(self._turns)
        )

    def _parts(self, key: str, node: Node) -> Below:
        """The value of an element, and what stands beside it under `_name`."""
        if not is_paired(node):
            return [(key, self._value(node))]
        value, extra = self._pair(node)
        return [(key, value), (f"_{key}", extra)] if extra.value is not None else [(key, value)]

    def _pair(self, node: Node) -> tuple[Outcome, Outcome]:
        nothing = Outcome(node.rule, "constant", None)
        match node:
            case Pair():
                value = self._value(node.value) if node.value is not None else nothing
                extra = self._value(node.extra) if node.extra is not None else nothing
                if node.absent is not None and value.value is None:
                    gap = primitives.absent(extra.value, node.absent)
                    return value, Outcome(node.rule, "constant", gap, alive=True)
                return value, extra
            case Items():
                pairs = [pair for child in node.nodes for pair in self._pairs(child)]
                made = [primitives.present([one.value for one in side]) for side in zip(*pairs, strict=True)] or [
                    None
                ] * 2
                alive = any(one.alive for pair in pairs for one in pair)
                below: Below = [(at, one) for at, (one, _) in enumerate(pairs)]
                return (
                    Outcome(node.rule, "list", made[0], alive, "" if made[0] else "hollow", below),
                    Outcome(node.rule, "list", made[1], alive),
                )
            case Let():
                self._let(node)
                return self._pair(node.body)
            case If():
                return self._pair(node.body) if self._holds(node) else (nothing, nothing)
        return self._value(node), nothing

    def _pairs(self, node: Node) -> list[tuple[Outcome, Outcome]]:
        """The pairs that one item of a list gives: those with a value, or something beside it."""
        match node:
            case Each():
                found = []
                for at, item in enumerate(self._items_of(node)):
                    with self._turn(node, at, item):
                        found += self._pairs(node.body)
                return found
            case If():
                return self._pairs(node.body) if self._holds(node) else []
            case Let():
                self._let(node)
                return self._pairs(node.body)
            case Leaf(many=True):
                given = self._leaf(node).value or []
                gap = Outcome(node.rule, "constant", None)
                return [(Outcome(node.rule, "expression", one, True), gap) for one in given]
        pair = self._pair(node)
        return [pair] if any(one.value is not None for one in pair) else []

    def _answers(self, node: Answers) -> Outcome:
        """The items of a QuestionnaireResponse; each answer is a rule of its own."""
        given, below = [], []
        for answer in node.answers:
            found: list[Any] = []
            for code, many in answer.codes:
                value = self._eval(code, answer.rule)
                found += value if many else [value]
            given.append((answer.link_id, found, answer.number, answer.absent))
            there = [one for one in found if one is not None and one != ""]
            told = Outcome(answer.rule, "expression", there or None, bool(there), "" if there else "empty")
            below.append((None, told))
        made = self._names[node.form].items(given)
        return Outcome(node.rule, "list", made, made is not None, "" if made else "hollow", [*below])

    def _list(self, node: Items) -> Outcome:
        made: list[Json] = []
        below: list[tuple[str | int | None, Outcome]] = []
        alive = False
        for child in node.nodes:
            alive = self._collect(child, made, below, False) or alive
        if node.most is not None:
            values.at_most(made, node.most)
        return Outcome(node.rule, "list", made or None, alive, "" if made else "hollow", below)

    def _collect(
        self, node: Node, made: list[Json], below: list[tuple[str | int | None, Outcome]], counts: bool
    ) -> bool:
        """Put what a node gives into `made`; whether an expression gave something."""
        match node:
            case Items():
                found = self._list(node)
                made += found.value or []
                below.append((None, found))
                return found.alive
            case Each():
                items = self._items_of(node)
                inner: list[tuple[str | int | None, Outcome]] = []
                alive = False
                for at, item in enumerate(items):
                    with self._turn(node, at, item):
                        alive = self._collect(node.body, made, inner, True) or alive
                below.append((None, Outcome(node.rule, "each", items or None, alive, "none", inner)))
                return alive
            case If():
                holds, start = self._holds(node), len(made)
                inner = []
                alive = self._collect(node.body, made, inner, True) if holds else False
                value = made[start:] or None
                below.append((None, Outcome(node.rule, "if", value, alive, "" if holds else "false", inner)))
                return alive
            case Let():
                self._let(node)
                inner, start = [], len(made)
                alive = self._collect(node.body, made, inner, counts)
                below.append((None, Outcome(node.rule, "let", made[start:] or None, alive, "", inner)))
                return alive
        found = self._value(node)
        below.append((len(made), found))
        if found.value is None:
            return False
        many = isinstance(node, Leaf) and node.many
        given = found.value if many else [found.value]
        found.span = len(given)
        made.extend(given)
        return counts or is_dynamic(node)
