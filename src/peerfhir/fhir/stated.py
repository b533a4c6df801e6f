"""The invariants of R4 that only FHIRPath says: those of the types for which `rules` and `invariants` have none."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from peerfhir.fhir import definitions
from peerfhir.fhir.constraints import Constraint, Slot
from peerfhir.fhir.invariants import unchecked
from peerfhir.fhir.schema import Base, r4

_MOST_NESTED = 4  # of one kind in itself: parts of parts, codes below codes


@cache
def constraints_of_type(name: str) -> tuple[Constraint, ...]:
    """What the definition of a resource type says of it and of its elements; empty where Python says it all.

    Source  R4, StructureDefinition.snapshot.element.constraint
    """
    base = r4()
    return tuple(_below(base, name, (), ())) if name in base.resources and unchecked(name, base) else ()


def _below(base: Base, kind: str, steps: tuple[tuple[Slot, ...], ...], around: tuple[str, ...]) -> Iterator[Constraint]:
    wanted = unchecked(kind.split(".")[0], base)
    for key, severity, human, expression in _rows(kind):
        if key in wanted:
            yield Constraint(key, severity, human, expression, steps)
    for slot in base.slots(kind).values():
        for inner in slot.types:
            is_asked = base.is_type(inner) and inner not in base.resources and unchecked(inner.split(".")[0], base)
            if is_asked and around.count(inner) < _MOST_NESTED:
                way = ((slot.key(inner), inner, None),)
                yield from _below(base, inner, (*steps, way), (*around, inner))


def _rows(kind: str) -> Iterator[tuple[str, str, str, str]]:
    """Key, severity, sentence and FHIRPath of what is stated at a type or a backbone element."""
    known = definitions.invariants()
    name = "".join(part[:1].upper() + part[1:] for part in kind.split("."))
    for at in known["types"].get(name, ()):
        key, severity, human, expression = known["rules"][at]
        yield key, severity, human, expression
