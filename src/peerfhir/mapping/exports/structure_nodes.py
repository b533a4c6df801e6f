"""Rules of a StructureMap for structures: their elements, their directives, and when they are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.parser import parse
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.exports.expression_text import CannotSay, Named, quoted
from peerfhir.mapping.exports.structure_conditions import Sign, along, guarded, present
from peerfhir.mapping.exports.structure_leaves import evaluated, scalar
from peerfhir.mapping.exports.structure_rules import (
    At,
    Rule,
    Spot,
    Writer,
    begun,
    constant,
    copied,
    item_of,
    path_of,
    placed,
    then,
)
from peerfhir.mapping.leaves import bare
from peerfhir.mapping.nodes import EACH
from peerfhir.mapping.texts import pieces

DIRECTIVES = ("$request", "$identity", "$each", "$let", "$if", "$keep")
_AROUND = frozenset(("$each", "$let", "$if"))
Inside = Callable[[At], list[Rule]]


def directed(
    writer: Writer, node: Yaml, at: At, address: str, inside: Inside, *, counted: str | None = None
) -> list[Rule]:
    """The rules of a node inside its $each, $let and $if.

    counted  how many of the node were made before, as an expression; None where that is not known
    """
    if "$each" not in node.value:
        return _named(writer, node, at, address, inside)
    each = node.value["$each"]
    match = EACH.fullmatch(str(each.value))
    source = path_of(match.group(1).removeprefix("="), at) if match is not None else None
    if match is None or source is None:
        return writer.gap(each.mark, f"{address}.$each", "only a field of the record can be repeated over")
    variable = writer.fresh("a")
    words = at.words.at_item(match.group(2), f"%{variable}.")
    if match.group(3) and counted is not None:
        words = words.knowing(match.group(3), counted)
    here = replace(at, words=words, shown=frozenset(), item=item_of(writer, match.group(2), variable, source, at))
    return along(writer, source, at, variable, _named(writer, node, here, address, inside))


def _named(writer: Writer, node: Yaml, at: At, address: str, inside: Inside) -> list[Rule]:
    value = node.value
    for name, one in value["$let"].value.items() if "$let" in value else ():
        try:
            at = replace(at, words=at.words.knowing(name, meaning(writer, one, at)))
        except (CannotSay, ExpressionProblem) as why:
            return writer.gap(one.mark, f"{address}.$let.{name}", str(why))
    if "$if" not in value:
        return inside(at)
    condition = value["$if"]
    try:
        return guarded(writer, bare(condition), at, inside(at))
    except CannotSay as why:
        return writer.gap(condition.mark, f"{address}.$if", str(why))


def meaning(writer: Writer, node: Yaml, at: At) -> Named:
    """What a name stands for: an expression, a text with expressions, or a constant."""
    text = str(node.value)
    if not isinstance(node.value, str) or text.startswith("="):
        return Named(parse(bare(node) if isinstance(node.value, str) else text.lower()), at.words)
    if "{{" in text:
        parts = [quoted(one) if kind == "constant" else f"({one}).toString()" for _, one, kind in pieces(text)]
        return Named(parse(" + ".join(parts)), at.words)
    systems = writer.opened.document.systems
    return Named(parse(quoted(systems.get(text.removeprefix("$"), text) if text.startswith("$") else text)), at.words)


def elements(writer: Writer, node: Yaml, at: At, address: str) -> list[Rule]:
    """The rules for every element of a structure."""
    whole = at.fields is None and writer.opened.checked.scope.definitions.is_resource(at.type)
    rules: list[Rule] = []
    profile = node.value.get("profile") if whole else None
    if profile is not None:
        canonical = writer.opened.document.profiles.get(str(profile.value), "")
        meta = writer.fresh("m")
        targets = [placed(at.target, "meta", variable=meta), copied(meta, "profile", canonical)]
        rules.append(then({"context": at.here}, targets, []))
    for key, value in node.value.items():
        if key in DIRECTIVES or (whole and key in ("resourceType", "profile")):
            continue
        here = f"{address}.{key}"
        spot = _spot(writer, key, at, value)
        if spot is None:
            rules += writer.gap(value.mark, here, "this has no form in a StructureMap")
        elif value.kind == "list":
            for number, item in enumerate(_flat(value)):
                alone = len(value.value) == 1
                rules += _value(writer, item, spot, at, f"{here}[{number}]", alone=alone)
        else:
            rules += _value(writer, value, spot, at, here, alone=True)
    return rules


def _spot(writer: Writer, key: str, at: At, value: Yaml) -> Spot | None:
    if at.fields is not None:
        field = at.fields.items.get(key)
        return Spot(key, field.kind, "", field.fields) if field is not None else None
    definitions = writer.opened.checked.scope.definitions
    element = None if key.startswith("$") else definitions.element(at.type, key)
    if element is None:
        return None
    kind = element.type
    listed = value.kind == "scalar" and kind == "CodeableConcept"
    if value.kind == "map":
        found = (definitions.element(kind, below) for below in value.value)
        listed = any(one is not None and one.many for one in found)
    return Spot(key, kind, kind if element.choice and listed else "")


def _flat(node: Yaml) -> list[Yaml]:
    return [one for item in node.value for one in (_flat(item) if item.kind == "list" else [item])]


def _value(writer: Writer, node: Yaml, spot: Spot, at: At, address: str, *, alone: bool) -> list[Rule]:
    if node.kind == "scalar":
        return scalar(writer, node, spot, at, address)
    value = node.value
    if "$literal" in value and value["$literal"].kind == "scalar" and not set(value) - {"$literal", *_AROUND}:
        said = [constant(at.here, at.target, spot.key, value["$literal"].value)]
        return said if len(value) == 1 else directed(writer, node, at, address, lambda here: said)
    if "$value" in value and not set(value) - {"$value", *_AROUND}:
        below = f"{address}.$value"
        return directed(
            writer, node, at, address, lambda here: _value(writer, value["$value"], spot, here, below, alone=False)
        )
    unsaid = next((one for one in value if one.startswith("$") and one not in (*DIRECTIVES, "$ref")), None)
    if unsaid is not None:
        return writer.gap(node.mark, f"{address}.{unsaid}", f"{unsaid} cannot be said")
    always = alone and "$if" not in value and _signs(writer, node, top=True) is None
    counted = f"(%{at.target}.{spot.key}.count() - 1)" if always else None
    return directed(
        writer, node, at, address, lambda here: _structure(writer, node, spot, here, address), counted=counted
    )


def _structure(writer: Writer, node: Yaml, spot: Spot, at: At, address: str) -> list[Rule]:
    """A structure, under the condition that one of its expressions gives something."""
    variable = writer.fresh("t")
    signs = _signs(writer, node, top=True)
    shown = frozenset(one.said for one in signs or ())
    inner = replace(at, target=variable, type=spot.kind, fields=spot.fields, shown=shown or at.shown)
    try:
        below = _reference(node, inner) + elements(writer, _without(node, "$ref"), inner, address)
    except CannotSay as why:
        return writer.gap(node.value["$ref"].mark, f"{address}.$ref", str(why))
    rules = [then({"context": at.here}, [begun(at.target, spot, variable)], below, address)]
    if not signs:
        return rules if below or signs is not None else []
    if at.shown and at.shown <= shown:  # what stands around it is there by the same signs
        return rules
    try:
        return present(writer, signs, at, rules)
    except CannotSay as why:
        return writer.gap(node.mark, address, str(why))


def _reference(node: Yaml, at: At) -> list[Rule]:
    """The rule that names the resource of a $ref."""
    if "$ref" not in node.value:
        return []
    target = str(node.value["$ref"].value)
    if target not in at.words.addresses:
        raise CannotSay("only a resource that is always there, and comes before, can be referred to")
    said = at.words.addresses[target]
    if said.startswith("%"):
        return [then({"context": at.here}, [placed(at.target, "reference", "copy", {"valueId": said[1:]})], [])]
    return [then({"context": at.here}, [evaluated(at, "reference", said)], [])]


def _without(node: Yaml, key: str) -> Yaml:
    return replace(node, value={name: one for name, one in node.value.items() if name != key})


def _signs(writer: Writer, node: Yaml, *, top: bool = False) -> list[Sign] | None:
    """What shows that something of a node is there: one of them is enough, none where all is constant, None for always.

    top  the node's own $if and $each stand around it already
    """
    if node.kind == "scalar":
        leaf = writer.leaves.get(node.mark)
        if leaf is None:
            return []
        return [_sign(_texts(node))] if leaf.nullable else None
    values = node.value if node.kind == "list" else [one for key, one in node.value.items() if key not in _AROUND]
    inside = [_signs(writer, one) for one in values]
    always = any(one is None for one in inside)
    if node.kind == "map" and ("$keep" in node.value or "$ref" in node.value):
        always = True
    found = None if always else [sign for one in inside if one is not None for sign in one]
    if top or node.kind == "list":
        return found
    if "$each" in node.value and not found:
        found = [Sign(str(node.value["$each"].value).removeprefix("=").rpartition(" as ")[0])]
    if "$if" in node.value:
        condition = f"({bare(node.value['$if'])})"
        return [Sign(f"{condition} and ({' or '.join(one.said for one in found)})" if found else condition, True)]
    return found


def _sign(texts: list[str]) -> Sign:
    """What shows that a scalar is there: a text is empty when one of its expressions is."""
    if len(texts) == 1:
        return Sign(texts[0])
    return Sign(" and ".join(f"({text}).exists()" for text in texts), True)


def _texts(node: Yaml) -> list[str]:
    """The expressions that can make a scalar empty."""
    text = str(node.value)
    if text.startswith("="):
        return [text[1:]]
    return [piece for _, piece, kind in pieces(text) if kind == "expression"]
