"""A system that calls the gateway: plain sockets, exact bytes, and a token from /oauth/token."""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from peerfhir.fhir.writer import write


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def issues(self) -> list[dict[str, Any]]:
        """The issues of the OperationOutcome that this must be."""
        assert self.json["resourceType"] == "OperationOutcome", self.body
        return list(self.json["issue"])


def exchange(
    site: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """One request on a connection of its own."""
    parts = urlsplit(site)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def ask_token(site: str, client_id: str, secret: str, scope: str | None = None, **form: str) -> Answer:
    """POST /oauth/token with client credentials by HTTP Basic."""
    fields = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {}) | form
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    return exchange(site, "POST", "/oauth/token", urlencode(fields).encode(), headers)


@dataclass
class Caller:
    """A client with a token."""

    site: str
    client_id: str
    secret: str
    scope: str | None = None
    _token: str = ""

    @property
    def token(self) -> str:
        if not self._token:
            answer = ask_token(self.site, self.client_id, self.secret, self.scope)
            assert answer.status == 200, answer.body
            self._token = answer.json["access_token"]
        return self._token

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request below the site. `body` is sent as it is when it is bytes, as FHIR JSON otherwise."""
        raw = body if body is None or isinstance(body, bytes) else write(body)
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if raw is not None:
            said.setdefault("Content-Type", "application/fhir+json")
        return exchange(self.site, method, path, raw, {"Authorization": f"Bearer {self.token}", **said})

    def get(self, path: str) -> Answer:
        return self.send("GET", path)
