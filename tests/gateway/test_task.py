"""The field matrix of a Task, told once more and compared over every field and every pair of statuses."""

from __future__ import annotations

import copy

import pytest

from peerfhir.errors import BusinessRule, Fault, RequiredMissing
from peerfhir.gateway import task
from peerfhir.gateway.refusals import fault_of
from peerfhir.pathway.refusals import IllegalTransition, Refusal, WrongActor
from peerfhir.pathway.vocabulary import TaskStatus

STORED = {
    "resourceType": "Task",
    "id": "ours",
    "meta": {"versionId": "3", "profile": ["http://example.org/p"]},
    "text": {"status": "generated", "div": "<div>Order</div>"},
    "identifier": [{"system": "http://hospital.example/tasks", "value": "T-1"}],
    "basedOn": [{"reference": "ServiceRequest/sr"}],
    "status": "requested",
    "businessStatus": {"text": "Being reviewed"},
    "intent": "order",
    "priority": "routine",
    "code": {"text": "fulfill"},
    "description": "Peer support",
    "focus": {"reference": "ServiceRequest/sr"},
    "for": {"reference": "Patient/p"},
    "executionPeriod": {"start": "2026-11-21"},
    "authoredOn": "2026-11-21T10:00:00Z",
    "lastModified": "2026-11-21T10:00:00Z",
    "requester": {"reference": "PractitionerRole/r"},
    "owner": {"reference": "Organization/o"},
    "note": [{"text": "first"}],
    "restriction": {"repetitions": 1},
    "input": [{"type": {"text": "a"}, "valueString": "1"}],
    "output": [{"type": {"text": "b"}, "valueString": "2"}],
    "extension": [{"url": "http://example.org/x", "valueBoolean": True}],
}
NEVER = {
    "identifier", "basedOn", "businessStatus", "intent", "code", "description", "focus", "for", "executionPeriod",
    "authoredOn", "requester", "output", "extension", "statusReason", "encounter", "contained", "_authoredOn",
}  # fmt: skip
FREE = {"priority", "restriction", "owner"}
IGNORED = {"id", "meta", "text", "lastModified"}
APPENDED = {"note", "input"}


def _with(**changed):
    sent = copy.deepcopy(STORED)
    for name, value in changed.items():
        name = name.rstrip("_")
        if value is None:
            sent.pop(name, None)
        else:
            sent[name] = value
    return sent


def test_the_matrix_of_this_test_names_every_field_of_the_example():
    assert NEVER | FREE | IGNORED | APPENDED | {"resourceType", "status"} >= set(STORED)


@pytest.mark.parametrize("name", sorted(NEVER))
@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_field_that_is_not_the_requesters_is_refused_by_name(name, how):
    if how == "removed" and name not in STORED:
        return
    before = copy.deepcopy(STORED)
    with pytest.raises(BusinessRule) as fault:
        task.changed_task(STORED, _with(**{name: None if how == "removed" else "something else"}))
    assert fault.value.place == f"Task.{name.removeprefix('_')}"
    assert before == STORED


@pytest.mark.parametrize("name", sorted(FREE))
def test_a_field_of_the_requesters_may_change(name):
    assert task.changed_task(STORED, _with(**{name: "new"}))[name] == "new"
    assert name not in task.changed_task(STORED, _with(**{name: None}))


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_what_the_server_keeps_is_not_asked(name):
    assert task.changed_task(STORED, _with(**{name: "theirs"})) == STORED
    assert task.changed_task(STORED, _with(**{name: None})) == STORED


@pytest.mark.parametrize("name", sorted(APPENDED))
def test_a_list_only_grows_at_its_end(name):
    more = [*STORED[name], {"text": "second"}]
    assert task.changed_task(STORED, _with(**{name: more}))[name] == more
    for wrong in ([], None, [{"text": "second"}], [{"text": "second"}, *STORED[name]], "text"):
        with pytest.raises(BusinessRule) as fault:
            task.changed_task(STORED, _with(**{name: wrong}))
        assert fault.value.place == f"Task.{name}"


@pytest.mark.parametrize("status", [s for s in TaskStatus if s not in (TaskStatus.DRAFT, TaskStatus.REQUESTED)])
def test_the_owner_is_fixed_after_acceptance(status):
    stored = {**STORED, "status": status.value}
    with pytest.raises(BusinessRule):
        task.changed_task(stored, {**stored, "owner": {"reference": "Organization/other"}})


@pytest.mark.parametrize("before", list(TaskStatus))
@pytest.mark.parametrize("after", list(TaskStatus))
@pytest.mark.parametrize("reason", [None, "No longer needed.", "  "])
def test_every_pair_of_statuses_is_the_requesters_or_gets_its_own_refusal(before, after, reason):
    stored = {**STORED, "status": before.value}
    sent = {**stored, "status": after.value} | ({"statusReason": {"text": reason}} if reason else {})
    ends = {TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.REJECTED, TaskStatus.FAILED}
    try:
        got = task.changed_task(stored, sent)
    except (Fault, Refusal) as refused:
        fault = fault_of(refused, place="Task.status") if isinstance(refused, Refusal) else refused
        if before is after:
            assert reason is not None
            assert (fault.status, fault.place) == (422, "Task.statusReason")
        elif after is TaskStatus.CANCELLED and before not in ends and before is not TaskStatus.DRAFT:
            assert before is not TaskStatus.ENTERED_IN_ERROR or isinstance(refused, IllegalTransition)
            assert isinstance(refused, RequiredMissing | IllegalTransition)
            if isinstance(refused, RequiredMissing):
                assert not (reason or "").strip()
        else:
            assert isinstance(refused, IllegalTransition | WrongActor)
            assert fault.status in (403, 422)
        return
    assert got["status"] == after.value
    allowed = before is after or after is TaskStatus.ENTERED_IN_ERROR
    allowed |= after is TaskStatus.REQUESTED and before is TaskStatus.DRAFT
    allowed |= after is TaskStatus.CANCELLED and before not in ends and bool((reason or "").strip())
    assert allowed


@pytest.mark.parametrize("word", ["received", "ready", "requested"])
def test_partners_words_for_requested_are_understood_and_stored_as_one(word):
    assert task.new_task({"resourceType": "Task", "status": word})["status"] == "requested"
    assert task.changed_task(STORED, _with(status=word))["status"] == "requested"


@pytest.mark.parametrize("word", ["accepted", "completed", "cancelled", "entered-in-error", "banana", None, ["x"]])
def test_a_referral_does_not_begin_in_the_middle(word):
    with pytest.raises(BusinessRule) as fault:
        task.new_task({"resourceType": "Task", "status": word})
    assert fault.value.place == "Task.status"


@pytest.mark.parametrize("name", ["output", "executionPeriod"])
def test_what_the_program_fills_in_cannot_be_sent_along(name):
    with pytest.raises(BusinessRule) as fault:
        task.new_task({"resourceType": "Task", "status": "requested", name: [{}]})
    assert fault.value.place == f"Task.{name}"
