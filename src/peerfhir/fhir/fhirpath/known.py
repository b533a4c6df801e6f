"""What the compiler knows of a collection before there is one: its types, whether many, whether in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from peerfhir.fhir.definitions import PRIMITIVES
from peerfhir.fhir.fhirpath.types import Scope, Static, system

_FAMILIES = {"Integer": "number", "Decimal": "number", "Long": "number", "Date": "moment", "DateTime": "moment"}
_QUANTITIES = frozenset(("Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity"))
# below these stands what only the data knows
_ABSTRACT = frozenset(("Resource", "DomainResource", "Element", "BackboneElement"))


@dataclass(frozen=True, slots=True)
class Known:
    """kinds: FHIR types as they are, System types as "System.x"; None when nothing is known; empty for {}."""

    kinds: frozenset[str] | None = None
    many: bool = True
    ordered: bool = True

    def families(self) -> frozenset[str] | None:
        """Number, String, moment ... of every type it can have; a structure is its own family."""
        if self.kinds is None:
            return None
        return frozenset(_family(kind) for kind in self.kinds)

    def called(self) -> str:
        """Its name in a message."""
        return " or ".join(sorted(self.kinds)) if self.kinds else "nothing"


OPEN = Known()
NOTHING = Known(frozenset(), False)


def of_system(name: str, many: bool = False) -> Known:
    """A System type."""
    return Known(frozenset((f"System.{name}",)), many)


def _family(kind: str) -> str:
    if kind in _QUANTITIES:
        return "Quantity"
    name = system(kind) if kind in PRIMITIVES else kind.removeprefix("System.")
    return _FAMILIES.get(name, name)


def joined(left: Known, right: Known) -> Known:
    """A collection that is one or the other, or both together."""
    kinds = None if left.kinds is None or right.kinds is None else left.kinds | right.kinds
    return Known(kinds, left.many or right.many, left.ordered and right.ordered)


def below(scope: Scope, base: Known, name: str) -> Known | None:
    """What a name means below a collection; None when it means nothing there."""
    if base.kinds is None:
        return OPEN
    found: Known | None = None
    for kind in base.kinds:
        inner = _below(scope, kind, name)
        if inner is not None:
            found = inner if found is None else joined(found, inner)
    if found is None:
        return None if base.kinds else base
    return replace(found, many=found.many or base.many, ordered=base.ordered)


def _below(scope: Scope, kind: str, name: str) -> Known | None:
    if kind in PRIMITIVES:
        return {"id": Known(frozenset(("string",)), False), "extension": Known(frozenset(("Extension",)))}.get(name)
    if kind == "System.Quantity":
        return {"value": of_system("Decimal"), "unit": of_system("String")}.get(name)
    step = scope.step(Static((kind,), "one", sure=False), name)
    if step is None:
        return OPEN if kind in _ABSTRACT else None
    if _ABSTRACT & set(step.type.kinds):
        return OPEN
    return Known(frozenset(step.type.kinds), step.type.card == "many")
