"""Structures of a template: every key is an element of the type, every required element is there."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.definitions import Definitions
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.snapshot import Node as Outline
from peerfhir.mapping.directives import Directives
from peerfhir.mapping.leaves import Leaves, Place, Slot
from peerfhir.mapping.problems import Problems, listed
from peerfhir.mapping.profiles import (
    Asked,
    Filler,
    Outlines,
    child_of,
    slice_names,
    slice_of,
    sliced,
    url_of,
    wanted,
)
from peerfhir.mapping.searches import Searches
from peerfhir.mapping.tree import Const, Items, Leaf, Node, Rule, Struct, is_dynamic, is_present, most_of

_TYPED = re.compile(r"([A-Z][A-Za-z]+)([/?])")


class Structs(Directives):
    """Checks structures; what stands in their elements is the business of `node`."""

    def __init__(self, leaves: Leaves, definitions: Definitions, problems: Problems) -> None:
        super().__init__(leaves, problems)
        self._definitions = definitions
        self._asked = Asked(problems)
        self.outlines = Outlines({})
        self.searches: Searches | None = None  # where conditional references are allowed
        self.contained: frozenset[str] | None = None  # ids of what the current resource contains, when they are known

    @abstractmethod
    def node(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        """What stands in a slot."""

    def struct(self, yaml: Yaml, slot: Slot, place: Place, skip: tuple[str, ...] = ()) -> Struct | None:
        """A structure. `skip`: elements that are written elsewhere."""
        kind = slot.kind
        head: list[tuple[str, Node]] = []
        if kind in ("Resource", "DomainResource"):
            named = yaml.value.get("resourceType")
            kind = str(named.value) if named else ""
            if not self._definitions.is_resource(kind):
                code = "PM201" if named else "PM200"
                self._problems.add(yaml.mark, code, place.address, "a known resourceType is needed here")
                return None
            head.append(("resourceType", Const(Rule(yaml.mark, place.address), kind)))
            skip = (*skip, "resourceType")
            slot = replace(slot, kind=kind)
        entries = [*head, *self.entries(yaml, slot, place, skip)]
        keys = frozenset(key for key in yaml.value if not key.startswith("$")) | frozenset(skip)
        written = keys | {sliced(key)[0] for key in keys}
        needed = self._needed(kind, slot, written, yaml.mark, place)
        required = frozenset(
            one.choice or name for name, one in self._definitions.elements(kind).items() if one.minimum
        )
        self._asked.gaps(slot.outline, keys, required, yaml.mark, place.address)
        either = self._either(kind, entries)
        keep = self._keeps(yaml, place)
        rule = Rule(yaml.mark, place.address)
        found = Struct(rule, tuple(entries), needed, keep, either, "" if slot.field else kind, slot.outline)
        self._warn_of_gaps(found, place)
        return found

    def entries(self, yaml: Yaml, slot: Slot, place: Place, skip: tuple[str, ...]) -> list[tuple[str, Node]]:
        """What stands under each element, in the order of the template; slices of one element are one list."""
        found: dict[str, Node] = {}
        choices: dict[str, str] = {}
        for key, written in yaml.value.items():
            if key.startswith("$") or key in skip:
                continue
            inner = self._slot(slot.kind, key, yaml.key_marks[key], slot, place)
            if inner is None:
                continue
            self._one_choice(slot.kind, key, written, choices, yaml.key_marks[key], place)
            value = self._as_profiled(key, written, inner, place.below(key))
            literal = slot.kind == "Reference" and key == "reference" and isinstance(value.value, str)
            if literal and self._check_reference(value, slot, place):
                node = self._conditional(value, place.below(key))
            else:
                node = self.node(value, inner, place.below(key))
            if node is not None:
                base = sliced(key)[0]
                found[base] = self._together(found.get(base), node, inner, yaml.key_marks[key], place.below(base))
        for base, node in found.items():
            element = self._definitions.element(slot.kind, base)
            whole = child_of(slot.outline, base, element.choice if element is not None else None)
            if isinstance(node, Items) and any(f"{base}[" in key for key in yaml.value):
                here = replace(node, rule=Rule(node.rule.mark, place.below(base).address))
                found[base] = self._limited(here, whole, node.rule.mark, place.below(base))
        return list(found.items())

    def _as_profiled(self, key: str, value: Yaml, slot: Slot, place: Place) -> Yaml:
        """The node with what the profile fixes in a slice; elsewhere it is only compared."""
        if slot.outline is None:
            return value
        in_slice = sliced(key)[1] is not None
        given = wanted(slot.outline, extension=slot.kind == "Extension")
        if given is None:
            return value
        return Filler(self._problems).filled(value, given, place.address, place.scope.systems, fill=in_slice)

    def _together(self, before: Node | None, node: Node, slot: Slot, mark: Mark, place: Place) -> Node:
        if not isinstance(node, Items):
            return node
        node = self._limited(node, slot.outline, mark, place)
        if not isinstance(before, Items):
            return node
        if slot.is_primitive or (before.most is None and node.most is None):
            return replace(node, nodes=(*before.nodes, *node.nodes), most=None)
        return Items(node.rule, (*((before,) if before.most is not None else before.nodes), node))

    def _limited(self, node: Items, outline: Outline | None, mark: Mark, place: Place) -> Items:
        """The list with what a profile allows of it, where only data can tell; PM211 and PM212 where more is sure."""
        fixed = sum(is_present(one) for one in _flat(node))
        self._asked.count(outline, fixed, mark, place.address)
        most = outline.maximum if outline is not None else None
        can = most_of(node)
        if not most or fixed > most or (can is not None and can <= most):
            return node
        if most == 1 and can is None:
            what = "this can be many values, and the profile allows one"
            self._problems.add(mark, "PM211", place.address, what, "add .first() to the expression instead")
            return node
        return replace(node, most=most)

    def _slot(self, kind: str, key: str, mark: Mark, slot: Slot, place: Place) -> Slot | None:
        here = place.below(key).address
        if slot.field is not None:
            fields = slot.field.fields.items if slot.field.fields else {}
            if key not in fields:
                self._problems.add(mark, "PM202", here, f"'{key}' is not a declared field", nearest(key, fields))
                return None
            return Slot.of_field(fields[key])
        base, part = sliced(key)
        element = self._definitions.element(kind, base)
        if element is not None:
            outline = child_of(slot.outline, base, element.choice)
            self._asked.element(outline, mark, here)
            if part is None:
                return Slot.of_element(element, outline)
            return self._slice(
                Slot.of_element(element, slice_of(outline, part)), part, slice_names(outline), mark, here
            )
        if choices := self._definitions.choices(kind, key):
            shown = listed(one.name for one in choices)
            self._problems.add(mark, "PM203", here, f"'{key}' is spelled with its type: {shown}")
        else:
            hint = nearest(key, self._definitions.elements(kind))
            self._problems.add(mark, "PM202", here, f"{kind} has no element '{key}'", hint)
        return None

    def _slice(self, slot: Slot, part: str, known: list[str], mark: Mark, here: str) -> Slot | None:
        """The slot of a slice; an extension's own definition says what stands in it."""
        if slot.outline is None:
            what = f"the profile of this resource has no slice '{part}' here"
            hint = nearest(part, known) or ("" if known else "name a profile that the site has, under profile:")
            self._problems.add(mark, "PM225", here, what, hint)
            return None
        url = url_of(slot.outline)
        return replace(slot, outline=(self.outlines.root(url) if url else None) or slot.outline)

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

    def _either(self, kind: str, entries: list[tuple[str, Node]]) -> tuple[tuple[str, ...], ...]:
        """Spellings of one choice that stand side by side, each with a $if."""
        groups: dict[str, list[str]] = {}
        for key, _ in entries:
            element = self._definitions.element(kind, key)
            if element is not None and element.choice:
                groups.setdefault(element.choice, []).append(key)
        return tuple(tuple(keys) for keys in groups.values() if len(keys) > 1)

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
                self._problems.add(mark, "PM220", place.address, what, f"write one of {listed(names)}")
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
            sure = is_present(node) or (isinstance(node, Leaf) and node.promised)
            if key in struct.needed and not sure and (top or len(dynamic) > 1 or struct.keep):
                what = f"'{key}' is required here and can be empty: such a record fails"
                self._problems.add(node.rule.mark, "PM221", f"{place.address}.{key}" if place.address else key, what)

    def _check_reference(self, value: Yaml, slot: Slot, place: Place) -> bool:
        """What is known of a literal reference; whether it is a conditional one that is allowed here."""
        here = place.below("reference").address
        text = str(value.value)
        if text.startswith("#") and "{{" not in text and self.contained is not None:
            if text[1:] not in self.contained:
                hint = nearest(text[1:], self.contained)
                self._problems.add(value.mark, "PM264", here, f"nothing is contained under the id '{text[1:]}'", hint)
            return False
        match = _TYPED.match(text)
        if match is None:
            return False
        if slot.targets and match.group(1) not in slot.targets:
            what = f"a reference to {match.group(1)} is not allowed here ({listed(slot.targets)})"
            self._problems.add(value.mark, "PM262", here, what)
            return False
        if match.group(2) == "?" and self.searches is None:
            what = "a conditional reference needs bundle: transaction"
            self._problems.add(value.mark, "PM262", here, what, "write {$ref: name}")
            return False
        return match.group(2) == "?"

    def _conditional(self, value: Yaml, place: Place) -> Node | None:
        if self.searches is None:
            return None
        self.searches.check(str(value.value).partition("?")[0], value, place)
        code = self.searches.text(value, place)
        return None if code is None else Leaf(Rule(value.mark, place.address), code, nullable=False)


def _flat(node: Items) -> Iterator[Node]:
    """What stands in a list and in the slices of it."""
    for one in node.nodes:
        yield from _flat(one) if isinstance(one, Items) else (one,)
