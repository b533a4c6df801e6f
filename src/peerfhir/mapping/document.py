"""`*.map.yaml` -> one document whose parts remember file, line and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from peerfhir.config import Mark, Node, YamlProblem, compose
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.problems import Problems, Text

LANGUAGE = 1
FHIR_VERSION = "4.0.1"
BUNDLES = ("transaction", "batch", "collection", "none")

ID = re.compile(r"[a-z][a-z0-9-]{0,63}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SEMVER = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")

_HEADER = ["mapping", "version", "language", "title", "description", "status", "fhirVersion", "direction"]
_BODY = ["source", "systems", "profiles", "conceptMaps", "bundle", "resources", "record", "accept"]
_LATER = frozenset(["imports", "bands", "tables", "vars", "fragments", "reverse"])


@dataclass(frozen=True)
class Document:
    """One mapping as it was written.

    systems, profiles  alias -> URI, with ${canonical} filled in
    bundle             transaction, batch, collection or none
    resources          the template; empty for from-fhir
    record             `record:` of a from-fhir mapping
    """

    id: str
    version: str
    title: str
    status: str
    direction: str
    mark: Mark
    text: Text
    source: Node
    systems: Mapping[str, str]
    profiles: Mapping[str, str]
    code_maps: Mapping[str, Node]
    code_map_marks: Mapping[str, Mark]
    bundle: str
    resources: Node | None
    record: Node | None
    accept: Node | None


def read(path: Path, text: str, folder: str, canonical: str, problems: Problems) -> Document | None:
    """The document of one file, or None when it is too broken to be checked further.

    path       how messages name the file
    folder     the folder's name, which must be the mapping's id
    canonical  put in for ${canonical} under `systems` and `profiles`
    """
    try:
        node = compose(path, text=text)
    except YamlProblem as problem:
        problems.add(problem.mark, _yaml_code(problem.what), "", *_hinted(problem.what))
        return None
    if node.kind != "map":
        problems.add(node.mark, "PM004", "", "a mapping is a map that begins with 'mapping: <id>'")
        return None
    split_values(node, problems)
    if problems.errors:
        return None
    return _Reader(node, Text(text), problems, canonical).document(path, folder)


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


def split_values(node: Node, problems: Problems) -> None:
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
                mark = here.key_marks[name] if name else after.mark
                hint = 'quote the expression: "=..."'
                problems.add(mark, "PM001", "", f"the comma before this ends the value; {part}", hint)


def _is_unclosed(node: Node) -> bool:
    if node.kind != "scalar" or not isinstance(node.value, str) or not node.value.startswith("="):
        return False
    text = re.sub(r"'(?:[^'\\]|\\.)*'|`[^`]*`", "", node.value)
    return any(text.count(opening) > text.count(closing) for opening, closing in ("()", "[]", "{}"))


def _yaml_code(what: str) -> str:
    if "stands twice" in what:
        return "PM003"
    return "PM005" if "not allowed here" in what or "one document" in what else "PM001"


def _hinted(what: str) -> tuple[str, str]:
    said, _, hint = what.partition(" Hint: ")
    return said.rstrip("."), hint


class _Reader:
    def __init__(self, node: Node, text: Text, problems: Problems, canonical: str) -> None:
        self.node = node
        self.text = text
        self.problems = problems
        self.canonical = canonical

    def document(self, path: Path, folder: str) -> Document | None:
        problems = self.problems
        keys(self.node, (*_HEADER, *_BODY), _LATER, "", problems)
        mapping_id = self._header(path, folder)
        direction = self._choice("direction", ("to-fhir", "from-fhir"), "to-fhir")
        source = self._section("source")
        if source is None:
            problems.add(self.node.mark, "PM007", "", "'source' is missing")
            return None
        backwards = direction == "from-fhir"
        needed, foreign = ("record", "resources") if backwards else ("resources", "record")
        if self._section(needed) is None:
            problems.add(self.node.mark, "PM007", "", f"'{needed}' is missing")
            return None
        if self._section(foreign) is not None:
            problems.add(self.node.key_marks[foreign], "PM007", "", f"'{foreign}' does not belong to {direction}")
        code_maps = self._section("conceptMaps")
        return Document(
            mapping_id, self._text("version", ""), self._text("title", ""),
            self._choice("status", ("draft", "active", "retired"), "draft"), direction, self.node.mark, self.text,
            source, self._uris("systems"), self._uris("profiles"),
            code_maps.value if code_maps else {}, code_maps.key_marks if code_maps else {},
            "none" if backwards else self._choice("bundle", BUNDLES, "transaction"),
            self._section("resources"), self._section("record"), self.node.value.get("accept"),
        )  # fmt: skip

    def _header(self, path: Path, folder: str) -> str:
        mapping_id = self._text("mapping", "")
        mark = self.node.key_marks.get("mapping", self.node.mark)
        if list(self.node.value)[:1] != ["mapping"]:
            self.problems.add(self.node.mark, "PM004", "", "the first key is 'mapping: <id>'")
        elif not ID.fullmatch(mapping_id):
            self.problems.add(mark, "PM004", "", "an id is made of a-z, 0-9 and '-', begins with a letter")
        elif not mapping_id == folder == path.name.removesuffix(".map.yaml"):
            hint = f"mappings/{mapping_id}/{mapping_id}.map.yaml"
            self.problems.add(mark, "PM004", "", f"id '{mapping_id}', folder and file name differ", hint)
        if not _SEMVER.fullmatch(self._text("version", "")):
            place = self.node.key_marks.get("version", self.node.mark)
            self.problems.add(place, "PM007", "", "'version' is three numbers", "write version: 1.0.0")
        for key, wanted, needed in (("language", LANGUAGE, False), ("fhirVersion", FHIR_VERSION, True)):
            node = self.node.value.get(key)
            if (node is None and needed) or (node is not None and node.value != wanted):
                place = self.node.key_marks.get(key, self.node.mark)
                self.problems.add(place, "PM004", "", f"'{key}' must be {wanted}")
        return mapping_id

    def _text(self, key: str, default: str) -> str:
        node = self.node.value.get(key)
        if node is None:
            return default
        if node.kind != "scalar" or not isinstance(node.value, str):
            self.problems.add(node.mark, "PM007", "", f"'{key}' is a text", "quote it")
            return default
        return str(node.value)

    def _choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._text(key, default)
        if value not in allowed:
            what = f"'{key}' is one of {', '.join(allowed)}"
            self.problems.add(self.node.value[key].mark, "PM007", "", what, nearest(value, allowed))
            return default
        return value

    def _section(self, key: str) -> Node | None:
        node = self.node.value.get(key)
        if node is None:
            return None
        if node.kind != "map":
            self.problems.add(node.mark, "PM007", key, "a map of keys and values is expected here")
            return None
        found: Node = node
        return found

    def _uris(self, key: str) -> dict[str, str]:
        node = self._section(key)
        found: dict[str, str] = {}
        if node is None:
            return found
        for alias, value in node.value.items():
            if not ID.fullmatch(alias):
                self.problems.add(node.key_marks[alias], "PM007", key, f"'{alias}' is not an alias")
            uri = str(value.value).replace("${canonical}", self.canonical) if value.kind == "scalar" else ""
            if not _ABSOLUTE.fullmatch(uri) or "${" in uri:
                self.problems.add(value.mark, "PM263", f"{key}.{alias}", "this is not an absolute URI")
            found[alias] = uri
        return found
