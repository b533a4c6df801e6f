"""FHIRPath of mappings: an expression -> a typed Python expression over the places of a record."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from peerfhir.fhir.fhirpath.emitter import ROOTS, WELL_KNOWN, Emitter, Start
from peerfhir.fhir.fhirpath.made import ENVIRONMENT, Made, call, function_of, name, outward
from peerfhir.fhir.fhirpath.parser import parse
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.fhir.fhirpath.types import Bound, Scope, Shape, Static

ROOT_PLACE = "record"  # the Python name of the context in compiled code


@dataclass(frozen=True, slots=True)
class Emitted:
    """An expression as Python.

    code      gives None or a value when at most one is possible, else a list; values as JSON has them
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

    It also refers to the name `environment`, which `runtime` binds; a local name of that kind takes its place and
    brings the time of now().

    Raises  ExpressionProblem with rule and offset
    """
    context = Made(name(ROOT_PLACE), scope.root, native=True)
    emitter = Emitter(scope, Start(context))
    parsed = parse(text)
    try:
        made = emitter.visit(parsed, emitter.root)
    except ExpressionProblem as problem:
        problem.uses = tuple(emitter.uses)
        raise
    code = outward(made)
    if emitter.defines:
        fresh = ast.Call(ast.Attribute(name(ENVIRONMENT), "fresh", ast.Load()), [], [])
        code = ast.Call(function_of([ENVIRONMENT], code), [fresh], [])
    return Emitted(code, made.type, made.constant, tuple(emitter.uses), tuple(emitter.findings))


def runtime(scope: Scope) -> dict[str, Any]:
    """The names that code emitted in this scope refers to, for the globals of the compiled module."""
    from peerfhir.fhir.fhirpath import runtime as library
    from peerfhir.fhir.fhirpath.environment import Environment
    from peerfhir.fhir.fhirpath.model import model_of

    model = model_of(scope.definitions)
    names = library.names(model) | scope.tables_by_place()
    names[ENVIRONMENT] = Environment(model)
    return names


def table_place(scope: Scope, table: str) -> str:
    """The Python name of a code map's translate function."""
    return f"m_{list(scope.tables).index(table)}"


class Expressions:
    """Expressions of one scope as functions (context, variables) -> list, each compiled once."""

    def __init__(self, scope: Scope) -> None:
        places = {word: replace(bound, place=f"v_{at}") for at, (word, bound) in enumerate(scope.variables.items())}
        self._scope = replace(scope, variables=places)
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
        found = emit(text, self._scope)
        result = found.code if found.type.card == "many" else call("listed", found.code)
        places = [bound.place for bound in self._scope.variables.values()]
        tree = ast.fix_missing_locations(ast.Expression(function_of([ROOT_PLACE, *places], result)))
        names = list(self._scope.variables)
        code = compile(tree, "<fhirpath>", "eval")
        inner = eval(code, runtime(self._scope))  # noqa: S307 - a tree built here from checked syntax, no text
        return lambda context, variables: inner(context, *(variables.get(word) for word in names))


__all__ = [
    "ROOTS", "ROOT_PLACE", "WELL_KNOWN", "Bound", "Emitted", "Expressions", "Scope", "Static", "call", "emit", "name",
    "runtime", "table_place",
]  # fmt: skip
