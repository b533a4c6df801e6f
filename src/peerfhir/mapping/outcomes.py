"""What every node of a mapping gave for one record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from peerfhir.mapping.tree import Rule

Json = Any
Path = tuple[str | int, ...]
Below = list[tuple["str | int | None", "Outcome"]]


@dataclass(slots=True)
class Outcome:
    """What one node gave.

    kind   constant, expression, structure, list, each, if or let
    value  None when it is absent; a list for a list, and for an expression with many values
    alive  whether an expression below it gave something
    why    for what is absent: empty, hollow (all its expressions are empty), false (its $if) or none (its $each)
    below  what stands inside, each with its key, its place in a list, or None when it passes its value on
    span   in a list: how many items it gave
    turns  the positions of the $each around it, outermost first
    """

    rule: Rule
    kind: str
    value: Json | None
    alive: bool = False
    why: str = ""
    below: list[tuple[str | int | None, Outcome]] = field(default_factory=list)
    span: int = 0
    turns: tuple[int, ...] = ()

    @property
    def is_there(self) -> bool:
        return self.value is not None and self.value != []

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Outcome]]:
        """Itself and everything below it, with paths from here in the output; what is absent ends its branch."""
        yield path, self
        if self.is_there or self.kind in ("each", "if", "let"):
            for step, one in self.below:
                yield from one.walk(path if step is None else (*path, step))


@dataclass(frozen=True, slots=True)
class Made:
    """One resource of a traced run: its name in the document, how manieth of that name, and what its nodes gave."""

    name: str
    at: int
    full_url: str | None
    request: Mapping[str, Json]
    outcome: Outcome


@dataclass(frozen=True)
class Trace:
    """One record, mapped with every step kept.

    made      the resources in document order; for a from-fhir mapping the one record
    control   the outcomes of $each, $if and $let around resources, by the resource's name
    used      code map -> the local codes that were looked up ("" for no value)
    chosen    place, number and branch of every iif() that was decided
    decided   place and branch of every $if that was decided
    """

    made: tuple[Made, ...]
    control: tuple[tuple[str, Outcome], ...]
    used: Mapping[str, frozenset[str]]
    chosen: frozenset[tuple[str, int, bool]]
    decided: frozenset[tuple[str, bool]] = frozenset()
