"""Structures, lists and directives of a template, checked against the type they build."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.definitions import Definitions
from peerfhir.fhir.fhirpath.compile import ROOTS, WELL_KNOWN, Emitted
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Bound, Static
from peerfhir.mapping.document import NAME
from peerfhir.mapping.leaves import Leaves, Place, Slot, bare, start_of
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.tree import Const, Each, If, Items, Leaf, Let, Node, Rule, Struct, is_dynamic, is_present

MAX_EACH = 3

RESERVED = ROOTS | frozenset(WELL_KNOWN) | frozenset(("systems", "questionnaire", "qitem", "canonical"))
_DIRECTIVES = frozenset(["$each", "$let", "$if", "$keep", "$ref", "$value", "$literal"])
_LATER = frozenset(["$use", "$rows", "$absent", "$questionnaire", "$answers", "$extract", "$number"])
EACH = re.compile(r"(.*\S)\s+as\s+([A-Za-z_]\w*)\s*(?:,\s*([A-Za-z_]\w*))?\s*", re.DOTALL)
_TYPED = re.compile(r"([A-Z][A-Za-z]+)([/?])")

Refer = Callable[[str, Yaml, Place, Slot], tuple[ast.expr, bool] | None]  # the URL, or a list of them


class Nodes:
    """Turns the nodes of one document into a checked tree.

    refer  gives the URL of a resource named by $ref, after checking that the slot takes it
    """

    def __init__(self, leaves: Leaves, definitions: Definitions, problems: Problems, refer: Refer) -> None:
        self.leaves = leaves
        self._definitions = definitions
        self._problems = problems
        self._refer = refer
        self._count = 0

    def node(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        """What stands in a slot. In a slot that repeats it is always Items; None after noting what is wrong."""
        if not slot.many:
            return self.one(yaml, slot, place)
        rule = Rule(yaml.mark, place.address)
        if yaml.kind != "list":
            single = self.one(yaml, slot, place)
            return None if single is None else Items(rule, (single,))
        nodes: list[Node] = []
        for at, item in enumerate(self._flat(yaml)):
            node = self.one(item, slot, place.number(at))
            if node is not None:
                nodes.append(node)
        if not yaml.value:
            self._problems.add(yaml.mark, "PM007", place.address, "the list is empty", "leave the key out")
            return None
        return Items(rule, tuple(nodes))

    def _flat(self, yaml: Yaml) -> list[Yaml]:
        return [one for item in yaml.value for one in (self._flat(item) if item.kind == "list" else [item])]

    def one(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        """One value, or in a slot that repeats one item of it (which may still become several)."""
        if yaml.kind == "scalar":
            return self.leaves.scalar(yaml, slot, place)
        if yaml.kind == "list":
            hint = "write the one value without [ ] or -"
            self._problems.add(yaml.mark, "PM210", place.address, "a list stands where one value fits", hint)
            return None
        return self._directed(yaml, slot, place)

    def _directed(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        if not self._known_directives(yaml, _DIRECTIVES, place):
            return None
        return self.wrapped(yaml, slot, place, self._content)

    def _known_directives(self, yaml: Yaml, known: frozenset[str], place: Place) -> bool:
        good = True
        for key, mark in yaml.key_marks.items():
            if key.startswith("$") and key not in known:
                later = key in _LATER
                what = (
                    f"{key} is not supported in this version"
                    if later
                    else f"{key} is not a directive that can stand here"
                )
                self._problems.add(mark, "PM251", place.address, what, "" if later else nearest(key, known))
                good = False
        return good

    def wrapped(
        self, yaml: Yaml, slot: Slot, place: Place, content: Callable[[Yaml, Slot, Place], Node | None]
    ) -> Node | None:
        """The content of a node inside its $each, $let and $if, which are read in this order."""
        rule = Rule(yaml.mark, place.address)
        each = self.each(yaml, place, slot.many) if "$each" in yaml.value else None
        if "$each" in yaml.value and each is None:
            return None
        if each is not None:
            place = each[1]
        names, place = self.names(yaml, place)
        condition = None
        if "$if" in yaml.value:
            condition = self.leaves.condition(yaml.value["$if"], place.below("$if"))
            if condition is None:
                return None
        body = content(yaml, slot, place)
        if body is None:
            return None
        if condition is not None:
            body = If(Rule(yaml.value["$if"].mark, f"{place.address}.$if"), condition.code, body)
        if names:
            body = Let(rule, names, body)
        if each is not None:
            found, _, item, index = each
            body = Each(rule, found.code, found.type.card == "many", item, index, body)
        return body

    def each(self, yaml: Yaml, place: Place, repeats: bool) -> tuple[Emitted, Place, str, str] | None:
        """The items of a $each, the place inside it, and the Python names of item and index."""
        node = yaml.value["$each"]
        here = place.below("$each")
        match = EACH.fullmatch(str(node.value))
        if match is None:
            self._problems.add(node.mark, "PM251", here.address, "$each names its item", "write $each: items as item")
            return None
        if not repeats:
            what = "$each makes many values and one fits"
            self._problems.add(node.mark, "PM211", here.address, what, "add .first() to the expression instead")
            return None
        if place.depth >= MAX_EACH:
            self._problems.add(node.mark, "PM750", here.address, f"at most {MAX_EACH} $each stand inside each other")
            return None
        text, item, index = match.groups()
        found = self.leaves.expression(node, start_of(node), text.removeprefix("="), here)
        if found is None:
            return None
        if found.type.card != "many":
            self._problems.add(node.mark, "PM250", here.address, "there is at most one item here")
        inner, place_of_item = self.bind(place, item, Emitted(found.code, found.type.as_card("one")), node.mark)
        place_of_index = ""
        if index:
            position = Emitted(ast.Constant(0), Static(("integer",), "one", blank=False))
            inner, place_of_index = self.bind(inner, index, position, node.mark)
        place_of_index = place_of_index or self._fresh("i")
        inner = replace(inner, depth=place.depth + 1, item=place_of_item, index=place_of_index)
        return found, inner, place_of_item, place_of_index

    def names(self, yaml: Yaml, place: Place) -> tuple[tuple[tuple[str, ast.expr, bool], ...], Place]:
        """The names of a $let, and the place in which they are known."""
        node = yaml.value.get("$let")
        if node is None:
            return (), place
        if node.kind != "map":
            self._problems.add(
                node.mark, "PM251", place.address, "$let is a map of names", "write $let: {name: =expression}"
            )
            return (), place
        found: list[tuple[str, ast.expr, bool]] = []
        for name, value in node.value.items():
            emitted = self.leaves.expression(value, start_of(value), bare(value), place.below(f"$let.{name}"))
            if emitted is not None:
                place, python = self.bind(place, name, emitted, node.key_marks[name])
                found.append((python, emitted.code, emitted.type.card == "many"))
        return tuple(found), place

    def bind(self, place: Place, name: str, value: Emitted, mark: Mark) -> tuple[Place, str]:
        """The place with one %name more, and the Python name that holds it."""
        if name in RESERVED or not NAME.fullmatch(name):
            self._problems.add(mark, "PM113", place.address, f"%{name} is a reserved name", error=True)
        elif name in place.scope.variables:
            self._problems.add(mark, "PM113", place.address, f"%{name} hides another %{name}")
        python = self._fresh("v")
        variables = {**place.scope.variables, name: Bound(value.type, python)}
        return replace(place, scope=replace(place.scope, variables=variables)), python

    def _fresh(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def _content(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        for key in ("$literal", "$value"):
            if key in yaml.value:
                return self._only(key, yaml, slot, place)
        if "$ref" in yaml.value:
            return self._reference(yaml, slot, place)
        if slot.is_primitive:
            what = f"a structure stands where {slot.kind} is expected"
            self._problems.add(yaml.mark, "PM231", place.address, what, "write one value, or {$value: ...}")
            return None
        return self.struct(yaml, slot, place)

    def _only(self, key: str, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        beside = [name for name in yaml.value if name not in (key, "$each", "$let", "$if")]
        if beside:
            what = f"'{beside[0]}' beside {key} is not supported in this version"
            self._problems.add(yaml.key_marks[beside[0]], "PM251", place.address, what)
            return None
        value = yaml.value[key]
        if key == "$value":
            return self.one(value, slot, place.below(key))
        if slot.is_primitive and value.kind != "scalar":
            self._problems.add(value.mark, "PM231", place.address, f"a structure stands where {slot.kind} is expected")
            return None
        return Const(Rule(value.mark, place.address), value.plain())

    def _reference(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        node = yaml.value["$ref"]
        if slot.kind != "Reference":
            self._problems.add(
                node.mark, "PM251", place.address, f"$ref makes a Reference; {slot.kind} is expected here"
            )
            return None
        url = self._refer(str(node.value), node, place.below("$ref"), slot)
        rest = self.struct(yaml, slot, place, skip=("$ref",))
        if url is None or not isinstance(rest, Struct):
            return None
        rule = Rule(node.mark, f"{place.address}.$ref")
        if not url[1]:
            return replace(rest, entries=(("reference", Leaf(rule, url[0], nullable=False)), *rest.entries))
        item = self._fresh("v")
        leaf = Leaf(rule, ast.Name(item, ast.Load()), nullable=False)
        body = replace(rest, entries=(("reference", leaf), *rest.entries))
        return Each(rule, url[0], True, item, self._fresh("i"), body)

    def struct(self, yaml: Yaml, slot: Slot, place: Place, skip: tuple[str, ...] = ()) -> Struct | None:
        """A structure: every key is an element of the type, every required element is there."""
        kind = slot.kind
        entries: list[tuple[str, Node]] = []
        if kind in ("Resource", "DomainResource"):
            named = yaml.value.get("resourceType")
            kind = str(named.value) if named else ""
            if not self._definitions.is_resource(kind):
                code = "PM201" if named else "PM200"
                self._problems.add(yaml.mark, code, place.address, "a known resourceType is needed here")
                return None
            entries.append(("resourceType", Const(Rule(yaml.mark, place.address), kind)))
            skip = (*skip, "resourceType")
        choices: dict[str, str] = {}
        for key, value in yaml.value.items():
            if key.startswith("$") or key in skip:
                continue
            inner = self._slot(kind, key, yaml.key_marks[key], slot, place)
            if inner is None:
                continue
            self._one_choice(kind, key, value, choices, yaml.key_marks[key], place)
            node = self.node(value, inner, place.below(key))
            if node is not None:
                entries.append((key, node))
                self._check_reference(key, value, kind, slot, place)
        written = frozenset(key for key in yaml.value if not key.startswith("$")) | frozenset(skip)
        needed = self._needed(kind, slot, written, yaml.mark, place)
        found = Struct(Rule(yaml.mark, place.address), tuple(entries), needed, self._keeps(yaml, place))
        self._warn_of_gaps(found, place)
        return found

    def _slot(self, kind: str, key: str, mark: Mark, slot: Slot, place: Place) -> Slot | None:
        here = place.below(key).address
        if slot.field is not None:
            fields = slot.field.fields.items if slot.field.fields else {}
            if key not in fields:
                self._problems.add(mark, "PM202", here, f"'{key}' is not a declared field", nearest(key, fields))
                return None
            return Slot.of_field(fields[key])
        element = self._definitions.element(kind, key)
        if element is not None:
            return Slot.of_element(element)
        if "[" in key:
            self._problems.add(mark, "PM225", here, "slices are not supported in this version")
        elif choices := self._definitions.choices(kind, key):
            names = [one.name for one in choices]
            shown = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
            self._problems.add(mark, "PM203", here, f"'{key}' is spelled with its type: {shown}")
        else:
            hint = nearest(key, self._definitions.elements(kind))
            self._problems.add(mark, "PM202", here, f"{kind} has no element '{key}'", hint)
        return None

    def _one_choice(self, kind: str, key: str, value: Yaml, seen: dict[str, str], mark: Mark, place: Place) -> None:
        element = self._definitions.element(kind, key)
        if element is None or element.choice is None:
            return
        conditional = value.kind == "map" and "$if" in value.value
        other = seen.get(element.choice)
        if other is not None and not (conditional and other.endswith("?")):
            what = f"'{other.rstrip('?')}' and '{key}' are two spellings of one element"
            self._problems.add(mark, "PM204", place.below(key).address, what, "give each an $if")
        seen[element.choice] = f"{key}?" if conditional else key

    def _needed(self, kind: str, slot: Slot, written: frozenset[str], mark: Mark, place: Place) -> tuple[str, ...]:
        if slot.field is not None:
            required = (
                [name for name, one in slot.field.fields.items.items() if one.required] if slot.field.fields else []
            )
            for name in required:
                if name not in written:
                    self._problems.add(mark, "PM220", place.address, f"the required field '{name}' is not mapped")
            return tuple(required)
        needed: list[str] = []
        choices: dict[str, list[str]] = {}
        for element in self._definitions.elements(kind).values():
            if element.minimum and element.choice:
                choices.setdefault(element.choice, []).append(element.name)
            elif element.minimum:
                needed.append(element.name)
        for name in needed:
            if name not in written:
                self._problems.add(mark, "PM220", place.address, f"the required element '{name}' is not mapped")
        for choice, names in choices.items():
            if not written & {choice, *names}:
                what = f"the required element '{choice}[x]' is not mapped"
                self._problems.add(mark, "PM220", place.address, what, f"write one of {', '.join(names[:8])}")
        return tuple(needed)

    def _keeps(self, yaml: Yaml, place: Place) -> bool:
        node = yaml.value.get("$keep")
        if node is not None and node.value is not True:
            self._problems.add(node.mark, "PM251", place.address, "$keep is true or not there")
        return node is not None

    def _warn_of_gaps(self, struct: Struct, place: Place) -> None:
        """PM221, unless the same empty expression removes the whole structure."""
        dynamic = [key for key, node in struct.entries if is_dynamic(node)]
        top = "." not in place.address
        for key, node in struct.entries:
            if key in struct.needed and not is_present(node) and (top or len(dynamic) > 1 or struct.keep):
                what = f"'{key}' is required here and can be empty: such a record fails"
                self._problems.add(node.rule.mark, "PM221", f"{place.address}.{key}" if place.address else key, what)

    def _check_reference(self, key: str, value: Yaml, kind: str, slot: Slot, place: Place) -> None:
        if kind != "Reference" or key != "reference" or value.kind != "scalar" or not isinstance(value.value, str):
            return
        match = _TYPED.match(value.value)
        if match is None:
            return
        here = place.below(key).address
        if slot.targets and match.group(1) not in slot.targets:
            what = f"a reference to {match.group(1)} is not allowed here ({', '.join(slot.targets)})"
            self._problems.add(value.mark, "PM262", here, what)
        elif match.group(2) == "?":
            what = "conditional references are not supported in this version"
            self._problems.add(value.mark, "PM262", here, what, "write {$ref: name}")
