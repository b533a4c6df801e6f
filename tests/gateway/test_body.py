"""Bodies as real servers hand them over: cut off, chunked, too long, compressed, or never meant to be read."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from peerfhir.fhir.reader import MAX_BYTES
from peerfhir.gateway.body import LARGE_BYTES
from tests.support.fhir_app import TOKEN, create_app

AUTH = f"Authorization: Bearer {TOKEN}"
JSON = "Content-Type: application/fhir+json"
GOOD = b'{"resourceType":"Patient","active":true}'


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module", params=["granian", "werkzeug"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real server on loopback: the one that ships, and Flask's own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('body') / 'fhir.db'}"
    if request.param == "werkzeug":
        app = create_app(url)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["engine"].dispose()
        return
    number = _free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--host", "127.0.0.1", "--port",
               str(number), "--workers", "1", "--blocking-threads", "8", "--no-ws",
               "tests.support.fhir_app:from_environment"]  # fmt: skip
    root = Path(__file__).parent.parent.parent
    environ = {**os.environ, "PEERFHIR_TEST_DATABASE": url, "PYTHONPATH": str(root)}
    process = subprocess.Popen(command, cwd=root, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(150):
            try:
                socket.create_connection(("127.0.0.1", number), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield number
    finally:
        process.terminate()
        process.wait(10)


def talk(port: int, head: str, *pieces: bytes, leave: bool = False) -> tuple[int, bytes]:
    """Say `head` and the pieces, and return the status and body of the answer (0 when there is none)."""
    with closing(socket.create_connection(("127.0.0.1", port), 10)) as connection:
        connection.settimeout(10)
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\nHost: test\r\nConnection: close\r\n\r\n")
        try:
            for piece in pieces:
                connection.sendall(piece)
            if leave:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has answered already and does not listen any more
        answer = b""
        try:
            while not _is_whole(answer) and (more := connection.recv(65536)):
                answer += more
        except OSError:
            pass
    status, _, body = answer.partition(b"\r\n\r\n")
    return (int(status.split()[1]) if status else 0), body


def _is_whole(answer: bytes) -> bool:
    """A server may leave the connection open for what it refused to read; the answer has an end of its own."""
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *([0-9]+)", head)
    return bool(found and length and len(body) >= int(length.group(1)))


def chunked(data: bytes, size: int = 65536) -> list[bytes]:
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    return [f"{len(one):x}\r\n".encode() + one + b"\r\n" for one in cut] + [b"0\r\n\r\n"]


def padded(length: int) -> bytes:
    """A good resource of exactly this many bytes."""
    return GOOD + b" " * (length - len(GOOD))


def test_a_good_body_arrives_with_a_length_and_in_chunks(port: int) -> None:
    assert talk(port, f"POST /fhir/Patient HTTP/1.1\n{AUTH}\n{JSON}\nContent-Length: {len(GOOD)}", GOOD)[0] == 201
    head = f"POST /fhir/Patient HTTP/1.1\n{AUTH}\n{JSON}\nTransfer-Encoding: chunked"
    assert talk(port, head, *chunked(GOOD, 7))[0] == 201


def test_the_limit_is_exact_whichever_way_the_body_comes(port: int) -> None:
    for path, limit in (("Patient", MAX_BYTES), ("", LARGE_BYTES)):
        head = f"POST /fhir/{path} HTTP/1.1\n{AUTH}\n{JSON}\n"
        for extra in (0, 1):
            data = padded(limit + extra)
            declared = talk(port, f"{head}Content-Length: {len(data)}", data)[0]
            in_chunks = talk(port, f"{head}Transfer-Encoding: chunked", *chunked(data))[0]
            # one byte over the limit is refused; at the limit it is read (and is no Bundle at the base)
            wanted = 413 if extra else (201 if path else 400)
            assert (declared, in_chunks) == (wanted, wanted)


def test_a_gigabyte_that_is_only_announced_is_refused_at_once(port: int) -> None:
    started = time.monotonic()
    head = f"POST /fhir/Patient HTTP/1.1\n{AUTH}\n{JSON}\nContent-Length: 1073741824"
    assert talk(port, head)[0] == 413
    assert time.monotonic() - started < 5


def test_an_endless_body_is_refused(port: int) -> None:
    head = f"POST /fhir/Patient HTTP/1.1\n{AUTH}\n{JSON}\nTransfer-Encoding: chunked"
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    assert talk(port, head, *[piece] * 200)[0] in (413, 0)  # or the connection ends before the answer is read


def test_a_body_that_is_cut_off_is_refused_and_nothing_is_stored(port: int) -> None:
    head = f"POST /fhir/Patient HTTP/1.1\n{AUTH}\n{JSON}\n"
    before = talk(port, f"GET /fhir/Patient?_count=0 HTTP/1.1\n{AUTH}")[1]
    assert talk(port, f"{head}Content-Length: {len(GOOD) + 50}", GOOD, leave=True)[0] in (400, 0)
    assert talk(port, f"{head}Transfer-Encoding: chunked", *chunked(GOOD, 7)[:3], leave=True)[0] in (400, 0)
    assert talk(port, f"GET /fhir/Patient?_count=0 HTTP/1.1\n{AUTH}")[1] == before


def test_a_stranger_is_refused_with_the_body_unread(port: int) -> None:
    for length in (len(GOOD), MAX_BYTES * 8):
        status, body = talk(port, f"POST /fhir/Patient HTTP/1.1\n{JSON}\nContent-Length: {length}")
        assert status == 401
        assert b"OperationOutcome" in body
    assert talk(port, "POST /fhir/Patient HTTP/1.1\nContent-Type: text/xml\nContent-Length: 9")[0] == 401
    assert talk(port, "GET /fhir/metadata HTTP/1.1")[0] == 200


def test_an_unread_body_is_not_taken_for_the_next_request(port: int) -> None:
    """What a refused body holds must never be answered as if it were a request."""
    inside = f"GET /fhir/Patient HTTP/1.1\r\nHost: test\r\n{AUTH}\r\n\r\n".encode()
    head = f"POST /fhir/Patient HTTP/1.1\r\nHost: test\r\n{JSON}\r\nContent-Length: {len(inside)}\r\n\r\n".encode()
    with closing(socket.create_connection(("127.0.0.1", port), 10)) as connection:
        connection.settimeout(1)
        connection.sendall(head + inside)
        answer = b""
        try:
            while more := connection.recv(65536):
                answer += more
        except OSError:
            pass
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b" 401 " in answer.partition(b"\r\n")[0]


def test_a_form_must_say_its_length(port: int) -> None:
    head = "POST /form HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n"
    assert talk(port, f"{head}Content-Length: 11", b"a=1&a=2&b=%")[0] == 200
    assert talk(port, f"{head}Content-Length: 20", b"a=1&a=2&b=%", leave=True)[0] in (400, 0)
    assert talk(port, f"{head}Transfer-Encoding: chunked", *chunked(b"a=1&b=2"))[0] == 411


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    made = create_app(f"sqlite:///{tmp_path / 'fhir.db'}", "https://peerfhir.example/fhir")
    yield made
    made.extensions["engine"].dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/fhir+json", 201), ("application/json", 201), ("application/json+fhir", 201),
        ("application/fhir+json; charset=UTF-8", 201), ("application/fhir+json;fhirVersion=4.0", 201),
        ('application/json; charset="utf-8"', 201),
        ("application/fhir+xml", 415), ("text/xml", 415), ("application/xml", 415), ("text/plain", 415), ("", 415),
        ("application/json; charset=utf-16", 415), ("application/fhir+json; fhirVersion=5.0", 415),
        ("multipart/form-data; boundary=x", 415), ("application/json-patch+json", 415),
    ],
)  # fmt: skip
def test_only_json_in_utf8_is_taken(client: FlaskClient, content_type: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
    reply = client.post("/fhir/Patient", data=GOOD, headers=headers)
    assert reply.status_code == status
    assert reply.headers["Content-Type"].startswith("application/fhir+json")


def test_a_compressed_body_is_not_opened(client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert client.post("/fhir/Patient", data=b"\x1f\x8b", headers=headers).status_code == 415
    headers["Content-Encoding"] = "identity"
    assert client.post("/fhir/Patient", data=GOOD, headers=headers).status_code == 201


def test_a_form_that_is_no_text_is_refused(client: FlaskClient) -> None:
    kind = "application/x-www-form-urlencoded"
    assert client.post("/form", data=b"\xff", content_type=kind).status_code == 400
    assert client.post("/form", data=b"a=%00", content_type=kind).status_code == 400
    assert client.post("/form", data=b"&".join([b"a=1"] * 1001), content_type=kind).status_code == 400
    assert client.post("/form", data=b"a=1", content_type="text/plain").status_code == 415
    assert client.post("/form", data=b"x=" + b"1" * 300_000, content_type=kind).status_code == 413
    assert client.post("/form", data="a=ü&a=&b=1", content_type=kind).text == "[('a', ['ü', '']), ('b', ['1'])]"
