"""Findings and faults -> OperationOutcome."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from peerfhir.errors import Fault, InvalidResource
from peerfhir.fhir.reader import Json

MAX_ISSUES = 50
# A place that is FHIRPath goes into `expression`; a header or a line and column is said in words.
_EXPRESSION = re.compile(r"[A-Z][A-Za-z]+(\.[A-Za-z]+|\[[0-9]+\]|\.where\([^()]*\))*")
_RULE = re.compile(r"\(([A-Za-z][A-Za-z0-9.-]*-[0-9]+[a-z]?)\)\.?$")
_LINE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"
_HEADERS = frozenset({"Accept", "Prefer", "Authorization", "Content"})


@dataclass(frozen=True)
class Finding:
    """One thing that validation has to say. `text` names places and rules, never a value of the resource."""

    severity: str  # error | warning | information
    code: str  # OperationOutcome.issue.code
    expression: str  # FHIRPath from the resource validated, as "Bundle.entry[0].resource.status"
    text: str

    @property
    def rule(self) -> str:
        """The key of the invariant that does not hold ("per-1"); it stands in brackets at the end of the text."""
        found = _RULE.search(self.text) if self.code == "invariant" else None
        return found.group(1) if found else ""

    def below(self, prefix: str) -> Finding:
        """The same finding when the resource stands at `prefix` of a larger one."""
        _, dot, rest = self.expression.partition(".")
        return replace(self, expression=prefix + dot + rest)


def outcome(findings: Iterable[Finding], *, lines: Sequence[int] = ()) -> Json:
    """An OperationOutcome of at most 50 issues; the last says how many were left out.

    lines  of the bytes that were sent, one for each finding, where they are known
    """
    kept = list(findings)
    issues = [_issue(one, lines[at] if at < len(lines) else None) for at, one in enumerate(kept[:MAX_ISSUES])]
    if len(kept) > MAX_ISSUES:
        text = f"{len(kept) - MAX_ISSUES} further issues were left out."
        issues.append({"severity": "information", "code": "informational", "diagnostics": text})
    if not issues:
        issues.append({"severity": "information", "code": "informational", "diagnostics": "All is well."})
    return {"resourceType": "OperationOutcome", "issue": issues}


def outcome_of(fault: Fault) -> Json:
    """The OperationOutcome a door answers with: the fault's sentence, its place, and what to do."""
    if isinstance(fault, InvalidResource) and fault.findings:
        return outcome(one for one in fault.findings if isinstance(one, Finding))
    place = fault.place or ""
    is_path = bool(_EXPRESSION.fullmatch(place)) and place not in _HEADERS
    words = [fault.what if is_path or not place else f"{place}: {fault.what}", fault.advice or ""]
    text = " ".join(word for word in words if word)
    return outcome([Finding("error", fault.issue, place if is_path else "", text)])


def _issue(finding: Finding, line: int | None = None) -> Json:
    issue: Json = {"severity": finding.severity, "code": finding.code}
    if line is not None:
        issue = {"extension": [{"url": _LINE, "valueInteger": line}], **issue}
    if finding.rule:
        issue["details"] = {"coding": [{"code": finding.rule}]}
    issue["diagnostics"] = finding.text
    if finding.expression:
        issue["expression"] = [finding.expression]
    return issue
