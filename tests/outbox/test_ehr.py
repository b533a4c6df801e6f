from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from peerfhir.clock import SystemClock
from peerfhir.config import EndpointAuth, EndpointSettings
from peerfhir.outbox import ehr as ehr_module
from peerfhir.outbox.ehr import Ehr
from peerfhir.outbox.retry import Body, Failure
from tests.support.clock import HeldClock
from tests.support.ehr import FakeEhr


def settings(hospital: FakeEhr, **changes) -> EndpointSettings:
    base = EndpointSettings(
        id="h", program="p", base_url=hospital.url, allow_insecure_loopback=True,
        connect_seconds=1.0, read_seconds=2.0, total_seconds=3.0,
    )  # fmt: skip
    return replace(base, **changes)


def with_secret(hospital: FakeEhr) -> EndpointSettings:
    auth = EndpointAuth("client-secret", hospital.token_url, "us:1", "s/e cret", scope="system/Task.rsu")
    return settings(hospital, auth=auth)


def test_an_answer_brings_status_headers_and_body():
    with FakeEhr(body_in_answers=True) as hospital:
        ehr = Ehr(settings(hospital), SystemClock())
        body = b'{"resourceType":"Observation","valueQuantity":{"value":1.50}}'
        answer = ehr.exchange("POST", "Observation", body, {"X-Request-Id": "x-1"})
        ehr.close()
    assert answer.status == 201
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.json["valueQuantity"]["value"] == Decimal("1.5")
    assert answer.seen("Observation").body is Body.RESOURCE
    assert answer.seen("Task").body is Body.OTHER
    said = hospital.said[0]
    assert said.body == body
    assert said.headers["x-request-id"] == "x-1"
    assert said.headers["content-type"] == "application/fhir+json"
    assert "authorization" not in said.headers


@pytest.mark.parametrize(
    "text",
    [
        b"<html>busy</html>",
        b'{"a": 1, "a": 2}',
        b"\xff\xfe{}",
        b'{"a": NaN}',
        b"[" * 200 + b"]" * 200,
        b'{"a": "\\u0000"}',
    ],
    ids=["html", "doubled key", "not utf-8", "nan", "deep", "control"],
)
def test_what_is_not_clean_json_is_never_taken_for_an_answer(text):
    with FakeEhr() as hospital:
        hospital.script = lambda said: (200, {"Content-Type": "application/fhir+json"}, text)
        ehr = Ehr(settings(hospital), SystemClock())
        answer = ehr.exchange("GET", "Task/1")
        ehr.close()
    assert (answer.status, answer.json, answer.whole) == (200, None, False)
    assert answer.seen("Task").body is Body.OTHER


def test_an_answer_larger_than_the_cap_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(ehr_module, "MAX_ANSWER_BYTES", 100_000)
    with FakeEhr() as hospital:
        hospital.script = lambda said: (200, {}, b" " * 3_000_000)
        ehr = Ehr(settings(hospital), SystemClock())
        answer = ehr.exchange("GET", "Task/1")
        ehr.close()
    assert (answer.status, answer.whole) == (200, False)


def test_a_compressed_answer_that_nobody_asked_for_is_not_unpacked():
    with FakeEhr() as hospital:
        hospital.script = lambda said: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b" + bytes(100))
        ehr = Ehr(settings(hospital), SystemClock())
        answer = ehr.exchange("GET", "Task/1")
        ehr.close()
        assert hospital.said[0].headers["accept-encoding"] == "identity"
    assert (answer.status, answer.whole) == (200, False)


def test_a_dropped_write_is_in_doubt_and_a_refused_connection_is_not():
    with FakeEhr() as hospital:
        hospital.down = True
        there = settings(hospital)
        ehr = Ehr(there, SystemClock())
        answer = ehr.exchange("POST", "Observation", b"{}")
        assert (answer.status, answer.failure, answer.doubt) == (None, Failure.LOST, True)
    answer = ehr.exchange("POST", "Observation", b"{}")
    assert (answer.status, answer.failure, answer.doubt) == (None, Failure.CONNECT, False)
    ehr.close()


def test_a_server_that_speaks_no_tls_leaves_no_doubt():
    with FakeEhr() as hospital:
        ehr = Ehr(settings(hospital, base_url=hospital.url.replace("http:", "https:")), SystemClock())
        answer = ehr.exchange("POST", "Observation", b"{}")
        ehr.close()
    assert (answer.failure, answer.doubt) == (Failure.TLS, False)


def test_connections_are_kept_and_dropped_when_they_have_been_idle():
    clock = HeldClock()
    with FakeEhr() as hospital:
        ehr = Ehr(settings(hospital), clock)
        for _ in range(5):
            assert ehr.exchange("GET", "metadata").status == 200
        assert hospital.connections == 1
        clock.move(seconds=60)
        assert ehr.exchange("GET", "metadata").status == 200
        ehr.close()
        assert hospital.connections == 2


def test_a_token_is_asked_for_once_and_renewed_a_minute_before_it_ends():
    clock = HeldClock()
    with FakeEhr(tokens=True) as hospital:
        ehr = Ehr(with_secret(hospital), clock)
        hospital.put_in({"resourceType": "Task", "id": "1"})
        for _ in range(3):
            assert ehr.exchange("GET", "Task/1").status == 200
        assert len(hospital.token_requests) == 1
        clock.move(seconds=239)
        ehr.exchange("GET", "Task/1")
        assert len(hospital.token_requests) == 1
        clock.move(seconds=2)
        assert ehr.exchange("GET", "Task/1").status == 200
        ehr.close()
        assert len(hospital.token_requests) == 2
        asked = hospital.token_requests[0]
    scheme, _, word = asked.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(word)) == ("Basic", b"us%3A1:s%2Fe+cret")
    assert asked.body == b"grant_type=client_credentials&scope=system%2FTask.rsu"


def test_a_refused_token_is_renewed_once_and_only_once():
    with FakeEhr(tokens=True) as hospital:
        hospital.put_in({"resourceType": "Task", "id": "1"})
        ehr = Ehr(with_secret(hospital), SystemClock())
        ehr.exchange("GET", "Task/1")
        hospital.revoke_tokens()
        assert ehr.exchange("GET", "Task/1").status == 200
        assert len(hospital.token_requests) == 2
        unauthorized = (401, {}, b"")
        hospital.script = lambda said: None if said.path == "/token" else unauthorized
        before = len(hospital.said)
        assert ehr.exchange("POST", "Observation", b"{}").status == 401
        assert len(hospital.said) - before == 2
        ehr.close()


def test_threads_share_one_token():
    with FakeEhr(tokens=True) as hospital:
        hospital.put_in({"resourceType": "Task", "id": "1"})
        ehr = Ehr(with_secret(hospital), SystemClock())
        seen: list[int | None] = []
        threads = [threading.Thread(target=lambda: seen.append(ehr.exchange("GET", "Task/1").status)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        ehr.close()
        assert seen == [200] * 8
        assert len(hospital.token_requests) == 1


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ((400, {}, b'{"error":"invalid_client"}'), Failure.TOKEN_REFUSED),
        ((401, {}, b""), Failure.TOKEN_REFUSED),
        ((503, {}, b""), Failure.TOKEN),
        ((429, {}, b""), Failure.TOKEN),
        ((200, {}, b"{}"), Failure.TOKEN),
        ((200, {}, b"not json"), Failure.TOKEN),
        ((200, {}, b'{"access_token": "a\\nb"}'), Failure.TOKEN),
        ((302, {"Location": "/other"}, b""), Failure.TOKEN),
    ],
)
def test_without_a_token_nothing_is_sent(answer, failure):
    with FakeEhr(tokens=True) as hospital:
        hospital.script = lambda said: answer if said.path == "/token" else None
        ehr = Ehr(with_secret(hospital), SystemClock())
        got = ehr.exchange("POST", "Observation", b"{}")
        ehr.close()
        assert (got.status, got.failure, got.doubt) == (None, failure, False)
        assert hospital.said == []


def test_metadata_is_asked_without_a_token():
    with FakeEhr(tokens=True) as hospital:
        ehr = Ehr(with_secret(hospital), SystemClock())
        assert ehr.exchange("GET", "metadata", authorize=False).status == 200
        ehr.close()
        assert hospital.token_requests == []


@pytest.mark.parametrize("kind", ["rsa-pem", "ec-pem", "ec-jwk"])
def test_a_signed_assertion_has_what_smart_asks_for(kind, tmp_path):
    key = RSAKey.generate_key(2048) if kind == "rsa-pem" else ECKey.generate_key("P-384", {"kid": "k1"})
    path = tmp_path / "key"
    path.write_bytes(json.dumps(key.as_dict(private=True)).encode() if kind == "ec-jwk" else key.as_pem(private=True))
    seen = set()
    with FakeEhr(tokens=True) as hospital:
        auth = EndpointAuth("private-key-jwt", hospital.token_url, "us", key_file=path, scope="system/*.cruds")
        hospital.token_seconds = 10
        clock = HeldClock()
        ehr = Ehr(settings(hospital, auth=auth), clock)
        for _ in range(2):
            assert ehr.exchange("GET", "Task/none").status == 404
            clock.move(seconds=30)
        ehr.close()
        for asked in hospital.token_requests:
            form = dict(part.split("=", 1) for part in asked.body.decode().split("&"))
            token = jwt.decode(form["client_assertion"], key, algorithms=["RS384", "ES384"])
            assert token.header["alg"] == ("RS384" if kind == "rsa-pem" else "ES384")
            claims = token.claims
            assert (claims["iss"], claims["sub"], claims["aud"]) == ("us", "us", hospital.token_url)
            assert 0 < claims["exp"] - claims["iat"] < 300
            assert kind != "ec-jwk" or token.header["kid"] == "k1"
            seen.add(claims["jti"])
    assert len(seen) == 2


def test_a_key_that_cannot_be_read_is_an_auth_fault(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"not a key")
    with FakeEhr(tokens=True) as hospital:
        auth = EndpointAuth("private-key-jwt", hospital.token_url, "us", key_file=path)
        ehr = Ehr(settings(hospital, auth=auth), SystemClock())
        assert ehr.exchange("GET", "Task/1").failure is Failure.TOKEN_REFUSED
        ehr.close()
