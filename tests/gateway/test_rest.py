"""The web in front of the FHIR engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.fhir import referral
from tests.support.fhir_app import TOKEN, create_app

BASE = "https://peerfhir.example/fhir"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    app = create_app(f"sqlite:///{tmp_path / 'fhir.db'}", BASE)
    yield app.test_client()
    app.extensions["engine"].dispose()


def test_a_resource_goes_in_and_comes_out(client: FlaskClient) -> None:
    made = client.post("/fhir/Patient", json=PATIENT, headers=AUTH)
    assert made.status_code == 201
    assert made.headers["Location"].startswith(f"{BASE}/Patient/")
    read = client.get(f"/fhir/Patient/{made.json['id']}", headers=AUTH)
    assert read.data == made.data
    assert read.headers["ETag"] == 'W/"1"'
    assert read.headers["Content-Type"] == "application/fhir+json; fhirVersion=4.0"
    again = client.get(f"/fhir/Patient/{made.json['id']}", headers={**AUTH, "If-None-Match": 'W/"1"'})
    assert (again.status_code, again.data) == (304, b"")
    assert client.head(f"/fhir/Patient/{made.json['id']}", headers=AUTH).data == b""


@pytest.mark.parametrize("where", ["/fhir", "/fhir/"])
def test_a_bundle_is_taken_with_and_without_the_slash(client: FlaskClient, where: str) -> None:
    reply = client.post(where, json=referral(), headers=AUTH)
    assert reply.status_code == 200
    assert len(reply.json["entry"]) == 7


def test_a_search_may_be_a_form(client: FlaskClient) -> None:
    client.post("/fhir/Patient", json=PATIENT, headers=AUTH)
    for data, total in (({"identifier": "urn:mrn|1"}, 1), ({"identifier": "urn:mrn|2"}, 0)):
        reply = client.post("/fhir/Patient/_search", data=data, headers=AUTH)
        assert reply.json["total"] == total
    assert client.post("/fhir/Patient/_search?identifier=urn:mrn|2", headers=AUTH).json["total"] == 0
    assert client.post("/fhir/Patient/_search", json={}, headers=AUTH).status_code == 415


def test_everything_but_metadata_needs_a_token(client: FlaskClient) -> None:
    assert client.get("/fhir/metadata").status_code == 200
    for method, path in (("GET", "Patient"), ("POST", "Patient"), ("PUT", "Patient/1"), ("POST", ""), ("GET", "x/y"),
                         ("DELETE", "Patient/1"), ("GET", "metadata/x"), ("POST", "Patient/_search")):  # fmt: skip
        reply = client.open(f"/fhir/{path}", method=method, data=b"not json at all")
        assert reply.status_code == 401
        assert reply.json["issue"][0]["code"] == "login"
        assert "WWW-Authenticate" in reply.headers


def test_a_method_that_is_not_offered_is_an_outcome(client: FlaskClient) -> None:
    reply = client.delete("/fhir/Patient", headers=AUTH)
    assert reply.status_code == 405
    assert reply.headers["Allow"] == "GET, HEAD, POST, PUT, OPTIONS"
    assert reply.json["resourceType"] == "OperationOutcome"
    wanted = "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"
    assert client.post("/fhir/Patient/1", json={}, headers=AUTH).headers["Allow"] == wanted


def test_a_method_nobody_has_heard_of_is_told_what_the_address_takes(client: FlaskClient) -> None:
    for path, allow in (("Patient/1", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"), ("metadata", "GET, HEAD, OPTIONS"),
                        ("", "POST, OPTIONS")):  # fmt: skip
        for method in ("TRACE", "PROPFIND", "BREW"):
            reply = client.open(f"/fhir/{path}", method=method, headers=AUTH)
            assert (reply.status_code, reply.headers["Allow"]) == (405, allow)
            assert reply.json["resourceType"] == "OperationOutcome"
    assert client.open("/fhir/Patient/1", method="BREW").status_code == 401
    assert client.open("/fhir/Nothing/1", method="BREW", headers=AUTH).status_code == 404


def test_a_body_that_is_no_json_names_its_line(client: FlaskClient) -> None:
    headers = {**AUTH, "Content-Type": "application/fhir+json"}
    reply = client.post("/fhir/Patient", data=b'{\n "resourceType": }', headers=headers)
    assert reply.status_code == 400
    assert reply.json["issue"][0]["diagnostics"].startswith("2:18: ")
    assert client.post("/fhir/Patient", headers=headers).status_code == 400


def test_a_patch_comes_as_json_of_either_kind_and_as_nothing_else(client: FlaskClient) -> None:
    where = f"/fhir/Patient/{client.post('/fhir/Patient', json=PATIENT, headers=AUTH).json['id']}"
    steps, merge = b'[{"op":"add","path":"/active","value":true}]', b'{"active":false}'
    for kind, data in (("application/json-patch+json", steps), ("application/json-patch+json; charset=utf-8", steps),
                       ("application/merge-patch+json", merge), ("application/json", merge), ("application/json", steps),
                       ("application/fhir+json", merge)):  # fmt: skip
        assert client.patch(where, data=data, headers={**AUTH, "Content-Type": kind}).status_code == 200, kind
    for kind in ("application/xml-patch+xml", "text/plain", "application/x-www-form-urlencoded", ""):
        assert client.patch(where, data=steps, headers={**AUTH, "Content-Type": kind}).status_code == 415, kind
    for data in (
        b"",
        b"[",
        b'[{"op":"add","path":"/active","value":NaN}]',
        b'{"a":1,"a":2}',
        b"\xff",
        b"[" * 100 + b"]" * 100,
    ):
        reply = client.patch(where, data=data, headers={**AUTH, "Content-Type": "application/json-patch+json"})
        assert reply.status_code == 400
        assert reply.json["resourceType"] == "OperationOutcome"
    assert client.get(where, headers=AUTH).json["meta"]["versionId"] == "7"


def test_a_delete_and_what_follows_over_the_web(client: FlaskClient) -> None:
    where = f"/fhir/Patient/{client.post('/fhir/Patient', json=PATIENT, headers=AUTH).json['id']}"
    gone = client.delete(where, headers=AUTH)
    assert (gone.status_code, gone.data, gone.headers["ETag"]) == (204, b"", 'W/"2"')
    assert client.get(where, headers=AUTH).status_code == 410
    told = client.get(f"{where}/_history", headers=AUTH).json
    assert [one["request"]["method"] for one in told["entry"]] == ["DELETE", "POST"]


def test_what_has_not_changed_since_is_not_sent_again(client: FlaskClient) -> None:
    made = client.post("/fhir/Patient", json=PATIENT, headers=AUTH)
    where = f"/fhir/Patient/{made.json['id']}"
    same = {"If-Modified-Since": made.headers["Last-Modified"]}
    assert client.get(where, headers={**AUTH, **same}).status_code == 304
    assert client.get(where, headers={**AUTH, "If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}).status_code == 200
    assert client.get(where, headers={**AUTH, "If-Modified-Since": "once upon a time"}).status_code == 200
    assert client.get(where, headers={**AUTH, **same, "If-None-Match": 'W/"9"'}).status_code == 200


def test_a_validation_may_come_without_a_body(client: FlaskClient) -> None:
    where = f"/fhir/Patient/{client.post('/fhir/Patient', json=PATIENT, headers=AUTH).json['id']}"
    assert client.post(f"{where}/$validate", headers=AUTH).json["resourceType"] == "OperationOutcome"
    assert client.post("/fhir/Patient/$validate", json=PATIENT, headers=AUTH).status_code == 200
