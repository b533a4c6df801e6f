"""Findings and faults -> OperationOutcome."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from peerfhir.errors import Fault, InvalidResource
from peerfhir.fhir.reader import Json

MAX_ISSUES = 50
# A place that is FHIRPath goes into `expression`; a header or a line and column is said in words.
_EXPRESSION = re.compile(r"[A-Z][A-Za-z]+(\.[A-Za-z]+|\[[0-9]+\]|\.where\([^()]*\))*")
_HEADERS = frozenset({"Accept", "Prefer", "Authorization", "Content"})


@dataclass(frozen=True)
class Finding:
    """One thing that validation has to say. `text` names places and rules, never a value of the resource."""

    severity: str  # error | warning | information
    code: str  # OperationOutcome.issue.code
    expression: str  # FHIRPath from the resource validated, as "Bundle.entry[0].resource.status"
    text: str

    def below(self, prefix: str) -> Finding:
        """The same finding when the resource stands at `prefix` of a larger one."""
        _, dot, rest = self.expression.partition(".")
        return replace(self, expression=prefix + dot + rest)


def outcome(findings: Iterable[Finding]) -> Json:
    """An OperationOutcome of at most 50 issues; the last says how many were left out."""
    kept = list(findings)
    issues = [_issue(one) for one in kept[:MAX_ISSUES]]
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


def _issue(finding: Finding) -> Json:
    issue: Json = {"severity": finding.severity, "code": finding.code, "diagnostics": finding.text}
    if finding.expression:
        issue["expression"] = [finding.expression]
    return issue
