"""Rules of a StructureMap for single values, and conditions, in the forms that engines agree on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.definitions import PRIMITIVES
from peerfhir.fhir.fhirpath.parser import Call, Expression, Literal, Member, Variable, parse
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.concept_map_export import concept_map, local_system
from peerfhir.mapping.expression_text import CannotSay, Words, printed, quoted, said
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.texts import pieces
from peerfhir.mapping.tree import Leaf

Json = Any
Rule = dict[str, Json]
_CODING = re.compile(r'([a-z][a-z0-9-]*)#([^\s"]+)(?:\s+"(.*)")?', re.DOTALL)
_ALIAS = re.compile(r"\$([a-z][a-z0-9-]*)")
_NOT_NAME = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True)
class At:
    """Where rules are written: the source variable, the target variable and its type, and how names are said."""

    source: str
    target: str
    type: str
    words: Words
    inside: bool = False  # a $each


@dataclass
class Writer:
    """What is written so far: gaps, the ConceptMaps that are needed, and names that are taken."""

    opened: Opened
    canonical: str
    inline: bool
    gaps: list[str] = field(default_factory=list)
    used: dict[str, Json] = field(default_factory=dict)
    count: int = 0
    leaves: dict[Mark, Leaf] = field(default_factory=dict)

    def fresh(self, letter: str) -> str:
        """A variable that is not taken."""
        self.count += 1
        return f"{letter}{self.count}"

    def gap(self, mark: Mark, address: str, why: str) -> list[Rule]:
        """Note what cannot be said; no rule comes of it."""
        self.gaps.append(f"{mark}: {address}: {why}")
        return []


def guarded(writer: Writer, text: str, at: At, rules: list[Rule]) -> list[Rule]:
    """Rules under a condition that means the same relative to `record` and to what holds it."""
    fhir = bool(writer.opened.checked.source.type)
    if fhir:
        raise CannotSay("a condition on a resource needs an element to stand on")
    element, context = said(text, at.words.under("")), said(text, at.words.under("record."))
    condition = f"iif(record.exists(), {context}, {element})"
    source = {"context": "input", "element": "record", "variable": writer.fresh("g"), "condition": condition}
    return [then(source, [], rules)]


def path_of(text: str, at: At) -> tuple[str, str] | None:
    """Context and element of an expression that names one field of the record or of an item."""
    try:
        node = parse(text)
    except ExpressionProblem:
        return None
    return _field(node, at)


def _field(node: Expression, at: At) -> tuple[str, str] | None:
    match node:
        case Member(base=None, name=name):
            return at.words.root.strip("%."), name
        case Member(base=Variable(name=variable), name=name) if variable in at.words.variables:
            said_as = at.words.variables[variable]
            return (said_as.removeprefix("%"), name) if re.fullmatch(r"%\w+", said_as) else None
    return None


def scalar(writer: Writer, node: Yaml, key: str, kind: str, at: At, address: str) -> list[Rule]:
    """The rules of one scalar; a gap where it cannot be said."""
    value = node.value
    document = writer.opened.document
    if isinstance(value, str) and (value.startswith("=") or "{{" in value):
        try:
            return _evaluated(writer, node, key, kind, at, address)
        except CannotSay as why:
            return writer.gap(node.mark, address, str(why))
    if isinstance(value, str) and kind in ("Coding", "CodeableConcept") and (match := _CODING.fullmatch(value)):
        alias, code, display = match.groups()
        parts = {"system": document.systems.get(alias, ""), "code": code, "display": display}
        return [_coding(writer, at, key, kind, {one: text for one, text in parts.items() if text})]
    if isinstance(value, str) and (match := _ALIAS.fullmatch(value)) and match.group(1) in document.systems:
        return [constant(at.source, at.target, key, document.systems[match.group(1)])]
    return [constant(at.source, at.target, key, value)]


def _coding(writer: Writer, at: At, key: str, kind: str, parts: Mapping[str, str]) -> Rule:
    outer = writer.fresh("t")
    targets: list[Json] = [{"context": at.target, "contextType": "variable", "element": key, "variable": outer}]
    if kind == "CodeableConcept":
        inner = writer.fresh("t")
        targets.append({"context": outer, "contextType": "variable", "element": "coding", "variable": inner})
        outer = inner
    return then({"context": at.source}, [*targets, *(copied(outer, one, text) for one, text in parts.items())], [])


def _evaluated(writer: Writer, node: Yaml, key: str, kind: str, at: At, address: str) -> list[Rule]:
    text = str(node.value)
    if not text.startswith("="):
        return _text(writer, node, key, at)
    tree = parse(text[1:])
    if isinstance(tree, Call) and tree.name == "toQuantity" and tree.base is not None and kind not in PRIMITIVES:
        return _quantity(writer, tree, key, at)
    table = _table(tree, at)
    if table is not None and kind in ("Coding", "CodeableConcept"):
        return _translated_coding(writer, tree, key, kind, at)
    if table is not None and not writer.inline and isinstance(tree, Call) and tree.base is not None:
        source = _field(tree.base, at)
        if source is not None and table.default is None and not table.provided and not table.coded:
            return _translated(writer, table, key, at, source)
    item = at.words.variables.get(tree.name, "") if isinstance(tree, Variable) else ""
    if re.fullmatch(r"%\w+", item):
        copied = {"context": at.target, "contextType": "variable", "element": key, "transform": "copy",
                  "parameter": [{"valueId": item[1:]}]}  # fmt: skip
        return [then({"context": item[1:]}, [copied], [])]
    source = _field(tree, at)
    if source is not None:
        variable = writer.fresh("v")
        rule = {"context": source[0], "element": source[1], "variable": variable}
        copied = {"context": at.target, "contextType": "variable", "element": key, "transform": "copy",
                  "parameter": [{"valueId": variable}]}  # fmt: skip
        return [then(rule, [copied], [])]
    return [then({"context": at.source}, [_evaluate(at, key, printed(tree, at.words))], [])]


def _evaluate(at: At, key: str, expression: str) -> Json:
    return {"context": at.target, "contextType": "variable", "element": key, "transform": "evaluate",
            "parameter": [{"valueString": expression}]}  # fmt: skip


def _text(writer: Writer, node: Yaml, key: str, at: At) -> list[Rule]:
    """A text: its parts joined with `+`, which is empty when one of them is."""
    parts = [
        quoted(piece) if kind == "constant" else f"({said(piece, at.words)}).toString()"
        for _, piece, kind in pieces(str(node.value))
    ]
    return [then({"context": at.source}, [_evaluate(at, key, " + ".join(parts))], [])]


def _quantity(writer: Writer, tree: Call, key: str, at: At) -> list[Rule]:
    units = [one.value for one in tree.arguments if isinstance(one, Literal)]
    source = _field(tree.base, at) if tree.base is not None else None
    if source is None or not units:
        raise CannotSay("only a field can become a Quantity elsewhere")
    variable, value = writer.fresh("t"), writer.fresh("v")
    parts = {"unit": str(units[-1]), "system": "http://unitsofmeasure.org", "code": str(units[0])}
    targets = [
        {"context": at.target, "contextType": "variable", "element": key, "variable": variable},
        {"context": variable, "contextType": "variable", "element": "value", "transform": "copy",
         "parameter": [{"valueId": value}]},
        *(copied(variable, one, text) for one, text in parts.items()),
    ]  # fmt: skip
    return [then({"context": source[0], "element": source[1], "variable": value}, targets, [])]


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


def _translated_coding(writer: Writer, tree: Expression, key: str, kind: str, at: At) -> list[Rule]:
    """A Coding from a code map, element by element; there when its input is."""
    if not isinstance(tree, Call) or tree.base is None:
        raise CannotSay("the code map is not known")
    source = _field(tree.base, at)
    if source is None:
        raise CannotSay("only a field can become a Coding elsewhere")
    outer = writer.fresh("t")
    targets: list[Json] = [{"context": at.target, "contextType": "variable", "element": key, "variable": outer}]
    if kind == "CodeableConcept":
        targets.append({"context": outer, "contextType": "variable", "element": "coding", "variable": f"{outer}c"})
        outer = f"{outer}c"
    inner = replace(at, target=outer)
    parts = [
        _evaluate(inner, part, printed(Member(tree, part, False, 0), at.words))
        for part in ("system", "code", "display")
    ]
    rule = {"context": source[0], "element": source[1], "variable": writer.fresh("g")}
    return [then(rule, [*targets, *parts], [])]


def _translated(writer: Writer, table: CodeMap, key: str, at: At, source: tuple[str, str]) -> list[Rule]:
    """A closed code map through the contained ConceptMap; what no value becomes is a rule of its own."""
    name = f"cm-{table.name}"
    if table.name not in writer.used:
        system = local_system(writer.opened, table)
        made = concept_map(writer.opened, replace(table, blank=None), f"#{name}")
        made["group"] = [{"source": system, "target": f"{system}:target", **one} for one in made["group"]]
        writer.used[table.name] = {
            "resourceType": "ConceptMap",
            "id": name,
            **{k: v for k, v in made.items() if k != "resourceType"},
        }
    variable = writer.fresh("v")
    parameters = [{"valueId": variable}, {"valueString": f"#{name}"}, {"valueString": "code"}]
    target = {"context": at.target, "contextType": "variable", "element": key, "transform": "translate",
              "parameter": parameters}  # fmt: skip
    rules = [then({"context": source[0], "element": source[1], "variable": variable}, [target], [])]
    if table.blank is not None and table.blank.code is not None:
        if at.inside:
            raise CannotSay("what no value becomes needs a condition, which cannot stand inside $each")
        blank = then({"context": at.source}, [copied(at.target, key, table.blank.code)], [])
        rules += guarded(writer, f"{source[1]}.exists().not()", at, [blank])
    return rules


def copied(target: str, element: str, value: Json) -> Json:
    """A target that takes a constant."""
    kind = "valueBoolean" if isinstance(value, bool) else "valueInteger" if isinstance(value, int) else "valueString"
    if not isinstance(value, str | bool | int):
        kind = "valueDecimal"
    return {"context": target, "contextType": "variable", "element": element, "transform": "copy",
            "parameter": [{kind: value}]}  # fmt: skip


def constant(source: str, target: str, element: str, value: Json) -> Rule:
    """A rule that writes a constant."""
    return then({"context": source}, [copied(target, element, value)], [])


def then(source: dict[str, Json], targets: list[Json], rules: list[Rule], name: str = "") -> Rule:
    """One rule. Its name is what it writes, as an id of R4 wants it."""
    last = targets[-1] if targets else {}
    called = name or f"{last.get('context', source.get('element', 'rule'))}-{last.get('element', 'each')}"
    made: Rule = {"name": _NOT_NAME.sub("-", called).strip("-")[:64], "source": [source]}
    if targets:
        made["target"] = targets
    if rules:
        made["rule"] = rules
    return made
