"""The record of a mapping as a logical model of R4: what its StructureMap reads, or writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peerfhir.mapping.code_map import CodeMap
from peerfhir.mapping.fields import Declarations, Fields
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.shelf import Opened

Json = Any
_BASE = "http://hl7.org/fhir/StructureDefinition/"


def map_id(opened: Opened) -> str:
    """The id of a mapping's StructureMap: `<id>` or `<id>.<overlay>`."""
    return f"{opened.id}.{opened.overlay}" if opened.overlay else opened.id


def model_name(opened: Opened) -> str:
    """The name of a mapping's StructureMap and of its record's model: `referral-csv` is ReferralCsv."""
    return "".join(part.capitalize() for part in map_id(opened).replace(".", "-").split("-"))


def written_fields(opened: Opened) -> Fields | None:
    """What a from-fhir mapping declares of its record; None for other mappings."""
    record = opened.document.record
    if record is None:
        return None
    maps = {name: one for name, one in opened.checked.scope.tables.items() if isinstance(one, CodeMap)}
    return Declarations(maps, Problems()).fields(record.value["fields"], "record.fields")


def logical_model(opened: Opened, canonical: str) -> Json:
    """The StructureDefinition that the StructureMap of a mapping names beside FHIR's own.

    Source  FHIR R4 structuredefinition.html, Logical Models
    """
    document = opened.document
    name = model_name(opened)
    url = f"{canonical}/StructureDefinition/{name}"
    written = written_fields(opened)
    title = document.title or opened.id
    elements = [_element(name, 0, "*", "", title)]
    if written is None:
        elements.append(_element(f"{name}.record", 1, "1", "BackboneElement", "The record, as it was read."))
    below = f"{name}.record" if written is None else name
    elements += _below(opened.checked.source.fields if written is None else written, below)
    return {
        "resourceType": "StructureDefinition", "id": name[:64], "url": url, "version": document.version, "name": name,
        "title": title, "status": document.status, "fhirVersion": "4.0.1", "kind": "logical", "abstract": False,
        "type": url, "baseDefinition": f"{_BASE}Element", "derivation": "specialization",
        "snapshot": {"element": elements},
        "differential": {"element": [{k: v for k, v in one.items() if k != "base"} for one in elements]},
    }  # fmt: skip


def _below(fields: Fields, path: str) -> Iterator[Json]:
    for name, one in fields.items.items():
        here = f"{path}.{name}"
        kind = "BackboneElement" if one.fields is not None else one.kind
        made = _element(here, 1 if one.required else 0, "*" if one.repeats else "1", kind, one.description or name)
        bounds = {"minValue": one.minimum, "maxValue": one.maximum} if kind in ("integer", "decimal") else {}
        for key, value in bounds.items():
            if value is not None:
                made[f"{key}{kind.capitalize()}"] = int(value) if kind == "integer" else value
        yield made | ({"maxLength": one.max_length} if one.max_length is not None and kind == "string" else {})
        if one.fields is not None:
            yield from _below(one.fields, here)


def _element(path: str, least: int, most: str, kind: str, says: str) -> Json:
    made = {"id": path, "path": path, "short": says, "definition": says, "min": least, "max": most,
            "base": {"path": path, "min": least, "max": most}}  # fmt: skip
    return {**made, "type": [{"code": kind}]} if kind else made
