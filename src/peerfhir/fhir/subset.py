"""`_summary` and `_elements`: a part of a resource, marked as a part."""

from __future__ import annotations

from functools import cache
from typing import Any

from peerfhir.fhir.reader import Json
from peerfhir.fhir.stored import Stored
from peerfhir.fhir.summaries import REQUIRED, SUMMARY
from peerfhir.fhir.writer import Raw, write

_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules"})
_TAG = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}


def is_whole(summary: str, elements: tuple[str, ...]) -> bool:
    """Whether nothing is left out."""
    return summary == "false" and not elements


def part_of(stored: Stored, summary: str, elements: tuple[str, ...]) -> Raw:
    """What was asked of a resource: the bytes as they are stored, or a part of it with the tag SUBSETTED.

    elements  at the top level; what a resource of this type cannot be without comes along
    Source    R4 search, 3.1.1.5.8 (_summary) and 3.1.1.5.9 (_elements)
    """
    if is_whole(summary, elements):
        return Raw(stored.body)
    resource = stored.resource
    if elements:
        kept = {
            name: value
            for name, value in resource.items()
            if _plain(name) in _ALWAYS | {*elements} | _needed(stored.type)
        }
    elif summary == "data":
        kept = {name: value for name, value in resource.items() if _plain(name) != "text"}
    elif summary == "text":
        kept = {
            name: value for name, value in resource.items() if _plain(name) in _ALWAYS | {"text"} | _needed(stored.type)
        }
    else:
        kept = {name: value for name, value in resource.items() if _plain(name) in _ALWAYS | _short(stored.type)}
    return Raw(write(_marked(kept)))


def _plain(name: str) -> str:
    return name.removeprefix("_")  # a primitive's extensions go with it


@cache
def _needed(resource_type: str) -> frozenset[str]:
    return frozenset(REQUIRED.get(resource_type, "").split())


@cache
def _short(resource_type: str) -> frozenset[str]:
    return frozenset(SUMMARY.get(resource_type, "").split()) | _needed(resource_type)


def _marked(resource: Json) -> Json:
    meta: dict[str, Any] = resource["meta"]
    return {**resource, "meta": {**meta, "tag": [*meta.get("tag", []), _TAG]}}
