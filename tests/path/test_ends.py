"""How an order ends otherwise, who else has a hand on its Task, and the same order sent again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from peerfhir.fhir.writer import write
from peerfhir.records.schema import inbox_message, referral
from tests.path.looking import THREE, outputs
from tests.support.loop import Loop, Walk
from tests.support.scene import captured_order

LoopOf = Callable[..., Loop]
CLOSED = ("cancelled", "Referral closed")


def test_the_hospital_cannot_tell_who_ended_it(loop: Loop) -> None:
    """T37: declined by the person, not reached, stopped by the person: one and the same message."""
    walks: dict[str, Walk] = {}
    for patient in ("p1", "p2", "p3"):
        walks[patient] = loop.refer(patient).to_assigned()
    loop.settle()
    before = {task: loop.ward.tasks(task) for task in ("t1", "t2", "t3")}
    walks["p1"].act("they-decline")
    walks["p2"].lead("give-up", sentence="Three letters came back.")
    walks["p3"].stop()
    loop.settle()
    said = []
    for task, versions in before.items():
        after = loop.ward.tasks(task)[len(versions) :]
        assert after
        said.append([{name: value for name, value in one.items() if name not in OWN} | when(one) for one in after])
        assert loop.ward.shown(task)[-1] == CLOSED
    assert said[0] == said[1] == said[2]
    assert said[0][-1]["statusReason"] == {"text": "Referral closed."}
    assert "letters" not in loop.ward.words()


OWN = ("id", "identifier", "for", "focus", "meta", "authoredOn", "lastModified")  # ids and times of one order


def when(task: dict[str, Any]) -> dict[str, Any]:
    """Which times a Task tells, not which they are."""
    return {"executionPeriod": sorted(task.get("executionPeriod", {}))}


def test_a_program_that_declines_says_why(loop: Loop) -> None:
    walk = loop.refer()
    walk.lead("triage")
    walk.lead("decline", reason="no-capacity", sentence="We have no place before March.")
    loop.settle()
    task = loop.ward.task()
    assert loop.ward.shown()[-1] == ("rejected", "Program can't take this")
    assert task["statusReason"]["text"] == "We have no place before March."
    assert task["statusReason"]["coding"][0]["code"] == "no-capacity"


def test_a_hospital_that_takes_its_order_back_hears_its_own_words(loop: Loop) -> None:
    walk = loop.refer().to_met()
    walk.share(*THREE)
    loop.settle()
    walk.note()
    answer = withdraw(loop, "Discharged to another state.")
    assert answer["status"] == "cancelled"
    loop.settle()
    assert loop.ward.shown()[-1] == ("cancelled", "Withdrawn by you")
    assert loop.ward.task()["statusReason"]["text"] == "Discharged to another state."
    assert walk.now().status == "withdrawn-referrer"
    assert loop.ward.refusals() == []


def withdraw(loop: Loop, why: str) -> dict[str, Any]:
    """The hospital puts its order's Task at our own API to cancelled."""
    program = loop.ward.hospital.program
    found = program.get("Task?status=requested,accepted,in-progress")["entry"]
    task = found[0]["resource"]
    changed = {**task, "status": "cancelled", "statusReason": {"text": why}}
    version = f'W/"{task["meta"]["versionId"]}"'
    path, body = f"/fhir/Task/{task['id']}", write(changed)
    return program._exchange("PUT", path, body, "application/fhir+json", program.token(), {"If-Match": version})


# -- two hands on one Task ----------------------------------------------------------------------------------------


def test_a_change_made_at_the_hospital_meanwhile_is_kept(loop: Loop) -> None:
    walk = loop.refer()
    theirs = {"note": [{"text": "Family asks for a Tuesday."}], "priority": "urgent"}
    raced: list[str] = []

    def meanwhile(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and not raced:
            raced.append(environ["PATH_INFO"])
            loop.ward.edit("Task", "t1", **theirs)

    loop.ward.served.before = meanwhile
    walk.lead("triage")
    loop.settle()
    assert raced == ["/fhir/Task/t1"]
    assert [one.status for one in loop.ward.refusals()] == [412]
    task = loop.ward.task()
    assert {name: task[name] for name in theirs} == theirs
    assert loop.ward.shown()[-1] == ("requested", "Being reviewed")
    walk.lead("decline", reason="out-of-scope-clinical-need", sentence="Please ask the clinic.")
    loop.settle()
    assert {name: loop.ward.task()[name] for name in theirs} == theirs
    assert loop.ward.task()["status"] == "rejected"
    numbers = [one["meta"]["versionId"] for one in loop.ward.tasks()]
    assert numbers == [str(at) for at in range(1, len(numbers) + 1)]


def test_an_output_that_the_hospital_added_stays_beside_ours(loop: Loop) -> None:
    walk = loop.refer().to_met()
    walk.share(*THREE)
    loop.settle()
    theirs = {"type": {"text": "Ward's own remark"}, "valueString": "Seen by the chaplain."}
    loop.ward.edit("Task", "t1", output=[theirs])
    walk.note()
    loop.settle()
    walk.act("enrol")
    loop.settle()
    assert loop.ward.task()["output"][0] == theirs
    assert "Program enrollment" in outputs(loop.ward.task())


def test_a_task_that_the_hospital_has_ended_stays_as_it_left_it(loop: Loop) -> None:
    walk = loop.refer().to_met()
    walk.share(*THREE)
    loop.settle()
    ended = {"status": "failed", "statusReason": {"text": "The ward closed."}}
    loop.ward.edit("Task", "t1", **ended)
    left = loop.ward.task()
    walk.note()
    walk.act("enrol")
    walk.note(ago=30)
    loop.settle()
    assert loop.ward.task() == left
    assert loop.ward.counts() == {"Encounter": 2, "Procedure": 2, "DocumentReference": 2}  # what was agreed arrives
    assert loop.ward.refusals() == []


# -- the same order again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [False, True], ids=["one-after-another", "at-once"])
def test_the_same_order_sent_three_times_is_one_referral(loop: Loop, at_once: bool) -> None:
    order = captured_order(loop)
    program = loop.ward.hospital.program
    program.token()
    together = Barrier(3)

    def send(_: int) -> dict[str, Any]:
        if at_once:
            together.wait()
        return program.send(order)

    with ThreadPoolExecutor(3 if at_once else 1) as threads:
        answers = list(threads.map(send, range(3)))
    places = {tuple(one["response"]["location"].split("/_history/")[0] for one in a["entry"]) for a in answers}
    assert len(places) == 1
    loop.settle()
    assert loop.counted(referral) == 1
    assert loop.counted(inbox_message) == 1
    walk = Walk(loop, loop.referrals()[0].id, loop.referrals()[0].person_id).to_assigned()
    loop.settle()
    assert program.send(order)["type"] == "transaction-response"
    loop.settle()
    assert loop.counted(referral) == 1
    assert walk.now().status == "assigned"
