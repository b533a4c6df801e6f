"""Rules of a StructureMap for single values, in the forms that engines agree on."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from peerfhir.config import Node as Yaml
from peerfhir.fhir.definitions import PRIMITIVES
from peerfhir.fhir.fhirpath.parser import Call, Expression, Literal, Member, Variable, parse
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.exports.concept_map_export import concept_map, local_system
from peerfhir.mapping.exports.expression_text import CannotSay, named, printed, quoted, said
from peerfhir.mapping.exports.structure_conditions import Sign, guarded, present
from peerfhir.mapping.exports.structure_rules import (
    At,
    Json,
    Rule,
    Spot,
    Writer,
    begun,
    constant,
    copied,
    path,
    placed,
    then,
)
from peerfhir.mapping.texts import pieces

_CODING = re.compile(r'([a-z][a-z0-9-]*)#([^\s"]+)(?:\s+"(.*)")?', re.DOTALL)
_ALIAS = re.compile(r"\$([a-z][a-z0-9-]*)")


def scalar(writer: Writer, node: Yaml, spot: Spot, at: At, address: str) -> list[Rule]:
    """The rules of one scalar; a gap where it cannot be said."""
    value = node.value
    systems = writer.opened.document.systems
    if isinstance(value, str) and (value.startswith("=") or "{{" in value):
        try:
            return _evaluated(writer, node, spot, at)
        except CannotSay as why:
            return writer.gap(node.mark, address, str(why))
    if isinstance(value, str) and spot.kind in ("Coding", "CodeableConcept") and (match := _CODING.fullmatch(value)):
        alias, code, display = match.groups()
        parts = {"system": systems.get(alias, ""), "code": code, "display": display}
        targets, inner = _coding(writer, at, spot)
        return [
            then({"context": at.here}, [*targets, *(copied(inner, k, text) for k, text in parts.items() if text)], [])
        ]
    if isinstance(value, str) and (match := _ALIAS.fullmatch(value)) and match.group(1) in systems:
        return [constant(at.here, at.target, spot.key, systems[match.group(1)])]
    return [constant(at.here, at.target, spot.key, value)]


def evaluated(at: At, key: str, expression: str) -> Json:
    """A target that takes what an expression gives; a bare iif() would be read as a transform of that name."""
    expression = f"({expression}).where(true)" if expression.startswith("iif(") else expression
    return placed(at.target, key, "evaluate", {"valueString": expression})


def joined(text: str, at: At) -> str:
    """A text with expressions as one expression, which is empty when one of them is."""
    return " + ".join(
        quoted(piece) if kind == "constant" else f"({said(piece, at.words)}).toString()"
        for _, piece, kind in pieces(text)
    )


def _coding(writer: Writer, at: At, spot: Spot) -> tuple[list[Json], str]:
    """Targets that begin a Coding, alone or in a CodeableConcept, and the variable that holds it."""
    outer = writer.fresh("t")
    targets = [begun(at.target, spot, outer)]
    if spot.kind != "CodeableConcept":
        return targets, outer
    inner = writer.fresh("t")
    return [*targets, placed(outer, "coding", variable=inner)], inner


def _evaluated(writer: Writer, node: Yaml, spot: Spot, at: At) -> list[Rule]:
    text = str(node.value)
    if not text.startswith("="):
        return [then({"context": at.here}, [evaluated(at, spot.key, joined(text, at))], [])]
    tree, fhir = parse(text[1:]), bool(writer.opened.checked.source.type)
    if isinstance(tree, Call) and tree.name == "toQuantity" and tree.base is not None and spot.kind not in PRIMITIVES:
        return _quantity(writer, node, tree, spot, at)
    if isinstance(tree, Literal) and isinstance(tree.value, bool | int | Decimal):
        return [constant(at.here, at.target, spot.key, tree.value)]
    table = _table(tree, at)
    if table is not None and spot.kind in ("Coding", "CodeableConcept"):
        return _translated_coding(writer, tree, spot, at)
    if table is not None and not writer.inline and isinstance(tree, Call) and tree.base is not None:
        source = path(tree.base, at)
        # what no value becomes would need a condition on a resource, which has nothing to stand on
        plain = not (table.default or table.provided or table.coded or (table.blank and fhir))
        if source is not None and len(source[1]) == 1 and plain and source[1][0] not in at.words.numbers:
            return _translated(writer, table, spot.key, at, (source[0], source[1][0]))
    if isinstance(tree, Variable) and tree.name in at.words.items:
        item = at.words.items[tree.name].strip("%.")
        return [then({"context": item}, [placed(at.target, spot.key, "copy", {"valueId": item})], [])]
    source = path(tree, at)
    if source is not None and len(source[1]) == 1:
        variable = writer.fresh("v")
        rule = {"context": source[0], "element": source[1][0], "variable": variable}
        return [then(rule, [placed(at.target, spot.key, "copy", {"valueId": variable})], [])]
    return [then({"context": at.here}, [evaluated(at, spot.key, printed(tree, at.words))], [])]


def _quantity(writer: Writer, node: Yaml, tree: Call, spot: Spot, at: At) -> list[Rule]:
    units = [one.value for one in tree.arguments if isinstance(one, Literal)]
    if tree.base is None or not units:
        raise CannotSay("only a number with a unit becomes a Quantity elsewhere")
    variable = writer.fresh("t")
    parts = {"unit": str(units[-1]), "system": "http://unitsofmeasure.org", "code": str(units[0])}
    number = evaluated(replace(at, target=variable), "value", printed(tree.base, at.words))
    targets = [begun(at.target, spot, variable), number, *(copied(variable, key, text) for key, text in parts.items())]
    made = [then({"context": at.here}, targets, [])]
    leaf = writer.leaves.get(node.mark)
    if leaf is not None and not leaf.nullable:
        return made
    return present(writer, [Sign(_before(str(node.value)[1:], tree))], at, made)


def _before(text: str, tree: Call) -> str:
    """What a call at the end of an expression is called on, as it was written."""
    return text[: text.rindex(f".{tree.name}")]


def _table(tree: Expression, at: At) -> CodeMap | None:
    if (
        isinstance(tree, Call)
        and tree.name == "translate"
        and tree.arguments
        and isinstance(tree.arguments[0], Literal)
    ):
        found = at.words.tables.get(str(tree.arguments[0].value))
        return found if isinstance(found, CodeMap) else None
    return None


def _translated_coding(writer: Writer, tree: Expression, spot: Spot, at: At) -> list[Rule]:
    """A Coding from a code map, element by element; there when its input is."""
    if not isinstance(tree, Call) or tree.base is None:
        raise CannotSay("the code map is not known")
    source = path(tree.base, at)
    if source is None or len(source[1]) > 1:
        raise CannotSay("only a field can become a Coding elsewhere")
    targets, inner = _coding(writer, at, spot)
    parts = [
        evaluated(replace(at, target=inner), part, printed(Member(tree, part, False, 0), at.words))
        for part in ("system", "code", "display")
    ]
    rule = {"context": source[0], "element": source[1][0], "variable": writer.fresh("g")}
    return [then(rule, [*targets, *parts], [])]


def _translated(writer: Writer, table: CodeMap, key: str, at: At, source: tuple[str, str]) -> list[Rule]:
    """A closed code map through the contained ConceptMap; what no value becomes is a rule of its own."""
    name = f"cm-{table.name}"
    if table.name not in writer.used:
        system = local_system(writer.opened, table)
        made = concept_map(writer.opened, replace(table, blank=None), f"#{name}")
        made["group"] = [{"source": system, "target": f"{system}:target", **one} for one in made["group"]]
        plain = {k: v for k, v in made.items() if k != "resourceType"}
        writer.used[table.name] = {"resourceType": "ConceptMap", "id": name, **plain}
    variable = writer.fresh("v")
    parameters = ({"valueId": variable}, {"valueString": f"#{name}"}, {"valueString": "code"})
    target = placed(at.target, key, "translate", *parameters)
    rules = [then({"context": source[0], "element": source[1], "variable": variable}, [target], [])]
    if table.blank is not None and table.blank.code is not None:
        blank = constant(at.here, at.target, key, table.blank.code)
        before = f"%{at.item.name}." if at.item is not None and source[0] == at.item.variable else ""
        rules += guarded(writer, f"{before}{named(source[1])}.exists().not()", at, [blank])
    return rules
