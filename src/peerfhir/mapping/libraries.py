"""`*.library.yaml`: systems, profiles, code maps, bands, tables and fragments that several mappings share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.problems import Problems, Texts
from peerfhir.mapping.syntax import ID, check_head, keys, opened, place_of, section, text_of
from peerfhir.mapping.versions import Version, is_range, version_of, within

SECTIONS = ("systems", "profiles", "conceptMaps", "bands", "tables", "fragments")
_HEADER = ("library", "version", "language", "title", "description")


@dataclass(frozen=True)
class Library:
    """One library, as it was written."""

    id: str
    version: Version
    node: Node


def read(path: Path, text: str, problems: Problems, texts: Texts) -> Library | None:
    """The library of one file, or None when it is too broken to be imported."""
    node = opened(path, text, "library", problems, texts)
    if node is None or not check_head(node, "library", problems):
        return None
    keys(node, (*_HEADER, *SECTIONS), frozenset(), "", problems)
    name = text_of(node, "library", "", problems)
    if not ID.fullmatch(name):
        problems.add(place_of(node, "library"), "PM004", "", "an id is made of a-z, 0-9 and '-', begins with a letter")
    elif f"{name}.library.yaml" != path.name:
        what = f"id '{name}' and file name differ"
        problems.add(place_of(node, "library"), "PM004", "", what, f"{name}.library.yaml")
    for key in SECTIONS:
        section(node, key, problems)
    version = version_of(text_of(node, "version", "", problems))
    return Library(name, version, node) if version is not None and not problems.errors else None


def imported(
    imports: Iterable[Node], libraries: Mapping[str, Library], problems: Problems
) -> list[tuple[Node, Library]]:
    """The libraries named by `imports: [id@range]`, each with where it is named; PM006 for what is not there."""
    found: list[tuple[Node, Library]] = []
    for node in imports:
        for one in node.value if node.kind == "list" else [node]:
            library = _one(one, libraries, problems)
            if library is not None and library not in [other for _, other in found]:
                found.append((one, library))
    return found


def _one(node: Node, libraries: Mapping[str, Library], problems: Problems) -> Library | None:
    name, _, wanted = str(node.value).partition("@") if node.kind == "scalar" else ("", "", "")
    if not ID.fullmatch(name) or not is_range(wanted):
        problems.add(node.mark, "PM007", "imports", "an import is written id@range", "write common@^1.0")
        return None
    library = libraries.get(name)
    if library is None:
        problems.add(node.mark, "PM006", "imports", f"there is no library '{name}'", nearest(name, libraries))
        return None
    if not within(library.version, wanted):
        have = ".".join(str(number) for number in library.version)
        where = ((library.node.key_marks["version"], "its version"),)
        problems.add(node.mark, "PM006", "imports", f"'{name}' {have} lies outside {wanted}", notes=where)
        return None
    return library


def with_libraries(node: Node, libraries: Iterable[tuple[Node, Library]], problems: Problems) -> Node:
    """A document with the sections of the libraries it imports; PM006 for a name that is there twice."""
    sections = {key: node.value[key] for key in SECTIONS if key in node.value and node.value[key].kind == "map"}
    for place, library in libraries:
        for key in SECTIONS:
            more = library.node.value.get(key)
            if more is None:
                continue
            if key not in node.value:
                sections.setdefault(key, replace(more, value={}, key_marks={}))
            if key in sections:
                sections[key] = _joined(sections[key], more, key, place, library.id, problems)
    marks = {**{key: node.key_marks.get(key, one.mark) for key, one in sections.items()}, **node.key_marks}
    return replace(node, value={**node.value, **sections}, key_marks=marks)


def _joined(own: Node, more: Node, key: str, place: Node, library: str, problems: Problems) -> Node:
    values, marks = dict(own.value), dict(own.key_marks)
    for name, value in more.value.items():
        if name not in values:
            values[name], marks[name] = value, more.key_marks[name]
        elif marks[name] != more.key_marks[name]:
            what = f"{key}.{name} is also defined by library '{library}'"
            at = marks[name] if marks[name].path == place.mark.path else place.mark
            problems.add(at, "PM006", f"{key}.{name}", what, "rename one of the two", notes=_there(more, name))
    return replace(own, value=values, key_marks=marks)


def _there(node: Node, name: str) -> tuple[tuple[Mark, str], ...]:
    return ((node.key_marks[name], "defined here, too"),)
