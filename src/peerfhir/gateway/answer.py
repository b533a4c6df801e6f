"""A result or a fault -> one HTTP answer: OperationOutcome, status, ETag, headers."""

from __future__ import annotations

from flask import Request, Response

from peerfhir.errors import Fault, LengthRequired, Unauthenticated
from peerfhir.fhir.rest import Reply, refusal


def reply(answer: Reply) -> Response:
    """A reply of `fhir.rest` as a response."""
    response = Response(answer.body, status=answer.status)
    del response.headers["Content-Type"]  # Flask's own guess; an answer without a body has none
    for name, value in answer.headers.items():
        response.headers[name] = value
    return response


def fault_response(fault: Fault, request: Request) -> Response:
    """A fault as an OperationOutcome; the connection ends where a body may have been left unread."""
    response = reply(refusal(fault))
    if isinstance(fault, Unauthenticated):
        response.headers.setdefault("WWW-Authenticate", "Bearer")
    length = request.environ.get("CONTENT_LENGTH")
    if fault.status in (401, 411, 413, 415) and (isinstance(fault, LengthRequired) or length not in (None, "", "0")):
        response.headers["Connection"] = "close"
    return response
