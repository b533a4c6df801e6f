from __future__ import annotations

import copy
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from peerfhir.adapters import referral as referrals
from peerfhir.adapters.author import author
from peerfhir.adapters.pieces import Refs
from peerfhir.adapters.writeback import plan
from peerfhir.errors import MappingFailed
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.people import Identifier
from peerfhir.pathway.referral import CLOSED_FORM, SHOWN, Outward, Referral
from peerfhir.pathway.vocabulary import DeclineReason, Piece, Priority, ServiceType, Status, TaskStatus
from tests.adapters.making import CANONICAL, PROGRAM, Maker
from tests.adapters.offers import OFFERS, endpoint
from tests.adapters.order import consent, patient, request, requester, task
from tests.adapters.shelf import stored_task

SEED = 20261121
REFERRAL_SYSTEM = f"{CANONICAL}/NamingSystem/referral"


def shown(status: Status, task_status: TaskStatus, reason: str | None = None) -> Outward:
    return Outward(task_status, status, SHOWN[status], reason)


ENROLLED = shown(Status.ENROLLED, TaskStatus.COMPLETED)


# -- an order comes in ---------------------------------------------------------------------------------------------


def test_an_order_becomes_a_person_and_a_referral(mappings: Mappings) -> None:
    person, referral = referrals.from_fhir(mappings, task(), request(), patient(), requester(), consent())
    assert (person.given, person.family, person.birth_date) == ("Marisol", "Vega", date(1988, 4, 12))
    assert person.identifiers == (Identifier("https://ehr.example.org/mrn", "MRN-1001"),)
    assert (person.phone, person.email, person.area) == ("+1-555-0142", None, "27000")
    assert person.wishes.language == "es"
    assert person.safe_contact == "Safe contact: mobile, after 17:00, no voicemail."
    assert (referral.status, referral.task_status) == (Status.SENT, TaskStatus.REQUESTED)
    assert (referral.service, referral.priority) == (ServiceType.ONE_TO_ONE, Priority.URGENT)
    assert referral.reason == "Lonely since moving here."
    assert referral.requested_by == "Dr. Joan Okafor"
    assert (referral.contact_agreed, referral.contact_prohibited) == ("said-so", False)
    assert referral.origin is not None
    assert (referral.origin.task_id, referral.origin.request_id, referral.origin.patient_id) == ("t1", "sr1", "p1")
    assert referral.origin.placer == Identifier("https://ehr.example.org/orders", "ORD-1001")


def test_an_order_needs_neither_a_diagnosis_nor_a_consent_nor_a_requester_in_full(mappings: Mappings) -> None:
    bare = {key: value for key, value in request().items() if key not in ("reasonCode", "note", "priority")}
    without = {key: value for key, value in task().items() if key != "priority"}
    person, referral = referrals.from_fhir(mappings, without, bare, patient(), None, None)
    assert (referral.reason, person.safe_contact) == (None, None)
    assert referral.priority is Priority.ROUTINE
    assert referral.requested_by is None
    assert referral.contact_agreed == "not-asked"


def test_a_coded_need_is_a_reason_too(mappings: Mappings) -> None:
    coded = request() | {"reasonCode": [{"coding": [{"system": "urn:x", "code": "1", "display": "Loneliness"}]}]}
    _, referral = referrals.from_fhir(mappings, task(), coded, patient(), None, None)
    assert referral.reason == "Loneliness"


@pytest.mark.parametrize("service", ServiceType)
def test_a_service_of_ours_is_understood(mappings: Mappings, service: ServiceType) -> None:
    order = request()
    order["code"]["coding"].append({"system": f"{CANONICAL}/CodeSystem/peer-service-type", "code": service.value})
    _, referral = referrals.from_fhir(mappings, task(), order, patient(), None, None)
    assert referral.service is service


def test_a_person_who_must_not_be_contacted_is_marked_so(mappings: Mappings) -> None:
    for release in ("SDOHCC-CodeSystemTemporaryCodes", "sdohcc-temporary-codes"):
        system = f"http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/{release}"
        order = request() | {"orderDetail": [{"coding": [{"system": system, "code": "contacting-subject-prohibited"}]}]}
        _, referral = referrals.from_fhir(mappings, task(), order, patient(), None, None)
        assert referral.contact_prohibited


def test_without_an_order_number_the_tasks_own_number_is_taken(mappings: Mappings) -> None:
    order = {key: value for key, value in request().items() if key != "identifier"}
    _, referral = referrals.from_fhir(mappings, task(), order, patient(), None, None)
    assert referral.origin is not None
    assert referral.origin.placer == Identifier("https://ehr.example.org/tasks", "T-77")


def test_a_patient_without_a_name_stops_the_order_and_no_value_is_told(mappings: Mappings) -> None:
    nameless = {key: value for key, value in patient().items() if key != "name"}
    with pytest.raises(MappingFailed) as failure:
        referrals.from_fhir(mappings, task(), request(), nameless, None, None)
    assert "MRN-1001" not in str(failure.value)
    assert "person.map.yaml" in str(failure.value)


# -- a status goes out ---------------------------------------------------------------------------------------------


def fragment(mappings: Mappings, referral: Referral, outward: Outward, refs: Refs, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = referrals.status_to_fhir(
        mappings, referral, outward, refs, more.pop("engagement", None), program=PROGRAM, **more
    )
    return made


def merged(mappings: Mappings, referral: Referral, outward: Outward, refs: Refs, **more: Any) -> dict[str, Any]:
    ours = fragment(mappings, referral, outward, refs, **more)
    made: dict[str, Any] = referrals.merge_task(stored_task(referral), ours)
    return made


def test_every_outward_status_gives_a_valid_task(mappings: Mappings) -> None:
    maker = Maker(SEED)
    person = maker.person()
    for status in SHOWN:
        for task_status in TaskStatus:
            referral = maker.referral(person, Status.IN_CONTACT, TaskStatus.IN_PROGRESS)
            reason = "A sentence." if maker.random.random() < 0.5 else None
            outward = Outward(task_status, status, SHOWN[status], reason)
            after = merged(mappings, referral, outward, maker.refs())
            author(after)
            assert after["status"] == task_status.value
            assert after["businessStatus"]["coding"][0]["code"] == status.value
            assert after.get("statusReason", {}).get("text") == reason
            assert len(after["identifier"]) == 2


def test_a_completed_task_has_an_output_whatever_was_shared(mappings: Mappings) -> None:
    maker = Maker(SEED)
    person = maker.person()
    for status in (Status.ENROLLED, Status.INTRO_DONE, Status.REDIRECTED, Status.TRANSFERRED, Status.CLOSED):
        outward = shown(status, TaskStatus.COMPLETED)
        after = merged(mappings, maker.referral(person), outward, Refs(patient="Patient/1"))
        assert after["output"]


def test_procedures_come_first_and_enrolment_says_where_it_goes_on(mappings: Mappings) -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    engagement = maker.engagement(referral)
    refs = replace(maker.refs(), procedures=("Procedure/1", "Procedure/2"), total="Observation/3")
    outputs = merged(mappings, referral, ENROLLED, refs, engagement=engagement)["output"]
    assert [output.get("valueReference", {}).get("reference") for output in outputs[:3]] == [
        "Procedure/1",
        "Procedure/2",
        "Observation/3",
    ]
    assert outputs[3]["valueCodeableConcept"]["coding"][0]["code"] == "enrolled"
    assert outputs[4]["type"]["text"] == "Peer support continues"
    assert outputs[4]["valueReference"]["type"] == "EpisodeOfCare"
    assert outputs[4]["valueReference"]["identifier"]["value"] == engagement.number
    assert "reference" not in outputs[4]["valueReference"]


def test_before_enrolment_is_told_the_episode_is_not_named(mappings: Mappings) -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    engagement = maker.engagement(referral)
    outward = shown(Status.IN_CONTACT, TaskStatus.IN_PROGRESS)
    after = merged(mappings, referral, outward, maker.refs(), engagement=engagement)
    assert "output" not in after
    assert engagement.number not in str(after)
    assert "end" not in after["executionPeriod"]


def test_a_hospital_without_procedures_is_told_by_code(mappings: Mappings) -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    after = merged(mappings, referral, ENROLLED, maker.refs(), performed_as_code=True)
    concept = after["output"][0]["valueCodeableConcept"]
    assert [coding["code"] for coding in concept["coding"]] == ["410606002"]
    refs = replace(maker.refs(), procedures=("Procedure/1",))
    outputs = merged(mappings, referral, ENROLLED, refs, performed_as_code=True)["output"]
    assert [output["valueReference"]["reference"] for output in outputs[:1]] == ["Procedure/1"]
    assert "410606002" not in str(outputs)


def test_a_full_program_says_so_in_code(mappings: Mappings) -> None:
    maker = Maker(SEED)
    full = replace(maker.referral(maker.person()), decline_reason=DeclineReason.NO_CAPACITY.value)
    outward = shown(Status.DECLINED_PROGRAM, TaskStatus.REJECTED, "We are full until March.")
    reason = fragment(mappings, full, outward, maker.refs())["statusReason"]
    assert (reason["text"], reason["coding"][0]["code"]) == ("We are full until March.", "no-capacity")
    other = replace(full, decline_reason=DeclineReason.OTHER.value)
    assert "coding" not in fragment(mappings, other, outward, maker.refs())["statusReason"]


def test_three_ends_leave_as_one_and_the_same_message(mappings: Mappings) -> None:
    maker = Maker(SEED)
    base = maker.referral(maker.person())
    refs = maker.refs()
    forms = {
        str(fragment(mappings, replace(base, status=status, status_reason=maker.canary()), CLOSED_FORM, refs))
        for status in (Status.DECLINED_PERSON, Status.WITHDRAWN_PERSON, Status.UNABLE_TO_CONTACT)
    }
    [form] = forms
    assert not [canary for canary in maker.canaries if canary in form]


# -- merging -------------------------------------------------------------------------------------------------------


def test_merging_keeps_everything_the_hospital_keeps(mappings: Mappings) -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    before = stored_task(referral)
    kept = copy.deepcopy(before)
    after = referrals.merge_task(before, fragment(mappings, referral, ENROLLED, maker.refs()))
    assert before == kept
    for key in set(before) - {"status", "identifier"}:
        assert after[key] == before[key]
    assert after["identifier"][0] == before["identifier"][0]


def test_merging_again_changes_nothing(mappings: Mappings) -> None:
    maker = Maker(SEED)
    for _ in range(20):
        referral = maker.referral(maker.person())
        refs = replace(maker.refs(), procedures=tuple(f"Procedure/{n}" for n in range(maker.random.randrange(3))))
        ours = fragment(mappings, referral, ENROLLED, refs, engagement=maker.engagement(referral))
        once = referrals.merge_task(stored_task(referral), ours)
        assert referrals.merge_task(once, ours) == once


def test_outputs_are_appended_and_never_taken_away(mappings: Mappings) -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    theirs = {"type": {"text": "Their own"}, "valueString": "kept"}
    before = stored_task(referral) | {"output": [theirs]}
    first = referrals.merge_task(before, fragment(mappings, referral, ENROLLED, maker.refs()))
    refs = replace(maker.refs(), procedures=("Procedure/9",))
    second = referrals.merge_task(first, fragment(mappings, referral, ENROLLED, refs))
    assert second["output"][: len(first["output"])] == first["output"]
    assert second["output"][0] == theirs
    assert second["output"][-1]["valueReference"]["reference"] == "Procedure/9"


def test_an_output_that_a_server_decorated_is_recognised(mappings: Mappings) -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    refs = replace(maker.refs(), procedures=("Procedure/9",))
    ours = fragment(mappings, referral, ENROLLED, refs)
    once = referrals.merge_task(stored_task(referral), ours)
    decorated = copy.deepcopy(once)
    for number, output in enumerate(decorated["output"]):
        output["id"] = f"o{number}"
        output["type"].setdefault("text", "a text of theirs") if "coding" in output["type"] else None
        if "valueReference" in output:
            output["valueReference"]["display"] = "a display of theirs"
    assert len(referrals.merge_task(decorated, ours)["output"]) == len(once["output"])


def test_an_old_reason_does_not_outlive_its_status(mappings: Mappings) -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    before = stored_task(referral) | {"status": "on-hold", "statusReason": {"text": "Paused."}}
    moving = shown(Status.IN_CONTACT, TaskStatus.IN_PROGRESS)
    assert "statusReason" not in referrals.merge_task(before, fragment(mappings, referral, moving, maker.refs()))


# -- lower rungs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapping", ["status-as-note", "status-as-message"])
def test_a_hospital_without_task_can_read_the_same_words(mappings: Mappings, mapping: str) -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    made = fragment(mappings, referral, CLOSED_FORM, maker.refs(), mapping=mapping)
    author(made)
    assert f"{referral.number}#status-{referral.version}" in str(made["identifier"])
    assert made["meta"]["security"][0]["code"] == "N"


def test_the_plan_for_a_status_names_a_mapping_that_exists(mappings: Mappings) -> None:
    for name, offer in OFFERS.items():
        rung = plan(Piece.STATUS, offer, endpoint(name))
        assert rung.mapping is None or rung.mapping in mappings.ids()


def test_outputs_of_any_shape_are_compared_by_what_they_say() -> None:
    times = {"type": {"text": "Meetings"}, "valueTiming": {"event": ["2026-11-25", "2026-12-02"]}}
    other = {"type": {"text": "Meetings"}, "valueTiming": {"event": ["2026-11-25"]}}
    once = referrals.merge_task({"resourceType": "Task", "output": [times]}, {"output": [times, other]})
    assert once["output"] == [times, other]
