"""What a hostile program may say over a socket to the shipped server: framing, slowness, methods, encodings."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from peerfhir.gateway.app import create_app
from peerfhir.portal.app import create_pages
from tests.interop.gateway import Gateway, running
from tests.support import doors
from tests.support.caller import exchange

PATIENT = b'{"resourceType":"Patient"}'
INNER = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"  # a request hidden in what stands for a body
SLOW = 400  # connections that trickle: what is promised to hold without a proxy (docs/operating.md)
LENGTH = f"Content-Length: {len(PATIENT)}"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("wire")) as made:
        yield made


def address(gateway: Gateway) -> tuple[str, int]:
    parts = urlsplit(gateway.url)
    return parts.hostname or "", parts.port or 0


def say(gateway: Gateway, raw: bytes) -> list[int]:
    """The statuses of everything that is answered to these bytes, until the server ends the connection.

    The last request asks for that end, so no answer has to be waited for.
    """
    last = b"GET /alive-or-not HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    got = b""
    with closing(socket.create_connection(address(gateway), 10)) as connection:
        connection.settimeout(20)
        with suppress(OSError):  # it may end the connection before it has read everything
            connection.sendall(raw + last)
        with suppress(OSError):
            while more := connection.recv(65536):
                got += more
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3})", got)]


def post(gateway: Gateway, *headers: str, body: bytes = b"", token: bool = True) -> bytes:
    lines = ["POST /fhir/Patient HTTP/1.1", "Host: x", "Content-Type: application/fhir+json", *headers]
    if token:
        lines.append(f"Authorization: {gateway.authorization}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# -- framing ------------------------------------------------------------------------------------------------------

AMBIGUOUS = {
    "both ways of framing": ("Content-Length: 6", "Transfer-Encoding: chunked"),
    "both, the other way round": ("Transfer-Encoding: chunked", "Content-Length: 6"),
    "two lengths": (LENGTH, "Content-Length: 5"),
    "a list of lengths": (f"{LENGTH}, {len(PATIENT)}",),
    "a length with a sign": ("Content-Length: +26",),
    "a length below zero": ("Content-Length: -1",),
    "a length in hexadecimal": ("Content-Length: 0x1a",),
    "a length beyond numbers": ("Content-Length: 99999999999999999999999",),
    "a space before the colon": ("Transfer-Encoding : chunked",),
    "an encoding that is not known": ("Transfer-Encoding: xchunked",),
    "identity beside a length": ("Transfer-Encoding: identity", LENGTH),
    "chunked, then something else": ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    "a folded header": (LENGTH, "X-Folded: a\r\n b"),
    "a NUL in a header": (LENGTH, "X-Nul: a\x00b"),
    "a lone carriage return": (LENGTH, "X-Cr: a\rb: c"),
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_request_that_two_programs_could_read_differently_is_refused_and_the_connection_ends(
    gateway: Gateway, headers: tuple[str, ...]
) -> None:
    """Request smuggling (RFC 9112, 11.2): what is hidden behind it is never answered."""
    assert say(gateway, post(gateway, *headers, body=b"0\r\n\r\n" + INNER)) == [400]


@pytest.mark.parametrize("size", [b"zz", b"-1", b"ffffffffffffffffff"])
def test_a_chunk_of_no_size_is_refused_and_the_connection_ends(gateway: Gateway, size: bytes) -> None:
    body = size + b"\r\n{}\r\n0\r\n\r\n" + INNER
    assert say(gateway, post(gateway, "Transfer-Encoding: chunked", body=body)) == [400]


def test_a_request_names_exactly_one_host(gateway: Gateway) -> None:
    """Of two, a proxy may have gone by the other (RFC 9112, 3.2)."""
    for hosts in (b"", b"Host: a\r\nHost: b\r\n", b"Host: a,b\r\n", b"Host:\r\n"):
        assert say(gateway, b"GET /healthz HTTP/1.1\r\n" + hosts + b"\r\n")[0] == 400, hosts
    assert say(gateway, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")[0] == 200


def test_an_unread_body_is_never_taken_for_the_next_request(gateway: Gateway) -> None:
    """A stranger's body is not read; what stands in it must not be answered as a request."""
    hidden = post(gateway, f"Content-Length: {len(INNER)}", body=INNER, token=False)
    assert say(gateway, hidden) in ([401], [401, 404])
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER)
    hidden = post(gateway, "Transfer-Encoding: chunked", body=chunk, token=False)
    assert say(gateway, hidden) in ([401], [401, 404])
    for path in ("/healthz", "/readyz", "/openapi.json"):
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(INNER)}\r\n\r\n".encode()
        assert say(gateway, head + INNER) in ([200], [200, 404])


def test_trailers_and_chunk_extensions_change_nothing(gateway: Gateway) -> None:
    chunked = b"1a;x=y\r\n" + PATIENT + b"\r\n0\r\nAuthorization: Bearer x\r\nContent-Length: 3\r\n\r\n"
    assert say(gateway, post(gateway, "Transfer-Encoding: chunked", body=chunked)) == [201, 404]


def test_a_stranger_is_refused_before_it_is_told_to_go_on(gateway: Gateway) -> None:
    with closing(socket.create_connection(address(gateway), 10)) as connection:
        connection.settimeout(20)
        connection.sendall(post(gateway, LENGTH, "Expect: 100-continue", token=False))
        assert connection.recv(64).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        (b"GET /healthz HTTP/2.0", {400}),
        (b"GET /healthz  HTTP/1.1", {400}),
        (b"GET /healthz\xff HTTP/1.1", {400}),
        (b"GET /healthz?" + b"a" * 70_000 + b" HTTP/1.1", {414, 431}),
        (b"GET /healthz%0d%0aX-A:b HTTP/1.1", {404}),
        (b"GET /api-docs/static/../openapi.py HTTP/1.1", {404}),
        (b"GET /api-docs/static/%2e%2e/openapi.py HTTP/1.1", {404}),
        (b"GET /api-docs/static/%2fetc%2fpasswd HTTP/1.1", {308, 404}),
        (b"BREW /healthz HTTP/1.1", {405}),
        (b"TRACE /healthz HTTP/1.1", {405}),
        (b"CONNECT elsewhere.example:443 HTTP/1.1", {400, 404, 405}),
    ],
)
def test_a_first_line_that_is_odd_is_refused(gateway: Gateway, line: bytes, statuses: set[int]) -> None:
    assert say(gateway, line + b"\r\nHost: x\r\n\r\n")[0] in statuses


def test_headers_that_are_too_long_or_too_many_are_refused(gateway: Gateway) -> None:
    for headers in (b"X-A: " + b"a" * 33_000, b"\r\n".join(b"X-%d: a" % each for each in range(400))):
        assert say(gateway, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n")[0] == 431


def test_neither_the_host_header_nor_an_override_changes_what_is_answered(gateway: Gateway) -> None:
    said = {
        "Authorization": gateway.authorization, "Host": "elsewhere.example", "X-Forwarded-Host": "elsewhere.example",
        "X-Forwarded-Proto": "https", "X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/admin/inbox",
    }  # fmt: skip
    answer = exchange(gateway.url, "GET", "/fhir/Organization", headers=said)
    assert answer.status == 200
    assert b"elsewhere" not in answer.body
    assert answer.json["link"][0]["url"].startswith(f"{gateway.base}/Organization")


# -- slowness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", ["headers", "bodies"])
def test_hundreds_of_clients_that_trickle_hinder_nobody(gateway: Gateway, slow: str) -> None:
    begun = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
    if slow == "bodies":
        begun = post(gateway, "Content-Length: 5000", body=b'{"resourceType":')
    with ExitStack() as stack:
        trickling = []
        for _ in range(SLOW):
            one = stack.enter_context(closing(socket.create_connection(address(gateway), 10)))
            one.sendall(begun)
            trickling.append(one)
        for turn in range(10):
            for one in trickling[turn::10]:
                one.sendall(b" ")
            assert exchange(gateway.url, "GET", "/readyz").status == 200
            assert gateway.caller.get("/fhir/Organization").status == 200
    assert gateway.caller.send("POST", "/fhir/Patient", PATIENT).status == 201


# -- methods, encodings, content types: every route, in one process -------------------------------------------------


@pytest.fixture
def whole(lite, clock):
    """The app with the pages, as it is served."""
    return create_app(replace(doors.parts(lite, clock), pages=create_pages))


def path_of(rule: str) -> str:
    return re.sub(r"<[^>]+>", "7", rule)


def test_every_route_refuses_every_method_it_does_not_have_and_says_which_it_has(whole) -> None:
    web = whole.test_client()
    rules = [rule for rule in whole.url_map.iter_rules() if not rule.rule.startswith("/fhir")]
    offered: dict[str, set[str]] = {}
    for rule in rules:
        offered.setdefault(path_of(rule.rule), set()).update(rule.methods)
    for path, methods in offered.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "BREW"} - methods:
            answer = web.open(path, method=method, base_url=doors.BASE)
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["Allow"].split(", ")) == methods, (method, path)
    assert len(offered) > 30


FHIR = (
    "/fhir", "/fhir/metadata", "/fhir/Organization", "/fhir/Organization/x", "/fhir/Organization/_search", "/fhir/Organization/_history",
    "/fhir/Organization/x/_history", "/fhir/Organization/x/_history/1", "/fhir/Patient/x/Task", "/fhir/Patient/x/$everything",
    "/fhir/Organization/$validate",
)  # fmt: skip


def test_every_fhir_address_says_which_methods_it_takes(whole, lite, clock) -> None:
    """What Allow names is what is not answered with 405."""
    speaker = doors.speaker(whole, lite, clock)
    for path in FHIR:
        answers = {
            method: speaker.send(method, path, {"resourceType": "Organization"})
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "BREW")
        }
        refused = {method: answer for method, answer in answers.items() if answer.status_code == 405}
        assert "BREW" in refused
        for method, answer in refused.items():
            if method != "BREW":  # the server's own list is wider: it does not know the address yet
                said = {each.strip() for each in answer.headers["Allow"].split(",")}
                assert said & set(answers) == set(answers) - set(refused), (method, path)
            assert answer.json["issue"][0]["code"] == "not-supported"


def test_head_is_get_without_a_body(whole, lite, clock) -> None:
    speaker = doors.speaker(whole, lite, clock, scope="admin system/*.r")
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/api-docs", "/admin/inbox", "/fhir/metadata",
                 "/fhir/Task", "/.well-known/smart-configuration", "/sign-in"):  # fmt: skip
        got, head = speaker.get(path), whole.test_client().head(path, headers=speaker.headers())
        assert (head.status_code, head.data) == (got.status_code, b""), path
        assert head.mimetype == got.mimetype


ENCODINGS = ("gzip", "deflate", "br", "zstd", "gzip, identity", "x")
MEDIA = (
    "", "text/plain", "application/xml", "application/fhir+xml", "text/html", "image/png", "json", "application/jsonp",
    "multipart/form-data; boundary=x", "application/fhir+json; charset=utf-16", "application/fhir+json; fhirVersion=5.0",
)  # fmt: skip
FORM = "application/x-www-form-urlencoded"


def test_a_compressed_body_is_refused_wherever_a_body_is_read(whole, lite, clock) -> None:
    speaker = doors.speaker(whole, lite, clock)
    for path in ("/fhir", "/fhir/Patient", "/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        for encoding in ENCODINGS:
            headers = speaker.headers({"Content-Encoding": encoding})
            media = FORM if path.startswith("/oauth") else "application/fhir+json"
            answer = whole.test_client().post(path, data=PATIENT, content_type=media, headers=headers)
            assert answer.status_code == 415, (path, encoding)


def test_a_content_type_that_is_not_spoken_is_refused(whole, lite, clock) -> None:
    speaker = doors.speaker(whole, lite, clock)
    for media in MEDIA:
        for path in ("/fhir", "/fhir/Patient"):
            answer = whole.test_client().post(path, data=PATIENT, content_type=media, headers=speaker.headers())
            assert answer.status_code == 415, (path, media)
            assert answer.json["resourceType"] == "OperationOutcome"
        assert whole.test_client().post("/oauth/token", data=PATIENT, content_type=media).status_code == 415, media
