"""Scalars of a template: constants, expressions and texts, fitted to the element they stand in."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from peerfhir.config import Mark, Node
from peerfhir.fhir.definitions import PRIMITIVES, Element
from peerfhir.fhir.fhirpath.compile import Emitted, call, emit
from peerfhir.fhir.fhirpath.problems import ExpressionProblem, nearest
from peerfhir.fhir.fhirpath.types import Scope, Static
from peerfhir.fhir.snapshot import Node as Outline
from peerfhir.mapping import forms
from peerfhir.mapping.code_map import CodeMap
from peerfhir.mapping.fields import Field
from peerfhir.mapping.fragments import WHOLE
from peerfhir.mapping.labels import Labels
from peerfhir.mapping.privacy import UNTOLD, Policy
from peerfhir.mapping.problems import Problems, Texts, listed
from peerfhir.mapping.texts import pieces
from peerfhir.mapping.tree import Const, Leaf, Rule

_ALIAS = re.compile(r"\$([a-z][a-z0-9-]*)")
_CODING = re.compile(r'([a-z][a-z0-9-]*)#([^\s"]+)(?:\s+"(.*)")?', re.DOTALL)

_TEXTS = frozenset([
    "string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid", "base64Binary",
])  # fmt: skip
_URIS = frozenset(["uri", "url", "canonical", "oid", "uuid"])
_MOST_NOTES = 3  # entries of code maps that one message points at
_INTEGERS = frozenset(["integer", "positiveInt", "unsignedInt"])
_QUANTITIES = frozenset([
    "Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity", "MoneyQuantity",
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slot:
    """What an element, or a field of a from-fhir record, takes."""

    kind: str
    many: bool = False
    required: bool = False
    codes: frozenset[str] | None = None
    targets: tuple[str, ...] = ()
    field: Field | None = None
    outline: Outline | None = None

    @staticmethod
    def of_element(element: Element, outline: Outline | None = None) -> Slot:
        """The slot of an element of the definitions, and what a profile says of it."""
        required = element.minimum > 0 and element.choice is None
        return Slot(element.type, element.many, required, element.codes, element.targets, outline=outline)

    @staticmethod
    def of_field(field: Field) -> Slot:
        """The slot of a declared field."""
        return Slot(field.kind, field.repeats, field.required, field.codes, (), field)

    @property
    def is_primitive(self) -> bool:
        return self.kind in PRIMITIVES

    def alone(self) -> Slot:
        """The slot of one item of it."""
        return replace(self, many=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: what its expressions may name, its address, and how many $each lie around it.

    item, index  the Python names of the innermost $each's item and position
    given        inside a fragment: the arguments that are constants
    """

    scope: Scope
    address: str
    depth: int = 0
    item: str = ""
    index: str = ""
    given: Mapping[str, Node] = field(default_factory=dict)

    def below(self, step: str) -> Place:
        """The place of an element or directive below it."""
        return replace(self, address=f"{self.address}.{step}" if self.address else step)

    def number(self, at: int) -> Place:
        """The place of one item of a list."""
        return replace(self, address=f"{self.address}[{at}]")


class Leaves:
    """Turns the scalars of one document into leaves; what does not fit is noted."""

    def __init__(self, text: Texts, problems: Problems, policy: Policy = UNTOLD) -> None:
        self._text = text
        self._problems = problems
        self.used: set[tuple[int, str]] = set()  # identity of the shape, and the name below it
        self.types: dict[str, Static] = {}  # Python name -> what it holds
        self.watched: frozenset[str] = frozenset()  # Python names of `vars`
        self.seen: set[str] = set()  # those that some expression reads
        self.fits: dict[Rule, Static] = {}  # what is known of the value that stands in an element
        self.labels = Labels(problems, policy)

    def scalar(self, node: Node, slot: Slot, place: Place) -> Const | Leaf | None:
        """The leaf of one scalar, or None after noting why there is none."""
        value = node.value
        if value is None:
            self._add(node, "PM007", place, "there is no value here", "leave the key out")
            return None
        if isinstance(value, str) and value.startswith("="):
            whole = WHOLE.fullmatch(value) if place.given else None
            if whole and whole.group(1) in place.given:
                return self.constant(place.given[whole.group(1)], slot, place)
            found = self.expression(node, 1, value[1:], place)
            return None if found is None else self.fitted(node, found, slot, place)
        if isinstance(value, str) and ("{{" in value or "}}" in value):
            return self.text(node, slot, place)
        return self.constant(node, slot, place)

    def expression(self, node: Node, start: int, text: str, place: Place) -> Emitted | None:
        """An expression that begins at character `start` of a scalar, or None after noting why not."""
        try:
            found = emit(text, place.scope)
        except ExpressionProblem as problem:
            self.used.update((id(shape), name) for shape, name in problem.uses)
            mark = self._text.inside(node, start + problem.offset)
            self._problems.add(mark, problem.rule, place.address, problem.what, problem.hint)
            return None
        self.used.update((id(shape), name) for shape, name in found.uses)
        if self.watched:
            self.seen.update(one.id for one in ast.walk(found.code) if isinstance(one, ast.Name))
        self.labels.read(found)
        for rule, offset, what, hint in found.findings:
            self._problems.add(self._text.inside(node, start + offset), rule, place.address, what, hint)
        return found

    def condition(self, node: Node, place: Place) -> Emitted | None:
        """The expression of a $if: Boolean, with at most one value."""
        found = self.expression(node, start_of(node), bare(node), place)
        if found is None:
            return None
        if found.type.kinds == ("boolean",) and found.type.card != "many":
            return found if found.type.sure else replace(found, code=call("flag", found.code))
        hint = f"write {bare(node)}.exists()"
        self._add(node, "PM126", place, f"a condition is true or false, not {found.type.called()}", hint)
        return None

    def fitted(self, node: Node, found: Emitted, slot: Slot, place: Place) -> Const | Leaf | None:
        """An expression in a slot: conversion, cardinality and codes by section 8 of the language."""
        rule = Rule(node.mark, place.address)
        static = found.type
        if slot.field is None:
            self.labels.check(node, (found,), slot.kind, place.address)
        if slot.kind == "xhtml":
            self._add(
                node, "PM233", place, "an expression cannot stand in a narrative", 'write "<div ...>{{...}}</div>"'
            )
            return None
        if not static.kinds:
            return Leaf(rule, found.code)
        if static.card == "many" and not slot.many:
            hint = "add .first(), or narrow it with where(...)"
            self._add(node, "PM211", place, "the expression can give many values and one fits", hint)
            return None
        ways = [conversion(kind, slot.kind) for kind in static.kinds]
        if None in ways or (slot.kind == "object" and slot.field is not None):
            self._misfit(node, static, slot, place)
            return None
        if static.codes is not None and "wrap" not in ways and "copy" not in ways:
            self._check_codes(node, static.codes, slot, place)
        elif slot.codes is not None:
            what = "the codes are checked only when data flows: the value can be any text"
            self._add(node, "PM241", place, what, "translate it with a code map")
        self.fits[rule] = static
        complex_type = "copy" in ways or "wrap" in ways
        blank = static.blank and not _TEXTS.isdisjoint(static.kinds)
        refers = _refers(slot, place) and not _is_url(found.code)
        proven = static.sure and ("check" not in ways or static.codes is not None) and not refers
        return Leaf(
            rule, found.code, nullable=static.card != "one" or blank,
            many=static.card == "many", blank=blank,
            form=None if proven or complex_type else forms.REFERENCE if refers else slot.kind,
            codes=slot.codes if static.codes is None and slot.field is None else None,
            field=slot.field, wrap="wrap" in ways, copy=complex_type, promised=static.promised,
        )  # fmt: skip

    def _misfit(self, node: Node, static: Static, slot: Slot, place: Place) -> None:
        wanted = "a structure" if slot.kind == "object" else slot.kind
        code = "PM230" if slot.is_primitive and all(kind in PRIMITIVES for kind in static.kinds) else "PM231"
        hint = ""
        if slot.kind in _TEXTS and static.systems <= {"Integer", "Decimal", "Boolean"}:
            hint = "write (... & '') for its text"
        elif slot.is_primitive and code == "PM231":
            hint = "name the element below it that holds the value"
        self._add(node, code, place, f"{static.called()} does not fit here: {wanted} is expected", hint)

    def _check_codes(self, node: Node, codes: frozenset[str], slot: Slot, place: Place) -> None:
        wrong = sorted(code for code in codes if not forms.fits(slot.kind, code))
        if slot.is_primitive and wrong and "" not in wrong:
            self._add(node, "PM232", place, f"'{wrong[0]}' does not have the form of {slot.kind}")
        outside = sorted(codes - slot.codes - {""}) if slot.codes is not None else []
        if outside and slot.codes is not None:
            what = f"{listed(outside)}: not among the codes allowed here ({listed(sorted(slot.codes))})"
            maps = (one for one in place.scope.tables.values() if isinstance(one, CodeMap))
            named = [one for one in maps if f"'{one.name}'" in str(node.value)]
            notes = tuple((mark, "this entry") for one in named for mark in one.leading_to(outside))
            self._problems.add(node.mark, "PM240", place.address, what, notes=notes[:_MOST_NOTES])

    def text(self, node: Node, slot: Slot, place: Place) -> Const | Leaf | None:
        """A text with {{expressions}}."""
        parts = self.parts(node, place)
        if parts is None:
            return None
        if len(parts) == 1 and isinstance(parts[0], Emitted):
            return self.fitted(node, parts[0], slot, place)
        if slot.kind not in _TEXTS and slot.kind != "xhtml":
            self._add(node, "PM230", place, f"a text does not fit here: {slot.kind} is expected")
            return None
        emitted = [part for part in parts if isinstance(part, Emitted)]
        if slot.field is None:
            self.labels.check(node, emitted, slot.kind, place.address)
        if all(part.constant is not None for part in emitted):
            text = "".join(part if isinstance(part, str) else str(part.constant) for part in parts)
            known = self._string(node, text, slot, place)  # checked like a constant, alive like an expression
            return None if known is None else Leaf(known.rule, ast.Constant(text), nullable=False)
        codes: list[ast.expr] = [ast.Constant(part) if isinstance(part, str) else part.code for part in parts]
        if slot.kind == "xhtml":
            pairs = zip(parts, codes, strict=True)
            codes = [code if isinstance(part, str) else _call("g_escaped", code) for part, code in pairs]
        text_code = _call("g_text", ast.List(codes, ast.Load()))
        nullable = any(part.type.card != "one" or part.type.blank for part in emitted)
        form = slot.kind if slot.kind not in ("string", "markdown", "xhtml") else None
        form = forms.REFERENCE if _refers(slot, place) else form
        codes_left = slot.codes if slot.field is None else None
        return Leaf(Rule(node.mark, place.address), text_code, nullable, form=form, codes=codes_left, field=slot.field)

    def parts(self, node: Node, place: Place) -> list[str | Emitted] | None:
        """The constant pieces and the expressions of a text; each expression gives at most one printable value."""
        found: list[str | Emitted] = []
        failed = False
        cut = list(pieces(node.value))
        for start, piece, kind in cut:
            if kind == "broken":
                mark = self._text.inside(node, start)
                hint = 'two braces open and two close: "text {{expression}}"'
                self._problems.add(mark, "PM101", place.address, "the braces of this text do not match", hint)
                return None
            if kind == "constant":
                found.append(piece)
                continue
            emitted = self.expression(node, start, piece, place)
            if emitted is None or (len(cut) > 1 and not self._printable(node, start, emitted, place)):
                failed = True
            else:
                found.append(emitted)
        return None if failed else found

    def inside(self, node: Node, start: int) -> Mark:
        """Where a character of a scalar stands."""
        return self._text.inside(node, start)

    def _printable(self, node: Node, start: int, found: Emitted, place: Place) -> bool:
        mark = self._text.inside(node, start)
        if found.type.card == "many":
            what, hint = "one value is needed in a text; this can be many", "add .first(), or narrow it with where(...)"
            self._problems.add(mark, "PM121", place.address, what, hint)
            return False
        if any(kind not in PRIMITIVES for kind in found.type.kinds):
            what = f"a text cannot hold {found.type.called()}"
            self._problems.add(mark, "PM120", place.address, what, "name the element below it that holds the value")
            return False
        return True

    def constant(self, node: Node, slot: Slot, place: Place) -> Const | Leaf | None:
        """A constant: a Coding in FSH notation, an alias, or a primitive checked against its form and codes."""
        value = node.value
        if isinstance(value, str) and slot.kind in ("Coding", "CodeableConcept"):
            return self._coding(node, slot, place)
        if isinstance(value, str) and (match := _ALIAS.fullmatch(value)):
            uri = place.scope.systems.get(match.group(1))
            if uri is None:
                hint = (
                    nearest(match.group(1), place.scope.systems)
                    or "for a text that begins with $, write {$literal: ...}"
                )
                self._add(node, "PM139", place, f"'{value}' is not an alias under systems", hint)
                return None
            return self._string(node, uri, slot, place)
        if not slot.is_primitive:
            kind = "an object" if slot.kind == "object" else slot.kind
            hint = "write {$ref: name} or {reference: ...}" if slot.kind == "Reference" else ""
            self._add(node, "PM231", place, f"a single value does not fit here: {kind} is a structure", hint)
            return None
        if isinstance(value, str):
            return self._string(node, value, slot, place)
        if isinstance(value, Decimal) and slot.kind in _INTEGERS:
            self._add(node, "PM230", place, f"a decimal does not fit here: {slot.kind} is expected")
            return None
        if not forms.fits(slot.kind, value):
            hint = f'quote it: "{node.raw}"' if slot.kind in _TEXTS or forms.fits(slot.kind, node.raw) else ""
            self._add(node, "PM230", place, f"'{node.raw}' does not fit here: {slot.kind} is expected", hint)
            return None
        return Const(Rule(node.mark, place.address), value)

    def _string(self, node: Node, value: str, slot: Slot, place: Place) -> Const | None:
        if slot.kind not in _TEXTS and slot.kind not in ("date", "dateTime", "instant", "time", "xhtml"):
            self._add(node, "PM230", place, f"a text does not fit here: {slot.kind} is expected")
            return None
        if slot.kind == "uri" and place.address.endswith(".system") and ":" not in value:
            self._add(node, "PM263", place, "a system is an absolute URI", "write $alias, or http://... or urn:...")
            return None
        if not forms.fits(slot.kind, value):
            self._add(node, "PM232", place, f"this does not have the form of {slot.kind}")
            return None
        if slot.codes is not None and value not in slot.codes:
            hint = nearest(value, slot.codes)
            what = f"'{value}' is not among the codes allowed here ({listed(sorted(slot.codes))})"
            self._add(node, "PM240", place, what, hint)
            return None
        return Const(Rule(node.mark, place.address), value)

    def _coding(self, node: Node, slot: Slot, place: Place) -> Const | None:
        match = _CODING.fullmatch(node.value)
        if match is None:
            hint = 'write alias#code "display", or a structure'
            self._add(node, "PM231", place, f"a single text does not fit here: {slot.kind} is expected", hint)
            return None
        alias, code, display = match.groups()
        uri = place.scope.systems.get(alias)
        if uri is None:
            hint = nearest(alias, place.scope.systems)
            self._add(node, "PM139", place, f"'{alias}' is not an alias under systems", hint)
            return None
        coding = {"system": uri, "code": code} | ({"display": display} if display else {})
        value = coding if slot.kind == "Coding" else {"coding": [coding]}
        return Const(Rule(node.mark, place.address), value)

    def _add(self, node: Node, code: str, place: Place, what: str, hint: str = "") -> None:
        self._problems.add(node.mark, code, place.address, what, hint)


def _refers(slot: Slot, place: Place) -> bool:
    """Whether the text in a Reference stands here; no other string of R4 has that name."""
    return slot.kind == "string" and slot.field is None and place.address.endswith(".reference")


def _is_url(code: ast.expr) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "g_full_url" for one in ast.walk(code))


def _call(function: str, argument: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(function, ast.Load()), [argument], [])


def conversion(source: str, target: str) -> str | None:
    """How a value of one type becomes another: "same", "check" its form, "wrap", "copy", or None for not at all."""
    if source == target:
        return "same" if source in PRIMITIVES else "copy"
    if source in _TEXTS and target in _TEXTS:
        widens = target in ("string", "markdown") or (target == "uri" and source in _URIS)
        return "same" if widens else "check"
    if source in _INTEGERS and (target in _INTEGERS or target == "decimal"):
        return "check" if target in ("positiveInt", "unsignedInt") else "same"
    if (source, target) in (("date", "dateTime"), ("instant", "dateTime")):
        return "same"
    if (source, target) == ("dateTime", "instant"):
        return "check"
    if (source, target) == ("Coding", "CodeableConcept"):
        return "wrap"
    return "copy" if source in _QUANTITIES and target in _QUANTITIES else None


def bare(node: Node) -> str:
    """The expression of a directive, which may be written with or without `=`."""
    text = str(node.raw if not isinstance(node.value, str) else node.value)
    return text[1:] if text.startswith("=") else text


def start_of(node: Node) -> int:
    """The offset at which that expression begins."""
    return 1 if str(node.value).startswith("=") else 0
