"""StructureDefinition -> JSON Schema: the base types of R4, and the table of sentences beside them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from peerfhir.fhir import narrative, reader
from peerfhir.fhir.primitives import sentence
from peerfhir.fhir.rules import RULES
from peerfhir.fhir.terminology import Expansion, Terminology

Schema = dict[str, Any]
SAY = "x-say"  # (severity, issue code, sentence, element); taken out before the engine reads the schema
NESTED = "Resource"  # a resource inside a resource: only its type is looked at, it has a schema of its own

_LEAP = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAYS = (
    r"(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])"
)
_YEAR = r"(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_DAY = rf"(?:{_YEAR}-(?:{_DAYS})|{_LEAP}-02-29)"
_MONTH = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2]))?"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_HEX = "[0-9a-fA-F]"
_TYPES = r"http://hl7\.org/fhir/StructureDefinition/"
_REFERENCE = (
    r"^(?:#\S*|urn:[A-Za-z0-9]+:\S+|https?://[^\s/?#]+(?:/\S*)?|(?:%s)"
    r"(?:\?\S+|/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?))$"
)
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f"
_WRITTEN = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"
_TEXT = {"type": "string", "minLength": 1, "maxLength": 1024 * 1024, "pattern": _WRITTEN}
_ADDRESS = {"type": "string", "pattern": r"^\S+$"}
_MEDIA = r"[A-Za-z0-9!#$&^_.+-]+"
# required value sets that no list holds, but that say how their codes are written
_WRITTEN_CODES: Mapping[str, tuple[str, str]] = {
    "http://hl7.org/fhir/ValueSet/mimetypes": (
        rf"^(?:xml|json|ttl|{_MEDIA}/(?:{_MEDIA}|\*)\s*(?:;.*)?)$", "This must be a media type: type/subtype."),
    "http://hl7.org/fhir/ValueSet/currencies": (
        "^[A-Z]{3}$", "This must be a currency: three capitals (ISO 4217)."),
}  # fmt: skip
# every pattern runs in time linear in the text: the engine's regular expressions have no way back
PRIMITIVES: Mapping[str, Schema] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "decimal": {"type": "number"},
    "string": _TEXT,
    "markdown": _TEXT,
    "code": {"type": "string", "pattern": r"^[^\s]+(?: [^\s]+)*$"},
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
    "uri": _ADDRESS,
    "url": _ADDRESS,
    "canonical": _ADDRESS,
    "oid": {"type": "string", "pattern": r"^urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+$"},
    "uuid": {"type": "string", "pattern": rf"^urn:uuid:{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}$"},
    "date": {"type": "string", "pattern": rf"^(?:{_MONTH}|{_DAY})$"},
    "dateTime": {"type": "string", "pattern": rf"^(?:{_MONTH}|{_DAY}(?:T{_TIME}{_ZONE})?)$"},
    "instant": {"type": "string", "pattern": rf"^{_DAY}T{_TIME}{_ZONE}$"},
    "time": {"type": "string", "pattern": rf"^{_TIME}$"},
    "base64Binary": {
        "type": "string",
        "minLength": 1,
        "pattern": r"^\s*(?:(?:[A-Za-z0-9+/]\s*){4})*(?:(?:[A-Za-z0-9+/]\s*){2}=\s*=\s*|(?:[A-Za-z0-9+/]\s*){3}=\s*)?$",
    },
    "xhtml": {"type": "string", "pattern": r"^\s*<div"},  # the rest of txt-1 and txt-2 beside it: see Types
}


@dataclass(frozen=True)
class Slot:
    """One element of a type as its definition has it; `name` ends in [x] for a choice.

    targets    resource types by Reference or canonical; empty when any may be named
    value_set  url of a required binding
    simple     a Quantity without comparator
    """

    name: str
    minimum: int
    many: bool
    types: tuple[str, ...]
    targets: Mapping[str, list[str]]
    value_set: str | None
    simple: bool

    @property
    def stem(self) -> str:
        """The name without [x]."""
        return self.name.removesuffix("[x]")

    @property
    def is_choice(self) -> bool:
        """Whether the type is part of the name in JSON."""
        return self.name.endswith("[x]")

    def key(self, kind: str) -> str:
        """The name in JSON for a value of this type."""
        return self.stem + kind[0].upper() + kind[1:] if self.is_choice else self.name


class Base:
    """The types of R4 4.0.1, as data. Immutable from outside."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._types: Mapping[str, Any] = data["types"]
        self._slots: dict[str, Mapping[str, Slot]] = {}
        self._keys: dict[str, Mapping[str, tuple[Slot, str]]] = {}
        self.terminology = Terminology(data["valueSets"], data["codeSystems"])

    @cached_property
    def resources(self) -> frozenset[str]:
        """Every resource type that can be written."""
        return frozenset(n for n, one in self._types.items() if one["kind"] == "resource" and "abstract" not in one)

    @cached_property
    def integers(self) -> frozenset[str]:
        """The names in JSON of every element that takes a whole number, whatever type it is in."""
        kinds = {"integer": "Integer", "unsignedInt": "UnsignedInt", "positiveInt": "PositiveInt"}
        rows = (row for one in self._types.values() for row in one["elements"])
        return frozenset(row[0].replace("[x]", tail) for row in rows for kind, tail in kinds.items() if kind in row[3])

    def is_type(self, name: str) -> bool:
        """Whether it has elements: a data type, a backbone element or a resource."""
        return name in self._types

    @cached_property
    def rules(self) -> frozenset[str]:
        """The keys of every invariant of R4."""
        return frozenset({"ele-1", "ext-1"}.union(*(one["rules"] for one in self._types.values())))

    def all_rules(self, name: str) -> frozenset[str]:
        """The keys of the invariants that the definition states for a type and its backbone elements."""
        inner = f"{name}."
        return frozenset(
            key for n, one in self._types.items() if n == name or n.startswith(inner) for key in one["rules"]
        )

    def slots(self, name: str) -> Mapping[str, Slot]:
        """The elements of a type under their names in the definition; empty for a primitive."""
        known = self._slots.get(name)
        if known is None:
            rows = self._types[name]["elements"] if name in self._types else []
            known = self._slots[name] = {row[0]: _slot(row) for row in rows}
        return known

    def keys(self, name: str) -> Mapping[str, tuple[Slot, str]]:
        """The elements of a type under their names in JSON, each with its type."""
        known = self._keys.get(name)
        if known is None:
            slots = self.slots(name).values()
            known = self._keys[name] = {slot.key(kind): (slot, kind) for slot in slots for kind in slot.types}
        return known


def _slot(row: list[Any]) -> Slot:
    name, minimum, many, types, targets, value_set, simple = [*row, 0, 0, 0][:7]
    return Slot(name, minimum, bool(many), tuple(types), targets or {}, value_set or None, bool(simple))


@cache
def r4() -> Base:
    """The base that ships with the package, read on first use (about 40 ms).

    Source  tests/support/make_r4.py
    """
    packed = files("peerfhir.fhir").joinpath("r4", "base.json.gz").read_bytes()
    return Base(reader.read_own(gzip.decompress(packed)))


class Types:
    """The `$defs` of one schema: the base types it reaches, each made once.

    unchecked  value sets of required bindings that cannot be listed offline, as "Type.element: url"
    """

    def __init__(self, base: Base, terminology: Terminology, defs: dict[str, Schema]) -> None:
        self.base, self.terminology, self.defs = base, terminology, defs
        self.unchecked: set[str] = set()

    def ref(self, name: str) -> Schema:
        """A reference to the schema of a type, which is made when it is new."""
        if name in self.base.resources or (name in ("Resource", "DomainResource")):
            name = NESTED
        if name not in self.defs:
            self.defs[name] = {}  # a type may hold itself
            self.defs[name] = self._made(name)
        return {"$ref": f"#/$defs/{name}"}

    def resource(self, name: str) -> Schema:
        """The schema of a resource type."""
        made = self._object(name)
        made["properties"]["resourceType"] = {"const": name}
        made["required"] = ["resourceType", *made.get("required", ())]
        return made

    def _made(self, name: str) -> Schema:
        if name == "xhtml":
            return _xhtml()
        if name in PRIMITIVES:
            return said(PRIMITIVES[name], "error", "value", sentence(name))
        if name == NESTED:
            text = "This is not a resource type of FHIR R4."
            known = said({"enum": sorted(self.base.resources)}, "error", "structure", text)
            return {"type": "object", "required": ["resourceType"], "properties": {"resourceType": known}}
        return self._object(name)

    def _object(self, name: str) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        rules: list[Schema] = []
        choices: dict[str, Schema] = {}
        for slot in self.base.slots(name).values():
            keys: list[str] = []
            for kind in slot.types:
                key = slot.key(kind)
                properties[key] = self._element(name, slot, kind)
                keys.append(key)
                if kind in PRIMITIVES and not _has_no_extension(name, slot):
                    properties[f"_{key}"] = self._extended(slot.many)
                    keys.append(f"_{key}")
            if slot.minimum and len(keys) == 1:
                required.append(keys[0])
            elif slot.minimum:
                rules.append(one_of(keys, slot.stem))
            if slot.is_choice:
                choices.update(self._exclusive(slot))
        made: Schema = {"type": "object", "minProperties": 1, "properties": properties, "additionalProperties": False}
        if required:
            made["required"] = required
        if choices and name in self.base.resources:
            made["dependentSchemas"] = choices
        elif choices:  # measured: a quarter of the time, asked of every extension; two of a choice are two properties
            made |= {"if": {"minProperties": len(required) + 2}, "then": {"dependentSchemas": choices}}
        rules += [said(rule.schema, rule.severity, "invariant", rule.text) for rule in RULES.get(name, ())]
        return {**made, "allOf": rules} if rules else made

    def _exclusive(self, slot: Slot) -> dict[str, Schema]:
        """Each name of a choice forbids those of the other types, the names of their extensions too."""
        found = {}
        for kind in slot.types:
            key, label = slot.key(kind), f"only.{len(slot.types)}.{slot.key(kind)}"
            if label not in self.defs:
                others = [slot.key(one) for one in slot.types if one != kind]
                names = others + ["_" + slot.key(one) for one in slot.types if one != kind and one in PRIMITIVES]
                text = "Only one of the types of this element may be sent."
                self.defs[label] = said({"properties": dict.fromkeys(names, False)}, "error", "structure", text)
            found[key] = found[f"_{key}"] = {"$ref": f"#/$defs/{label}"}
        return found

    def _element(self, owner: str, slot: Slot, kind: str) -> Schema:
        one = self.ref(kind)
        narrow = self._narrow(owner, slot, kind)
        one = {**one, **narrow} if narrow else one
        if not slot.many:
            return one
        items = {"anyOf": [one, {"type": "null"}]} if kind in PRIMITIVES else one
        return {"type": "array", "minItems": 1, "items": items}

    def _narrow(self, owner: str, slot: Slot, kind: str) -> Schema:
        if owner == "Reference" and slot.name == "reference":
            text = "This is not a reference: send Type/id, an http(s) address, a urn, or #id of a contained resource."
            return said({"pattern": _REFERENCE % "|".join(sorted(self.base.resources))}, "error", "value", text)
        if kind == "Reference" and kind in slot.targets:
            return targets(slot.targets[kind])
        if kind == "Quantity" and slot.simple:
            text = "A comparator is not allowed here."
            return {"properties": {"comparator": said({"not": {}}, "error", "structure", text)}}
        if slot.value_set:
            expansion = self.terminology.expansion(slot.value_set)
            bound = binding(kind, expansion) if expansion else None
            if bound is not None:
                return bound
            self.unchecked.add(f"{owner}.{slot.name}: {slot.value_set}")
            written = _WRITTEN_CODES.get(slot.value_set) if kind == "code" else None
            if written is not None:
                return said({"pattern": written[0]}, "error", "code-invalid", written[1])
        return {}

    def _extended(self, many: bool) -> Schema:
        one = self.ref("Element")
        if not many:
            return one
        return {"type": "array", "minItems": 1, "items": {"anyOf": [one, {"type": "null"}]}}


def _xhtml() -> Schema:
    text = f"{sentence('xhtml')} (txt-1)"
    safe = {"pattern": narrative.ALLOWED, "not": {"type": "string", "pattern": narrative.ACTIVE}}
    filled = said({"pattern": narrative.SAYS_SOMETHING}, "error", "invariant", "A narrative says something (txt-2).")
    return {"allOf": [said({"type": "string"}, "error", "value", sentence("xhtml")),
                      said(safe, "error", "invariant", text), filled]}  # fmt: skip


def _has_no_extension(owner: str, slot: Slot) -> bool:
    return slot.name == "id" or (owner == "Extension" and slot.name == "url") or slot.types == ("xhtml",)


def said(schema: Schema, severity: str, code: str, text: str, element: str = "") -> Schema:
    """The schema, and what to say wherever in it something fails; `element` is what the place lacks."""
    return {**schema, SAY: (severity, code, text, element)}


def one_of(keys: Iterable[str], name: str) -> Schema:
    """At least one of these names is there."""
    made: Schema = {"anyOf": [{"required": [key]} for key in keys]}
    return said(made, "error", "required", "This element is required.", name)


def targets(names: Iterable[str]) -> Schema:
    """A Reference that names one of these resource types, or hides the type: fragment, urn, logical reference."""
    types = sorted(names)
    pattern = rf"^#|^urn:|\?|(?:^|/)(?:{'|'.join(types)})/[A-Za-z0-9\-.]{{1,64}}(?:/_history/[A-Za-z0-9\-.]{{1,64}})?$"
    say = ("target", "value", f"This refers to a type that is not allowed here. Allowed: {', '.join(types)}.")
    kinds = rf"^(?:{_TYPES})?(?:{'|'.join(types)})$"
    return {"properties": {"reference": said({"pattern": pattern}, *say), "type": said({"pattern": kinds}, *say)}}


def binding(kind: str, expansion: Expansion) -> Schema | None:
    """The schema of a required binding; None when the value set cannot be listed at all."""
    if kind not in ("Coding", "CodeableConcept", "Quantity"):
        if not expansion.is_listed or kind not in ("code", "string"):
            return None
        codes = sorted(expansion.codes())
        return said({"enum": codes}, "error", "code-invalid", _allowed(codes))
    if not expansion.whole:
        return None
    pairs: list[Schema] = []
    for system, some in sorted(expansion.systems.items()):
        pair: Schema = {"required": ["system", "code"], "properties": {"system": {"const": system}}}
        if some is not None:
            pair["properties"]["code"] = {"enum": sorted(some)}
        pairs.append(pair)
    coded = pairs[0] if len(pairs) == 1 else {"anyOf": pairs}
    if kind == "CodeableConcept":
        coded = {"required": ["coding"], "properties": {"coding": {"contains": coded}}}
    listed = sorted({code for some in expansion.systems.values() for code in some or ()})
    return said(coded, "error", "code-invalid", _allowed(listed))


def _allowed(codes: list[str]) -> str:
    if 0 < len(codes) <= 24:
        return f"This code is not allowed here. Use one of: {', '.join(codes)}."
    return "This code is not in the value set that is required here."
