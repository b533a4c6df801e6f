"""What is wrong with a mapping: code, place, sentence and hint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from peerfhir.config import Mark, Node

MAX_PER_FILE = 50
MAX_LISTED = 8
_UNWRITTEN = Node("scalar", None, Mark("", 1, 1))

# The severities of docs/mapping-guide.md; every code that is not here is an error.
WARNINGS = frozenset([
    "PM010", "PM113", "PM123", "PM133", "PM135", "PM137", "PM221", "PM241", "PM250", "PM270", "PM271", "PM274",
    "PM300", "PM303", "PM313", "PM403", "PM500", "PM501", "PM607", "PM611",
])  # fmt: skip
INFOS = frozenset(["PM112", "PM222", "PM242", "PM244"])
_RANKS = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Problem:
    """One message: where, which check, the address of the rule, what is wrong and what to write instead.

    severity  error, warning or info
    notes     other places that belong to it, each with what is there
    """

    mark: Mark
    code: str
    address: str
    what: str
    hint: str = ""
    severity: str = "error"
    notes: tuple[tuple[Mark, str], ...] = ()

    def __str__(self) -> str:
        where = f"{self.address}: " if self.address else ""
        lines = [f"{self.mark}: {self.severity} {self.code}: {where}{self.what}"]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        lines += [f"    note: {mark}: {what}" for mark, what in self.notes]
        return "\n".join(lines)


class Problems:
    """The problems of one document, in the order of the file."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Problem] = {}

    def add(
        self,
        mark: Mark,
        code: str,
        address: str,
        what: str,
        hint: str = "",
        *,
        error: bool = False,
        warning: bool = False,
        info: bool = False,
        notes: tuple[tuple[Mark, str], ...] = (),
    ) -> None:
        """Note one problem; the same one at the same place counts once.

        error, warning, info  instead of the severity that the code has by itself
        """
        usual = "warning" if code in WARNINGS else "info" if code in INFOS else "error"
        severity = "error" if error else "warning" if warning else "info" if info else usual
        self._found.setdefault((mark, code, what), Problem(mark, code, address, what, hint, severity, notes))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take over what was found elsewhere."""
        for problem in problems:
            self._found.setdefault((problem.mark, problem.code, problem.what), problem)

    def drop(self, matches: Callable[[Problem], bool]) -> None:
        """Forget what is said elsewhere already."""
        self._found = {key: problem for key, problem in self._found.items() if not matches(problem)}

    def note(self, matches: Callable[[Problem], bool], mark: Mark, what: str) -> None:
        """Add another place to some of the problems."""
        for key, problem in self._found.items():
            if matches(problem):
                self._found[key] = replace(problem, notes=(*problem.notes, (mark, what)))

    def accept(self, code: str, address: str | None) -> bool:
        """Silence a warning or info, at an address or everywhere; whether there was one."""
        matching = [
            key
            for key, problem in self._found.items()
            if problem.severity != "error" and problem.code == code and (address is None or problem.address == address)
        ]
        for key in matching:
            del self._found[key]
        return bool(matching)

    @property
    def errors(self) -> list[Problem]:
        return self._of("error")

    @property
    def warnings(self) -> list[Problem]:
        return self._of("warning")

    @property
    def every(self) -> list[Problem]:
        """Errors, warnings and infos, in the order of the files."""
        return self._of("error", "warning", "info")

    def _of(self, *severities: str) -> list[Problem]:
        return sorted(
            (problem for problem in self._found.values() if problem.severity in severities),
            key=lambda problem: (problem.mark.path, problem.mark.line, problem.mark.column, problem.code),
        )


def listed(values: Iterable[str]) -> str:
    """At most eight of them, then how many more there are."""
    found = list(values)
    more = len(found) - MAX_LISTED
    return ", ".join(found[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def messages(problems: Iterable[Problem]) -> tuple[str, ...]:
    """As text by file and place, at most 50 per file, then a count; errors come before what stops nothing."""
    by_file: dict[str, list[Problem]] = {}
    for problem in problems:
        by_file.setdefault(problem.mark.path, []).append(problem)
    lines: list[str] = []
    for path, found in sorted(by_file.items()):
        kept = sorted(found, key=lambda one: _RANKS[one.severity])  # a stable sort: the order of places stays
        shown, rest = {id(one) for one in kept[:MAX_PER_FILE]}, kept[MAX_PER_FILE:]
        lines += [str(problem) for problem in found if id(problem) in shown]
        if rest:
            lines.append(f"{path}:1:1: {rest[0].severity} PM750: {len(rest)} more problems in this file")
    return tuple(lines)


class Texts:
    """The texts of the documents a mapping is made of, to find the column inside a scalar."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, path: str, text: str) -> None:
        """The text of a file, under the name that its marks have."""
        self._lines[path] = text.split("\n")

    def inside(self, node: Node, offset: int) -> Mark:
        """The place of the character `offset` of a scalar's value.

        Follows the value through the source text, skipping what YAML adds: quotes, escapes, folded line ends.
        Falls back to the scalar's own mark when the two cannot be laid side by side.
        """
        if isinstance(node, Filled):
            return self.inside(node.origin, node.back(offset))
        lines = self._lines.get(node.mark.path, [])
        line, column = node.mark.line - 1, node.mark.column - 1
        if line >= len(lines):
            return node.mark
        if node.quoted and lines[line][column : column + 1] in ("|", ">"):
            line, column = line + 1, 0
        for character in str(node.value)[: offset + 1]:
            while line < len(lines):
                at = lines[line].find(character, column) if character != "\n" else len(lines[line])
                if at >= 0:
                    break
                line, column = line + 1, 0
            else:
                return node.mark
            column = at + 1
        return Mark(node.mark.path, line + 1, max(column, 1))


@dataclass(frozen=True)
class Filled(Node):
    """A scalar whose placeholders were replaced.

    origin   the scalar as it was written
    pieces   start in the new text and start in the old one, of each piece in order
    """

    origin: Node = _UNWRITTEN
    pieces: tuple[tuple[int, int], ...] = ()

    def back(self, offset: int) -> int:
        """Where a character of the new text stands in the old one, or where the placeholder began."""
        found = 0
        for at, (new, old) in enumerate(self.pieces):
            if new > offset:
                break
            ends = self.pieces[at + 1][1] - 1 if at + 1 < len(self.pieces) else len(str(self.origin.value))
            found = min(old + offset - new, max(ends, old))
        return found
