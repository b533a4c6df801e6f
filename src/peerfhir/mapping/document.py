"""`*.map.yaml` -> one document whose parts remember file, line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.problems import Problems, Texts
from peerfhir.mapping.syntax import (
    FHIR_VERSION,
    ID,
    LANGUAGE,
    LIST_NAME,
    NAME,
    check_head,
    check_is,
    keys,
    opened,
    place_of,
    section,
    text_of,
)

BUNDLES = ("transaction", "batch", "collection", "none")

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")

_HEADER = ["mapping", "version", "language", "title", "description", "status", "fhirVersion", "direction"]
_BODY = [
    "source", "imports", "systems", "profiles", "conceptMaps", "bands", "tables", "vars", "fragments", "bundle",
    "resources", "record", "reverse", "accept",
]  # fmt: skip


@dataclass(frozen=True)
class Section:
    """The named parts of one section: name -> what was written, and where each name stands."""

    items: Mapping[str, Node]
    marks: Mapping[str, Mark]


@dataclass(frozen=True)
class Document:
    """One mapping as it was written, with the libraries it imports and the overlay that lies over it.

    systems, profiles  alias -> URI, with ${canonical} filled in
    vars, reverse      name -> expression
    bundle             transaction, batch, collection or none
    resources          the template; None for from-fhir
    record             `record:` of a from-fhir mapping
    """

    id: str
    version: str
    title: str
    description: str
    status: str
    direction: str
    mark: Mark
    texts: Texts
    source: Node
    systems: Mapping[str, str]
    profiles: Mapping[str, str]
    code_maps: Mapping[str, Node]
    code_map_marks: Mapping[str, Mark]
    bands: Section
    tables: Section
    vars: Section
    fragments: Section
    bundle: str
    resources: Node | None
    record: Node | None
    reverse: Section
    accept: Node | None


def read(path: Path, text: str, folder: str, canonical: str, problems: Problems) -> Document | None:
    """The document of one file that imports nothing, or None when it is too broken to be checked further.

    path       how messages name the file
    folder     the folder's name, which must be the mapping's id
    canonical  put in for ${canonical} under `systems` and `profiles`
    """
    texts = Texts()
    node = opened(path, text, "mapping", problems, texts)
    return None if node is None else document_of(node, path, folder, canonical, problems, texts)


def document_of(
    node: Node, path: Path, folder: str, canonical: str, problems: Problems, texts: Texts
) -> Document | None:
    """The document of a node, which may have been put together from several files; else as `read`."""
    return _Reader(node, texts, problems, canonical).document(path, folder)


class _Reader:
    def __init__(self, node: Node, texts: Texts, problems: Problems, canonical: str) -> None:
        self.node = node
        self.texts = texts
        self.problems = problems
        self.canonical = canonical

    def document(self, path: Path, folder: str) -> Document | None:
        problems = self.problems
        if not check_head(self.node, "mapping", problems):
            return None
        keys(self.node, (*_HEADER, *_BODY), frozenset(), "", problems)
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
        for other in (foreign, *(("bundle", "reverse") if backwards else ())):
            if other in self.node.value:
                problems.add(self.node.key_marks[other], "PM007", "", f"'{other}' does not belong to {direction}")
        code_maps = self._named("conceptMaps")
        return Document(
            mapping_id, self._text("version"), self._text("title"), self._text("description"),
            self._choice("status", ("draft", "active", "retired"), "draft"), direction, self.node.mark, self.texts,
            source, self._uris("systems"), self._uris("profiles"), code_maps.items, code_maps.marks,
            self._named("bands"), self._named("tables"), self._named("vars", NAME), self._named("fragments"),
            "none" if backwards else self._choice("bundle", BUNDLES, "transaction"),
            self._section("resources"), self._section("record"), self._named("reverse", NAME),
            self.node.value.get("accept"),
        )  # fmt: skip

    def _header(self, path: Path, folder: str) -> str:
        mapping_id = self._text("mapping")
        mark = place_of(self.node, "mapping")
        if not ID.fullmatch(mapping_id):
            self.problems.add(mark, "PM004", "", "an id is made of a-z, 0-9 and '-', begins with a letter")
        elif not mapping_id == folder == path.name.removesuffix(".map.yaml"):
            hint = f"mappings/{mapping_id}/{mapping_id}.map.yaml"
            self.problems.add(mark, "PM004", "", f"id '{mapping_id}', folder and file name differ", hint)
        check_is(self.node, "fhirVersion", FHIR_VERSION, self.problems, needed=True)
        return mapping_id

    def _text(self, key: str) -> str:
        return text_of(self.node, key, "", self.problems)

    def _choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = text_of(self.node, key, default, self.problems)
        if value not in allowed:
            what = f"'{key}' is one of {', '.join(allowed)}"
            self.problems.add(self.node.value[key].mark, "PM007", "", what, nearest(value, allowed))
            return default
        return value

    def _section(self, key: str) -> Node | None:
        return section(self.node, key, self.problems)

    def _named(self, key: str, form: re.Pattern[str] | None = None) -> Section:
        node = self._section(key)
        if node is None:
            return Section({}, {})
        for name, mark in node.key_marks.items() if key != "conceptMaps" else ():
            if not (form or LIST_NAME).fullmatch(name):
                self.problems.add(mark, "PM007", key, f"'{name}' is not a name", "letters, digits and '_'")
        return Section(node.value, node.key_marks)

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


__all__ = [
    "BUNDLES", "FHIR_VERSION", "ID", "LANGUAGE", "NAME", "Document", "Section", "document_of", "keys", "read",
]  # fmt: skip
