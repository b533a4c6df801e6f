"""The one HTTP client: tokens, deadlines, a cap on answers, no redirects."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace

import requests
import urllib3.exceptions

from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.errors import Fault
from peerfhir.fhir import reader
from peerfhir.outbox import guard
from peerfhir.outbox.answers import EhrAnswer
from peerfhir.outbox.retry import Failure
from peerfhir.outbox.tokens import NoToken, Tokens

MAX_ANSWER_BYTES = 8 * 1024 * 1024  # a vendor's CapabilityStatement has been seen at more than 1 MiB
_CHUNK = 65536
_IDLE_SECONDS = 4.0  # servers close idle connections after 5 s and more; one that closes as we send leaves a doubt
_FHIR = "application/fhir+json"


class Ehr:
    """One endpoint's client; one requests.Session per thread, one token for all of them."""

    def __init__(self, endpoint: EndpointSettings, clock: Clock) -> None:
        self.endpoint = endpoint
        self._clock = clock
        self._own = threading.local()
        self._sessions: list[requests.Session] = []
        self._tokens = Tokens(endpoint.auth, clock, self._once)

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        authorize: bool = True,
    ) -> EhrAnswer:
        """One request below the endpoint's base, and what came back; a 401 is tried once more with a new token.

        path     below base_url, without a leading slash, already encoded, without personal data
        Returns  an answer always; nothing that goes wrong on the wire is raised
        """
        url = f"{self.endpoint.base_url}/{path}"
        sending = {"Accept": _FHIR, "Accept-Encoding": "identity", "User-Agent": "PeerFHIR", **(headers or {})}
        if body is not None:
            sending["Content-Type"] = _FHIR
        if not authorize or self.endpoint.auth.kind == "none":
            return self._once(method, url, body, sending)
        answer = EhrAnswer(None)
        for _ in range(2):
            try:
                token = self._tokens.bearer()
            except NoToken as refused:
                return EhrAnswer(None, failure=refused.failure)
            answer = self._once(method, url, body, {**sending, "Authorization": f"Bearer {token}"})
            if answer.status != 401:
                break
            self._tokens.forget(token)
        return answer

    def close(self) -> None:
        """Let go of every connection."""
        for session in self._sessions:
            session.close()

    def _once(self, method: str, url: str, body: bytes | str | None, headers: Mapping[str, str]) -> EhrAnswer:
        begun = self._clock.monotonic()
        with guard.exchange(self.endpoint, self._clock) as wire:
            try:
                guard.check_url(url, self.endpoint)
                answer = self._answered(self._sent(method, url, body, headers))
            except (guard.AddressRefused, requests.exceptions.InvalidURL):
                answer = EhrAnswer(None, failure=Failure.ADDRESS)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                answer = EhrAnswer(None, failure=_failure_of(error, wire.left), doubt=wire.left)
        spent = int((self._clock.monotonic() - begun) * 1000)
        return replace(answer, milliseconds=spent)

    def _sent(self, method: str, url: str, body: bytes | str | None, headers: Mapping[str, str]) -> requests.Response:
        return self._session().request(
            method,
            url,
            data=body,
            headers=dict(headers),
            allow_redirects=False,
            stream=True,
            timeout=(self.endpoint.connect_seconds, self.endpoint.read_seconds),
        )

    def _answered(self, response: requests.Response) -> EhrAnswer:
        """Status and headers count even when the body does not arrive whole: they say whether it was written."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            text = _bounded(response, headers)
            json = reader.read(text, max_bytes=MAX_ANSWER_BYTES) if text.strip() else None
            whole = True
        except (Fault, requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            json, whole = None, False
        finally:
            response.close()
        return EhrAnswer(response.status_code, headers, json, whole=whole)

    def _session(self) -> requests.Session:
        now = self._clock.monotonic()
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # a proxy or .netrc of the environment would lead past the guard
            session.mount("https://", guard.GuardedAdapter(max_retries=0))
            session.mount("http://", guard.GuardedAdapter(max_retries=0))
            self._own.session = session
            self._sessions.append(session)
        elif now - self._own.used > _IDLE_SECONDS:
            session.close()
        self._own.used = now
        return session


def _bounded(response: requests.Response, headers: Mapping[str, str]) -> bytes:
    """The body as sent, up to the cap. Raises ValueError-like faults for more, or for a compressed one."""
    if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise requests.exceptions.ContentDecodingError("compressed although not asked for")
    parts: list[bytes] = []
    size = 0
    for part in _parts(response):
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise requests.exceptions.ContentDecodingError("larger than the cap")
        parts.append(part)
    return b"".join(parts)


def _parts(response: requests.Response) -> Iterator[bytes]:
    return response.raw.stream(_CHUNK, decode_content=False)


def _failure_of(error: BaseException, left: bool) -> Failure:
    """Which failure it was. Once a byte has left, only an answer could have told."""
    if left:
        return Failure.LOST
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure.CERTIFICATE
        if isinstance(cause, (ssl.SSLError, urllib3.exceptions.SSLError)):
            tls = Failure.TLS
            return Failure.CERTIFICATE if "CERTIFICATE_VERIFY_FAILED" in str(cause) else tls
    return Failure.CONNECT


def _causes(error: BaseException) -> Iterator[BaseException]:
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting.extend((one.__cause__, one.__context__, getattr(one, "reason", None), *one.args))
