"""`$rows`: nodes repeated for the rows of a constant table, when the document is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from peerfhir.config import Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.problems import Filled, Problems
from peerfhir.mapping.texts import pieces

_PLACEHOLDER = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")
_SAFE = re.compile(r"[A-Za-z0-9_.-]+")
_EXPRESSIONS = frozenset(("$each", "$if", "$let", "$identity"))

Cells = Mapping[str, Node]


class Table(Protocol):
    """A constant table: the names of its columns and its rows, each cell a scalar."""

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def rows(self) -> Sequence[Sequence[Node]]: ...


class Rows:
    """Expands the `$rows` of one document."""

    def __init__(self, tables: Mapping[str, Table], problems: Problems) -> None:
        self._tables = tables
        self._problems = problems

    def expanded(self, node: Node, address: str = "", cells: Cells | None = None, *, code: bool = False) -> Node:
        """The node with a list of nodes where `$rows` stood, and cells where `<column>` stood.

        code  the node is an expression although it does not begin with '='
        """
        if node.kind == "scalar":
            return node if not cells else self._filled(node, address, cells, code)
        if node.kind == "list":
            items: list[Node] = []
            for at, one in enumerate(node.value):
                below = self._repeated(one, f"{address}[{at}]", cells)
                items += [self.expanded(one, f"{address}[{at}]", cells)] if below is None else below.value
            return replace(node, value=items)
        values = {}
        for key, one in node.value.items():
            here = f"{address}.{key}" if address else key
            below = self._repeated(one, here, cells)
            inside = code or key in _EXPRESSIONS
            values[key] = self.expanded(one, here, cells, code=inside) if below is None else below
        return replace(node, value=values)

    def _repeated(self, node: Node, address: str, cells: Cells | None) -> Node | None:
        """A list of one node per row, or None for a node without `$rows`."""
        if node.kind != "map" or "$rows" not in node.value:
            return None
        named = node.value["$rows"]
        table = self._tables.get(str(named.value)) if named.kind == "scalar" else None
        values = {key: one for key, one in node.value.items() if key != "$rows"}
        marks = {key: mark for key, mark in node.key_marks.items() if key != "$rows"}
        plain = replace(node, value=values, key_marks=marks)
        if table is None:
            hint = nearest(str(named.value), self._tables)
            self._problems.add(named.mark, "PM130", address, f"there is no table '{named.value}'", hint)
            return Node("list", [plain], node.mark)
        made = []
        for row in table.rows:
            inner = {**(cells or {}), **dict(zip(table.columns, row, strict=True))}
            made.append(self.expanded(plain, address, inner))
        return Node("list", made, node.mark)

    def _filled(self, node: Node, address: str, cells: Cells, code: bool) -> Node:
        text = node.value
        if not isinstance(text, str) or "<" not in text:
            return node
        whole = _PLACEHOLDER.fullmatch(text)
        if whole and whole.group(1) in cells and not node.quoted:
            return replace(cells[whole.group(1)], mark=node.mark)
        expressions = _spans(text, code)
        parts: list[str] = []
        starts: list[tuple[int, int]] = []
        at = length = 0
        for match in _PLACEHOLDER.finditer(text):
            inside = any(low <= match.start() < high for low, high in expressions)
            cell = self._cell(match.group(1), node, address, cells, inside)
            if cell is None:
                continue
            before = text[at : match.start()]
            starts += [(length, at), (length + len(before), match.start())]
            parts += [before, cell]
            length += len(before) + len(cell)
            at = match.end()
        if not parts:
            return node
        value = "".join([*parts, text[at:]])
        starts.append((length, at))
        return Filled("scalar", value, node.mark, quoted=True, raw=value, origin=node, pieces=tuple(starts))

    def _cell(self, name: str, node: Node, address: str, cells: Cells, inside: bool) -> str | None:
        cell = cells.get(name)
        if cell is None:
            if inside or not str(node.value).lstrip().startswith("<div"):
                hint = nearest(name, cells)
                self._problems.add(node.mark, "PM253", address, f"the table has no column '{name}'", hint)
            return None
        if inside and not _SAFE.fullmatch(cell.raw):
            what = f"a cell of column '{name}' cannot stand in an expression"
            hint = "letters, digits, '_', '.' and '-' can"
            self._problems.add(node.mark, "PM253", address, what, hint, notes=((cell.mark, "this cell"),))
            return None
        return cell.raw


def _spans(text: str, code: bool) -> list[tuple[int, int]]:
    """Where in a scalar expressions stand."""
    if code or text.startswith("="):
        return [(0, len(text))]
    return [(start, start + len(part)) for start, part, kind in pieces(text) if kind == "expression"]
