"""`$transform` and `$translate`: our mappings and code maps as operations of FHIR, on the one engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request

from peerfhir.access import scopes
from peerfhir.access.callers import Caller
from peerfhir.errors import BadRequest, Fault, Forbidden, MethodNotAllowed, NotFound
from peerfhir.fhir import preferences
from peerfhir.fhir.preferences import FHIR_JSON
from peerfhir.fhir.reader import Json
from peerfhir.fhir.rest import Reply
from peerfhir.fhir.writer import write
from peerfhir.gateway import body, cors, door, extraction, map_search, translations
from peerfhir.gateway.answer import fault_response, reply
from peerfhir.gateway.asked import Asked
from peerfhir.gateway.mapped import mapped
from peerfhir.gateway.parts import Parts
from peerfhir.gateway.rest import headers_of
from peerfhir.mapping.exports import logical_model
from peerfhir.mapping.exports.structure_map import structure_map
from peerfhir.mapping.shelf import Opened

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_DEFINED = "http://hl7.org/fhir/OperationDefinition"
Stored = Callable[[str, str], Json]


def add(blueprint: Blueprint, own: Parts, stored: Stored) -> Blueprint:
    """The routes of the operations, and reading and searching maps, on the blueprint of /fhir.

    stored  gives a resource that the caller of this request may read; raises NotFound, Gone, Forbidden
    """
    served = _Served(own, stored)
    for kind, name, view, methods in (
        ("StructureMap", "transform", served.transform, ("POST",)),
        ("ConceptMap", "translate", served.translate, ("GET", "HEAD", "POST")),
        (extraction.KIND, "extract", served.extract, ("GET", "HEAD", "POST")),
    ):
        serve = _guarded(own, kind, view, methods)
        blueprint.add_url_rule(f"/{kind}/${name}", name, serve, methods=_METHODS)
        blueprint.add_url_rule(f"/{kind}/<map_id>/${name}", f"{name}_one", serve, methods=_METHODS)
    for kind, read in (("StructureMap", served.structure_map), ("ConceptMap", served.concept_map)):
        blueprint.add_url_rule(f"/{kind}/<map_id>", kind, _guarded(own, kind, read, ("GET", "HEAD")), methods=_METHODS)
        search = _guarded(own, kind, partial(served.search, kind), ("GET", "HEAD"), "search-type")
        blueprint.add_url_rule(f"/{kind}", f"{kind}_search", search, methods=_METHODS)
        asked = _guarded(own, kind, partial(served.asked, kind), ("POST",), "search-type")
        blueprint.add_url_rule(f"/{kind}/_search", f"{kind}_asked", asked, methods=_METHODS)
    return blueprint


def stated(statement: Json) -> Json:
    """A CapabilityStatement with what is served here."""
    more = [
        {"type": kind, "interaction": [{"code": "read"}, {"code": "search-type"}], "searchParam": map_search.stated(),
         "operation": [{"name": name, "definition": f"{_DEFINED}/{kind}-{name}"}]}
        for kind, name in (("ConceptMap", "translate"), ("StructureMap", "transform"))
    ]  # fmt: skip
    rest, *others = statement["rest"]
    own = [_extracting(one) if one["type"] == extraction.KIND else one for one in rest["resource"]]
    resources = sorted([*own, *more], key=lambda one: str(one["type"]))
    return {**statement, "rest": [{**rest, "resource": resources}, *others]}


def _extracting(stated: Json) -> Json:
    operation = {"name": "extract", "definition": extraction.DEFINED}
    return {**stated, "operation": [*stated.get("operation", []), operation]}


def _guarded(
    own: Parts, kind: str, view: Callable[[str], Json], methods: tuple[str, ...], interaction: str = "read"
) -> Callable[..., Response]:
    """Caller and scope before any byte of a body; every refusal is an OperationOutcome."""
    origins = own.settings.cors_origins
    allow = ", ".join([*methods, "OPTIONS"])

    def serve(map_id: str = "") -> Response:
        if request.method == "OPTIONS":
            return cors.preflight(request, origins, allow)
        try:
            caller = door.caller(request)
            g.fhir_caller = caller
            _check_scope(own, caller, kind, interaction)
            preferences.check_acceptable(headers_of(request), _query())
            if request.method not in methods:
                refused = fault_response(MethodNotAllowed(), request)
                refused.headers["Allow"] = allow
                return cors.shared(refused, request, origins)
            answer = reply(Reply(200, {"Content-Type": FHIR_JSON}, write(view(map_id))))
        except Fault as fault:
            answer = fault_response(fault, request)
        return cors.shared(answer, request, origins)

    return serve


def _check_scope(own: Parts, caller: Caller, kind: str, interaction: str) -> None:
    """Raises Forbidden, with its mark in the audit, unless the token may read maps of this kind."""
    if scopes.allows(caller.scopes, interaction, kind):
        return
    with own.office.work(caller.actor(), execution_id=g.execution_id) as work:
        work.audit("deny", kind, None, "denied")
    raise Forbidden("The token has no scope for that.", advice=f"Ask for one that reads {kind}.")


def _query() -> str:
    return request.query_string.decode("ascii", "replace")


class _Served:
    """The mappings and code maps that were loaded, under the names that FHIR knows them by."""

    def __init__(self, own: Parts, stored: Stored) -> None:
        self._own = own
        self._stored = stored
        self._canonical = own.settings.canonical
        self._base = f"{own.settings.base_url}/fhir"

    # -- StructureMap

    def transform(self, map_id: str) -> Json:
        """The content, mapped. Source: R4, StructureMap-operation-transform."""
        sent, _ = body.read_json(request)
        asked = Asked(("source", "content"), ("input",)).query(_query())
        content = sent
        if isinstance(sent, dict) and sent.get("resourceType") == "Parameters":
            content = asked.parameters(sent).object("content")
        opened = self._structure(map_id, asked.text("source"))
        if not isinstance(content, dict):
            raise BadRequest("What is to be mapped is not there.", place="Parameters.parameter")
        return mapped(opened, content, self._own.clock.now())

    def structure_map(self, map_id: str) -> Json:
        """A mapping as a StructureMap, which says itself what of the mapping it cannot say."""
        opened = self._structure(map_id, "")
        made, gaps = structure_map(opened, self._canonical)
        if gaps:
            made["description"] = "\n".join(["Without what a StructureMap cannot say:", *gaps])
        return made

    def search(self, kind: str, map_id: str) -> Json:
        """The maps of a kind that fit a query. Source: R4, http.html, search."""
        return map_search.searchset(kind, self._rows(kind), _query(), self._base)

    def asked(self, kind: str, map_id: str) -> Json:
        """The same, by a form."""
        form = body.read_form(request) if body.is_form(request) or request.content_length else {}
        sent = urlencode([(name, value) for name, values in form.items() for value in values])
        return map_search.searchset(kind, self._rows(kind), "&".join(filter(None, (_query(), sent))), self._base)

    def _rows(self, kind: str) -> list[map_search.Row]:
        known = self._own.mappings
        if kind == "ConceptMap":
            found = [
                map_search.Row(one.id, one.url, one.version, one.name, one.status, one.resource)
                for one in translations.every(known, self._canonical)
            ]
            return sorted(found, key=lambda row: row.id)
        found = []
        for one in map(translations.of_loaded, known.now.active()):
            own, document = logical_model.map_id(one), one.document
            url, name = f"{self._canonical}/StructureMap/{own}", logical_model.model_name(one)
            make = partial(self.structure_map, own)
            found.append(map_search.Row(own, url, document.version, name, document.status, make))
        return sorted(found, key=lambda row: row.id)

    # -- QuestionnaireResponse

    def extract(self, response_id: str) -> Json:
        """The Observations of a response, sent or stored. Source: SDC, QuestionnaireResponse-extract."""
        forms = extraction.forms_of(self._own.mappings)
        asked = Asked(("questionnaire-response",), ("questionnaire",)).query(_query())
        sent = body.read_json(request)[0] if request.method == "POST" and request.content_length else None
        if isinstance(sent, dict) and sent.get("resourceType") == "Parameters":
            sent = asked.parameters(sent).object("questionnaire-response")
        if response_id:
            if sent is not None:
                raise BadRequest("The address and the body name two responses.")
            return extraction.extracted(self._stored(extraction.KIND, response_id), forms)
        return extraction.extracted(sent, forms)

    def _structure(self, map_id: str, source: str) -> Opened:
        """A mapping by its id, `<id>` or `<id>.<overlay>`, or by a canonical. Raises NotFound, BadRequest."""
        wanted, version = map_id, ""
        if source:
            canonical, _, version = source.partition("|")
            name = translations.id_of(canonical, "StructureMap", (self._canonical, self._base))
            if map_id and name != map_id:
                raise BadRequest("The address and the source name two maps.", place="source")
            wanted = name
        elif not map_id:
            raise BadRequest("Say which map: source is the canonical of a StructureMap.", place="source")
        found = translations.opened(self._own.mappings, wanted)
        if found is None or (version and found.document.version != version):
            raise NotFound("There is no such StructureMap here.")
        return found

    # -- ConceptMap

    def translate(self, map_id: str) -> Json:
        """What a code becomes. Source: R4, ConceptMap-operation-translate."""
        asked = translations.asked().query(_query())
        if request.method == "POST":
            sent, _ = body.read_json(request)
            if not isinstance(sent, dict) or sent.get("resourceType") != "Parameters":
                raise BadRequest("A Parameters resource is expected.")
            asked.parameters(sent)
        found = translations.find(self._own.mappings, map_id, asked, (self._canonical, self._base))
        return found.translated(asked)

    def concept_map(self, map_id: str) -> Json:
        """A code map as a ConceptMap."""
        return translations.by_id(self._own.mappings, map_id, self._canonical).resource()
