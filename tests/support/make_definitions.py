"""Writes `src/peerfhir/fhir/r4/definitions.json.gz` from `base.json.gz` beside it: `python -m tests.support.make_definitions`.

The base holds the StructureDefinitions, value sets and code systems of R4 4.0.1 (tests/support/make_r4.py says from
where). The index keeps what a path, a mapping or a shape needs of them: types with what they descend from, elements
under their names in JSON, cardinalities, targets of references, and required value sets as lists of codes.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from peerfhir.fhir import definitions, reader, writer
from peerfhir.fhir.terminology import Terminology

FOLDER = Path(definitions.__file__).with_name("r4")
QUANTITIES = {"Age", "Count", "Distance", "Duration"}
Rows = list[list[Any]]


def type_name(path: str) -> str:
    """The name of a backbone element: "BundleEntry" of the path Bundle.entry; any other type as it is."""
    return "".join(part[0].upper() + part[1:] for part in path.split(".")) if "." in path else path


def base_of(name: str, entry: Any) -> str:
    """What a type descends from."""
    if name in ("Element", "Resource"):
        return ""
    if name in QUANTITIES:
        return "Quantity"
    names = {row[0] for row in entry["elements"]}
    if name in ("BackboneElement", "DomainResource"):
        return "Element" if name == "BackboneElement" else "Resource"
    if entry["kind"] == "resource":
        return "DomainResource" if "text" in names else "Resource"
    return "BackboneElement" if "modifierExtension" in names else "Element"


class Codes:
    """Lists of codes, each once."""

    def __init__(self, terminology: Terminology) -> None:
        self.lists: list[list[str]] = []
        self._places: dict[str, int] = {}
        self._terminology = terminology

    def place(self, url: str) -> int:
        """Which list a value set has, from 1; 0 when its codes cannot be listed offline."""
        if url not in self._places:
            expansion = self._terminology.expansion(url)
            listed = expansion is not None and expansion.is_listed
            if expansion is not None and listed:
                self.lists.append(sorted(expansion.codes()))
            self._places[url] = len(self.lists) if listed else 0
        return self._places[url]


def elements(row: list[Any], codes: Codes) -> dict[str, Any]:
    """One row of the base as elements by JSON name: the type alone, or [type, min, many, choice, codes, targets]."""
    name, minimum, many, types, targets, value_set = [*row, 0, 0][:6]
    choice = name.removesuffix("[x]") if name.endswith("[x]") else 0
    found: dict[str, Any] = {}
    for kind in types:
        key = choice + kind[0].upper() + kind[1:] if choice else name
        bound = codes.place(value_set) if value_set and kind in ("code", "string", "uri") else 0
        made = [type_name(kind), minimum, many, choice, bound, (targets or {}).get(kind, 0)]
        while made[-1] == 0 and len(made) > 1:
            made.pop()
        found[key] = made if len(made) > 1 else made[0]
    return found


def build() -> dict[str, Any]:
    """Every type of R4: its base, its own elements, and a 1 where it is a backbone element."""
    base = reader.read_own(gzip.decompress((FOLDER / "base.json.gz").read_bytes()))
    codes = Codes(Terminology(base["valueSets"], base["codeSystems"]))
    inherited = {name: {row[0] for row in entry["elements"]} for name, entry in base["types"].items()}
    types: dict[str, Any] = {}
    for name, entry in sorted(base["types"].items()):
        if entry["kind"] == "logical":
            continue
        parent = base_of(name, entry)
        own: dict[str, Any] = {}
        for row in entry["elements"]:
            if row[0] not in inherited.get(parent, ()):
                own |= elements(row, codes)
        assert type_name(name) not in types
        types[type_name(name)] = [parent, own] if entry["kind"] != "backbone" else [parent, own, 1]
    return {"fhirVersion": "4.0.1", "codes": codes.lists, "types": types}


if __name__ == "__main__":
    (FOLDER / "definitions.json.gz").write_bytes(gzip.compress(writer.write(build()), 9, mtime=0))
