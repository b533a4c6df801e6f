"""Problems and results in the forms that people and other programs read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from peerfhir.mapping.problems import Problem, messages

Json = Any
FORMS = ("text", "json", "github", "operationoutcome")
_SEVERITIES = {"error": "error", "warning": "warning", "info": "information"}


def as_json(problem: Problem) -> dict[str, Json]:
    """One problem for an editor or a pipeline; lines and columns count from 1."""
    return {
        "file": problem.mark.path, "line": problem.mark.line, "column": problem.mark.column,
        "endLine": problem.mark.line, "endColumn": problem.mark.column, "severity": problem.severity,
        "code": problem.code, "address": problem.address, "message": problem.what, "hint": problem.hint,
        "notes": [{"file": at.path, "line": at.line, "column": at.column, "message": what}
                  for at, what in getattr(problem, "notes", ())],
    }  # fmt: skip


def outcome(problems: Iterable[Problem]) -> Json:
    """The problems as an OperationOutcome, one issue each."""
    issues = [
        {
            "severity": _SEVERITIES[one.severity],
            "code": "invalid",
            "details": {"coding": [{"system": "urn:peerfhir:diagnostic", "code": one.code}], "text": one.what},
            "diagnostics": str(one),
            **({"expression": [one.address]} if one.address else {}),
        }
        for one in problems
    ]
    fine = {"severity": "information", "code": "informational", "details": {"text": "nothing is wrong"}}
    return {"resourceType": "OperationOutcome", "issue": issues or [fine]}


def github(problem: Problem) -> str:
    """One problem as a workflow annotation."""
    kind = {"error": "error", "warning": "warning"}.get(problem.severity, "notice")
    text = problem.what + (f" (hint: {problem.hint})" if problem.hint else "")
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    at = problem.mark
    return f"::{kind} file={at.path},line={at.line},col={at.column},title={problem.code}::{escaped}"


def written(problems: Sequence[Problem], form: str) -> str:
    """All problems in one of FORMS; nothing for a text without problems."""
    from peerfhir.fhir import writer

    ordered = sorted(problems, key=lambda one: (one.mark.path, one.mark.line, one.mark.column, one.code))
    if form == "json":
        return writer.indented([as_json(one) for one in ordered])
    if form == "operationoutcome":
        return writer.indented(outcome(ordered))
    if form == "github":
        return "\n".join(github(one) for one in ordered)
    return "\n".join(messages(ordered))


def counted(number: int, what: str) -> str:
    """`1 rule`, `2 rules`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def columns(rows: Sequence[Sequence[str]], gap: int = 4) -> list[str]:
    """Rows as text, each column as wide as its widest cell."""
    widths = [
        max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(max(map(len, rows), default=0))
    ]
    return [
        (" " * gap).join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    ]
