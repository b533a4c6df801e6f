"""Our token, revocation and introspection endpoints, and what SMART clients read about them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from flask import Blueprint, Request, Response, request

from peerfhir.access import assertions, clients, passwords, scopes, tokens
from peerfhir.access.clients import Credentials
from peerfhir.access.scopes import Scopes
from peerfhir.config import Settings
from peerfhir.errors import Fault, Unauthenticated
from peerfhir.fhir.writer import write
from peerfhir.gateway import body, door
from peerfhir.gateway.parts import parts
from peerfhir.records.database import reading, writing

_WRONG_CLIENT = "The client is unknown, or what it proves itself with is wrong."


class _Refused(Exception):
    """An answer of RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True)
class _Proven:
    """A client that has proven who it is; `jti` and `until` when it did so with an assertion."""

    credentials: Credentials
    jti: str | None = None
    until: datetime | None = None


def token_url(settings: Settings) -> str:
    """Where tokens are asked for, and the audience of every assertion."""
    return f"{settings.base_url}/oauth/token"


def create_authorize() -> Blueprint:
    """The blueprint of the OAuth endpoints and the two addresses of smart-configuration."""
    blueprint = Blueprint("authorize", __name__)
    blueprint.add_url_rule("/oauth/token", view_func=_token, methods=["POST"])
    blueprint.add_url_rule("/oauth/revoke", view_func=_revoke, methods=["POST"])
    blueprint.add_url_rule("/oauth/introspect", view_func=_introspect, methods=["POST"])
    for prefix in ("", "/fhir"):
        blueprint.add_url_rule(
            f"{prefix}/.well-known/smart-configuration",
            endpoint=f"smart{prefix.replace('/', '_')}",
            view_func=_smart_configuration,
            methods=["GET"],
        )
    blueprint.register_error_handler(_Refused, _say)
    return blueprint


def _smart_configuration() -> Response:
    settings = parts().settings
    return _json(
        {
            "token_endpoint": token_url(settings),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(assertions.ALGORITHMS),
            "grant_types_supported": ["client_credentials"],
            "revocation_endpoint": f"{settings.base_url}/oauth/revoke",
            "introspection_endpoint": f"{settings.base_url}/oauth/introspect",
            "scopes_supported": ["system/*.cruds", "system/*.rs", "system/*.read", "system/*.write"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": [
                "client-confidential-symmetric",
                "client-confidential-asymmetric",
                "permission-v1",
                "permission-v2",
            ],
        },
        cache="public, max-age=300",
    )


def _token() -> Response:
    form = _knock_and_read(request)
    if form.get("grant_type") != "client_credentials":
        raise _Refused("unsupported_grant_type", "Tokens are given for grant_type=client_credentials.")
    proven = _prove(request, form)
    may = _granted(proven.credentials, form.get("scope", ""))
    own = parts()
    seconds = own.settings.access_token_seconds
    with writing(own.engine) as connection:
        # one commit: the same assertion can never give two tokens, and a token never lacks its jti
        _use_once(connection, proven)
        key = tokens.issue(connection, own.clock, proven.credentials.id, proven.credentials.program_id, may, seconds)
    return _json({"access_token": key, "token_type": "Bearer", "expires_in": seconds, "scope": str(may)})


def _revoke() -> Response:
    form = _knock_and_read(request)
    proven = _prove(request, form)
    own = parts()
    with writing(own.engine) as connection:
        _use_once(connection, proven)
        tokens.revoke(connection, own.clock, form.get("token", ""), proven.credentials.id)
    return _json({})


def _introspect() -> Response:
    form = _knock_and_read(request)
    proven = _prove(request, form)
    own = parts()
    if proven.jti is not None:
        with writing(own.engine) as connection:
            _use_once(connection, proven)
    with reading(own.engine) as connection:
        held = tokens.verify(connection, own.clock, form.get("token", ""), {})
    # of another client's token nothing is said, not even that it lives
    if held is None or held.caller.client_id != proven.credentials.id:
        return _json({"active": False})
    return _json(
        {
            "active": True,
            "client_id": held.caller.client_id,
            "scope": str(held.caller.scopes),
            "exp": int(held.expires_at.timestamp()),
            "token_type": "Bearer",
        }
    )


def _knock_and_read(request: Request) -> dict[str, str]:
    """The form, each field once (RFC 6749, 3.2)."""
    door.check_entry(request)
    form = body.read_form(request)
    if any(len(values) > 1 for values in form.values()):
        raise _Refused("invalid_request", "A parameter was sent more than once.")
    return {name: values[0] for name, values in form.items()}


def _prove(request: Request, form: dict[str, str]) -> _Proven:
    """Authenticate the client in exactly one way (RFC 6749, 2.3)."""
    header = request.headers.get("Authorization")
    ways = [header is not None, "client_secret" in form, "client_assertion" in form]
    if sum(ways) > 1:
        raise _Refused("invalid_request", "A client proves itself in one way only.")
    if "client_assertion" in form or "client_assertion_type" in form:
        return _by_assertion(form)
    client_id, secret = _basic(header) if header is not None else (form.get("client_id"), form.get("client_secret"))
    if not client_id or not secret:
        raise _Refused("invalid_client", "Send the client id and secret, or a signed assertion.", 401)
    found = _credentials(client_id)
    # compared in any case, so that an unknown client takes as long
    if not passwords.matches(found.secret_hash if found else None, secret) or found is None:
        raise _Refused("invalid_client", _WRONG_CLIENT, 401)
    return _Proven(found)


def _by_assertion(form: dict[str, str]) -> _Proven:
    own = parts()
    if form.get("client_assertion_type") != assertions.TYPE:
        raise _Refused("invalid_client", f"client_assertion_type has to be {assertions.TYPE}.", 401)
    assertion = form.get("client_assertion", "")
    try:
        client_id = assertions.named_client(assertion)
        found = _credentials(client_id)
        if found is None or found.public_keys is None or form.get("client_id", client_id) != client_id:
            raise _Refused("invalid_client", _WRONG_CLIENT, 401)
        jti, until = assertions.check(assertion, client_id, found.public_keys, token_url(own.settings), own.clock)
    except Unauthenticated as fault:
        raise _Refused("invalid_client", str(fault), 401) from fault
    return _Proven(found, jti, until)


def _use_once(connection: Any, proven: _Proven) -> None:
    if proven.jti is None or proven.until is None:
        return
    try:
        assertions.use_once(connection, parts().clock, proven.credentials.id, proven.jti, proven.until)
    except Unauthenticated as fault:
        raise _Refused("invalid_client", str(fault), 401) from fault


def _granted(credentials: Credentials, asked: str) -> Scopes:
    given = scopes.parse(credentials.scopes)
    may = scopes.narrow(given, scopes.understood(asked)) if asked.strip() else given
    if not may:
        raise _Refused("invalid_scope", "None of the scopes that were asked for was given to this client.")
    return may


def _credentials(client_id: str) -> Credentials | None:
    with reading(parts().engine) as connection:
        return clients.credentials_of(connection, client_id)


def _basic(header: str) -> tuple[str, str]:
    """Client id and secret of HTTP Basic, each form-encoded before (RFC 6749, 2.3.1)."""
    kind, _, value = header.partition(" ")
    try:
        pair = base64.b64decode(value.strip(), validate=True).decode() if kind.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    client_id, _, secret = pair.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _say(refused: _Refused) -> Response:
    answer = _json({"error": refused.error, "error_description": refused.description}, status=refused.status)
    if refused.status == 401 and "Authorization" in request.headers:
        answer.headers["WWW-Authenticate"] = 'Basic realm="PeerFHIR"'
    return answer


def say_fault(fault: Fault) -> Response:
    """A fault of ours on an OAuth address, in OAuth's words."""
    error = "temporarily_unavailable" if fault.status >= 429 else "invalid_request"
    return _json({"error": error, "error_description": str(fault)}, status=fault.status)


def _json(value: Any, *, status: int = 200, cache: str = "no-store") -> Response:
    answer = Response(write(value), status=status, content_type="application/json")
    answer.headers["Cache-Control"] = cache
    return answer
