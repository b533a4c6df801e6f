from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, Table, event, func, select

from peerfhir.errors import InvalidResource, MappingFailed
from peerfhir.fhir.labels import Labels, Projected
from peerfhir.fhir.store import Store
from peerfhir.fhir.tables import fhir_version
from peerfhir.fhir.tables import metadata as resources
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter, GroupSession
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.people import Peer
from peerfhir.pathway.ports import Books, Owed
from peerfhir.pathway.refusals import NotFoundHere, Refusal, StaleVersion
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.pathway.vocabulary import Piece, Recipient
from peerfhir.records import audit, people, referrals, schema
from peerfhir.records.database import reading
from peerfhir.records.work import Office, Work
from tests.records import made
from tests.support.clock import HeldClock

ALL_TABLES: list[Table] = [*schema.metadata.sorted_tables, *resources.sorted_tables]


def rows(engine: Engine, table: Table) -> list[dict[str, Any]]:
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def sizes(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        return {one.name: connection.execute(select(func.count()).select_from(one)).scalar_one() for one in ALL_TABLES}


def as_basic(record: Any, context: Any) -> list[Projected]:
    """A projector that would show everything it is given, if it were let."""
    words = repr(record)
    resource = {"resourceType": "Basic", "id": record.id, "code": {"text": words}}
    return [Projected(resource, "summary", getattr(record, "person_id", None))]


def a_whole_day(work: Work, maker: made.Maker) -> str:
    """Every kind of thing that a work can do, once."""
    who = work.save_person(made.person(maker))
    peer = work.save_peer(maker.record(Peer))
    draft = made.referral(maker, who.id, number=work.next_number("PF"))
    referral = work.save_referral(draft)
    mine = {"person_id": who.id, "peer_id": peer.id, "referral_id": referral.id}
    engagement = work.save_engagement(maker.record(Engagement, **mine))
    group = work.save_group(maker.record(GroupSession, peer_id=peer.id, attendees=(who.id,), working_note="SECRET"))
    note = maker.record(
        Encounter, **mine, engagement_id=engagement.id, group_id=group.id, working_note="SECRET", client_uuid="SECRET-1"
    )
    note = work.save_encounter(note)
    outcome = work.save_outcome(maker.record(Outcome, person_id=who.id, referral_id=referral.id))
    work.save_safety_event(maker.record(SafetyEvent, person_id=who.id))
    work.save_grant(maker.record(Grant, person_id=who.id))
    for piece, kind, record in (
        (Piece.ENCOUNTER, "encounter", note),
        (Piece.SUMMARY, "encounter", note),
        (Piece.TOTAL, "outcome", outcome),
        (Piece.STATUS, "referral", referral),
    ):
        work.owe(Owed(piece, kind, record.id, who.id, referral.id))
    work.cancel_owed(who.id, "narrowed", keep=frozenset({Piece.STATUS, Piece.TOTAL}))
    work.audit("read", f"person/{who.id}", who.id)
    return referral.id


def test_a_work_fulfils_what_the_pathway_asks_of_its_books(office: Office) -> None:
    with office.work(made.actor()) as work:
        books: Books = work
        assert books.now() == office.clock.now()
        assert books.program == made.PROGRAMS["north"]
        assert books.new_id() != books.new_id()
        asked = {name for name in dir(Books) if not name.startswith("_")}
        assert asked <= set(dir(work))


def test_everything_of_a_work_is_kept_together(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker
) -> None:
    with open_office(as_basic).work(made.actor(), execution_id="x-1") as work:
        a_whole_day(work, maker)
    found = sizes(engine)
    assert {name: found[name] for name in ("person", "peer", "referral", "encounter", "group_session", "outcome")} == {
        "person": 1, "peer": 1, "referral": 1, "encounter": 1, "group_session": 1, "outcome": 1,
    }  # fmt: skip
    assert found["record_version"] == 9
    assert found["fhir_resource"] == 7  # neither the group session nor the safety event
    assert found["outbox_message"] == 4
    assert found["audit"] == 11
    with reading(engine) as connection:
        assert audit.verify(connection) is None
        entries = audit.latest(connection, "north")
    assert {one.actor for one in entries} == {"u-coordinator"}
    assert {one.execution_id for one in entries} == {"x-1"}


def test_whatever_breaks_at_whatever_point_nothing_is_kept(open_office: Callable[..., Office], engine: Engine) -> None:
    """The whole day is broken off at each of its statements in turn."""
    before = sizes(engine)
    office = open_office(as_basic)
    left = {"until": -1}

    def pull_the_plug(*_: object) -> None:
        left["until"] -= 1
        if left["until"] == 0:
            raise OSError("the plug is pulled")

    def day() -> None:
        with office.work(made.actor()) as work:
            a_whole_day(work, made.Maker(1))

    event.listen(engine, "before_cursor_execute", pull_the_plug)
    broken = 0
    for point in range(1, 500):
        left["until"] = point
        try:
            day()
        except OSError:
            broken += 1
            left["until"] = -1
            assert sizes(engine) == before, f"statement {point}"
        else:
            break
    event.remove(engine, "before_cursor_execute", pull_the_plug)
    assert broken > 60
    assert sizes(engine)["audit"] == 11  # the last one went through


def test_a_refusal_in_the_middle_of_a_step_leaves_nothing(office: Office, engine: Engine, maker: made.Maker) -> None:
    before = sizes(engine)

    def step() -> None:
        with office.work(made.actor()) as work:
            work.save_person(made.person(maker))
            raise Refusal

    with pytest.raises(Refusal):
        step()
    assert sizes(engine) == before


def test_working_notes_and_groups_never_reach_what_the_api_serves(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker
) -> None:
    with open_office(as_basic).work(made.actor()) as work:
        a_whole_day(work, maker)
    served = rows(engine, fhir_version)
    assert served
    for one in served:
        assert b"SECRET" not in one["body"]
        assert b"GroupSession(" not in one["body"]
        assert b"SafetyEvent(" not in one["body"]
    (note,) = rows(engine, schema.encounter)
    assert b"SECRET" in note["body"]  # kept, here


def test_a_record_saved_twice_is_shown_as_it_was_last(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker
) -> None:
    def show(record: Any, context: Any) -> list[Projected]:
        return [Projected({"resourceType": "Basic", "id": record.id, "code": {"text": record.family}}, None, record.id)]

    office = open_office(show)
    with office.work(made.actor()) as work:
        who = work.save_person(made.person(maker, family="First"))
        who = work.save_person(replace(who, family="Second"))
    with office.work(made.actor()) as work:
        stored = work.store.read("Basic", who.id)
        assert (stored.version, stored.resource["code"]["text"]) == (1, "Second")
        assert stored.labels == Labels(None, who.id, None)
        who = work.save_person(replace(who, phone="changed, but not shown"))
    with office.work(made.actor()) as work:
        assert work.store.read("Basic", who.id).version == 1
        who = work.save_person(replace(who, family="Third"))
    with office.work(made.actor()) as work:
        assert work.store.read("Basic", who.id).version == 2
        assert work.current("Basic", who.id)["code"]["text"] == "Third"
        assert work.current("Basic", "unknown") is None


def test_what_a_hospital_sent_stays_its_own_when_we_bring_it_up_to_date(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    def show(record: Any, context: Any) -> list[Projected]:
        current = context.current("Task", "t1")
        return [Projected({**current, "status": "accepted"}, "existence", record.person_id)]

    office = open_office(show)
    task = {"resourceType": "Task", "id": "t1", "status": "requested", "intent": "order"}
    with office.work(made.actor()) as work:
        Store(work.connection, "north", clock).create(task, Labels("clinic"), id="t1")
        work.save_referral(made.referral(maker, "p1"))
    with office.work(made.actor()) as work:
        stored = work.store.read("Task", "t1")
    assert stored.labels == Labels("clinic", "p1", "existence")
    assert stored.resource["status"] == "accepted"


@pytest.mark.parametrize("fault", [MappingFailed("a rule broke", place="x.map.yaml:3:5"), InvalidResource((), "no")])
def test_a_broken_mapping_parks_the_projection_and_keeps_the_record(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker, fault: Exception
) -> None:
    broken = {"now": True}

    def show(record: Any, context: Any) -> list[Projected]:
        if broken["now"] and isinstance(record, Encounter):
            raise fault
        return as_basic(record, context)

    office = open_office(show)
    with office.work(made.actor()) as work:
        who = work.save_person(made.person(maker))
        note = work.save_encounter(maker.record(Encounter, person_id=who.id))
    (row,) = rows(engine, schema.outbox_message)
    assert (row["endpoint"], row["state"], row["lane_id"]) == ("", "parked", None)
    assert (row["record_type"], row["record_id"], row["record_version"]) == ("encounter", note.id, 1)
    assert row["reason"] == fault.code
    assert row["person_id"] == who.id
    assert len(rows(engine, schema.encounter)) == 1
    assert len(rows(engine, fhir_version)) == 1  # the person's

    assert office.rerun_projection(made.actor(), row["id"]) is False
    (row,) = rows(engine, schema.outbox_message)
    assert (row["state"], row["attempts"]) == ("parked", 1)
    broken["now"] = False
    with office.work(made.actor()) as work:
        work.save_encounter(replace(note, minutes=59))  # in the meantime it went on
    assert office.rerun_projection(made.actor(), row["id"]) is True
    (row,) = rows(engine, schema.outbox_message)
    assert (row["state"], row["reason"], row["attempts"]) == ("done", None, 2)
    with office.work(made.actor()) as work:
        assert "minutes=59" in work.store.read("Basic", note.id).resource["code"]["text"]
    for wrong in (made.actor("south"), made.actor()):  # not theirs; not parked any more
        with pytest.raises(NotFoundHere):
            office.rerun_projection(wrong, row["id"])


def test_the_place_of_a_broken_mapping_is_shown_without_a_value(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker
) -> None:
    def show(record: Any, context: Any) -> list[Projected]:
        raise MappingFailed("no such code", place="people.map.yaml:7:9")

    with open_office(show).work(made.actor()) as work:
        who = work.save_person(made.person(maker))
    (row,) = rows(engine, schema.outbox_message)
    assert row["advice"] == "people.map.yaml:7:9: no such code"
    assert row["person_id"] == who.id


def test_any_other_fault_of_a_projector_is_ours_and_keeps_nothing(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker
) -> None:
    def show(record: Any, context: Any) -> list[Projected]:
        raise KeyError("x")

    def step() -> None:
        with open_office(show).work(made.actor()) as work:
            work.save_person(made.person(maker))

    before = sizes(engine)
    with pytest.raises(KeyError):
        step()
    assert sizes(engine) == before


def test_a_work_reads_what_it_has_saved(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        who = work.save_person(made.person(maker))
        assert work.person(who.id) == who
        assert work.person_by_identifier(who.identifiers) == who
        peer = work.save_peer(maker.record(Peer))
        assert work.peer(peer.id) == peer
        assert work.peers() == [peer]
        referral = work.save_referral(made.referral(maker, who.id))
        assert work.referral(referral.id) == referral
        assert work.referrals_of(who.id) == [referral]
        assert work.referral_by_task(referral.origin.task_id) == referral
        engagement = work.save_engagement(maker.record(Engagement, referral_id=referral.id))
        assert work.engagement_of(referral.id) == work.engagement(engagement.id) == engagement
        note = work.save_encounter(maker.record(Encounter, person_id=who.id))
        assert work.encounter(note.id) == work.encounter_by_client_uuid(note.client_uuid) == note
        assert work.encounters_of(who.id) == [note]
        outcome = work.save_outcome(maker.record(Outcome, person_id=who.id))
        assert work.outcome(outcome.id) == outcome
        assert work.outcomes_of(who.id) == [outcome]
        worry = work.save_safety_event(maker.record(SafetyEvent, person_id=who.id))
        assert work.safety_event_from(worry.source) == worry
        grant = work.save_grant(maker.record(Grant, person_id=who.id))
        assert work.grants_of(who.id) == [grant]
        assert work.instrument("phq-9").title == "PHQ-9"
        for nothing in (
            work.engagement_of,
            work.encounter_by_client_uuid,
            work.referral_by_task,
            work.safety_event_from,
        ):
            assert nothing("unknown") is None
        for unknown in (
            work.person,
            work.peer,
            work.referral,
            work.engagement,
            work.encounter,
            work.outcome,
            work.instrument,
        ):
            with pytest.raises(NotFoundHere):
                unknown("unknown")


def test_a_recipient_is_known_where_something_can_be_owed(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        assert work.recipient_of(made.referral(maker, "p")) is Recipient.HOSPITAL
        assert work.recipient_of(made.referral(maker, "p", endpoint="elsewhere")) is None
        assert work.recipient_of(made.referral(maker, "p", endpoint=None)) is None
        assert work.recipient_of(replace(made.referral(maker, "p"), origin=None)) is None


def test_another_programs_record_is_not_saved_here(office: Office, engine: Engine, maker: made.Maker) -> None:
    with pytest.raises(NotFoundHere), office.work(made.actor("south")) as work:
        work.save_person(made.person(maker, "north"))
    with pytest.raises(NotFoundHere), office.work(made.actor("nowhere")):
        pass
    assert rows(engine, schema.person) == []


def test_of_two_who_change_the_same_record_one_is_told(office: Office, engine: Engine, maker: made.Maker) -> None:
    """Eight threads read version 1 and save; whoever commits second has to look again."""
    with office.work(made.actor()) as work:
        who = work.save_person(made.person(maker))
    told: list[str] = []

    def change(n: int) -> None:
        try:
            with office.work(made.actor()) as work:
                work.save_person(replace(who, phone=str(n)))
            told.append("saved")
        except StaleVersion:
            told.append("stale")

    threads = [threading.Thread(target=change, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(told) == ["saved"] + ["stale"] * 7
    with reading(engine) as connection:
        assert people.at(connection, "north", who.id).version == 2
        assert audit.verify(connection) is None


def test_numbers_are_given_once_however_many_ask(office: Office, engine: Engine) -> None:
    given: list[str] = []

    def ask() -> None:
        for _ in range(10):
            with office.work(made.actor()) as work:
                mine = [work.next_number("PF"), work.next_number("PF")]
            given.extend(mine)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(given) == [f"PF-{n:06d}" for n in range(1, 121)]
    with office.work(made.actor("south")) as work:
        assert work.next_number("PF") == "PF-000001"
    with office.work(made.actor()) as work:
        assert work.next_number("E") == "E-000001"


def test_a_joined_work_is_committed_with_what_it_joined(office: Office, engine: Engine, maker: made.Maker) -> None:
    from peerfhir.records.database import writing

    with writing(engine) as connection:
        work = office.joined(connection, made.actor())
        work.save_person(made.person(maker))
        work.finish()
        work.finish()  # nothing is left to do
        other = office.joined(connection, made.actor("south"))
        other.audit("deny", "Task/1", outcome="denied", detail="scope")
        other.finish()
    assert len(rows(engine, schema.person)) == 1
    with reading(engine) as connection:
        assert audit.verify(connection) is None
        (denied,) = audit.latest(connection, "south")
    assert (denied.action, denied.outcome, denied.detail) == ("deny", "denied", "scope")


def test_every_save_and_every_cancel_leaves_one_line_in_the_audit(
    office: Office, engine: Engine, maker: made.Maker
) -> None:
    with office.work(made.actor()) as work:
        referral_id = a_whole_day(work, maker)
        work.save_referral(replace(work.referral(referral_id), reason="again"))
    with reading(engine) as connection:
        lines = audit.latest(connection, "north")
        of_person = audit.of_person(connection, "north", referrals.at(connection, "north", referral_id).person_id)
    assert Counter(one.action for one in lines) == {"create": 9, "update": 1, "cancel": 1, "read": 1}
    assert {one.subject.partition("/")[0] for one in lines} == {
        "person", "peer", "referral", "engagement", "group", "encounter", "outcome", "safety", "grant",
    }  # fmt: skip
    assert len(of_person) == 10  # all but the peer and the group
