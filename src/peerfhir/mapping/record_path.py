"""Where the records of a JSON document are: a path of names, and the pointer of each record it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
        here = list(_items("", document))
        for step in self.steps:
            if isinstance(step, int):
                here = here[step : step + 1]
                continue
            objects = [(at, value) for at, value in here if isinstance(value, dict) and step in value]
            here = [one for at, value in objects for one in _items(f"{at}/{_escaped(step)}", value[step])]
        for at, value in here:
            yield at or "/", value


def _items(pointer: str, value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, list):
        for at, one in enumerate(value):
            yield from _items(f"{pointer}/{at}", one)
    elif value is not None:
        yield pointer, value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def read_path(node: Node, problems: Problems) -> RecordPath | None:
    """The path of `record:`, or None after noting why it is none."""
    try:
        return RecordPath(tuple(_steps(parse(str(node.raw).removeprefix("=").strip()))))
    except ExpressionProblem as problem:
        problems.add(node.mark, problem.rule, "source.record", problem.what, problem.hint)
        return None


def _steps(tree: Expression) -> list[str | int]:
    if isinstance(tree, Special) and tree.name.endswith("this"):
        return []
    if isinstance(tree, Member):
        return [*(_steps(tree.base) if tree.base is not None else []), tree.name]
    if isinstance(tree, Index) and isinstance(tree.index, Literal) and type(tree.index.value) is int:
        return [*_steps(tree.base), tree.index.value]
    what = "the records of a document are named by a path: data.referrals, or $this for a list"
    raise ExpressionProblem("PM122", getattr(tree, "offset", 0), what)
