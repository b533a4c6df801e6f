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
    assert reply.headers["Allow"] == "GET, POST, PUT"
    assert reply.json["resourceType"] == "OperationOutcome"
    assert client.post("/fhir/Patient/1", json={}, headers=AUTH).headers["Allow"] == "GET, PUT, PATCH, DELETE"


def test_a_body_that_is_no_json_names_its_line(client: FlaskClient) -> None:
    headers = {**AUTH, "Content-Type": "application/fhir+json"}
    reply = client.post("/fhir/Patient", data=b'{\n "resourceType": }', headers=headers)
    assert reply.status_code == 400
    assert reply.json["issue"][0]["diagnostics"].startswith("2:18: ")
    assert client.post("/fhir/Patient", headers=headers).status_code == 400
