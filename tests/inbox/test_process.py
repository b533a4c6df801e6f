from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from peerfhir.clock import SystemClock
from peerfhir.errors import DatabaseBusy, MappingFailed
from peerfhir.fhir.reader import read_own
from peerfhir.fhir.store import Store
from peerfhir.inbox import parked
from peerfhir.inbox.intake import Intake
from peerfhir.pathway import steps
from peerfhir.pathway.people import Actor
from peerfhir.pathway.vocabulary import DeclineReason, Priority, Role, Status, TaskStatus
from peerfhir.records import people, referrals
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import audit, inbox_message, outbox_message, person, referral
from tests.inbox.order import PROGRAM, change, inbox_of, keep, messages, office_of, place, shipped


def count(engine, table):
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def referral_of(engine, n):
    with reading(engine) as connection:
        return referrals.by_task(connection, PROGRAM, f"t{n}")


def test_an_order_becomes_a_referral_with_all_that_belongs_to_it(engine, clock):
    message = place(engine, clock, 1)
    assert inbox_of(engine, clock).run_once() == 1
    found = referral_of(engine, 1)
    assert (found.status, found.task_status, found.priority) == (Status.RECEIVED, TaskStatus.REQUESTED, Priority.URGENT)
    origin = found.origin
    assert (origin.source, origin.endpoint, origin.task_id, origin.request_id, origin.patient_id) == (
        "general", "general", "t1", "sr1", "p1",
    )  # fmt: skip
    row = messages(engine)[message]
    assert (row.state, row.reason, row.record_type, row.record_id, row.attempts) == (
        "done",
        None,
        "referral",
        found.id,
        1,
    )
    assert row.lease_owner is None
    with reading(engine) as connection:
        who = people.at(connection, PROGRAM, found.person_id)
        owed = connection.execute(select(outbox_message.c.piece, outbox_message.c.endpoint)).all()
        task = read_own(Store(connection, PROGRAM, clock).read("Task", "t1").body)
        actors = set(connection.execute(select(audit.c.actor)).scalars())
    assert (who.given, who.family) == ("Given", "Family1")
    assert owed == [("status", "general")]
    assert task["businessStatus"]["coding"][0]["code"] == "received"
    assert actors == {"gateway"}
    assert inbox_of(engine, clock).run_once() == 0


def test_a_sender_without_an_endpoint_is_owed_nothing(engine, clock):
    place(engine, clock, 1, source="a-client")
    inbox_of(engine, clock).run_once()
    assert referral_of(engine, 1).origin.endpoint is None
    assert count(engine, outbox_message) == 0


def test_the_same_message_twice_is_kept_once_and_worked_on_once(engine, clock):
    first = place(engine, clock, 1)
    inbox_of(engine, clock).run_once()
    with writing(engine) as connection:
        assert keep(connection, clock, 1, 1) == first
    assert inbox_of(engine, clock).run_once() == 0
    assert count(engine, referral) == 1


def test_the_same_task_under_another_key_is_the_same_referral(engine, clock):
    place(engine, clock, 1)
    inbox_of(engine, clock).run_once()
    with writing(engine) as connection:
        connection.execute(
            update(inbox_message).values(message_key="other", state="ready", focus='["Task/t1/_history/1"]')
        )
    inbox_of(engine, clock).run_once()
    assert (count(engine, referral), count(engine, person)) == (1, 1)


def test_the_requester_takes_the_order_back(engine, clock):
    place(engine, clock, 1)
    inbox = inbox_of(engine, clock)
    inbox.run_once()
    clock.move(minutes=5)
    message = change(engine, clock, 1, status="cancelled", statusReason={"text": "Moved to another town."})
    assert inbox.run_once() == 1
    found = referral_of(engine, 1)
    assert (found.status, found.task_status) == (Status.WITHDRAWN_REFERRER, TaskStatus.CANCELLED)
    assert messages(engine)[message].record_id == found.id


def test_an_order_that_was_a_mistake_leaves_the_lists(engine, clock):
    place(engine, clock, 1)
    inbox = inbox_of(engine, clock)
    inbox.run_once()
    change(engine, clock, 1, status="entered-in-error")
    inbox.run_once()
    assert referral_of(engine, 1).status is Status.ENTERED_IN_ERROR


def test_a_change_that_asks_for_nothing_is_done_without_a_step(engine, clock):
    place(engine, clock, 1)
    inbox = inbox_of(engine, clock)
    inbox.run_once()
    before = referral_of(engine, 1)
    message = change(engine, clock, 1, priority="asap")
    inbox.run_once()
    assert referral_of(engine, 1) == before
    assert (messages(engine)[message].state, messages(engine)[message].reason) == ("done", "nothing-to-do")


def test_a_withdrawal_after_the_end_is_noted_and_never_applied(engine, clock):
    place(engine, clock, 1)
    inbox = inbox_of(engine, clock)
    inbox.run_once()
    found = referral_of(engine, 1)
    with office_of(engine, clock).work(Actor("rosa", Role.COORDINATOR, PROGRAM)) as books:
        steps.start_triage(books, found.id)
        ended = steps.decline(books, found.id, DeclineReason.NO_CAPACITY, "We are full until spring.")
    message = change(engine, clock, 1, status="cancelled", statusReason={"text": "Too late."})
    inbox.run_once()
    assert referral_of(engine, 1) == ended
    row = messages(engine)[message]
    assert (row.state, row.reason, row.record_id) == ("done", "closed", found.id)


def test_a_withdrawal_that_overtakes_its_order_waits_for_it(engine, clock):
    place(engine, clock, 1)
    change(engine, clock, 1, status="cancelled", statusReason={"text": "No longer needed."})
    with writing(engine) as connection:  # the order comes last
        late = clock.now() + timedelta(seconds=1)
        connection.execute(
            update(inbox_message).where(inbox_message.c.message_key.like("%/1")).values(received_at=late)
        )
    clock.move(seconds=2)
    inbox = inbox_of(engine, clock)
    inbox.run_once()
    assert referral_of(engine, 1).status is Status.RECEIVED
    clock.move(minutes=2)
    inbox.run_once()
    assert referral_of(engine, 1).status is Status.WITHDRAWN_REFERRER
    assert {row.state for row in messages(engine).values()} == {"done"}


def test_a_draft_is_no_referral_until_it_is_requested(engine, clock):
    place(engine, clock, 1, status="draft")
    inbox = inbox_of(engine, clock)
    inbox.run_once()
    assert count(engine, referral) == 0
    change(engine, clock, 1, status="requested")
    inbox.run_once()
    assert referral_of(engine, 1).status is Status.RECEIVED


def test_an_order_that_was_cancelled_as_a_draft_leaves_nothing(engine, clock):
    place(engine, clock, 1, status="draft")
    inbox = inbox_of(engine, clock)
    inbox.run_once()
    message = change(engine, clock, 1, status="cancelled", statusReason={"text": "Not sent after all."})
    inbox.run_once()
    assert (messages(engine)[message].state, count(engine, referral)) == ("done", 0)


@pytest.mark.parametrize(("missing", "where"), [("Patient", "Task.for"), ("ServiceRequest", "Task.focus")])
def test_an_order_that_names_what_was_not_sent_is_parked_with_the_place(engine, clock, missing, where):
    message = place(engine, clock, 1, leave_out=missing)
    inbox = inbox_of(engine, clock)
    inbox.run_once()
    row = messages(engine)[message]
    assert (row.state, row.reason) == ("parked", "reference-missing")
    assert row.advice.startswith(f"{where}: ")
    assert [one["id"] for one in parked.list_parked(engine, PROGRAM)] == [message]


class Sometimes:
    """Reads orders like the real one, unless told to fail."""

    def __init__(self) -> None:
        self.intake = Intake(shipped(), frozenset({"general"}))
        self.fails: dict[str, BaseException] = {}
        self.seen: list[str] = []

    def __call__(self, store, task, source):
        self.seen.append(task["id"])
        if fault := self.fails.get(task["id"]):
            raise fault
        return self.intake(store, task, source)


def test_one_bad_message_stops_only_itself_and_runs_again_when_it_is_mended(engine, clock):
    reader = Sometimes()
    reader.fails = {
        "t2": MappingFailed("A rule found nothing.", place="referral-request.map.yaml:7:3"),
        "t4": ZeroDivisionError("Marisol Vega"),
    }
    ids = {n: place(engine, clock, n) for n in range(1, 6)}
    inbox = inbox_of(engine, clock, read_order=reader)
    inbox.run_once()
    rows = messages(engine)
    assert [rows[ids[n]].state for n in ids] == ["done", "parked", "done", "parked", "done"]
    assert rows[ids[2]].advice == "referral-request.map.yaml:7:3: A rule found nothing."
    assert (rows[ids[4]].reason, rows[ids[4]].advice) == ("unexpected", "ZeroDivisionError")
    reader.fails.clear()
    for n in (2, 4):
        parked.rerun(engine, clock, PROGRAM, ids[n])
    inbox.run_once()
    assert {row.state for row in messages(engine).values()} == {"done"}
    assert count(engine, referral) == 5


def test_what_may_pass_by_itself_is_tried_again_and_not_for_ever(engine, clock):
    reader = Sometimes()
    reader.fails = {"t1": DatabaseBusy()}
    message = place(engine, clock, 1)
    inbox = inbox_of(engine, clock, read_order=reader)
    inbox.run_once()
    row = messages(engine)[message]
    assert (row.state, row.reason, row.due_at > clock.now()) == ("ready", "database-busy", True)
    assert inbox.run_once() == 0
    for _ in range(12):
        clock.move(minutes=2)
        inbox.run_once()
    assert messages(engine)[message].state == "parked"
    assert len(reader.seen) == 8


def test_a_worker_that_dies_in_the_middle_leaves_nothing_half_done(engine, clock):
    class Killed(BaseException):
        pass

    reader = Sometimes()
    reader.fails = {"t1": Killed()}
    message = place(engine, clock, 1)
    dying = inbox_of(engine, clock, "dying", read_order=reader)
    with pytest.raises(Killed):
        dying.run_once()
    assert messages(engine)[message].state == "leased"
    other = inbox_of(engine, clock, "other")
    assert other.run_once() == 0, "the lease holds"
    clock.move(seconds=61)
    assert other.run_once() == 1
    assert (messages(engine)[message].state, messages(engine)[message].attempts) == ("done", 2)
    assert count(engine, referral) == 1


def test_a_late_worker_changes_nothing(engine, clock):
    """Its lease has gone to somebody else while it was at work: everything it did is rolled back."""
    place(engine, clock, 1)
    reader = Sometimes()
    intake = reader.intake

    def slow(store, task, source):
        store.connection.execute(update(inbox_message).values(lease_owner="other", lease_epoch=7))
        return intake(store, task, source)

    inbox_of(engine, clock, read_order=slow).run_once()
    assert count(engine, referral) == 0
    assert count(engine, outbox_message) == 0


def test_another_programs_message_finds_nothing_of_this_one(engine, clock):
    place(engine, clock, 1)
    with writing(engine) as connection:
        stranger = keep(connection, clock, 1, 1, program="lakeside")
    inbox_of(engine, clock).run_once()
    row = messages(engine)[stranger]
    assert (row.state, row.reason) == ("parked", "not-found")
    assert count(engine, referral) == 1


def test_two_workers_make_one_referral_of_each_order(engine):
    clock = SystemClock()
    for n in range(30):
        place(engine, clock, n)
    workers = [inbox_of(engine, clock, f"w{k}") for k in range(2)]

    def drain(inbox):
        for _ in range(200):
            if not inbox.run_once(4) and not any(row.state != "done" for row in messages(engine).values()):
                break

    threads = [threading.Thread(target=drain, args=(inbox,)) for inbox in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {row.state for row in messages(engine).values()} == {"done"}
    assert (count(engine, referral), count(engine, person)) == (30, 30)
