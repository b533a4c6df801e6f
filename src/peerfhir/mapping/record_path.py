"""Where the records of a JSON document are: a path of names, and the pointer of each record it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from peerfhir.config import Node
from peerfhir.fhir.fhirpath.parser import Expression, Index, Literal, Member, Special, parse
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.problems import Problems

Json = Any


@dataclass(frozen=True)
class RecordPath:
    """The steps from the document to its records: names, and positions in lists."""

    steps: tuple[str | int, ...]

    def there(self, document: Json) -> bool:
        """Whether the document has the place at all; an empty list is a place without records."""
        here = [document]
        for step in self.steps:
            if isinstance(step, str):
                here = [one[step] for one in here if isinstance(one, dict) and step in one]
        return bool(here)

    def found(self, document: Json) -> Iterator[tuple[str, Json]]:
        """JSON pointer and value of each record, in order; the items of lists one by one."""
        here = list(items("", document))
        for step in self.steps:
            if isinstance(step, int):
                here = here[step : step + 1]
                continue
            objects = [(at, value) for at, value in here if isinstance(value, dict) and step in value]
            here = [one for at, value in objects for one in items(f"{at}/{_escaped(step)}", value[step])]
        for at, value in here:
            yield at or "/", value


def items(pointer: str, value: Json) -> Iterator[tuple[str, Json]]:
    """A value, or the items of a list and of the lists in it, each with its pointer; null is nothing."""
    if isinstance(value, list):
        for at, one in enumerate(value):
            yield from items(f"{pointer}/{at}", one)
    elif value is not None:
        yield pointer, value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


class Records(Protocol):
    """Where the records of a document are."""

    def there(self, document: Json) -> bool:
        """Whether the document has the place at all."""
        ...

    def found(self, document: Json) -> Iterator[tuple[str, Json]]:
        """JSON pointer and value of each record. Raises EvaluationProblem."""
        ...


def read_path(node: Node, problems: Problems) -> Records | None:
    """What `record:` says: a path, or any other expression; None after noting what is wrong with it."""
    text = str(node.raw).removeprefix("=").strip()
    try:
        tree = parse(text)
        try:
            return RecordPath(tuple(steps_of(tree)))
        except ExpressionProblem:
            from peerfhir.mapping.record_query import query  # the whole of FHIRPath, for the few that need it

            return query(text)
    except ExpressionProblem as problem:
        problems.add(node.mark, problem.rule, "source.record", problem.what, problem.hint)
        return None


def steps_of(tree: Expression) -> list[str | int]:
    """The steps of a plain path.

    Raises  ExpressionProblem PM122 for any other expression
    """
    if isinstance(tree, Special) and tree.name.endswith("this"):
        return []
    if isinstance(tree, Member):
        return [*(steps_of(tree.base) if tree.base is not None else []), tree.name]
    if isinstance(tree, Index) and isinstance(tree.index, Literal) and type(tree.index.value) is int:
        return [*steps_of(tree.base), tree.index.value]
    raise ExpressionProblem("PM122", getattr(tree, "offset", 0), "this is more than a path")
