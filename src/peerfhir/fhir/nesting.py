"""The resources inside a resource: where they stand, and what is left when each is but its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def nested(resource: Mapping[str, Any], path: str) -> list[tuple[str, Any]]:
    """The resources inside a resource, each with its place. Reads what nobody has judged yet."""
    found = [(f"{path}.contained[{at}]", one) for at, one in _each(resource, "contained")]
    kind = resource["resourceType"]
    if kind == "Bundle":
        for at, entry in _each(resource, "entry"):
            if "resource" in entry:
                found.append((f"{path}.entry[{at}].resource", entry["resource"]))
            response = entry.get("response")
            if type(response) is dict and "outcome" in response:
                found.append((f"{path}.entry[{at}].response.outcome", response["outcome"]))
    elif kind == "Parameters":
        found += _parameters(resource, "parameter", path)
    return found


def without(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The same resource with nothing but the type of each resource in it: those are judged by themselves."""
    shell = dict(resource)
    kind = resource["resourceType"]
    if type(resource.get("contained")) is list:
        shell["contained"] = [_stub(one) for one in resource["contained"]]
    elif kind == "Bundle":
        shell["entry"] = [
            {**one, "resource": _stub(one["resource"])} if type(one) is dict and "resource" in one else one
            for one in resource["entry"]
        ]
    elif kind == "Parameters":
        shell["parameter"] = _stubbed(resource["parameter"])
    return shell


def _each(node: Mapping[str, Any], name: str) -> Iterator[tuple[int, Any]]:
    entries = node.get(name)
    if type(entries) is list:
        for at, one in enumerate(entries):
            if type(one) is dict:
                yield at, one


def _parameters(node: Mapping[str, Any], name: str, path: str) -> Iterator[tuple[str, Any]]:
    for at, one in _each(node, name):
        if "resource" in one:
            yield f"{path}.{name}[{at}].resource", one["resource"]
        yield from _parameters(one, "part", f"{path}.{name}[{at}]")


def _stub(resource: Any) -> Any:
    """Its type alone, where it has one: what has none is refused in its place."""
    name = resource.get("resourceType") if type(resource) is dict else None
    return {"resourceType": name} if type(name) is str else resource


def _stubbed(parameters: Any) -> Any:
    if type(parameters) is not list:
        return parameters
    made = []
    for one in parameters:
        if type(one) is dict and ("resource" in one or "part" in one):
            one = dict(one)
            if "resource" in one:
                one["resource"] = _stub(one["resource"])
            if "part" in one:
                one["part"] = _stubbed(one["part"])
        made.append(one)
    return made
