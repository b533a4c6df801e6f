"""What is known of types before there is a value: families, what a name means below, what a type name can mean."""

from __future__ import annotations

from dataclasses import replace

from peerfhir.fhir.definitions import PRIMITIVES
from peerfhir.fhir.fhirpath.profiled import narrowed
from peerfhir.fhir.fhirpath.types import OPEN, UNKNOWN, Card, Scope, Static, joined, made, system

_FAMILIES = {"Integer": "number", "Decimal": "number", "Date": "moment", "DateTime": "moment"}
QUANTITIES = frozenset(("Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity"))
TEMPORAL = frozenset(("date", "dateTime", "instant", "time"))
# below these stands what only the data knows
_ABSTRACT = frozenset(("Resource", "DomainResource", "Element", "BackboneElement"))
_INSIDE = {
    "Quantity": {"value": "decimal", "unit": "string"},
    "TypeInfo": {"namespace": "string", "name": "string"},
}
_KIND_OF = {
    "String": "string", "Integer": "integer", "Decimal": "decimal", "Boolean": "boolean", "Date": "date",
    "DateTime": "dateTime", "Time": "time", "Long": "integer",
}  # fmt: skip


def is_known(static: Static) -> bool:
    """Whether every type it can have is known."""
    return UNKNOWN not in static.kinds


def families(static: Static) -> frozenset[str] | None:
    """Number, String, moment ... of every type it can have; None when one is unknown."""
    return frozenset(_family(kind) for kind in static.kinds) if is_known(static) else None


def _family(kind: str) -> str:
    if kind in QUANTITIES:
        return "Quantity"
    name = system(kind)
    return _FAMILIES.get(name, name)


def of_system(name: str, card: Card = "opt") -> Static:
    """A System type by its name in the standard."""
    return made(_KIND_OF.get(name, name), card)


def below(scope: Scope, base: Static, name: str) -> Static | None:
    """What a name means below a value; None when it means nothing there."""
    if not is_known(base):
        return OPEN
    if base.shape is not None:
        step = scope.step(base, name)
        return step.type if step else None
    found: Static | None = None
    for kind in base.kinds:
        inner = _below(scope, kind, base.sure, name)
        if inner is not None:
            found = inner if found is None else joined(found, inner)
    if found is None:
        return None if base.kinds else base
    card: Card = "many" if "many" in (found.card, base.card) else "opt"
    found = replace(found, card=card, ordered=base.ordered)
    return found if base.profile is None else narrowed(found, base, name)


def _below(scope: Scope, kind: str, sure: bool, name: str) -> Static | None:
    if kind in PRIMITIVES:
        if sure:
            return None
        one = {"id": Static(("string",), sure=False), "extension": Static(("Extension",), "many", sure=False)}
        return one.get(name)
    if sure and kind in _INSIDE:
        member = _INSIDE[kind].get(name)
        return None if member is None else made(member)
    step = scope.step(Static((kind,), "one", sure=False), name)
    if step is None:
        return OPEN if kind in _ABSTRACT else None
    return OPEN if _ABSTRACT & set(step.type.kinds) else step.type
