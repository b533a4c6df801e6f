"""Other hospitals: lower forms where less is taken, nothing where nothing can be written to, and no refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from peerfhir.records.schema import outbox_message
from tests.path.looking import ALL, THREE, doubled
from tests.support.loop import NOTE, Loop

LoopOf = Callable[..., Loop]
CLOSED = ("cancelled", "Referral closed")


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
