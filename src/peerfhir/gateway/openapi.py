"""`/openapi.json` and `/api-docs`: the JSON API described from the schemas that guard it."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

from flask import Blueprint, Response, render_template

from peerfhir.errors import Fault
from peerfhir.fhir.reader import Json
from peerfhir.fhir.writer import write
from peerfhir.gateway import told
from peerfhir.gateway.operations import CLIENT, OPERATIONS, OPERATOR, TAGS, Operation, Part
from peerfhir.gateway.parts import Parts

_CACHE = "public, max-age=300"
_ABOUT = (
    "What is not FHIR: messages, tokens and health. The FHIR API below /fhir describes itself at /fhir/metadata. "
    "Every answer carries X-Request-Id; a refusal says what is wrong and what to do, never a value of a record."
)
_NEEDS: dict[str, list[dict[str, list[str]]]] = {
    "": [],
    OPERATOR: [{"token": ["admin"]}],
    CLIENT: [{"client": []}, {}],  # or in the form
}


def create_description(own: Parts) -> Blueprint:
    """The blueprint of the document, and of the page that shows it."""
    blueprint = Blueprint(
        "openapi", __name__, template_folder="templates", static_folder="static", static_url_path="/api-docs/static"
    )

    @cache
    def kept() -> tuple[Json, bytes]:
        made = build(own.settings.base_url)
        return made, write(made)

    def document() -> Response:
        answer = Response(kept()[1], content_type="application/json")
        answer.headers["Cache-Control"] = _CACHE
        return answer

    def page() -> str:
        return render_template("api_docs.html", doc=kept()[0], fields=fields_of, base=own.settings.base_url)

    blueprint.add_url_rule("/openapi.json", "document", document, methods=["GET"])
    blueprint.add_url_rule("/api-docs", "page", page, methods=["GET"])
    return blueprint


def build(base_url: str) -> Json:
    """The OpenAPI 3.1 document of the service that the world knows at `base_url`."""
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin

    spec = APISpec(
        title="PeerFHIR",
        version=metadata.version("peerfhir"),
        openapi_version="3.1.0",
        info={"description": _ABOUT, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": base_url}],
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        plugins=[MarshmallowPlugin(schema_name_resolver=_name)],
    )
    spec.components.security_scheme("client", {"type": "http", "scheme": "basic", "description": "Id and secret."})
    flow = {"tokenUrl": f"{base_url}/oauth/token", "scopes": {"admin": "See and rerun messages."}}
    spec.components.security_scheme("token", {"type": "oauth2", "flows": {"clientCredentials": flow}})
    for one in OPERATIONS:
        spec.path(path=one.path, operations={one.method: _operation(one)})
    return spec.to_dict()


def fields_of(document: Json, schema: Json) -> list[Json]:
    """The fields of a schema as a page shows them, those of nested shapes after their list or object.

    Returns  dicts of name, type, says, example, required and null
    """
    found: list[Json] = []
    _walk(document, schema, "", found)
    return found


def _walk(document: Json, schema: Json, before: str, found: list[Json]) -> None:
    schema = _resolved(document, schema)
    for name, one in schema.get("properties", {}).items():
        inner = _resolved(document, one)
        kinds = [kind for kind in _listed(inner.get("type")) if kind != "null"]
        says = [inner.get("description", ""), _choice(inner)]
        found.append(
            {
                "name": before + name,
                "type": " or ".join(kinds) or "any",
                "says": " ".join(each for each in says if each),
                "example": next(iter(inner.get("examples", [])), None),
                "required": name in schema.get("required", ()),
                "null": "null" in _listed(inner.get("type")),
            }
        )
        if "items" in inner:
            _walk(document, inner["items"], f"{before}{name}[].", found)
        else:
            _walk(document, inner, f"{before}{name}.", found)


def _resolved(document: Json, schema: Json) -> Json:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return {**document["components"]["schemas"][name], **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _choice(schema: Json) -> str:
    words = [str(each) for each in schema.get("enum", ()) if each is not None]
    return f"One of: {', '.join(words)}." if words else ""


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return str(kind.__name__)


def _operation(one: Operation) -> Json:
    said: Json = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "security": _NEEDS[one.needs],
        "responses": {"200": _answer(one)} | _refusals(one),
    }
    if one.says:
        said["description"] = one.says
    parameters: list[Json] = [_part(name, part) for name, part in one.parts.items()]
    if one.query is not None:
        parameters.append({"in": "query", "schema": one.query})
    if parameters:
        said["parameters"] = parameters
    if one.form is not None:
        said["requestBody"] = {
            "required": True,
            "content": {"application/x-www-form-urlencoded": {"schema": one.form}},
        }
    if one.body is not None:
        said["requestBody"] = {"required": True, "content": {"application/json": {"schema": one.body}}}
    return said


def _part(name: str, part: Part) -> Json:
    number = isinstance(part.example, int)
    schema: Json = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1} if number else {"type": "string"}
    if part.pattern:
        schema |= {"pattern": part.pattern, "minLength": 1, "maxLength": part.longest}
    return {
        "in": "path", "name": name, "required": True, "description": part.says, "schema": schema,
        "example": part.example,
    }  # fmt: skip


def _answer(one: Operation) -> Json:
    content: Json = {} if one.answer is None else {"schema": one.answer}
    says = " ".join((one.answer.__doc__ or "").split()) if one.answer else one.summary + "."
    return {"description": says, "content": {one.media: content}}


def _refusals(one: Operation) -> Json:
    """Status -> response; the sentence is the fault's own."""
    oauth = one.path.startswith("/oauth/")
    shape, media = (told.OAuthError, "application/json") if oauth else (told.Outcome, "application/fhir+json")
    made = {str(fault.status): _refused(fault, shape, media) for fault in one.refuses}
    if one.unready is not None:
        made["503"] = {"description": "Not ready.", "content": {"application/json": {"schema": one.unready}}}
    return dict(sorted(made.items()))


def _refused(fault: type[Fault], shape: Any, media: str) -> Json:
    says = "Something went wrong here." if fault is Fault else " ".join((fault.__doc__ or "").split())
    return {"description": says, "content": {media: {"schema": shape}}}
