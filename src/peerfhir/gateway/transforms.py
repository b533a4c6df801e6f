"""`$transform` and `$translate`: our mappings and code maps as operations of FHIR, on the one engine."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from io import BytesIO
from itertools import islice
from typing import Any

from flask import Blueprint, Response, g, request

from peerfhir.access import scopes
from peerfhir.access.callers import Caller
from peerfhir.errors import BadRequest, Fault, Forbidden, InvalidResource, MethodNotAllowed, NotFound
from peerfhir.fhir import preferences
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.preferences import FHIR_JSON
from peerfhir.fhir.reader import Json
from peerfhir.fhir.rest import Reply
from peerfhir.fhir.writer import write
from peerfhir.gateway import body, cors, door, translations
from peerfhir.gateway.answer import fault_response, reply
from peerfhir.gateway.asked import Asked
from peerfhir.gateway.parts import Parts
from peerfhir.gateway.rest import headers_of
from peerfhir.mapping.aside import Made, Refused
from peerfhir.mapping.inputs import outcomes, output
from peerfhir.mapping.run import RecordFailed
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.structure_map import structure_map

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_MEDIA = {
    "csv": frozenset({"text/csv"}),
    "json": frozenset({"application/json"}),
    "ndjson": frozenset({"application/x-ndjson", "application/ndjson"}),
    "form": frozenset({"application/x-www-form-urlencoded"}),
}
_DEFINED = "http://hl7.org/fhir/OperationDefinition"


def add(blueprint: Blueprint, own: Parts) -> Blueprint:
    """The routes of both operations, and reading one map, on the blueprint of /fhir."""
    served = _Served(own)
    for kind, name, view, methods in (
        ("StructureMap", "transform", served.transform, ("POST",)),
        ("ConceptMap", "translate", served.translate, ("GET", "HEAD", "POST")),
    ):
        serve = _guarded(own, kind, view, methods)
        blueprint.add_url_rule(f"/{kind}/${name}", name, serve, methods=_METHODS)
        blueprint.add_url_rule(f"/{kind}/<map_id>/${name}", f"{name}_one", serve, methods=_METHODS)
    for kind, read in (("StructureMap", served.structure_map), ("ConceptMap", served.concept_map)):
        blueprint.add_url_rule(f"/{kind}/<map_id>", kind, _guarded(own, kind, read, ("GET", "HEAD")), methods=_METHODS)
    return blueprint


def stated(statement: Json) -> Json:
    """A CapabilityStatement with what is served here."""
    more = [
        {"type": kind, "interaction": [{"code": "read"}],
         "operation": [{"name": name, "definition": f"{_DEFINED}/{kind}-{name}"}]}
        for kind, name in (("ConceptMap", "translate"), ("StructureMap", "transform"))
    ]  # fmt: skip
    rest, *others = statement["rest"]
    resources = sorted([*rest["resource"], *more], key=lambda one: str(one["type"]))
    return {**statement, "rest": [{**rest, "resource": resources}, *others]}


def _guarded(own: Parts, kind: str, view: Callable[[str], Json], methods: tuple[str, ...]) -> Callable[..., Response]:
    """Caller and scope before any byte of a body; every refusal is an OperationOutcome."""
    origins = own.settings.cors_origins
    allow = ", ".join([*methods, "OPTIONS"])

    def serve(map_id: str = "") -> Response:
        if request.method == "OPTIONS":
            return cors.preflight(request, origins, allow)
        try:
            caller = door.caller(request)
            g.fhir_caller = caller
            _check_scope(own, caller, kind)
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


def _check_scope(own: Parts, caller: Caller, kind: str) -> None:
    """Raises Forbidden, with its mark in the audit, unless the token may read maps of this kind."""
    if scopes.allows(caller.scopes, "read", kind):
        return
    with own.office.work(caller.actor(), execution_id=g.execution_id) as work:
        work.audit("deny", kind, None, "denied")
    raise Forbidden("The token has no scope for that.", advice=f"Ask for one that reads {kind}.")


def _query() -> str:
    return request.query_string.decode("ascii", "replace")


class _Served:
    """The mappings and code maps that were loaded, under the names that FHIR knows them by."""

    def __init__(self, own: Parts) -> None:
        self._own = own
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
        return self._mapped(opened, content)

    def structure_map(self, map_id: str) -> Json:
        """A mapping as a StructureMap, which says itself what of the mapping it cannot say."""
        opened = self._structure(map_id, "")
        made, gaps = structure_map(opened, self._canonical)
        told = {"description": "Without what a StructureMap cannot say:\n" + "\n".join(gaps)} if gaps else {}
        return {**made, "id": map_id, "url": f"{self._canonical}/StructureMap/{map_id}", **told}

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

    def _mapped(self, opened: Opened, content: dict[str, Any]) -> Json:
        now = self._own.clock.now()
        if content.get("resourceType") == "Binary" and opened.checked.source.type != "Binary":
            found = list(islice(outcomes(opened, BytesIO(_data(opened, content)), now), 2))
            if len(found) != 1:
                raise _unprocessed("one record is mapped at a time", opened)
            outcome = found[0]
            if isinstance(outcome, Refused):
                raise InvalidResource(
                    tuple(_finding(str(one).partition("\n")[0].replace(": error ", ": ")) for one in outcome.problems)
                )
            return _returned(outcome)
        if opened.checked.source.format not in ("fhir", "json", "ndjson"):
            raise _unprocessed("records of this mapping are sent in a Binary", opened)
        try:
            return _returned(Made("", opened.program.run(content, now=now), None))
        except RecordFailed as failed:
            findings = (
                _finding(f"{one.code}: " + (f"{one.address}: " if one.address else "") + one.what)
                for one in failed.problems
            )
            raise InvalidResource(tuple(findings)) from None

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


def _data(opened: Opened, binary: dict[str, Any]) -> bytes:
    """The bytes of a Binary. Raises BadRequest; InvalidResource when it is not of the mapping's format."""
    kind = str(binary.get("contentType", "")).partition(";")[0].strip().lower()
    if kind not in _MEDIA.get(opened.checked.source.format, frozenset()):
        raise _unprocessed("the contentType is not the format of this mapping's records", opened)
    try:
        return base64.b64decode(binary.get("data") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise BadRequest("The data are not base64.", place="Binary.data") from None


def _returned(made: Made) -> Json:
    """The one parameter of the answer: the resource itself; a record that is no resource lies in a Binary."""
    value = output(made.result)
    if isinstance(value, dict) and "resourceType" in value:
        return value
    data = base64.b64encode(write(value)).decode()
    return {"resourceType": "Binary", "contentType": "application/json", "data": data}


def _unprocessed(what: str, opened: Opened) -> InvalidResource:
    return InvalidResource((_finding(f"{what} (format {opened.checked.source.format})"),))


def _finding(text: str) -> Finding:
    return Finding("error", "processing", "", text)
