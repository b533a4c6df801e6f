"""A pause sets aside what waits, and loses nothing of it: status goes on, the rest follows when the person does."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from peerfhir.errors import Conflict, Verdict
from peerfhir.outbox import lanes as laning
from peerfhir.outbox import parked
from peerfhir.outbox.deliver import Outbox
from peerfhir.outbox.ehr import Ehr
from peerfhir.outbox.lease import Ending
from peerfhir.pathway import steps
from peerfhir.pathway.consent import PAUSED
from peerfhir.pathway.people import Actor
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece, Recipient, Role, ShareClass, Status, TaskStatus
from peerfhir.records import consents, messages, people, referrals
from peerfhir.records.database import reading, writing
from peerfhir.records.owed import OwedRow, owe_row
from peerfhir.records.schema import lane
from peerfhir.records.work import Office
from tests.adapters.making import PROGRAM
from tests.outbox.ward import ENDPOINT, make_ward
from tests.support.ehr import SEARCH_ONLY, FakeEhr, Faults
from tests.support.owing import drain, rows

MET = (Piece.ENCOUNTER, Piece.PROCEDURE)


@pytest.fixture
def ward(engine, clock):
    """Someone in contact with their peer, who lets the hospital know that they met."""
    made = make_ward(engine, clock)
    with writing(engine) as connection:
        under_way = replace(
            made.referral, status=Status.CONTACT_MADE, task_status=TaskStatus.IN_PROGRESS, completed_at=None,
            completed_as=None, peer_id=made.peer.id, peer_accepted_at=clock.now(),
        )  # fmt: skip
        made.referral = referrals.save(connection, under_way, clock.now())
    made.grant(ShareClass.ATTENDANCE)
    return made


@pytest.fixture
def hospital(ward):
    with FakeEhr() as one:
        one.put_in({"resourceType": "Task", "id": "their-task", "status": "in-progress", "intent": "order"})
        yield one


def step(ward, what, *more):
    office = Office(
        ward.engine, ward.clock, programs={PROGRAM.id: PROGRAM}, instruments={}, project=lambda *_: [],
        recipients={"open": Recipient.HOSPITAL},
    )  # fmt: skip
    with office.work(Actor("u1", Role.PERSON, PROGRAM.id, person_id=ward.person.id)) as work:
        return what(work, *more)


def pause(ward):
    step(ward, steps.pause, ward.referral.id)


def resume(ward):
    step(ward, steps.resume, ward.referral.id)


def owe_meeting(ward, pieces=MET):
    with writing(ward.engine) as connection:
        for piece in pieces:
            row = OwedRow(
                PROGRAM.id, "open", ward.person.id, f"{ward.encounter.number}:{piece}", piece, None,
                SHARE_CLASS_OF[piece], ward.person.id, ward.referral.id, "encounter", ward.encounter.id,
                ward.encounter.version, ward.clock.now() + timedelta(hours=72),
            )  # fmt: skip
            assert owe_row(connection, row, ward.clock.now())


def outbox_of(ward, hospital, owner="w1"):
    """A worker that remembers nothing: what is held stands in the database alone."""
    endpoint = replace(ENDPOINT, base_url=hospital.url)
    return Outbox(
        ward.engine, ward.clock, {"open": endpoint}, lambda one: Ehr(one, ward.clock), ward.render, owner=owner
    )


def turn(ward, hospital):
    outbox = outbox_of(ward, hospital)
    drain(outbox)
    outbox.close()


def told(ward):
    return [(one.piece, one.state, one.reason) for one in rows(ward.engine)]


def kinds(hospital):
    return [one.path.split("?")[0].removeprefix("/fhir/").split("/")[0] for one in hospital.writes()]


def test_a_pause_holds_back_everything_but_status_and_what_it_held_goes_out_in_order_afterwards(ward, hospital):
    owe_meeting(ward)
    pause(ward)
    turn(ward, hospital)
    assert told(ward) == [("encounter", "held", PAUSED), ("procedure", "held", PAUSED), ("status", "done", None)]
    assert kinds(hospital) == ["Task"]
    with reading(ward.engine) as connection:
        assert connection.execute(select(lane.c.head_id)).scalars().all() == [None]
    ward.clock.move(hours=100)  # longer than anything is tried
    turn(ward, hospital)
    assert len(hospital.writes()) == 1
    resume(ward)
    turn(ward, hospital)
    assert [state for _, state, _ in told(ward)] == ["done"] * 4
    assert kinds(hospital) == ["Task", "Encounter", "Procedure", "Task"]
    assert set(hospital.arrived().values()) == {1}


def test_the_time_of_a_pause_does_not_count_against_what_waited(ward, hospital):
    owe_meeting(ward, (Piece.ENCOUNTER,))
    (before,) = rows(ward.engine)
    pause(ward)
    ward.clock.move(hours=1)
    turn(ward, hospital)
    ward.clock.move(hours=100)
    resume(ward)
    after = rows(ward.engine)[0]
    assert after.horizon_at - before.horizon_at == timedelta(hours=100)
    assert (after.state, after.reason, after.advice, after.settled_at) == ("ready", None, None, None)
    hospital.faults = Faults(before=1.0)
    turn(ward, hospital)
    assert rows(ward.engine)[0].state == "ready"  # refused once and tried again, not given up


def test_consent_is_asked_again_when_the_person_goes_on(ward, hospital):
    owe_meeting(ward)
    pause(ward)
    turn(ward, hospital)
    with writing(ward.engine) as connection:
        now = ward.clock.now()
        grant = consents.at(connection, PROGRAM.id, "g-attendance")
        consents.save(connection, replace(grant, ended_at=now, end_reason="withdrawn"), now)
    resume(ward)
    turn(ward, hospital)
    assert told(ward)[:2] == [("encounter", "cancelled", "withdrawn"), ("procedure", "cancelled", "withdrawn")]
    assert set(kinds(hospital)) == {"Task"}


def test_a_stop_during_a_pause_cancels_what_it_held(ward, hospital):
    owe_meeting(ward)
    pause(ward)
    turn(ward, hospital)
    with writing(ward.engine) as connection:
        chosen = replace(people.at(connection, PROGRAM.id, ward.person.id), sharing_chosen_at=ward.clock.now())
        people.save(connection, chosen, ward.clock.now())
    assert step(ward, steps.stop_sharing, ward.person.id) == 2
    turn(ward, hospital)
    assert [state for _, state, _ in told(ward)[:2]] == ["cancelled", "cancelled"]
    assert [one.body for one in rows(ward.engine)[:2]] == [None, None]
    assert set(kinds(hospital)) == {"Task"}


def test_a_pause_between_two_attempts_keeps_the_doubt_and_the_bytes(ward, hospital):
    """It may have arrived before the pause: afterwards it is looked for, and not made twice."""
    hospital.personality = SEARCH_ONLY
    hospital.faults = Faults(after=1.0)
    owe_meeting(ward, (Piece.ENCOUNTER,))
    turn(ward, hospital)
    sent = rows(ward.engine)[0].body
    pause(ward)
    hospital.faults = Faults()
    ward.clock.move(hours=1)
    turn(ward, hospital)
    held = rows(ward.engine)[0]
    assert (held.state, held.body) == ("held", sent)
    resume(ward)
    turn(ward, hospital)
    assert hospital.arrived()[ward.encounter.number] == 1
    assert rows(ward.engine)[0].state == "done"


def test_a_worker_that_is_too_late_to_hold_something_back_lets_it_go(ward):
    """It asked during the pause, and the person went on before it could write that down."""
    owe_meeting(ward, (Piece.ENCOUNTER,))
    pause(ward)
    (lease,) = laning.claim(ward.engine, ward.clock, ENDPOINT, "w1", 1)
    resume(ward)
    with writing(ward.engine) as connection:
        ending = Ending("held", PAUSED, verdict=Verdict.LATER)
        assert laning.settle(connection, lease, ending, ward.clock.now()) == "ready"
    (again,) = laning.claim(ward.engine, ward.clock, ENDPOINT, "w1", 1)
    assert again.message.id == lease.message.id


def test_a_stop_overrules_a_worker_that_would_hold_something_back(ward):
    owe_meeting(ward, (Piece.ENCOUNTER,))
    pause(ward)
    (lease,) = laning.claim(ward.engine, ward.clock, ENDPOINT, "w1", 1)
    step(ward, steps.stop_sharing, ward.person.id)
    with writing(ward.engine) as connection:
        ending = Ending("held", PAUSED, verdict=Verdict.LATER)
        assert laning.settle(connection, lease, ending, ward.clock.now()) == "cancelled"


def test_what_is_in_a_workers_hands_stays_first_in_its_lane(ward, hospital):
    """A head that is leased is not moved by a resume: if that worker dies, its lease still names the message."""
    owe_meeting(ward, (Piece.ENCOUNTER,))
    pause(ward)
    (lease,) = laning.claim(ward.engine, ward.clock, ENDPOINT, "w1", 1)
    with writing(ward.engine) as connection:
        ending = Ending("held", PAUSED, verdict=Verdict.LATER)
        laning.settle(connection, lease, ending, ward.clock.now())
    (status,) = laning.claim(ward.engine, ward.clock, ENDPOINT, "w1", 1)
    resume(ward)
    with reading(ward.engine) as connection:
        assert connection.execute(select(lane.c.head_id)).scalar_one() == status.message.id
    ward.clock.move(days=400)
    with writing(ward.engine) as connection:  # killed: its lease ends
        connection.execute(lane.update().values(lease_until=ward.clock.now() - timedelta(days=800)))
    turn(ward, hospital)
    assert {one.state for one in rows(ward.engine)} == {"done"}
    assert hospital.arrived()[ward.encounter.number] == 1


def test_what_is_held_is_listed_as_that_and_cannot_be_rerun(ward, hospital):
    owe_meeting(ward, (Piece.ENCOUNTER,))
    pause(ward)
    turn(ward, hospital)
    with reading(ward.engine) as connection:
        (listed,) = messages.list_outbox(connection, PROGRAM.id, state="held")
    assert (listed["piece"], listed["reason"]) == ("encounter", PAUSED)
    with pytest.raises(Conflict):
        parked.rerun(ward.engine, ward.clock, PROGRAM.id, listed["id"])


def test_pauses_that_come_and_go_while_two_workers_send_lose_and_double_nothing(ward, hospital):
    """Twelve pauses, two workers, one lane; what is owed in between arrives once."""
    owe_meeting(ward)
    over = threading.Event()
    faults: list[BaseException] = []

    def work(name):
        outbox = outbox_of(ward, hospital, name)
        try:
            while not over.is_set():
                outbox.run_once()
        except BaseException as error:
            faults.append(error)
        finally:
            outbox.close()

    workers = [threading.Thread(target=work, args=(name,)) for name in ("w1", "w2")]
    for one in workers:
        one.start()
    try:
        for _ in range(12):
            pause(ward)
            resume(ward)
    finally:
        over.set()
        for one in workers:
            one.join(60)
    assert faults == []
    ward.clock.move(days=1)
    turn(ward, hospital)
    assert {one.state for one in rows(ward.engine)} <= {"done", "superseded"}
    assert [one.state for one in rows(ward.engine)][:2] == ["done", "done"]
    assert set(hospital.arrived().values()) == {1}
