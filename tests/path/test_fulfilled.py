"""When an order counts as fulfilled: one test for each choice a program has, and what comes after."""

from __future__ import annotations

from collections.abc import Callable

from tests.path.looking import THREE, episodes, outputs
from tests.support.loop import Loop
from tests.support.ward import CANONICAL

LoopOf = Callable[..., Loop]
CLOSED = ("cancelled", "Referral closed")


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
