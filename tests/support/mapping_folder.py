"""A folder of mappings made for one test, and what loading it says."""

from __future__ import annotations

from pathlib import Path

from peerfhir.errors import BadConfiguration
from peerfhir.mapping.registry import Mappings

CANONICAL = "http://peerfhir.example.org/fhir"


def write(folder: Path, mapping_id: str, text: str, **beside: str) -> Path:
    """Put a mapping and the files it names (`program_csv="..."` is program.csv) into `folder`/mappings."""
    home = folder / "mappings" / mapping_id
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{mapping_id}.map.yaml").write_text(text, encoding="utf-8")
    for name, content in beside.items():
        (home / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return folder / "mappings"


def load(folder: Path, mapping_id: str, text: str, **beside: str) -> Mappings:
    """The mappings of a folder with one mapping more."""
    return Mappings.load(write(folder, mapping_id, text, **beside), canonical=CANONICAL)


def refusals(folder: Path, mapping_id: str, text: str, **beside: str) -> tuple[str, ...]:
    """What loading refuses, or nothing."""
    try:
        load(folder, mapping_id, text, **beside)
    except BadConfiguration as fault:
        return fault.problems
    return ()
