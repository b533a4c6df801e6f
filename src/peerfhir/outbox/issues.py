"""What is kept of a hospital's OperationOutcome: its codes and places, never its texts."""

from __future__ import annotations

import re
from typing import Any

from peerfhir.fhir import writer
from peerfhir.fhir.reader import Json

_MOST_ISSUES = 20
_CODE = re.compile(r"[a-z-]{1,40}")
_PLACE = re.compile(r"[A-Za-z0-9_.\[\]/:-]{1,200}")  # a path; a filter in it could hold a value


def without_values(outcome: Json | None) -> bytes | None:
    """The issues of a hospital's OperationOutcome: severities, codes and places; its texts may quote a record."""
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return None
    issues = outcome.get("issue")
    kept = (
        [_bare(issue) for issue in issues[:_MOST_ISSUES] if isinstance(issue, dict)] if isinstance(issues, list) else []
    )
    return writer.write({"resourceType": "OperationOutcome", "issue": kept})


def _bare(issue: Json) -> Json:
    bare: dict[str, Any] = {}
    for name in ("severity", "code"):
        if isinstance(issue.get(name), str) and _CODE.fullmatch(issue[name]):
            bare[name] = issue[name]
    for name in ("expression", "location"):
        places = issue.get(name)
        if isinstance(places, list):
            bare[name] = [place for place in places if isinstance(place, str) and _PLACE.fullmatch(place)]
    return bare
