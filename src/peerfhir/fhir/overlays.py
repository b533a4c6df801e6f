"""A profile's snapshot -> what it asks beyond its base type, as JSON Schema."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from peerfhir.fhir.schema import PRIMITIVES, Schema, Slot, binding, one_of, said, targets
from peerfhir.fhir.slices import Known, Matcher, exact, value_of
from peerfhir.fhir.snapshot import Node

_BASE = "http://hl7.org/fhir/StructureDefinition/"


class Others(Known, Protocol):
    """What an overlay asks of the profiles around it."""

    def type_of(self, url: str) -> str | None: ...
    def is_base(self, url: str) -> bool: ...


def label(url: str) -> str:
    """The name of a profile's overlay among the `$defs` of a schema."""
    return "@" + url.replace("~", "_").replace("/", "_").replace("%", "_")


class Overlay:
    """One profile on its way to a schema."""

    def __init__(self, profiles: Others, url: str) -> None:
        self.profiles, self.base, self.url = profiles, profiles.base, url
        self.needed: set[str] = set()
        self.notes: Counter[str] = Counter()
        self.matcher = Matcher(profiles, self.value)

    def note(self, what: str, node: Node) -> None:
        self.notes[f"{what} ({self.url.rpartition('/')[2]}: {node.element['id']})"] += 1

    def value(self, node: Node, kind: str, slot: Slot | None) -> Schema:
        """What the profile asks of one value of an element; {} when nothing."""
        element = node.element
        parts: list[Schema] = []
        wanted = value_of(element)
        if wanted is not None:
            text = "This is not the value that the profile asks for."
            parts.append(said(exact(wanted.value, whole=wanted.whole), "error", "value", text))
        parts += self._bound(node, kind, slot)
        parts += self._typed(node, kind, slot)
        if "maxLength" in element:
            text = f"At most {element['maxLength']} characters are allowed here."
            parts.append(said({"maxLength": element["maxLength"]}, "error", "value", text))
        for name in element:
            if name.startswith(("minValue", "maxValue")):
                self.note(f"{name} not checked", node)
        if node.children and kind not in PRIMITIVES:
            parts.append(self._object(node, kind))
        parts = [one for one in parts if one]
        return parts[0] if len(parts) == 1 else {"allOf": parts} if parts else {}

    def _bound(self, node: Node, kind: str, slot: Slot | None) -> list[Schema]:
        bound = node.element.get("binding", {})
        url = bound.get("valueSet", "").split("|")[0]
        if bound.get("strength") != "required" or not url or (slot is not None and slot.value_set == url):
            return []
        if kind not in ("code", "Coding", "CodeableConcept", "Quantity", "string", "uri", "Extension"):
            return []
        expansion = self.profiles.terminology.expansion(url)
        made = binding(kind, expansion) if expansion else None
        if made is None:
            self.note(f"value set {url} cannot be listed", node)
            return []
        return [made]

    def _typed(self, node: Node, kind: str, slot: Slot | None) -> list[Schema]:
        found: list[Schema] = []
        rows = [
            row for row in node.element.get("type", ()) if row["code"] == kind or (slot and "Resource" in slot.types)
        ]
        if slot is not None and "Resource" in slot.types and rows and rows[0]["code"] != "Resource":
            known = {"properties": {"resourceType": {"enum": sorted(row["code"] for row in rows)}}}
            found.append(said(known, "error", "structure", "The profile does not allow this type of resource here."))
        for row in rows:
            overlays = []
            for url in row.get("profile", ()):
                plain = url.split("|")[0]
                if self.profiles.type_of(plain):
                    self.needed.add(plain)
                    overlays.append({"$ref": f"#/$defs/{label(plain)}"})
                elif plain != _BASE + "SimpleQuantity" and not self.profiles.is_base(plain):
                    self.note(f"profile {plain} not at hand", node)
            if overlays and len(overlays) == len(row["profile"]) and len(rows) == 1:
                found.append(overlays[0] if len(overlays) == 1 else {"anyOf": overlays})
        if kind == "Reference":
            allowed = self.profiles.target_types(node.element)
            if allowed is not None and (slot is None or allowed != slot.targets.get("Reference")):
                found.append(targets(allowed))
            for url in sorted(
                {u for row in rows for u in row.get("targetProfile", ()) if not self.profiles.is_base(u)}
            ):
                self.notes[f"target profile {url} checked only inside a Bundle or a resource"] += 1
        return found

    def _object(self, node: Node, kind: str) -> Schema:
        made: Schema = {"properties": {}, "required": [], "allOf": []}
        for name, child in node.children.items():
            slot = self.base.slots(kind).get(name)
            if slot is None:
                self.note(f"element {name} is not one of {kind}", child)
            elif slot.is_choice:
                self._choice(child, slot, made)
            else:
                self._plain(child, slot, made)
        return {key: one for key, one in made.items() if one}

    def _plain(self, child: Node, slot: Slot, made: Schema) -> None:
        key, kind = slot.name, slot.types[0]
        if child.maximum == 0:
            made["properties"][key] = made["properties"][f"_{key}"] = _forbidden()
            return
        if child.minimum and not slot.minimum:
            self._require(key, kind, made)
        value = self.value(child, kind, slot)
        if kind in PRIMITIVES and "extension" in child.children:
            self._extended(child, key, slot, made)
        if not slot.many:
            if value:
                made["properties"][key] = value
            return
        array: Schema = {"allOf": []}
        if child.minimum > 1 or (child.maximum is not None and child.maximum >= 1):
            text = f"The profile asks for {child.minimum} to {child.element['max']} of these."
            limits = {"minItems": max(child.minimum, 1)}
            limits.update({"maxItems": child.maximum} if child.maximum is not None else {})
            array["allOf"].append(said(limits, "error", "structure", text))
        if value:
            array["items"] = {"anyOf": [value, {"type": "null"}]} if kind in PRIMITIVES else value
        self._slices(child, kind, slot, array, made)
        if array["allOf"] or "items" in array:
            made["properties"][key] = array if array["allOf"] else {"items": array["items"]}

    def _extended(self, child: Node, key: str, slot: Slot, made: Schema) -> None:
        """The extensions of a primitive stand beside it, under `_name`."""
        asked = self._object(Node(child.element, {"extension": child.children["extension"]}), "Element")
        if asked:
            made["properties"][f"_{key}"] = {"items": asked} if slot.many else asked

    def _require(self, key: str, kind: str, made: Schema) -> None:
        if kind in PRIMITIVES:
            made["allOf"].append(one_of([key, f"_{key}"], key))
        elif key not in made["required"]:
            made["required"].append(key)

    def _slices(self, child: Node, kind: str, slot: Slot, array: Schema, made: Schema) -> None:
        if not child.slices:
            return
        slicing = child.element.get("slicing", {})
        known = self.matcher.slices(child, kind)
        for name, one in child.slices.items():
            match = known.get(name)
            if one.minimum:
                self._require(slot.name, kind, made)
            if match is None:
                self.note("slice cannot be told apart", one)
                continue
            if one.minimum or one.maximum is not None:
                high = {} if one.maximum is None else {"maxContains": one.maximum}
                text = f"The profile asks for {one.minimum} to {one.element['max']} entries of the slice `{name}`."
                code = "required" if one.minimum else "structure"
                contains = {"contains": match, "minContains": one.minimum, **high}
                array["allOf"].append(said(contains, "error", code, text))
            content = self.value(one, kind, slot)
            if content:
                array["allOf"].append({"items": {"if": match, "then": content}})
        text = "The profile allows no other entries here."
        if slicing.get("rules") == "closed" and all(known.get(name) for name in child.slices):
            array["allOf"].append(said({"items": {"anyOf": list(known.values())}}, "error", "structure", text))
        for name, one in child.slices.items():
            parts = [each for each in child.slices if each.rpartition("/")[0] == name]
            if one.element.get("slicing", {}).get("rules") == "closed" and parts and {name, *parts} <= known.keys():
                inner = {"if": known[name], "then": {"anyOf": [known[each] for each in parts]}}
                array["allOf"].append(said({"items": inner}, "error", "structure", text))

    def _choice(self, child: Node, slot: Slot, made: Schema) -> None:
        allowed = [row["code"] for row in child.element.get("type", ())] if child.maximum != 0 else []
        for kind in slot.types:
            if kind not in allowed:
                key = slot.key(kind)
                made["properties"][key] = made["properties"][f"_{key}"] = _forbidden()
        for kind in allowed:
            alone = child if len(allowed) == 1 else Node({**child.element}, {}, {})
            parts = [self.value(alone, kind, slot)]
            for one in child.slices.values():
                kinds = [row["code"] for row in one.element.get("type", ())]
                if kinds == [kind]:
                    parts.append(self.value(one, kind, slot))
                    if one.minimum:
                        made["allOf"].append(one_of([slot.key(kind), f"_{slot.key(kind)}"], slot.stem))
            parts = [one for one in parts if one]
            if parts:
                made["properties"][slot.key(kind)] = parts[0] if len(parts) == 1 else {"allOf": parts}
        if child.minimum and (not slot.minimum or len(allowed) < len(slot.types)):
            keys = [slot.key(kind) for kind in allowed]
            made["allOf"].append(one_of([name for key in keys for name in (key, f"_{key}")], slot.stem))


def _forbidden() -> Schema:
    return said({"not": {}}, "error", "structure", "The profile does not allow this element.")
