"""The code maps of a mapping as ConceptMaps of R4."""

from __future__ import annotations

from typing import Any

from peerfhir.mapping.code_map import CodeMap
from peerfhir.mapping.concept_maps import to_concept_map
from peerfhir.mapping.shelf import Opened

Json = Any


def concept_maps(opened: Opened, canonical: str) -> list[Json]:
    """One ConceptMap for each code map of a mapping, in the order of the document."""
    return [
        {**made, "id": f"{opened.id}-{name}"[:64]} if "id" not in made else made
        for name, table in opened.checked.scope.tables.items()
        if isinstance(table, CodeMap)
        for made in [concept_map(opened, table, f"{canonical}/ConceptMap/{opened.id}-{name}")]
    ]


def concept_map(opened: Opened, table: CodeMap, url: str) -> Json:
    """One code map under a canonical; its local codes get a system of their own where the map names none.

    Source  docs/mapping-guide.md, Code maps
    """
    document = opened.document
    source = local_system(opened, table)
    return to_concept_map(table, url, version=document.version, status=document.status, source=source)


def local_system(opened: Opened, table: CodeMap) -> str:
    """The system of the local codes of a code map."""
    return table.source_system or f"urn:peerfhir:codes:{opened.id}:{table.name}"
