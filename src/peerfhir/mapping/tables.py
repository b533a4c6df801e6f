"""`tables`: constant rows, from the document or a CSV beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass

from peerfhir.config import Mark, Node
from peerfhir.mapping.document import Section
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.syntax import NAME, keys

MAX_ROWS = 10_000

Beside = Callable[[str, Mark, str], tuple[str, str] | None]


@dataclass(frozen=True)
class Table:
    """Constant rows: the names of the columns, and the cells of each row as scalars."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Node, ...], ...]


def read(section: Section, beside: Beside, problems: Problems) -> dict[str, Table]:
    """The tables of a document; what cannot be read is noted and is a table without rows.

    beside  reads a file named by the document: label and text, or None after noting why not
    """
    return {
        name: _one(name, node, beside, problems) or Table(name, (), ()) for name, node in section.items.items()
    }  # fmt: skip


def _one(name: str, node: Node, beside: Beside, problems: Problems) -> Table | None:
    address = f"tables.{name}"
    if not keys(node, ("columns", "rows", "file"), frozenset(), address, problems):
        return None
    if "file" in node.value and len(node.value) == 1:
        return _of_file(name, node.value["file"], address, beside, problems)
    columns, rows = node.value.get("columns"), node.value.get("rows")
    if columns is None or rows is None or columns.kind != "list" or rows.kind != "list" or "file" in node.value:
        problems.add(node.mark, "PM007", address, "a table has lists of columns and rows, or the name of a file")
        return None
    names = tuple(one.raw for one in columns.value)
    cells = [one.value if one.kind == "list" else None for one in rows.value]
    for row, one in zip(cells, rows.value, strict=True):
        if row is None or len(row) != len(names) or any(cell.kind != "scalar" for cell in row):
            problems.add(one.mark, "PM007", address, f"a row of {len(names)} single values is expected here")
            return None
    return _table(name, names, tuple(tuple(row) for row in cells if row is not None), columns.mark, problems)


def _of_file(name: str, node: Node, address: str, beside: Beside, problems: Problems) -> Table | None:
    if node.kind != "scalar" or not str(node.value).endswith(".csv"):
        problems.add(node.mark, "PM007", address, "the name of a CSV file is expected here")
        return None
    found = beside(str(node.value), node.mark, address)
    if found is None:
        return None
    label, text = found
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    rows: list[tuple[Node, ...]] = []
    try:
        names = tuple(next(reader, []))
        for cells in reader:
            mark = Mark(label, reader.line_num, 1)
            if len(cells) != len(names):
                what = f"{len(names)} cells are expected, {len(cells)} are there"
                problems.add(mark, "PM007", address, what)
            else:
                rows.append(tuple(Node("scalar", cell, mark, quoted=True, raw=cell) for cell in cells))
    except csv.Error:
        problems.add(Mark(label, max(reader.line_num, 1), 1), "PM007", address, "this line is not CSV")
        return None
    return _table(name, names, tuple(rows), Mark(label, 1, 1), problems)


def _table(
    name: str, columns: tuple[str, ...], rows: tuple[tuple[Node, ...], ...], mark: Mark, problems: Problems
) -> Table | None:
    address = f"tables.{name}"
    if len(set(columns)) < len(columns) or not all(NAME.fullmatch(one) for one in columns) or not columns:
        problems.add(mark, "PM007", address, "each column has a name of its own", "letters, digits and '_'")
        return None
    if len(rows) > MAX_ROWS:
        problems.add(mark, "PM750", address, f"a table has at most {MAX_ROWS} rows")
        return None
    return Table(name, columns, rows)
