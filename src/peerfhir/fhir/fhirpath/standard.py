"""The whole language over FHIR: a syntax tree -> Python that works on collections of typed items."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from peerfhir.fhir.fhirpath import collections, library, operators, resources, temporal, units
from peerfhir.fhir.fhirpath.environment import Environment, limited
from peerfhir.fhir.fhirpath.known import NOTHING, OPEN, Known, below, joined, of_system
from peerfhir.fhir.fhirpath.library import Function
from peerfhir.fhir.fhirpath.model import Item, Model, Quantity, Value
from peerfhir.fhir.fhirpath.parser import (
    Binary,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    Special,
    TypeTest,
    Unary,
    Variable,
    parse,
)
from peerfhir.fhir.fhirpath.parser import Quantity as QuantityLiteral
from peerfhir.fhir.fhirpath.patterns import UnsafePattern, compiled
from peerfhir.fhir.fhirpath.problems import ExpressionProblem, nearest
from peerfhir.fhir.fhirpath.types import Scope

WELL_KNOWN = {
    "ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org",
}  # fmt: skip
_PREFIXES = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}
_TEMPORAL = {"date": "Date", "dateTime": "DateTime", "time": "Time"}
_COMPARED = frozenset(("<", "<=", ">", ">="))
_BOOLEAN = frozenset(("=", "!=", "~", "!~", "<", "<=", ">", ">=", "and", "or", "xor", "implies", "in", "contains"))
_PATTERNS = frozenset(("matches", "matchesFull", "replaceMatches"))
_SYSTEM_OF = {"string": "String", "integer": "Integer", "decimal": "Decimal", "boolean": "Boolean"}


@dataclass(frozen=True, slots=True)
class Made:
    """Python that gives a list, and what is known of the list."""

    code: ast.expr
    known: Known


@dataclass(frozen=True, slots=True)
class Focus:
    """What $this, $index and $total are at one place."""

    this: Made
    index: ast.expr | None = None
    total: Made | None = None
    root: bool = False


Run = Callable[[Environment, list[Value]], list[Value]]


@dataclass(frozen=True, slots=True)
class Path:
    """One expression, ready to run.

    text   as it was written
    known  what it gives
    run    (environment, context as a collection) -> collection
    """

    text: str
    known: Known
    run: Run

    def __call__(self, context: Any, environment: Environment) -> list[Value]:
        """The values of the expression on a resource (JSON), an item, or nothing (None).

        Raises  EvaluationProblem
        """
        if context is None:
            return self.run(environment, [])
        item = context if type(context) is Item else environment.model.root(context)
        environment.context = item
        return self.run(environment, [item])


def path(text: str, scope: Scope, model: Model) -> Path:
    """An expression of a dialect that has the whole library.

    Raises  ExpressionProblem with rule and offset
    """
    compiler = _Compiler(scope, model)
    made = compiler.visit(parse(text), compiler.root)
    arguments = ast.arguments([], [ast.arg("e"), ast.arg("root")], None, [], [], None, [])
    tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, made.code)))
    code = compile(tree, "<fhirpath>", "eval")
    run: Run = eval(code, compiler.names)  # noqa: S307 - a tree built here from checked syntax, no text
    return Path(text, made.known, run)


def _once(values: Sequence[Value], then: Callable[[list[Value]], list[Value]]) -> list[Value]:
    """Something done with at most one value: nothing is done with more."""
    if len(values) > 1:
        raise operators.misfit("one value is needed here and there are more")
    return then(list(values))


def _define(e: Environment, key: str, base: list[Value], value: Callable[[list[Value]], list[Value]]) -> list[Value]:
    e.defined[key] = value(base)
    return base


_RUNTIME: dict[str, Any] = {
    **{f"o_{word}": getattr(operators, word) for word in (*operators.BINARY.values(), "negative", "positive")},
    "truth": operators.truth, "item_at": operators.item_at, "is_of": resources.is_of, "as_of": resources.as_of,
    "of_type": resources.of_type, "once": _once, "define": _define, "limited": limited,
    "reference_key": resources.reference_key, "exists_where": collections.exists_where,
    "aggregate": collections.aggregate, "sort": collections.sort, "trace": collections.trace,
    "select": collections.select, "repeat": collections.repeat,
}  # fmt: skip


class _Compiler:
    def __init__(self, scope: Scope, model: Model) -> None:
        self._scope = scope
        kinds = frozenset(scope.root.kinds)
        self.root = Focus(Made(_name("root"), Known(kinds, False) if kinds else NOTHING), root=True)
        self.names: dict[str, Any] = {**_RUNTIME, "step": model.step}
        self._defined: dict[str, tuple[str, Known]] = {}
        self._fresh = 0

    def visit(self, node: Expression, focus: Focus) -> Made:
        match node:
            case Literal() | QuantityLiteral():
                return self._literal(node)
            case Variable():
                return self._variable(node)
            case Special():
                return self._special(node, focus)
            case Member():
                return self._member(node, focus)
            case Call():
                return self._call(node, focus)
            case Index(base=base, index=index):
                made = self.visit(base, focus)
                code = _call("item_at", made.code, self._aside(index, focus).code)
                return Made(code, replace(made.known, many=False))
            case Unary():
                return self._unary(node, focus)
            case TypeTest(operator=operator, operand=operand, type_name=name, offset=offset):
                return self._typed(operator, self.visit(operand, focus), self._types(name, offset))
            case Binary():
                return self._binary(node, focus)

    def _aside(self, node: Expression, focus: Focus) -> Made:
        """A part whose variables are not seen by what follows."""
        before = dict(self._defined)
        made = self.visit(node, focus)
        self._defined = before
        return made

    # --- values ------------------------------------------------------------------------------------------------

    def _constant(self, value: Any, known: Known) -> Made:
        if isinstance(value, str | int | bool):
            return Made(ast.List([ast.Constant(value)], ast.Load()), known)
        self._fresh += 1
        name = f"c{self._fresh}"
        self.names[name] = value
        return Made(ast.List([_name(name)], ast.Load()), known)

    def _literal(self, node: Literal | QuantityLiteral) -> Made:
        if isinstance(node, QuantityLiteral):
            if self._scope.strict and units.unit(node.unit) is None:
                raise ExpressionProblem("PM243", node.offset, f"'{node.unit}' is not a UCUM unit in use here")
            return self._constant(Quantity(node.value, node.unit), of_system("Quantity"))
        if node.kind == "empty":
            return Made(ast.List([], ast.Load()), NOTHING)
        kind = _TEMPORAL.get(node.kind)
        if kind is None:
            return self._constant(node.value, of_system(_SYSTEM_OF[node.kind]))
        value = temporal.parse(str(node.value), kind)
        if value is None:
            raise ExpressionProblem("PM125", node.offset, "this is not a date or time of the calendar")
        return self._constant(value, of_system(kind))

    def _variable(self, node: Variable) -> Made:
        name = node.name
        if name in self._defined:
            key, known = self._defined[name]
            return Made(ast.Subscript(_of("e", "defined"), ast.Constant(key), ast.Load()), known)
        if name == "context":
            return self.root.this
        if name in ("resource", "rootResource"):
            around = _of("e", "root") if name == "rootResource" else _of("e", "resource")
            if name == "rootResource":
                around = ast.BoolOp(ast.Or(), [around, _of("e", "resource")])
            return Made(ast.Call(_of("e", "of_resource"), [around], []), Known(None, False))
        if name in self._scope.variables:
            bound = self._scope.variables[name].type
            known = Known(frozenset(bound.kinds) if bound.kinds else None, bound.card == "many")
            return Made(ast.Call(_of("e", "variable"), [ast.Constant(name)], []), known)
        if name == "questionnaire" and self._scope.dialect.name == "sdc":
            code = ast.Call(_of("e", "of_resource"), [_of("e", "questionnaire")], [])
            return Made(code, Known(frozenset(("Questionnaire",)), False))
        text = self._scope.constants.get(name) or WELL_KNOWN.get(name)
        for prefix, url in _PREFIXES.items():
            if text is None and name.startswith(prefix):
                text = url + name.removeprefix(prefix)
        if text is None:
            known_names = [*self._scope.variables, *self._defined, *WELL_KNOWN, "context", "resource", "rootResource"]
            raise ExpressionProblem("PM110", node.offset, f"there is no variable %{name}", nearest(name, known_names))
        return self._constant(text, of_system("String"))

    def _special(self, node: Special, focus: Focus) -> Made:
        if node.name == "$this":
            return focus.this
        if node.name == "$index" and focus.index is not None:
            return Made(ast.List([focus.index], ast.Load()), of_system("Integer"))
        if node.name == "$total" and focus.total is not None:
            return focus.total
        raise ExpressionProblem("PM110", node.offset, f"there is no {node.name} here")

    # --- paths -------------------------------------------------------------------------------------------------

    def _member(self, node: Member, focus: Focus) -> Made:
        base = focus.this if node.base is None else self.visit(node.base, focus)
        if node.base is None and focus.root and self._is_type(node.name):
            kinds = base.known.kinds
            if kinds and all(self._scope.definitions.is_a(kind, node.name) for kind in kinds):
                return base
            what = f"the context is {base.known.called()}, not {node.name}"
            raise ExpressionProblem("PM111", node.offset, what)
        known = below(self._scope, base.known, node.name)
        if known is None:
            raise self._unknown(node, base.known)
        return Made(_call("step", base.code, ast.Constant(node.name)), known)

    def _unknown(self, node: Member, base: Known) -> ExpressionProblem:
        names: list[str] = []
        for kind in sorted(base.kinds or ()):
            for name, element in self._scope.definitions.elements(kind).items():
                if name == node.name and element.choice:
                    hint = f"write {element.choice}.ofType({element.type})"
                    return ExpressionProblem("PM111", node.offset, f"'{name}' is the JSON name, not FHIRPath", hint)
                names.append(element.choice or name)
        what = f"{base.called()} has no element '{node.name}'"
        return ExpressionProblem("PM111", node.offset, what, nearest(node.name, names))

    # --- types -------------------------------------------------------------------------------------------------

    def _is_type(self, name: str) -> bool:
        return self._scope.definitions.is_named(name)

    def _types(self, name: str, offset: int) -> list[str]:
        """The types that a type name can mean, each with its namespace."""
        space, _, rest = name.rpartition(".")
        if space == "System":
            return [name]
        if space not in ("", "FHIR"):
            raise ExpressionProblem("PM120", offset, f"there is no type {name}")
        found = [f"FHIR.{rest}"] if self._is_type(rest) else []
        if not space and rest in resources.SYSTEM_TYPES:
            found.append(f"System.{rest}")
        if not found:
            raise ExpressionProblem("PM120", offset, f"there is no type {name}")
        return found

    def _type_argument(self, node: Call) -> list[str]:
        argument = node.arguments[0]
        if isinstance(argument, Member) and argument.base is None:
            return self._types(argument.name, argument.offset)
        if isinstance(argument, Member) and isinstance(argument.base, Member) and argument.base.base is None:
            return self._types(f"{argument.base.name}.{argument.name}", argument.offset)
        raise ExpressionProblem("PM122", argument.offset, f"{node.name}() takes the name of a type")

    def _typed(self, operator: str, base: Made, wanted: list[str]) -> Made:
        names = ast.List([ast.Constant(name) for name in wanted], ast.Load())
        function = {"is": "is_of", "as": "as_of", "ofType": "of_type"}[operator]
        code = _call(function, _name("e"), base.code, names)
        if operator == "is":
            return Made(code, of_system("Boolean"))
        kinds = frozenset(name.removeprefix("FHIR.") for name in wanted)
        open_ended = any(kind in ("Resource", "DomainResource", "Element", "BackboneElement") for kind in kinds)
        many = base.known.many and operator == "ofType"
        return Made(code, replace(base.known, kinds=None if open_ended else kinds, many=many))

    # --- operators ---------------------------------------------------------------------------------------------

    def _unary(self, node: Unary, focus: Focus) -> Made:
        made = self._aside(node.operand, focus)
        families = made.known.families()
        if node.operator not in ("+", "-"):
            raise ExpressionProblem("PM122", node.offset, f"'{node.operator}' belongs into sort()")
        if families and not families & {"number", "Quantity"}:
            raise ExpressionProblem("PM120", node.offset, f"'{node.operator}' stands before a number")
        return Made(_call("o_negative" if node.operator == "-" else "o_positive", made.code), made.known)

    def _binary(self, node: Binary, focus: Focus) -> Made:
        left, right = self._aside(node.left, focus), self._aside(node.right, focus)
        operator = node.operator
        if operator == "contains":
            left, right, operator = right, left, "in"
        self._fitting(node, left.known, right.known)
        code = _call(f"o_{operators.BINARY[operator]}", left.code, right.code)
        if operator in _BOOLEAN:
            return Made(code, of_system("Boolean"))
        if operator == "|":
            return Made(code, replace(joined(left.known, right.known), many=True))
        return Made(code, _arithmetic(operator, left.known, right.known))

    def _fitting(self, node: Binary, left: Known, right: Known) -> None:
        """Refuses operands that can never fit."""
        one, other = left.families(), right.families()
        if not one or not other:
            return
        operator, pairs = node.operator, {(a, b) for a in one for b in other}
        if operator in _COMPARED:
            good = any(a == b or {a, b} == {"number", "Quantity"} for a, b in pairs)
        elif operator in ("+", "-"):
            same = {"number", "Quantity"} if operator == "-" else {"number", "Quantity", "String"}
            good = any((a == b and a in same) or (a in ("moment", "Time") and b == "Quantity") for a, b in pairs)
        elif operator in ("*", "/", "div", "mod"):
            good = bool(one & {"number", "Quantity"}) and bool(other & {"number", "Quantity"})
        else:
            good = True
        if not good:
            hint = "join texts with &" if operator == "+" and "String" in one | other else ""
            what = f"'{operator}' does not take {left.called()} and {right.called()}"
            raise ExpressionProblem("PM120", node.offset, what, hint)

    # --- functions ---------------------------------------------------------------------------------------------

    def _function(self, node: Call) -> Function:
        dialect = self._scope.dialect
        found = library.STANDARD_FUNCTIONS.get(node.name)
        if found is None and node.name in dialect.more:
            found = library.VIEW_FUNCTIONS.get(node.name)
        if found is None:
            known = node.name in library.EVERY_FUNCTION
            what = f"{node.name}() is not supported here" if known else f"there is no function {node.name}()"
            hint = "" if known else nearest(node.name, library.STANDARD_FUNCTIONS)
            raise ExpressionProblem("PM122", node.offset, what, hint)
        if not found.least <= len(node.arguments) <= found.most:
            wanted = str(found.least) if found.least == found.most else f"{found.least} to {found.most}"
            what = f"{node.name}() takes {wanted} arguments and is given {len(node.arguments)}"
            raise ExpressionProblem("PM122", node.offset, what)
        return found

    def _call(self, node: Call, focus: Focus) -> Made:
        function = self._function(node)
        base = focus.this if node.base is None else self.visit(node.base, focus)
        families = base.known.families()
        if function.takes and families and not families & function.takes:
            what = f"{node.name}() does not take {base.known.called()}"
            raise ExpressionProblem("PM120", node.offset, what)
        if self._scope.strict and node.name in library.NEEDS_ORDER and not base.known.ordered:
            raise ExpressionProblem("PM121", node.offset, f"{node.name}() of a collection that has no order")
        special = getattr(self, f"_{node.name}", None) if function.run is None else None
        if special is not None:
            made: Made = special(node, base, focus)
            return made
        return self._ordinary(node, function, base, focus)

    def _ordinary(self, node: Call, function: Function, base: Made, focus: Focus) -> Made:
        name = f"f_{node.name}"
        self.names[name] = function.run
        arguments: list[ast.expr] = []
        known = base.known
        for at, argument in enumerate(node.arguments):
            if at == 0 and function.each:
                arguments.append(self._each(argument, base)[0])
                continue
            made = self._aside(argument, focus)
            arguments.append(made.code)
            known = joined(known, made.known)
        self._pattern(node)
        return Made(_call(name, _name("e"), base.code, *arguments), _gives(function, node.name, base.known, known))

    def _pattern(self, node: Call) -> None:
        """Refuses an unsafe regular expression that is written in the expression."""
        pattern = node.arguments[0] if node.name in _PATTERNS else None
        if isinstance(pattern, Literal) and pattern.kind == "string":
            try:
                compiled(str(pattern.value))
            except UnsafePattern as problem:
                raise ExpressionProblem("PM124", pattern.offset, str(problem)) from None

    def _each(self, node: Expression, base: Made, total: bool = False) -> tuple[ast.expr, Made]:
        """A lambda over $this and $index (and $total), and what it gives."""
        self._fresh += 1
        names = [f"{letter}{self._fresh}" for letter in ("x", "i", "t")[: 3 if total else 2]]
        this = Made(_name(names[0]), replace(base.known, many=False))
        made = self._aside(node, Focus(this, _name(names[1]), Made(_name(names[2]), OPEN) if total else None))
        return _lambda(names, made.code), made

    def _exists(self, node: Call, base: Made, focus: Focus) -> Made:
        if not node.arguments:
            code: ast.expr = ast.Compare(base.code, [ast.NotEq()], [ast.List([], ast.Load())])
            return Made(ast.List([code], ast.Load()), of_system("Boolean"))
        criterion = self._each(node.arguments[0], base)[0]
        return Made(_call("exists_where", _name("e"), base.code, criterion), of_system("Boolean"))

    def _select(self, node: Call, base: Made, focus: Focus) -> Made:
        project, made = self._each(node.arguments[0], base)
        known = replace(made.known, many=made.known.many or base.known.many)
        return Made(_call("select", _name("e"), base.code, project), known)

    def _repeat(self, node: Call, base: Made, focus: Focus) -> Made:
        project, made = self._each(node.arguments[0], base)
        if made.known.kinds is not None and not made.known.kinds <= (base.known.kinds or frozenset()):
            # what is found is searched again: the types grow until nothing is new
            project, made = self._each(node.arguments[0], Made(base.code, joined(base.known, made.known)))
        return Made(_call("repeat", _name("e"), base.code, project), replace(made.known, many=True))

    def _sort(self, node: Call, base: Made, focus: Focus) -> Made:
        keys: list[ast.expr] = []
        for argument in node.arguments:
            falling = isinstance(argument, Unary) and argument.operator in ("-", "desc")
            inner = argument.operand if falling and isinstance(argument, Unary) else argument
            way = self._each(inner, base)[0]
            keys.append(ast.Tuple([way, ast.Constant(falling)], ast.Load()))
        return Made(_call("sort", _name("e"), base.code, *keys), replace(base.known, ordered=True))

    def _ofType(self, node: Call, base: Made, focus: Focus) -> Made:  # noqa: N802 - named after the function
        return self._typed("ofType", base, self._type_argument(node))

    def _is(self, node: Call, base: Made, focus: Focus) -> Made:
        return self._typed("is", base, self._type_argument(node))

    def _as(self, node: Call, base: Made, focus: Focus) -> Made:
        return self._typed("as", base, self._type_argument(node))

    def _iif(self, node: Call, base: Made, focus: Focus) -> Made:
        inner = focus
        if node.base is not None:
            self._fresh += 1
            inner = replace(focus, this=Made(_name(f"x{self._fresh}"), replace(base.known, many=False)), root=False)
        made = [self._aside(argument, inner) for argument in node.arguments]
        families = made[0].known.families()
        if families and made[0].known.many and "Boolean" not in families:
            hint = "add .exists(), or compare it with ="
            raise ExpressionProblem("PM126", node.arguments[0].offset, "iif() needs true or false", hint)
        no = made[2] if len(made) == 3 else Made(ast.List([], ast.Load()), NOTHING)
        test = ast.Compare(_call("truth", made[0].code), [ast.Is()], [ast.Constant(True)])
        code: ast.expr = ast.IfExp(test, made[1].code, no.code)
        if node.base is not None and isinstance(inner.this.code, ast.Name):
            code = _call("once", base.code, _lambda([inner.this.code.id], code))
        return Made(code, joined(made[1].known, no.known))

    def _coalesce(self, node: Call, base: Made, focus: Focus) -> Made:
        made = [self._aside(argument, focus) for argument in node.arguments]
        known = made[0].known
        for one in made[1:]:
            known = joined(known, one.known)
        code = ast.BoolOp(ast.Or(), [one.code for one in made]) if len(made) > 1 else made[0].code
        return Made(code, known)

    def _aggregate(self, node: Call, base: Made, focus: Focus) -> Made:
        step = self._each(node.arguments[0], base, total=True)[0]
        start = [self._aside(node.arguments[1], focus).code] if len(node.arguments) == 2 else []
        return Made(_call("aggregate", _name("e"), base.code, step, *start), OPEN)

    def _trace(self, node: Call, base: Made, focus: Focus) -> Made:
        name = self._aside(node.arguments[0], focus).code
        project = [self._each(node.arguments[1], base)[0]] if len(node.arguments) == 2 else []
        return Made(_call("trace", _name("e"), base.code, name, *project), base.known)

    def _defineVariable(self, node: Call, base: Made, focus: Focus) -> Made:  # noqa: N802 - as above
        name = node.arguments[0]
        if not isinstance(name, Literal) or name.kind != "string":
            raise ExpressionProblem("PM122", name.offset, "the name of a variable is a text", "write 'name'")
        word = str(name.value)
        taken = (*self._defined, *self._scope.variables, *WELL_KNOWN, "context", "resource", "rootResource")
        if word in taken:
            raise ExpressionProblem("PM113", name.offset, f"there is a variable %{word} already")
        self._fresh += 1
        names, key = [f"x{self._fresh}"], f"{word}#{self._fresh}"
        this = Made(_name(names[0]), base.known)
        value = self._aside(node.arguments[1], Focus(this)) if len(node.arguments) == 2 else this
        self._defined = {**self._defined, word: (key, value.known)}
        code = _call("define", _name("e"), ast.Constant(key), base.code, _lambda(names, value.code))
        return Made(code, base.known)

    def _now(self, node: Call, base: Made, focus: Focus) -> Made:
        kind = {"now": "DateTime", "today": "Date"}.get(node.name, "Time")
        code = ast.Call(_of("e", "moment"), [ast.Constant(kind)], [])
        return Made(ast.List([code], ast.Load()), of_system(kind))

    _today = _timeOfDay = _now  # noqa: N815 - as above

    def _getReferenceKey(self, node: Call, base: Made, focus: Focus) -> Made:  # noqa: N802 - as above
        wanted = self._type_argument(node) if node.arguments else []
        names = ast.List([ast.Constant(name) for name in wanted], ast.Load())
        return Made(_call("reference_key", _name("e"), base.code, names), of_system("String", base.known.many))


def _arithmetic(operator: str, left: Known, right: Known) -> Known:
    one, other = left.families(), right.families()
    if operator == "&":
        return of_system("String")
    if operator == "div":
        return of_system("Integer")
    if one is not None and one in (frozenset(("moment",)), frozenset(("Time",))):
        return replace(left, many=False)
    if one is None or other is None or not one or not other or one != other:
        return Known(None, False)
    if one == {"number"} and operator == "/":
        return of_system("Decimal")
    names = {"number": "Decimal", "String": "String", "Quantity": "Quantity"}
    return of_system(names[next(iter(one))]) if len(one) == 1 and next(iter(one)) in names else Known(None, False)


def _gives(function: Function, name: str, base: Known, all_of_them: Known) -> Known:
    if function.gives == library.SAME:
        return base
    if function.gives == library.ITEM:
        return replace(base, many=False)
    if function.gives != library.OPEN:
        many, word = function.gives.endswith("*"), function.gives.removesuffix("*")
        return Known(frozenset((word,)), many) if word == "Extension" else of_system(word, many)
    if name in ("union", "combine"):
        return replace(all_of_them, many=True)
    if name in ("children", "descendants"):
        return Known(None, True, ordered=False)
    return Known(None, base.many)


def _name(identifier: str) -> ast.expr:
    return ast.Name(identifier, ast.Load())


def _of(value: str, attribute: str) -> ast.expr:
    return ast.Attribute(_name(value), attribute, ast.Load())


def _call(function: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(_name(function), list(arguments), [])


def _lambda(names: Sequence[str], body: ast.expr) -> ast.expr:
    return ast.Lambda(ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, []), body)
