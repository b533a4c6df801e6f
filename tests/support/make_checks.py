"""Writes what a check of templates asks of R4 beside its structure: `python -m tests.support.make_checks WHEEL TGZ`.

The two files are those of tests/support/make_r4.py. Three files are written beside base.json.gz, each read when it is
asked for: invariants.json.gz, bindings.json.gz and displays.json.gz.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peerfhir.fhir import reader, writer
from peerfhir.fhir.terminology import Terminology
from tests.support.make_definitions import FOLDER, type_name
from tests.support.make_r4 import MOST_CODES, checked, structures, terminology

# said of every element; what HTML may hold; a narrative, which a template of codes need not have
LEFT_OUT = frozenset(("ele-1", "txt-1", "txt-2", "dom-6"))
# Two expressions of R4 that do not say what their sentence says, and what HL7 made of them later
_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
AS_MEANT = {"con-3": ("select($this='problem-list-item')", "coding.where(code='problem-list-item')")} | {
    f"ppc-{number}": ("system='something'", f"system='{_SCOPE}'") for number in (2, 3, 4, 5)
}
PUBLISHED = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")
OURS_TO_HAND_ON = ("HL7", "This is an")  # how the copyright of a code system of HL7 itself begins, if it has one
SUBSUMED = ("is-a", "descendent-of")


def bases(wheel: Path) -> list[Any]:
    """The definitions of types, without profiles."""
    found = structures(checked(wheel))
    return [
        one for one in found if one.get("derivation") != "constraint" and one["kind"] in ("resource", "complex-type")
    ]


def invariants(definitions: list[Any]) -> dict[str, Any]:
    """`rules`: key, severity, sentence and FHIRPath of each; `types`: which bind a type, or an element `Type.name`."""
    rules: list[list[str]] = []
    places: dict[tuple[str, ...], int] = {}
    found: dict[str, list[int]] = {}
    roots = {rule["key"] for one in definitions for rule in one["snapshot"]["element"][0].get("constraint", ())}
    for one in definitions:
        elements = one["snapshot"]["element"]
        parents = {entry["path"].rpartition(".")[0] for entry in elements}
        for entry in elements:
            path = entry["path"]
            owner, _, name = path.rpartition(".")
            holder = type_name(path) if path in parents or not owner else f"{type_name(owner)}.{name}"
            for rule in entry.get("constraint", ()):
                inherited = path != one["type"] and rule["key"] in roots and path not in parents
                if rule["key"] in LEFT_OUT or inherited or "expression" not in rule:
                    continue
                expression = rule["expression"].replace(*AS_MEANT.get(rule["key"], ("", "")))
                row = [rule["key"], rule["severity"], rule["human"], expression]
                if tuple(row) not in places:
                    places[tuple(row)] = len(rules)
                    rules.append(row)
                found.setdefault(holder, []).append(places[tuple(row)])
    return {"rules": rules, "types": {name: sorted(set(keys)) for name, keys in sorted(found.items())}}


def _below(concepts: list[Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    for one in concepts:
        parents = [row["valueCode"] for row in one.get("property", ()) if row["code"] == "subsumedBy"]
        yield one["code"], (*above, *parents)
        yield from _below(one.get("concept", []), (*above, one["code"]))


def subsumed(system: Any, code: str, *, itself: bool) -> list[str]:
    """The codes of a system below one."""
    parents = dict(_below(system.get("concept", [])))
    found = {code} if itself else set()
    reached = {code}
    while more := {name for name, above in parents.items() if reached & set(above)} - reached:
        reached |= more
    return sorted(found | (reached - {code}))


def rows(sets: dict[str, Any], systems: dict[str, Any], url: str, depth: int = 0) -> list[list[Any]] | None:
    """A value set as [system, codes] and [system, 0] where the system is not here; None when it cannot be known."""
    compose = sets.get(url, {}).get("compose")
    gone = compose.get("exclude", []) if compose else []
    if not compose or depth > 8 or any(part.keys() - {"system", "concept"} for part in gone):
        return None
    found: list[list[Any]] = []
    for part in compose["include"]:
        system = systems.get(part.get("system", ""))
        if part.get("valueSet"):
            inner = [rows(sets, systems, one.split("|")[0], depth + 1) for one in part["valueSet"]]
            if part.get("system") or None in inner:
                return None
            found += [row for one in inner for row in one or ()]
        elif "concept" in part:
            found.append([part["system"], sorted({one["code"] for one in part["concept"]})])
        elif system is None or system.get("content") != "complete":
            found.append([part["system"], 0])
        elif not part.get("filter"):
            found.append([part["system"], sorted(code for code, _ in _below(system["concept"]))])
        elif (
            len(part["filter"]) == 1 and (rule := part["filter"][0])["op"] in SUBSUMED and rule["property"] == "concept"
        ):
            found.append([part["system"], subsumed(system, rule["value"], itself=rule["op"] == "is-a")])
        else:
            return None
    out = {(part["system"], one["code"]) for part in gone for one in part["concept"]}
    return [[name, codes and [code for code in codes if (name, code) not in out]] for name, codes in found]


def bindings(definitions: list[Any], sets: dict[str, Any], systems: dict[str, Any]) -> dict[str, Any]:
    """`extensible` and `required`: "Type.name" -> url of its value set; `sets`: url -> rows.

    Required ones only where a code stands with its system: the index of types has those of plain codes.
    """
    elements: dict[str, dict[str, str]] = {"extensible": {}, "required": {}}
    listed: dict[str, list[list[Any]]] = {}
    for one in definitions:
        for entry in one["snapshot"]["element"]:
            binding = entry.get("binding", {})
            owner, _, name = entry["path"].rpartition(".")
            url = binding.get("valueSet", "").split("|")[0]
            strength = binding.get("strength")
            kinds = {row["code"] for row in entry.get("type", ())} & {"Coding", "CodeableConcept"}
            if not owner or not (strength == "extensible" or (strength == "required" and kinds)):
                continue
            found = listed[url] if url in listed else rows(sets, systems, url)
            size = sum(len(row[1]) for row in found or () if row[1] != 0)
            if found and 0 < size <= MOST_CODES and all(row[0] != "http://snomed.info/sct" for row in found):
                listed[url] = found
                elements[strength][f"{type_name(owner)}.{name}"] = url
    return {**elements, "sets": listed}


def _displays(concepts: list[Any]) -> Iterator[tuple[str, str]]:
    for one in concepts:
        if one.get("display"):
            yield one["code"], one["display"]
        yield from _displays(one.get("concept", []))


def displays(definitions: list[Any], systems: dict[str, Any], known: Terminology) -> dict[str, dict[str, str]]:
    """Displays of HL7's own code systems that some element of R4 is bound to, by url and code."""
    bindings = (entry.get("binding", {}) for one in definitions for entry in one["snapshot"]["element"])
    expansions = [known.expansion(one["valueSet"]) for one in bindings if "valueSet" in one]
    bound = {system for one in expansions if one is not None for system in one.systems}
    found = {}
    for url in sorted(bound & systems.keys()):
        system = systems[url]
        said = system.get("copyright", "")
        ours = url.startswith(PUBLISHED) and (not said or said.startswith(OURS_TO_HAND_ON))
        pairs = dict(_displays(system.get("concept", []))) if ours else {}
        if 0 < len(pairs) <= MOST_CODES:
            found[url] = pairs
    return found


def build(wheel: Path, tgz: Path) -> dict[str, Any]:
    """The content of each file, by its name."""
    base = reader.read_own(gzip.decompress((FOLDER / "base.json.gz").read_bytes()))
    definitions = bases(wheel)
    sets, systems = terminology(checked(tgz))
    return {
        "invariants": invariants(definitions),
        "bindings": bindings(definitions, sets, systems),
        "displays": displays(definitions, systems, Terminology(base["valueSets"], base["codeSystems"])),
    }


if __name__ == "__main__":
    for name, data in build(Path(sys.argv[1]), Path(sys.argv[2])).items():
        packed = gzip.compress(writer.write(data), 9, mtime=0)
        (FOLDER / f"{name}.json.gz").write_bytes(packed)
        print(f"{name}.json.gz: {len(packed) / 1024:.0f} KiB")
