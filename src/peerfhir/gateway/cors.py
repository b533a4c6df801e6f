"""What a page of another origin may do with the FHIR API from a browser, and what it may see of the answers."""

from __future__ import annotations

import re
from collections.abc import Collection

from flask import Request, Response

_EXPOSED = "ETag, Location, Last-Modified, Content-Location, Retry-After, X-Request-Id"
_HEADERS = (
    "Authorization, Content-Type, Accept, If-Match, If-None-Match, If-None-Exist, If-Modified-Since, Prefer, "
    "X-Request-Id, traceparent"
)
_NAMES = re.compile(r"[A-Za-z0-9\-]{1,40}(?:, ?[A-Za-z0-9\-]{1,40}){0,30}", re.ASCII)


def preflight(request: Request, origins: Collection[str], allow: str) -> Response:
    """The answer to OPTIONS, which asks for no token: a browser sends none with it.

    allow  the methods of this address
    """
    response = Response(status=204)
    del response.headers["Content-Type"]
    response.headers["Allow"] = allow
    if _is_allowed(request, origins):
        shared(response, request, origins)
        asked = request.headers.get("Access-Control-Request-Headers", "")
        response.headers["Access-Control-Allow-Methods"] = allow
        # clients have headers of their own, which are ignored here; refusing them would refuse the client
        response.headers["Access-Control-Allow-Headers"] = asked if _NAMES.fullmatch(asked) else _HEADERS
        response.headers["Access-Control-Max-Age"] = "600"
    return response


def shared(response: Response, request: Request, origins: Collection[str]) -> Response:
    """The response, readable for a page of an origin that is configured; no cookie ever counts here."""
    if origins:
        response.headers.add("Vary", "Origin")
        if _is_allowed(request, origins):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
    return response


def _is_allowed(request: Request, origins: Collection[str]) -> bool:
    origin = request.headers.get("Origin", "")
    return bool(origin) and ("*" in origins or origin in origins)
