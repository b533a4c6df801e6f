"""Resources as templates in which every value is a constant."""

from __future__ import annotations

from typing import Any

from peerfhir.config import Mark
from peerfhir.fhir.definitions import r4
from peerfhir.mapping.tree import Const, Items, Node, Pair, Resource, Rule, Struct


def resource_of(resource: dict[str, Any]) -> Resource:
    """A resource as the template that makes it from any record."""
    kind = resource["resourceType"]
    struct = _struct(resource, kind, kind)
    return Resource(kind, kind, struct, None, (), struct.rule)


def _struct(value: dict[str, Any], kind: str, address: str) -> Struct:
    rule = Rule(Mark("x", 1, 1), address)
    kind = value.get("resourceType", kind)
    entries: list[tuple[str, Node]] = [("resourceType", Const(rule, kind))] if "resourceType" in value else []
    for name in dict.fromkeys(key.removeprefix("_") for key in value if key != "resourceType"):
        element = r4().element(kind, name)
        assert element is not None, f"{kind}.{name}"
        entries.append((name, _element(value.get(name), value.get(f"_{name}"), element.type, f"{address}.{name}")))
    return Struct(rule, tuple(entries), keep="resourceType" in value, kind=kind)


def _element(value: Any, beside: Any, kind: str, address: str) -> Node:
    if not isinstance(value, list) and not isinstance(beside, list):
        return _one(value, beside, kind, address)
    values = value or [None] * len(beside)
    besides = beside or [None] * len(values)
    pairs = zip(values, besides, strict=True)
    return Items(Rule(Mark("x", 1, 1), address), tuple(_one(one, more, kind, address) for one, more in pairs))


def _one(value: Any, beside: Any, kind: str, address: str) -> Node:
    rule = Rule(Mark("x", 1, 1), address)
    if beside is not None:
        held = None if value is None else Const(rule, value)
        return Pair(rule, held, _struct(beside, "Element", address), None)
    return _struct(value, kind, address) if isinstance(value, dict) else Const(rule, value)
