"""What a profile asks of a template: slices, fixed values, cardinalities, elements that must be supported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.slices import value_of
from peerfhir.fhir.snapshot import Node as Outline
from peerfhir.fhir.snapshot import tree
from peerfhir.mapping.problems import Problems

Json = Any
_SLICE = re.compile(r"([A-Za-z]+)\[([^\[\]]+)\]")
_CODING = re.compile(r'([a-z][a-z0-9-]*)#([^\s"]+)(?:\s+".*")?', re.DOTALL)


class Outlines:
    """The profiles that are at hand, by canonical URL."""

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self._definitions = definitions
        self._trees: dict[str, Outline] = {}

    def root(self, canonical: str) -> Outline | None:
        """The elements of a profile; None for one that is not at hand. A version is cut."""
        url = canonical.split("|")[0]
        if url not in self._trees and (definition := self._definitions.get(url)) is not None:
            self._trees[url] = tree(definition["snapshot"]["element"])
        return self._trees.get(url)

    def __bool__(self) -> bool:
        return len(self._definitions) > 0

    def urls(self) -> Iterable[str]:
        """The canonical of each."""
        return self._definitions


def sliced(key: str) -> tuple[str, str | None]:
    """The element of a key, and the slice it names."""
    match = _SLICE.fullmatch(key)
    return (match.group(1), match.group(2)) if match else (key, None)


def child_of(outline: Outline | None, key: str, choice: str | None) -> Outline | None:
    """What the profile says of an element; of the whole choice where the key is one alternative."""
    if outline is None:
        return None
    return outline.children.get(key) or (outline.children.get(f"{choice}[x]") if choice else None)


def slice_of(child: Outline | None, name: str) -> Outline | None:
    """A slice by its name, or an extension by the last part of its URL."""
    if child is None:
        return None
    for found, one in child.slices.items():
        if "/" not in found and name in (found, (url_of(one) or "").rpartition("/")[2]):
            return one
    return None


def slice_names(child: Outline | None) -> list[str]:
    """What may be written in the brackets."""
    return list(child.slices) if child is not None else []


def url_of(outline: Outline) -> str | None:
    """The profile that an element must have, where there is one."""
    profiles = [url for row in outline.element.get("type", ()) for url in row.get("profile", ())]
    return str(profiles[0]).split("|")[0] if len(profiles) == 1 else None


def wanted(outline: Outline, *, extension: bool = False) -> Json:
    """The fixed and pattern values of an element and of what lies below it, as far as they are single values."""
    own = value_of(outline.element)
    if own is not None:
        return own.value
    found: dict[str, Json] = {}
    if extension and (url := url_of(outline)) is not None:
        found["url"] = url
    for name, child in outline.children.items():
        if "[x]" in name:
            continue
        below = wanted(child)
        if below is not None and (child.minimum or value_of(child.element) is not None):
            found[name] = below
    return found or None


class Filler:
    """Fills fixed values in, and notes what contradicts them."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def filled(self, yaml: Yaml, value: Json, address: str, systems: Mapping[str, str], *, fill: bool) -> Yaml:
        """The node with the values of a profile; PM224 where it says otherwise. Not `fill`: it is only compared."""
        if yaml.kind == "map" and isinstance(value, dict) and not {"$use", "$literal", "$value"} & yaml.value.keys():
            return self._map(yaml, value, address, systems, fill=fill)
        if yaml.kind == "list":
            items = [
                self.filled(one, value, f"{address}[{at}]", systems, fill=fill) for at, one in enumerate(yaml.value)
            ]
            return replace(yaml, value=items) if fill else yaml
        if yaml.kind == "scalar":
            self._compare(yaml, value, address, systems)
        return yaml

    def _map(self, yaml: Yaml, value: Json, address: str, systems: Mapping[str, str], *, fill: bool) -> Yaml:
        values, marks = dict(yaml.value), dict(yaml.key_marks)
        for key, inner in value.items():
            here = f"{address}.{key}"
            if key in values:
                one = inner[0] if isinstance(inner, list) and len(inner) == 1 else inner
                values[key] = self.filled(values[key], one, here, systems, fill=fill and not isinstance(inner, list))
            elif fill:
                values[key], marks[key] = as_yaml(inner, yaml.mark), yaml.mark
        return replace(yaml, value=values, key_marks=marks) if fill else yaml

    def _compare(self, yaml: Yaml, value: Json, address: str, systems: Mapping[str, str]) -> None:
        written = yaml.value
        if isinstance(written, str) and (written.startswith("=") or "{{" in written):
            return
        if isinstance(value, dict):
            match = _CODING.fullmatch(str(written))
            codings = value.get("coding", [value])
            if match is None or any("code" not in one for one in codings):
                return
            pairs = [(one.get("system"), one["code"]) for one in codings]
            fits = (systems.get(match.group(1)), match.group(2)) in pairs
        else:
            plain = systems.get(str(written).removeprefix("$"), written) if str(written).startswith("$") else written
            fits = plain == value
        if not fits:
            codes = [one.get("code") for one in value.get("coding", [value])] if isinstance(value, dict) else [value]
            self._problems.add(yaml.mark, "PM224", address, f"the profile fixes this to '{codes[0]}'")


def as_yaml(value: Json, mark: Mark) -> Yaml:
    """A JSON value as a node of a template."""
    if isinstance(value, dict):
        return Yaml("map", {key: as_yaml(one, mark) for key, one in value.items()}, mark, dict.fromkeys(value, mark))
    if isinstance(value, list):
        return Yaml("list", [as_yaml(one, mark) for one in value], mark)
    return Yaml("scalar", value, mark, quoted=isinstance(value, str), raw=str(value))


class Asked:
    """Checks the elements of one structure against its outline."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def element(self, outline: Outline | None, mark: Mark, address: str) -> None:
        """PM226 for an element that the profile takes away."""
        if outline is not None and outline.maximum == 0:
            self._problems.add(mark, "PM226", address, "the profile does not allow this element")

    def count(self, outline: Outline | None, items: int, mark: Mark, address: str) -> None:
        """PM212 for more items than the profile allows."""
        most = outline.maximum if outline is not None else None
        if most is not None and most > 0 and items > most:
            self._problems.add(mark, "PM212", address, f"{items} items stand here, and the profile allows {most}")

    def gaps(
        self, outline: Outline | None, written: frozenset[str], known: frozenset[str], mark: Mark, at: str
    ) -> None:
        """PM220 and PM222: what the profile requires or supports and the template does not write.

        written  keys as they stand in the template
        known    elements whose absence is told already
        """
        if outline is None:
            return
        bases = {sliced(key)[0] for key in written}
        for name, child in outline.children.items():
            base = name.removesuffix("[x]")
            there = base in bases or ("[x]" in name and any(re.fullmatch(f"{base}[A-Z].*", one) for one in bases))
            if not there and child.minimum and base not in known and child.maximum != 0:
                self._problems.add(mark, "PM220", at, f"the profile requires the element '{base}'")
            elif not there and child.element.get("mustSupport") and child.maximum != 0:
                self._problems.add(mark, "PM222", at, f"the profile supports '{base}', which is not mapped")
            needed = [key for key, one in child.slices.items() if one.minimum and "/" not in key]
            missing = [one for one in needed if f"{name}[{one}]" not in written]
            if there and name not in written and missing:
                what = f"the profile requires the slice '{missing[0]}' of '{name}'"
                self._problems.add(mark, "PM220", at, what, f"write {name}[{missing[0]}]")
