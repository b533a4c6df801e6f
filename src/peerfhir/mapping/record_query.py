"""Where the records of a JSON document are, when a path does not say it: FHIRPath over JSON that declares nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath import runtime
from peerfhir.fhir.fhirpath.emitter import Emitter, Start
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.made import ENVIRONMENT, Focus, Made, function_of, listed, name
from peerfhir.fhir.fhirpath.model import Item, Model, Value
from peerfhir.fhir.fhirpath.parser import Call, Expression, children, parse
from peerfhir.fhir.fhirpath.problems import EvaluationProblem, ExpressionProblem
from peerfhir.fhir.fhirpath.standard import Run as Function
from peerfhir.fhir.fhirpath.types import OPEN, UNKNOWN, Scope
from peerfhir.mapping.evaluation import Run
from peerfhir.mapping.record_path import RecordPath, items, steps_of

Json = Any
_TIMES = frozenset(("now", "today", "timeOfDay"))
_CONTEXT = "root"
MAX_SECONDS = 5.0  # of work to find the records of a document


class _Undeclared(Model):
    """JSON without types: a name is a key of an object, and a list is its items."""

    def step(self, items: Sequence[Value], name: str) -> list[Value]:
        """Everything under one key."""
        objects = [one for one in items if type(one) is Item and name in one.value]
        return [found for one in objects for found in _below(one.value[name], one)]

    def children(self, item: Value) -> list[Value]:
        """Everything one level below."""
        if type(item) is not Item:
            return []
        return [found for value in item.value.values() for found in _below(value, item)]


def _below(value: Json, parent: Item | None) -> Iterator[Value]:
    for _, one in items("", value):
        yield Item(one, UNKNOWN, None, parent) if type(one) is dict else one


@cache
def _model() -> Model:
    return _Undeclared(r4())


@dataclass(frozen=True)
class RecordQuery:
    """An expression that gives objects of the document.

    run    the compiled expression
    start  the path it begins with, for the question whether the document has the place at all
    """

    text: str
    run: Function
    start: RecordPath

    def there(self, document: Json) -> bool:
        """Whether the document has the place that the expression begins with."""
        return self.start.there(document)

    def found(self, document: Json) -> Iterator[tuple[str, Json]]:
        """JSON pointer and value of each record, in the order of the expression; what is no object has no pointer.

        Raises  EvaluationProblem
        """
        environment = Environment(_model(), watch=Run(seconds=MAX_SECONDS).watch)
        try:
            values = self.run(environment, list(_below(document, None)))
            found = [one.value if type(one) is Item else one for one in values]
            places: Mapping[int, str] = dict(_places("", document)) if found else {}
        except RecursionError:
            raise EvaluationProblem("PM750", "the document is nested too deep for the expression") from None
        for value in found:
            yield places.get(id(value), "/") if type(value) is dict else "/", value


def _places(pointer: str, value: Json) -> Iterator[tuple[int, str]]:
    """Identity and pointer of every object."""
    for at, one in items(pointer, value):
        if type(one) is dict:
            yield id(one), at or "/"
            for key, below in one.items():
                yield from _places(f"{at}/{key.replace('~', '~0').replace('/', '~1')}", below)


def query(text: str) -> RecordQuery:
    """The query of an expression.

    Raises  ExpressionProblem with rule and offset
    """
    tree = parse(text)
    if (call := _time(tree)) is not None:
        raise ExpressionProblem("PM122", call.offset, "where records are does not depend on the time")
    context = Made(name(_CONTEXT), OPEN, "list")
    made = Emitter(Scope(OPEN, r4()), Start(context)).visit(tree, Focus(context))
    if UNKNOWN not in made.type.kinds:
        what = f"this gives {made.type.called()}; a record is an object of the document"
        raise ExpressionProblem("PM120", getattr(tree, "offset", 0), what, "data.referrals, or $this for a list")
    code = ast.fix_missing_locations(ast.Expression(function_of([ENVIRONMENT, _CONTEXT], listed(made))))
    run = eval(compile(code, "<record>", "eval"), runtime.names(_model()))  # noqa: S307 - a tree built here, no text
    return RecordQuery(text, run, RecordPath(tuple(_start(tree))))


def _start(tree: Expression) -> list[str | int]:
    """The longest plain path that the expression begins with."""
    while True:
        try:
            return steps_of(tree)
        except ExpressionProblem:
            base = getattr(tree, "base", None)
            if base is None:
                return []
            tree = base


def _time(tree: Expression) -> Call | None:
    if isinstance(tree, Call) and tree.name in _TIMES:
        return tree
    return next((found for one in children(tree) if (found := _time(one)) is not None), None)
