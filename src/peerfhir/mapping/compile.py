"""A checked document -> one Python function, built as a syntax tree whose lines are those of the YAML."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from peerfhir.fhir.fhirpath.compile import ROOT_PLACE, name, runtime, table_place
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.made import ENVIRONMENT
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping import primitives, values
from peerfhir.mapping.answers import Answering, extracted
from peerfhir.mapping.blocks import Value, maybe
from peerfhir.mapping.check import Checked
from peerfhir.mapping.identity import seed
from peerfhir.mapping.pairs import Pairs
from peerfhir.mapping.plainer import Plainer, lookups
from peerfhir.mapping.resources import SEEDS
from peerfhir.mapping.snippets import assign, at_rule, is_there, literal, located, method, ours
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
    Resource,
    Rule,
    Struct,
    is_alive,
    is_dynamic,
    is_present,
)

# (name, resource, fullUrl or None, request) of each resource, in order; or the record of a from-fhir mapping
Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Compiled:
    """The function of one mapping (record, run) -> result, and the rules that its errors point to."""

    function: Function
    rules: tuple[Rule, ...]


def names_of(checked: Checked) -> dict[str, Any]:
    """What the code of a mapping finds by name, however it is built: functions, questionnaires, hashes."""
    forms = [(at, form) for at, form in enumerate(checked.forms.values()) if form.id in checked.instruments]
    return {
        **runtime(checked.scope),
        **values.RUNTIME,
        **{f"q_{at}": Answering(form) for at, form in forms},
        **{SEEDS.format(at): seed(checked.document.id, resource) for at, resource in enumerate(checked.heads)},
    }


def compiled(checked: Checked, *, careful: bool = False) -> Compiled:
    """The function of a checked document.

    careful  each rule fails by itself, so that every error of a record is found; slower, for records that failed
    """
    emitter = _Emitter(careful)
    module = emitter.module(checked)
    names = names_of(checked) | emitter.constants | lookups(checked.scope, frozenset(emitter.lookups))
    surroundings: Environment = names[ENVIRONMENT]
    names["g_environment"] = lambda run: replace(surroundings, now=run.now, watch=run.watch)
    names |= {
        "g_EvaluationProblem": EvaluationProblem,
        "g_absent": primitives.absent,
        "g_present": primitives.present,
        "g_extracted": extracted,
        "g_one_of": one_of,
        "g_written": written,
    }
    code = compile(module, checked.document.mark.path, "exec")
    exec(code, names)  # noqa: S102 - a tree built here from checked syntax, no text
    return Compiled(names["m"], tuple(emitter.rules))


class _Emitter(Pairs):
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
        if self._names(checked) >= {ENVIRONMENT}:
            self._block.insert(0, assign(ENVIRONMENT, ours("environment", name("run"))))
        module = ast.parse(f"def m({ROOT_PLACE}, run): pass")  # the frame alone; its fields differ between Pythons
        function = module.body[0]
        if isinstance(function, ast.FunctionDef):
            function.body = self._block
        return located(module)

    def _names(self, checked: Checked) -> set[str]:
        """Make the plain build plainer; every name that the code reads."""
        if self._careful:
            return {one.id for part in self._block for one in ast.walk(part) if isinstance(one, ast.Name)}
        plainer = Plainer(checked.types, frozenset(table_place(checked.scope, one) for one in checked.scope.tables))
        self._block = plainer.body(self._block)
        self.lookups = plainer.used
        return plainer.names

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

    def _answers(self, node: Answers) -> Value:
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

    # --- values ---------------------------------------------------------------------------------------------------

    def _value(self, node: Node) -> Value:
        """The code of a node that gives at most one value (a list for Items)."""
        match node:
            case Const():
                return Value(literal(node.value), False, False)
            case Leaf():
                return self._leaf(node)
            case Struct():
                return self._struct(node)
            case Items():
                return self._limited(node, self._items(node))
            case Answers():
                return self._answers(node)
            case Let():
                self._let(node)
                return self._value(node.body)
            case If():
                place = self._fresh()
                self._block.append(assign(place, ast.Constant(None)))
                self._if(node, lambda: self._block.append(assign(place, self._value(node.body).code)))
                return maybe(name(place))
        what = f"{type(node).__name__} stands only in a list"
        raise TypeError(what)

    def _leaf(self, node: Leaf) -> Value:
        code = self._checked(node)
        if self._careful:
            default = ast.List([], ast.Load()) if node.many else ast.Constant(None)
            code = self._careful_value(code, node.rule, default)
            return maybe(code)
        if not node.nullable and not node.many:
            return Value(code, False, True)
        place = self._fresh()
        self._do(assign(place, code), node.rule)
        return maybe(name(place))

    def _checked(self, node: Leaf) -> ast.expr:
        """The expression with what happens to its value on the way: blanks dropped, form checked, wrapped, copied."""
        code = node.code
        if node.blank:
            # a field the reader has looked at, or a record that may hold what it likes
            read = isinstance(code, ast.Subscript) or node.field is not None
            one = ast.BoolOp(ast.Or(), [code, ast.Constant(None)]) if read else ours("written", code)
            code = ours("filled", code) if node.many else one
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

    def _struct(self, node: Struct, *, always: bool = False) -> Value:
        parts = [part for key, child in node.entries for part in self._parts(key, child)]
        always = always or node.keep or not is_dynamic(node) or any(part.alive is True for *_, part in parts)
        missing = self._missing(node, parts)
        if always and not any(part.nullable for *_, part in parts):
            code = ast.Dict([ast.Constant(key) for key, *_ in parts], [part.code for *_, part in parts])
            return Value(code, False, is_dynamic(node))
        place = self._fresh()
        if always:
            self._build(place, parts, missing, node)
            return Value(name(place), False, is_dynamic(node))
        alive = [part.alive for *_, part in parts if isinstance(part.alive, ast.expr)]
        if len(alive) == 1:  # the structure is there exactly when this part is: no second test inside
            parts = [(key, child, replace(part, nullable=False) if part.own else part) for key, child, part in parts]
            missing = self._missing(node, parts)
        self._block.append(assign(place, ast.Constant(None)))
        inside = self._inside(lambda: self._build(place, parts, missing, node))
        test = ast.BoolOp(ast.Or(), alive) if len(alive) > 1 else alive[0]
        self._do(ast.If(test, inside, []), node.rule)
        return maybe(name(place))

    def _build(
        self, place: str, parts: list[tuple[str, Node, Value]], missing: list[tuple[str, Node]], node: Struct
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
        for keys in node.either:
            one_of = ours("one_of", name(place), ast.Tuple([ast.Constant(key) for key in keys], ast.Load()))
            code = self._careful_value(one_of, node.rule, ast.Constant(None)) if self._careful else one_of
            self._do(ast.Expr(code), node.rule)

    def _items(self, node: Items) -> Value:
        if len(node.nodes) == 1 and isinstance(node.nodes[0], Leaf) and node.nodes[0].many:
            found = self._leaf(node.nodes[0])
            return self._named(ours("some", found.code), node.rule)
        if (
            all(isinstance(child, (Const, Struct, Leaf)) and is_present(child) for child in node.nodes)
            and not self._careful
        ):
            parts = [self._value(child) for child in node.nodes]
            return Value(ast.List([part.code for part in parts], ast.Load()), False, is_alive(node))
        place = self._fresh()
        flag = self._fresh() if any(not is_dynamic(child) for child in node.nodes) else None
        self._block.append(assign(place, ast.List([], ast.Load())))
        if flag:
            self._block.append(assign(flag, ast.Constant(False)))
        for child in node.nodes:
            self._collect(child, place, flag)
        if is_present(node) and not self._careful:
            alive: ast.expr | bool = True if is_alive(node) else name(flag) if flag and is_dynamic(node) else False
            return Value(name(place), False, alive)
        found = self._named(ast.BoolOp(ast.Or(), [name(place), ast.Constant(None)]), node.rule)
        if flag:
            return replace(found, alive=name(flag) if is_dynamic(node) else False, own=False)
        return found

    def _limited(self, node: Items, found: Value) -> Value:
        """The list after a look at its length, where more than the profile allows can be made."""
        if node.most is None:
            return found
        code = at_rule(ours("at_most", found.code, ast.Constant(node.most)), node.rule)
        if self._careful:
            code = self._careful_value(code, node.rule, ast.Constant(None))
        return replace(found, code=self._named(code, node.rule).code)

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
        many = isinstance(node, Items) or (isinstance(node, Leaf) and node.many)
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


def written(value: Any) -> Any:
    """A text that an expression made; None for ''. Raises EvaluationProblem PM720 for blanks alone."""
    if type(value) is str and value.isspace():
        raise EvaluationProblem("PM720", "a text is more than blanks")
    return value or None


def one_of(made: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Raises EvaluationProblem PM723 where a structure holds more than one of these keys."""
    if sum(key in made for key in keys) > 1:
        raise EvaluationProblem(
            "PM723", f"{' and '.join(keys)} are spellings of one element, and more than one is made"
        )
