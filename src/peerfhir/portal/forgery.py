"""Forms that only we can have given out: a signed token bound to the login or the link, and the Origin."""

from __future__ import annotations

import hashlib
import secrets
from urllib.parse import urlsplit

from flask import Request
from itsdangerous import BadData, URLSafeSerializer

from peerfhir.errors import Forbidden

FIELD = "_token"
FORM = "application/x-www-form-urlencoded"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Forged(Forbidden):
    """The form does not come from a page that was made for this login."""

    code = "forged-form"


class Forgery:
    """Gives tokens out, and looks at what comes back.

    base_url  our own address: the only Origin a form may come from
    loopback  a service of this machine alone answers to each of its own names as well
    """

    def __init__(self, secret: str, base_url: str, *, loopback: bool = False) -> None:
        self._signer = URLSafeSerializer(secret, salt="peerfhir form")
        self._origin = _origin(base_url)
        self._loopback = loopback

    def token(self, bound_to: str) -> str:
        """A token for the forms of one login, link or visit; it lives as long as that does."""
        return self._signer.dumps([_digest(bound_to), secrets.token_urlsafe(6)])

    def check_origin(self, request: Request) -> None:
        """Raises Forged for a form of another site, or for what is no form at all; reads no body byte.

        Source  OWASP CSRF Prevention Cheat Sheet, "Using Standard Headers to Verify Origin"
        """
        if request.mimetype != FORM:
            raise Forged(place="Content-Type")
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Forged(place="Sec-Fetch-Site")
        came_from = request.headers.get("Origin") or request.headers.get("Referer")
        if came_from is not None and _origin(came_from) not in self._own(request):
            raise Forged(place="Origin")

    def check_token(self, token: str, bound_to: str) -> None:
        """Raises Forged for a token that is missing, changed, or of somebody else."""
        try:
            found = self._signer.loads(token)
        except BadData:
            raise Forged(place=FIELD) from None
        if not (isinstance(found, list) and found and secrets.compare_digest(str(found[0]), _digest(bound_to))):
            raise Forged(place=FIELD)

    def _own(self, request: Request) -> set[str]:
        asked = urlsplit(request.host_url)
        near = self._loopback and (f"[{asked.hostname}]" in _LOOPBACK or asked.hostname in _LOOPBACK)
        return {self._origin, _origin(request.host_url)} if near else {self._origin}


def _origin(url: str) -> str:
    """Scheme, host and port as an Origin header says them; empty for anything else, "null" included."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
