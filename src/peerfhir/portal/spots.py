"""Where something stands in a text that somebody is typing: from place and pointer to the characters to light up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

_TOKEN = re.compile(r'\s*(?:([{}\[\],:])|("(?:[^"\\]|\\.)*")|([^\s{}\[\],:"]+))')
_CLOSING = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class Spot:
    """Characters of one text, from `start` up to `end`, counted as browsers count them: in UTF-16 units."""

    pane: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.pane}:{self.start}:{self.end}"


def spot(pane: str, text: str, start: int, end: int) -> Spot:
    """The same place counted in UTF-16 units; `start` and `end` are characters of Python."""
    first = units(text[:start])
    return Spot(pane, first, first + units(text[start:end]))


def units(text: str) -> int:
    """The length of a text as browsers count it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def offset(text: str, line: int, column: int) -> int:
    """The character at line and column, both counted from 1; the end of the text when they lie behind it."""
    lines = text.split("\n")
    if line > len(lines):
        return len(text)
    return sum(len(one) + 1 for one in lines[: line - 1]) + min(column - 1, len(lines[line - 1]))


def written(text: str, start: int) -> int:
    """Where the YAML value that begins at `start` ends: behind its quote, its bracket, or with its line or its place
    in a list."""
    first = text[start : start + 1]
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    if first in ('"', "'"):
        at = text.find(first, start + 1)
        while at > 0 and first == '"' and text[at - 1] == "\\":
            at = text.find(first, at + 1)
        return line_end if at < 0 else at + 1
    if first in _CLOSING:
        return _bracket(text, start, line_end)
    return _plain(text, start, line_end)


def _bracket(text: str, start: int, line_end: int) -> int:
    depth = 0
    for at in range(start, line_end):
        depth += (text[at] in "{[") - (text[at] in "}]")
        if depth == 0:
            return at + 1
    return line_end


def _plain(text: str, start: int, line_end: int) -> int:
    """A plain scalar ends before a comment, and inside brackets at the next comma or bracket of its own level."""
    before = text[text.rfind("\n", 0, start) + 1 : start]
    nested = before.count("{") + before.count("[") > before.count("}") + before.count("]")
    depth, at = 0, start
    while at < line_end:
        one = text[at]
        depth += (one in "([{") - (one in ")]}")
        if (nested and (depth < 0 or (depth == 0 and one == ","))) or text.startswith(" #", at):
            break
        at += 1
    return start + len(text[start:at].rstrip())


@dataclass(frozen=True, slots=True)
class Sheet:
    """A record's text, and how it is laid out where it is a table."""

    text: str
    delimiter: str = ","
    quote: str = '"'
    header: bool = True

    def cell(self, place: str) -> list[Spot | None]:
        """Where a source cell stands, for a place as explanations say it: `row 3, column 7`, `/, /attendees/2/status`.

        Its heading comes after it. None for what is not there to be seen
        """
        record, _, inside = place.partition(", ")
        if inside.startswith("column "):
            column = int(inside.removeprefix("column "))
            return [self.field(record, column, ""), self.heading(column)]
        return [self.field(record, None, inside)]

    def heading(self, column: int) -> Spot | None:
        """The name of a column, where there is a line of names."""
        found = _nth(_rows(self.text, self.delimiter, self.quote), 0, column) if self.header else None
        return None if found is None else spot("record", self.text, *found)

    def field(self, record: str, column: int | None, pointer: str) -> Spot | None:
        """The same for the place of a record, and the column or pointer of a field in it."""
        kind, _, number = record.partition(" ")
        found = None
        if kind == "row" and column is not None:
            rows = _rows(self.text, self.delimiter, self.quote)
            found = _nth(rows, int(number) - (not self.header), column)
        elif kind == "line":
            found = self._line(int(number), pointer)
        elif kind == "record":
            found = _pair(self.text, pointer.strip("/"))
        elif record.startswith("/"):
            found = _json(self.text, _steps(record) + _steps(pointer))
        return None if found is None else spot("record", self.text, *found)

    def _line(self, number: int, pointer: str) -> tuple[int, int] | None:
        start = offset(self.text, number, 1)
        found = _json(self.text[start:].partition("\n")[0], _steps(pointer))
        return None if found is None else (start + found[0], start + found[1])


def _steps(pointer: str) -> list[str]:
    steps = pointer.strip("/").split("/")
    return [one.replace("~1", "/").replace("~0", "~") for one in steps if one]


def _pair(text: str, name: str) -> tuple[int, int] | None:
    """The value of one name of a form."""
    match = re.search(f"(?:^|&){re.escape(name)}=([^&]*)", text)
    return match.span(1) if match is not None else None


# -- rows


def _nth(rows: Iterator[list[tuple[int, int]]], row: int, column: int) -> tuple[int, int] | None:
    cells = next(islice(rows, row, None), None)
    if cells is None or column > len(cells):
        return None
    start, end = cells[column - 1]
    return start, max(end, start + 1)


def _rows(text: str, delimiter: str, quote: str) -> Iterator[list[tuple[int, int]]]:
    """The cells of each row that is not empty, each with its start and end."""
    ends, mark = re.escape(delimiter), re.escape(quote)
    cell = re.compile(f"(?:{mark}(?:[^{mark}]|{mark}{mark})*{mark}?)?[^{ends}\r\n]*")
    cells: list[tuple[int, int]] = []
    at = 0
    while at <= len(text):
        match = cell.match(text, at)
        end = match.end() if match is not None else len(text)
        cells.append((at, end))
        if text[end : end + 1] != delimiter:
            if len(cells) > 1 or end > at:
                yield cells
            cells = []
        at = end + (2 if text.startswith("\r\n", end) else 1)


# -- JSON


def _json(text: str, steps: Sequence[str]) -> tuple[int, int] | None:
    tokens = [(match.start(match.lastindex or 0), match.group(match.lastindex or 0)) for match in _TOKEN.finditer(text)]
    at = 0
    for step in steps:
        found = _below(tokens, at, step)
        if found is None:
            return None
        at = found
    if at >= len(tokens):
        return None
    last = _behind(tokens, at) - 1
    return tokens[at][0], tokens[last][0] + len(tokens[last][1])


def _behind(tokens: Sequence[tuple[int, str]], at: int) -> int:
    """The token behind the value that begins at a token."""
    depth = 0
    while at < len(tokens):
        depth += (tokens[at][1] in _CLOSING) - (tokens[at][1] in ("}", "]"))
        at += 1
        if depth == 0:
            break
    return at


def _below(tokens: Sequence[tuple[int, str]], at: int, step: str) -> int | None:
    """The token at which one member of an object, or one item of a list, begins."""
    kind = tokens[at][1] if at < len(tokens) else ""
    if kind not in _CLOSING:
        return None
    at, number = at + 1, 0
    while at < len(tokens) and tokens[at][1] != _CLOSING[kind]:
        name = tokens[at][1][1:-1] if kind == "{" else str(number)
        at += 2 if kind == "{" else 0
        if name == step:
            return at
        at = _behind(tokens, at) + 1
        number += 1
    return None
