"""Calls: the function that is meant, whether it may stand there, and the Python that calls it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from peerfhir.fhir.fhirpath import library, special
from peerfhir.fhir.fhirpath.kinds import families, is_known, of_system
from peerfhir.fhir.fhirpath.library import Function
from peerfhir.fhir.fhirpath.made import ENVIRONMENT, Focus, Made, around, call, kept, listed, name
from peerfhir.fhir.fhirpath.parser import Call, Literal, Member
from peerfhir.fhir.fhirpath.patterns import UnsafePattern, compiled, replacement
from peerfhir.fhir.fhirpath.problems import ExpressionProblem, nearest
from peerfhir.fhir.fhirpath.profiled import narrowed, sliced
from peerfhir.fhir.fhirpath.resources import SYSTEM_TYPES
from peerfhir.fhir.fhirpath.types import OPEN, Card, Static, joined, made

if TYPE_CHECKING:
    from peerfhir.fhir.fhirpath.emitter import Emitter

_OPEN_ENDED = frozenset(("Resource", "DomainResource", "Element", "BackboneElement"))
_NATIVE = frozenset(("first", "last", "tail", "skip", "take", "single"))  # they only choose: values stay as they are


def called(emitter: Emitter, node: Call, focus: Focus) -> Made:
    """The Python of one call.

    Raises  ExpressionProblem PM122 (no such function here), PM120, PM121, PM124 ...
    """
    function = _function(emitter, node)
    way = special.FUNCTIONS.get(node.name)
    if way is not None and node.name in special.ALONE:
        return way(emitter, node, focus.this, focus)
    if node.name == "is" and isinstance(node.base, Call) and node.base.name == "resolve":
        return refers(emitter, node.base, _type_argument(emitter, node), focus)
    base = focus.this if node.base is None else emitter.visit(node.base, focus)
    _input(emitter, node, function, base)
    if node.name in ("is", "as", "ofType"):
        return typed(emitter, node.name, base, _type_argument(emitter, node), node.offset)
    if way is not None:
        return way(emitter, node, base, focus)
    return _ordinary(emitter, node, function, base, focus)


def _function(emitter: Emitter, node: Call) -> Function:
    dialect = emitter.scope.dialect
    found = library.STANDARD_FUNCTIONS.get(node.name)
    if found is None and node.name in dialect.more:
        found = library.MORE_FUNCTIONS.get(node.name)
    if found is None:
        raise _no_function(node, dialect.name, (*library.STANDARD_FUNCTIONS, *dialect.more))
    count = len(node.arguments)
    if not found.least <= count <= found.most:
        wanted = str(found.least) if found.least == found.most else f"{found.least} to {found.most}"
        if node.name == "toQuantity" and dialect.amounts and count == 2:
            return found
        if node.name == "toDate" and count == 1:
            hint = "give the format with the declared field"
            raise ExpressionProblem("PM122", node.offset, "toDate(format) is not supported", hint)
        what = f"{node.name}() takes {wanted} arguments and is given {count}"
        raise ExpressionProblem("PM122", node.offset, what)
    return found


def _no_function(node: Call, dialect: str, known: Sequence[str]) -> ExpressionProblem:
    reason = library.NOT_SUPPORTED.get(node.name)
    if reason is not None:
        return ExpressionProblem("PM122", node.offset, f"{node.name}() is not supported: {reason}")
    if node.name in library.MORE_FUNCTIONS:
        what = f"{node.name}() is not supported here: it does not belong to the dialect '{dialect}'"
        return ExpressionProblem("PM122", node.offset, what)
    return ExpressionProblem("PM122", node.offset, f"there is no function {node.name}()", nearest(node.name, known))


def _input(emitter: Emitter, node: Call, function: Function, base: Made) -> None:
    found = families(base.type)
    if function.takes and found and not found & function.takes:
        hint = "write toString() before it" if function.takes == {"String"} else ""
        raise ExpressionProblem("PM120", node.offset, f"{node.name}() does not take {base.type.called()}", hint)
    if emitter.strict and node.name in library.NEEDS_ORDER and not base.type.ordered:
        raise ExpressionProblem("PM121", node.offset, f"{node.name}() of a collection that has no order")


# --- types ---------------------------------------------------------------------------------------------------------


def _type_argument(emitter: Emitter, node: Call) -> list[str]:
    argument = node.arguments[0]
    if isinstance(argument, Member) and argument.base is None:
        return emitter.types(argument.name, argument.offset)
    if isinstance(argument, Member) and isinstance(argument.base, Member) and argument.base.base is None:
        return emitter.types(f"{argument.base.name}.{argument.name}", argument.offset)
    raise ExpressionProblem("PM122", argument.offset, f"{node.name}() takes the name of a type")


def type_names(emitter: Emitter, node: Call) -> list[str]:
    """The types that the argument of a call names, none when there is none."""
    return _type_argument(emitter, node) if node.arguments else []


def typed(emitter: Emitter, operator: str, base: Made, wanted: Sequence[str], offset: int) -> Made:
    """`is`, `as` and `ofType`."""
    if operator != "ofType" and emitter.strict:
        emitter.one(base, offset, f"'{operator}'")
    if operator == "as" and not emitter.strict and not is_known(base.type) and base.type.card == "many":
        operator = "ofType"  # dom-3 of R4 says descendants().as(canonical), and means each of them
    names = ast.List([ast.Constant(one) for one in wanted], ast.Load())
    function = {"is": "is_of", "as": "as_of", "ofType": "of_type"}[operator]
    code = call(function, name(ENVIRONMENT), listed(base), names)
    if operator == "is":
        return Made(code, made("boolean", "one" if base.type.card == "one" else "opt"))
    card: Card = "many" if base.type.card == "many" and operator == "ofType" else "opt"
    return Made(code, _narrowed(base.type, wanted, card), "list")


def refers(emitter: Emitter, node: Call, wanted: Sequence[str], focus: Focus) -> Made:
    """`resolve() is X`: told by the reference itself where what it points to is not at hand."""
    _function(emitter, node)
    base = focus.this if node.base is None else emitter.visit(node.base, focus)
    names = ast.List([ast.Constant(one) for one in wanted], ast.Load())
    return Made(call("refers_to", name(ENVIRONMENT), listed(base), names), made("boolean"))


def _narrowed(base: Static, wanted: Sequence[str], card: Card) -> Static:
    spaces = {space: kind for space, _, kind in (one.partition(".") for one in wanted)}
    if base.sure and is_known(base) and "System" in spaces:
        return of_system(spaces["System"], card)
    kind = spaces.get("FHIR")
    if kind is None:
        return replace(of_system(spaces["System"], card), sure=is_known(base) and base.sure)
    return OPEN.as_card(card) if kind in _OPEN_ENDED else Static((kind,), card, sure=False)


# --- ordinary functions --------------------------------------------------------------------------------------------


def _ordinary(emitter: Emitter, node: Call, function: Function, base: Made, focus: Focus) -> Made:
    given = [emitter.aside(argument, focus) for argument in node.arguments]
    _pattern(node)
    if emitter.strict and node.name == "memberOf":
        _at_hand(emitter, node)
    if function.lists:
        arguments = [listed(one) for one in given]
    else:
        who = f"{node.name}()"
        arguments = [emitter.one(one, at.offset, who) for one, at in zip(given, node.arguments, strict=True)]
    surely = function.surely == "always" or (
        function.surely == "given" and all(one.type.card == "one" for one in (base, *given))
    )
    native = False
    if function.way == "single":
        subject = emitter.one(base, node.offset, f"{node.name}()")
        if node.name in library.PATTERNS and emitter.scope.dialect.watched:
            subject = around("subject", subject)
        code = call(f"{'sure' if surely else 'maybe'}_{node.name}", subject, *arguments)
    elif node.name in _NATIVE:
        subject, native = kept(base)
        code = call(node.name, subject, *arguments)
    else:
        start = [name(ENVIRONMENT)] if function.way == "around" else []
        code = call(node.name, *start, listed(base), *arguments)
    return _given(function, code, base, [one.type for one in given], "one" if surely else "opt", native)


def _at_hand(emitter: Emitter, node: Call) -> None:
    """In documents of the house nothing is asked of a value set whose codes are not here."""
    url, listed = node.arguments[0], emitter.scope.listed
    known = isinstance(url, Literal) and url.kind == "string" and listed is not None and listed(str(url.value))
    if not known:
        what = "memberOf() is not supported for this value set: its codes are not at hand"
        raise ExpressionProblem("PM122", url.offset, what, "compare the code with those you mean: code in ('a' | 'b')")


def _pattern(node: Call) -> None:
    """Refuses an unsafe regular expression that is written in the expression."""
    pattern = node.arguments[0] if node.name in library.PATTERNS else None
    if isinstance(pattern, Literal) and pattern.kind == "string":
        try:
            found = compiled(str(pattern.value))
            for put in node.arguments[1:]:
                if isinstance(put, Literal) and put.kind == "string":
                    replacement(str(put.value), found)
        except UnsafePattern as problem:
            raise ExpressionProblem("PM124", pattern.offset, str(problem)) from None


def _given(
    function: Function, code: ast.expr, base: Made, arguments: Sequence[Static], card: Card, native: bool
) -> Made:
    gives, static = function.gives, base.type
    match gives:
        case library.SAME:
            return Made(code, static.as_card("many" if static.card == "many" else "opt"), "list", native)
        case library.ITEM:
            return Made(code, replace(static, card="opt", spread=False), "list", native)
        case library.LIKE:
            return Made(code, _value(static, card))
        case library.FRACTION:
            whole = is_known(static) and static.systems <= {"Integer", "Decimal"}
            return Made(code, made("decimal", card) if whole else _value(static, card))
        case library.OPEN:
            return Made(code, OPEN.as_card(static.card), "list")
        case "both":
            return Made(code, replace(joined(static, arguments[0]), card="many"), "list")
        case "tree":
            return Made(code, replace(OPEN, ordered=False), "list")
    if not gives.endswith("*"):
        return Made(code, of_system(gives, card))
    kind = gives.removesuffix("*")
    many: Card = "many" if kind in ("String", "Extension") or static.card == "many" else "opt"
    found = Static((kind,), "many", sure=False) if kind == "Extension" else of_system(kind, many)
    if kind == "Extension" and static.profile is not None:
        url = arguments[0].codes
        found = sliced(narrowed(found, static, "extension"), "url", next(iter(url)) if url else None)
    return Made(call("listing", code) if function.way == "single" else code, found, "list")


def _value(static: Static, card: Card) -> Static:
    """A System value of the type of its input."""
    return replace(static.as_card(card), sure=True, codes=None) if is_known(static) else OPEN.as_card("opt")


__all__ = ["SYSTEM_TYPES", "called", "type_names", "typed"]
