"""Requests that a careful client never sends: each is answered as the specification says, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.fhir_app import TOKEN, create_app

BASE = "https://peerfhir.example/fhir"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
STEPS = "application/json-patch+json"
PATIENT = {
    "resourceType": "Patient", "identifier": [{"system": "urn:h", "value": "A,1|x$y\\z"}], "gender": "female",
    "name": [{"family": "Odon, Ann", "given": ["Eva"]}], "birthDate": "1980-05-06",
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    app = create_app(f"sqlite:///{tmp_path_factory.mktemp('odd') / 'fhir.db'}", BASE)
    yield app.test_client()
    app.extensions["engine"].dispose()


@pytest.fixture
def here(client: FlaskClient) -> str:
    """The address of a new Patient, at its second version."""
    made = client.post("/fhir/Patient", json=PATIENT, headers=AUTH).json
    where = f"/fhir/Patient/{made['id']}"
    assert client.put(where, json={**PATIENT, "id": made["id"], "active": True}, headers=AUTH).status_code == 200
    return where


def _codes(answer: Any) -> list[tuple[str, str]]:
    assert answer.json["resourceType"] == "OperationOutcome"
    return [(one["code"], (one.get("expression") or [""])[0]) for one in answer.json["issue"]]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": 'W/"2"'}, 200), ({"If-Match": 'W/"9", W/"2"'}, 200), ({"If-Match": "*"}, 200),
        ({"If-Match": 'W/"1"'}, 412), ({"If-Match": ""}, 412), ({"If-Match": "garbage"}, 412),
        ({"If-None-Match": "*"}, 412), ({"If-None-Match": 'W/"2"'}, 412), ({"If-None-Match": 'W/"1"'}, 200),
        ({"If-None-Match": 'W/"7" , W/"2"'}, 412), ({"If-Match": 'W/"2"', "If-None-Match": 'W/"1"'}, 200),
    ],
)  # fmt: skip
def test_a_write_keeps_its_preconditions(client: FlaskClient, here: str, headers: dict[str, str], status: int) -> None:
    body = {**PATIENT, "id": here.rpartition("/")[2], "language": "en"}
    assert client.put(here, json=body, headers={**AUTH, **headers}).status_code == status
    again = client.get(here, headers=AUTH).headers["ETag"]
    assert again == ('W/"3"' if status == 200 else 'W/"2"')
    if status == 412:
        assert client.patch(here, json=[], headers={**AUTH, **headers, "Content-Type": STEPS}).status_code == 412
        assert client.delete(here, headers={**AUTH, **headers}).status_code == 412


def test_a_read_keeps_if_match_too(client: FlaskClient, here: str) -> None:
    for value, status in (('W/"1"', 412), ('W/"2"', 200), ("*", 200)):
        assert client.get(here, headers={**AUTH, "If-Match": value}).status_code == status


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json;q=0", 406), ("application/fhir+json;q=0, */*", 406), ("*/*;q=0", 406),
        ("text/html, application/fhir+json;q=0.1", 200), ("*/*;q=0, application/json", 200),
        ("application/fhir+json; fhirVersion=5.0, application/fhir+json; q=0.5", 200), ("application/fhir+xml", 406),
        ("application/fhir+json;fhirVersion=4.3", 406), ("application/*;q=0, */*", 406), ("APPLICATION/FHIR+JSON", 200),
    ],
)  # fmt: skip
def test_of_media_ranges_the_closest_decides(client: FlaskClient, accept: str, status: int) -> None:
    assert client.get("/fhir/Patient?_count=0", headers={**AUTH, "Accept": accept}).status_code == status


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ("json", 200), ("JSON", 200), ("application/fhir%2Bjson", 200), ("application/fhir+json", 200), ("xml", 406),
        ("application/fhir%2Bjson;fhirVersion=4.0", 200), ("application/fhir%2Bjson;fhirVersion=3.0", 406), ("ttl", 406),
        ("", 200),
    ],
)  # fmt: skip
def test_a_format_is_read_as_a_media_type(client: FlaskClient, wanted: str, status: int) -> None:
    headers = {**AUTH, "Accept": "application/fhir+json"}
    assert client.get(f"/fhir/Patient?_count=0&_format={wanted}", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (r"identifier=urn:h|A\,1\|x\$y\\z", 1), (r"identifier=A\,1\|x\$y\\z", 1), (r"identifier=urn:h|A,1", 0),
        (r"identifier=urn:h|A\,1|x\$y\\z", 1), (r"identifier=|A\,1\|x\$y\\z", 0), (r"family:exact=Odon\, Ann", 1),
        (r"family:exact=x\\,Odon\, Ann", 1), ("family:exact=Odon, Ann", 0), ("_count=0", 1), ("_count=-1", 400),
        ("_count=99999999999999999999", 1), ("_count=1&_count=2", 400), ("_count=1&_count=1", 1), ("_count=1.5", 400),
        ("_sort=_id&_sort=-_id", 400), ("family=%ff", 400), ("family=%C3%96don", 1), ("birthdate=1980-05", 1),
        ("birthdate=gt1980-05", 0), ("birthdate=1980-05-06T00:00:00 05:00", 0), ("birthdate=ge1980-05-05T23:00:00-05:00", 1),
        ("birthdate=1980-5", 400), ("birthdate=1980-02-30", 400), ("birthdate=1980-05-06T04", 400), ("birthdate=xx1980", 400),
        ("gender:text=female", 400), ("gender=FEMALE", 0), ("gender=", 1), ("family=%00", 400), ("=x", 400),
        ("family:missing=no", 400), ("_summary=count", 1), ("_summary=foo", 400), ("_total=foo", 400), ("_after=x", 400),
    ],
)  # fmt: skip
def test_a_search_means_what_it_says_or_is_refused(tmp_path: Path, asked: str, answer: int) -> None:
    """answer: how many it finds, or the status of its refusal."""
    app = create_app(f"sqlite:///{tmp_path / 'fhir.db'}", BASE)
    client = app.test_client()
    assert client.post("/fhir/Patient", json=PATIENT, headers=AUTH).status_code == 201
    reply = client.get(f"/fhir/Patient?{asked}", headers=AUTH)
    if answer >= 400:
        assert (reply.status_code, reply.json["resourceType"]) == (answer, "OperationOutcome")
    else:
        assert (reply.status_code, reply.json.get("total")) == (200, answer)
    app.extensions["engine"].dispose()


def test_a_modifier_that_names_a_type_holds_against_the_value(client: FlaskClient, here: str) -> None:
    reference = here.removeprefix("/fhir/")
    seen = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": reference},
    }
    assert client.post("/fhir/Observation", json=seen, headers=AUTH).status_code == 201
    plain = reference.rpartition("/")[2]
    for asked, answer in ((f"subject:Patient={plain}", 1), (f"subject:Patient={reference}", 1),
                          (f"subject:Group={reference}", 400), (f"subject:Group={plain}", 0)):  # fmt: skip
        reply = client.get(f"/fhir/Observation?{asked}", headers=AUTH)
        assert (reply.json.get("total", reply.status_code)) == answer, asked


def test_an_unknown_modifier_is_refused_even_when_lenient(client: FlaskClient) -> None:
    lenient = {**AUTH, "Prefer": "handling=lenient"}
    assert client.get("/fhir/Patient?gender:text=x", headers=lenient).status_code == 400
    assert client.get("/fhir/Patient?colour:text=x", headers=lenient).status_code == 200


def test_a_fhirpath_patch_is_told_that_it_is_none_of_ours(client: FlaskClient, here: str) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation"}]}
    for kind in ("application/fhir+json", "application/json"):
        assert client.patch(here, json=body, headers={**AUTH, "Content-Type": kind}).status_code == 415
    failing = [{"op": "test", "path": "/gender", "value": "male"}, {"op": "remove", "path": "/active"}]
    reply = client.patch(here, json=failing, headers={**AUTH, "Content-Type": STEPS})
    assert (reply.status_code, _codes(reply)[0][0]) == (422, "business-rule")
    assert client.get(here, headers=AUTH).json["active"] is True


def test_everything_may_be_asked_by_post(client: FlaskClient, here: str) -> None:
    whole = client.get(f"{here}/$everything", headers=AUTH).json
    assert client.post(f"{here}/$everything", headers=AUTH).json["total"] == whole["total"]
    asked = {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 1},
             {"name": "_type", "valueCode": "Patient"}, {"name": "_type", "valueCode": "Observation"}]}  # fmt: skip
    said = client.post(f"{here}/$everything", json=asked, headers=AUTH).json
    assert said["link"][0]["url"].endswith("$everything?_count=1&_type=Patient&_type=Observation")
    for wrong in ([], {"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": [{"name": "_count"}]},
                  {"resourceType": "Parameters", "parameter": [{"name": "start", "valueDate": "2026-01-01"}]},
                  {"resourceType": "Parameters", "parameter": {}}, {"resourceType": "Parameters", "parameter": [1]}):  # fmt: skip
        assert client.post(f"{here}/$everything", json=wrong, headers=AUTH).status_code == 400, wrong


@pytest.mark.parametrize(
    ("below", "status"),
    [
        ("Patient//1", 404), ("Patient/1/", 404), ("Patient/a b", 404), ("patient/1", 404), ("Patient/%ff", 404),
        (f"Patient/{'a' * 65}", 404), ("Patient/../metadata", 404), ("Patient/%24validate", 400), ("Patient/x;y=1", 404),
    ],
)  # fmt: skip
def test_an_odd_address_is_no_redirect(client: FlaskClient, below: str, status: int) -> None:
    method = "POST" if "validate" in below else "GET"
    reply = client.open(f"/fhir/{below}", method=method, headers={**AUTH, "Content-Type": "application/fhir+json"})
    assert reply.status_code == status


def test_a_version_has_one_name(client: FlaskClient, here: str) -> None:
    for version, status in (("1", 200), ("01", 404), ("0", 404), ("99", 404), ("x", 404), ("1" * 20, 404)):
        assert client.get(f"{here}/_history/{version}", headers=AUTH).status_code == status
    assert client.get(f"{here}/_history?_count=99999999999", headers=AUTH).json["total"] == 2


def _transaction(client: FlaskClient, *entries: dict[str, Any]) -> Any:
    body = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
    return client.post("/fhir", json=body, headers=AUTH)


def test_a_transaction_reads_as_the_single_request_would(client: FlaskClient, here: str) -> None:
    url = here.removeprefix("/fhir/")
    known = {"method": "GET", "url": url, "ifNoneMatch": 'W/"2"'}
    old = {**known, "ifNoneMatch": 'W/"1"'}
    head = {"method": "HEAD", "url": url}
    answers = _transaction(client, *({"request": one} for one in (known, old, head))).json["entry"]
    assert [one["response"]["status"][:3] for one in answers] == ["304", "200", "200"]
    assert ["resource" in one for one in answers] == [False, True, False]
    kept = {**PATIENT, "id": url.rpartition("/")[2]}
    refused = _transaction(client, {"resource": kept, "request": {"method": "PUT", "url": url, "ifNoneMatch": "*"}})
    assert refused.status_code == 412


def test_a_batch_answers_a_head_without_a_resource(client: FlaskClient, here: str) -> None:
    url = here.removeprefix("/fhir/")
    entries = [{"request": {"method": method, "url": url}} for method in ("HEAD", "GET")]
    body = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answers = client.post("/fhir", json=body, headers=AUTH).json["entry"]
    assert [(one["response"]["status"], "resource" in one) for one in answers] == [("200 OK", False), ("200 OK", True)]
    assert answers[0]["response"]["etag"] == 'W/"2"'


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_resource_beside_a_method_that_takes_none_is_not_dropped(client: FlaskClient, here: str, method: str) -> None:
    entry = {"resource": PATIENT, "request": {"method": method, "url": here.removeprefix("/fhir/")}}
    refused = _transaction(client, entry)
    assert (refused.status_code, _codes(refused)) == (422, [("invalid", "Bundle.entry[0].resource")])
    body = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    (answer,) = client.post("/fhir", json=body, headers=AUTH).json["entry"]
    assert answer["response"]["status"][:3] == "400"
    assert client.get(here, headers=AUTH).status_code == 200


def test_resources_that_point_at_each_other_are_created_together(client: FlaskClient) -> None:
    first, second = (f"urn:uuid:{each * 8}-{each * 4}-4{each * 3}-8{each * 3}-{each * 12}" for each in "12")
    made = _transaction(client, *(
        {"fullUrl": own, "request": {"method": "POST", "url": "Organization"},
         "resource": {"resourceType": "Organization", "name": "X", "partOf": {"reference": other}}}
        for own, other in ((first, second), (second, first))
    )).json["entry"]  # fmt: skip
    here, there = (one["response"]["location"].split("/_history")[0] for one in made)
    for one, other in ((here, there), (there, here)):
        assert client.get(f"/fhir/{one}", headers=AUTH).json["partOf"]["reference"] == other
    alone = {"fullUrl": first, "request": {"method": "POST", "url": "Organization"},
             "resource": {"resourceType": "Organization", "name": "X", "partOf": {"reference": second}}}  # fmt: skip
    refused = _transaction(client, alone)
    assert (refused.status_code, _codes(refused)) == (422, [("not-found", "Bundle.entry[0].resource.partOf.reference")])
