"""Half-written YAML: its keys with their paths, and where in them somebody is typing; nothing of it has to be right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Path = tuple[str | int, ...]  # keys of maps and positions in lists

_KEY = re.compile(
    r""""((?:[^"\\]|\\.)*)"\s*:(?=\s|$)|'((?:[^']|'')*)'\s*:(?=\s|$)"""
    r"""|((?:[^\s"'\[\]{},#&*!|>%@`-]|-[^\s:#])[^:#]*):(?=\s|$)"""
)
_DASH = re.compile(r"-(?:\s+|$)")
_OPENING, _CLOSING = "{[", "}]"
MOST_LEVELS = 64  # as the reader of the documents has it


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, by its path, and what stands behind it on its line, as it is written."""

    path: Path
    value: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where somebody types.

    path   of the map that gets a key, or of the value
    kind   key, value, or nothing in a comment
    word   what is written of the key or the value already
    """

    path: Path
    kind: str
    word: str


def entries(text: str) -> list[Entry]:
    """Every key of a text, in its order."""
    scan = _Scan()
    for line in text.split("\n"):
        scan.line(line)
    return scan.found


def cursor(text: str, at: int) -> Cursor:
    """Where the character at `at` stands."""
    scan = _Scan()
    for line in text[:at].split("\n"):
        scan.line(line)
    return scan.here


@dataclass(slots=True)
class _Frame:
    """A key or a list item of block style, and the column that it begins in."""

    column: int
    step: str | int


@dataclass(slots=True)
class _Flow:
    """A bracket that is open: what of its current member is read."""

    opening: str
    key: str | None = None
    number: int = 0
    word: str = ""
    nested: int = 0  # brackets inside a plain scalar

    @property
    def steps(self) -> Path:
        """The step to the value that is being read."""
        return (self.number,) if self.opening == "[" else () if self.key is None else (self.key,)


@dataclass(slots=True)
class _Scan:
    """Reads line by line. After each, `here` is where its end stands."""

    frames: list[_Frame] = field(default_factory=list)
    flows: list[_Flow] = field(default_factory=list)
    found: list[Entry] = field(default_factory=list)
    here: Cursor = Cursor((), "key", "")
    text_below: int | None = None  # the column of the key whose value is a block of text

    def line(self, line: str) -> None:
        """The next line."""
        content = line.lstrip(" ")
        column = len(line) - len(content)
        blank = not content.strip()
        if self.text_below is not None and (blank or column > self.text_below):
            self.here = Cursor(self._path, "value", content)
            return
        self.text_below = None
        if self.flows and not blank and column <= (self.frames[-1].column if self.frames else -1):
            self.flows.clear()  # a bracket that nobody closed ends with the key that it belongs to
        if self.flows:
            self._flow(content)
        else:
            self._block(content, column)

    @property
    def _path(self) -> Path:
        return (*(one.step for one in self.frames), *(step for one in self.flows for step in one.steps))

    # -- one key or item a line

    def _block(self, content: str, column: int) -> None:
        if content.startswith("#"):
            self.here = Cursor((), "nothing", "")
            return
        while len(self.frames) < MOST_LEVELS and (dash := _DASH.match(content)) is not None:
            self._item(column)
            content, column = content[dash.end() :], column + dash.end()
        inside = [one for one in self.frames if one.column < column]
        match = _KEY.match(content)
        if match is None:
            self.frames = inside if content.strip() else self.frames
            self._open(content, tuple(one.step for one in inside))
            return
        self.frames = [*inside, _Frame(column, _name(match))]
        value = content[match.end() :].lstrip()
        self.found.append(Entry(self._path, _written(value)))
        if value[:1] in ("|", ">"):
            self.text_below = column
        self._value(value)

    def _item(self, column: int) -> None:
        while self.frames and self.frames[-1].column > column:
            self.frames.pop()
        last = self.frames[-1] if self.frames else None
        if last is not None and last.column == column and isinstance(last.step, int):
            last.step += 1
        else:
            self.frames.append(_Frame(column, 0))

    def _open(self, content: str, path: Path) -> None:
        """A line that has no key yet: one may be begun, or it is an item of a list."""
        is_value = content[:1] in ("=", '"', "'", "{", "[", "$") and bool(path) and isinstance(path[-1], int)
        if is_value:
            self._value(content)
        else:
            self.here = Cursor(path, "key", content)

    def _value(self, value: str) -> None:
        if value[:1] in ("{", "["):
            self._flow(value)
        elif re.search(r"(?:^|\s)#", value) and value[:1] not in ("'", '"'):
            self.here = Cursor((), "nothing", "")
        else:
            self.here = Cursor(self._path, "value", value)

    # -- brackets

    def _flow(self, content: str) -> None:
        at = 0
        while at < len(content):
            if not self.flows:
                if content[at] not in _OPENING:
                    return  # a comment, or nothing that makes sense
                self.flows.append(_Flow(content[at]))
                at += 1
                continue
            at = self._step(content, at)
        top = self.flows[-1] if self.flows else None
        if top is None:
            self.here = Cursor(self._path, "nothing", "")
        elif top.opening == "{" and top.key is None:
            self.here = Cursor(self._path, "key", top.word.lstrip())
        else:
            self.here = Cursor(self._path, "value", top.word.lstrip())

    def _step(self, content: str, at: int) -> int:
        """Read one character, or one quoted text; returns where the next begins."""
        top, one = self.flows[-1], content[at]
        empty = not top.word.strip()
        if empty and one in "\"'":
            end = _behind_quote(content, at)
            top.word += content[at:end]
            return end
        if one in _OPENING and empty and (top.opening == "[" or top.key is not None):
            self.flows.append(_Flow(one))
        elif one in _OPENING:
            top.nested += 1
            top.word += one
        elif one in _CLOSING and top.nested:
            top.nested -= 1
            top.word += one
        elif one in _CLOSING:
            self._end(top)
            self.flows.pop()
            if self.flows:
                self.flows[-1].word = " "
        elif one == ",":
            self._end(top)
            top.key, top.word, top.nested, top.number = None, "", 0, top.number + 1
        elif one == ":" and top.opening == "{" and top.key is None and content[at + 1 : at + 2] in ("", " "):
            top.key, top.word = _unquoted(top.word.strip()), ""
            self.found.append(Entry(self._path, ""))
        else:
            top.word += one
        return at + 1

    def _end(self, top: _Flow) -> None:
        """What was read of a member becomes its value."""
        word = top.word.strip()
        if word and (top.opening == "[" or top.key is not None):
            path = self._path
            if self.found and self.found[-1].path == path:
                self.found.pop()
            self.found.append(Entry(path, word))


def _name(match: re.Match[str]) -> str:
    double, single, plain = match.groups()
    return (plain.rstrip() if plain is not None else single if single is not None else double) or ""


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0] else text


def _written(value: str) -> str:
    """A scalar of one line without a comment; brackets give nothing, because their members come by themselves."""
    if value[:1] in ("{", "[", "|", ">"):
        return ""
    if value[:1] in ("'", '"'):
        return value[: _behind_quote(value, 0)]
    return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()


def _behind_quote(text: str, at: int) -> int:
    """Where a quoted text that begins at `at` ends; the end of the line when nobody closed it."""
    quote, end = text[at], at + 1
    while end < len(text):
        if text[end] == "\\" and quote == '"':
            end += 1
        elif text[end] == quote:
            return end + 1
        end += 1
    return min(end, len(text))


def plain(value: str) -> str:
    """A value without its quotes."""
    return _unquoted(value)


def tree(found: Iterator[Entry] | list[Entry]) -> dict[str | int, object]:
    """The keys as nested maps; a position of a list is a number, a scalar is its text."""
    made: dict[str | int, object] = {}
    for one in found:
        here = made
        for step in one.path[:-1]:
            below = here.get(step)
            if not isinstance(below, dict):
                below = here[step] = {}
            here = below
        if one.path and not (isinstance(here.get(one.path[-1]), dict) and not one.value):
            here[one.path[-1]] = plain(one.value)
    return made
