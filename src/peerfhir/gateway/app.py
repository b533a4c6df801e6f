"""The Flask app: blueprints, error handlers, headers."""

from __future__ import annotations

import re

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.exceptions import RequestEntityTooLarge as TooLarge

from peerfhir import errors
from peerfhir.clock import new_id
from peerfhir.errors import Fault, TooManyRequests, Unauthenticated
from peerfhir.gateway import door
from peerfhir.gateway.admin import create_admin
from peerfhir.gateway.answer import fault_response
from peerfhir.gateway.authorize import create_authorize, say_fault
from peerfhir.gateway.fhir import create_fhir
from peerfhir.gateway.openapi import create_description
from peerfhir.gateway.ops import create_ops
from peerfhir.gateway.parts import EXTENSION, Parts
from peerfhir.gateway.parts import parts as own
from peerfhir.gateway.refusals import fault_of
from peerfhir.logs import log
from peerfhir.pathway.refusals import Refusal

__all__ = ["Parts", "create_app"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = frozenset({"GET", "HEAD", "OPTIONS"})
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action 'self'; "
    "base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
_GUARDS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def create_app(parts: Parts) -> Flask:
    """The web app of the doors; the portal's pages come with `parts.pages`."""
    app = Flask("peerfhir", static_folder=None)
    app.extensions[EXTENSION] = parts
    app.extensions[door.EXTENSION] = door.keep(parts)
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(Fault, _on_fault)
    app.register_error_handler(Refusal, lambda refusal: _on_fault(fault_of(refusal)))
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(Exception, _on_surprise)
    app.register_blueprint(create_ops(parts))
    app.register_blueprint(create_authorize())
    app.register_blueprint(create_fhir(parts))
    app.register_blueprint(create_admin())
    app.register_blueprint(create_description(parts))
    if parts.pages is not None:
        app.register_blueprint(parts.pages(parts))
    return app


def _begin() -> None:
    asked = request.headers.get("X-Request-Id", "")
    # a name from outside goes into answers, rows and logs: letters and digits only, or one of ours
    g.execution_id = asked if _REQUEST_ID.fullmatch(asked) else new_id()
    door.check_headers(request)
    own().follow()


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = g.get("execution_id") or new_id()
    there = {name.lower() for name, _ in headers}  # looked at once: most answers have four headers, and need six more
    policy = _PAGE_POLICY if response.mimetype == "text/html" else _DATA_POLICY
    for name, value in (*_GUARDS, ("Content-Security-Policy", policy)):
        if name.lower() not in there:
            headers.add(name, value)
    if own().settings.base_url.startswith("https:"):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if response.status_code == 503:
        headers.setdefault("Retry-After", "1")
    if request.method not in _QUIET or response.status_code >= 400:
        # the rule, not the address: an address may hold what someone typed
        log().info(
            "answered",
            method=request.method,
            route=_route(),
            status=response.status_code,
            execution_id=headers["X-Request-Id"],
        )
    return response


def _on_fault(fault: Fault) -> Response:
    answer = say_fault(fault) if request.path.startswith("/oauth/") else fault_response(fault, request)
    if isinstance(fault, TooManyRequests):
        answer.headers["Retry-After"] = str(fault.seconds)
    if isinstance(fault, Unauthenticated):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="PeerFHIR"'
    return answer


def _on_http(error: HTTPException) -> Response:
    """What Flask itself refuses: an unknown address, a method that is not offered, a body over its limit."""
    if isinstance(error, MethodNotAllowed):
        answer = _on_fault(errors.MethodNotAllowed())
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return answer
    if isinstance(error, NotFound):
        return _on_fault(errors.NotFound())
    if isinstance(error, TooLarge):
        return _on_fault(errors.BodyTooLarge())
    return _on_fault(errors.BadRequest())


def _on_surprise(error: Exception) -> Response:
    """Our own mistake: the caller learns that, and nothing of what was in the request."""
    log().error("surprise", exc_info=error, route=_route(), execution_id=g.get("execution_id"))
    return _on_fault(Fault("Something went wrong here. The request id helps to find it."))


def _route() -> str:
    return request.url_rule.rule if request.url_rule is not None else "unknown"
