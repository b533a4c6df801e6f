from __future__ import annotations

import pytest

from peerfhir.fhir.labels import Labels
from peerfhir.fhir.store import Store
from peerfhir.inbox.intake import Intake, ReferenceMissing
from peerfhir.records.database import writing
from tests.inbox.order import IDS, PROGRAM, order, shipped


def drafts(engine, clock, *, endpoints=("general",), task=None, request=None, more=()):
    with writing(engine) as connection:
        store = Store(connection, PROGRAM, clock)
        resources = order(1)
        resources["ServiceRequest"] |= request or {}
        for kind, resource in resources.items():
            store.create(resource, Labels(source="general"), id=f"{IDS[kind]}1")
        for resource in more:
            store.create(resource, Labels(source="general"), id=resource["id"])
        asked = {**resources["Task"], "id": "t1", **(task or {})}
        return Intake(shipped(), frozenset(endpoints))(store, asked, "general")


def test_the_order_is_read_with_everything_it_leads_to(engine, clock):
    consent = {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"code": "IDSCL"}]}],
        "patient": {"reference": "Patient/p1"},
        "sourceAttachment": {"contentType": "text/plain", "title": "Agreed to be contacted: yes, said so"},
        "provision": {"type": "permit"},
    }
    role = {"resourceType": "PractitionerRole", "id": "r1", "practitioner": {"display": "Dr. Joan Okafor"}}
    person, draft = drafts(
        engine,
        clock,
        task={"requester": {"reference": "PractitionerRole/r1"}},
        request={"supportingInfo": [{"reference": "Observation/none"}, {"reference": "Consent/c1"}]},
        more=(consent, role),
    )
    assert (person.family, draft.requested_by, draft.contact_agreed) == ("Family1", "Dr. Joan Okafor", "said-so")
    assert draft.origin.placer.value == "ORD-1"


def test_results_are_owed_only_where_there_is_an_endpoint(engine, clock):
    _, draft = drafts(engine, clock, endpoints=())
    assert (draft.origin.source, draft.origin.endpoint) == ("general", None)


@pytest.mark.parametrize(
    "focus",
    [None, "x", {}, {"reference": 5}, {"reference": "ServiceRequest/none"}, {"reference": "Patient/p1"},
     {"reference": "https://elsewhere.example.org/fhir/ServiceRequest/sr1"}, {"reference": "ServiceRequest/sr1/_history/1"}],
)  # fmt: skip
def test_an_order_without_a_request_of_its_own_names_the_place(engine, clock, focus):
    with pytest.raises(ReferenceMissing) as caught:
        drafts(engine, clock, task={"focus": focus})
    assert caught.value.place == "Task.focus"


def test_an_unknown_requester_is_no_obstacle(engine, clock):
    _, draft = drafts(engine, clock, task={"requester": {"reference": "https://elsewhere.example.org/Practitioner/1"}})
    assert draft.origin.task_id == "t1"
