"""Did it arrive? Searched by our identifier before anything is ever sent twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from peerfhir.fhir.reader import Json
from peerfhir.outbox.addresses import Address, of_resource
from peerfhir.outbox.answers import EhrAnswer
from peerfhir.outbox.ehr import Ehr


class Found(StrEnum):
    """What a search by our identifier says."""

    ARRIVED = "arrived"
    ABSENT = "absent"
    SEVERAL = "several"
    UNRELIABLE = "unreliable"  # the server answers with what we did not ask for
    UNKNOWN = "unknown"  # no usable answer now


@dataclass(frozen=True)
class Finding:
    """The result of one search; `answer` is for judging when nothing is known."""

    found: Found
    answer: EhrAnswer
    address: Address | None = None


def search(ehr: Ehr, resource_type: str, identifier: str, *, execution_id: str | None = None) -> Finding:
    """Ask an endpoint for a resource with our identifier.

    identifier  "system|value"; both are ours, so nothing about a person stands in the URL
    """
    path = f"{resource_type}?identifier={quote(identifier, safe='')}"
    headers = {"X-Request-Id": execution_id} if execution_id else {}
    answer = ehr.exchange("GET", path, None, headers)
    bundle = answer.json
    if answer.status != 200 or not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        return Finding(Found.UNKNOWN, answer)
    entries = bundle.get("entry") or []
    if not isinstance(entries, list):
        return Finding(Found.UNKNOWN, answer)
    resources = [entry["resource"] for entry in entries if isinstance(entry, dict) and _is_match(entry, resource_type)]
    ours = [resource for resource in resources if identifier in identifiers_of(resource)]
    if len(ours) > 1:
        return Finding(Found.SEVERAL, answer)
    if ours:
        return Finding(Found.ARRIVED, answer, of_resource(ours[0], resource_type))
    # a server that does not know the parameter answers with everything: that proves nothing
    return Finding(Found.UNRELIABLE if resources else Found.ABSENT, answer)


def identifiers_of(resource: Json) -> list[str]:
    """Every business identifier of a resource as "system|value"."""
    values = resource.get("identifier") or []
    if isinstance(values, dict):  # QuestionnaireResponse and Bundle have one, not a list
        values = [values]
    if not isinstance(values, list):
        return []
    return [
        f"{one['system']}|{one['value']}"
        for one in values
        if isinstance(one, dict) and isinstance(one.get("system"), str) and isinstance(one.get("value"), str)
    ]


def _is_match(entry: Json, resource_type: str) -> bool:
    """Not an included resource, and not an OperationOutcome about the search."""
    how = entry.get("search")
    mode = how.get("mode", "match") if isinstance(how, dict) else "match"
    resource = entry.get("resource")
    return mode == "match" and isinstance(resource, dict) and resource.get("resourceType") == resource_type
