"""How large a template is with its rows and fragments written out; a short document can stand for very much."""

from __future__ import annotations

from collections.abc import Mapping

from peerfhir.config import Node

MOST_NODES = 50_000


class Extent:
    """Counts nodes without writing them out; each fragment is counted once.

    fragments  the body of each; none uses itself
    rows       how many rows each table has
    """

    def __init__(self, fragments: Mapping[str, Node], rows: Mapping[str, int]) -> None:
        self._fragments = fragments
        self._rows = rows
        self._known: dict[str, int] = {}

    def of(self, node: Node) -> int:
        """The nodes of a node with all below it."""
        if node.kind == "list":
            return 1 + sum(self.of(one) for one in node.value)
        if node.kind != "map":
            return 1
        size = 1 + sum(self.of(one) for one in node.value.values()) + self._used(node)
        named = node.value.get("$rows")
        return size * self._rows.get(str(named.value), 1) if named is not None else size

    def of_fragment(self, name: str) -> int:
        """The nodes of one fragment."""
        if name not in self._known:
            self._known[name] = self.of(self._fragments[name])
        return self._known[name]

    def _used(self, node: Node) -> int:
        name = str(node.value["$use"].value) if "$use" in node.value else ""
        return self.of_fragment(name) if name in self._fragments else 0
