"""Replays, escalation and dead clients at the token endpoint, over HTTP (S8)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from joserfc import jwt
from joserfc.jwk import RSAKey

from peerfhir.access import assertions, clients
from peerfhir.fhir.writer import write
from peerfhir.records.database import writing
from tests.support import doors

KEY = RSAKey.generate_key(2048, {"kid": "one"})
JWKS = write({"keys": [KEY.as_dict(private=False)]})


def _form(client_id, clock, jti):
    now = int(clock.now().timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": doors.TOKEN_URL, "exp": now + 200, "jti": jti}
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": assertions.TYPE,
        "client_assertion": jwt.encode({"alg": "RS384", "kid": "one"}, claims, KEY, algorithms=["RS384"]),
    }


def test_of_a_thousand_replays_of_one_assertion_one_gets_a_token(lite, clock):
    app = doors.app(lite, clock)
    app.extensions["peerfhir.keeper"].entry.per_minute = 10_000
    client_id, _ = doors.add_client(lite, clock, jwks=JWKS)
    form = _form(client_id, clock, "the-one")

    def replay(_: int) -> int:
        return app.test_client().post("/oauth/token", data=form).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(replay, range(1000)))
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 503}


def test_no_scope_grows_on_the_way(web_app, lite, clock):
    web = web_app.test_client()
    client = doors.add_client(lite, clock, scope="system/Task.rs")
    for asked in (
        "system/*.cruds",
        "system/Task.cruds admin",
        "system/Task.*",
        "admin system/Task.r",
        "system/Task.rs x",
    ):
        answer = web.post(
            "/oauth/token", data={"grant_type": "client_credentials", "scope": asked}, headers=doors.basic(*client)
        )
        assert set(answer.json["scope"].split()) <= {"system/Task.rs", "system/Task.r"}
        speaker = doors.Speaker(web, answer.json["access_token"])
        assert speaker.get("/admin/inbox").status_code == 403
        assert speaker.get("/fhir/Patient").status_code == 403


def test_an_ended_client_is_out_within_a_second_and_cannot_come_back(web_app, lite, clock):
    web = web_app.test_client()
    client_id, secret = doors.add_client(lite, clock)
    speaker = doors.Speaker(web, doors.token(web, client_id, secret))
    assert speaker.get("/fhir/Patient").status_code == 200
    with writing(lite) as connection:
        assert clients.revoke_client(connection, clock, client_id)
    clock.move(seconds=1)
    assert speaker.get("/fhir/Patient").status_code == 401
    answer = web.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=doors.basic(client_id, secret))
    assert answer.status_code == 401


def test_keys_are_not_taken_for_each_other(web_app, lite, clock):
    """A login key, a link key, a client secret and an assertion open no FHIR route."""
    web = web_app.test_client()
    client_id, secret = doors.add_client(lite, clock)
    signs, _ = doors.add_client(lite, clock, endpoint="lakeside", jwks=JWKS)
    assertion = _form(signs, clock, "x")["client_assertion"]
    for wrong in (secret, client_id, assertion):
        assert doors.Speaker(web, wrong).get("/fhir/Patient").status_code == 401
    key = doors.token(web, client_id, secret)
    assert web.get("/fhir/Patient", headers={"Cookie": f"peerfhir={key}"}).status_code == 401
    assert web.get(f"/fhir/Patient?access_token={key}").status_code == 401
