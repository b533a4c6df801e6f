"""Rows of a csv file, streamed: a file without its columns is refused, a bad row is told by its number."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from peerfhir.mapping.readers import CONTROL, MAX_LINE, InputRefused, Raw
from peerfhir.mapping.told import counted

if TYPE_CHECKING:
    from peerfhir.mapping.source import Source

MAX_CELL = 1024 * 1024
_LISTED = 8


class _TooLong(Exception):
    """A line without end."""


class _Lines:
    """Lines of text with their ends, and whether one holds what no text may hold."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        name = "utf-8-sig" if encoding == "utf-8" else encoding
        self._text = io.TextIOWrapper(stream, name, errors="surrogateescape", newline="")
        self.suspect = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) > MAX_LINE:
            raise _TooLong
        if not line.rstrip("\r\n").isprintable() and CONTROL.search(line):
            self.suspect = True
        return line

    def detach(self) -> None:
        """Leave the stream open: it is the caller's."""
        self._text.detach()


class CsvRows:
    """One csv file.

    columns   the names of the header, or of the fields when there is none
    warnings  the columns that no field reads, by number
    """

    def __init__(self, source: Source, stream: IO[bytes]) -> None:
        self._source = source
        csv.field_size_limit(MAX_CELL)
        self._lines = _Lines(stream, source.encoding)
        self._reader = csv.reader(self._lines, delimiter=source.delimiter, quotechar=source.quote, strict=True)
        declared = [field.key for field in source.fields.items.values()]
        self.columns: Sequence[str] = self._header(declared) if source.header else declared
        self.warnings: tuple[str, ...] = self._undeclared(set(declared)) if source.header else ()

    def __iter__(self) -> Iterator[Raw]:
        number, width, lines = 0, len(self.columns), self._lines
        while True:
            try:
                cells = next(self._reader)
            except StopIteration:
                break
            except (csv.Error, _TooLong) as problem:
                yield self._broken(number + 1, problem)
                break
            if not cells:
                continue
            number += 1
            if lines.suspect:
                lines.suspect = False
                yield self._suspect(number, cells)
            elif len(cells) != width:
                what = f"{width} cells are expected, {len(cells)} are there"
                yield Raw(f"row {number}", None, "PM700", what)
            else:
                yield Raw(f"row {number}", cells)
        lines.detach()

    def _header(self, declared: Sequence[str]) -> list[str]:
        try:
            header = next(self._reader, [])
        except (csv.Error, _TooLong) as problem:
            broken = self._broken(0, problem)
            raise InputRefused(broken.code, f"the header: {broken.what}") from None
        if self._lines.suspect:
            raise InputRefused(
                "PM700", "the header holds bytes that are no text", advice="Is the encoding the declared one?"
            )
        if self._source.trim:
            header = [name.strip() for name in header]
        missing = [name for name in declared if name not in header]
        if missing:
            shown = ", ".join(f"'{name}'" for name in missing[:_LISTED])
            more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
            raise InputRefused("PM700", f"the header has no column {shown}{more}", advice=self._guess(header))
        twice = [name for name in declared if header.count(name) > 1]
        if twice:
            raise InputRefused("PM700", f"column '{twice[0]}' stands twice in the header")
        return header

    def _guess(self, header: Sequence[str]) -> str:
        if len(header) == 1 and len(self._source.fields.items) > 1:
            return f"The header is one column: is the delimiter '{self._source.delimiter}'?"
        return "Name the columns with from:, or mend the file."

    def _undeclared(self, declared: set[str]) -> tuple[str, ...]:
        """By number: a file without its header would show a person's values here."""
        more = [at for at, name in enumerate(self.columns, start=1) if name not in declared]
        if not more or self._source.unknown == "ignore":
            return ()
        what = f"{counted(len(more), 'column')} not declared: {', '.join(map(str, more[:_LISTED]))}" + (
            ", ..." if len(more) > _LISTED else ""
        )
        if self._source.refuse:
            raise InputRefused("PM704", what, advice="Declare them, or say unknown: ignore.")
        return (what,)

    def _suspect(self, number: int, cells: Sequence[str]) -> Raw:
        at = next((at for at, cell in enumerate(cells, start=1) if CONTROL.search(cell)), 1)
        what = f"column {at} holds a control character or bytes that are not {self._source.encoding}"
        return Raw(f"row {number}", None, "PM700", what)

    def _broken(self, number: int, problem: Exception) -> Raw:
        """Where the next row begins cannot be known: what follows might be a piece of this one."""
        place = f"row {number}"
        if isinstance(problem, _TooLong) or "field limit" in str(problem):
            return Raw(
                place, None, "PM750", f"a cell of more than {MAX_CELL} characters; the rest of the file is not read"
            )
        return Raw(place, None, "PM700", "a quote is not closed or not doubled; the rest of the file is not read")
