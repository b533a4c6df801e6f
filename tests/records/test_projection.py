from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.errors import DatabaseBusy, InvalidResource, MappingFailed, VersionConflict
from peerfhir.fhir.labels import Labels, Projected
from peerfhir.fhir.store import Store
from peerfhir.fhir.tables import fhir_version
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.records import schema
from peerfhir.records.work import Office
from tests.records import made
from tests.records.kept import a_whole_day, as_basic, rows, sizes
from tests.support.clock import HeldClock


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


@pytest.mark.parametrize("mistake", [KeyError("Ana"), RecursionError(), TypeError("Ana"), ZeroDivisionError()])
def test_a_mistake_of_ours_keeps_the_record_too_and_says_nothing_of_it(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker, mistake: Exception, caplog: Any
) -> None:
    def show(record: Any, context: Any) -> list[Projected]:
        raise mistake

    with open_office(show).work(made.actor()) as work:
        who = work.save_person(made.person(maker))
    (row,) = rows(engine, schema.outbox_message)
    assert (row["state"], row["reason"], row["record_id"]) == ("parked", "mapping-failed", who.id)
    assert type(mistake).__name__ in caplog.text
    assert "Ana" not in caplog.text + row["advice"]


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


def test_a_fault_of_the_machine_breaks_the_work_off_and_keeps_nothing(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker
) -> None:
    def show(record: Any, context: Any) -> list[Projected]:
        raise OSError("x")

    def step() -> None:
        with open_office(show).work(made.actor()) as work:
            work.save_person(made.person(maker))

    before = sizes(engine)
    with pytest.raises(OSError):
        step()
    assert sizes(engine) == before


@pytest.mark.parametrize("moment", ["before the projection writes", "while it writes"])
def test_a_task_that_the_hospital_changed_meanwhile_is_not_overwritten(
    open_office: Callable[..., Office], engine: Engine, maker: made.Maker, clock: HeldClock, moment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """On PostgreSQL two transactions can meet here; the same connection plays the other one."""
    office = open_office(lambda record, context: [])
    task = {"resourceType": "Task", "id": "t1", "status": "requested", "intent": "order"}
    with office.work(made.actor()) as work:
        Store(work.connection, "north", clock).create(task, Labels("clinic"), id="t1")
    put = Store.put

    def hospital_writes(connection: Any) -> None:
        store = Store(connection, "north", clock)
        put(store, {**task, "description": "theirs"}, Labels("clinic"))

    def show(record: Any, context: Any) -> list[Projected]:
        current = context.current("Task", "t1")
        if moment == "before the projection writes":
            hospital_writes(context.connection)
        return [Projected({**current, "status": "accepted"}, "existence", record.person_id)]

    def meets(store: Store, resource: Any, labels: Labels) -> Any:
        raise VersionConflict

    if moment == "while it writes":
        monkeypatch.setattr(Store, "put", meets)
    with pytest.raises(DatabaseBusy), open_office(show).work(made.actor()) as work:
        work.save_referral(made.referral(maker, "p1"))
    assert rows(engine, schema.referral) == []


def test_a_resource_that_two_records_show_is_written_twice_in_one_work(
    open_office: Callable[..., Office], maker: made.Maker
) -> None:
    def show(record: Any, context: Any) -> list[Projected]:
        text = (context.current("Basic", "shared") or {}).get("code", {}).get("text", "")
        return [Projected({"resourceType": "Basic", "id": "shared", "code": {"text": text + "x"}})]

    with open_office(show).work(made.actor()) as work:
        for _ in range(3):
            work.save_person(made.person(maker))
    with open_office().work(made.actor()) as work:
        stored = work.store.read("Basic", "shared")
    assert (stored.version, stored.resource["code"]["text"]) == (3, "xxx")
