"""`*.overlay.yaml`: what one endpoint needs otherwise than a mapping says, merged into it before it is checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.addresses import REMOVED, BadAddress, Found, find, put, swept
from peerfhir.mapping.problems import Problems, Texts
from peerfhir.mapping.syntax import ID, check_head, keys, opened, place_of, section, text_of
from peerfhir.mapping.versions import is_range, version_of, within

_HEADER = ("overlay", "version", "language", "extends", "applies-to", "title", "description", "imports")
_MERGED = ("source", "systems", "profiles", "conceptMaps", "bands", "tables", "vars", "fragments")
_OPERATIONS = ("set", "add", "remove", "replace-map")
_TRANSLATE = re.compile(r"(\.\s*translate\(\s*')([^'\\]*)('\s*\))")


@dataclass(frozen=True)
class Overlay:
    """One overlay, as it was written.

    mapping, name  the two halves of its id, `<mapping>.<name>`
    wanted         the range of versions of the mapping
    endpoint       of which endpoint it is
    """

    mapping: str
    name: str
    version: str
    wanted: str
    endpoint: str
    node: Node

    @property
    def id(self) -> str:
        return f"{self.mapping}.{self.name}"


@dataclass(frozen=True)
class Loss:
    """What an overlay takes away: the address, why, and where it says so."""

    address: str
    because: str
    mark: Mark


def read(path: Path, text: str, problems: Problems, texts: Texts) -> Overlay | None:
    """The overlay of one file, or None when it is too broken to be merged."""
    node = opened(path, text, "overlay", problems, texts)
    if node is None or not check_head(node, "overlay", problems):
        return None
    keys(node, (*_HEADER, *_MERGED, "bundle", "rules"), frozenset(), "", problems)
    mapping, _, name = text_of(node, "overlay", "", problems).partition(".")
    if not ID.fullmatch(mapping) or not ID.fullmatch(name):
        problems.add(place_of(node, "overlay"), "PM004", "", "an overlay's id is <mapping id>.<name>")
    elif path.parts[-3:] != (mapping, "overlays", f"{name}.overlay.yaml"):
        what = f"id '{mapping}.{name}', folder and file name differ"
        hint = f"mappings/{mapping}/overlays/{name}.overlay.yaml"
        problems.add(place_of(node, "overlay"), "PM004", "", what, hint)
    base, _, wanted = text_of(node, "extends", "", problems).partition("@")
    if base != mapping or not is_range(wanted):
        problems.add(place_of(node, "extends"), "PM401", "", "'extends' is <mapping id>@<range>", f"{mapping}@^1.0")
    applies = section(node, "applies-to", problems)
    if applies is None or not keys(applies, ("endpoint",), frozenset(), "applies-to", problems):
        problems.add(place_of(node, "applies-to"), "PM007", "", "'applies-to' is missing", "applies-to: {endpoint: id}")
    endpoint = text_of(applies, "endpoint", "", problems) if applies is not None else ""
    for key in _MERGED:
        section(node, key, problems)
    if problems.errors:
        return None
    return Overlay(mapping, name, text_of(node, "version", "", problems), wanted, endpoint, node)


def collisions(overlays: Iterable[Overlay], problems: Problems) -> None:
    """PM404: two overlays of one mapping for one endpoint."""
    seen: dict[tuple[str, str], Overlay] = {}
    for one in overlays:
        other = seen.setdefault((one.mapping, one.endpoint), one)
        if other is not one:
            what = f"'{one.mapping}' has two overlays for endpoint '{one.endpoint}'"
            notes = ((other.node.key_marks["applies-to"], "the other one"),)
            problems.add(one.node.key_marks["applies-to"], "PM404", "", what, notes=notes)


def merged(base: Node, overlay: Overlay, problems: Problems) -> tuple[Node, tuple[Loss, ...]]:
    """The mapping with the overlay over it, and what the overlay takes away from it."""
    version = version_of(str(base.value["version"].value)) if "version" in base.value else None
    if version is None or not within(version, overlay.wanted):
        what = f"'{overlay.mapping}' {'.'.join(map(str, version or ()))} lies outside {overlay.wanted}"
        where = ((place_of(base, "version"), "its version"),)
        problems.add(overlay.node.key_marks["extends"], "PM401", "", what, notes=where)
        return base, ()
    node = _headers(base, overlay, problems)
    key = "record" if "record" in node.value else "resources"
    if "rules" not in overlay.node.value or key not in node.value or node.value[key].kind != "map":
        return node, ()
    merger = _Rules(node.value[key], overlay, problems, ".".join(map(str, version)), key)
    changed, losses = merger.merged(overlay.node.value["rules"])
    return replace(node, value={**node.value, key: changed}), losses


def _headers(base: Node, overlay: Overlay, problems: Problems) -> Node:
    values, marks = dict(base.value), dict(base.key_marks)
    for key in ("bundle", *_MERGED):
        more = overlay.node.value.get(key)
        if more is None:
            continue
        marks.setdefault(key, overlay.node.key_marks[key])
        own = values.get(key)
        if own is None or more.kind != "map":
            values[key] = more
            continue
        for name in more.value if key == "vars" else ():
            if name in own.value:
                what = f"this changes the rules that use %{name}, which the overlay does not list"
                problems.add(more.key_marks[name], "PM113", f"vars.{name}", what)
        depth = {"conceptMaps": 3, "source": 2}.get(key, 1)
        values[key] = _over(own, more, depth)
    return replace(base, value=values, key_marks=marks)


def _over(own: Node, more: Node, depth: int) -> Node:
    """Two maps as one, by key; the second wins. Deeper than `depth` a value is replaced as a whole."""
    if depth == 0 or own.kind != "map" or more.kind != "map":
        return more
    if depth == 2 and "map" in own.value and "map" not in more.value:  # a short code map over a long one
        more = Node("map", {"map": more}, more.mark, {"map": more.mark})
    values, marks = dict(own.value), {**own.key_marks, **more.key_marks}
    for key, value in more.value.items():
        values[key] = _over(own.value[key], value, depth - 1) if key in own.value else value
    return replace(own, value=values, key_marks=marks)


class _Rules:
    def __init__(self, template: Node, overlay: Overlay, problems: Problems, version: str, key: str) -> None:
        self._template = template
        self._problems = problems
        self._named = f"{overlay.mapping} {version}"
        self._key = key
        self._touched: list[tuple[tuple[str | int, ...], Mark]] = []

    def merged(self, rules: Node) -> tuple[Node, tuple[Loss, ...]]:
        """The template after every rule, in order."""
        if rules.kind != "list":
            self._problems.add(rules.mark, "PM007", "rules", "a list of {at, set | add | remove | replace-map} is here")
            return self._template, ()
        losses: list[Loss] = []
        changed = self._template
        for rule in rules.value:
            step = self._step(rule)
            if step is None:
                continue
            found, operation, value = step
            new = self._new(found, operation, value, rule)
            if new is None:
                continue
            if new is REMOVED:
                because = str(rule.value["because"].value) if "because" in rule.value else ""
                losses.append(Loss(str(rule.value["at"].value), because, rule.mark))
            changed = put(changed, found.path, new, rule.value["at"].mark)
        return swept(changed), tuple(losses)

    def _step(self, rule: Node) -> tuple[Found, str, Node] | None:
        if not keys(rule, ("at", *_OPERATIONS, "because"), frozenset(), "rules", self._problems):
            return None
        operations = [key for key in _OPERATIONS if key in rule.value]
        at = rule.value.get("at")
        if len(operations) != 1 or at is None or not isinstance(at.value, str):
            what = "a rule has 'at' and one of set, add, remove, replace-map"
            self._problems.add(rule.mark, "PM007", "rules", what)
            return None
        address = at.value.removeprefix("record.") if self._key == "record" else at.value
        template = self._template if self._key == "resources" else self._template.value.get("values", self._template)
        try:
            found = find(template, address, self._named)
        except BadAddress as bad:
            near = ((bad.near, f"'{at.value.partition('.')[0]}' begins here"),) if bad.near else ()
            self._problems.add(at.mark, "PM400", "", bad.what, bad.hint, notes=near)
            return None
        if self._key == "record":
            found = replace(found, path=("values", *found.path))
        for path, other in self._touched:
            if path[: len(found.path)] == found.path[: len(path)]:
                what = f"'{at.value}' is touched by another rule, too"
                self._problems.add(at.mark, "PM402", "", what, "join the two", notes=((other, "the other rule"),))
                return None
        self._touched.append((found.path, at.mark))
        return found, operations[0], rule.value[operations[0]]

    def _new(self, found: Found, operation: str, value: Node, rule: Node) -> Node | None:
        at = rule.value["at"]
        if found.node is None and operation != "add":
            self._missing(at, operation, found)
            return None
        if operation == "add":
            return self._added(found, value, at)
        if operation == "remove":
            if value.value is not True:
                self._problems.add(value.mark, "PM007", "rules", "'remove' is true")
                return None
            return REMOVED
        if found.node is None:
            return None
        if operation == "replace-map":
            return self._with_map(found.node, value, at)
        if found.node.plain() == value.plain():
            self._problems.add(at.mark, "PM403", "", f"'{at.value}' is this already: the rule changes nothing")
        return value

    def _missing(self, at: Node, operation: str, found: Found) -> None:
        """PM400 for an element that is not there; `set` of one that could be is PM402."""
        address = str(at.value)
        here = self._template
        for step in found.path[:-1]:
            here = here.value[step]
        close = nearest(str(found.path[-1]), here.value if here.kind == "map" else ())
        if operation == "set" and not close:
            what = f"'{address}' is not set in {self._named}"
            self._problems.add(at.mark, "PM402", "", what, "write add: instead of set:")
            return
        if close:
            stem = address.removesuffix(address.rpartition(".")[2])
            close = close.replace("did you mean '", f"did you mean '{stem}")
        first = address.partition(".")[0].partition("[")[0]
        near = self._template.key_marks.get(first)
        notes = ((near, f"'{first}' begins here"),) if near else ()
        self._problems.add(at.mark, "PM400", "", f"'{address}' is not a rule of {self._named}", close, notes=notes)

    def _added(self, found: Found, value: Node, at: Node) -> Node | None:
        if found.node is None:
            return value
        if found.node.kind == "list":
            more = value.value if value.kind == "list" else [value]
            return replace(found.node, value=[*found.node.value, *more])
        what = f"'{at.value}' is set in {self._named} already"
        self._problems.add(at.mark, "PM402", "", what, "write set: instead of add:")
        return None

    def _with_map(self, node: Node, value: Node, at: Node) -> Node | None:
        text = node.value if node.kind == "scalar" and isinstance(node.value, str) else ""
        matches = list(_TRANSLATE.finditer(text))
        if len(matches) != 1 or value.kind != "scalar":
            what = f"'{at.value}' has no single translate('...') whose code map could be replaced"
            self._problems.add(at.mark, "PM403", "", what, "write set: with the whole rule", error=True)
            return None
        if matches[0].group(2) == value.value:
            self._problems.add(at.mark, "PM403", "", f"'{at.value}' uses this code map already")
        new = _TRANSLATE.sub(rf"\g<1>{value.value}\g<3>", text)
        return replace(node, value=new, raw=new)
