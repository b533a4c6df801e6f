"""Public R4 clients, unchanged, against the engine behind a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound
from werkzeug.serving import make_server

from tests.support.fhir import example
from tests.support.fhir_app import TOKEN, create_app


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app = create_app(f"sqlite:///{tmp_path_factory.mktemp('clients') / 'fhir.db'}")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/fhir"
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["engine"].dispose()


def patient(number: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:mrn", "value": number}],
        "name": [{"family": f"Rivera{number}", "given": ["Ana"]}],
    }


def elements(resource: dict[str, Any]) -> dict[str, Any]:
    """What fhirpy takes beside the type."""
    return {name: value for name, value in resource.items() if name != "resourceType"}


def test_fhirpy_creates_reads_searches_and_updates(base: str) -> None:
    client = SyncFHIRClient(base, authorization=f"Bearer {TOKEN}")
    made = client.resource("Patient", **elements(patient("1")))
    made.save()
    assert made.id
    read = client.reference("Patient", made.id).to_resource()
    assert read["name"][0]["family"] == "Rivera1"
    found = client.resources("Patient").search(identifier="urn:mrn|1").fetch_all()
    assert [one.id for one in found] == [made.id]
    assert client.resources("Patient").search(family="rivera1").count() == 1
    assert client.resources("Patient").search(_id=made.id).get().id == made.id
    made["active"] = True
    made.save()
    assert client.resources("Patient").search(active="true").first().id == made.id
    with pytest.raises(ResourceNotFound):
        client.resources("Patient").search(_id="nobody").get()
    with pytest.raises(OperationOutcome):
        client.resource("Patient", foo="bar").save()


def test_fhirpy_get_or_create_never_doubles(base: str) -> None:
    client = SyncFHIRClient(base, authorization=f"Bearer {TOKEN}")
    body = elements(patient("2"))
    search = client.resources("Patient").search(identifier="urn:mrn|2")
    _, first = search.get_or_create(client.resource("Patient", **body))
    _, second = search.get_or_create(client.resource("Patient", **body))
    assert (first, second) == (True, False)
    assert search.count() == 1


def test_fhirpy_pages_through_everything(base: str) -> None:
    client = SyncFHIRClient(base, authorization=f"Bearer {TOKEN}")
    for number in range(12):
        client.resource("Organization", name=f"Ward {number}").save()
    found = client.resources("Organization").search(name="ward").limit(5).fetch_all()
    assert len({one.id for one in found}) == 12
    with pytest.raises(MultipleResourcesFound):
        client.resources("Organization").search(name="ward").get()


def test_fhirpy_asynchronously_with_references(base: str) -> None:
    async def walk() -> None:
        client = AsyncFHIRClient(base, authorization=f"Bearer {TOKEN}")
        who = client.resource("Patient", **elements(patient("3")))
        await who.save()
        order = client.resource("ServiceRequest", status="active", intent="order", subject=who.to_reference())
        await order.save()
        found = (
            await client.resources("ServiceRequest")
            .search(patient=who.to_reference())
            .include("ServiceRequest", "patient")
            .fetch_raw()
        )
        kinds = [(one["resource"]["resourceType"], one["search"]["mode"]) for one in found["entry"]]
        assert kinds == [("ServiceRequest", "match"), ("Patient", "include")]

    asyncio.run(walk())


def test_fhirclient_creates_reads_and_searches(base: str) -> None:
    from fhirclient.client import FHIRClient
    from fhirclient.models.patient import Patient
    from fhirclient.models.task import Task

    smart = FHIRClient(settings={"app_id": "tests", "api_base": base})
    smart.server.session.headers["Authorization"] = f"Bearer {TOKEN}"
    made = Patient(patient("4")).create(smart.server)
    assert made is not None
    kept = Patient.read(made["id"], smart.server)
    assert kept.name[0].family == "Rivera4"
    assert [one.id for one in Patient.where({"identifier": "urn:mrn|4"}).perform_resources_iter(smart.server)] == [
        kept.id
    ]
    kept.active = True
    kept.update(smart.server)
    assert Patient.read(made["id"], smart.server).meta.versionId == "2"
    body = {**example("Task-requested"), "owner": {"display": "the program"}}
    del body["id"]
    Task(body).create(smart.server)
    asked = Task.where({"status": "requested", "identifier": "https://ehr.example.org/tasks|T-77"})
    assert [bundle.total for bundle in asked.perform_iter(smart.server)] == [1]
    for number in range(60):
        Patient({"resourceType": "Patient", "name": [{"family": f"Many{number}"}]}).create(smart.server)
    found = list(Patient.where({"family": "many"}).perform_resources_iter(smart.server))
    assert len({one.id for one in found}) == 60
