"""Public R4 clients, unchanged, against the shipped server as a process, with a token from /oauth/token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.patient import Patient
from fhirclient.models.servicerequest import ServiceRequest
from fhirclient.models.task import Task
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, MultipleResourcesFound, OperationOutcome, ResourceNotFound

from tests.interop import judges
from tests.interop.gateway import Gateway, running

MRN = "urn:interop:mrn"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


def smart(site: Gateway) -> FHIRClient:
    client = FHIRClient(settings={"app_id": "interop", "api_base": site.base})
    client.server.session.headers["Authorization"] = site.authorization
    return client


def patient(number: str, family: str = "Rivera") -> dict[str, Any]:
    return {"identifier": [{"system": MRN, "value": number}], "name": [{"family": family, "given": ["Ana"]}]}


def task(who: str, what: str, number: str) -> dict[str, Any]:
    """A referral as an R4 client makes it: the two resources before have been created."""
    return {
        "identifier": [{"system": "urn:interop:tasks", "value": number}],
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": what},
        "for": {"reference": who},
        "authoredOn": "2026-11-21T10:00:00Z",
        "requester": {"display": "Dr. Okafor (invented)"},
    }


# -- fhirpy -----------------------------------------------------------------------------------------------------


def test_fhirpy_creates_reads_searches_and_updates(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    made = client.resource("Patient", **patient("1"))
    made.save()
    assert made.id
    assert made["meta"]["versionId"] == "1"
    read = client.reference("Patient", made.id).to_resource()
    assert read["name"][0]["family"] == "Rivera"
    found = client.resources("Patient").search(identifier=f"{MRN}|1").fetch_all()
    assert [one.id for one in found] == [made.id]
    made["active"] = True
    made.save()
    assert client.resources("Patient").search(active="true", _id=made.id).first().id == made.id
    assert client.resources("Patient").search(_id=made.id).count() == 1
    assert client.resources("Patient").search(family="rivera", _id=made.id).get().id == made.id
    with pytest.raises(ResourceNotFound):
        client.resources("Patient").search(_id="nobody").get()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "nobody").to_resource()


def test_fhirpy_is_told_what_is_wrong(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    with pytest.raises(OperationOutcome) as refused:
        client.resource("Patient", colour="blue").save()
    assert refused.value.resource["issue"][0]["expression"] == ["Patient.colour"]
    stranger = SyncFHIRClient(site.base, authorization="Bearer nonsense")
    with pytest.raises(AuthorizationError, match="login"):
        stranger.resource("Patient", **patient("0")).save()


def test_fhirpy_creates_on_a_condition_once(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    search = client.resources("Patient").search(identifier=f"{MRN}|2")
    made = [search.get_or_create(client.resource("Patient", **patient("2"))) for _ in range(3)]
    assert [new for _, new in made] == [True, False, False]
    assert len({one.id for one, _ in made}) == 1
    assert search.count() == 1


def test_fhirpy_pages_through_everything_with_references(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    who = client.resource("Patient", **patient("3", "Paged"))
    who.save()
    for number in range(12):
        client.resource(
            "ServiceRequest", status="active", intent="order", subject=who.to_reference(),
            identifier=[{"system": "urn:interop:orders", "value": f"paged-{number}"}],
        ).save()  # fmt: skip
    orders = client.resources("ServiceRequest").search(subject=who.to_reference())
    assert len({one.id for one in orders.limit(5).fetch_all()}) == 12
    with pytest.raises(MultipleResourcesFound):
        orders.get()
    found = orders.include("ServiceRequest", "patient").limit(50).fetch_raw()
    modes = [one["search"]["mode"] for one in found["entry"]]
    assert (modes.count("match"), modes.count("include")) == (12, 1)


def test_fhirpy_sends_a_transaction_twice_and_it_is_there_once(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    person = {"resourceType": "Patient", **patient("4")}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:5d1f1b0a-0a1c-4a6b-9a51-0f1de0a9f5aa",
                "resource": person,
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={MRN}|4"},
            }
        ],
    }
    places = {client.execute("", "post", data=bundle)["entry"][0]["response"]["location"] for _ in range(2)}
    assert len(places) == 1


def test_fhirpy_asynchronously_sends_a_referral_and_watches_it(site: Gateway) -> None:
    async def walk() -> None:
        client = AsyncFHIRClient(site.base, authorization=site.authorization)
        who = client.resource("Patient", **patient("5"))
        await who.save()
        order = client.resource("ServiceRequest", status="active", intent="order", subject=who.to_reference())
        await order.save()
        sent = client.resource("Task", **task(f"Patient/{who.id}", f"ServiceRequest/{order.id}", "async"))
        await sent.save()
        await asyncio.to_thread(site.worker.drain)
        search = client.resources("Task").search(identifier="urn:interop:tasks|async")
        now = await search.get()
        assert now.id == sent.id
        assert now["businessStatus"]["coding"][0]["code"] == "received"
        assert len(await client.resources("Task").search(patient=f"Patient/{who.id}").fetch_all()) == 1

    with ThreadPoolExecutor(1) as apart:  # in this thread a browser of another test may have its loop
        apart.submit(asyncio.run, walk()).result()


def test_fhirpy_patches_a_part_and_reads_the_history(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    made = client.resource("Patient", **patient("8", "Patch"), gender="female")
    made.save()
    made["active"] = True
    made["gender"] = "male"
    made.save(fields=["active"])  # the one field, and no other
    assert client.reference("Patient", made.id).to_resource()["gender"] == "female"
    patched = client.patch("Patient", made.id, birthDate="1990-01-02", gender=None)
    assert (patched["birthDate"], patched["active"], "gender" in patched) == ("1990-01-02", True, False)
    assert patched["name"] == patient("8", "Patch")["name"]
    history = client.execute(f"Patient/{made.id}/_history", "get")
    assert [one["resource"]["meta"]["versionId"] for one in history["entry"]] == ["3", "2", "1"]
    first = client.execute(f"Patient/{made.id}/_history/1", "get")
    assert first["gender"] == "female"


def test_fhirpy_updates_on_a_condition_and_deletes(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    search = client.resources("Organization").search(identifier="urn:interop:organizations|9")
    body = {"identifier": [{"system": "urn:interop:organizations", "value": "9"}]}
    first, made = search.update(client.resource("Organization", **body, name="First"))
    second, again = search.update(client.resource("Organization", **body, name="Second"))
    assert (made, again) == (True, False)
    assert (first.id, second["name"]) == (second.id, "Second")
    second.delete()
    with pytest.raises(ResourceNotFound):
        client.reference("Organization", first.id).to_resource()
    assert search.count() == 0


def test_fhirpy_asks_whether_a_resource_is_valid(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    assert client.resource("Patient", **patient("10")).is_valid()
    assert not client.resource("Patient", gender="banana").is_valid()
    with pytest.raises(OperationOutcome):
        client.resource("Patient", gender="banana").is_valid(raise_exception=True)


def test_fhirpy_searches_through_a_reference(site: Gateway) -> None:
    client = SyncFHIRClient(site.base, authorization=site.authorization)
    who = client.resource("Patient", **patient("11", "Chained"))
    who.save()
    order = client.resource("ServiceRequest", status="active", intent="order", subject=who.to_reference())
    order.save()
    found = client.resources("ServiceRequest").search(**{"patient.identifier": f"{MRN}|11"}).fetch_all()
    assert [one.id for one in found] == [order.id]
    back = client.resources("Patient").search(_id=who.id).revinclude("ServiceRequest", "patient").fetch_raw()
    assert [one["search"]["mode"] for one in back["entry"]] == ["match", "include"]


# -- fhirclient ---------------------------------------------------------------------------------------------------


def test_fhirclient_creates_reads_searches_and_updates(site: Gateway) -> None:
    server = smart(site).server
    made = Patient({"resourceType": "Patient", **patient("6", "Quill")}).create(server)
    assert made is not None
    kept = Patient.read(made["id"], server)
    assert kept.name[0].family == "Quill"
    found = Patient.where({"identifier": f"{MRN}|6"}).perform_resources_iter(server)
    assert [one.id for one in found] == [kept.id]
    kept.active = True
    kept.update(server)
    assert Patient.read(made["id"], server).meta.versionId == "2"
    for number in range(15):
        Patient({"resourceType": "Patient", **patient(f"many-{number}", "Many")}).create(server)
    everyone = Patient.where({"family": "many", "_count": "4"}).perform_resources_iter(server)
    assert len({one.id for one in everyone}) == 15


def test_fhirclient_reads_what_the_gateway_says_of_itself(site: Gateway) -> None:
    statement = smart(site).server.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    offered = {one.type: {each.code for each in one.interaction} for one in statement.rest[0].resource}
    assert {"create", "read", "search-type", "update"} <= offered["Task"]


def test_fhirclient_sends_a_referral_and_watches_it(site: Gateway) -> None:
    server = smart(site).server
    who = Patient({"resourceType": "Patient", **patient("7")}).create(server)
    subject = {"reference": f"Patient/{who['id']}"}
    order = ServiceRequest({"status": "active", "intent": "order", "subject": subject}).create(server)
    sent = Task(task(subject["reference"], f"ServiceRequest/{order['id']}", "fhirclient")).create(server)
    site.worker.drain()
    now = Task.read(sent["id"], server)
    assert now.businessStatus.coding[0].code == "received"
    asked = Task.where({"identifier": "urn:interop:tasks|fhirclient", "status": "requested"})
    assert [bundle.total for bundle in asked.perform_iter(server)] == [1]
    again = Task(task(subject["reference"], f"ServiceRequest/{order['id']}", "fhirclient"))
    with pytest.raises(Exception, match="409"):
        again.create(server)


def test_fhirclient_sends_a_transaction_reads_the_history_and_deletes(site: Gateway) -> None:
    server = smart(site).server
    person = {"resourceType": "Patient", **patient("12", "Posted")}
    entry = {
        "fullUrl": "urn:uuid:5d1f1b0a-0a1c-4a6b-9a51-0f1de0a9f5ab",
        "resource": person,
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={MRN}|12"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    places = {server.post_json("", bundle).json()["entry"][0]["response"]["location"] for _ in range(2)}
    assert len(places) == 1
    (kept,) = Patient.where({"identifier": f"{MRN}|12"}).perform_resources_iter(server)
    kept.gender = "other"
    kept.update()
    history = Bundle.read_from(f"Patient/{kept.id}/_history", server)
    assert [one.resource.meta.versionId for one in history.entry] == ["2", "1"]
    kept.delete()
    with pytest.raises(Exception, match="410"):
        Patient.read(kept.id, server)


# -- under Node ---------------------------------------------------------------------------------------------------

BOTH = {
    "create": "1",
    "update": "2",
    "search": [True],
    "vread": "1",
    "conditional create": 1,
    "transaction": ["201", "201", "Bundled"],
    "paging": [3, 7],
    "patch": "Patched",
    "history": ["3", "2", "1"],
}
KIT = BOTH | {
    "metadata": "4.0.1",
    "smart": "/oauth/token",
    "read": "Kit",
    "search by POST": 1,
    "compartment": "searchset",
    "refusal": [422, "Patient.colour"],
    "unknown parameter": 400,
    "history of a type": "history",
    "batch": ["200", "404"],
    "delete": 410,
}
MEDPLUM = BOTH | {
    "read": "Plum",
    "total": 1,
    "refusal": ["structure", "Patient.colour"],
    "conditional update": [True, "Second", "2"],
    "validate": "OperationOutcome",
    "delete": "deleted",
}


def test_fhir_kit_client_has_a_working_day(site: Gateway, record_property: Any) -> None:
    version = judges.version("fhir-kit-client")
    saw = judges.ask("fhir-kit.mjs", {"base": site.base, "token": site.caller.token})
    record_property("judge", f"fhir-kit-client {version}: {', '.join(KIT)}")
    assert {name: saw[name] for name in KIT} == KIT


def test_medplum_core_has_a_working_day(site: Gateway, record_property: Any) -> None:
    version = judges.version("@medplum/core")
    saw = judges.ask("medplum.mjs", {"site": site.url, "token": site.caller.token})
    record_property("judge", f"@medplum/core {version}: {', '.join(MEDPLUM)}")
    assert {name: saw[name] for name in MEDPLUM} == MEDPLUM
