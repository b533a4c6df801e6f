"""One YAML file of the mappings as nodes, with what YAML itself does not notice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from peerfhir.config import Mark, Node, YamlProblem, compose
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.problems import Problems, Texts
from peerfhir.mapping.versions import version_of

LANGUAGE = 1
FHIR_VERSION = "4.0.1"

ID = re.compile(r"[a-z][a-z0-9-]{0,63}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPEN = "todo".upper()  # stands where a person must decide; no format and no offset is called so
LIST_NAME = re.compile(r"[a-z][a-z0-9_-]*")  # of code maps, bands, tables and fragments


def opened(path: Path, text: str, kind: str, problems: Problems, texts: Texts) -> Node | None:
    """The document of one file, which begins with `<kind>: <id>`; None when it is too broken to be read further.

    path   how messages name the file
    texts  takes the file's text, so that later messages find the column inside a scalar
    """
    texts.add(str(path), text)
    try:
        node = compose(path, text=text)
    except YamlProblem as problem:
        code, what, hint = told(problem)
        problems.add(problem.mark, code, "", what, hint)
        return None
    if node.kind != "map":
        problems.add(
            node.mark,
            "PM004",
            "",
            f"{'an' if kind == 'overlay' else 'a'} {kind} is a map that begins with '{kind}: <id>'",
        )
        return None
    before = len(problems.errors)
    _split_values(node, problems)
    return None if len(problems.errors) > before else node


def keys(node: Node, known: Iterable[str], later: frozenset[str], address: str, problems: Problems) -> bool:
    """Whether `node` is a map; every key that is neither known nor planned is noted (PM002)."""
    if node.kind != "map":
        problems.add(node.mark, "PM007", address, "a map of keys and values is expected here")
        return False
    known = list(known)
    for key, mark in node.key_marks.items():
        if key in later:
            problems.add(mark, "PM002", address, f"'{key}' is not supported in this version")
        elif key not in known:
            problems.add(mark, "PM002", address, f"unknown key '{key}'", nearest(key, [*known, *later]))
    return True


def place_of(node: Node, key: str) -> Mark:
    """Where a key of a map stands, or where the map begins."""
    return node.key_marks.get(key, node.mark)


def text_of(node: Node, key: str, default: str, problems: Problems) -> str:
    """The text under a key; PM007 where something else stands."""
    found = node.value.get(key)
    if found is None:
        return default
    if found.kind != "scalar" or not isinstance(found.value, str):
        problems.add(found.mark, "PM007", "", f"'{key}' is a text", "quote it")
        return default
    return str(found.value)


def section(node: Node, key: str, problems: Problems) -> Node | None:
    """The map under a key, or None; PM007 where something else stands."""
    found: Node | None = node.value.get(key)
    if found is not None and found.kind != "map":
        problems.add(found.mark, "PM007", key, "a map of keys and values is expected here")
        return None
    return found


def check_head(node: Node, kind: str, problems: Problems) -> bool:
    """The version, the version of the language, and the first key: whether this is a document of that kind at all."""
    if list(node.value)[:1] != [kind]:
        problems.add(node.mark, "PM004", "", f"the first key is '{kind}: <id>'")
        if kind not in node.value:
            return False
    if version_of(text_of(node, "version", "", problems)) is None:
        problems.add(place_of(node, "version"), "PM007", "", "'version' is three numbers", "write version: 1.0.0")
    check_is(node, "language", LANGUAGE, problems)
    return True


def check_is(node: Node, key: str, wanted: object, problems: Problems, *, needed: bool = False) -> None:
    """PM004 unless the key has this value, or may be left out and is."""
    found = node.value.get(key)
    if (found is None and needed) or (found is not None and found.value != wanted):
        problems.add(place_of(node, key), "PM004", "", f"'{key}' must be {wanted}")


def _split_values(node: Node, problems: Problems) -> None:
    """PM001 where a comma inside { } or [ ] cut an expression in two, which YAML does not notice."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        below = list(here.value.values()) if here.kind == "map" else here.value if here.kind == "list" else []
        waiting += below
        pairs = list(pairwise(below))
        names = list(here.value)[1:] if here.kind == "map" else [None] * len(pairs)
        for (before, after), name in zip(pairs, names, strict=True):
            cut = _is_unclosed(before) and (after.kind == "scalar") and (after.raw == "" or name is None)
            if cut and not before.quoted:
                part = f"'{name}' became a key of its own" if name else "the rest became an item of its own"
                rest = name or after.raw
                hint = f'quote the expression: "{before.value}, {rest}"'
                problems.add(before.mark, "PM001", "", f"the comma ends this value; {part}", hint)


def _is_unclosed(node: Node) -> bool:
    if node.kind != "scalar" or not isinstance(node.value, str) or not node.value.startswith("="):
        return False
    text = re.sub(r"'(?:[^'\\]|\\.)*'|`[^`]*`", "", node.value)
    return any(text.count(opening) > text.count(closing) for opening, closing in ("()", "[]", "{}"))


def _yaml_code(what: str) -> str:
    if "stands twice" in what:
        return "PM003"
    return "PM005" if "not allowed here" in what or "one document" in what else "PM001"


def told(problem: YamlProblem) -> tuple[str, str, str]:
    """What YAML refuses: code, sentence and hint."""
    said, _, hint = problem.what.partition(" Hint: ")
    return _yaml_code(problem.what), said.rstrip("."), hint
