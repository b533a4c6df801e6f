"""What a mapping asks of the limits that are checked when it is read: its size, its code maps, its nested $each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from peerfhir.config import Limits, Node


@dataclass(frozen=True)
class Needs:
    """As much as a site or an endpoint has to allow; each field is one of Limits."""

    nested_each: int = 0
    code_map_rows: int = 0
    document_bytes: int = 0

    def beyond(self, limits: Limits) -> Iterator[tuple[str, int, int]]:
        """Each limit that is too low: its name, what it is and what is needed."""
        for one in fields(self):
            most, needed = getattr(limits, one.name), getattr(self, one.name)
            if needed > most:
                yield one.name, most, needed


def needs(template: Node | None, fragments: Mapping[str, Node], rows: Iterable[int], sizes: Iterable[int]) -> Needs:
    """Of one mapping: its resources or its record, the rows of its code maps, the bytes of its documents."""
    depth = 0 if template is None else _depth(template, fragments)
    return Needs(depth, max(rows, default=0), max(sizes, default=0))


def _depth(node: Node, fragments: Mapping[str, Node]) -> int:
    """How many $each stand inside each other, those of fragments among them."""
    if node.kind == "list":
        return max((_depth(one, fragments) for one in node.value), default=0)
    if node.kind != "map":
        return 0
    below = [_depth(one, fragments) for key, one in node.value.items() if key != "$each"]
    name = str(node.value["$use"].value) if "$use" in node.value else ""
    if name in fragments:
        below.append(_depth(fragments[name], {key: one for key, one in fragments.items() if key != name}))
    return max(below, default=0) + ("$each" in node.value)
