"""Findings and faults as OperationOutcomes."""

from __future__ import annotations

import inspect

import pytest

from peerfhir import errors
from peerfhir.errors import BadConfiguration, Fault, Forbidden, InvalidResource, NotFound, TooManyRequests
from peerfhir.fhir.issues import MAX_ISSUES, Finding, outcome, outcome_of
from peerfhir.fhir.validate import validate

FAULTS = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Fault)]


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_every_fault_is_a_valid_outcome(kind: type[Fault]) -> None:
    needed = {BadConfiguration: (("x:1:1: y",),), TooManyRequests: (3,)}.get(kind, ())
    fault = kind(*needed)  # type: ignore[arg-type]
    assert validate(outcome_of(fault)) == ()


def test_a_place_that_is_fhirpath_is_the_expression() -> None:
    found = outcome_of(Forbidden("No.", place="Task.owner", advice="Ask."))["issue"][0]
    assert found == {"severity": "error", "code": "forbidden", "diagnostics": "No. Ask.", "expression": ["Task.owner"]}


@pytest.mark.parametrize("place", ["2:18", "If-Match", "Accept", "http://x"])
def test_any_other_place_is_said_in_words(place: str) -> None:
    found = outcome_of(NotFound("No.", place=place))["issue"][0]
    assert found == {"severity": "error", "code": "not-found", "diagnostics": f"{place}: No."}


def test_findings_keep_their_order_and_have_an_end() -> None:
    findings = tuple(Finding("error", "value", f"Task.note[{n}]", "x") for n in range(MAX_ISSUES + 5))
    issues = outcome_of(InvalidResource(findings))["issue"]
    assert [one["expression"] for one in issues[:-1]] == [[one.expression] for one in findings[:MAX_ISSUES]]
    assert issues[-1]["diagnostics"].startswith("5 ")


def test_no_finding_is_good_news() -> None:
    assert outcome([])["issue"][0]["severity"] == "information"
