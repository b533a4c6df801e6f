"""Folders of mappings, overlays and libraries made for one test."""

from __future__ import annotations

from pathlib import Path

from peerfhir.mapping.catalogue import Survey, survey
from tests.support.mapping_folder import CANONICAL

BASE = """mapping: row
version: 1.2.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  fields:
    id: string!
    name: string!
    word: string
    email: string
    sex: {type: code, codes: [F, M]}
systems: {mrn: https://hospital.example/mrn, loinc: http://loinc.org}
conceptMaps:
  sex: {F: female, M: male}
  other: {F: other, M: unknown}
bundle: none
resources:
  patient:
    resourceType: Patient
    identifier: {system: $mrn, value: =id}
    name: {family: =name}
    telecom:
      - {system: phone, value: =word}
      - {system: email, value: =email}
    gender: =sex.translate('sex')
  note:
    resourceType: Basic
    code: loinc#1
"""
OVERLAY = """overlay: row.north
version: 1.0.0
extends: row@^1.0
applies-to: {endpoint: north-epic}
"""


def put(folder: Path, **files: str) -> Survey:
    """What the folder holds after these files were written; `__` is a slash and `_yaml` the end of a name."""
    root = folder / "mappings"
    for name, text in files.items():
        path = root / f"{name.replace('__', '/').replace('_csv', '.csv')}"
        if not path.suffix:
            kind = {"overlays": "overlay", "library": "library"}.get(path.parent.name, "map")
            path = path.with_name(f"{path.name}.{kind}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return survey(root, canonical=CANONICAL)


def told(found: Survey) -> list[str]:
    """Code and line of each problem, with its severity's first letter: "E PM400 8"."""
    return [f"{one.severity[0].upper()} {one.code} {one.mark.line}" for one in found.problems]
