"""schemathesis reads our OpenAPI document and calls every operation: no 5xx, and nothing that was not announced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from sqlalchemy import insert

from peerfhir.gateway.app import create_app
from peerfhir.gateway.openapi import build
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.vocabulary import Status, TaskStatus
from peerfhir.records import referrals
from peerfhir.records.database import open_engine, upgrade, writing
from peerfhir.records.schema import inbox_message, lane, outbox_message
from tests.support import doors
from tests.support.clock import HeldClock
from tests.support.mapping_folder import load

SEED = 20261121
EXAMPLES = 12  # beside the examples of the document and the corners of each parameter
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    unsupported_method,
]
API = schemathesis.openapi.from_dict(build("http://127.0.0.1"), config=SchemathesisConfig(seed=SEED))
API.config.generation.update(deterministic=True, max_examples=EXAMPLES)
MAPPING = """mapping: referral-csv
version: 1.0.0
fhirVersion: 4.0.1
source: {format: csv, key: id, fields: {id: string!, notes: string}}
bundle: none
resources:
  task: {resourceType: Task, status: requested, intent: order, note: {text: =notes}}
"""
INBOX_ID, OUTBOX_ID = "6f1d4c2ab7e84e0f9a3c5d7e8b901234", 42  # the examples of the document


@dataclass
class Site:
    """A web app in which the messages of the document's examples are, and who may ask."""

    app: Flask
    clock: HeldClock
    token: str
    basic: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('openapi') / 'peerfhir.db'}")
    upgrade(engine)
    clock = HeldClock()
    mappings = load(tmp_path_factory.mktemp("mapped"), "referral-csv", MAPPING)
    app = create_app(replace(doors.parts(engine, clock, access_token_seconds=10**6), mappings=mappings))
    app.testing = False
    client = doors.add_client(engine, clock, endpoint=None, scope="admin system/*.r")
    basic = doors.basic(*client)["Authorization"]
    yield Site(app, clock, doors.token(app.test_client(), *client), basic)
    engine.dispose()


@pytest.fixture
def furnished(site: Site) -> Site:
    """The rows of the examples, parked again."""
    now = site.clock.now()
    with writing(doors_engine(site.app)) as connection:
        for table in (outbox_message, inbox_message, lane):
            connection.execute(table.delete())
        connection.execute(
            insert(inbox_message).values(
                id=INBOX_ID, program_id="alpha", source="riverside", message_key="Task/t-1/_history/1", received_at=now,
                content_type="application/fhir+json", body=b"{}", body_sha256="0" * 64, focus="[]", execution_id="x",
                state="parked", reason="mapping-failed", advice="Mend it.", attempts=1, due_at=now, lease_epoch=0,
            )
        )  # fmt: skip
        connection.execute(
            insert(lane).values(
                id=1, program_id="alpha", endpoint="riverside", order_key="p1", lease_epoch=0, attempts=0, paused=False
            )
        )
        connection.execute(
            insert(outbox_message).values(
                id=OUTBOX_ID, program_id="alpha", lane_id=1, endpoint="riverside", idem="E-1:summary", piece="summary",
                share_class="summary", person_id="p1", record_type="encounter", record_id="e1", record_version=1,
                state="parked", reason="refused", advice="Look.", body=b"{}", attempts=3, created_at=now,
                horizon_at=now, parent_id=0,
            )
        )  # fmt: skip
        if referrals.by_number(connection, "alpha", "PF-000001") is None:
            story = Referral("r1", "alpha", "p1", "PF-000001", Status.RECEIVED, TaskStatus.REQUESTED)
            referrals.save(connection, story, now)
    return site


def doors_engine(app: Flask):
    return app.extensions["peerfhir"].engine


@API.parametrize()
@settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_no_call_is_answered_in_a_way_that_was_not_announced(furnished: Site, case: Case) -> None:
    furnished.clock.move(seconds=2)  # tries to get in are counted per minute
    proof = furnished.basic if case.path.startswith("/oauth/") else f"Bearer {furnished.token}"
    headers = {"Authorization": proof} if {"client", "token"} & names(case) else {}
    answer = case.call(app=furnished.app, headers=headers)
    # below /fhir a stranger is asked for a token before it learns which methods there are
    checks = [one for one in CHECKS if one is not unsupported_method or not case.path.startswith("/fhir/")]
    case.validate_response(answer, checks=checks, transport_kwargs={"app": furnished.app, "headers": headers})


def names(case: Case) -> set[str]:
    """What the operation asks for."""
    return {name for one in case.operation.definition.raw.get("security", []) for name in one}


@pytest.mark.parametrize("path", sorted(API.raw_schema["paths"]))
def test_every_operation_answers_its_own_examples(furnished: Site, path: str) -> None:
    """What schemathesis calls is there: the examples of the document find the rows they name."""
    web = furnished.app.test_client()
    furnished.clock.move(seconds=2)
    for method, one in API.raw_schema["paths"][path].items():
        parts = {each["name"]: each["example"] for each in one.get("parameters", []) if each["in"] == "path"}
        headers = {"Authorization": f"Bearer {furnished.token}"}
        form: dict[str, str] | None = None
        sent = None
        if "requestBody" in one and "application/json" in one["requestBody"]["content"]:
            fields = API.raw_schema["components"]["schemas"]["Explain"]["properties"]
            sent = {name: fields[name]["examples"][0] for name in ("input", "record", "path")}
        elif "requestBody" in one:
            headers = {"Authorization": furnished.basic}
            form = {"grant_type": "client_credentials"} if one["operationId"] == "token" else {"token": "x" * 43}
        answer = web.open(path.format(**parts), method=method.upper(), headers=headers, data=form, json=sent)
        assert answer.status_code == 200, (method, path, answer.text)
        assert answer.mimetype in one["responses"]["200"]["content"]
