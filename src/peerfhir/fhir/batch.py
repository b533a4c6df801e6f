"""A batch Bundle: each entry a call of its own, answered where it stood; what one does is nothing to the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from peerfhir.errors import BadRequest, Fault, InvalidResource
from peerfhir.fhir.bundle import WITHOUT_RESOURCE, patch_in
from peerfhir.fhir.calls import Call, Reply
from peerfhir.fhir.issues import Finding, outcome_of
from peerfhir.fhir.preferences import of
from peerfhir.fhir.reader import Json
from peerfhir.fhir.writer import Raw, write

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_HEADERS = {"ifNoneMatch": "if-none-match", "ifMatch": "if-match", "ifNoneExist": "if-none-exist"}


def shell(body: Json) -> Json:
    """The Bundle without the resources: what has to be valid before any entry is looked at."""
    entries = body.get("entry")
    if not isinstance(entries, list):
        return body
    bare = [{k: v for k, v in one.items() if k != "resource"} if isinstance(one, dict) else one for one in entries]
    return {**body, "entry": bare}


def run(body: Json, call: Call, answer: Callable[[Call], Reply]) -> Json:
    """The Bundle to answer with. Never raises for an entry: its fault stands in its place."""
    answers = [_answer(raw, call, answer) for raw in body.get("entry", [])]
    response: dict[str, Any] = {"resourceType": "Bundle", "type": "batch-response"}
    return {**response, "entry": answers} if answers else response


def _answer(raw: Json, call: Call, answer: Callable[[Call], Reply]) -> Json:
    try:
        asked = _call(raw, call)
        reply = answer(asked)
    except Fault as fault:
        return {"response": {"status": _phrase(fault.status), "outcome": outcome_of(fault)}}
    response: dict[str, Any] = {"status": _phrase(reply.status)}
    if "Location" in reply.headers:
        response["location"] = reply.headers["Location"].removeprefix(f"{call.base}/")
    if "ETag" in reply.headers:
        response["etag"] = reply.headers["ETag"]
    if "Last-Modified" in reply.headers:
        response["lastModified"] = parsedate_to_datetime(reply.headers["Last-Modified"]).strftime("%Y-%m-%dT%H:%M:%SZ")
    if reply.status >= 400:
        return {"response": {**response, "outcome": Raw(reply.body)}}
    whole = reply.body and asked.method != "HEAD"
    return {"resource": Raw(reply.body), "response": response} if whole else {"response": response}


def _call(raw: Json, call: Call) -> Call:
    """One entry as a call. Raises BadRequest, InvalidResource."""
    request = raw.get("request") if isinstance(raw, dict) else None
    if not isinstance(request, dict):
        raise BadRequest("Each entry of a batch has a request (bdl-3).")
    method, resource = request.get("method"), raw.get("resource")
    path, _, query = str(request.get("url", "")).removeprefix(f"{call.base}/").lstrip("/").partition("?")
    if method not in _METHODS or not path or path.endswith("_search") or "://" in path:
        raise BadRequest("This request cannot be an entry of a batch.")
    if method in WITHOUT_RESOURCE and resource is not None:
        raise BadRequest(f"A {method} brings no resource: it would be lost.")
    if method == "PATCH":
        resource = patch_in(resource, "resource")
        if isinstance(resource, Finding):
            raise InvalidResource((resource,))
    headers = {name: value for name, value in call.headers.items() if name not in _HEADERS.values()}
    headers |= {name: str(request[key]) for key, name in _HEADERS.items() if key in request}
    if method != "GET" and not of(call.headers).returns:
        headers["prefer"] = "return=minimal"
    return replace(call, method=method, path=path, query=query, headers=headers, body=resource, raw=write(resource))


def _phrase(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
