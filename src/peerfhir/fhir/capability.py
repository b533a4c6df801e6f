"""CapabilityStatements: ours written from what is served, theirs read for what they can do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peerfhir.fhir import parameters
from peerfhir.fhir.bundle import PATCHES
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.reader import Json

INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
)  # fmt: skip
_VALIDATE = "http://hl7.org/fhir/OperationDefinition/Resource-validate"
_EVERYTHING = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
_PATIENT = "http://hl7.org/fhir/CompartmentDefinition/patient"
_KINDS = {"id": "token", "updated": "date"}
_SMART = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OAUTH = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


@dataclass(frozen=True)
class Offer:
    """What an endpoint's CapabilityStatement says it takes and gives, by resource type."""

    creates: frozenset[str] = frozenset()
    updates: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    searches: Mapping[str, frozenset[str]] = field(default_factory=dict)  # type -> search parameters
    conditional_creates: frozenset[str] = frozenset()  # types whose create honours If-None-Exist
    software: str = ""
    read_at: datetime | None = None


def build(
    software: str,
    offers: Mapping[str, Collection[str]] | None = None,
    *,
    base: str | None = None,
    version: str = "",
    date: str = "2026-11-21",
    conditional_create: bool = True,
    transactions: bool = True,
    instantiates: Sequence[str] = (),
    oauth: Mapping[str, str] | None = None,
    description: str = "",
    cors: bool = False,
) -> Json:
    """A CapabilityStatement of what `fhir.rest` serves.

    offers  resource type -> interactions of the codes in INTERACTIONS; None for every type, with all of them
    date    when what is said here last changed
    oauth   "token", "authorize" ... -> address, for clients that read the SMART extension
    cors    whether pages of other origins may call
    """
    served = offers if offers is not None else dict.fromkeys(sorted(PARAMETERS), INTERACTIONS)
    rest: dict[str, Any] = {"mode": "server"}
    if oauth is not None:
        rest["security"] = _security(oauth, cors=cors)
    rest["resource"] = [
        _resource(name, served[name], conditional_create) for name in sorted(served) if name in PARAMETERS
    ]
    if transactions:
        rest["interaction"] = [{"code": "transaction"}, {"code": "batch"}]
    if "search-type" in served.get("Patient", ()):
        rest["compartment"] = [_PATIENT]
    statement: dict[str, Any] = {"resourceType": "CapabilityStatement", "status": "active", "date": date}
    statement |= {"description": description} if description else {}
    statement |= {"kind": "instance", "instantiates": list(instantiates)} if instantiates else {"kind": "instance"}
    statement["software"] = {"name": software, "version": version} if version else {"name": software}
    statement["implementation"] = {"description": software, "url": base} if base else {"description": software}
    return {**statement, "fhirVersion": "4.0.1", "format": ["application/fhir+json", "json"],
            "patchFormat": sorted(PATCHES), "rest": [rest]}  # fmt: skip


def offer_of(statement: Json, read_at: datetime | None = None) -> Offer:
    """What somebody's statement offers; anything it does not say plainly it does not offer."""
    rests = [one for one in _list(statement, "rest") if one.get("mode", "server") == "server"]
    resources = [one for rest in rests for one in _list(rest, "resource") if isinstance(one.get("type"), str)]
    software = statement.get("software") if isinstance(statement, dict) else None
    name = software.get("name") if isinstance(software, dict) else None
    return Offer(
        creates=_offering(resources, "create"),
        updates=_offering(resources, "update"),
        reads=_offering(resources, "read"),
        searches={
            one["type"]: frozenset(
                each["name"] for each in _list(one, "searchParam") if isinstance(each.get("name"), str)
            )
            for one in resources
            if one["type"] in _offering(resources, "search-type")
        },
        conditional_creates=frozenset(one["type"] for one in resources if one.get("conditionalCreate") is True),
        software=name if isinstance(name, str) else "",
        read_at=read_at,
    )


def _offering(resources: Sequence[dict[str, Any]], code: str) -> frozenset[str]:
    return frozenset(
        one["type"] for one in resources if any(each.get("code") == code for each in _list(one, "interaction"))
    )


def _list(node: Any, name: str) -> list[dict[str, Any]]:
    found = node.get(name) if isinstance(node, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _resource(name: str, interactions: Collection[str], conditional_create: bool) -> Json:
    found: dict[str, Any] = {
        "type": name,
        "interaction": [{"code": code} for code in INTERACTIONS if code in interactions],
        "versioning": "versioned-update" if name == "Task" else "versioned",
        "readHistory": "vread" in interactions,
        "updateCreate": False,
        "conditionalCreate": conditional_create and "create" in interactions,
        "conditionalRead": "full-support",
        "conditionalUpdate": conditional_create and {"create", "update"} <= {*interactions},
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal", "local", "logical"],
    }
    operations = [{"name": "validate", "definition": _VALIDATE}]
    if name == "Patient" and {"read", "search-type"} <= {*interactions}:
        operations.append({"name": "everything", "definition": _EVERYTHING})
    if "search-type" in interactions:
        own = parameters.of(name)
        pointing = [key for key, one in own.items() if one.kind == "reference"]
        if pointing:
            found["searchInclude"] = [f"{name}:{key}" for key in pointing]
        found["searchRevInclude"] = _revincludes(name)
        found["searchParam"] = [
            {"name": key, "type": one.said or _KINDS.get(one.kind, one.kind)} for key, one in own.items()
        ]
    found["operation"] = operations
    return {key: value for key, value in found.items() if value != []}


def _revincludes(target: str) -> list[str]:
    return [
        f"{name}:{key}"
        for name, own in sorted(PARAMETERS.items())
        for key, one in own.items()
        if one.kind == "reference" and target in one.targets
    ]


def _security(oauth: Mapping[str, str], *, cors: bool) -> Json:
    security: dict[str, Any] = {}
    if oauth:
        inner = [{"url": name, "valueUri": address} for name, address in oauth.items()]
        security["extension"] = [{"url": _OAUTH, "extension": inner}]
    security["cors"] = cors
    security["service"] = [{"coding": [{"system": _SMART, "code": "SMART-on-FHIR"}], "text": "SMART on FHIR"}]
    return security
