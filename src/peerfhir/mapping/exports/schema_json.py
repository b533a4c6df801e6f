"""JSON Schemas of the documents, for the completion and the checks of editors; `map check` knows more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from peerfhir.fhir import writer
from peerfhir.mapping.document import BUNDLES
from peerfhir.mapping.fields import PRIMITIVES
from peerfhir.mapping.source import ENCODINGS, FORMATS, UNKNOWN

Json = Any
KINDS = ("mapping", "overlay", "library", "instrument")
DRAFT = "http://json-schema.org/draft-07/schema#"  # what yaml-language-server reads
_SEMVER = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"
_ID = "^[a-z][a-z0-9-]{0,63}$"
_EXPRESSION = {"type": "string", "pattern": "^=", "description": "FHIRPath over the record"}


def text(kind: str) -> str:
    """The schema of one kind of document."""
    return writer.indented(schema(kind))


def written(mappings: Path) -> Iterator[Path]:
    """Write every schema into `.schema/`; the first line of a document names its own.

    # yaml-language-server: $schema=../.schema/mapping-1.json
    """
    folder = mappings / ".schema"
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        path = folder / f"{kind}-1.json"
        path.write_text(text(kind) + "\n", encoding="utf-8")
        yield path


def schema(kind: str) -> Json:
    """One schema as JSON.

    Source  docs/mapping-guide.md
    """
    made = {"mapping": _mapping, "overlay": _overlay, "library": _library, "instrument": _instrument}[kind]()
    return {"$schema": DRAFT, "title": f"PeerFHIR {kind}", **made, "definitions": _definitions()}


def _closed(properties: Mapping[str, Json], required: tuple[str, ...] = ()) -> dict[str, Json]:
    made: dict[str, Json] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return made | ({"required": list(required)} if required else {})


def _map_of(value: Json) -> dict[str, Json]:
    return {"type": "object", "additionalProperties": value}


def _ref(name: str) -> dict[str, Json]:
    return {"$ref": f"#/definitions/{name}"}


_TEXT = {"type": "string"}
_SCALAR = {"type": ["string", "number", "boolean"]}
_SIGN = {"type": "string", "minLength": 1, "maxLength": 1}
_BOUND = {"type": ["number", "string"]}
_DIRECTIVES = (
    "$each", "$let", "$if", "$keep", "$ref", "$rows", "$use", "$value", "$absent", "$number", "$literal", "$request",
    "$identity", "$questionnaire", "$answers", "$extract",
)  # fmt: skip
_KEYS = {"anyOf": [{"pattern": "^[^$]"}, {"enum": list(_DIRECTIVES)}]}


def _shared() -> dict[str, Json]:
    """The sections that mappings, overlays and libraries have in common."""
    return {
        "imports": {"type": "array", "items": {"type": "string", "pattern": "^[a-z][a-z0-9-]*@.+$"}},
        "systems": _map_of({"type": "string", "description": "an absolute URI"}),
        "profiles": _map_of({"type": "string", "description": "a canonical"}),
        "conceptMaps": _map_of(_ref("codeMap")),
        "bands": _map_of(_ref("bands")),
        "tables": _map_of(_ref("table")),
        "vars": _map_of(_EXPRESSION),
        "fragments": _map_of(
            _closed({"type": _TEXT, "params": _map_of(_TEXT), "body": _ref("node")}, ("type", "body"))
        ),
    }


def _mapping() -> dict[str, Json]:
    header = {
        "mapping": {"type": "string", "pattern": _ID},
        "version": {"type": "string", "pattern": _SEMVER},
        "language": {"const": 1},
        "title": _TEXT,
        "description": _TEXT,
        "status": {"enum": ["draft", "active", "retired"]},
        "fhirVersion": {"const": "4.0.1"},
        "direction": {"enum": ["to-fhir", "from-fhir"]},
    }
    body = {
        "source": _ref("source"),
        **_shared(),
        "bundle": {"enum": list(BUNDLES)},
        "resources": _map_of(_ref("resource")),
        "record": _closed({"fields": _ref("fields"), "values": _map_of(_ref("node"))}, ("fields", "values")),
        "reverse": {"type": "object"},
        "accept": {"type": "array", "items": _closed(
            {"code": {"type": "string", "pattern": "^PM[0-9]{3}$"}, "at": _TEXT, "because": _TEXT},
            ("code", "because"))},
    }  # fmt: skip
    made = [{"required": ["resources"]}, {"required": ["record"]}]
    return {**_closed({**header, **body}, ("mapping", "version", "fhirVersion", "source")), "oneOf": made}


def _overlay() -> dict[str, Json]:
    rule = _closed({
        "at": {"type": "string", "description": "resource.element[selector]"}, "set": {}, "add": {},
        "remove": {"const": True}, "replace-map": _TEXT, "because": _TEXT,
    }, ("at",))  # fmt: skip
    header = {
        "overlay": {"type": "string", "pattern": r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$"},
        "version": {"type": "string", "pattern": _SEMVER},
        "language": {"const": 1},
        "extends": {"type": "string", "pattern": "^[a-z][a-z0-9-]*@.+$"},
        "applies-to": _closed({"endpoint": _TEXT}, ("endpoint",)),
        "title": _TEXT,
        "description": _TEXT,
        "source": {"type": "object"},
        "bundle": {"enum": list(BUNDLES)},
        "rules": {"type": "array", "items": rule},
    }
    return _closed({**header, **_shared()}, ("overlay", "version", "extends", "applies-to"))


def _library() -> dict[str, Json]:
    header = {
        "library": {"type": "string", "pattern": _ID},
        "version": {"type": "string", "pattern": _SEMVER},
        "language": {"const": 1},
        "title": _TEXT,
        "description": _TEXT,
    }
    shared = {name: one for name, one in _shared().items() if name not in ("imports", "vars")}
    return _closed({**header, **shared}, ("library", "version"))


def _instrument() -> dict[str, Json]:
    """What scoring and licences need; the questionnaire itself is FHIR."""
    positive, days = {"type": "number", "exclusiveMinimum": 0}, ("baseline_days", "every_days", "window_days")
    properties = {
        "id": {"type": "string", "pattern": _ID}, "title": _TEXT, "version": _TEXT, "licence": {"type": "object"},
        "items": {"type": "object"}, "scoring": {"type": "object"},
        "change": _closed({"mcid": positive, "reliable": positive, "source": _TEXT}),
        "schedule": _closed({name: {"type": "integer", "minimum": 1} for name in days}, days),
        "source_urls": {"type": "array", "items": _TEXT}, "notes": _TEXT,
    }  # fmt: skip
    return _closed(properties, ("id", "title", "version", "licence", "scoring"))


def _code_maps() -> dict[str, Json]:
    """Code maps in their forms, bands and tables."""
    target = _closed(
        {"code": _TEXT, "system": _TEXT, "display": _TEXT, "equivalence": _TEXT, "comment": _TEXT}, ("code",)
    )
    inline = {**_map_of({"anyOf": [_SCALAR, target]}), "not": {"required": ["map"]}}
    whole = _closed({
        "map": {"anyOf": [_TEXT, _map_of({"anyOf": [_SCALAR, target]})]}, "system": _TEXT, "sourceSystem": _TEXT,
        "equivalence": _TEXT, "unmapped": {"anyOf": [{"enum": ["fail", "provided"]}, target]},
    }, ("map",))  # fmt: skip
    bounds = {**_map_of({"anyOf": [_SCALAR, target]}), "propertyNames": {"pattern": r"^-?[0-9]+(\.[0-9]+)?$"}}
    rows = {"type": "array", "items": {"type": "array"}}
    return {
        "codeMap": {"anyOf": [_TEXT, inline, whole]},
        "bands": {"anyOf": [bounds, _closed({"instrument": _TEXT, "score": _TEXT}, ("instrument",))]},
        "table": {"anyOf": [
            _closed({"columns": {"type": "array", "items": _TEXT}, "rows": rows}, ("columns", "rows")),
            _closed({"file": _TEXT}, ("file",))]},
    }  # fmt: skip


def _definitions() -> dict[str, Json]:
    primitive = {"type": "string", "enum": [one + end for one in PRIMITIVES for end in ("", "!")]}
    options = {
        "type": primitive, "from": _TEXT, "format": _TEXT, "offset": _TEXT, "timezone": _TEXT,
        "ambiguous": {"enum": ["error", "earlier", "later"]}, "true": {"type": "array"}, "false": {"type": "array"},
        "codes": {"anyOf": [{"type": "array"}, _TEXT]}, "split": _TEXT, "min": _BOUND, "max": _BOUND,
        "maxLength": {"type": "integer"}, "pattern": _TEXT, "decimalComma": {"type": "boolean"},
        "sensitive": {"anyOf": [{"const": True}, _TEXT]}, "unused": _TEXT, "example": {}, "description": _TEXT,
    }  # fmt: skip
    typed = {"required": ["type"], "properties": {"type": _TEXT}}  # told from an object by this one key
    structure = {**_map_of(_ref("field")), "not": typed}
    spelled = _closed({"fields": _ref("fields"), "from": _TEXT, "description": _TEXT}, ("fields",))
    listed = {"type": "array", "minItems": 1, "maxItems": 1, "items": _ref("field")}
    field = {"anyOf": [primitive, _closed(options, ("type",)), structure, spelled, listed]}
    source = {
        "format": {"enum": list(FORMATS)}, "record": _TEXT,
        "key": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}, "empty": {"type": "array"},
        "trim": {"type": "boolean"}, "encoding": {"enum": list(ENCODINGS)}, "delimiter": _SIGN, "quote": _SIGN,
        "header": {"type": "boolean"}, "unknown": {"enum": list(UNKNOWN)}, "fields": _ref("fields"), "type": _TEXT,
        "profile": _TEXT, "questionnaire": _TEXT,
    }  # fmt: skip
    return {
        "source": {**_closed(source, ("format",)), "allOf": [{"anyOf": [  # apart from the keys, which completion reads
            {"properties": {"format": {"const": "fhir"}}, "required": ["type"], "not": {"required": ["fields"]}},
            {"properties": {"format": {"not": {"const": "fhir"}}}, "required": ["fields"],
             "not": {"anyOf": [{"required": [key]} for key in ("type", "profile", "questionnaire")]}}]}]},
        "fields": _map_of(_ref("field")),
        "field": field,
        **_code_maps(),
        "node": {},
        "resource": {"type": "object", "propertyNames": _KEYS, "allOf": [{"anyOf": [
            {"required": ["resourceType"]}, {"required": ["$questionnaire"]}]}], "properties": {
            "resourceType": _TEXT, "profile": _TEXT, "$questionnaire": _TEXT, "$answers": {"type": "object"},
            "$extract": {"enum": ["observation", "scores", "none"]}, "$each": _TEXT, "$if": _TEXT, "$rows": _TEXT,
            "$let": _map_of(_TEXT), "$identity": {}, "$request": _closed({
                "method": {"enum": ["POST", "PUT"]}, "url": _TEXT, "ifNoneExist": _TEXT, "ifMatch": _TEXT,
                "ifNoneMatch": _TEXT, "ifModifiedSince": _TEXT}),
        }},
    }  # fmt: skip
