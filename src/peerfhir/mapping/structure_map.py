"""A mapping as a StructureMap of R4, in the subset that engines agree on, and what it cannot say there.

The source is one element, `record`, which holds the typed record: conditions then hold relative to the element and to
its context, because `record` exists in one of the two only.
"""

from __future__ import annotations

import re
from typing import Any

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.expression_text import CannotSay, Words, said
from peerfhir.mapping.leaves import bare
from peerfhir.mapping.nodes import EACH
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.structure_leaves import At, Rule, Writer, constant, copied, guarded, path_of, scalar, then
from peerfhir.mapping.texts import pieces
from peerfhir.mapping.tree import Each, If, Items, Leaf, Let, Node, Struct

Json = Any
_DIRECTIVES = ("$request", "$identity", "$each", "$let", "$if", "$keep")


def structure_map(opened: Opened, canonical: str, *, inline: bool = False) -> tuple[Json, list[str]]:
    """The StructureMap of a mapping, and one sentence with its place for each rule it leaves out.

    Source  FHIR R4 structuremap.html, mapping-language.html
    """
    writer = Writer(opened, canonical, inline)
    for resource in opened.checked.template.resources:
        _collect(resource.body, writer.leaves)
    if opened.checked.template.record is not None:
        _collect(opened.checked.template.record, writer.leaves)
    target, rules = _body(writer)
    return _whole(writer, target, rules), writer.gaps


def _whole(writer: Writer, target: str, rules: list[Rule]) -> Json:
    opened, canonical = writer.opened, writer.canonical
    document = opened.document
    source = opened.checked.source.type
    inputs = [
        {"name": "input", **({"type": source} if source else {}), "mode": "source"},
        {"name": "target", **({"type": target} if target else {}), "mode": "target"},
    ]
    made: dict[str, Json] = {
        "resourceType": "StructureMap", "id": opened.id, "url": f"{canonical}/StructureMap/{opened.id}",
        "version": document.version, "name": "".join(part.capitalize() for part in opened.id.split("-")),
        **({"title": document.title} if document.title else {}), "status": document.status,
    }  # fmt: skip
    if writer.used:
        made["contained"] = list(writer.used.values())
    model = "http://hl7.org/fhir/StructureDefinition/"
    made["structure"] = [
        {"url": f"{model}{source}" if source else f"{canonical}/StructureDefinition/{opened.id}", "mode": "source"},
        {"url": f"{model}{target}" if target else f"{canonical}/StructureDefinition/{opened.id}", "mode": "target"},
    ]
    made["group"] = [{"name": "main", "typeMode": "none", "input": inputs, "rule": rules}]
    return made


def _collect(node: Node, found: dict[Mark, Leaf]) -> None:
    match node:
        case Leaf():
            found[node.rule.mark] = node
        case Struct(entries=entries):
            for _, child in entries:
                _collect(child, found)
        case Items(nodes=nodes):
            for child in nodes:
                _collect(child, found)
        case Each(body=body) | Let(body=body) | If(body=body):
            _collect(body, found)


def _body(writer: Writer) -> tuple[str, list[Rule]]:
    """The type of the target, and the rules that fill it."""
    opened = writer.opened
    document, scope = opened.document, opened.checked.scope
    variables = {name: f"({bare(node)})" for name, node in document.vars.items.items()}
    fhir = bool(opened.checked.source.type)
    root = "%input." if fhir else "%src."
    words = Words(root, {}, document.systems, scope.tables, scope.constants)
    for name, text in variables.items():
        try:
            words = words.with_names({name: f"({said(text, words)})"})
        except (CannotSay, ExpressionProblem) as why:
            writer.gap(document.vars.marks[name], f"vars.{name}", str(why))
    if document.record is not None:
        at = At("input", "target", "", words)
        rules = [
            rule
            for name, node in document.record.value["values"].value.items()
            for rule in _of_record(writer, node, name, at)
        ]
        return "", rules
    at = At("src", "target", "Bundle", words)
    resources = document.resources.value if document.resources is not None else {}
    if document.bundle == "none" and len(resources) == 1 and not _repeats(*resources.values()):
        (name, node), *_ = resources.items()
        kind = str(node.value["resourceType"].value)
        return kind, [then({"context": "input", "element": "record", "variable": "src"},
                            [], [constant("src", "target", "resourceType", kind),
                                 *_elements(writer, node, At("src", "target", kind, words), name)])]  # fmt: skip
    rules = [constant("src", "target", "type", "collection" if document.bundle == "none" else document.bundle)]
    for name, node in resources.items():
        rules += _resource(writer, name, node, at)
    writer.gap(document.mark, "fullUrl", "names that are derived from the record (UUIDv5) cannot be said")
    return "Bundle", [then({"context": "input", "element": "record", "variable": "src"}, [], rules)]


def _of_record(writer: Writer, node: Yaml, name: str, at: At) -> list[Rule]:
    record = writer.opened.document.record
    field = record.value["fields"].value.get(name) if record is not None else None
    if node.kind != "scalar" or (field is not None and field.kind == "list"):
        return writer.gap(node.mark, f"record.{name}", "structures and lists of a record cannot be said")
    return scalar(writer, node, name, "string", at, f"record.{name}")


def _repeats(node: Yaml) -> bool:
    return "$each" in node.value or "$if" in node.value


def _resource(writer: Writer, name: str, node: Yaml, at: At) -> list[Rule]:
    unsaid = next((one for one in ("$rows", "$questionnaire", "$use") if one in node.value), None)
    if unsaid is not None:
        return writer.gap(node.mark, name, f"{unsaid} cannot be said")

    def inside(here: At) -> list[Rule]:
        entry, made = writer.fresh("e"), writer.fresh("r")
        kind = str(node.value["resourceType"].value)
        targets = [
            {"context": here.target, "contextType": "variable", "element": "entry", "variable": entry},
            {"context": entry, "contextType": "variable", "element": "resource", "variable": made,
             "transform": "create", "parameter": [{"valueString": kind}]},
        ]  # fmt: skip
        below = _elements(writer, node, At(here.source, made, kind, here.words, here.inside), name)
        if writer.opened.document.bundle in ("transaction", "batch"):
            below += _request(writer, name, node, entry, kind, here)
        return [then({"context": here.source}, targets, below, f"entry-{name}")]

    return _directed(writer, node, at, name, inside)


def _request(writer: Writer, name: str, node: Yaml, entry: str, kind: str, at: At) -> list[Rule]:
    given = node.value.get("$request")
    parts = {"method": "POST", "url": kind}
    for key, one in given.value.items() if given is not None else ():
        if isinstance(one.value, str) and "{{" in one.value:
            writer.gap(one.mark, f"{name}.$request.{key}", "search text with escaped values cannot be said")
        else:
            parts[key] = str(one.value)
    request = writer.fresh("q")
    targets = [{"context": entry, "contextType": "variable", "element": "request", "variable": request}]
    return [
        then({"context": at.source}, [*targets, *(copied(request, key, value) for key, value in parts.items())], [])
    ]


def _directed(writer: Writer, node: Yaml, at: At, address: str, inside: Any) -> list[Rule]:
    """The rules of a node inside its $each, $let and $if."""
    value = node.value
    if "$each" in value:
        match = EACH.fullmatch(str(value["$each"].value))
        source = path_of(match.group(1).removeprefix("="), at) if match is not None else None
        if match is None or source is None or match.group(3):
            return writer.gap(
                value["$each"].mark, f"{address}.$each", "only a field of the record can be repeated over"
            )
        item = writer.fresh("a")
        here = At(item, at.target, at.type, at.words.with_names({match.group(2): f"%{item}"}), True)
        inner = _conditioned(writer, node, here, address, inside)
        return [then({"context": source[0], "element": source[1], "variable": item}, [], inner)]
    return _conditioned(writer, node, at, address, inside)


def _conditioned(writer: Writer, node: Yaml, at: At, address: str, inside: Any) -> list[Rule]:
    value = node.value
    for name, one in value["$let"].value.items() if "$let" in value else ():
        try:
            at = At(
                at.source, at.target, at.type, at.words.with_names({name: f"({said(bare(one), at.words)})"}), at.inside
            )
        except CannotSay as why:
            return writer.gap(one.mark, f"{address}.$let.{name}", str(why))
    if "$if" not in value:
        return list(inside(at))
    condition = value["$if"]
    if at.inside:
        return writer.gap(condition.mark, f"{address}.$if", "a condition inside $each reads differently in each engine")
    try:
        return guarded(writer, bare(condition), at, list(inside(at)))
    except CannotSay as why:
        return writer.gap(condition.mark, f"{address}.$if", str(why))


def _elements(writer: Writer, node: Yaml, at: At, address: str) -> list[Rule]:
    """The rules for every element of a structure."""
    definitions = writer.opened.checked.scope.definitions
    rules: list[Rule] = []
    whole = definitions.is_resource(at.type)
    profile = node.value.get("profile") if whole else None
    if profile is not None:
        canonical = writer.opened.document.profiles.get(str(profile.value), "")
        meta = writer.fresh("m")
        targets = [{"context": at.target, "contextType": "variable", "element": "meta", "variable": meta}]
        rules.append(then({"context": at.source}, [*targets, copied(meta, "profile", canonical)], []))
    for key, value in node.value.items():
        if key in _DIRECTIVES or (whole and key in ("resourceType", "profile")):
            continue
        here = f"{address}.{key}"
        element = definitions.element(at.type, key)
        if key.startswith("$") or element is None:
            rules += writer.gap(value.mark, here, "this has no form in a StructureMap")
            continue
        if element.choice and value.kind == "map" and _holds_lists(writer, value, element.type):
            rules += writer.gap(value.mark, here, "lists inside a choice of types are read differently by each engine")
            continue
        for at_item, item in enumerate(_flat(value)) if value.kind == "list" else [(None, value)]:
            place = here if at_item is None else f"{here}[{at_item}]"
            rules += _value(writer, item, key, element.type, at, place)
    return rules


def _holds_lists(writer: Writer, node: Yaml, kind: str) -> bool:
    definitions = writer.opened.checked.scope.definitions
    elements = (definitions.element(kind, key) for key in node.value)
    return any(one is not None and one.many for one in elements)


def _flat(node: Yaml) -> list[Yaml]:
    return [one for item in node.value for one in (_flat(item) if item.kind == "list" else [item])]


def _value(writer: Writer, node: Yaml, key: str, kind: str, at: At, address: str) -> list[Rule]:
    if node.kind == "scalar":
        return scalar(writer, node, key, kind, at, address)
    value = node.value
    if "$literal" in value and value["$literal"].kind == "scalar":
        return [constant(at.source, at.target, key, value["$literal"].value)]
    if "$value" in value and set(value) <= {"$value", "$each", "$let", "$if"}:
        return _directed(
            writer,
            node,
            at,
            address,
            lambda here: _value(writer, value["$value"], key, kind, here, f"{address}.$value"),
        )
    if any(one in value for one in ("$ref", "$value", "$literal", "$use", "$rows", "$questionnaire")):
        name = next(one for one in value if one.startswith("$") and one not in ("$each", "$let", "$if"))
        why = "references by derived names cannot be said" if name == "$ref" else f"{name} cannot be said"
        return writer.gap(node.mark, f"{address}.{name}", why)
    return _directed(writer, node, at, address, lambda here: _structure(writer, node, key, kind, here, address))


def _structure(writer: Writer, node: Yaml, key: str, kind: str, at: At, address: str) -> list[Rule]:
    """A structure, under the condition that one of its expressions gives something."""
    variable = writer.fresh("t")
    target = {"context": at.target, "contextType": "variable", "element": key, "variable": variable}
    inner = At(at.source, variable, kind, at.words, at.inside)
    below = _elements(writer, node, inner, address)
    rule = then({"context": at.source}, [target], below, address)
    varying = [one for one in _scalars(node) if one.mark in writer.leaves]
    if not varying or "$keep" in node.value or any(not writer.leaves[one.mark].nullable for one in varying):
        return [rule] if below or not varying else []
    texts = [text for one in varying for text in _texts(one)]
    if at.inside and any(re.fullmatch(r"%\w+", text.strip()) for text in texts):
        return [rule]  # the item itself
    if len(texts) == 1 and (source := path_of(texts[0], at)) is not None:
        rule["source"] = [{"context": source[0], "element": source[1], "variable": writer.fresh("g")}]
        return [rule]
    if at.inside:
        return writer.gap(node.mark, address, "several values that can be empty decide on it inside $each")
    try:
        condition = " or ".join(f"({text}).exists()" for text in texts)
        return guarded(writer, condition, at, [rule])
    except CannotSay as why:
        return writer.gap(node.mark, address, str(why))


def _scalars(node: Yaml) -> list[Yaml]:
    if node.kind == "scalar":
        return [node]
    below = node.value.values() if node.kind == "map" else node.value
    return [one for child in below for one in _scalars(child)]


def _texts(node: Yaml) -> list[str]:
    """The expressions that can make a scalar empty."""
    text = str(node.value)
    if text.startswith("="):
        return [text[1:]]
    return [piece for _, piece, kind in pieces(text) if kind == "expression"]
