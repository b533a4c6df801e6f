"""Small pieces of Python syntax that compiled mappings are made of."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from peerfhir.fhir.fhirpath.compile import name
from peerfhir.mapping.tree import Rule

Ast = TypeVar("Ast", ast.stmt, ast.expr)


def at_rule(node: Ast, rule: Rule) -> Ast:
    """The node, at the place of its rule; what lies below it follows when the module is finished."""
    node.lineno = node.end_lineno = rule.mark.line
    node.col_offset = node.end_col_offset = rule.mark.column - 1
    return node


def ours(function: str, *arguments: ast.expr) -> ast.expr:
    """A call of one of the mapping room's own functions."""
    return ast.Call(name(f"g_{function}"), list(arguments), [])


def method(owner: str, method: str, *arguments: ast.expr) -> ast.expr:
    """A call of a method of a named value."""
    return ast.Call(ast.Attribute(name(owner), method, ast.Load()), list(arguments), [])


def assign(place: str, value: ast.expr) -> ast.stmt:
    """A name takes a value."""
    return ast.Assign([ast.Name(place, ast.Store())], value)


def is_there(code: ast.expr) -> ast.expr:
    """Whether a value is not None."""
    return ast.Compare(code, [ast.IsNot()], [ast.Constant(None)])


def literal(value: Any) -> ast.expr:
    """Code that makes a fresh copy of a JSON value."""
    if isinstance(value, Mapping):
        return ast.Dict([ast.Constant(key) for key in value], [literal(one) for one in value.values()])
    if isinstance(value, list):
        return ast.List([literal(one) for one in value], ast.Load())
    if isinstance(value, Decimal):
        return ast.Call(name("f_decimal"), [ast.Constant(str(value))], [])
    return ast.Constant(value)


def located(module: ast.Module) -> ast.Module:
    """The module with a place for each node that has none: that of the node above it."""
    waiting: list[tuple[ast.AST, int, int]] = [(module, 1, 0)]
    while waiting:
        node, line, column = waiting.pop()
        own = node.__dict__
        if isinstance(node, (ast.expr, ast.stmt, ast.arg, ast.excepthandler, ast.keyword)):
            line, column = own.setdefault("lineno", line), own.setdefault("col_offset", column)
            own.setdefault("end_lineno", line)
            own.setdefault("end_col_offset", column)
        for key in node._fields:
            value = own.get(key)
            if isinstance(value, list):
                waiting += [(one, line, column) for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST) and value._fields:
                waiting.append((value, line, column))
    return module
