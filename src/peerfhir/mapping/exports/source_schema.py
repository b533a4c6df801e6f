"""The source model of a mapping as a JSON Schema, for whoever sends the records."""

from __future__ import annotations

from typing import Any

from peerfhir.mapping.fields import Field, Fields
from peerfhir.mapping.shelf import Opened

Json = Any
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {
    "string": {"type": "string"}, "code": {"type": "string", "pattern": r"^\S+( \S+)*$"},
    "uri": {"type": "string", "format": "uri"}, "boolean": {"type": "boolean"}, "integer": {"type": "integer"},
    "decimal": {"type": "number"}, "date": {"type": "string"}, "dateTime": {"type": "string"},
    "instant": {"type": "string", "format": "date-time"}, "time": {"type": "string"},
}  # fmt: skip


def source_schema(opened: Opened, canonical: str) -> Json:
    """One record as the mapping declares it; keys of the record, not names of the mapping."""
    source = opened.checked.source
    if source.type:
        return {"$schema": DRAFT, "type": "object", "properties": {"resourceType": {"const": source.type}},
                "required": ["resourceType"]}  # fmt: skip
    head = {"$schema": DRAFT, "$id": f"{canonical}/schema/{opened.id}|{opened.document.version}"}
    return {**head, "title": opened.document.title or opened.id, **_object(source.fields, source.refuse)}


def _object(fields: Fields, closed: bool) -> dict[str, Json]:
    made: dict[str, Json] = {
        "type": "object",
        "properties": {one.key: _field(one, closed) for one in fields.items.values()},
    }
    required = [one.key for one in fields.items.values() if one.required]
    return made | ({"required": required} if required else {}) | ({"additionalProperties": False} if closed else {})


def _field(field: Field, closed: bool) -> dict[str, Json]:
    one = _object(field.fields, closed) if field.fields is not None else dict(_TYPES[field.kind])
    if field.codes is not None:
        one = {"enum": sorted(field.codes)}
    numbers = {"minimum": field.minimum, "maximum": field.maximum} if field.kind in ("integer", "decimal") else {}
    one |= {key: value for key, value in numbers.items() if value is not None}
    one |= {"maxLength": field.max_length} if field.max_length is not None else {}
    return {"type": "array", "items": one} if field.repeats and field.split is None else one
