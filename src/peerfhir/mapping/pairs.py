"""Primitives with what stands beside them: two entries of a structure, two lists side by side."""

from __future__ import annotations

import ast
from abc import abstractmethod

from peerfhir.fhir.fhirpath.compile import name
from peerfhir.mapping.blocks import Blocks, Value, maybe
from peerfhir.mapping.snippets import assign, at_rule, is_there, method, ours
from peerfhir.mapping.tree import Each, If, Items, Leaf, Let, Node, Pair, Struct, is_paired, is_present


class Pairs(Blocks):
    """Statements for elements that may have something beside them."""

    @abstractmethod
    def _value(self, node: Node) -> Value:
        """The code of a node that gives at most one value (a list for Items)."""

    @abstractmethod
    def _leaf(self, node: Leaf) -> Value:
        """The code of one expression."""

    @abstractmethod
    def _limited(self, node: Items, found: Value) -> Value:
        """A list after a look at its length."""

    def _missing(self, node: Struct, parts: list[tuple[str, Node, Value]]) -> list[tuple[str, Node]]:
        needed = [(key, child, part) for key, child, part in parts if key in node.needed and part.nullable]
        return [(key, child) for key, child, _ in needed if not (is_paired(child) and is_present(child))]

    def _parts(self, key: str, node: Node) -> list[tuple[str, Node, Value]]:
        """The value of an element, and what stands beside it under `_name`."""
        if not is_paired(node):
            return [(key, node, self._value(node))]
        value, extra = self._pair(node)
        both = [(key, node, value), (f"_{key}", node, extra)]
        return [part for part in both if not (isinstance(part[2].code, ast.Constant) and part[2].code.value is None)]

    def _pair(self, node: Node) -> tuple[Value, Value]:
        match node:
            case Pair():
                return self._beside(node)
            case Items():
                values, extras = self._fresh(), self._fresh()
                self._block += [assign(values, ast.List([], ast.Load())), assign(extras, ast.List([], ast.Load()))]
                for child in node.nodes:
                    self._collect_pair(child, values, extras)
                lists = [self._named(ours("present", name(one)), node.rule) for one in (values, extras)]
                return self._limited(node, lists[0]), lists[1]
            case Let():
                self._let(node)
                return self._pair(node.body)
            case If():
                places = self._fresh(), self._fresh()
                self._block += [assign(place, ast.Constant(None)) for place in places]
                self._if(node, lambda: self._put_pair(node.body, places))
                return maybe(name(places[0])), maybe(name(places[1]))
        return self._value(node), Value(ast.Constant(None), True, False)

    def _put_pair(self, node: Node, places: tuple[str, str]) -> None:
        self._block += [assign(place, one.code) for place, one in zip(places, self._pair(node), strict=True)]

    def _beside(self, node: Pair) -> tuple[Value, Value]:
        nothing = Value(ast.Constant(None), True, False)
        value = self._value(node.value) if node.value is not None else nothing
        extra = self._value(node.extra) if node.extra is not None else nothing
        if node.absent is None or not value.nullable:
            return value, extra
        place = self._fresh()
        self._do(assign(place, extra.code), node.rule)
        gap = assign(place, ours("absent", name(place), ast.Constant(node.absent)))
        self._do(ast.If(ast.Compare(value.code, [ast.Is()], [ast.Constant(None)]), [gap], []), node.rule)
        return value, maybe(name(place))

    def _collect_pair(self, node: Node, values: str, extras: str) -> None:
        match node:
            case Each():
                self._each(node, lambda: self._collect_pair(node.body, values, extras))
            case If():
                self._if(node, lambda: self._collect_pair(node.body, values, extras))
            case Let():
                self._let(node)
                self._collect_pair(node.body, values, extras)
            case Leaf(many=True):
                found = self._leaf(node)
                gaps = ast.BinOp(ast.List([ast.Constant(None)], ast.Load()), ast.Mult(), _length(found.code))
                self._do(ast.Expr(method(values, "extend", found.code)), node.rule)
                self._do(ast.Expr(method(extras, "extend", gaps)), node.rule)
            case _:
                both = self._pair(node)
                pairs = zip((values, extras), both, strict=True)
                put: list[ast.stmt] = [ast.Expr(method(place, "append", one.code)) for place, one in pairs]
                if not all(one.nullable for one in both):
                    self._block += [at_rule(statement, node.rule) for statement in put]
                    return
                tests = [is_there(one.code) for one in both if isinstance(one.code, ast.Name)]
                self._do(ast.If(ast.BoolOp(ast.Or(), tests) if len(tests) > 1 else tests[0], put, []), node.rule)


def _length(code: ast.expr) -> ast.expr:
    return ast.Call(name("len"), [code], [])
