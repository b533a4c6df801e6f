from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import delete

from peerfhir.errors import MappingFailed
from peerfhir.fhir.capability import Offer
from peerfhir.outbox.reconcile import identifiers_of
from peerfhir.pathway.referral import CLOSED_FORM, SHOWN, Outward
from peerfhir.pathway.vocabulary import Piece, ShareClass, Status, TaskStatus
from peerfhir.records import outcomes, people
from peerfhir.records.database import writing
from peerfhir.records.schema import remote
from tests.outbox.ward import CHART, ENDPOINT, OPEN, make_ward


@pytest.fixture
def ward(engine, clock):
    return make_ward(engine, clock)


def told(task: TaskStatus, status: Status, reason: str | None = None) -> Outward:
    return Outward(task, status, SHOWN[status], reason)


IN_CONTACT = told(TaskStatus.IN_PROGRESS, Status.IN_CONTACT)
ENROLLED = told(TaskStatus.COMPLETED, Status.ENROLLED)


def test_a_meeting_is_said_with_the_hospitals_own_addresses(ward):
    prepared = ward.rendered(Piece.ENCOUNTER, ward.encounter)
    resource = json.loads(prepared.create)
    assert (prepared.form, prepared.rung, prepared.made_by.mapping_id) == ("Encounter", 1, "encounter")
    assert len(prepared.made_by.mapping_sha256) == 64
    assert resource["subject"]["reference"] == "Patient/their-patient"
    assert resource["basedOn"][0]["reference"] == "ServiceRequest/their-servicerequest"
    assert resource["serviceProvider"]["reference"] == "Organization/their-program"
    assert prepared.identifier == identifiers_of(resource)[0]
    assert prepared.identifier.endswith(f"|{ward.encounter.number}")


def test_the_same_record_gives_the_same_bytes(ward):
    first = ward.rendered(Piece.ENCOUNTER, ward.encounter)
    assert ward.rendered(Piece.ENCOUNTER, ward.encounter) == first


def test_the_peers_name_goes_out_only_with_its_own_consent(ward):
    assert ward.peer.display not in json.dumps(ward.created(Piece.ENCOUNTER, ward.encounter))
    ward.grant(ShareClass.CARE_TEAM_CONTACT)
    assert ward.peer.display in json.dumps(ward.created(Piece.ENCOUNTER, ward.encounter))


def test_later_pieces_point_to_the_earlier_ones_and_leave_out_what_is_not_there(ward):
    assert "encounter" not in ward.created(Piece.PROCEDURE, ward.encounter)
    ward.sent(Piece.ENCOUNTER, ward.encounter, "Encounter", "Encounter/9")
    assert ward.created(Piece.PROCEDURE, ward.encounter)["encounter"]["reference"] == "Encounter/9"
    assert ward.created(Piece.TOTAL, ward.outcome)["encounter"]["reference"] == "Encounter/9"
    ward.sent(Piece.TOTAL, ward.outcome, "Observation", "Observation/5")
    members = ward.created(Piece.PANEL, ward.outcome)["hasMember"]
    assert [one["reference"] for one in members] == ["Observation/5"]


def test_an_encounter_that_went_as_a_note_is_not_pointed_to_as_an_encounter(ward):
    ward.sent(Piece.ENCOUNTER, ward.encounter, "DocumentReference", "DocumentReference/9")
    assert "encounter" not in ward.created(Piece.PROCEDURE, ward.encounter)


def test_one_answer_is_one_item(ward):
    link_id = next(iter(ward.outcome.answers))
    resource = ward.created(Piece.ITEM, ward.outcome, link_id)
    assert resource["resourceType"] == "Observation"
    assert identifiers_of(resource)[0].split("|")[1].startswith(ward.outcome.number)


def test_a_lower_rung_is_named_with_its_reason(ward):
    prepared = ward.rendered(Piece.ENCOUNTER, ward.encounter, offer=Offer(creates=CHART - {"Encounter"}))
    assert (prepared.form, prepared.rung) == ("DocumentReference", 2)
    assert "no create of Encounter" in prepared.reason
    kept = ward.rendered(Piece.ENCOUNTER, ward.encounter, offer=Offer())
    assert (kept.form, kept.rung, kept.create, kept.change) == ("kept", 4, None, None)


def test_nothing_is_said_of_somebody_the_hospital_cannot_name(ward):
    with writing(ward.engine) as connection:
        connection.execute(delete(remote).where(remote.c.local.like("Patient/%")))
    kept = ward.rendered(Piece.ENCOUNTER, ward.encounter)
    assert (kept.form, kept.rung) == ("kept", 4)
    assert "in its system" in kept.reason


def test_a_record_that_a_mapping_cannot_say_is_a_mapping_failure(ward, engine):
    outcome = replace(ward.outcome, answers={"/1000-1": "no such answer"})
    with writing(engine) as connection:
        ward.outcome = outcomes.save(connection, outcome, ward.clock.now())
    with pytest.raises(MappingFailed):
        ward.rendered(Piece.RESPONSE, ward.outcome)


# the hospital's own Task


def task(status: str = "requested", **more):
    return {
        "resourceType": "Task", "id": "their-task", "status": status, "intent": "order", "priority": "urgent",
        "note": [{"text": "theirs"}], **more,
    }  # fmt: skip


def revised(ward, current):
    prepared = ward.rendered(Piece.STATUS, ward.referral)
    assert prepared.change is not None
    assert prepared.change.path == "Task/their-task"
    assert prepared.change.local == f"Task/{ward.referral.origin.task_id}"
    revision = prepared.change.revise(current)
    return (json.loads(revision.body) if revision.body else None), revision.more


def test_what_was_told_is_written_over_the_hospitals_task_and_the_rest_is_kept(ward):
    ward.tell(told(TaskStatus.ACCEPTED, Status.TRIAGE))
    body, more = revised(ward, task())
    assert (body["status"], body["priority"], body["note"], more) == ("accepted", "urgent", [{"text": "theirs"}], False)
    assert body["businessStatus"]["coding"][0]["code"] == "triage"
    again, _ = revised(ward, body)
    assert again is None, "it says so already"


def test_a_jump_goes_through_its_legal_steps_one_write_at_a_time(ward):
    ward.tell(ENROLLED)
    current, seen = task(), []
    for _ in range(4):
        body, more = revised(ward, current)
        if body is None:
            break
        seen.append((body["status"], more))
        current = body
    assert seen == [("accepted", True), ("completed", False)]


@pytest.mark.parametrize("word", ["received", "ready"])
def test_words_of_other_implementations_count_as_requested(ward, word):
    ward.tell(told(TaskStatus.ACCEPTED, Status.TRIAGE))
    body, _ = revised(ward, task(word))
    assert body["status"] == "accepted"


@pytest.mark.parametrize("ended", ["cancelled", "rejected", "failed", "entered-in-error"])
def test_a_task_that_its_keeper_has_ended_is_left_alone(ward, ended):
    ward.tell(IN_CONTACT)
    assert revised(ward, task(ended)) == (None, False)


def test_a_status_never_goes_back(ward):
    ward.tell(told(TaskStatus.ACCEPTED, Status.TRIAGE))
    body, _ = revised(ward, task("in-progress"))
    assert body["status"] == "in-progress"


def test_outputs_name_what_was_sent_and_only_that(ward):
    ward.sent(Piece.ENCOUNTER, ward.encounter, "Encounter", "Encounter/9")
    ward.sent(Piece.PROCEDURE, ward.encounter, "Procedure", "Procedure/8")
    ward.sent(Piece.SUMMARY, ward.encounter, "DocumentReference", "DocumentReference/7")
    ward.sent(Piece.TOTAL, ward.outcome, "Observation", "Observation/5")
    ward.sent(Piece.PANEL, ward.outcome, "kept", None)
    ward.tell(ENROLLED)
    body, _ = revised(ward, task("in-progress"))
    pointed = [one["valueReference"].get("reference") for one in body["output"] if "valueReference" in one]
    assert pointed[0] == "Procedure/8", "one implementation reads only the first"
    assert set(pointed) - {None} == {"Procedure/8", "DocumentReference/7", "Observation/5"}


def test_a_session_that_no_procedure_could_say_is_said_in_words(ward):
    ward.sent(Piece.PROCEDURE, ward.encounter, "kept", None)
    ward.tell(ENROLLED)
    body, _ = revised(ward, task("in-progress"))
    assert "Peer support" in [one.get("valueCodeableConcept", {}).get("text") for one in body["output"]]


def test_after_the_person_stopped_only_the_end_is_told(ward):
    ward.sent(Piece.PROCEDURE, ward.encounter, "Procedure", "Procedure/8")
    ward.tell(CLOSED_FORM, chosen=False)
    body, _ = revised(ward, task("in-progress"))
    assert (body["status"], body["statusReason"]["text"]) == ("cancelled", "Referral closed.")
    assert body["businessStatus"]["coding"][0]["code"] == "closed"
    assert "output" not in body


@pytest.mark.parametrize("status", [Status.OUTREACH, Status.INTRO_MISSED, Status.DECIDING])
def test_attendance_that_is_no_longer_shared_is_no_longer_told(ward, status):
    ward.tell(told(TaskStatus.IN_PROGRESS, status))
    body, _ = revised(ward, task("in-progress"))
    assert body["businessStatus"]["coding"][0]["code"] == "in-contact"
    ward.grant(ShareClass.ATTENDANCE)
    body, _ = revised(ward, task("in-progress"))
    assert body["businessStatus"]["coding"][0]["code"] == status


def test_a_hospital_without_task_gets_a_document_for_each_status(ward):
    offer = Offer(creates=CHART)
    seen = set()
    for said in (told(TaskStatus.ACCEPTED, Status.TRIAGE), IN_CONTACT):
        ward.tell(said)
        prepared = ward.rendered(Piece.STATUS, ward.referral, offer=offer)
        assert prepared.form == "DocumentReference"
        seen.add(prepared.identifier)
    assert len(seen) == 2, "each is a resource of its own"


def test_a_person_with_another_order_is_known_by_that(ward, engine, clock):
    """A record without an order is written beside the Patient of any order of the person."""
    message = replace(ward.message(Piece.ENCOUNTER, ward.encounter), referral_id=None)
    with writing(engine) as connection:
        people.at(connection, message.program_id, message.person_id)
        prepared = ward.render(connection, message, ENDPOINT, OPEN)
    assert json.loads(prepared.create)["subject"]["reference"] == "Patient/their-patient"
