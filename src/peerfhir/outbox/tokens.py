"""Access tokens of an endpoint: client credentials, cached, renewed a minute before they end."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote_plus, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, RSAKey

from peerfhir.clock import Clock, new_id
from peerfhir.config import EndpointAuth
from peerfhir.errors import Fault
from peerfhir.fhir import reader
from peerfhir.outbox.answers import EhrAnswer
from peerfhir.outbox.retry import Failure

_RENEW_BEFORE_SECONDS = 60
_ASSERTION_SECONDS = 240  # less than the five minutes of SMART App Launch 2.2
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Ask = Callable[[str, str, str, Mapping[str, str]], EhrAnswer]  # (method, url, form, headers), under the guard


class NoToken(Exception):
    """The endpoint's token server gave us none; `failure` says whether asking again can help."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


class Tokens:
    """One token for all threads of a process."""

    def __init__(self, auth: EndpointAuth, clock: Clock, ask: Ask) -> None:
        self._auth = auth
        self._clock = clock
        self._ask = ask
        self._token: tuple[str, float] | None = None  # and until when, on the monotonic clock
        self._turn = threading.Lock()

    def bearer(self) -> str:
        """A token that is good for now. Raises NoToken."""
        with self._turn:  # one asks, the others wait for the same token
            if self._token is None or self._clock.monotonic() >= self._token[1]:
                self._token = self._asked()
            return self._token[0]

    def forget(self, token: str) -> None:
        """The endpoint refused it; a newer one that another thread has fetched meanwhile is kept."""
        with self._turn:
            if self._token is not None and self._token[0] == token:
                self._token = None

    def _asked(self) -> tuple[str, float]:
        auth = self._auth
        form = {"grant_type": "client_credentials"}
        if auth.scope:
            form["scope"] = auth.scope
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "PeerFHIR",
        }
        if auth.kind == "private-key-jwt":
            form |= {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": self._assertion()}
        else:
            headers["Authorization"] = _basic(auth.client_id or "", auth.secret or "")
        return self._token_of(self._ask("POST", auth.token_url or "", urlencode(form), headers))

    def _token_of(self, answer: EhrAnswer) -> tuple[str, float]:
        if answer.failure in (Failure.ADDRESS, Failure.CERTIFICATE):
            raise NoToken(answer.failure)
        if answer.status is not None and 400 <= answer.status < 500 and answer.status not in (408, 425, 429):
            raise NoToken(Failure.TOKEN_REFUSED)
        given = answer.json if answer.status == 200 and isinstance(answer.json, dict) else {}
        text, life = given.get("access_token"), given.get("expires_in")
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise NoToken(Failure.TOKEN)
        seconds = float(life) if isinstance(life, int) and not isinstance(life, bool) and life > 0 else 60.0
        # a very short token is used for half its life instead of never
        return text, self._clock.monotonic() + max(seconds - _RENEW_BEFORE_SECONDS, seconds / 2)

    def _assertion(self) -> str:
        """RS384 or ES384, a new jti, and the token URL as audience (SMART App Launch 2.2)."""
        key = _private_key(self._auth.key_file)
        header = {"alg": "RS384" if isinstance(key, RSAKey) else "ES384", "typ": "JWT"}
        if key.kid:
            header["kid"] = key.kid
        now = self._clock.now()
        claims = {
            "iss": self._auth.client_id,
            "sub": self._auth.client_id,
            "aud": self._auth.token_url,
            "jti": new_id(),
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=_ASSERTION_SECONDS)).timestamp()),
        }
        return jwt.encode(header, claims, key, algorithms=["RS384", "ES384"])


def _private_key(path: Path | None) -> Key:
    """A PEM file or a JWK, RSA or EC. Raises NoToken for anything else."""
    try:
        text = path.read_bytes() if path else b""
        if text.lstrip().startswith(b"{"):
            return JWKRegistry.import_key(reader.read(text))
        try:
            return RSAKey.import_key(text)
        except (JoseError, ValueError):
            return ECKey.import_key(text)
    except (OSError, JoseError, ValueError, Fault):
        raise NoToken(Failure.TOKEN_REFUSED) from None


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749, 2.3.1: both parts are form-encoded first."""
    return "Basic " + b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()
