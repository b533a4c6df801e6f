"""`fragments`: pieces of a template that are written once and used with arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from peerfhir.config import Mark, Node
from peerfhir.fhir.definitions import PRIMITIVES, Definitions
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.document import Section
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.syntax import NAME, keys

PARAMETER_TYPES = ("string", "code", "uri", "boolean", "integer", "decimal", "date", "dateTime", "instant", "time")
_COMMON = (
    "Address", "Annotation", "Attachment", "CodeableConcept", "Coding", "ContactPoint", "Extension", "HumanName",
    "Identifier", "Money", "Period", "Quantity", "Range", "Ratio", "Reference", *sorted(PRIMITIVES),
)  # fmt: skip
WHOLE = re.compile(r"=\s*%([A-Za-z_][A-Za-z0-9_]*)\s*")  # an expression that is one name


@dataclass(frozen=True)
class Fragment:
    """One fragment: the FHIR type it makes, its parameters with their types, and its body."""

    name: str
    type: str
    params: Mapping[str, str]
    body: Node
    mark: Mark


def read(section: Section, definitions: Definitions, problems: Problems) -> dict[str, Fragment]:
    """The fragments of a document; what cannot be used is noted and left out."""
    found: dict[str, Fragment] = {}
    for name, node in section.items.items():
        fragment = _one(name, node, section.marks[name], definitions, problems)
        if fragment is not None:
            found[name] = fragment
    for name in found:
        if (path := _circle(name, found)) is not None:
            what = f"the fragment uses itself: {' -> '.join(path)}"
            problems.add(found[name].mark, "PM252", f"fragments.{name}", what)
    return {name: one for name, one in found.items() if _circle(name, found) is None}


def _one(name: str, node: Node, mark: Mark, definitions: Definitions, problems: Problems) -> Fragment | None:
    address = f"fragments.{name}"
    if not keys(node, ("type", "params", "body"), frozenset(), address, problems):
        return None
    kind, body = node.value.get("type"), node.value.get("body")
    if kind is None or body is None:
        problems.add(node.mark, "PM007", address, "a fragment has 'type' and 'body'")
        return None
    if not definitions.is_type(str(kind.value)):
        what = f"'{kind.value}' is not a FHIR type"
        problems.add(kind.mark, "PM201", address, what, nearest(str(kind.value), _COMMON))
        return None
    params = node.value.get("params")
    if params is not None and params.kind != "map":
        problems.add(params.mark, "PM007", address, "'params' is a map of names and types")
        return None
    known: dict[str, str] = {}
    for key, value in params.value.items() if params is not None else ():
        if not NAME.fullmatch(key) or value.value not in PARAMETER_TYPES:
            hint = nearest(str(value.value), PARAMETER_TYPES)
            problems.add(value.mark, "PM252", address, f"'{key}' needs a type of a field", hint)
        else:
            known[key] = str(value.value)
    return Fragment(name, str(kind.value), known, body, mark)


def uses(node: Node) -> Iterator[str]:
    """The fragments that a node uses."""
    if node.kind == "list":
        for one in node.value:
            yield from uses(one)
    elif node.kind == "map":
        for key, one in node.value.items():
            if key == "$use" and one.kind == "scalar":
                yield str(one.value)
            yield from uses(one)


def _circle(name: str, found: Mapping[str, Fragment]) -> list[str] | None:
    waiting = [[name, used] for used in uses(found[name].body)]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path[-1] == name:
            return path
        if path[-1] in seen or path[-1] not in found:
            continue
        seen.add(path[-1])
        waiting += [[*path, used] for used in uses(found[path[-1]].body)]
    return None
