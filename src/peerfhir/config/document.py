"""The one YAML reader: a document as nodes that remember line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from peerfhir.errors import Fault

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_DIGITS = 1000  # of an integer; longer ones are decimals, for Python reads no integer beyond 4,300 digits


@dataclass(frozen=True)
class Mark:
    """A place in a file; line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class YamlProblem(Fault):
    """The YAML cannot be read."""

    code = "yaml"
    issue = "structure"
    status = 400

    def __init__(self, what: str, mark: Mark) -> None:
        super().__init__(what, place=str(mark))
        self.mark = mark


@dataclass(frozen=True)
class Node:
    """A YAML value that remembers where it stood.

    kind        "map", "list" or "scalar"
    value       dict of Node, list of Node, or str | int | Decimal | bool | None
    key_marks   where each key of a map stood
    quoted      a scalar written in quotes or as a block: always a string
    raw         a scalar's text as written, without its quotes
    """

    kind: str
    value: Any
    mark: Mark
    key_marks: Mapping[str, Mark] = field(default_factory=dict)
    quoted: bool = False
    raw: str = ""

    def plain(self) -> Any:
        """The value as ordinary Python, without marks."""
        if self.kind == "map":
            return {key: node.plain() for key, node in self.value.items()}
        if self.kind == "list":
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: tuple[str | int, ...]) -> Mark:
        """The mark of what lies at `path`, or of the nearest thing above it that exists."""
        node = self
        mark = self.mark
        for step in path:
            if node.kind == "map" and step in node.value:
                mark = node.key_marks[str(step)]
                node = node.value[step]
            elif node.kind == "list" and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                mark = node.mark
            else:
                break
        return mark


_INTEGER = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _scalar(text: str) -> Any:
    """A plain scalar by the YAML 1.2 core schema; `yes`, `12:30` and dates stay text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(text) and len(text) < MAX_DIGITS:
        return int(text)
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    return text


class _Composer:
    """Events of the C parser -> nodes, refusing what configuration never needs."""

    def __init__(self, events: Iterator[Any], path: str) -> None:
        self._events = events
        self._path = path

    def mark(self, mark: Any) -> Mark:
        return Mark(self._path, mark.line + 1, mark.column + 1)

    def document(self) -> Node:
        self._take(yaml.StreamStartEvent)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return Node("scalar", None, Mark(self._path, 1, 1))
        node = self._node(next(self._events), 0)
        self._take(yaml.DocumentEndEvent)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise YamlProblem("one document per file", self.mark(event.start_mark))
        return node

    def _take(self, kind: type) -> None:
        event = next(self._events)
        if not isinstance(event, kind):
            raise YamlProblem("unexpected content", self.mark(event.start_mark))

    def _node(self, event: Any, depth: int) -> Node:
        mark = self.mark(event.start_mark)
        if depth > MAX_DEPTH:
            raise YamlProblem(f"nested deeper than {MAX_DEPTH}", mark)
        if isinstance(event, yaml.AliasEvent):
            raise YamlProblem("aliases (*name) are not allowed here", mark)
        if event.anchor is not None:
            raise YamlProblem("anchors (&name) are not allowed here", mark)
        if event.tag is not None:
            raise YamlProblem("tags (!name) are not allowed here", mark)
        if isinstance(event, yaml.ScalarEvent):
            quoted = event.style is not None and event.style != ""
            value = event.value if quoted else _scalar(event.value)
            return Node("scalar", value, mark, quoted=quoted, raw=event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            return Node("list", items, mark)
        return self._map(mark, depth)

    def _map(self, mark: Mark, depth: int) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, Mark] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if key.kind != "scalar":
                raise YamlProblem("a key must be text", key.mark)
            if key.raw == "<<" and not key.quoted:
                raise YamlProblem("merge keys (<<) are not allowed here", key.mark)
            if key.raw in entries:
                raise YamlProblem(f"the key '{key.raw}' stands twice (first at line {keys[key.raw].line})", key.mark)
            keys[key.raw] = key.mark
            entries[key.raw] = self._node(next(self._events), depth + 1)
        return Node("map", entries, mark, key_marks=keys)


_BEGINNING = 'put quotes around the value: "..."'
_QUOTING = "quote the value if it holds ': ', ' #', or a comma or bracket inside { } or [ ]"


def compose(path: Path, text: str | None = None) -> Node:
    """One YAML document with its marks: UTF-8, at most 1 MiB, no tags, anchors, aliases or duplicate keys.

    text    the document itself when it is not on disk; `path` then only names it in messages
    Raises  YamlProblem with the place
    Source  docs/mapping-guide.md; YAML 1.2 core schema
    """
    name = str(path)
    if text is None:
        try:
            data = path.read_bytes()
        except OSError as fault:
            raise YamlProblem("the file cannot be read", Mark(name, 1, 1)) from fault
        if len(data) > MAX_BYTES:
            raise YamlProblem("the file is larger than 1 MiB", Mark(name, 1, 1))
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise YamlProblem("the file is not UTF-8", Mark(name, 1, 1)) from fault
    elif len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise YamlProblem("the document is larger than 1 MiB", Mark(name, 1, 1))
    for number, line in enumerate(text.split("\n"), start=1):
        if (at := line.find("\t")) >= 0 and not line[:at].strip(" "):
            raise YamlProblem("a tab cannot indent; use spaces", Mark(name, number, at + 1))
    try:
        return _Composer(yaml.parse(text, Loader=yaml.CSafeLoader), name).document()
    except yaml.MarkedYAMLError as fault:
        place = fault.problem_mark or fault.context_mark
        mark = Mark(name, place.line + 1, place.column + 1) if place else Mark(name, 1, 1)
        began = fault.context_mark
        where = f", in what begins at line {began.line + 1}" if began and began.line + 1 < mark.line else ""
        starts = "cannot start any token" in (fault.problem or "")
        what = "a plain value cannot begin with this character" if starts else fault.problem or "not YAML"
        raise YamlProblem(f"{what}{where}. Hint: {_BEGINNING if starts else _QUOTING}", mark) from fault
    except (yaml.YAMLError, UnicodeEncodeError) as fault:
        raise YamlProblem("a character that YAML does not allow", Mark(name, 1, 1)) from fault
    except RecursionError as fault:
        raise YamlProblem(f"nested deeper than {MAX_DEPTH}", Mark(name, 1, 1)) from fault
