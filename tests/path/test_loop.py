"""One referral through every room and back, over HTTP, on both databases; judged by the hospital's own store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from peerfhir.fhir.writer import write
from peerfhir.records.schema import inbox_message, outbox_message, referral
from tests.support.loop import CANONICAL, NOTE, SUMMARY, Loop, Walk, captured_order

LoopOf = Callable[..., Loop]
ALL = ("attendance", "summary", "scores", "item-level")
THREE = ("attendance", "summary", "scores")
CLOSED = ("cancelled", "Referral closed")


def episodes(loop: Loop, patient: str = "p1") -> list[str | None]:
    """The episode's number of each meeting in the chart, in the order of the meetings."""
    met = sorted(loop.ward.of("Encounter", patient), key=lambda one: one["period"]["start"])
    return [one.get("episodeOfCare", [{}])[0].get("identifier", {}).get("value") for one in met]


def outputs(task: dict[str, Any]) -> list[str]:
    """What each output of a Task says it is."""
    found = []
    for one in task.get("output", []):
        concept = one["type"]
        found.append(concept.get("text") or concept["coding"][0]["code"])
    return found


def doubled(loop: Loop) -> list[str]:
    """Identifiers that two chart resources share."""
    seen: set[str] = set()
    twice = []
    for patient in ("p1", "p2", "p3"):
        for version in loop.ward.arrived(patient):
            first = version.resource["identifier"]
            first = first[0] if isinstance(first, list) else first
            key = f"{version.type} {first['system']}|{first['value']}"
            twice += [key] if key in seen else []
            seen.add(key)
    return twice


# -- the loop as it is meant ------------------------------------------------------------------------------------


def test_what_was_agreed_arrives_once_through_an_outage_and_nothing_after_the_person_stops(loop: Loop) -> None:
    ines, omar = loop.alone("Ines", "Calder"), loop.alone("Omar", "Field")
    walk = loop.refer().to_met()
    loop.settle()
    assert loop.ward.shown()[-1] == ("in-progress", "In contact")  # nothing more before the person has chosen
    assert loop.ward.counts() == {}
    walk.share(*THREE)
    walk.note()
    loop.settle()
    walk.act("enrol")
    loop.settle()
    assert loop.ward.shown()[-1] == ("completed", "Working together")
    assert loop.ward.counts() == {"Encounter": 1, "DocumentReference": 1, "Procedure": 1}

    loop.ward.served.stop()
    loop.group(walk.peer, [walk.person_id, ines, omar])
    walk.phq9()
    for _ in range(3):
        loop.turn()
    waiting = loop.waiting()
    assert waiting == 5
    loop.ward.served.start()
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2}
    assert episodes(loop) == [None, "EP-000001"]

    walk.note(ago=20, working="A short call.", summary="A short check-in call.")
    walk.stop()
    loop.settle()
    assert loop.ward.shown()[-1] == ("completed", "Referral closed")
    before = loop.ward.versions()
    loop.clock.skip(3600)
    loop.settle()
    assert loop.ward.versions() == before
    assert loop.ward.counts() == {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2}
    assert doubled(loop) == []
    assert loop.ward.refusals() == []
    everything = loop.ward.words()
    for kept_back in (NOTE, "A short check-in call.", "They compared tea shops.", "44250-9", "First cup of tea"):
        assert kept_back not in everything
    assert SUMMARY in everything
    states = {(state, reason) for _, _, state, reason in loop.owed()}
    assert ("cancelled", "consent-withdrawn") in states
    assert not {state for state, _ in states} - {"done", "superseded", "cancelled"}


def test_item_answers_arrive_each_once_where_they_are_shared(loop: Loop) -> None:
    walk = loop.refer().to_enrolled(*ALL)
    walk.phq9()
    loop.settle()
    assert loop.ward.counts() == {"QuestionnaireResponse": 1, "Observation": 11}
    assert doubled(loop) == []
    response = loop.ward.of("QuestionnaireResponse")[0]
    assert len(response["item"]) == 9
    codes = sorted(one["code"]["coding"][0]["code"] for one in loop.ward.of("Observation"))
    assert len(set(codes)) == 11
    panel = next(one for one in loop.ward.of("Observation") if one.get("hasMember"))
    kept = {f"Observation/{v.id}" for v in loop.ward.arrived() if v.type == "Observation"}
    members = {one["reference"] for one in panel["hasMember"]}
    assert len(members & kept) == 10
    assert loop.ward.refusals() == []


def test_scores_without_answers_are_two_observations(loop: Loop) -> None:
    walk = loop.refer().to_enrolled("scores")
    walk.phq9()
    walk.note()
    loop.settle()
    assert loop.ward.counts() == {"Observation": 2}
    total = next(one for one in loop.ward.of("Observation") if "valueInteger" in one or "valueQuantity" in one)
    value = total.get("valueInteger", total.get("valueQuantity", {}).get("value"))
    assert value == 12


def test_three_workers_at_once_deliver_each_piece_once(loop: Loop) -> None:
    walks = [loop.refer(patient) for patient in ("p1", "p2", "p3")]
    for walk in walks:
        walk.to_enrolled(*ALL)
        walk.note()
        walk.phq9()
    more = [loop.house.worker() for _ in range(2)]
    with ThreadPoolExecutor(3) as threads:
        for _ in range(20):
            list(threads.map(lambda one: one.drain(), (loop.worker, *more)))
            if not loop.waiting():
                break
            loop.clock.skip(2)
    for worker in more:
        worker.outbox.close()
    whole = {"Encounter": 1, "Procedure": 1, "DocumentReference": 1, "QuestionnaireResponse": 1, "Observation": 11}
    assert [loop.ward.counts(patient) for patient in ("p1", "p2", "p3")] == [whole] * 3
    assert doubled(loop) == []
    assert [loop.ward.shown(task)[-1] for task in ("t1", "t2", "t3")] == [("completed", "Working together")] * 3
    assert loop.ward.refusals() == []


def test_a_token_of_the_hospital_that_ran_out_or_was_forgotten_is_asked_for_again(loop: Loop) -> None:
    walk = loop.refer().to_enrolled("attendance")
    loop.settle()
    loop.clock.skip(3600)
    loop.leave()
    walk.note(ago=60)
    loop.settle()
    assert loop.ward.refusals() == []  # known to be too old, and renewed before
    loop.ward.hospital.authority._tokens.clear()
    walk.note(ago=30)
    loop.settle()
    assert {one.status for one in loop.ward.refusals()} == {401}
    assert loop.ward.counts() == {"Encounter": 2, "Procedure": 2}


# -- when the order counts as fulfilled ---------------------------------------------------------------------------


def test_complete_on_enrolled_fulfils_the_order_when_they_decide_to_work_together(loop_of: LoopOf) -> None:
    loop = loop_of(complete_on="enrolled")
    walk = loop.refer().to_met()
    walk.share(*THREE)
    walk.note(ago=60)
    loop.settle()
    assert loop.ward.shown()[-1] == ("in-progress", "First meeting done")
    walk.act("enrol")
    loop.settle()
    fulfilled = loop.ward.task()
    assert loop.ward.shown()[-1] == ("completed", "Working together")
    assert outputs(fulfilled) == ["resulting-activity", "Peer support note", "Program enrollment",
                                  "Peer support continues"]  # fmt: skip
    continues = fulfilled["output"][-1]["valueReference"]["identifier"]
    assert continues == {"system": f"{CANONICAL}/NamingSystem/episode", "value": "EP-000001"}
    assert {"start", "end"} == set(fulfilled["executionPeriod"])
    walk.note(ago=30)
    walk.phq9()
    loop.settle()
    assert loop.ward.task() == fulfilled  # a Task that has ended is not written again
    assert loop.ward.counts() == {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2}
    assert episodes(loop) == [None, "EP-000001"]


def test_complete_on_intro_done_fulfils_the_order_at_the_first_meeting(loop_of: LoopOf) -> None:
    loop = loop_of(complete_on="intro-done")
    walk = loop.refer().to_assigned()
    walk.share(*THREE)
    walk.act("contact", channel="phone", outcome="answered")
    walk.act("meeting", at=loop.local(minutes=10))
    loop.settle()
    assert loop.ward.shown()[-1] == ("in-progress", "First meeting booked")
    walk.note(ago=90)
    loop.settle()
    fulfilled = loop.ward.task()
    assert loop.ward.shown()[-1] == ("completed", "First meeting done")
    assert "Referral outcome" in outputs(fulfilled)
    assert "Program enrollment" not in outputs(fulfilled)
    walk.act("enrol")
    walk.note(ago=30)
    loop.settle()
    assert loop.ward.task()["status"] == "completed"
    assert loop.ward.counts() == {"Encounter": 2, "DocumentReference": 2, "Procedure": 2}
    assert episodes(loop) == [None, "EP-000001"]


def test_complete_on_intro_done_waits_for_the_persons_choice_before_it_tells(loop_of: LoopOf) -> None:
    loop = loop_of(complete_on="intro-done")
    walk = loop.refer().to_met()
    loop.settle()
    assert loop.ward.shown()[-1] == ("in-progress", "In contact")
    walk.share(*THREE)
    loop.settle()
    assert loop.ward.shown()[-1] == ("completed", "First meeting done")
    assert loop.ward.counts() == {}  # the meeting itself was before the choice


def test_complete_on_episode_closed_fulfils_the_order_at_the_end(loop_of: LoopOf) -> None:
    loop = loop_of(complete_on="episode-closed")
    walk = loop.refer().to_enrolled(*THREE)
    loop.settle()
    assert loop.ward.shown()[-1] == ("in-progress", "Working together")
    walk.note(ago=60)
    walk.phq9()
    loop.settle()
    assert loop.ward.task()["status"] == "in-progress"
    assert episodes(loop) == ["EP-000001"]
    walk.act("close", reason="goals-met")
    loop.settle()
    fulfilled = loop.ward.task()
    assert loop.ward.shown()[-1] == ("completed", "Finished working together")
    assert {"resulting-activity", "Peer support note", "Program enrollment"} <= set(outputs(fulfilled))
    assert "goals-met" not in loop.ward.words()  # why it ended stays in the program
    assert loop.ward.counts() == {"Encounter": 1, "DocumentReference": 1, "Procedure": 1, "Observation": 2}


# -- a group ----------------------------------------------------------------------------------------------------


def test_nobody_in_a_group_is_named_in_anothers_chart(loop: Loop) -> None:
    ines = loop.alone("Ines", "Calder")
    walks = {"p1": loop.refer("p1").to_enrolled(*THREE), "p2": loop.refer("p2")}
    walks["p2"].to_proposed()
    walks["p2"].own("choose", {"peer_id": walks["p1"].now().peer_id or ""})
    walks["p2"].peer = walks["p1"].peer
    walks["p2"].act("accept")
    walks["p2"].act("contact", channel="phone", outcome="answered")
    walks["p2"].note(ago=90, keep=True)
    walks["p2"].share(*THREE)
    walks["p2"].act("enrol")
    loop.settle()
    alone = loop.alone("Omar", "Field", walks["p1"].peer)
    people = [walks["p1"].person_id, walks["p2"].person_id, alone]
    loop.group(walks["p1"].peer, people)
    loop.settle()
    assert loop.ward.counts("p1") == loop.ward.counts("p2") == {"Encounter": 1, "DocumentReference": 1, "Procedure": 1}
    names = {"p1": ("Marisol", "Vega", "MRN-1001"), "p2": ("Tomas", "Birch", "MRN-1002")}
    groups, numbers = loop.group_keys(), {p: loop.meeting_numbers(w.person_id) for p, w in walks.items()}
    assert len(groups) == 1
    numbers["nobody"] = loop.meeting_numbers(alone)
    everything = loop.ward.words()
    for words in ("Omar", "Field", "Ines", "Calder", ines, alone, *groups, *numbers["nobody"]):
        assert words not in everything
    for one, other in (("p1", "p2"), ("p2", "p1")):
        chart = loop.ward.words(one)
        for words in (*names[other], f"Patient/{other}", walks[other].person_id, *numbers[other]):
            assert words not in chart, f"{one} names {other}"
    starts = {tuple(one["period"].values()) for p in ("p1", "p2") for one in loop.ward.of("Encounter", p)}
    assert len(starts) == 1  # it was the same hour all the same


# -- the person's own choice --------------------------------------------------------------------------------------


def test_a_stop_before_they_work_together_closes_the_order_and_cancels_what_waits(loop: Loop) -> None:
    walk = loop.refer().to_met()
    walk.share(*THREE)
    loop.settle()
    walk.note()
    assert loop.waiting() == 3
    walk.stop()
    loop.settle()
    assert loop.ward.shown()[-1] == CLOSED
    assert loop.ward.task()["statusReason"] == {"text": "Referral closed."}
    assert loop.ward.counts() == {}
    assert sum(1 for _, _, state, reason in loop.owed() if (state, reason) == ("cancelled", "consent-withdrawn")) == 3


def test_a_narrower_choice_holds_for_what_waits_and_a_wider_one_for_what_comes(loop: Loop) -> None:
    walk = loop.refer().to_enrolled(*ALL)
    loop.settle()
    walk.note(ago=60)
    walk.phq9()
    walk.share("attendance", "scores")
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 1, "Procedure": 1, "Observation": 2}
    cancelled = [
        piece for piece, _, state, reason in loop.owed() if (state, reason) == ("cancelled", "consent-narrowed")
    ]
    assert sorted(cancelled) == sorted(["summary", "response", *["item"] * 9])
    walk.share("attendance", "summary", "scores")
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 1, "Procedure": 1, "Observation": 2}  # not released afterwards
    walk.note(ago=30)
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 2, "Procedure": 2, "Observation": 2, "DocumentReference": 1}


def test_someone_who_stopped_may_start_again_with_a_new_order(loop: Loop) -> None:
    first = loop.refer().to_enrolled(*THREE)
    first.note()
    loop.settle()
    first.stop()
    loop.settle()
    closed = loop.ward.task("t1")
    again = loop.refer()
    assert again.person_id == first.person_id
    first.share()  # they start again, with nothing let out
    again.to_met()
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 1, "Procedure": 1, "DocumentReference": 1}
    again.share("attendance")
    again.note(ago=30)
    again.act("enrol")
    loop.settle()
    assert loop.ward.shown("t2")[-1] == ("completed", "Working together")
    assert loop.ward.counts() == {"Encounter": 2, "Procedure": 2, "DocumentReference": 1}
    assert loop.ward.task("t1") == closed
    assert doubled(loop) == []


# -- other ends -------------------------------------------------------------------------------------------------


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


# -- somebody who cannot be written to ------------------------------------------------------------------------------


def test_an_order_of_a_client_without_an_endpoint_works_in_full_and_owes_nothing(loop_of: LoopOf) -> None:
    loop = loop_of(owed=False)
    walk = loop.refer().to_enrolled(*ALL)
    walk.note()
    walk.phq9()
    walk.act("stage", stage="explore")
    walk.act("close", reason="goals-met")
    loop.settle()
    assert loop.counted(outbox_message) == 0
    assert loop.ward.shown() == [("requested", "Sent")]
    assert loop.ward.counts() == {}
    assert loop.ward.served.answered[-1].path.startswith("/charts")  # nobody called
    own = loop.ward.hospital.program.get("Task")["entry"]
    assert [one["resource"]["status"] for one in own] == ["completed"]  # it stands on our own API for who asks


# -- other hospitals ----------------------------------------------------------------------------------------------

# Two meetings, the second with a summary, and one PHQ-9, everything shared before: what each hospital's own store
# holds in the end. epic-like takes no Encounter: both meetings are documents; oracle-like takes no score as an
# Observation and no answers: a note tells the total; its Task is not there to be updated: each state is a note.
AT = {
    "open": {"Encounter": 2, "Procedure": 2, "DocumentReference": 1, "QuestionnaireResponse": 1, "Observation": 11},
    "epic-like": {"Procedure": 2, "DocumentReference": 3, "QuestionnaireResponse": 1, "Observation": 11},
    "oracle-like": {"Encounter": 2, "Procedure": 2, "DocumentReference": 2},
    "athena-like": {"QuestionnaireResponse": 1},
}


@pytest.mark.parametrize("mood", AT)
def test_each_hospital_gets_the_forms_it_takes_and_refuses_none(loop_of: LoopOf, mood: str) -> None:
    loop = loop_of(mood=mood)
    walk = loop.refer().to_assigned()
    walk.share(*ALL)
    walk.act("contact", channel="phone", outcome="answered")
    walk.note(ago=90, summary="")
    walk.act("enrol")
    walk.note(ago=60)
    walk.phq9()
    loop.settle()
    states = [v for v in loop.ward.arrived() if v.type == "DocumentReference" and is_state(v.resource)]
    counts = loop.ward.counts()
    if states:
        counts["DocumentReference"] -= len(states)
    assert {kind: n for kind, n in counts.items() if n} == AT[mood]
    assert loop.ward.refusals() == []
    assert doubled(loop) == []
    assert {state for _, _, state, _ in loop.owed()} <= {"done", "superseded"}
    if mood in ("open", "epic-like"):
        assert loop.ward.shown()[-1] == ("completed", "Working together")
        assert not states
    if mood == "oracle-like":
        assert states
    walk.stop()
    loop.settle()
    assert loop.ward.refusals() == []
    assert NOTE not in loop.ward.words()


def is_state(note: dict[str, Any]) -> bool:
    return any("#status-" in one["value"] for one in note["identifier"])


@pytest.mark.parametrize("mood", ["oracle-like", "athena-like"])
def test_what_a_hospital_does_not_take_it_can_read_at_our_own_api(loop_of: LoopOf, mood: str) -> None:
    loop = loop_of(mood=mood)
    walk = loop.refer().to_enrolled(*THREE)
    walk.note()
    walk.phq9()
    loop.settle()
    loop.ward.hospital.look()
    assert loop.ward.shown()[-1] == ("completed", "Working together")
    kinds = set(loop.ward.counts())
    assert {"Encounter", "Procedure", "DocumentReference", "Observation"} <= kinds
    walk.stop()
    loop.settle()
    before = loop.ward.counts()
    loop.ward.hospital.look()
    assert loop.ward.counts() == before
    assert loop.ward.shown()[-1] == ("completed", "Referral closed")
