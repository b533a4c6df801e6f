"""Operators: which operands fit, and the Python that applies them."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from peerfhir.fhir.fhirpath.kinds import families, is_known
from peerfhir.fhir.fhirpath.made import Focus, Made, as_system, boolean, call, condition, listed, single
from peerfhir.fhir.fhirpath.parser import Binary, Unary
from peerfhir.fhir.fhirpath.problems import ExpressionProblem, nearest
from peerfhir.fhir.fhirpath.types import OPEN, Card, Static, joined, made

if TYPE_CHECKING:
    from peerfhir.fhir.fhirpath.emitter import Emitter

LOGIC = {"and": "both", "or": "either", "xor": "only_one", "implies": "follows"}
EQUALITY = {"=": "equal", "!=": "unequal", "~": "equivalent", "!~": "different"}
ORDER = {"<": "less", "<=": "at_most", ">": "more", ">=": "at_least"}
ARITHMETIC = {"+": "plus", "-": "minus", "*": "times", "/": "over", "div": "div", "mod": "mod"}
_PRINTABLE = frozenset(("String", "Integer", "Decimal", "Boolean", "Date", "DateTime", "Time"))
_NUMBER, _STRING, _MOMENT, _TIME = (frozenset((word,)) for word in ("number", "String", "moment", "Time"))
_INTEGER = 2**31
_PYTHON = {"+": ast.Add, "-": ast.Sub}


def unary(emitter: Emitter, node: Unary, focus: Focus) -> Made:
    """A sign before a number."""
    value = emitter.aside(node.operand, focus)
    if node.operator not in ("+", "-"):
        raise ExpressionProblem("PM122", node.offset, f"'{node.operator}' belongs into sort()")
    found = families(value.type)
    if found and not found & {"number", "Quantity"}:
        raise ExpressionProblem("PM120", node.offset, f"'{node.operator}' stands before a number")
    way = "negative" if node.operator == "-" else "positive"
    card: Card = "one" if value.type.card == "one" else "opt"
    static = replace(value.type, card=card, sure=True, codes=None) if is_known(value.type) else OPEN.as_card("opt")
    return Made(call(way, emitter.one(value, node.offset, f"'{node.operator}'")), static)


def binary(emitter: Emitter, node: Binary, focus: Focus) -> Made:
    """Two operands and what stands between them."""
    operator, before = node.operator, emitter.in_union
    emitter.in_union = operator == "|"
    left, right = emitter.aside(node.left, focus), emitter.aside(node.right, focus)
    emitter.in_union = before
    if operator in LOGIC:
        return _logic(emitter, node, left, right)
    if operator in EQUALITY:
        return _equality(emitter, node, left, right)
    if operator == "|":
        static = replace(joined(left.type, right.type), card="many")
        return Made(call("union", listed(left), listed(right)), static, "list")
    if operator == "in":
        return _member(emitter, node, left, right)
    if operator == "contains":
        return _member(emitter, node, right, left)
    if operator == "&":
        return _text(emitter, node, left, right)
    _fitting(node, left.type, right.type)
    return _order(emitter, node, left, right) if operator in ORDER else _arithmetic(emitter, node, left, right)


def truth(emitter: Emitter, value: Made, offset: int, who: str, rule: str) -> ast.expr:
    """An operand as true, false or unknown. Raises ExpressionProblem in documents of the house for anything else."""
    if emitter.strict and value.type.kinds and is_known(value.type):
        emitter.one(value, offset, who)
        if value.type.kinds != ("boolean",):
            what = f"{who} needs true or false, not {value.type.called()}"
            raise ExpressionProblem(rule, offset, what, "add .exists(), or compare it with =")
        return condition(value) if value.type.sure else call("flag", single(value))
    return condition(value)


def _logic(emitter: Emitter, node: Binary, left: Made, right: Made) -> Made:
    sides = [truth(emitter, side, node.offset, f"'{node.operator}'", "PM120") for side in (left, right)]
    certain = all(side.type.card == "one" and side.type.sure for side in (left, right))
    if certain and left.type.kinds == right.type.kinds == ("boolean",) and node.operator in ("and", "or"):
        return boolean(ast.BoolOp(ast.And() if node.operator == "and" else ast.Or(), sides), "one")
    card: Card = "one" if left.type.card == right.type.card == "one" else "opt"
    return boolean(call(LOGIC[node.operator], *sides), card)


def _member(emitter: Emitter, node: Binary, value: Made, several: Made) -> Made:
    card: Card = "one" if value.type.card == "one" else "opt"
    return boolean(call("member", emitter.one(value, node.offset, f"'{node.operator}'"), listed(several)), card)


# --- equality ------------------------------------------------------------------------------------------------------


def _equality(emitter: Emitter, node: Binary, left: Made, right: Made) -> Made:
    if emitter.strict:
        _comparable(emitter, node, left, right)
    operator = node.operator
    alike = operator in ("~", "!~")
    forms = {left.form, right.form}
    sure = left.type.card == right.type.card == "one"
    if alike or "list" in forms:
        return boolean(call(EQUALITY[operator], listed(left), listed(right)), "one" if alike else "opt")
    left, right = as_system(left), as_system(right)
    if sure and left.type.sure and right.type.sure and left.type.systems == right.type.systems == {"String"}:
        test = ast.Eq() if operator == "=" else ast.NotEq()
        return boolean(ast.Compare(left.code, [test], [right.code]), "one")
    temporal = {"moment", "Time", "Quantity"} & ((families(left.type) or {"moment"}) | (families(right.type) or set()))
    card: Card = "one" if sure and not temporal else "opt"
    code = call("same", left.code, right.code)
    return boolean(code if operator == "=" else call("negated", code), card)


def _comparable(emitter: Emitter, node: Binary, left: Made, right: Made) -> None:
    """Refuses what can never be equal; says what is compared with a text that it never is."""
    one, other = families(left.type), families(right.type)
    if not one or not other:
        return
    if not one & other and {"number", "Quantity"} != one | other:
        hint = "write the date as @2026-01-31" if "moment" in one | other else ""
        what = f"{left.type.called()} and {right.type.called()} cannot be compared"
        raise ExpressionProblem("PM120", node.offset, what, hint)
    for side, beside in ((left, right), (right, left)):
        if side.constant is not None and beside.type.codes and side.constant not in beside.type.codes:
            what = f"'{side.constant}' is not among the codes it is compared with"
            emitter.findings.append(("PM123", node.offset, what, nearest(side.constant, beside.type.codes)))


# --- order and arithmetic ------------------------------------------------------------------------------------------


def _fitting(node: Binary, left: Static, right: Static) -> None:
    """Refuses operands that can never fit."""
    one, other = families(left), families(right)
    if not one or not other:
        return
    operator, pairs = node.operator, {(a, b) for a in one for b in other}
    if operator in ORDER:
        good = any(a == b or {a, b} == {"number", "Quantity"} for a, b in pairs)
    elif operator in ("+", "-"):
        same = {"number", "Quantity"} if operator == "-" else {"number", "Quantity", "String"}
        good = any((a == b and a in same) or (a in ("moment", "Time") and b == "Quantity") for a, b in pairs)
    else:
        good = bool(one & {"number", "Quantity"}) and bool(other & {"number", "Quantity"})
    if not good:
        hint = "join texts with &" if operator == "+" and "String" in one | other else ""
        hint = "write the date as @2026-01-31" if operator in ORDER and "moment" in one | other else hint
        what = f"'{operator}' does not take {left.called()} and {right.called()}"
        raise ExpressionProblem("PM120", node.offset, what, hint)


def _order(emitter: Emitter, node: Binary, left: Made, right: Made) -> Made:
    sides = [emitter.one(side, node.offset, f"'{node.operator}'") for side in (left, right)]
    pair = (families(left.type), families(right.type))
    certain = pair in ((_NUMBER, _NUMBER), (_STRING, _STRING))
    always = certain and left.type.card == right.type.card == "one"
    return boolean(call(ORDER[node.operator], *sides), "one" if always else "opt")


def _arithmetic(emitter: Emitter, node: Binary, left: Made, right: Made) -> Made:
    sides = [emitter.one(side, node.offset, f"'{node.operator}'") for side in (left, right)]
    static = _result(node.operator, left.type, right.type)
    small = all(_is_small(code) for code in sides) and static.card == "one"
    if small and static.kinds == ("integer",) and node.operator in _PYTHON:
        return Made(ast.BinOp(sides[0], _PYTHON[node.operator](), sides[1]), static)
    factors = small and not any(isinstance(code, ast.BinOp | ast.Name) for code in sides)
    if static.kinds == ("integer",) and not factors:
        static = static.as_card("opt")  # what leaves 64 bits is nothing
    return Made(call(ARITHMETIC[node.operator], *sides), static)


def _is_small(code: ast.expr) -> bool:
    """An Integer of the record or a literal, or a sum of them: as many as an expression can name stay below 64 bits."""
    if isinstance(code, ast.Constant):
        return type(code.value) is int and abs(code.value) < _INTEGER
    if isinstance(code, ast.BinOp):
        return _is_small(code.left) and _is_small(code.right)
    return isinstance(code, ast.Subscript | ast.Name)


def _result(operator: str, left: Static, right: Static) -> Static:
    one, other = families(left), families(right)
    if operator == "div":
        return made("integer")
    if one in (_MOMENT, _TIME):
        return replace(left, card="opt", sure=True, codes=None)
    if one is None or other is None or len(one) != 1 or one != other:
        return OPEN.as_card("opt")
    family = next(iter(one))
    card: Card = "one" if left.card == right.card == "one" and operator in ("+", "-", "*") else "opt"
    if family == "number":
        whole = left.systems == right.systems == {"Integer"} and operator != "/"
        return made("integer" if whole else "decimal", card)
    kind = {"String": "string", "Quantity": "Quantity"}.get(family)
    return OPEN.as_card("opt") if kind is None else made(kind, card if kind == "string" else "opt")


# --- texts ---------------------------------------------------------------------------------------------------------


def _text(emitter: Emitter, node: Binary, left: Made, right: Made) -> Made:
    prints = emitter.scope.dialect.prints
    way = "concatenated" if prints else "joined_texts"
    parts: list[ast.expr] = []
    for side in (left, right):
        code = emitter.one(side, node.offset, "'&'")
        if prints and side.native and side.form == "one":
            code = side.code  # a date keeps the text it has
        if prints and side.type.kinds and is_known(side.type) and not side.type.systems <= _PRINTABLE:
            raise ExpressionProblem("PM120", node.offset, f"'&' joins texts, not {side.type.called()}")
        again = isinstance(code, ast.Call) and isinstance(code.func, ast.Name) and code.func.id == f"f_{way}"
        parts += code.args if again and isinstance(code, ast.Call) else [code]
    static = Static(("string",), "one", blank=all(side.type.card != "one" or side.type.blank for side in (left, right)))
    known = left.constant + right.constant if left.constant is not None and right.constant is not None else None
    return Made(call(way, *parts), static, constant=known)
