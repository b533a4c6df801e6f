"""Code maps as FHIR R4 ConceptMap resources: read, and written again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from peerfhir.config import Mark
from peerfhir.errors import BadBody, BodyTooLarge
from peerfhir.fhir import reader
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.code_map import EQUIVALENCES, NO_TARGET, CodeMap, Target
from peerfhir.mapping.code_rows import Found, Row, every
from peerfhir.mapping.problems import Problems

Json = Any
Canonical = Callable[[str], tuple[str, str] | None]
MAX_BYTES = 16 * 1024 * 1024
_MODES = ("fixed", "provided", "other-map")
_EQUIVALENCE = "urn:peerfhir:code-map:equivalence"  # on `unmapped`, which R4 gives none
_COMMENT = "urn:peerfhir:code-map:comment"
_SYSTEM = "urn:peerfhir:code-map:system"
_NOTHING = {"element": [{"display": "no value", "target": [{"equivalence": "unmatched"}]}]}  # a group has an element


def rows(label: str, text: str, canonical: Canonical, problems: Problems) -> Found | None:
    """The entries of a ConceptMap, or None after noting why it cannot be used.

    An element without `code` says what no value becomes.
    """
    found = _Reader(label, canonical, problems).read(text, frozenset((label,)))
    return None if problems.errors and found is None else found


def index(folder: Path) -> dict[str, Path]:
    """Canonical, with and without its version -> file, of every *.conceptmap.json below a folder."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.conceptmap.json")):
        try:
            resource = reader.read(path.read_bytes(), max_bytes=MAX_BYTES)
        except (BadBody, BodyTooLarge, OSError):
            continue  # a document that names it will tell
        url = resource.get("url") if isinstance(resource, dict) else None
        if isinstance(url, str):
            found[url] = path
            if isinstance(resource.get("version"), str):
                found[f"{url}|{resource['version']}"] = path
    return found


class _Reader:
    def __init__(self, label: str, canonical: Canonical, problems: Problems) -> None:
        self._label = label
        self._canonical = canonical
        self._problems = problems
        self._rows: list[Row] = []
        self._sources: dict[str, str] = {}
        self._provided = False
        self._others: list[str] = []

    def read(self, text: str, seen: frozenset[str]) -> Found | None:
        before = len(self._problems.errors)
        try:
            resource = reader.read(text.encode("utf-8"), max_bytes=MAX_BYTES)
        except (BadBody, BodyTooLarge) as problem:
            line, _, column = (problem.place or "1:1").partition(":")
            self._problems.add(
                Mark(self._label, int(line), int(column)), "PM136", "", f"this is no JSON: {problem.what}"
            )
            return None
        if not isinstance(resource, dict) or resource.get("resourceType") != "ConceptMap":
            self._note("", "this is not a ConceptMap")
            return None
        for at, group in enumerate(_objects(resource.get("group"))):
            self._group(group, f"group[{at}]")
        for url in self._others:
            self._other(url, seen)
        if len(self._problems.errors) > before:
            return None
        return Found(self._rows, self._provided, self._sources)

    def _group(self, group: Mapping[str, Json], where: str) -> None:
        source, target = _text(group, "source"), _text(group, "target")
        for at, element in enumerate(_objects(group.get("element"))):
            self._element(element, f"{where}.element[{at}]", source, target)
        unmapped = group.get("unmapped")
        if unmapped is not None:
            self._unmapped(unmapped if isinstance(unmapped, dict) else {}, f"{where}.unmapped", target)

    def _element(self, element: Mapping[str, Json], where: str, source: str | None, system: str | None) -> None:
        code = _text(element, "code") or ""
        targets = _objects(element.get("target"))
        if len(targets) > 1:
            self._note(where, "two targets for one code", "PM131")
            return
        target = self._target(targets[0], where, system) if targets else Target(None, equivalence="unmatched")
        if target is None:
            return
        self._rows.append(Row(code, target, Mark(self._label, 1, 1)))
        if source is not None and code:
            self._sources[code] = source

    def _target(self, target: Mapping[str, Json], where: str, system: str | None) -> Target | None:
        for key in ("dependsOn", "product"):
            if target.get(key):
                self._note(where, f"'{key}' is not supported: one code cannot decide alone")
                return None
        equivalence = _text(target, "equivalence") or "equivalent"
        if equivalence not in EQUIVALENCES:
            self._note(where, "this is not an equivalence of R4", hint=nearest(equivalence, EQUIVALENCES))
            return None
        comment = _text(target, "comment")
        if equivalence in NO_TARGET:
            return Target(None, None, None, equivalence, comment)
        code = _text(target, "code")
        if code is None:
            self._note(where, "the target has no code", hint="equivalence unmatched says there is none")
            return None
        return Target(code, system, _text(target, "display"), equivalence, comment)

    def _unmapped(self, unmapped: Mapping[str, Json], where: str, system: str | None) -> None:
        mode = _text(unmapped, "mode")
        if mode == "provided":
            self._provided = True
        elif mode == "other-map" and (url := _text(unmapped, "url")):
            self._others.append(url)
        elif mode == "fixed" and (code := _text(unmapped, "code")):
            more = {one.get("url"): one for one in _objects(unmapped.get("extension"))}
            equivalence = _text(more.get(_EQUIVALENCE, {}), "valueCode") or "equivalent"
            if _SYSTEM in more:  # without a value: the target has no system, whatever the group's is
                system = _text(more[_SYSTEM], "valueUri")
            comment = _text(more.get(_COMMENT, {}), "valueString")
            target = Target(code, system, _text(unmapped, "display"), equivalence, comment)
            if not any(row.source == "*" and row.target == target for row in self._rows):
                self._rows.append(Row("*", target, Mark(self._label, 1, 1)))
        else:
            self._note(where, f"'mode' is one of {', '.join(_MODES)}, with its code or url")

    def _other(self, url: str, seen: frozenset[str]) -> None:
        """What another map says of the codes that this one does not have."""
        found = self._canonical(url)
        if found is None:
            self._note("unmapped", "the other map is not loaded", "PM008")
            return
        label, text = found
        if label in seen:
            self._note("unmapped", "these maps name each other")
            return
        other = _Reader(label, self._canonical, self._problems).read(text, seen | {label})
        if other is None:
            return
        mine = {row.source for row in self._rows}
        self._rows += [row for row in other.rows if row.source not in mine]
        self._sources.update({code: system for code, system in other.sources.items() if code not in mine})
        self._provided = self._provided or other.provided

    def _note(self, where: str, what: str, code: str = "PM136", hint: str = "") -> None:
        self._problems.add(Mark(self._label, 1, 1), code, where, what, hint)


def _objects(value: Json) -> list[Mapping[str, Json]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(holder: Mapping[str, Json], key: str) -> str | None:
    value = holder.get(key)
    return value if isinstance(value, str) and value else None


def to_concept_map(code_map: CodeMap, url: str, *, version: str = "", status: str = "draft", source: str = "") -> Json:
    """A code map as a ConceptMap that reads back as the same entries.

    url     its canonical
    source  the system of the local codes where the map names none
    """
    made: dict[str, Json] = {"resourceType": "ConceptMap", "url": url, "name": _name(code_map.name), "status": status}
    if version:
        made["version"] = version
    groups: dict[tuple[str | None, str | None], list[tuple[str, Target]]] = {}
    for code, target in every(code_map):
        if code == "*":
            continue
        start = code_map.sources.get(code, code_map.source_system or source or None)
        groups.setdefault((start, target.system), []).append((code, target))
    written = [_group(*systems, entries) for systems, entries in groups.items()]
    unmapped = _unmapped_of(code_map)
    if unmapped is not None:
        written = [{**one, "unmapped": unmapped} for one in written] or [{**_NOTHING, "unmapped": unmapped}]
    if written:
        made["group"] = written
    return made


def _name(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("_", "-").split("-"))


def _group(source: str | None, target: str | None, entries: Iterable[tuple[str, Target]]) -> dict[str, Json]:
    made: dict[str, Json] = {key: value for key, value in (("source", source), ("target", target)) if value}
    made["element"] = [_element(code, one) for code, one in entries]
    return made


def _element(code: str, target: Target) -> dict[str, Json]:
    parts = {
        "code": target.code, "display": target.display, "equivalence": target.equivalence, "comment": target.comment,
    }  # fmt: skip
    element = {"code": code} if code else {"display": "no value"}
    return {**element, "target": [{key: value for key, value in parts.items() if value}]}


def _unmapped_of(code_map: CodeMap) -> Json:
    target = code_map.default
    if code_map.provided:
        return {"mode": "provided"}
    if target is None or target.code is None:
        return None
    made: dict[str, Json] = {"mode": "fixed", "code": target.code}
    if target.display:
        made["display"] = target.display
    extensions: list[Json] = []
    if target.equivalence != "equivalent":
        extensions.append({"url": _EQUIVALENCE, "valueCode": target.equivalence})
    extensions.append({"url": _SYSTEM, **({"valueUri": target.system} if target.system else {"valueBoolean": False})})
    if target.comment:
        extensions.append({"url": _COMMENT, "valueString": target.comment})
    return {"extension": extensions, **made}
