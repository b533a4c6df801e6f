"""Rows of a code map from CSV, and the way back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from peerfhir.config import Mark
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.code_map import EQUIVALENCES, NO_TARGET, CodeMap, Target
from peerfhir.mapping.problems import Problems

MAX_ROWS = 100_000
COLUMNS = ("source", "code", "system", "display", "equivalence", "comment")


@dataclass(frozen=True, slots=True)
class Row:
    """One local code ("*": any other, "": none), what it becomes, and where that is written."""

    source: str
    target: Target
    mark: Mark


@dataclass(frozen=True)
class Found:
    """What a file or map holds.

    provided  other codes are passed through
    sources   local code -> the system a Coding must have
    """

    rows: Sequence[Row]
    provided: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)


def csv_rows(
    label: str, text: str, systems: Mapping[str, str], usual: tuple[str | None, str], problems: Problems
) -> Found | None:
    """The rows of a CSV, or None after noting why it is none.

    usual  system and equivalence where a row says nothing
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    rows: list[Row] = []
    try:
        header = next(reader, [])
        if not {"source", "code"} <= set(header) <= set(COLUMNS) or len(set(header)) != len(header):
            what = f"the first line names the columns: source, code, and any of {', '.join(COLUMNS[2:])}"
            problems.add(Mark(label, 1, 1), "PM136", "", what)
            return None
        before = reader.line_num
        for cells in reader:
            mark, before = Mark(label, before + 1, 1), reader.line_num
            if not cells:
                continue
            if len(cells) != len(header):
                what = f"{len(header)} cells are expected, {len(cells)} are there"
                hint = "comment lines are not allowed" if cells[0].startswith("#") else ""
                problems.add(mark, "PM136", "", what, hint)
                continue
            row = dict(zip(header, cells, strict=True))
            target = _target(row, mark, systems, usual, problems)
            if target is not None:
                rows.append(Row(row["source"], target, mark))
    except csv.Error:
        problems.add(Mark(label, max(reader.line_num, 1), 1), "PM136", "", "this line is not CSV")
        return None
    return Found(rows)


def _target(
    row: Mapping[str, str], mark: Mark, systems: Mapping[str, str], usual: tuple[str | None, str], problems: Problems
) -> Target | None:
    equivalence = row.get("equivalence") or usual[1]
    if equivalence not in EQUIVALENCES:
        what = "this is not an equivalence of R4"
        problems.add(mark, "PM136", "", what, nearest(equivalence, EQUIVALENCES))
    comment = row.get("comment") or None
    if equivalence in NO_TARGET:
        return Target(None, None, None, equivalence, comment)
    if not row["code"]:
        problems.add(mark, "PM136", "", "the code is empty", "equivalence unmatched says there is none")
        return None
    alias = row.get("system") or ""
    system = systems.get(alias, alias) or usual[0]
    if alias and alias not in systems and ":" not in alias:
        problems.add(mark, "PM139", "", f"unknown system alias '{alias}'", nearest(alias, systems))
    return Target(row["code"], system, row.get("display") or None, equivalence, comment)


def to_csv(code_map: CodeMap) -> str:
    """A code map as a CSV that reads back as the same entries, with URIs where aliases stood."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for source, target in every(code_map):
        cells = (source, target.code, target.system, target.display, target.equivalence, target.comment)
        writer.writerow([one or "" for one in cells])
    return out.getvalue()


def every(code_map: CodeMap) -> Iterable[tuple[str, Target]]:
    """All entries, with "*" and "" at the end."""
    yield from code_map.entries.items()
    for source, target in (("*", code_map.default), ("", code_map.blank)):
        if target is not None:
            yield source, target
