"""The elements of a snapshot as a tree: children by name, slices by slice name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from peerfhir.fhir.reader import Json


@dataclass(frozen=True)
class Node:
    """One element of a profile, or one slice of it."""

    element: Json
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)

    @property
    def minimum(self) -> int:
        """How many there must be."""
        return int(self.element.get("min", 0))

    @property
    def maximum(self) -> int | None:
        """How many there may be; None for any number."""
        high = self.element.get("max", "*")
        return None if high == "*" else int(high)


def tree(elements: Sequence[Json]) -> Node:
    """The root of a snapshot of at least one element. An element whose parent is missing stands below an empty one."""
    root = Node(elements[0])
    for element in elements[1:]:
        steps = element["id"].split(".")
        node = root
        for at, step in enumerate(steps[1:], 2):
            name, _, part = step.partition(":")
            is_last = at == len(steps)
            node = _under(node.children, name, element, is_last and not part)
            if part:
                node = _under(node.slices, part, element, is_last)
    return root


def _under(nodes: dict[str, Node], name: str, element: Json, is_own: bool) -> Node:
    if name not in nodes:
        nodes[name] = Node(element if is_own else {"id": element["id"].rpartition(".")[0], "path": element["path"]})
    return nodes[name]
