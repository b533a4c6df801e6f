from __future__ import annotations

import pytest
from sqlalchemy import select, update

from peerfhir.errors import BusinessRule, Conflict, NotFound
from peerfhir.outbox import parked
from peerfhir.pathway.consent import Decision
from peerfhir.pathway.vocabulary import Piece
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import outbox_message
from tests.support.ehr import NEITHER, SEARCH_ONLY, FakeEhr, Faults
from tests.support.owing import PROGRAM, PlainRender, drain, endpoint_at, outbox_of, owe, rows, states


def refused(hospital):
    hospital.script = lambda said: (422, {}, b"") if said.method == "POST" else None


def test_what_is_parked_is_listed_with_reason_and_advice_and_without_content(engine, clock):
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")
        refused(hospital)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        outbox.close()
    (listed,) = parked.list_parked(engine, PROGRAM)
    assert (listed["reason"], listed["advice"][:12]) == ("refused", "The hospital")
    assert "body" not in listed
    shown = parked.show(engine, PROGRAM, listed["id"])
    assert [attempt["status"] for attempt in shown["tries"]] == [422]
    assert parked.list_parked(engine, "p2") == []
    with pytest.raises(NotFound):
        parked.show(engine, "p2", listed["id"])


@pytest.mark.parametrize("mode", ["pinned", "current"])
def test_a_rerun_is_a_new_row_of_the_same_effect_with_the_bytes_that_were_asked_for(engine, clock, mode):
    render = PlainRender()
    with FakeEhr() as hospital:
        old = owe(engine, clock, "E-1")
        refused(hospital)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), render)
        drain(outbox)
        hospital.script = None
        render.mark = "mended"
        new = parked.rerun(engine, clock, PROGRAM, old, mode)
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-1": 1}
        last = hospital.writes()[-1].body
    first, second = rows(engine)
    assert (first.state, first.reason) == ("superseded", "refused")
    assert (second.id, second.state, second.parent_id, second.replay_mode, second.idem) == (
        new, "done", old, mode, first.idem,
    )  # fmt: skip
    assert (b"mended" in last) == (mode == "current")
    assert (last == first.body) == (mode == "pinned")


def test_a_rerun_asks_consent_again(engine, clock):
    with FakeEhr() as hospital:
        old = owe(engine, clock, "E-1")
        refused(hospital)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        outbox.close()
        sent = len(hospital.writes())
        hospital.script = None
        parked.rerun(engine, clock, PROGRAM, old, "pinned")
        no = outbox_of(engine, clock, endpoint_at(hospital.url), may_send=lambda *_: Decision(False, "withdrawn"))
        drain(no)
        no.close()
        assert len(hospital.writes()) == sent
    assert states(engine) == {"E-1:encounter": "cancelled"}


def test_a_rerun_of_what_did_arrive_finds_it(engine, clock):
    """Parked after the horizon with a doubt: the rerun searches before it sends."""
    with FakeEhr(personality=SEARCH_ONLY, faults=Faults(after=1.0)) as hospital:
        old = owe(engine, clock, "E-1", hours=0)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        assert states(engine) == {"E-1:encounter": "parked"}
        hospital.faults = Faults()
        clock.move(hours=1)
        parked.rerun(engine, clock, PROGRAM, old)
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-1": 1}
        assert len(hospital.writes()) == 1
    assert states(engine) == {"E-1:encounter": "done"}


def test_an_ambiguous_message_is_sent_again_when_a_person_says_so(engine, clock):
    with FakeEhr(personality=NEITHER, faults=Faults(before=1.0)) as hospital:
        old = owe(engine, clock, "E-1")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        hospital.faults = Faults()
        clock.move(hours=1)
        parked.rerun(engine, clock, PROGRAM, old)
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-1": 1}


def test_only_a_parked_message_of_the_own_program_is_run_again_and_only_once(engine, clock):
    waiting = owe(engine, clock, "E-1")
    with pytest.raises(Conflict):
        parked.rerun(engine, clock, PROGRAM, waiting)
    with writing(engine) as connection:
        connection.execute(update(outbox_message).values(state="parked", reason="refused"))
    for program, message, error in (("p2", waiting, NotFound), (PROGRAM, 999, NotFound)):
        with pytest.raises(error):
            parked.rerun(engine, clock, program, message)
    with pytest.raises(BusinessRule):
        parked.rerun(engine, clock, PROGRAM, waiting, "other")
    with pytest.raises(BusinessRule):
        parked.rerun(engine, clock, PROGRAM, waiting, "pinned")  # it never had bytes
    parked.rerun(engine, clock, PROGRAM, waiting)
    with pytest.raises(Conflict):
        parked.rerun(engine, clock, PROGRAM, waiting)
    assert [row.state for row in rows(engine)] == ["superseded", "ready"]


def test_a_status_that_was_overtaken_is_not_told_again(engine, clock):
    old = owe(engine, clock, "PF-1", piece=Piece.STATUS, version=3)
    with writing(engine) as connection:
        connection.execute(update(outbox_message).values(state="parked", reason="refused"))
    owe(engine, clock, "PF-1", piece=Piece.STATUS, version=4)
    with pytest.raises(Conflict):
        parked.rerun(engine, clock, PROGRAM, old)
    with reading(engine) as connection:
        assert connection.execute(select(outbox_message.c.state)).scalars().all() == ["parked", "ready"]


def test_a_projection_is_run_again_by_the_office(engine, clock):
    message = owe(engine, clock, "E-1", endpoint="")
    with writing(engine) as connection:
        connection.execute(update(outbox_message).values(state="parked", reason="mapping-failed"))
    with pytest.raises(BusinessRule):
        parked.rerun(engine, clock, PROGRAM, message)
    asked = []
    assert parked.rerun(engine, clock, PROGRAM, message, project=lambda one: bool(asked.append(one))) == message
    assert asked == [message]
