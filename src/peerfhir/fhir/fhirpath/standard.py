"""FHIRPath over FHIR: a text -> a path that gives a collection of items, compiled once for each model."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from peerfhir.fhir.fhirpath import runtime
from peerfhir.fhir.fhirpath.emitter import WELL_KNOWN, Emitter, Start
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.made import ENVIRONMENT, Made, around, function_of, listed, name
from peerfhir.fhir.fhirpath.model import Item, Model, Value
from peerfhir.fhir.fhirpath.parser import parse
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.types import EMPTY, OPEN, Scope, Static

MAX_KEPT = 4_096  # compiled paths of one model; the oldest go first
Run = Callable[[Environment, list[Value]], list[Value]]


@dataclass(frozen=True, slots=True)
class Path:
    """One expression, ready to run. Any number of threads may run it, each with its own environment.

    text  as it was written
    type  what it gives
    run   (environment, context as a collection) -> collection
    """

    text: str
    type: Static
    run: Run

    def __call__(self, context: Any, environment: Environment) -> list[Value]:
        """The values of the expression on a resource (JSON), an item, or nothing (None).

        Raises  EvaluationProblem
        """
        items: list[Value] = []
        if context is not None:
            items = [context if type(context) is Item else environment.model.root(context)]
            environment.context = items[0]
        try:
            return self.run(environment, items)
        except RecursionError:
            raise EvaluationProblem("PM750", "a structure that is nested too deeply is compared") from None


def path(text: str, scope: Scope, model: Model) -> Path:
    """An expression over FHIR; the same text in the same scope is compiled once for each model.

    Raises  ExpressionProblem with rule and offset
    """
    if scope.tables or scope.bands:
        return _compiled(text, scope, model)
    key = (text, _mark(scope))
    known = model.paths.get(key)
    if known is None:
        known = _compiled(text, scope, model)
        for old in list(model.paths)[: max(0, len(model.paths) - MAX_KEPT + 1)]:
            model.paths.pop(old, None)  # two threads may take the same one
        model.paths[key] = known
    found: Path = known
    return found


def _mark(scope: Scope) -> Hashable:
    """What of a scope an expression depends on."""
    variables = tuple((word, bound.type.kinds, bound.type.card) for word, bound in scope.variables.items())
    constants = (tuple(scope.constants.items()), tuple(scope.systems.items()))
    return (scope.root.kinds, scope.dialect.name, scope.strict, variables, constants)


def _compiled(text: str, scope: Scope, model: Model) -> Path:
    root = scope.root.as_card("opt") if scope.root.kinds else EMPTY
    resource, outer = (ast.Attribute(name(ENVIRONMENT), word, ast.Load()) for word in ("resource", "root"))
    start = Start(
        Made(name("root"), root, "list"),
        Made(around("of_resource", resource), OPEN.as_card("opt"), "list"),
        Made(around("of_resource", ast.BoolOp(ast.Or(), [outer, resource])), OPEN.as_card("opt"), "list"),
    )
    emitter = Emitter(scope, start)
    made = emitter.visit(parse(text), emitter.root)
    tree = ast.fix_missing_locations(ast.Expression(function_of([ENVIRONMENT, "root"], listed(made))))
    code = compile(tree, "<fhirpath>", "eval")
    run: Run = eval(code, runtime.names(model) | scope.tables_by_place())  # noqa: S307 - a tree built here from checked syntax, no text
    return Path(text, made.type, run)


__all__ = ["WELL_KNOWN", "Path", "path"]
