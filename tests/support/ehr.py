"""A hospital's FHIR server written apart from ours, with its own store, its own count and faults on purpose.

It shares no code with the product, so that a fault in our engine cannot excuse a fault in our outbox.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CONDITIONAL, SEARCH_ONLY, NEITHER = "conditional", "search_only", "neither"
PERSONALITIES = (CONDITIONAL, SEARCH_ONLY, NEITHER)
TYPES = (
    "Task", "Encounter", "DocumentReference", "Procedure", "Observation", "QuestionnaireResponse", "Communication",
)  # fmt: skip


@dataclass(frozen=True)
class Faults:
    """How often a write goes wrong, as probabilities, and how long an answer takes, in seconds."""

    before: float = 0.0  # 5xx, nothing written
    dropped: float = 0.0  # written, then the connection is dropped
    after: float = 0.0  # written, then 503
    latency: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Said:
    """One request as it arrived."""

    method: str
    path: str  # with the query
    headers: Mapping[str, str]  # lower-cased names
    body: bytes
    at: float  # monotonic


Script = Callable[["Said"], "tuple[int, dict[str, str], bytes] | None"]


@dataclass
class FakeEhr:
    """Start it with `with FakeEhr() as ehr:`; its address is `ehr.url`."""

    personality: str = CONDITIONAL
    faults: Faults = Faults()
    seed: int = 1
    script: Script | None = None  # an answer of the test's own; None from it: as usual
    body_in_answers: bool = False  # False: only Location, as the large vendors do
    tokens: bool = False  # asks for a bearer token from its own /token
    refused_types: frozenset[str] = frozenset()
    said: list[Said] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._turn = threading.RLock()
        self._chance = random.Random(self.seed)
        self._resources: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._next = 0
        self._good_tokens: set[str] = set()
        self.token_requests: list[Said] = []
        self.token_seconds = 300
        self.down = False
        self._server: _Server | None = None

    def __enter__(self) -> FakeEhr:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *why: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}/fhir"

    @property
    def token_url(self) -> str:
        return self.url.removesuffix("/fhir") + "/token"

    # its own store and count

    def put_in(self, resource: dict[str, Any]) -> str:
        """Something that is there before anyone asks; returns "Type/id"."""
        with self._turn:
            kind = resource["resourceType"]
            identity = resource.get("id") or self._new_id()
            self._resources[kind, identity] = [self._stamped({**resource, "id": identity}, 1)]
            return f"{kind}/{identity}"

    def latest(self, kind: str, identity: str) -> dict[str, Any]:
        with self._turn:
            return self._resources[kind, identity][-1]

    def all_of(self, kind: str) -> list[dict[str, Any]]:
        with self._turn:
            return [versions[-1] for (one, _), versions in self._resources.items() if one == kind]

    def versions_of(self, kind: str, identity: str) -> list[dict[str, Any]]:
        with self._turn:
            return list(self._resources[kind, identity])

    def arrived(self) -> Counter[str]:
        """How many resources there are for each identifier value."""
        with self._turn:
            return Counter(value for versions in self._resources.values() for _, value in _identifiers(versions[-1]))

    def writes(self) -> list[Said]:
        with self._turn:
            return [one for one in self.said if one.method in ("POST", "PUT")]

    def revoke_tokens(self) -> None:
        with self._turn:
            self._good_tokens.clear()

    # answering

    def answer(self, said: Said) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers, body; None drops the connection without a word."""
        path = urlsplit(said.path).path
        if path == "/token":
            return self._token(said)
        with self._turn:
            self.said.append(said)
        scripted = self.script(said) if self.script else None
        if scripted is not None:
            return scripted
        if self.down:
            return None
        rest = path.removeprefix("/fhir").strip("/")
        if said.method == "GET" and rest == "metadata":
            return _json(200, self.statement())
        if self.tokens and not self._is_let_in(said):
            return _json(401, _outcome("login"))
        return self._resource(said, [unquote(part) for part in rest.split("/")])

    def _resource(self, said: Said, parts: list[str]) -> tuple[int, dict[str, str], bytes] | None:
        with self._turn:
            low, high = self.faults.latency
            wait, luck = self._chance.uniform(low, high), self._chance.random()
        if wait:
            time.sleep(wait)
        if said.method == "GET":
            return self._read(parts) if len(parts) == 2 else self._search(said, parts[0])
        faults = self.faults
        if luck < faults.before:
            return _json(500 if luck < faults.before / 2 else 503, _outcome("transient"))
        with self._turn:
            answer = self._create(said, parts[0]) if said.method == "POST" else self._update(said, parts)
        if luck < faults.before + faults.dropped:
            return None
        if luck < faults.before + faults.dropped + faults.after:
            return _json(503, _outcome("transient"))
        return answer

    def _create(self, said: Said, kind: str) -> tuple[int, dict[str, str], bytes]:
        if kind in self.refused_types:
            return _json(405, _outcome("not-supported"))
        resource = json.loads(said.body)
        if resource.get("resourceType") != kind:
            return _json(422, _outcome("invalid"))
        condition = said.headers.get("if-none-exist")
        if condition is not None and self.personality == CONDITIONAL:
            found = self._having(kind, parse_qs(condition)["identifier"][0])
            if len(found) > 1:
                return _json(412, _outcome("multiple-matches"))
            if found:
                return self._shown(200, found[0])
        identity = self._new_id()
        made = self._stamped({**resource, "id": identity}, 1)
        self._resources[kind, identity] = [made]
        return self._shown(201, made)

    def _update(self, said: Said, parts: list[str]) -> tuple[int, dict[str, str], bytes]:
        kind, identity = parts
        versions = self._resources.get((kind, identity))
        if versions is None:
            return _json(404, _outcome("not-found"))
        wanted = said.headers.get("if-match")
        if wanted is not None and wanted != f'W/"{len(versions)}"':
            return _json(412, _outcome("conflict"))
        made = self._stamped({**json.loads(said.body), "id": identity}, len(versions) + 1)
        versions.append(made)
        return self._shown(200, made)

    def _read(self, parts: list[str]) -> tuple[int, dict[str, str], bytes]:
        with self._turn:
            versions = self._resources.get((parts[0], parts[1]))
            if versions is None:
                return _json(404, _outcome("not-found"))
            return _json(200, versions[-1], {"ETag": f'W/"{len(versions)}"'})

    def _search(self, said: Said, kind: str) -> tuple[int, dict[str, str], bytes]:
        if self.personality == NEITHER:
            return _json(400, _outcome("not-supported"))
        wanted = parse_qs(urlsplit(said.path).query).get("identifier", [""])[0]
        with self._turn:
            found = self._having(kind, wanted)
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        if found:  # no total, and no entry when there is none: as seen in the field
            bundle["entry"] = [{"resource": one} for one in found]
        return _json(200, bundle)

    def _having(self, kind: str, identifier: str) -> list[dict[str, Any]]:
        system, _, value = identifier.rpartition("|")
        return [
            versions[-1]
            for (one, _), versions in self._resources.items()
            if one == kind and (system, value) in _identifiers(versions[-1])
        ]

    def _shown(self, status: int, resource: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        version = resource["meta"]["versionId"]
        headers = {
            "Location": f"{self.url}/{resource['resourceType']}/{resource['id']}/_history/{version}",
            "ETag": f'W/"{version}"',
        }
        return _json(status, resource, headers) if self.body_in_answers else (status, headers, b"")

    def _new_id(self) -> str:
        self._next += 1
        return f"h{self._next}"

    def _stamped(self, resource: dict[str, Any], version: int) -> dict[str, Any]:
        return {**resource, "meta": {**resource.get("meta", {}), "versionId": str(version)}}

    def statement(self) -> dict[str, Any]:
        """Its CapabilityStatement."""
        interactions = [{"code": code} for code in ("create", "update", "read", "search-type")]
        resources = []
        for kind in TYPES:
            entry: dict[str, Any] = {"type": kind, "interaction": interactions}
            if self.personality == CONDITIONAL:
                entry["conditionalCreate"] = True
            if self.personality != NEITHER:
                entry["searchParam"] = [{"name": "identifier", "type": "token"}]
            resources.append(entry)
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-01-01",
            "kind": "instance",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "software": {"name": "fake"},
            "rest": [{"mode": "server", "resource": resources}],
        }

    def _token(self, said: Said) -> tuple[int, dict[str, str], bytes]:
        with self._turn:
            self.token_requests.append(said)
            scripted = self.script(said) if self.script else None
            if scripted is not None:
                return scripted
            token = f"token-{len(self.token_requests)}"
            self._good_tokens.add(token)
        return _json(200, {"access_token": token, "token_type": "bearer", "expires_in": self.token_seconds})

    def _is_let_in(self, said: Said) -> bool:
        scheme, _, token = said.headers.get("authorization", "").partition(" ")
        with self._turn:
            return scheme == "Bearer" and token in self._good_tokens


def _identifiers(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = resource.get("identifier", [])
    return [(one.get("system", ""), one.get("value", "")) for one in (found if isinstance(found, list) else [found])]


def _outcome(code: str) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


def _json(status: int, value: Any, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/fhir+json", **(headers or {})}, json.dumps(value).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, ehr: FakeEhr) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ehr = ehr

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that was killed in the middle of a request is what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.ehr.connections += 1

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.ehr.answer(Said(self.command, self.path, headers, body, time.monotonic()))
        if answer is None:
            # a reset, as when a proxy dies
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        status, extra, text = answer
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = _any

    def log_message(self, *what: Any) -> None:
        """Nothing is printed: tests look at `said`."""


class Canary:
    """A socket on loopback that counts the bytes it is sent."""

    def __enter__(self) -> Canary:
        self.connections = 0
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *why: object) -> None:
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with caller:
                caller.settimeout(0.3)
                try:
                    while data := caller.recv(65536):
                        self.received += data
                except OSError:
                    pass


class Trickler:
    """A server that answers one byte at a time: of its headers, or of its body."""

    def __init__(self, *, head: bool, every: float = 0.05) -> None:
        self._head = head
        self._every = every

    def __enter__(self) -> Trickler:
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/fhir"
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *why: object) -> None:
        self._stop.set()
        self._listener.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._trickle, args=(caller,), daemon=True).start()

    def _trickle(self, caller: socket.socket) -> None:
        with caller:
            caller.recv(65536)
            text = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 100000\r\n"
            text += b"X-Slow: " if self._head else b"\r\n"
            try:
                caller.sendall(text)
                while not self._stop.wait(self._every):
                    caller.sendall(b"a")
            except OSError:
                pass
