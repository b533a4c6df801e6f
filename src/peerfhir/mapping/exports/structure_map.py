"""A mapping as a StructureMap of R4, in the subset that engines agree on, and what it cannot say there.

The source is one element, `record`, which holds the typed record: conditions then hold relative to the element and to
its context, because `record` exists in one of the two only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from peerfhir.config import Mark
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.exports.expression_text import CannotSay, Words
from peerfhir.mapping.exports.logical_model import map_id, model_name, written_fields
from peerfhir.mapping.exports.plain_template import Macros
from peerfhir.mapping.exports.structure_bundle import Entries, heads
from peerfhir.mapping.exports.structure_nodes import elements, meaning
from peerfhir.mapping.exports.structure_rules import NUMBERS, At, Rule, Writer, constant, then
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.tree import Each, If, Items, Leaf, Let, Node, Struct

Json = Any
_FHIR = "http://hl7.org/fhir"
_NEW_NAMES = "Every run names what it makes anew (urn:uuid); references follow."


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
    name = model_name(opened)
    types = {"source": source or name, "target": target}
    inputs = [
        {"name": name, "type": types[mode], "mode": mode} for name, mode in (("input", "source"), ("target", "target"))
    ]
    made: dict[str, Json] = {
        "resourceType": "StructureMap", "id": map_id(opened), "url": f"{canonical}/StructureMap/{map_id(opened)}",
        "version": document.version, "name": name,
        **({"title": document.title} if document.title else {}), "status": document.status,
    }  # fmt: skip
    if target == "Bundle" and document.bundle != "none":
        made["description"] = _NEW_NAMES
    if writer.used:
        made["contained"] = list(writer.used.values())
    made["structure"] = [
        {"url": f"{canonical if kind == name else _FHIR}/StructureDefinition/{kind}", "mode": mode, "alias": kind}
        for mode, kind in types.items()
    ]
    made["group"] = [{"name": "main", "typeMode": "none", "input": inputs, "rule": rules}]
    return made


def _collect(node: Node, found: dict[Mark, Leaf]) -> None:
    match node:
        case Leaf():
            before = found.get(node.rule.mark)
            # one line of a table or of a fragment is several leaves: what can be empty in one can be empty
            found[node.rule.mark] = node if before is None or node.nullable else before
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
    root = "%input." if opened.checked.source.type else "%src."
    numbers = frozenset(name for name, one in opened.checked.source.fields.items.items() if one.kind in NUMBERS)
    words = Words(root, root, document.systems, scope.tables, scope.bands, scope.constants, numbers=numbers)
    at = At(root.strip("%."), "target", "", words)
    for name, node in document.vars.items.items():
        try:
            at = replace(at, words=at.words.knowing(name, meaning(writer, node, at)))
        except (CannotSay, ExpressionProblem) as why:
            writer.gap(document.vars.marks[name], f"vars.{name}", str(why))
    macros = Macros(opened, writer.gap)
    if document.record is not None:
        node = replace(document.record, value=dict(macros.values()))
        return model_name(opened), elements(writer, node, replace(at, fields=written_fields(opened)), "record")
    found = heads(writer, macros)
    record = {"context": "input", "element": "record", "variable": "src"}
    if document.bundle == "none" and len(found) == 1 and found[0].always:
        (head,) = found
        return head.type, [then(record, [], elements(writer, head.yaml, replace(at, type=head.type), head.key))]
    kind = "collection" if document.bundle == "none" else document.bundle
    rules = [constant("src", "target", "type", kind), *Entries(writer, found).rules(replace(at, type="Bundle"))]
    return "Bundle", [then(record, [], rules)]
