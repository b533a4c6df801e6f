"""The nodes of a template, checked against the type they build: values, lists, references and fragments."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace

from peerfhir.config import Node as Yaml
from peerfhir.fhir.definitions import Definitions
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.directives import EACH
from peerfhir.mapping.fragments import Fragment
from peerfhir.mapping.leaves import Leaves, Place, Slot
from peerfhir.mapping.parameters import Arguments
from peerfhir.mapping.primitives import ABSENT_REASONS
from peerfhir.mapping.problems import Problems, listed
from peerfhir.mapping.structs import Structs
from peerfhir.mapping.tree import Const, Each, If, Items, Leaf, Let, Node, Pair, Rule, Struct

_DIRECTIVES = frozenset(["$each", "$let", "$if", "$keep", "$ref", "$value", "$absent", "$literal", "$use"])
_AROUND = frozenset(["$each", "$let", "$if"])

Refer = Callable[[str, Yaml, Place, Slot], tuple[ast.expr, bool] | None]  # the URL, or a list of them


class Nodes(Structs):
    """Turns the nodes of one document into a checked tree.

    refer      gives the URL of a resource named by $ref, after checking that the slot takes it
    fragments  what $use may name
    """

    def __init__(
        self,
        leaves: Leaves,
        definitions: Definitions,
        problems: Problems,
        refer: Refer,
        fragments: Mapping[str, Fragment],
    ) -> None:
        super().__init__(leaves, definitions, problems)
        self._refer = refer
        self._fragments = fragments
        self._arguments = Arguments(leaves, problems, self.bind)

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
        if not self._known_directives(yaml, place):
            return None
        return self.wrapped(yaml, slot, place, self._content)

    def _known_directives(self, yaml: Yaml, place: Place) -> bool:
        unknown = [key for key in yaml.value if key.startswith("$") and key not in _DIRECTIVES]
        for key in unknown:
            what = f"{key} is not a directive that can stand here"
            self._problems.add(yaml.key_marks[key], "PM251", place.address, what, nearest(key, _DIRECTIVES))
        return not unknown

    def _content(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        return self._beside(yaml, slot, place, ())

    def _beside(self, yaml: Yaml, slot: Slot, place: Place, beside: tuple[str, ...]) -> Node | None:
        """The content of a node; the elements `beside` are written by whoever uses it."""
        if "$literal" in yaml.value:
            return self._literal(yaml, slot, place)
        if "$value" in yaml.value or "$absent" in yaml.value:
            return self._primitive(yaml, slot, place)
        if "$ref" in yaml.value:
            return self._reference(yaml, slot, place)
        if "$use" in yaml.value:
            return self._used(yaml, slot, place)
        if slot.is_primitive:
            what = f"a structure stands where {slot.kind} is expected"
            self._problems.add(yaml.mark, "PM231", place.address, what, "write one value, or {$value: ...}")
            return None
        return self.struct(yaml, slot, place, skip=beside)

    # --- values ---------------------------------------------------------------------------------------------------

    def _literal(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        value = yaml.value["$literal"]
        beside = [name for name in yaml.value if name != "$literal" and name not in _AROUND]
        if beside:
            what = f"'{beside[0]}' cannot stand beside $literal"
            self._problems.add(yaml.key_marks[beside[0]], "PM251", place.address, what)
            return None
        if slot.is_primitive and value.kind != "scalar":
            self._problems.add(value.mark, "PM231", place.address, f"a structure stands where {slot.kind} is expected")
            return None
        return Const(Rule(value.mark, place.address), value.plain())

    def _primitive(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        """A primitive with what may stand beside it: id, extensions, why it is absent."""
        value, absent = yaml.value.get("$value"), yaml.value.get("$absent")
        beside = [name for name in yaml.value if name not in ("$value", "$absent") and name not in _AROUND]
        if not slot.is_primitive or slot.field is not None:
            if value is not None and absent is None and not beside:
                return self.one(value, slot, place.below("$value"))
            what = f"{slot.kind} is not a primitive: {'$absent' if absent is not None else '$value'} cannot stand here"
            self._problems.add(yaml.mark, "PM234", place.address, what)
            return None
        node = self.one(value, replace(slot, many=False), place.below("$value")) if value is not None else None
        if value is not None and node is None:
            return None
        reason = self._reason(absent, place)
        if not beside and reason is None:
            return node
        extra = self.struct(yaml, Slot("Element"), place, skip=("$value", "$absent"))
        if not isinstance(node, (Leaf, Const, type(None))) or not isinstance(extra, Struct):
            return None
        return Pair(Rule(yaml.mark, place.address), node, extra if extra.entries else None, reason)

    def _reason(self, absent: Yaml | None, place: Place) -> str | None:
        if absent is None:
            return None
        if absent.value not in ABSENT_REASONS:
            what = f"'{absent.value}' does not say why a value is absent"
            hint = nearest(str(absent.value), ABSENT_REASONS) or f"one of {listed(ABSENT_REASONS)}"
            self._problems.add(absent.mark, "PM234", place.below("$absent").address, what, hint)
            return None
        return str(absent.value)

    def _reference(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        node = yaml.value["$ref"]
        if slot.kind != "Reference":
            what = f"$ref makes a Reference; {slot.kind} is expected here"
            self._problems.add(node.mark, "PM251", place.address, what)
            return None
        if "reference" in yaml.value:
            what = "$ref and 'reference' both say what is referred to"
            self._problems.add(yaml.key_marks["reference"], "PM205", place.address, what)
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

    # --- fragments ------------------------------------------------------------------------------------------------

    def _used(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        """The body of a fragment with its arguments, and the elements that stand beside $use."""
        named = yaml.value["$use"]
        here = place.below("$use")
        fragment = self._fragments.get(str(named.value))
        if fragment is None:
            hint = nearest(str(named.value), self._fragments)
            self._problems.add(named.mark, "PM252", here.address, f"there is no fragment '{named.value}'", hint)
            return None
        if not self._definitions.is_a(fragment.type, slot.kind) or slot.field is not None:
            what = f"fragment '{fragment.name}' makes a {fragment.type}; {slot.kind} is expected here"
            self._problems.add(named.mark, "PM252", here.address, what)
            return None
        bound = self._arguments.bound(fragment, yaml, place)
        if bound is None:
            return None
        names, inner = bound
        beside = tuple(key for key in yaml.value if not key.startswith("$") and key != "with")
        body = fragment.body
        for key in beside:
            if body.kind == "map" and key in body.value:
                what = f"fragment '{fragment.name}' sets '{key}', too"
                notes = ((body.key_marks[key], "set here"),)
                self._problems.add(yaml.key_marks[key], "PM205", place.below(key).address, what, notes=notes)
        rule = Rule(yaml.mark, place.address)
        made = self._body(body, replace(slot, kind=fragment.type), inner, beside)
        if made is not None and beside:
            more = self.entries(yaml, slot, place, ("with",))
            made = _with(made, tuple(more))
        return Let(rule, names, made) if made is not None and names else made

    def _body(self, body: Yaml, slot: Slot, place: Place, beside: tuple[str, ...]) -> Node | None:
        if body.kind != "map":
            return self.one(body, slot, place)
        if not self._known_directives(body, place):
            return None
        return self.wrapped(body, slot, place, lambda yaml, inner, here: self._beside(yaml, inner, here, beside))

    def fragment(self, fragment: Fragment, place: Place) -> None:
        """Check a fragment by itself: whatever is given to it, and whatever the record holds."""
        inner = self._arguments.unknown(fragment, place)
        self._body(fragment.body, Slot(fragment.type, many=True), inner, ())


def _with(node: Node, more: tuple[tuple[str, Node], ...]) -> Node:
    """A structure with more entries, below whatever stands around it."""
    if isinstance(node, Struct):
        return replace(node, entries=(*node.entries, *more))
    if isinstance(node, (Let, If, Each)):
        return replace(node, body=_with(node.body, more))
    return node


__all__ = ["EACH", "Nodes", "Refer"]
