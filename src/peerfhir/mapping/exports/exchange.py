"""`map export`: a mapping in the forms that other people's tools read, and what cannot be said in each."""

from __future__ import annotations

from typing import Any

from peerfhir.fhir import writer
from peerfhir.mapping.shelf import Opened

Json = Any
EXPORTS = ("structuremap", "fml", "conceptmap", "logicalmodel", "table", "jsonschema")


def exported(opened: Opened, form: str, canonical: str, *, inline: bool = False) -> tuple[str, list[str]]:
    """The text of an export, and one sentence with its place for each rule it cannot say.

    form    one of EXPORTS
    inline  code maps as conditions instead of ConceptMaps
    """
    if form in ("structuremap", "fml"):
        from peerfhir.mapping.exports.structure_map import structure_map

        made, gaps = structure_map(opened, canonical, inline=inline)
        if form == "fml":
            from peerfhir.mapping.exports.fml import text

            return text(made), gaps
        return writer.indented(made), gaps
    if form == "conceptmap":
        from peerfhir.mapping.exports.concept_map_export import concept_maps

        maps = concept_maps(opened, canonical)
        return writer.indented(maps[0] if len(maps) == 1 else _collection(maps)), []
    if form == "logicalmodel":
        from peerfhir.mapping.exports.logical_model import logical_model

        return writer.indented(logical_model(opened, canonical)), []
    if form == "table":
        from peerfhir.mapping.exports.review_table import review_table

        return review_table(opened), []
    from peerfhir.mapping.exports.source_schema import source_schema

    return writer.indented(source_schema(opened, canonical)), []


def _collection(resources: list[Json]) -> Json:
    entries = [{"fullUrl": one["url"], "resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
