"""A syntax tree -> a typed Python expression; what is not supported is refused with its place."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from peerfhir.fhir.definitions import PRIMITIVES
from peerfhir.fhir.fhirpath import functions, standard
from peerfhir.fhir.fhirpath.dialects import MAPPING
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.library import EVERY_FUNCTION
from peerfhir.fhir.fhirpath.model import Item, Model
from peerfhir.fhir.fhirpath.parser import (
    Binary,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    Quantity,
    Special,
    TypeTest,
    Unary,
    Variable,
    parse,
)
from peerfhir.fhir.fhirpath.problems import ExpressionProblem, nearest
from peerfhir.fhir.fhirpath.types import EMPTY, Bound, Card, Scope, Shape, Static, joined

WELL_KNOWN = standard.WELL_KNOWN
ROOTS = frozenset(("context", "resource", "rootResource", "source"))
ROOT_PLACE = "record"  # the Python name of the context in compiled code

_TEMPORAL = frozenset(("Date", "DateTime", "Time"))
_FAMILY = {"Integer": "number", "Decimal": "number", "Date": "moment", "DateTime": "moment"}
_PRINTABLE = frozenset(("String", "Integer", "Decimal", "Boolean", "Date", "DateTime", "Time"))
_ARGUMENTS = {"where": (1, 1), "first": (0, 0), "exists": (0, 1), "not": (0, 0), "iif": (2, 3), "translate": (1, 1)}
_KNOWN_ELSEWHERE = EVERY_FUNCTION - (MAPPING.functions or frozenset())
_INSTEAD = {
    "!=": "write (a = b).not()", "empty": "write .exists().not()", "last": "only .first() is there",
    "single": "write .first()", "coalesce": "write iif(a.exists(), a, b)", "+": "join texts with &",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Emitted:
    """An expression as Python.

    code      gives None or a value when at most one is possible, else a list
    constant  the text, when it is known already
    uses      the declared fields it reads: the shape and the name below it
    findings  rule, offset, what, hint: what a checker may want to say about it
    """

    code: ast.expr
    type: Static
    constant: str | None = None
    uses: tuple[tuple[Shape, str], ...] = ()
    findings: tuple[tuple[str, int, str, str], ...] = ()


def emit(text: str, scope: Scope) -> Emitted:
    """One expression, parsed, typed and turned into a Python expression over `record` and the scope's places.

    Raises  ExpressionProblem with rule and offset
    """
    emitter = _Emitter(scope)
    found = emitter.visit(parse(text), emitter.root)
    return replace(found, uses=tuple(emitter.uses), findings=tuple(emitter.findings))


def runtime(scope: Scope) -> dict[str, Any]:
    """The names that code emitted in this scope refers to, for the globals of the compiled module."""
    names: dict[str, Any] = {f"f_{name}": getattr(functions, name) for name in _CALLED}
    names["f_decimal"] = Decimal
    names |= {table_place(scope, name): table.translate for name, table in scope.tables.items()}
    return names


def table_place(scope: Scope, name: str) -> str:
    """The Python name of a code map's translate function."""
    return f"m_{list(scope.tables).index(name)}"


class Expressions:
    """Expressions of one scope as functions (context, variables) -> list, each compiled once."""

    def __init__(self, scope: Scope) -> None:
        places = {name: replace(bound, place=f"v_{at}") for at, (name, bound) in enumerate(scope.variables.items())}
        self._scope = replace(scope, variables=places)
        self._model = Model(scope.definitions)
        self._functions: dict[str, Callable[[Any, Mapping[str, Any]], list[Any]]] = {}

    def function(self, text: str) -> Callable[[Any, Mapping[str, Any]], list[Any]]:
        """The function of one expression. Variables hold None or a value, or a list where they are declared many.

        Raises  ExpressionProblem; the function raises EvaluationProblem
        """
        known = self._functions.get(text)
        if known is None:
            known = self._functions[text] = self._compile(text)  # compiled twice by two threads at worst
        return known

    def _compile(self, text: str) -> Callable[[Any, Mapping[str, Any]], list[Any]]:
        if self._scope.dialect.functions is None:
            return self._whole(text)
        found = emit(text, self._scope)
        result = found.code if found.type.card == "many" else call("listed", found.code)
        places = [bound.place for bound in self._scope.variables.values()]
        arguments = ast.arguments([], [ast.arg(place) for place in (ROOT_PLACE, *places)], None, [], [], None, [])
        tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, result)))
        names = list(self._scope.variables)
        code = compile(tree, "<fhirpath>", "eval")
        inner = eval(code, runtime(self._scope))  # noqa: S307 - a tree built here from checked syntax, no text
        return lambda context, variables: inner(context, *(variables[name] for name in names))

    def _whole(self, text: str) -> Callable[[Any, Mapping[str, Any]], list[Any]]:
        """An expression of a dialect with the whole library, over JSON; for more than JSON there is `standard.path`."""
        path = standard.path(text, self._scope, self._model)

        def run(context: Any, variables: Mapping[str, Any]) -> list[Any]:
            found = path(context, Environment(self._model, variables=variables))
            return [one.value if type(one) is Item else one for one in found]

        return run


_CALLED = [
    "below", "all_below", "field_of", "fields_of", "listed", "first", "single", "kept", "some", "flag", "truth",
    "both", "either", "negated", "concatenated", "same", "same_lists", "same_time",
]  # fmt: skip


def name(identifier: str) -> ast.expr:
    """A Python name."""
    return ast.Name(identifier, ast.Load())


def call(function: str, *arguments: ast.expr) -> ast.expr:
    """A call of one of `functions`."""
    return ast.Call(name(f"f_{function}"), list(arguments), [])


class _Emitter:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.root = Emitted(name(ROOT_PLACE), scope.root)
        self.uses: list[tuple[Shape, str]] = []
        self.findings: list[tuple[str, int, str, str]] = []
        self._fresh = 0

    def visit(self, node: Expression, focus: Emitted) -> Emitted:
        match node:
            case Literal():
                return self._literal(node)
            case Variable():
                return self._variable(node)
            case Special(name="$this"):
                return focus
            case Member(base=Variable(name="systems")):
                return self._system(node)
            case Member():
                return self._member(node, focus)
            case Call():
                return self._call(node, focus)
            case Binary(operator=operator) if operator in (self.scope.dialect.operators or ()):
                return self._binary(node, focus)
        raise _refused(node)

    def _literal(self, node: Literal) -> Emitted:
        if node.kind == "empty":
            return Emitted(ast.Constant(None), EMPTY)
        if node.kind == "time" and ":" not in str(node.value):
            raise ExpressionProblem("PM122", node.offset, "an hour without minutes is not supported in this version")
        value = node.value
        text = value if isinstance(value, str) else None
        codes = frozenset((text,)) if text is not None and node.kind == "string" else None
        static = Static((node.kind,), "one", codes=codes, blank=value == "")
        return Emitted(_decimal(value) if isinstance(value, Decimal) else ast.Constant(value), static, text)

    def _variable(self, node: Variable) -> Emitted:
        bound = self.scope.variables.get(node.name)
        if bound is not None:
            return Emitted(name(bound.place), bound.type)
        if node.name in ROOTS:
            return self.root
        constant = self.scope.constants.get(node.name) or WELL_KNOWN.get(node.name)
        if constant is None:
            known = [*self.scope.variables, *self.scope.constants, *ROOTS, *WELL_KNOWN, "systems"]
            hint = "write %systems.alias" if node.name == "systems" else nearest(node.name, known)
            raise ExpressionProblem("PM110", node.offset, f"there is no variable %{node.name}", hint)
        return _text(constant)

    def _system(self, node: Member) -> Emitted:
        uri = self.scope.systems.get(node.name)
        if uri is None:
            hint = nearest(node.name, self.scope.systems) or "an alias with a hyphen stands in backticks"
            raise ExpressionProblem("PM110", node.offset, f"'{node.name}' is not an alias under systems", hint)
        return _text(uri)

    def _member(self, node: Member, focus: Emitted) -> Emitted:
        base = focus if node.base is None else self.visit(node.base, focus)
        if node.base is None and base.code is self.root.code and node.name in base.type.kinds:
            return base  # Patient.name, where the context is a Patient
        if not base.type.kinds:
            return base
        step = self.scope.step(base.type, node.name)
        if step is None:
            raise self._unknown(node, base.type)
        if base.type.shape is not None:
            self.uses.append((base.type.shape, node.name))
        if base.type.kinds == ("object",):
            return Emitted(_field(base, node.name, step.type), step.type)
        function = "all_below" if step.type.card == "many" else "below"
        mixed = [ast.Constant(True)] if any(kind in PRIMITIVES for kind in base.type.kinds) else []
        return Emitted(call(function, base.code, _keys(step.keys), *mixed), step.type)

    def _unknown(self, node: Member, base: Static) -> ExpressionProblem:
        for kind in base.kinds:
            element = self.scope.definitions.element(kind, node.name)
            if element is not None and element.choice:
                hint = f"write {element.choice}"
                return ExpressionProblem("PM111", node.offset, f"'{node.name}' is the JSON name, not FHIRPath", hint)
        hint = nearest(node.name, self.scope.names(base))
        if base.shape is not None:
            what = f"'{node.name}' is not a declared field here"
            return ExpressionProblem("PM111", node.offset, what, hint)
        return ExpressionProblem("PM111", node.offset, f"{base.called()} has no element '{node.name}'", hint)

    def _call(self, node: Call, focus: Emitted) -> Emitted:
        limits = _ARGUMENTS.get(node.name)
        if limits is None or node.name not in (self.scope.dialect.functions or ()):
            raise _unsupported_function(node)
        if not limits[0] <= len(node.arguments) <= limits[1]:
            wanted = str(limits[0]) if limits[0] == limits[1] else f"{limits[0]} or {limits[1]}"
            what = f"{node.name}() takes {wanted} arguments and is given {len(node.arguments)}"
            raise ExpressionProblem("PM122", node.offset, what)
        if node.name == "iif":
            return self._iif(node, focus)
        base = focus if node.base is None else self.visit(node.base, focus)
        match node.name:
            case "where":
                return self._where(node, base)
            case "exists":
                return self._exists(node, base)
            case "first":
                return self._first(base)
            case "not":
                value = self._boolean(base, node.offset, "not()", "PM120")
                return Emitted(call("negated", value.code), _boolean_type(value.type.card))
        return self._translate(node, base)

    def _criterion(self, node: Call, base: Emitted) -> tuple[str, ast.expr]:
        self._fresh += 1
        item = f"x{self._fresh}"
        criterion = self.visit(node.arguments[0], Emitted(name(item), base.type.as_card("one")))
        return item, self._boolean(criterion, node.arguments[0].offset, f"the criterion of {node.name}()", "PM126").code

    def _where(self, node: Call, base: Emitted) -> Emitted:
        item, criterion = self._criterion(node, base)
        if base.type.card != "many":
            return Emitted(call("kept", base.code, _lambda(item, criterion)), base.type.as_card("opt"))
        is_true = ast.Compare(criterion, [ast.Is()], [ast.Constant(True)])
        loop = ast.comprehension(ast.Name(item, ast.Store()), base.code, [is_true], 0)
        return Emitted(ast.ListComp(name(item), [loop]), base.type)

    def _exists(self, node: Call, base: Emitted) -> Emitted:
        if node.arguments:
            item, criterion = self._criterion(node, base)
            return Emitted(call("some", base.code, _lambda(item, criterion)), _boolean_type("one"))
        if base.type.card == "many":
            return Emitted(ast.Compare(base.code, [ast.NotEq()], [ast.List([], ast.Load())]), _boolean_type("one"))
        if isinstance(base.code, ast.Constant):
            return Emitted(ast.Constant(base.code.value is not None), _boolean_type("one"))
        return Emitted(ast.Compare(base.code, [ast.IsNot()], [ast.Constant(None)]), _boolean_type("one"))

    def _first(self, base: Emitted) -> Emitted:
        if base.type.card != "many":
            return base
        return Emitted(call("first", base.code), base.type.as_card("opt"))

    def _iif(self, node: Call, focus: Emitted) -> Emitted:
        if node.base is not None:
            raise ExpressionProblem("PM122", node.offset, "iif() has nothing before it", "write iif(condition, a, b)")
        condition = self._boolean(self.visit(node.arguments[0], focus), node.arguments[0].offset, "iif()", "PM126")
        yes = self.visit(node.arguments[1], focus)
        no = self.visit(node.arguments[2], focus) if len(node.arguments) == 3 else Emitted(ast.Constant(None), EMPTY)
        static = joined(yes.type, no.type)
        test = ast.Compare(condition.code, [ast.Is()], [ast.Constant(True)])
        codes = [_listed(one) if static.card == "many" else one.code for one in (yes, no)]
        return Emitted(ast.IfExp(test, *codes), static)

    def _translate(self, node: Call, base: Emitted) -> Emitted:
        argument = node.arguments[0]
        if not isinstance(argument, Literal) or argument.kind != "string":
            raise ExpressionProblem("PM130", argument.offset, "the name of a code map is a text", "write 'name'")
        table = self.scope.tables.get(str(argument.value))
        if table is None:
            hint = nearest(str(argument.value), self.scope.tables)
            raise ExpressionProblem("PM130", argument.offset, f"there is no code map '{argument.value}'", hint)
        base = self._one(base, node.offset, "translate()")
        takes = frozenset(("String", "Boolean", "Integer", "Coding"))
        if not base.type.systems <= takes:
            hint = "go to its coding" if "CodeableConcept" in base.type.kinds else ""
            raise ExpressionProblem(
                "PM120", node.offset, f"translate() takes a code or a Coding, not {base.type.called()}", hint
            )
        place = table_place(self.scope, str(argument.value))
        self.findings += [(rule, node.offset, what, hint) for rule, what, hint in table.review(base.type)]
        return Emitted(ast.Call(name(place), [base.code], []), table.output(base.type))

    def _binary(self, node: Binary, focus: Emitted) -> Emitted:
        left, right = self.visit(node.left, focus), self.visit(node.right, focus)
        if node.operator == "=":
            return self._equal(node, left, right)
        if node.operator == "&":
            return self._joined_text(node, left, right)
        codes = [self._boolean(side, node.offset, f"'{node.operator}'", "PM120") for side in (left, right)]
        card: Card = "one" if all(side.type.card == "one" for side in codes) else "opt"
        function = "both" if node.operator == "and" else "either"
        return Emitted(call(function, *(side.code for side in codes)), _boolean_type(card))

    def _equal(self, node: Binary, left: Emitted, right: Emitted) -> Emitted:
        temporal = self._comparable(node, left, right)
        if "many" in (left.type.card, right.type.card):
            code = call("same_lists", _listed(left), _listed(right), ast.Constant(temporal))
            return Emitted(code, _boolean_type("opt"))
        both_there = left.type.card == right.type.card == "one"
        if both_there and left.type.systems == right.type.systems == {"String"}:
            return Emitted(ast.Compare(left.code, [ast.Eq()], [right.code]), _boolean_type("one"))
        code = call("same_time" if temporal else "same", left.code, right.code)
        return Emitted(code, _boolean_type("one" if both_there and not temporal else "opt"))

    def _comparable(self, node: Binary, left: Emitted, right: Emitted) -> bool:
        """Whether both sides are dates or times; refuses what can never be equal."""
        families = [{_FAMILY.get(system, system) for system in side.type.systems} for side in (left, right)]
        temporal = all(side.type.systems and side.type.systems <= _TEMPORAL for side in (left, right))
        if self.scope.strict and all(families):
            if not families[0] & families[1] or (not temporal and families[0] & families[1] & {"moment", "Time"}):
                hint = "write the date as @2026-01-31" if "moment" in families[0] | families[1] else ""
                what = f"{left.type.called()} and {right.type.called()} cannot be compared"
                raise ExpressionProblem("PM120", node.offset, what, hint)
            for one, other in ((left, right), (right, left)):
                if one.constant is not None and other.type.codes and one.constant not in other.type.codes:
                    what = f"'{one.constant}' is not among the codes it is compared with"
                    hint = nearest(one.constant, other.type.codes)
                    self.findings.append(("PM123", node.offset, what, hint))
        return temporal

    def _joined_text(self, node: Binary, left: Emitted, right: Emitted) -> Emitted:
        parts: list[ast.expr] = []
        sides = [self._one(side, node.offset, "'&'") for side in (left, right)]
        for side in sides:
            if not side.type.systems <= _PRINTABLE:
                raise ExpressionProblem("PM120", node.offset, f"'&' joins texts, not {side.type.called()}")
            joins = isinstance(side.code, ast.Call) and getattr(side.code.func, "id", "") == "f_concatenated"
            parts += side.code.args if isinstance(side.code, ast.Call) and joins else [side.code]
        static = Static(("string",), "one", blank=all(side.type.card != "one" or side.type.blank for side in sides))
        constant = None
        if left.constant is not None and right.constant is not None:
            constant = left.constant + right.constant
        return Emitted(call("concatenated", *parts), static, constant)

    def _one(self, value: Emitted, offset: int, who: str) -> Emitted:
        if value.type.card != "many":
            return value
        if self.scope.strict:
            hint = "add .first(), or narrow it with where(...)"
            raise ExpressionProblem("PM121", offset, f"{who} needs one value; this can be many", hint)
        return Emitted(call("single", value.code), value.type.as_card("opt"))

    def _boolean(self, value: Emitted, offset: int, who: str, rule: str) -> Emitted:
        value = self._one(value, offset, who)
        if not value.type.kinds:
            return value
        if value.type.kinds == ("boolean",):
            return value if value.type.sure else Emitted(call("flag", value.code), value.type)
        if self.scope.strict:
            what = f"{who} needs true or false, not {value.type.called()}"
            raise ExpressionProblem(rule, offset, what, "add .exists(), or compare it with =")
        return Emitted(call("truth", value.code), _boolean_type(value.type.card))


def _field(base: Emitted, key: str, static: Static) -> ast.expr:
    if base.type.card == "one":
        return ast.Subscript(base.code, ast.Constant(key), ast.Load())
    if static.card == "many":
        return call("fields_of", _listed(base), ast.Constant(key))
    return call("field_of", base.code, ast.Constant(key))


def _keys(keys: tuple[str, ...]) -> ast.expr:
    return ast.Tuple([ast.Constant(key) for key in keys], ast.Load())


def _listed(value: Emitted) -> ast.expr:
    return value.code if value.type.card == "many" else call("listed", value.code)


def _lambda(item: str, body: ast.expr) -> ast.expr:
    return ast.Lambda(ast.arguments([], [ast.arg(item)], None, [], [], None, []), body)


def _text(value: str) -> Emitted:
    static = Static(("string",), "one", codes=frozenset((value,)), blank=value == "")
    return Emitted(ast.Constant(value), static, value)


def _decimal(value: object) -> ast.expr:
    return ast.Call(name("f_decimal"), [ast.Constant(str(value))], [])


def _boolean_type(card: Card) -> Static:
    return Static(("boolean",), "one" if card == "one" else "opt", blank=False)


def _unsupported_function(node: Call) -> ExpressionProblem:
    if node.name in _KNOWN_ELSEWHERE:
        what = f"{node.name}() is not supported in this version"
        return ExpressionProblem("PM122", node.offset, what, _INSTEAD.get(node.name, ""))
    what = f"there is no function {node.name}()"
    return ExpressionProblem("PM122", node.offset, what, nearest(node.name, _ARGUMENTS))


def _refused(node: Expression) -> ExpressionProblem:
    match node:
        case Binary(operator=operator) | TypeTest(operator=operator) | Unary(operator=operator):
            what, hint = f"'{operator}' is not supported in this version", _INSTEAD.get(operator, "")
        case Index():
            what, hint = "[ ] is not supported in this version", "write .first() for the first item"
        case Quantity():
            what, hint = "numbers with a unit are not supported in this version", ""
        case _:
            what, hint = f"{getattr(node, 'name', 'this')} is not supported in this version", ""
    return ExpressionProblem("PM122", node.offset, what, hint)


__all__ = [
    "Bound", "Emitted", "Expressions", "Scope", "Static", "call", "emit", "name", "runtime", "table_place",
]  # fmt: skip
