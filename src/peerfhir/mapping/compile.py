"""A checked document -> one Python function, built as a syntax tree whose lines are those of the YAML."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from peerfhir.fhir.fhirpath.compile import ROOT_PLACE, call, name, runtime, table_place
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.made import ENVIRONMENT
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping import primitives, values
from peerfhir.mapping.answers import Answering, extracted
from peerfhir.mapping.check import Checked
from peerfhir.mapping.identity import seed
from peerfhir.mapping.plainer import Plainer, lookups
from peerfhir.mapping.resources import SEEDS
from peerfhir.mapping.snippets import assign, at_rule, is_there, literal, method, ours
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
    is_alive,
    is_dynamic,
    is_paired,
    is_present,
)

# (name, resource, fullUrl or None, request) of each resource, in order; or the record of a from-fhir mapping
Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Compiled:
    """The function of one mapping (record, run) -> result, and the rules that its errors point to."""

    function: Function
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class _Value:
    """A value in the code made so far.

    nullable  whether it can be None
    alive     Python that tells whether an expression below it gave something; True or False when that is known
    own       `alive` asks whether the value itself is there
    """

    code: ast.expr
    nullable: bool
    alive: ast.expr | bool
    own: bool = False


def compiled(checked: Checked, *, careful: bool = False) -> Compiled:
    """The function of a checked document.

    careful  each rule fails by itself, so that every error of a record is found; slower, for records that failed
    """
    emitter = _Emitter(careful)
    module = emitter.module(checked)
    names: dict[str, Any] = runtime(checked.scope) | dict(values.RUNTIME) | emitter.constants
    forms = [(at, form) for at, form in enumerate(checked.forms.values()) if form.id in checked.instruments]
    names |= {f"q_{at}": Answering(form) for at, form in forms}
    names |= lookups(checked.scope, frozenset(emitter.lookups))
    names |= {SEEDS.format(at): seed(checked.document.id, resource) for at, resource in enumerate(checked.heads)}
    surroundings: Environment = names[ENVIRONMENT]
    names["g_environment"] = lambda run: replace(surroundings, now=run.now)
    names |= {
        "g_EvaluationProblem": EvaluationProblem,
        "g_absent": primitives.absent,
        "g_present": primitives.present,
        "g_extracted": extracted,
    }
    code = compile(module, checked.document.mark.path, "exec")
    exec(code, names)  # noqa: S102 - a tree built here from checked syntax, no text
    return Compiled(names["m"], tuple(emitter.rules))


class _Emitter:
    def __init__(self, careful: bool) -> None:
        self._careful = careful
        self._block: list[ast.stmt] = []
        self._count = 0
        self.rules: list[Rule] = []
        self.lookups: set[str] = set()
        self.constants: dict[str, Any] = {}

    def module(self, checked: Checked) -> ast.Module:
        """A module with the one function `m`."""
        self._block = []
        for rule, place, code, many in checked.template.names:
            self._let(Let(rule, ((place, code, many),), Const(rule, None)))
        if checked.template.record is not None:
            found = self._struct(checked.template.record, always=True)
            self._do(ast.Return(found.code), checked.template.record.rule)
        else:
            self._block.append(assign("out", ast.List([], ast.Load())))
            for resource in checked.template.resources:
                self._resource(resource, resource.body)
            self._block.append(ast.Return(name("out")))
        if any(isinstance(one, ast.Name) and one.id == ENVIRONMENT for part in self._block for one in ast.walk(part)):
            self._block.insert(0, assign(ENVIRONMENT, ours("environment", name("run"))))
        if not self._careful:
            places = frozenset(table_place(checked.scope, one) for one in checked.scope.tables)
            plainer = Plainer(checked.types, places)
            self._block = plainer.body(self._block)
            self.lookups = plainer.used
        module = ast.parse(f"def m({ROOT_PLACE}, run): pass")  # the frame alone; its fields differ between Pythons
        function = module.body[0]
        if isinstance(function, ast.FunctionDef):
            function.body = self._block
        return ast.fix_missing_locations(module)

    # --- resources ------------------------------------------------------------------------------------------------

    def _resource(self, resource: Resource, node: Node) -> None:
        match node:
            case Each():
                self._each(node, lambda: self._resource(resource, node.body))
            case Let():
                self._let(node)
                self._resource(resource, node.body)
            case If():
                self._if(node, lambda: self._resource(resource, node.body))
            case Struct():
                found = self._struct(node, always=True)
                url = self._guarded(resource.url, resource.rule) if resource.url else ast.Constant(None)
                parts = [self._guarded(code, resource.rule) for _, code in resource.request]
                request = ast.Dict([ast.Constant(key) for key, _ in resource.request], parts)
                entry = ast.Tuple([ast.Constant(resource.name), found.code, url, request], ast.Load())
                if resource.extract is None:
                    self._do(ast.Expr(method("out", "append", entry)), resource.rule)
                else:
                    self._extracted(resource, resource.extract, entry)

    def _extracted(self, resource: Resource, extract: Extract, entry: ast.expr) -> None:
        """The response, and after it what is extracted from it."""
        place = self._fresh()
        self._do(assign(place, entry), resource.rule)
        self._do(ast.Expr(method("out", "append", name(place))), resource.rule)
        made, url = (ast.Subscript(name(place), ast.Constant(at), ast.Load()) for at in (1, 2))
        parts = ast.Tuple(list(extract.parts), ast.Load())
        found = method(extract.form, "observations", made, url, name(extract.seed), parts, ast.Constant(extract.mode))
        if self._careful:
            found = self._careful_value(found, resource.rule, ast.List([], ast.Load()))
        request = ast.Constant(bool(resource.request))
        entries = ours("extracted", ast.Constant(f"{resource.name}.$extract"), found, request)
        self._do(ast.Expr(method("out", "extend", entries)), resource.rule)

    def _answers(self, node: Answers) -> _Value:
        given: list[ast.expr] = []
        for answer in node.answers:
            values: ast.expr = ast.List([one for one, many in answer.codes if not many], ast.Load())
            for one, many in answer.codes:
                values = ast.BinOp(values, ast.Add(), one) if many else values
            if self._careful:
                values = self._careful_value(values, answer.rule, ast.List([], ast.Load()))
            words = [ast.Constant(answer.number), ast.Constant(answer.absent)]
            given.append(ast.Tuple([ast.Constant(answer.link_id), values, *words], ast.Load()))
        code: ast.expr = method(node.form, "items", ast.List(given, ast.Load()))
        if self._careful:
            code = self._careful_value(code, node.rule, ast.Constant(None))
        return self._named(at_rule(code, node.rule), node.rule)

    def _guarded(self, code: ast.expr, rule: Rule) -> ast.expr:
        if isinstance(code, ast.Constant) or not self._careful:
            return code
        return self._careful_value(code, rule, ast.Constant(None))

    # --- control --------------------------------------------------------------------------------------------------

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

    # --- values ---------------------------------------------------------------------------------------------------

    def _value(self, node: Node) -> _Value:
        """The code of a node that gives at most one value (a list for Items)."""
        match node:
            case Const():
                return _Value(literal(node.value), False, False)
            case Leaf():
                return self._leaf(node)
            case Struct():
                return self._struct(node)
            case Items():
                return self._items(node)
            case Answers():
                return self._answers(node)
            case Let():
                self._let(node)
                return self._value(node.body)
            case If():
                place = self._fresh()
                self._block.append(assign(place, ast.Constant(None)))
                self._if(node, lambda: self._block.append(assign(place, self._value(node.body).code)))
                return _maybe(name(place))
        what = f"{type(node).__name__} stands only in a list"
        raise TypeError(what)

    def _leaf(self, node: Leaf) -> _Value:
        code = self._checked(node)
        if self._careful:
            default = ast.List([], ast.Load()) if node.many else ast.Constant(None)
            code = self._careful_value(code, node.rule, default)
            return _maybe(code)
        if not node.nullable and not node.many:
            return _Value(code, False, True)
        place = self._fresh()
        self._do(assign(place, code), node.rule)
        return _maybe(name(place))

    def _checked(self, node: Leaf) -> ast.expr:
        """The expression with what happens to its value on the way: blanks dropped, form checked, wrapped, copied."""
        code = node.code
        if node.blank:
            code = ours("filled", code) if node.many else ast.BoolOp(ast.Or(), [code, ast.Constant(None)])
        checker: Callable[[Any], Any] | None = None
        if node.field is not None:
            checker = values.field_checker(node.field)
        elif node.form is not None or node.codes is not None:
            checker = values.form_checker(node.form, node.codes)
        if checker is not None:
            place = f"k_{len(self.constants)}"
            self.constants[place] = checker
            code = ours("each", name(place), code) if node.many else ast.Call(name(place), [code], [])
        if node.wrap:
            code = ours("each", name("g_wrapped"), code) if node.many else ours("wrapped", code)
        elif node.copy:
            code = ours("each", name("g_copied"), code) if node.many else ours("copied", code)
        return at_rule(code, node.rule)

    def _struct(self, node: Struct, *, always: bool = False) -> _Value:
        parts = [part for key, child in node.entries for part in self._parts(key, child)]
        always = always or node.keep or not is_dynamic(node) or any(part.alive is True for *_, part in parts)
        missing = self._missing(node, parts)
        if always and not any(part.nullable for *_, part in parts):
            code = ast.Dict([ast.Constant(key) for key, *_ in parts], [part.code for *_, part in parts])
            return _Value(code, False, is_dynamic(node))
        place = self._fresh()
        if always:
            self._build(place, parts, missing, node)
            return _Value(name(place), False, is_dynamic(node))
        alive = [part.alive for *_, part in parts if isinstance(part.alive, ast.expr)]
        if len(alive) == 1:  # the structure is there exactly when this part is: no second test inside
            parts = [(key, child, replace(part, nullable=False) if part.own else part) for key, child, part in parts]
            missing = self._missing(node, parts)
        self._block.append(assign(place, ast.Constant(None)))
        inside = self._inside(lambda: self._build(place, parts, missing, node))
        test = ast.BoolOp(ast.Or(), alive) if len(alive) > 1 else alive[0]
        self._do(ast.If(test, inside, []), node.rule)
        return _maybe(name(place))

    def _missing(self, node: Struct, parts: list[tuple[str, Node, _Value]]) -> list[tuple[str, Node]]:
        needed = [(key, child, part) for key, child, part in parts if key in node.needed and part.nullable]
        return [(key, child) for key, child, _ in needed if not (is_paired(child) and is_present(child))]

    def _parts(self, key: str, node: Node) -> list[tuple[str, Node, _Value]]:
        """The value of an element, and what stands beside it under `_name`."""
        if not is_paired(node):
            return [(key, node, self._value(node))]
        value, extra = self._pair(node)
        both = [(key, node, value), (f"_{key}", node, extra)]
        return [part for part in both if not (isinstance(part[2].code, ast.Constant) and part[2].code.value is None)]

    def _pair(self, node: Node) -> tuple[_Value, _Value]:
        match node:
            case Pair():
                return self._beside(node)
            case Items():
                values, extras = self._fresh(), self._fresh()
                self._block += [assign(values, ast.List([], ast.Load())), assign(extras, ast.List([], ast.Load()))]
                for child in node.nodes:
                    self._collect_pair(child, values, extras)
                lists = [self._named(ours("present", name(one)), node.rule) for one in (values, extras)]
                return lists[0], lists[1]
            case Let():
                self._let(node)
                return self._pair(node.body)
            case If():
                places = self._fresh(), self._fresh()
                self._block += [assign(place, ast.Constant(None)) for place in places]
                self._if(node, lambda: self._put_pair(node.body, places))
                return _maybe(name(places[0])), _maybe(name(places[1]))
        return self._value(node), _Value(ast.Constant(None), True, False)

    def _put_pair(self, node: Node, places: tuple[str, str]) -> None:
        self._block += [assign(place, one.code) for place, one in zip(places, self._pair(node), strict=True)]

    def _beside(self, node: Pair) -> tuple[_Value, _Value]:
        nothing = _Value(ast.Constant(None), True, False)
        value = self._value(node.value) if node.value is not None else nothing
        extra = self._value(node.extra) if node.extra is not None else nothing
        if node.absent is None or not value.nullable:
            return value, extra
        place = self._fresh()
        self._do(assign(place, extra.code), node.rule)
        gap = assign(place, ours("absent", name(place), ast.Constant(node.absent)))
        self._do(ast.If(ast.Compare(value.code, [ast.Is()], [ast.Constant(None)]), [gap], []), node.rule)
        return value, _maybe(name(place))

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

    def _build(
        self, place: str, parts: list[tuple[str, Node, _Value]], missing: list[tuple[str, Node]], node: Struct
    ) -> None:
        """Statements that fill `place` in the order of the template."""
        sure = next((at for at, (*_, part) in enumerate(parts) if part.nullable), len(parts))
        start = ast.Dict([ast.Constant(key) for key, *_ in parts[:sure]], [part.code for *_, part in parts[:sure]])
        self._do(assign(place, start), node.rule)
        needed = {key for key, _ in missing}
        for key, child, part in parts[sure:]:
            target = ast.Subscript(name(place), ast.Constant(key), ast.Store())
            put: ast.stmt = ast.Assign([target], part.code)
            if part.nullable:
                number = self._rule(Rule(child.rule.mark, child.rule.address)) if key in needed else -1
                otherwise: list[ast.stmt] = []
                if key in needed:
                    otherwise = [ast.Expr(method("run", "missing", ast.Constant(number)))]
                put = ast.If(is_there(part.code), [put], otherwise)
            self._do(put, child.rule)

    def _items(self, node: Items) -> _Value:
        if len(node.nodes) == 1 and isinstance(node.nodes[0], Leaf) and node.nodes[0].many:
            found = self._leaf(node.nodes[0])
            return self._named(ours("some", found.code), node.rule)
        if (
            all(isinstance(child, (Const, Struct, Leaf)) and is_present(child) for child in node.nodes)
            and not self._careful
        ):
            parts = [self._value(child) for child in node.nodes]
            return _Value(ast.List([part.code for part in parts], ast.Load()), False, is_alive(node))
        place = self._fresh()
        flag = self._fresh() if any(not is_dynamic(child) for child in node.nodes) else None
        self._block.append(assign(place, ast.List([], ast.Load())))
        if flag:
            self._block.append(assign(flag, ast.Constant(False)))
        for child in node.nodes:
            self._collect(child, place, flag)
        if is_present(node) and not self._careful:
            alive: ast.expr | bool = True if is_alive(node) else name(flag) if flag and is_dynamic(node) else False
            return _Value(name(place), False, alive)
        found = self._named(ast.BoolOp(ast.Or(), [name(place), ast.Constant(None)]), node.rule)
        if flag:
            return replace(found, alive=name(flag) if is_dynamic(node) else False, own=False)
        return found

    def _collect(self, node: Node, place: str, flag: str | None, counts: bool = False) -> None:
        """Put what a node gives into the list `place`; `flag` becomes True when an expression gave something.

        counts  constants count too: a $if or $each decided that they are there
        """
        match node:
            case Each():
                self._each(node, lambda: self._collect(node.body, place, flag, True))
            case If():
                self._if(node, lambda: self._collect(node.body, place, flag, True))
            case Let():
                self._let(node)
                self._collect(node.body, place, flag, counts)
            case _:
                self._collect_value(node, place, flag if counts or is_dynamic(node) else None)

    def _collect_value(self, node: Node, place: str, flag: str | None) -> None:
        found = self._value(node)
        many = isinstance(node, Leaf) and node.many
        put: list[ast.stmt] = [ast.Expr(method(place, "extend" if many else "append", found.code))]
        if flag:
            put.append(assign(flag, ast.Constant(True)))
        if many:
            self._do(ast.If(found.code, put, []), node.rule)
        elif found.nullable:
            self._do(ast.If(is_there(found.code), put, []), node.rule)
        else:
            for statement in put:
                self._do(statement, node.rule)

    def _named(self, code: ast.expr, rule: Rule) -> _Value:
        place = self._fresh()
        self._do(assign(place, code), rule)
        return _maybe(name(place))

    # --- statements -----------------------------------------------------------------------------------------------

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


def _maybe(code: ast.expr) -> _Value:
    return _Value(code, True, is_there(code), own=True)


def _length(code: ast.expr) -> ast.expr:
    return ast.Call(name("len"), [code], [])
