"""`$validate`: what is asked, as Parameters or as the bare resource, and the outcome, which is always an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from peerfhir.errors import BadRequest
from peerfhir.fhir.issues import Finding, outcome
from peerfhir.fhir.reader import Json

_MODES = frozenset({"create", "update", "delete", "profile"})
_URLS = ("valueUri", "valueCanonical", "valueString", "valueUrl")


@dataclass(frozen=True)
class Asked:
    """What is to be validated, against which profiles, and for what."""

    resource: Json = None
    profiles: tuple[str, ...] = ()
    mode: str = ""

    def of(self, resource: Json) -> Asked:
        """The same for a resource that is stored."""
        return replace(self, resource=resource)


def asked(body: Json, query: str) -> Asked:
    """Source: R4, Resource-operation-validate. Raises BadRequest."""
    said: dict[str, list[Any]] = {"resource": [], "profile": [], "mode": []}
    if isinstance(body, dict) and body.get("resourceType") == "Parameters":
        _read(body, said)
    elif body is not None:
        said["resource"].append(body)
    for name, value in parse_qsl(query, max_num_fields=20):
        if name in ("profile", "mode"):
            said[name].append(value)
        elif name not in ("_format", "_pretty"):
            raise BadRequest(f"This operation has no parameter {name[:64]!r}.")
    if len(said["resource"]) > 1 or len(said["mode"]) > 1:
        raise BadRequest("One resource and one mode can be validated at a time.")
    mode = said["mode"][0] if said["mode"] else ""
    if mode and mode not in _MODES:
        raise BadRequest("The mode is create, update, delete or profile.", place="Parameters.parameter")
    if not all(isinstance(one, str) for one in said["profile"]):
        raise BadRequest("A profile is named by its address.", place="Parameters.parameter")
    resource = said["resource"][0] if said["resource"] else None
    return Asked(resource, tuple(said["profile"]), mode)


def _read(body: Json, said: dict[str, list[Any]]) -> None:
    parameters = body.get("parameter")
    for one in parameters if isinstance(parameters, list) else []:
        name = one.get("name") if isinstance(one, dict) else None
        if name == "resource":
            said["resource"].append(one.get("resource"))
        elif name == "profile":
            said["profile"] += [one[key] for key in _URLS if key in one]
        elif name == "mode":
            said["mode"].append(one.get("valueCode"))
        else:
            raise BadRequest("The parameters are resource, profile and mode.", place="Parameters.parameter")


def outcome_for(what: Asked, name: str, resource_id: str | None, validate: Callable[..., Sequence[Finding]]) -> Json:
    """The findings about a resource of the type of the address; a missing resource is a finding too."""
    if what.mode == "delete":
        return outcome(())
    resource = what.resource
    if resource is None:
        return outcome([Finding("error", "required", "", "Send the resource, alone or in Parameters.")])
    found: list[Finding] = []
    if not isinstance(resource, dict) or resource.get("resourceType") != name:
        found.append(Finding("error", "invalid", f"{name}.resourceType", f"This address is for the type {name}."))
    elif what.mode == "update" and resource_id is not None and resource.get("id") != resource_id:
        found.append(Finding("error", "invalid", f"{name}.id", "The id in the address and in the resource differ."))
    found += validate(resource, profiles=what.profiles) if what.profiles else validate(resource)
    return outcome(found)
