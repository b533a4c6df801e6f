"""What is wrong with a mapping: code, place, sentence and hint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from peerfhir.config import Mark, Node

MAX_PER_FILE = 50

# The severities of docs/mapping-guide.md; every code that is not here is an error.
WARNINGS = frozenset([
    "PM010", "PM113", "PM123", "PM133", "PM137", "PM221", "PM241", "PM250", "PM270", "PM271", "PM274", "PM300",
    "PM303", "PM313",
])  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """One message: where, which check, the address of the rule, what is wrong and what to write instead."""

    mark: Mark
    code: str
    address: str
    what: str
    hint: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.address}: " if self.address else ""
        lines = [f"{self.mark}: {self.severity} {self.code}: {where}{self.what}"]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)


class Problems:
    """The problems of one document, in the order of the file."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Problem] = {}

    def add(self, mark: Mark, code: str, address: str, what: str, hint: str = "", *, error: bool = False) -> None:
        """Note one problem; the same one at the same place counts once. `error` raises a warning to an error."""
        severity = "warning" if code in WARNINGS and not error else "error"
        self._found.setdefault((mark, code, what), Problem(mark, code, address, what, hint, severity))

    def accept(self, code: str, address: str | None) -> bool:
        """Silence a warning, at an address or everywhere; whether there was one."""
        matching = [
            key
            for key, problem in self._found.items()
            if problem.severity == "warning"
            and problem.code == code
            and (address is None or problem.address == address)
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

    def _of(self, severity: str) -> list[Problem]:
        return sorted(
            (problem for problem in self._found.values() if problem.severity == severity),
            key=lambda problem: (problem.mark.path, problem.mark.line, problem.mark.column, problem.code),
        )


def messages(problems: Iterable[Problem]) -> tuple[str, ...]:
    """As text, at most 50 per file, then a count."""
    by_file: dict[str, list[Problem]] = {}
    for problem in problems:
        by_file.setdefault(problem.mark.path, []).append(problem)
    lines: list[str] = []
    for path, found in sorted(by_file.items()):
        lines += [str(problem) for problem in found[:MAX_PER_FILE]]
        if len(found) > MAX_PER_FILE:
            lines.append(f"{path}:1:1: error PM750: {len(found) - MAX_PER_FILE} more problems in this file")
    return tuple(lines)


class Text:
    """The text of a document, to find the column inside a scalar."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def inside(self, node: Node, offset: int) -> Mark:
        """The place of the character `offset` of a scalar's value.

        Follows the value through the source text, skipping what YAML adds: quotes, escapes, folded line ends.
        Falls back to the scalar's own mark when the two cannot be laid side by side.
        """
        line, column = node.mark.line - 1, node.mark.column - 1
        if line >= len(self._lines):
            return node.mark
        if node.quoted and self._lines[line][column : column + 1] in ("|", ">"):
            line, column = line + 1, 0
        for character in str(node.value)[: offset + 1]:
            while line < len(self._lines):
                at = self._lines[line].find(character, column) if character != "\n" else len(self._lines[line])
                if at >= 0:
                    break
                line, column = line + 1, 0
            else:
                return node.mark
            column = at + 1
        return Mark(node.mark.path, line + 1, max(column, 1))
