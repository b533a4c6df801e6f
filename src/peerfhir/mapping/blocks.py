"""Statements of compiled mappings: blocks, loops and conditions, and values whose presence is known or asked."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from peerfhir.fhir.fhirpath.compile import call, name
from peerfhir.mapping.snippets import assign, at_rule, is_there, method
from peerfhir.mapping.tree import Each, If, Let, Rule


@dataclass(frozen=True, slots=True)
class Value:
    """A value in the code made so far.

    nullable  whether it can be None
    alive     Python that tells whether an expression below it gave something; True or False when that is known
    own       `alive` asks whether the value itself is there
    """

    code: ast.expr
    nullable: bool
    alive: ast.expr | bool
    own: bool = False


class Blocks:
    """A block of statements that grows.

    careful  each rule fails by itself
    """

    def __init__(self, careful: bool) -> None:
        self._careful = careful
        self._block: list[ast.stmt] = []
        self._count = 0
        self.rules: list[Rule] = []
        self.lookups: set[str] = set()
        self.constants: dict[str, Any] = {}

    def _each(self, node: Each, body: Callable[[], None]) -> None:
        items = node.code if node.many else call("listed", node.code)
        if self._careful:
            items = self._careful_value(items, node.rule, ast.List([], ast.Load()))
        turns = ast.Call(name("enumerate"), [method("run", "turns", items)], [])
        target = ast.Tuple([ast.Name(node.index, ast.Store()), ast.Name(node.place, ast.Store())], ast.Store())
        inside = self._inside(body)
        self._do(ast.For(target, turns, inside, []), node.rule)

    def _let(self, node: Let) -> None:
        for place, code, many in node.names:
            default: ast.expr = ast.List([], ast.Load()) if many else ast.Constant(None)
            value = self._careful_value(code, node.rule, default) if self._careful else code
            self._do(assign(place, value), node.rule)

    def _if(self, node: If, body: Callable[[], None]) -> None:
        code = self._careful_value(node.code, node.rule, ast.Constant(None)) if self._careful else node.code
        test = ast.Compare(code, [ast.Is()], [ast.Constant(True)])
        self._do(ast.If(test, self._inside(body), []), node.rule)

    def _inside(self, body: Callable[[], None]) -> list[ast.stmt]:
        outer, self._block = self._block, []
        body()
        inner, self._block = self._block or [ast.Pass()], outer
        return inner

    def _named(self, code: ast.expr, rule: Rule) -> Value:
        place = self._fresh()
        self._do(assign(place, code), rule)
        return maybe(name(place))

    def _careful_value(self, code: ast.expr, rule: Rule, default: ast.expr) -> ast.expr:
        """A name that holds the value of `code`, or `default` after its error was noted."""
        place = self._fresh()
        note = method("run", "note", ast.Constant(self._rule(rule)), name("problem"))
        handler = ast.ExceptHandler(name("g_EvaluationProblem"), "problem", [ast.Expr(note), assign(place, default)])
        self._do(ast.Try([assign(place, code)], [handler], [], []), rule)
        return name(place)

    def _do(self, statement: ast.stmt, rule: Rule) -> None:
        self._block.append(at_rule(statement, rule))

    def _rule(self, rule: Rule) -> int:
        self.rules.append(rule)
        return len(self.rules) - 1

    def _fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"


def maybe(code: ast.expr) -> Value:
    """A value that can be None, and tells by itself whether it is there."""
    return Value(code, True, is_there(code), own=True)
