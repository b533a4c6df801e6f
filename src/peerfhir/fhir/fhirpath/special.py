"""Functions that the compiler does itself: those that look at each item, choose, define, and know a mapping."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from peerfhir.fhir.fhirpath import units
from peerfhir.fhir.fhirpath.kinds import families, is_known, of_system
from peerfhir.fhir.fhirpath.made import (
    ENVIRONMENT,
    Focus,
    Made,
    around,
    as_system,
    boolean,
    call,
    function_of,
    is_there,
    item_of,
    kept,
    listed,
    name,
    nothing,
    outward,
    single,
)
from peerfhir.fhir.fhirpath.operations import truth
from peerfhir.fhir.fhirpath.parser import Call, Expression, Literal, Special, Unary, children
from peerfhir.fhir.fhirpath.problems import ExpressionProblem, nearest
from peerfhir.fhir.fhirpath.profiled import allowed, sliced, told_by
from peerfhir.fhir.fhirpath.types import EMPTY, OPEN, Card, Static, joined, made
from peerfhir.fhir.fhirpath.watching import is_light

if TYPE_CHECKING:
    from peerfhir.fhir.fhirpath.emitter import Emitter

_TAKEN = frozenset(("context", "resource", "rootResource", "source", "ucum", "sct", "loinc", "systems"))
_STEPS = 6  # of a search that finds other types at each step: item, answer, item ...
_NUMBER = frozenset(("number",))
_UNITS = ("min", "h", "d", "wk", "mo", "a", "s", "ms", "mm[Hg]", "kg", "g", "mg", "cm", "mL", "Cel", "[degF]", "mg/dL")
_TRANSLATED = frozenset(("String", "Boolean", "Integer", "Coding"))


# --- each item -----------------------------------------------------------------------------------------------------


def _mentions(node: Expression, word: str) -> bool:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Special) and one.name == word:
            return True
        waiting += children(one)
    return False


def _watched(emitter: Emitter, subject: ast.expr, node: Expression) -> ast.expr:
    """The items, under the watch of a mapping where the look at each can be long."""
    if not emitter.scope.dialect.watched or is_light(node):
        return subject
    return around("watched", subject)


def _inside(emitter: Emitter, base: Made, native: bool) -> tuple[Focus, list[str]]:
    """What $this and $index are for each item, and their Python names."""
    names = emitter.fresh("this", "at")
    return Focus(item_of(base, names[0], native), name(names[1])), names


def _criterion(emitter: Emitter, node: Call, base: Made, native: bool) -> tuple[list[str], ast.expr]:
    focus, names = _inside(emitter, base, native)
    argument = node.arguments[0]
    found = emitter.aside(argument, focus)
    return names, truth(emitter, found, argument.offset, f"the criterion of {node.name}()", "PM126")


def _over(names: Sequence[str], subject: ast.expr, *conditions: ast.expr) -> ast.comprehension:
    tests: list[ast.expr] = [ast.Compare(one, [ast.Is()], [ast.Constant(True)]) for one in conditions]
    return ast.comprehension(ast.Name(names[0], ast.Store()), subject, tests, 0)


def _where(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    subject, native = kept(base)
    names, criterion = _criterion(emitter, node, base, native)
    subject = _watched(emitter, subject, node.arguments[0])
    static = _chosen(emitter, node.arguments[0], base.type, focus)
    if _mentions(node.arguments[0], "$index"):
        return Made(call("where", subject, function_of(names, criterion)), static, "list", native)
    return Made(ast.ListComp(name(names[0]), [_over(names, subject, criterion)]), static, "list", native)


def _chosen(emitter: Emitter, criterion: Expression, static: Static, focus: Focus) -> Static:
    """The type of some of the items; of a slice, where the criterion tells one."""
    some = static.as_card(static.card if static.card == "many" else "opt")
    told = told_by(criterion) if static.profile is not None else None
    if told is None:
        return some
    found = sliced(static, told[0], emitter.aside(told[1], focus).constant)
    return some if found is static else allowed(found, f"where({told[0]} = ...)", criterion.offset)


def _exists(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    if not node.arguments:
        return boolean(is_there(base), "one")
    subject, native = kept(base)
    names, criterion = _criterion(emitter, node, base, native)
    subject = _watched(emitter, subject, node.arguments[0])
    if _mentions(node.arguments[0], "$index"):
        return boolean(call("exists_where", subject, function_of(names, criterion)), "one")
    some = ast.GeneratorExp(ast.Constant(True), [_over(names, subject, criterion)])
    return boolean(ast.Call(name("any"), [some], []), "one")


def _all(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    subject, native = kept(base)
    names, criterion = _criterion(emitter, node, base, native)
    subject = _watched(emitter, subject, node.arguments[0])
    if _mentions(node.arguments[0], "$index"):
        return boolean(call("all_where", subject, function_of(names, criterion)), "one")
    test = ast.Compare(criterion, [ast.Is()], [ast.Constant(True)])
    every = ast.GeneratorExp(test, [_over(names, subject)])
    return boolean(ast.Call(name("all"), [every], []), "one")


def _empty(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    there = is_there(base)
    if isinstance(there, ast.Constant):
        return boolean(ast.Constant(not there.value), "one")
    return boolean(ast.UnaryOp(ast.Not(), there), "one")


def _not(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    code = truth(emitter, base, node.offset, "not()", "PM120")
    if base.type.card == "one" and base.type.kinds == ("boolean",) and base.type.sure:
        return boolean(ast.UnaryOp(ast.Not(), code), "one")
    return boolean(call("negated", code))


def _count(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    code = kept(base)[0]
    return Made(ast.Call(name("len"), [code], []), made("integer", "one"))


def _project(emitter: Emitter, node: Expression, base: Made) -> tuple[list[str], Made]:
    focus, names = _inside(emitter, base, False)
    return names, emitter.aside(node, focus)


def _select(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    names, found = _project(emitter, node.arguments[0], _systems(base))
    card: Card = "many" if "many" in (found.type.card, base.type.card) else "opt"
    subject = _watched(emitter, listed(base), node.arguments[0])
    code = call("select", subject, function_of(names, listed(found)))
    return Made(code, found.type.as_card(card), "list")


def _systems(base: Made) -> Made:
    """What the items of a collection are once they are out of the record."""
    return as_system(base) if base.native else base


def _repeat(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    inner = replace(_systems(base), type=_reached(emitter, node.arguments[0], _systems(base)))
    names, found = _project(emitter, node.arguments[0], inner)
    code = call("repeat", name(ENVIRONMENT), listed(base), function_of(names, listed(found)))
    return Made(code, found.type.as_card("many"), "list")


def _reached(emitter: Emitter, node: Expression, base: Made) -> Static:
    """The types that a projection meets when what it finds is searched again; a name may mean nothing in some."""
    static = base.type
    if emitter.tolerant:  # inside another search for types: one look is enough
        return static
    emitter.tolerant = True
    for _ in range(_STEPS):
        found = _project(emitter, node, replace(base, type=static))[1].type
        if set(found.kinds) <= set(static.kinds):
            break
        static = joined(static, found)
    emitter.tolerant = False
    return static


def _sort(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    keys: list[ast.expr] = []
    for argument in node.arguments:
        falling = isinstance(argument, Unary) and argument.operator in ("-", "desc")
        inner = argument.operand if falling and isinstance(argument, Unary) else argument
        names, found = _project(emitter, inner, _systems(base))
        way = function_of(names, emitter.one(found, inner.offset, "a key of sort()"))
        keys.append(ast.Tuple([way, ast.Constant(falling)], ast.Load()))
    subject = listed(base)
    if not all(is_light(argument) for argument in node.arguments) and emitter.scope.dialect.watched:
        subject = around("watched", subject)
    return Made(call("sort", subject, *keys), replace(base.type, ordered=True), "list")


def _aggregate(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    start = emitter.aside(node.arguments[1], focus) if len(node.arguments) == 2 else None
    inner, names = _inside(emitter, _systems(base), False)
    word = emitter.fresh("total")[0]
    total = Made(name(word), start.type.as_card("opt") if start else OPEN, "list")
    step = emitter.aside(node.arguments[0], replace(inner, total=total))
    static = joined(start.type, step.type).as_card(step.type.card) if start else step.type
    first = [listed(start)] if start else []
    subject = around("watched", listed(base)) if emitter.scope.dialect.watched else listed(base)
    code = call("aggregate", subject, function_of([*names, word], listed(step)), *first)
    return Made(code, static if static.card == "many" else static.as_card("opt"), "list")


def _trace(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    title = single(emitter.aside(node.arguments[0], focus))
    more: list[ast.expr] = []
    if len(node.arguments) == 2:
        names, found = _project(emitter, node.arguments[1], _systems(base))
        more = [function_of(names, listed(found))]
    code = call("trace", name(ENVIRONMENT), listed(base), title, *more)
    return Made(code, base.type, "list")


# --- choice --------------------------------------------------------------------------------------------------------


def _alike(values: Sequence[Made], static: Static) -> tuple[list[ast.expr], Made]:
    """Several values in one form, and what the choice of one of them is (its code is not yet right)."""
    some = [value for value in values if value.type.kinds]
    native = bool(some) and all(value.native and value.type.kinds == some[0].type.kinds for value in some)
    if static.card == "many" or any(value.form != "one" for value in values):
        pairs = [kept(value) if native else (listed(value), False) for value in values]
        return [code for code, _ in pairs], Made(nothing(), static, "list", native)
    codes = [value.code if native else as_system(value).code for value in values]
    return codes, Made(nothing(), static, "one", native)


def _iif(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    inner, words = focus, list[str]()
    if node.base is not None:
        base = emitter.visit(node.base, focus)
        words = emitter.fresh("this")
        inner = replace(focus, this=Made(name(words[0]), base.type, "list"), root=False)
    test, yes, *rest = [emitter.aside(argument, inner) for argument in node.arguments]
    known = families(test.type)
    if known and test.type.card == "many" and "Boolean" not in known and not emitter.strict:
        hint = "add .exists(), or compare it with ="
        raise ExpressionProblem("PM126", node.arguments[0].offset, "iif() needs true or false", hint)
    condition = truth(emitter, test, node.arguments[0].offset, "iif()", "PM126")
    if_true = ast.Compare(condition, [ast.Is()], [ast.Constant(True)])
    if isinstance(condition, ast.Constant):
        what = f"this condition is always {'true' if condition.value is True else 'false or unknown'}"
        emitter.findings.append(("PM123", node.arguments[0].offset, what, "leave out the branch that is never taken"))
    no = rest[0] if rest else Made(nothing(), EMPTY)
    codes, found = _alike([yes, no], joined(yes.type, no.type))
    code: ast.expr = ast.IfExp(if_true, *codes)
    if not words:
        return replace(found, code=code)
    result = replace(found, code=code)
    static = result.type if result.type.card == "many" else result.type.as_card("opt")
    return Made(call("once", listed(base), function_of(words, listed(result))), static, "list")


def _coalesce(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    values = [emitter.aside(argument, focus) for argument in node.arguments]
    static = values[0].type
    for value in values[1:]:
        card: Card = "many" if "many" in (static.card, value.type.card) else "one"
        card = card if "one" in (static.card, value.type.card) or card == "many" else "opt"
        static = replace(joined(static, value.type), card=card)
    codes, found = _alike(values, static)
    code = codes[-1]
    if found.form == "list":
        return replace(found, code=ast.BoolOp(ast.Or(), codes) if len(codes) > 1 else code)
    for earlier in reversed(codes[:-1]):
        if isinstance(earlier, ast.Name | ast.Subscript):
            code = ast.IfExp(ast.Compare(earlier, [ast.IsNot()], [nothing()]), earlier, code)
        else:
            code = call("coalesced", earlier, function_of([], code))
    return replace(found, code=code)


# --- variables and time --------------------------------------------------------------------------------------------


def _define_variable(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    title = node.arguments[0]
    if not isinstance(title, Literal) or title.kind != "string":
        raise ExpressionProblem("PM122", title.offset, "the name of a variable is a text", "write 'name'")
    word = str(title.value)
    if word in _TAKEN or word in emitter.defined or word in emitter.scope.variables:
        raise ExpressionProblem("PM113", title.offset, f"there is a variable %{word} already")
    names = emitter.fresh("this")
    key = f"{word}#{names[0]}"
    this = Made(name(names[0]), base.type, "list")
    value = emitter.aside(node.arguments[1], Focus(this)) if len(node.arguments) == 2 else this
    emitter.defined = {**emitter.defined, word: (key, value.type)}
    emitter.defines = True
    code = call("define", name(ENVIRONMENT), ast.Constant(key), listed(base), function_of(names, listed(value)))
    return Made(code, base.type, "list")


def _now(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    kind = {"now": "DateTime", "today": "Date"}.get(node.name, "Time")
    return Made(around("moment", ast.Constant(kind)), of_system(kind, "one"))


# --- mappings and views --------------------------------------------------------------------------------------------


def _named(emitter: Emitter, node: Call, known: Sequence[str], what: str) -> str:
    """The text argument of a call that names something of the document."""
    argument = node.arguments[0]
    if not isinstance(argument, Literal) or argument.kind != "string":
        raise ExpressionProblem("PM130", argument.offset, f"the name of {what} is a text", "write 'name'")
    word = str(argument.value)
    if word not in known:
        raise ExpressionProblem("PM130", argument.offset, f"there is no {what[2:]} '{word}'", nearest(word, known))
    return word


def _translate(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    tables = emitter.scope.tables
    word = _named(emitter, node, list(tables), "a code map")
    emitter.one(base, node.offset, "translate()")
    if is_known(base.type) and not base.type.systems <= _TRANSLATED:
        hint = "go to its coding" if "CodeableConcept" in base.type.kinds else ""
        what = f"translate() takes a code or a Coding, not {base.type.called()}"
        raise ExpressionProblem("PM120", node.offset, what, hint)
    emitter.findings += [(rule, node.offset, what, hint) for rule, what, hint in tables[word].review(base.type)]
    place = name(f"m_{list(tables).index(word)}")
    found = tables[word].output(base.type)
    if base.type.promised and tables[word].output(replace(base.type, card="one", blank=False)).card == "one":
        found = replace(found, promised=True)
    return Made(ast.Call(place, [outward(base)], []), found, native=True)


def _band(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    bands = emitter.scope.bands
    word = _named(emitter, node, list(bands), "a band")
    emitter.one(base, node.offset, "band()")
    if is_known(base.type) and families(base.type) != _NUMBER:
        raise ExpressionProblem("PM120", node.offset, f"band() takes a number, not {base.type.called()}")
    emitter.findings += [(rule, node.offset, what, hint) for rule, what, hint in bands[word].review(base.type)]
    place = name(f"b_{list(bands).index(word)}")
    return Made(ast.Call(place, [outward(base)], []), bands[word].output(base.type), native=True)


def _full_url(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    argument = node.arguments[0]
    if not isinstance(argument, Literal) or argument.kind != "string":
        raise ExpressionProblem("PM130", argument.offset, "the name of a resource is a text", "write 'name'")
    if emitter.scope.addresses is None:
        raise ExpressionProblem("PM122", node.offset, "fullUrl() is not supported here: no resource is made here")
    found = emitter.scope.addresses(str(argument.value))
    if found is None:
        raise ExpressionProblem("PM264", argument.offset, f"there is no resource '{argument.value}'")
    code, many = found
    static = Static(("uri",), "many" if many else "one", blank=False)
    return Made(code, static, "list" if many else "one", native=True)


def _to_quantity(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    value = emitter.one(base, node.offset, "toQuantity()")
    given = [emitter.aside(argument, focus) for argument in node.arguments]
    units_of = [single(one) for one in given]
    unit = node.arguments[0] if node.arguments else None
    measured = bool(given) and emitter.scope.dialect.amounts and families(base.type) == _NUMBER
    if isinstance(unit, Literal) and unit.kind == "string" and emitter.strict:
        code = units.ucum(text := str(unit.value))  # a word of the calendar is a unit of FHIRPath, but not of UCUM
        if units.unit(text) is None or (measured and code != text):
            what = f"'{text}' is not a UCUM unit in use here"
            raise ExpressionProblem("PM243", unit.offset, what, nearest(code, _UNITS))
    if measured:
        card: Card = "one" if all(one.type.card == "one" for one in (base, *given)) else "opt"
        return Made(call("measured", value, *units_of), Static(("Quantity",), card, sure=False), native=True)
    if len(given) > 1:
        raise ExpressionProblem("PM122", node.offset, "toQuantity() takes a display unit on a number alone")
    return Made(call("maybe_toQuantity", value, *units_of), made("Quantity"))


def _reference_key(emitter: Emitter, node: Call, base: Made, focus: Focus) -> Made:
    from peerfhir.fhir.fhirpath.calls import type_names  # it calls what is here

    wanted = type_names(emitter, node)
    names = ast.List([ast.Constant(one) for one in wanted], ast.Load())
    card: Card = "many" if base.type.card == "many" else "opt"
    return Made(call("reference_key", listed(base), names), made("string", card), "list")


Way = Callable[["Emitter", Call, Made, Focus], Made]
ALONE = frozenset(("iif", "coalesce", "now", "today", "timeOfDay", "fullUrl"))  # nothing before them is evaluated first
FUNCTIONS: dict[str, Way] = {
    "where": _where, "exists": _exists, "all": _all, "empty": _empty, "not": _not, "count": _count, "select": _select,
    "repeat": _repeat, "sort": _sort, "aggregate": _aggregate, "trace": _trace, "iif": _iif, "coalesce": _coalesce,
    "defineVariable": _define_variable, "now": _now, "today": _now, "timeOfDay": _now, "translate": _translate,
    "band": _band, "fullUrl": _full_url, "toQuantity": _to_quantity, "getReferenceKey": _reference_key,
}  # fmt: skip
