"""A result or a fault -> one HTTP answer: OperationOutcome, status, ETag, headers."""

from __future__ import annotations

from flask import Request, Response

from peerfhir.errors import Fault, Unauthenticated
from peerfhir.fhir.rest import Reply, refusal


def reply(answer: Reply) -> Response:
    """A reply of `fhir.rest` as a response."""
    response = Response(answer.body, status=answer.status, headers=answer.headers)
    if "Content-Type" not in answer.headers:
        del response.headers["Content-Type"]  # Flask's own guess; an answer without a body has none
    return response


def fault_response(fault: Fault, request: Request) -> Response:
    """A fault as an OperationOutcome. The server ends the connection when a body was left unread."""
    response = reply(refusal(fault))
    if isinstance(fault, Unauthenticated):
        response.headers.setdefault("WWW-Authenticate", "Bearer")
    return response
