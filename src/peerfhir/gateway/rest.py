"""Flask on one side, `fhir.rest` on the other; used by our API and by the practice hospital."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from flask import Blueprint, Request, Response, current_app, g, request
from werkzeug.exceptions import MethodNotAllowed

from peerfhir.errors import Fault
from peerfhir.fhir.rest import Call, Rest
from peerfhir.gateway import body, cors
from peerfhir.gateway.answer import fault_response, reply

_OF_STORED = re.compile(r"/[^/]+/\$(validate|everything)$")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def mount(
    blueprint_name: str,
    url_prefix: str,
    rest: Rest,
    authenticate: Callable[[], object],
    base: str | None = None,
    *,
    max_bytes: int = body.MAX_BYTES,
    large_bytes: int = body.LARGE_BYTES,
    origins: Collection[str] = (),
) -> Blueprint:
    """A blueprint that serves `rest` below `url_prefix`.

    authenticate  runs before any byte of a body is read, for every address but /metadata; raises Unauthenticated.
                  What it returns is in `flask.g.fhir_caller`, and `caller` of the Call
    base          of the API as the world knows it; without one, as the request was addressed
    large_bytes   for a transaction Bundle and the create of a DocumentReference
    origins       of the pages of others that may call from a browser; "*" for any
    """
    blueprint = Blueprint(blueprint_name, __name__, url_prefix=url_prefix)

    def serve(path: str = "") -> Response:
        if request.method == "OPTIONS":
            return cors.preflight(request, origins, rest.allow(path))
        try:
            below = path.strip("/")
            g.fhir_caller = None if below == "metadata" else authenticate()
            own_base = base or request.host_url.rstrip("/") + url_prefix
            call = _call(request, below, own_base, large_bytes if _is_large(below) else max_bytes)
        except Fault as fault:
            return cors.shared(fault_response(fault, request), request, origins)
        return cors.shared(reply(rest.answer(call)), request, origins)

    def other() -> Any:
        """A method that no route knows goes where the others go, and is told what the address takes."""
        if not isinstance(request.routing_exception, MethodNotAllowed):
            return None
        adapter = current_app.create_url_adapter(request)
        if adapter is None or not f"{request.path}/".startswith(f"{url_prefix}/"):
            return None
        endpoint, values = adapter.match(method="GET")
        return current_app.view_functions[endpoint](**values)

    blueprint.before_app_request(other)
    for rule in ("", "/", "/<path:path>"):
        blueprint.add_url_rule(rule, "serve", serve, methods=_METHODS, strict_slashes=False, merge_slashes=False)
    return blueprint


def _call(asked: Request, path: str, base: str, max_bytes: int) -> Call:
    content, raw = None, b""
    if asked.method == "POST" and path.endswith("_search"):
        content = body.read_form(asked) if body.is_form(asked) or asked.content_length else None
    elif asked.method == "PATCH":
        content, raw = body.read_patch(asked, max_bytes=max_bytes)
    elif asked.method == "POST" and _OF_STORED.search(path) and not asked.content_length:
        pass  # an operation on what is stored there, without parameters
    elif asked.method in ("POST", "PUT"):
        content, raw = body.read_json(asked, max_bytes=max_bytes)
    query = asked.query_string.decode("ascii", "replace")
    return Call(asked.method, path, query, headers_of(asked), content, base.rstrip("/"), raw, g.fhir_caller)


def headers_of(asked: Request) -> dict[str, str]:
    """The headers of a request, their names lower-cased; from the environment itself, which costs a third."""
    environ = asked.environ
    found = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").lower()] = environ[name]
    return found


def _is_large(path: str) -> bool:
    return path in ("", "DocumentReference")
