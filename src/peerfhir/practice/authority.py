"""The hospital's token endpoint: client credentials for its one partner, the peer program's gateway."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from peerfhir.errors import Unauthenticated

TOKEN_SECONDS = 300


@dataclass
class Authority:
    """Tokens in memory: a hospital that was switched off has forgotten them, as real ones do.

    partner  the one client and its secret
    now      seconds that never step back
    """

    partner: tuple[str, str]
    now: Callable[[], float]
    _tokens: dict[str, float] = field(default_factory=dict)

    def issue(self, authorization: str, form: Mapping[str, list[str]]) -> dict[str, object]:
        """A token for the partner, by HTTP Basic or by form fields (RFC 6749, 2.3.1). Raises Unauthenticated."""
        client, secret = _basic(authorization) or (form.get("client_id", [""])[0], form.get("client_secret", [""])[0])
        known = hmac.compare_digest(client.encode(), self.partner[0].encode())
        if not (known & hmac.compare_digest(secret.encode(), self.partner[1].encode())):
            raise Unauthenticated("unknown client")
        if form.get("grant_type") != ["client_credentials"]:
            raise Unauthenticated("only client_credentials is offered")
        token = secrets.token_urlsafe(32)
        self._tokens = {old: until for old, until in self._tokens.items() if until > self.now()}
        self._tokens[token] = self.now() + TOKEN_SECONDS
        return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "scope": "system/*.cruds"}

    def check(self, authorization: str) -> str:
        """The partner's name for a live token. Raises Unauthenticated."""
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or self._tokens.get(token, 0.0) <= self.now():
            raise Unauthenticated
        return self.partner[0]


def _basic(authorization: str) -> tuple[str, str] | None:
    kind, _, text = authorization.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(text, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return client, secret
