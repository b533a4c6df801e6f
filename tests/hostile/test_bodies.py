"""No body makes a 5xx, none of a stranger's values comes back, and nothing is half-stored (S1, S2)."""

from __future__ import annotations

import copy
import random

import pytest
from sqlalchemy import func, select

from peerfhir.fhir.tables import fhir_resource, fhir_version
from peerfhir.fhir.writer import write
from peerfhir.records.database import reading
from peerfhir.records.schema import inbox_message, remote
from tests.support import doors

SEED = 20261121
MUTATIONS = 2000
CANARY = "MRN-CANARY-7781"
ODD = [
    None, True, False, 0, -1, 1.5, 10**30, "", " ", "x" * 3000, [], {}, [[]], [{}], [None], {"": ""}, {"id": {}},
    "\x00", "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "<script>", "javascript:x",
    "Patient/x", "#x", "urn:uuid:x", "http://[", "2026-13-45", "2026", {"reference": 7}, {"coding": "x"}, CANARY,
    {"resourceType": "Patient"}, {"resourceType": 1}, ["Task", "Task"],
]  # fmt: skip


@pytest.fixture
def hospital(web_app, lite, clock):
    return doors.speaker(web_app, lite, clock)


def _counts(engine):
    with reading(engine) as connection:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (fhir_resource, fhir_version, inbox_message, remote)
        ]


def _raw(hospital, method, path, body, media="application/fhir+json", **headers):
    return hospital.web.open(path, method=method, data=body, content_type=media, headers=hospital.headers(headers))


MALFORMED = [
    b"", b" ", b"{", b"}", b"[", b'{"a":1,}', b'{"a":1', b"[1,]", b"nul", b"NaN", b'{"a":NaN}', b'{"a":Infinity}',
    b'{"a":1e999999999}', b'{"a":"\x00"}', b'{"a":"\\u0000"}', b'{"a":"\\ud800"}', b'{"a":1,"a":2}', b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00", b'{"a":"\xff"}', b"'a'", b"// x\n{}", b'{"a":0x1}', b'{"a":01}', b'{"a":.5}', b"[" * 100_000,
    b'{"a":' * 5000, b"[]", b'"text"', b"7", b"null", b'{"resourceType":1}', b'{"resourceType":["Task"]}',
    b'{"resourceType":"Task"}' * 2, b"{}", b'{"resourceType":"Nonsense"}', b'{"resourceType":"StructureDefinition"}',
    b"<Task/>", b"%PDF-1.4", b"\x1f\x8b\x08\x00", b'{"a":' + b"9" * 5000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("path", ["/fhir", "/fhir/Task", "/fhir/Patient"])
def test_what_is_not_a_resource_is_a_400_or_422_that_names_the_place(hospital, lite, path):
    before = _counts(lite)
    for body in MALFORMED:
        answer = _raw(hospital, "POST", path, body)
        assert answer.status_code in (400, 413, 415, 422), (body[:40], answer.status_code)
        issue = answer.json["issue"][0]
        assert issue["severity"] == "error"
        assert issue.get("diagnostics")
        assert _raw(hospital, "PUT", "/fhir/Task/x", body).status_code in (400, 404, 413, 415, 422)
    assert _counts(lite) == before


@pytest.mark.parametrize(
    "media",
    ["application/fhir+xml", "text/xml", "text/plain", "", "application/xml; charset=utf-8", "multipart/form-data"],
)
def test_another_media_type_is_refused(hospital, media):
    assert _raw(hospital, "POST", "/fhir/Patient", b'{"resourceType":"Patient"}', media).status_code == 415


def test_a_compressed_body_is_refused(hospital):
    body = b'{"resourceType":"Patient"}'
    assert _raw(hospital, "POST", "/fhir/Patient", body, **{"Content-Encoding": "gzip"}).status_code == 415


def test_a_body_over_its_limit_is_refused_and_the_bundle_has_more_room(hospital, lite):
    before = _counts(lite)
    padding = {"resourceType": "Patient", "name": [{"text": "x" * (2 * 1024 * 1024)}]}
    assert hospital.post("/fhir/Patient", padding).status_code == 413
    order = doors.order()
    order["entry"][0]["resource"]["name"] = [{"text": "x" * (8 * 1024 * 1024)}]
    assert hospital.post("/fhir", order).status_code == 413
    assert _counts(lite) == before


def _spots(value, path=()):
    """Every place of a JSON value."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _spots(child, (*path, key))


def _mutate(dice, resource):
    changed = copy.deepcopy(resource)
    for _ in range(dice.randint(1, 3)):
        *way, last = dice.choice([spot for spot in _spots(changed) if spot])
        at = changed
        for step in way:
            at = at[step]
        kind = dice.random()
        if kind < 0.5:
            at[last] = copy.deepcopy(dice.choice(ODD))
        elif kind < 0.7 and isinstance(at, dict):
            at[dice.choice(["x", "resourceType", "id", "extension", "contained", "_status", "strange-key 7"])] = at.pop(
                last
            )
        elif kind < 0.85:
            del at[last]
        else:
            at[last] = [at[last]] * 3
    return changed


def test_no_mutation_of_an_order_makes_a_5xx_or_comes_back(hospital, lite):
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    bundle = doors.order()
    task = bundle["entry"][3]["resource"]
    accepted = 0
    for number in range(MUTATIONS):
        whole = number % 2 == 0
        changed = _mutate(dice, bundle if whole else task)
        try:
            body = write(changed)
        except (ValueError, TypeError):
            continue  # our own writer will not write it
        answer = _raw(hospital, "POST", "/fhir" if whole else "/fhir/Task", body)
        assert answer.status_code < 500, (number, answer.text)
        if answer.status_code >= 400:
            assert answer.json["resourceType"] == "OperationOutcome"
            assert CANARY not in answer.text, number
        else:
            accepted += 1
    assert accepted > 0


def test_cut_and_flipped_bytes_make_no_5xx(hospital):
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    good = write(doors.order())
    for _ in range(600):
        body = bytearray(good)
        for _ in range(dice.randint(1, 5)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        answer = _raw(hospital, "POST", "/fhir", bytes(body[: dice.randint(1, len(body))]))
        assert answer.status_code < 500


def test_odd_forms_at_the_token_endpoint_make_no_5xx(web_app, clock):
    dice = random.Random(SEED)
    web = web_app.test_client()
    names = ["grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "token"]
    values = [
        "client_credentials",
        "x",
        "",
        "a.b.c",
        "é",
        "%00",
        "\x7f",
        "system/*.rs",
        "x" * 9000,
        "eyJhbGciOiJub25lIn0.e30.",
    ]
    for _ in range(400):
        clock.move(seconds=2)
        form = {dice.choice(names): dice.choice(values) for _ in range(dice.randint(0, 6))} or {"a": "b"}
        path = dice.choice(["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
        answer = web.post(path, data=form)
        assert answer.status_code in (400, 401), (form, answer.status_code)
        assert set(answer.json) == {"error", "error_description"}


@pytest.mark.parametrize(
    "path",
    [
        "/fhir/Task?status=%00", "/fhir/Task?_count=-1", "/fhir/Task?_count=999999999999", "/fhir/Task?_lastUpdated=banana",
        "/fhir/Task?identifier=" + "x" * 5000, "/fhir/Task?_include=x", "/fhir/Task?%ff=%fe", "/fhir/Task?_sort=x",
        "/fhir/Task/../Patient", "/fhir/Task/%2e%2e", "/fhir/Task/x/_history/99999999999999999999", "/fhir//Task",
        "/fhir/Task/" + "x" * 5000, "/fhir/Task?_page=x", "/fhir/Task?status=a,b,c,,,", "/fhir/Task?authored-on=gt",
        "/admin/outbox/99999999999999999999", "/admin/trace/%00", "/admin/inbox/" + "x" * 500,
    ],
)  # fmt: skip
def test_odd_addresses_make_no_5xx(web_app, lite, clock, path):
    speaker = doors.speaker(web_app, lite, clock, scope="system/*.cruds admin")
    answer = speaker.get(path)
    assert answer.status_code < 500, answer.text
    assert answer.status_code in (200, 308, 400, 404), path
