from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from peerfhir.errors import DatabaseBusy
from peerfhir.fhir import prepared
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.people import Peer
from peerfhir.pathway.ports import Books, Owed
from peerfhir.pathway.refusals import NotFoundHere, Refusal, StaleVersion
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.pathway.vocabulary import Piece, Recipient
from peerfhir.records import audit, people, referrals, schema
from peerfhir.records.database import open_engine, reading, upgrade
from peerfhir.records.work import Office
from tests.records import made
from tests.records.kept import a_whole_day, as_basic, rows, sizes
from tests.support.clock import HeldClock


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


def test_whatever_breaks_at_whatever_point_nothing_is_kept(
    open_office: Callable[..., Office], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
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

    def driver(*args: object, **kwargs: object) -> object:
        pull_the_plug()
        return real_driver(*args, **kwargs)

    real_driver = prepared._driver
    event.listen(engine, "before_cursor_execute", pull_the_plug)
    monkeypatch.setattr(prepared, "_driver", driver)  # SQLAlchemy does not see the prepared ones
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
        of_person = audit.latest(
            connection, "north", person_id=referrals.at(connection, "north", referral_id).person_id
        )
    assert Counter(one.action for one in lines) == {"create": 9, "update": 1, "cancel": 1, "read": 1}
    assert {one.subject.partition("/")[0] for one in lines} == {
        "person", "peer", "referral", "engagement", "group", "encounter", "outcome", "safety", "grant",
    }  # fmt: skip
    assert len(of_person) == 10  # all but the peer and the group


def test_a_full_disk_stops_a_work_as_a_whole_and_heals(tmp_path: Path, clock: HeldClock) -> None:
    """Works go on until the disk is full: what was acknowledged is there in all its parts, the rest in none."""
    engine = open_engine(f"sqlite:///{tmp_path / 'full.db'}")
    upgrade(engine)
    office = Office(engine, clock, programs=made.PROGRAMS, instruments={}, recipients=made.RECIPIENTS, project=as_basic)
    limit = {"pages": 10**6}
    event.listen(engine, "begin", lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={limit['pages']}"))
    maker = made.Maker(4)
    acknowledged: list[str] = []

    def fill() -> None:
        for _ in range(200):
            with office.work(made.actor()) as work:
                who = work.save_person(made.person(maker))
                referral = work.save_referral(made.referral(maker, who.id))
                work.owe(Owed(Piece.STATUS, "referral", referral.id, who.id, referral.id))
            acknowledged.append(referral.id)

    with reading(engine) as connection:
        limit["pages"] = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 60
    with pytest.raises(DatabaseBusy):
        fill()
    done = len(acknowledged)
    assert 3 < done < 200
    found = sizes(engine)
    assert {name: found[name] for name in ("person", "referral", "outbox_message", "lane", "record_version")} == {
        "person": done, "referral": done, "outbox_message": done, "lane": done, "record_version": 2 * done,
    }  # fmt: skip
    assert found["fhir_resource"] == 2 * done
    assert found["audit"] == 2 * done
    limit["pages"] = 10**6
    fill()
    assert len(acknowledged) == done + 200
    with reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        assert audit.verify(connection) is None
    engine.dispose()
