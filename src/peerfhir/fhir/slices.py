"""Which entries of a list belong to a slice: its discriminators as JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import Base, Schema, Slot, binding, targets
from peerfhir.fhir.snapshot import Node
from peerfhir.fhir.terminology import Terminology

_STEP = re.compile(r"\$this|[A-Za-z]+\((?:'[^']*'|[^)']*)\)|[A-Za-z]+")
_CAST = re.compile(r"ofType\(([A-Za-z]+)\)")
_NAMED = re.compile(r"extension\('([^']*)'\)")


class Known(Protocol):
    """What a matcher asks of the profiles around it."""

    base: Base
    terminology: Terminology

    def root(self, url: str) -> Node | None: ...
    def target_types(self, element: Json) -> list[str] | None: ...


@dataclass(frozen=True)
class Wanted:
    """A fixed (whole) or pattern value."""

    value: Any
    whole: bool


def value_of(element: Json) -> Wanted | None:
    """The fixed or pattern value of an element."""
    for name, value in element.items():
        if _tells(name):
            return Wanted(value, name.startswith("fixed"))
    return None


def exact(value: Any, *, whole: bool) -> Schema:
    """This value; not `whole`: objects may have more, lists need one entry for each of these."""
    if whole or not isinstance(value, (dict, list)):
        return {"const": value}
    if isinstance(value, dict):
        return {"required": list(value), "properties": {k: exact(one, whole=False) for k, one in value.items()}}
    return {"allOf": [{"contains": exact(one, whole=False)} for one in value]}


def _tells(key: str) -> bool:
    return key.startswith(("fixed", "pattern"))


def _rows(sliced: Node, name: str = "") -> list[Json]:
    """The discriminators of a list; by name those of a slice: what it is cut from may have its own."""
    above = name.rpartition("/")[0]
    node = sliced.slices.get(above, sliced) if above else sliced
    rows: list[Json] = node.element.get("slicing", {}).get("discriminator") or []
    return rows or (_rows(sliced, above) if above else [])


class Matcher:
    """Discriminators of one profile. `value` gives what the profile asks of an element's value."""

    def __init__(self, known: Known, value: Callable[[Node, str, Slot | None], Schema]) -> None:
        self._known, self._value = known, value

    def slices(self, sliced: Node, kind: str) -> Mapping[str, Schema]:
        """Slice name -> what its entries match. A slice that cannot be told from its neighbours is left out."""
        found: dict[str, Schema] = {}
        for name in sorted(
            sliced.slices, key=lambda one: one.count("/")
        ):  # a slice of a slice after what it is cut from
            above = name.rpartition("/")[0]
            match = self._part(sliced, name, kind) if above in found or not above else None
            if match and above and match != found[above]:
                found[name] = {"allOf": [found[above], match]}
            elif match and not above:
                found[name] = match
        matches = list(found.values())
        return {name: found[name] for name in sliced.slices if name in found and matches.count(found[name]) == 1}

    def _part(self, sliced: Node, name: str, kind: str) -> Schema | None:
        """What tells one slice from those beside it; of a slice of a slice, beside what tells that one."""
        one, above = sliced.slices[name], sliced.slices.get(name.rpartition("/")[0])
        if above is not None:  # what it only repeats tells nothing
            own = {key: each for key, each in one.element.items() if each != above.element.get(key) or not _tells(key)}
            one = Node(own, one.children, one.slices)
        # parts of it that are told apart by the same discriminators may settle what it leaves open
        is_cut = _rows(sliced.slices[name]) == [] and any(other.startswith(f"{name}/") for other in sliced.slices)
        return self._all(one, kind, _rows(sliced, name), some=is_cut)

    def _all(self, node: Node, kind: str, rows: list[Json], *, some: bool) -> Schema | None:
        parts = []
        for row in rows:
            steps = [step for step in _STEP.findall(row["path"]) if step != "$this"]
            one = self._one(node, kind, steps, row["type"])
            if one is not None:
                parts.append(one)
            elif not some:
                return None
        return {"allOf": parts} if len(parts) > 1 else parts[0] if parts else None

    def _one(self, node: Node, kind: str, steps: list[str], by: str) -> Schema | None:
        if steps and steps[0] == "resolve()":
            return self._resolved(node) if len(steps) == 1 and by in ("profile", "type") else None
        if not steps:
            return self._here(node, kind, by)
        wanted = value_of(node.element)
        if wanted is not None and by in ("value", "pattern"):
            return exact(wanted.value, whole=wanted.whole)
        named = _NAMED.fullmatch(steps[0])
        if named:
            return self._extension(node, named.group(1), steps[1:], by)
        if kind == "Extension" and steps == ["url"] and (url := self._url(node)):
            return {"required": ["url"], "properties": {"url": {"const": url}}}
        return self._below(node, kind, steps, by)

    def _below(self, node: Node, kind: str, steps: list[str], by: str) -> Schema | None:
        slot = self._slot(kind, steps[0])
        child = self._child(node, slot) if slot else None
        if slot is None or child is None:
            return None
        if by == "exists" and len(steps) == 1:
            return self._exists(child, slot)
        kinds = self._kinds(child, by) if slot.is_choice else [slot.types[0]]
        cast = _CAST.fullmatch(steps[1]) if slot.is_choice and len(steps) > 1 else None
        if cast:  # value.ofType(Identifier).type
            kinds, steps = [one for one in kinds if one == cast.group(1)], [steps[0], *steps[2:]]
        if len(kinds) != 1:
            if by == "type" and len(steps) == 1:
                return {"anyOf": [{"required": [slot.key(one)]} for one in kinds]}
            return None
        key = slot.key(kinds[0]) if slot.is_choice else slot.name
        if by == "type" and len(steps) == 1 and slot.is_choice:
            return {"required": [key]}
        inner = self._one(child, kinds[0], steps[1:], by)
        if inner is None:
            inner = self._by_slices(child, kinds[0]) if slot.many else None
            return {"required": [key], "properties": {key: inner}} if inner else None
        return {"required": [key], "properties": {key: {"contains": inner} if slot.many else inner}}

    def _kinds(self, child: Node, by: str) -> list[str]:
        """The types of a choice; for a discriminator by type those that its own slices name, if it has any."""
        nodes = list(child.slices.values()) if by == "type" and child.slices else [child]
        return [row["code"] for node in nodes for row in node.element.get("type", ())]

    def _by_slices(self, child: Node, kind: str) -> Schema | None:
        """A list whose own slices say what stands in it."""
        asked = [self._value(one, kind, None) for one in child.slices.values() if one.minimum]
        return {"allOf": [{"contains": one} for one in asked]} if asked and all(asked) else None

    def _slot(self, kind: str, name: str) -> Slot | None:
        slots = self._known.base.slots(kind)
        return slots.get(name) or slots.get(f"{name}[x]")

    def _child(self, node: Node, slot: Slot) -> Node | None:
        """The element below, where the profile or the profile of its data type has it."""
        if slot.name in node.children:
            return node.children[slot.name]
        for row in node.element.get("type", ()):
            for url in row.get("profile", ()):
                root = self._known.root(url)
                if root is not None and slot.name in root.children:
                    return root.children[slot.name]
        return None

    def _here(self, node: Node, kind: str, by: str) -> Schema | None:
        if by in ("type", "profile"):
            codes = sorted({row["code"] for row in node.element.get("type", ())} - {"Resource"})
            if codes and set(codes) <= self._known.base.resources:
                return {"required": ["resourceType"], "properties": {"resourceType": {"enum": codes}}}
            return None
        wanted = value_of(node.element)
        if wanted is not None:
            return exact(wanted.value, whole=wanted.whole)
        if kind == "Extension" and (url := self._url(node)):
            return {"required": ["url"], "properties": {"url": {"const": url}}}
        bound = node.element.get("binding", {})
        if bound.get("strength") == "required":
            expansion = self._known.terminology.expansion(bound.get("valueSet", ""))
            if expansion is not None and expansion.is_listed and (made := binding(kind, expansion)):
                return made
        return self._value(node, kind, None) or None

    def _exists(self, child: Node, slot: Slot) -> Schema | None:
        there: Schema = {"anyOf": [{"required": [slot.key(kind)]} for kind in slot.types]}
        if child.maximum == 0:
            return {"not": there}
        return there if child.minimum else None

    def _resolved(self, node: Node) -> Schema | None:
        """Told apart by the type in the reference's text; what hides its type belongs to no slice."""
        names = self._known.target_types(node.element)
        if names is None:
            return None
        made = targets(names)["properties"]["reference"]
        pattern = made["pattern"].removeprefix(r"^#|^urn:|\?|")
        return {"required": ["reference"], "properties": {"reference": {"pattern": pattern}}}

    def _extension(self, node: Node, url: str, steps: list[str], by: str) -> Schema | None:
        same: Schema = {"required": ["url"], "properties": {"url": {"const": url}}}
        extensions = node.children.get("extension")
        for one in extensions.slices.values() if extensions else ():
            if self._url(one) == url:
                if by == "exists" and not steps:
                    there = {"required": ["extension"], "properties": {"extension": {"contains": same}}}
                    return {"not": there} if one.maximum == 0 else there
                inner = self._one(one, "Extension", steps, by) if steps else same
                if inner is not None:
                    both = {"allOf": [same, inner]}
                    return {"required": ["extension"], "properties": {"extension": {"contains": both}}}
        return None

    def _url(self, node: Node) -> str | None:
        """The url of an extension: fixed in the profile, or that of the extension's own definition."""
        child = node.children.get("url")
        wanted = value_of(child.element) if child else None
        if wanted is not None:
            return str(wanted.value)
        profiles = [url for row in node.element.get("type", ()) for url in row.get("profile", ())]
        return profiles[0].split("|")[0] if len(profiles) == 1 else None
