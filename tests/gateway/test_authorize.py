from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from peerfhir.access import assertions
from peerfhir.fhir.writer import write
from tests.support import doors

KEY = ECKey.generate_key("P-384", {"kid": "one"})
JWKS = write({"keys": [KEY.as_dict(private=False)]})


def _assertion(client_id, clock, jti="j-1", **changed):
    now = int(clock.now().timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": doors.TOKEN_URL, "exp": now + 200, "jti": jti, **changed}
    return jwt.encode({"alg": "ES384", "kid": "one"}, claims, KEY, algorithms=["ES384"])


def _signed_form(client_id, clock, **changed):
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": assertions.TYPE,
        "client_assertion": _assertion(client_id, clock, **changed),
    }


@pytest.fixture
def web(web_app):
    return web_app.test_client()


@pytest.fixture
def hospital(lite, clock):
    return doors.add_client(lite, clock, scope="system/Task.cruds system/Patient.rs")


@pytest.mark.parametrize("way", ["basic", "post"])
def test_a_secret_gives_a_token_either_way(web, hospital, way):
    client_id, secret = hospital
    form = {"grant_type": "client_credentials"}
    headers = doors.basic(client_id, secret) if way == "basic" else {}
    form |= {} if way == "basic" else {"client_id": client_id, "client_secret": secret}
    answer = web.post("/oauth/token", data=form, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    said = answer.json
    assert said["token_type"] == "Bearer"
    assert said["expires_in"] == 300
    assert said["scope"] == "system/Patient.rs system/Task.cruds"
    assert "refresh_token" not in said


def test_a_signed_assertion_gives_one_token(web, lite, clock):
    client_id, _ = doors.add_client(lite, clock, jwks=JWKS)
    form = _signed_form(client_id, clock)
    assert web.post("/oauth/token", data=form).status_code == 200
    again = web.post("/oauth/token", data=form)
    assert (again.status_code, again.json["error"]) == (401, "invalid_client")
    assert "jti" in again.json["error_description"]


def test_a_client_that_signs_has_no_secret_and_one_with_a_secret_cannot_sign(web, lite, clock, hospital):
    signs, _ = doors.add_client(lite, clock, jwks=JWKS)
    form = {"grant_type": "client_credentials", "client_id": signs, "client_secret": "x" * 43}
    assert web.post("/oauth/token", data=form).status_code == 401
    assert web.post("/oauth/token", data=_signed_form(hospital[0], clock)).status_code == 401


def test_scopes_are_narrowed_to_what_the_client_was_given(web, hospital):
    form = {"grant_type": "client_credentials", "scope": "system/*.read openid system/Observation.c"}
    answer = web.post("/oauth/token", data=form, headers=doors.basic(*hospital))
    assert answer.json["scope"] == "system/Patient.rs system/Task.rs"
    form["scope"] = "system/Observation.cruds"
    answer = web.post("/oauth/token", data=form, headers=doors.basic(*hospital))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "unsupported_grant_type"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "client-nobody"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"client_assertion": "a.b.c"}, 400, "invalid_request"),
        ({"client_secret": None, "client_assertion": "a.b.c"}, 401, "invalid_client"),
        ({"client_secret": None, "client_assertion_type": assertions.TYPE}, 401, "invalid_client"),
    ],
)
def test_a_request_that_is_not_right_says_so_in_oauths_words(web, hospital, changed, status, error):
    client_id, secret = hospital
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret} | changed
    form = {name: value for name, value in form.items() if value is not None}
    answer = web.post("/oauth/token", data=form)
    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert answer.headers["Cache-Control"] == "no-store"
    assert secret not in answer.text


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer x", "Digest x", "", "Basic /w=="]
)
def test_a_header_that_cannot_be_read_is_a_wrong_client(web, header):
    answer = web.post("/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": header})
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_two_ways_at_once_and_a_parameter_twice_are_refused(web, hospital):
    client_id, secret = hospital
    form = {"grant_type": "client_credentials", "client_secret": secret}
    answer = web.post("/oauth/token", data=form, headers=doors.basic(client_id, secret))
    assert answer.json["error"] == "invalid_request"
    answer = web.post(
        "/oauth/token",
        data="grant_type=client_credentials&scope=a&scope=b",
        content_type="application/x-www-form-urlencoded",
        headers=doors.basic(client_id, secret),
    )
    assert answer.json["error"] == "invalid_request"


def test_an_unknown_client_and_a_wrong_secret_are_told_the_same(web, hospital):
    said = set()
    for client_id, secret in ((hospital[0], "wrong secret"), ("client-nobody", "wrong secret")):
        answer = web.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, headers=doors.basic(client_id, secret)
        )
        said.add((answer.status_code, answer.text))
    assert len(said) == 1


def test_a_json_body_and_a_get_are_refused(web):
    assert web.post("/oauth/token", json={"grant_type": "client_credentials"}).status_code == 415
    assert web.get("/oauth/token").status_code == 405


@pytest.mark.parametrize("path", ["/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration"])
def test_smart_configuration_names_only_what_is_there(web, web_app, path):
    answer = web.get(path, headers={"Accept": "application/fhir+xml"})
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    said = answer.json
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert "jwks_uri" not in said
    assert "authorization_endpoint" not in said
    rules = {rule.rule for rule in web_app.url_map.iter_rules()}
    for name, value in said.items():
        if name.endswith("_endpoint"):
            assert value.removeprefix(doors.BASE) in rules, name


def test_introspection_speaks_of_ones_own_tokens_only(web, lite, clock, hospital):
    other = doors.add_client(lite, clock, endpoint="lakeside")
    mine = doors.token(web, *hospital, "system/Task.rs")
    said = web.post("/oauth/introspect", data={"token": mine}, headers=doors.basic(*hospital)).json
    assert (said["active"], said["scope"], said["client_id"]) == (True, "system/Task.rs", hospital[0])
    assert said["exp"] == int(clock.now().timestamp()) + 300
    assert web.post("/oauth/introspect", data={"token": mine}, headers=doors.basic(*other)).json == {"active": False}
    assert web.post("/oauth/introspect", data={"token": "?"}, headers=doors.basic(*hospital)).json == {"active": False}
    assert web.post("/oauth/introspect", data={"token": mine}).status_code == 401


def test_a_revoked_token_is_refused_within_a_second(web, lite, clock):
    client = doors.add_client(lite, clock)
    speaker = doors.Speaker(web, doors.token(web, *client))
    assert speaker.get("/fhir/Patient").status_code == 200
    other = doors.add_client(lite, clock, endpoint="lakeside")
    assert web.post("/oauth/revoke", data={"token": speaker.token}, headers=doors.basic(*other)).status_code == 200
    clock.move(seconds=2)
    assert speaker.get("/fhir/Patient").status_code == 200
    assert web.post("/oauth/revoke", data={"token": speaker.token}, headers=doors.basic(*client)).status_code == 200
    clock.move(seconds=1)
    assert speaker.get("/fhir/Patient").status_code == 401
    assert web.post("/oauth/revoke", data={"token": "?"}, headers=doors.basic(*client)).status_code == 200
    assert web.post("/oauth/revoke", data={"token": speaker.token}).status_code == 401


def test_an_assertion_also_proves_who_revokes_and_introspects_once_each(web, lite, clock):
    client_id, _ = doors.add_client(lite, clock, jwks=JWKS)
    key = web.post("/oauth/token", data=_signed_form(client_id, clock)).json["access_token"]
    form = {**_signed_form(client_id, clock, jti="j-2"), "token": key}
    assert web.post("/oauth/introspect", data=form).json["active"] is True
    assert web.post("/oauth/revoke", data=form).status_code == 401
    form = {**_signed_form(client_id, clock, jti="j-3"), "token": key}
    assert web.post("/oauth/revoke", data=form).status_code == 200
