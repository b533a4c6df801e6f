"""Places in JSON -> FHIRPath: `valueQuantity` is `value` where it is a choice, `_given` is `given`."""

from __future__ import annotations

from typing import Any

from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import Base

Steps = list[str | int]


def steps_of(place: str) -> Steps:
    """ "Patient.name[0].given" -> ["name", 0, "given"]: what stands before the first dot names the resource."""
    found: Steps = []
    for part in place.split(".")[1:]:
        name, *indexes = part.split("[")
        found.append(name)
        found += [int(one[:-1]) for one in indexes]
    return found


def fhirpath(base: Base, resource: Json, steps: Steps) -> str:
    """The place as the specification writes it, from the resource's type on; a name that R4 has not is kept.

    A choice is named without its type (`Observation.value`): at most one of its types is there, so that the path
    gives this very element, and an element of R4 has no `valueQuantity`.

    Source  FHIRPath in R4, "Polymorphism in FHIR"; OperationOutcome.issue.expression
    """
    kind = str(resource.get("resourceType", "")) if type(resource) is dict else ""
    made, node = kind, resource
    for step in steps:
        node = _at(node, step)
        if type(step) is int:
            made += f"[{step}]"
            kind = _kind(node) if kind == "Resource" else kind
            continue
        name = str(step)
        slot, inner = base.keys(kind).get(name.removeprefix("_"), (None, ""))
        made += f".{slot.stem if slot else name.removeprefix('_')[:64]}"
        kind = "Element" if name[:1] == "_" else inner
        if kind in ("Resource", "DomainResource") and type(node) is dict:
            kind = _kind(node)
    return made


def spoken(base: Base, resource: Json, place: str) -> str:
    """A place in names of JSON, from the resource's type on, as FHIRPath."""
    return fhirpath(base, resource, steps_of(place))


def _at(node: Any, step: str | int) -> Any:
    if type(node) is dict:
        return node.get(step)
    if type(node) is list and type(step) is int and step < len(node):
        return node[step]
    return None


def _kind(node: Any) -> str:
    found = node.get("resourceType") if type(node) is dict else None
    return found if type(found) is str else ""
