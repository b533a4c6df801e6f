"""Addresses of nodes in a template, such as `patient.telecom[system=email]`, and trees with a node changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest

Path = tuple[str | int, ...]  # keys of maps and positions in lists

_STEP = re.compile(r"(\$?[A-Za-z_][A-Za-z0-9_]*)(?:\[([^\[\]]+)\])?")
_INDEX = re.compile(r"0|[1-9][0-9]{0,4}")
_MATCH = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class BadAddress(Exception):
    """An address that names no node: what is wrong, what to write, and where its resource begins."""

    def __init__(self, what: str, hint: str = "", near: Mark | None = None) -> None:
        super().__init__(what)
        self.what, self.hint, self.near = what, hint, near


@dataclass(frozen=True)
class Found:
    """What an address names.

    path   where it lies in the tree, as far as it is there
    node   the node, or None: everything but the last step is there
    """

    path: Path
    node: Node | None


def steps(address: str) -> list[tuple[str, str | None]]:
    """Name and selector of each step.

    Raises  BadAddress
    """
    parts = re.findall(r"(?:[^.\[]|\[[^\]]*\]?)+", address)
    matches = [_STEP.fullmatch(part) for part in parts]
    if not parts or ".".join(parts) != address or None in matches:
        raise BadAddress(f"'{address}' is not an address", "write resource.element, element[0] or element[child=value]")
    return [(match.group(1), match.group(2)) for match in matches if match is not None]


def find(root: Node, address: str, named: str) -> Found:
    """The node at an address in the template `root`, whose keys are the resources.

    named   what the template is called in messages
    Raises  BadAddress when a step before the last, or a selector, matches nothing
    """
    here: Node | None = root
    path: Path = ()
    walked = steps(address)
    for at, (name, selector) in enumerate(walked):
        if here is not None and here.kind == "list":
            if len(here.value) != 1:
                raise _bad(
                    root, walked, named, address, f"give {walked[at - 1][0]}[0] or {walked[at - 1][0]}[child=value]"
                )
            here, path = here.value[0], (*path, 0)
        if here is None or here.kind != "map":
            raise _bad(root, walked, named, address, _guess(root, walked, at))
        last = at == len(walked) - 1
        sliced = f"{name}[{selector}]"
        if selector is not None and sliced in here.value:
            here, path = here.value[sliced], (*path, sliced)
        elif name not in here.value:
            if not last or (selector is not None and (_INDEX.fullmatch(selector) or _MATCH.fullmatch(selector))):
                raise _bad(root, walked, named, address, _guess(root, walked, at, here))
            return Found((*path, name if selector is None else sliced), None)
        else:
            here, path = here.value[name], (*path, name)
            if selector is not None:
                here, path = _selected(here, path, selector, last) or _refuse(root, walked, named, address)
    return Found(path, here)


def _selected(node: Node, path: Path, selector: str, last: bool) -> tuple[Node | None, Path] | None:
    if node.kind == "map" and selector in node.value:  # the linkId of an answer
        return node.value[selector], (*path, selector)
    if node.kind == "map" and selector.startswith("/") and last:
        return None, (*path, selector)
    items = node.value if node.kind == "list" else [node]
    if _INDEX.fullmatch(selector):
        at = int(selector)
        matching = [at] if at < len(items) else []
    else:
        wanted = [_MATCH.fullmatch(part.strip()) for part in selector.split(",")]
        if None in wanted:
            return None
        pairs = {match.group(1): match.group(2).strip("\"'") for match in wanted if match is not None}
        matching = [at for at, item in enumerate(items) if _has(item, pairs)]
    if len(matching) != 1:
        return None
    return items[matching[0]], (*path, matching[0]) if node.kind == "list" else path


def _has(item: Node, pairs: Mapping[str, str]) -> bool:
    return item.kind == "map" and all(
        key in item.value and item.value[key].kind == "scalar" and item.value[key].raw == value
        for key, value in pairs.items()
    )


def _refuse(root: Node, walked: list[tuple[str, str | None]], named: str, address: str) -> tuple[Node | None, Path]:
    raise _bad(root, walked, named, address, "the selector must match one item")


def _bad(root: Node, walked: list[tuple[str, str | None]], named: str, address: str, hint: str) -> BadAddress:
    return BadAddress(f"'{address}' is not a rule of {named}", hint, root.key_marks.get(walked[0][0]))


def _guess(root: Node, walked: list[tuple[str, str | None]], at: int, here: Node | None = None) -> str:
    known = next((list(one.value) for one in (here, root) if one is not None and one.kind == "map"), [])
    close = re.fullmatch(r"did you mean '(.*)'\?", nearest(walked[at][0], known))
    if close is None:
        return ""
    before = [name if selector is None else f"{name}[{selector}]" for name, selector in walked[:at]]
    return f"did you mean '{'.'.join([*before, close.group(1)])}'?"


REMOVED = Node("scalar", None, Mark("", 0, 0), raw="removed")


def put(root: Node, path: Path, new: Node, mark: Mark | None = None) -> Node:
    """The tree with `new` at a path; positions stay as they are until `swept`."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if root.kind == "list" and isinstance(step, int):
        items = list(root.value)
        items[step] = put(items[step], rest, new, mark)
        return replace(root, value=items)
    values, marks = dict(root.value), dict(root.key_marks)
    below = values.get(str(step), new)
    values[str(step)] = put(below, rest, new, mark)
    marks.setdefault(str(step), mark or new.mark)
    return replace(root, value=values, key_marks=marks)


def swept(root: Node) -> Node:
    """The tree without what was removed; a list that became empty goes with its items."""
    if root.kind == "list":
        items = [swept(one) for one in root.value if one is not REMOVED]
        gone = len(items) < len(root.value) and not items
        return REMOVED if gone else replace(root, value=items)
    if root.kind != "map":
        return root
    below = {key: swept(one) for key, one in root.value.items() if one is not REMOVED}
    values = {key: one for key, one in below.items() if one is not REMOVED}
    return replace(root, value=values, key_marks={key: mark for key, mark in root.key_marks.items() if key in values})
