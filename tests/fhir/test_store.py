"""The store as other rooms use it: put, claims, labels, what a caller may see."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from peerfhir.errors import Duplicate, NotFound, VersionConflict
from peerfhir.fhir.prepared import Sight
from peerfhir.fhir.store import Draft, Key, Labels, Store
from peerfhir.records.database import writing
from tests.support.clock import HeldClock
from tests.support.fhir import Server

CLOCK = HeldClock()


def patient(number: int = 1, **changed: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{number}", "identifier": [{"system": "urn:mrn", "value": str(number)}],
            **changed}  # fmt: skip


def test_put_creates_changes_or_leaves_alone(shared: Engine) -> None:
    server = Server(shared, CLOCK)
    with writing(shared) as connection:
        store = Store(connection, server.program, CLOCK)
        assert store.put(patient(), Labels()).version == 1
        assert store.put(patient(), Labels()).version == 1
        assert (
            store.put(
                {**patient(), "meta": {"versionId": "7", "lastUpdated": "2020-01-01T00:00:00Z"}}, Labels()
            ).version
            == 1
        )
        assert store.put(patient(active=True), Labels()).version == 2
        assert store.put(patient(active=True), Labels(share_class="summary", person_id="x")).version == 3
        kept = store.read("Patient", "p1")
    assert kept.labels == Labels(share_class="summary", person_id="x")
    assert kept.resource["meta"] == {"versionId": "3", "lastUpdated": "2026-11-21T23:30:15.123Z"}
    assert (kept.etag, kept.reference, kept.stamp) == ('W/"3"', "Patient/p1", "2026-11-21T23:30:15.123Z")
    assert kept.last_modified == "Sat, 21 Nov 2026 23:30:15 GMT"


def test_a_create_ignores_the_id_inside_and_takes_the_one_given(shared: Engine) -> None:
    with writing(shared) as connection:
        store = Store(connection, Server(shared).program, CLOCK)
        assert store.create(patient(), Labels()).id != "p1"
        assert store.create(patient(), Labels(), id="chosen").resource["id"] == "chosen"


def test_an_update_keeps_labels_unless_told(shared: Engine) -> None:
    with writing(shared) as connection:
        store = Store(connection, Server(shared).program, CLOCK)
        store.create(patient(), Labels(source="riverside"), id="p1")
        assert store.update(patient(active=True), None, 1).labels.source == "riverside"
        assert store.update(patient(active=True), Labels(source="lakeside"), None).labels.source == "lakeside"
        with pytest.raises(VersionConflict):
            store.update(patient(), None, 1)
        with pytest.raises(NotFound):
            store.update(patient(2), None, None)
        assert [store.vread("Patient", "p1", one).version for one in (1, 2, 3)] == [1, 2, 3]


def test_a_version_that_moved_meanwhile_is_not_overwritten(shared: Engine) -> None:
    with writing(shared) as connection:
        store = Store(connection, Server(shared).program, CLOCK)
        read_before = store.create(patient(), Labels(), id="p1")
        store.update(patient(active=True), None, 1)
        with pytest.raises(VersionConflict):
            store.write([Draft(patient(active=False), None, read_before)])


def test_a_key_is_claimed_once(shared: Engine) -> None:
    with writing(shared) as connection:
        store = Store(connection, Server(shared).program, CLOCK)
        ours = Key("Task", "urn:x", "1", "riverside")
        assert store.claims.claim({ours: "a"}) == {}
        assert store.claims.claim({ours: "a"}) == {}
        assert store.claims.claim({ours: "b"}) == {ours: "a"}
        assert store.claims.claim({Key("Task", "urn:x", "1", "lakeside"): "b"}) == {}
        assert store.claims.claim({Key("Task", "urn:x", "1"): "b"}) == {}
        keys = {Key("Task", "urn:x", str(one), "riverside"): "c" for one in range(3)}
        assert store.claims.claim(keys) == {Key("Task", "urn:x", "1", "riverside"): "a"}
        store.claims.release(keys, "c")
        assert store.claims.holder(Key("Task", "urn:x", "1", "riverside")) == "a"
        assert store.claims.holder(Key("Task", "urn:x", "2", "riverside")) is None


def test_an_identifier_within_one_write_may_stand_once(shared: Engine) -> None:
    body = {"resourceType": "Task", "status": "requested", "intent": "order", "identifier": [{"value": "1"}]}
    with writing(shared) as connection:
        store = Store(connection, Server(shared).program, CLOCK)
        with pytest.raises(Duplicate):
            store.write([Draft({**body, "id": one}, Labels()) for one in ("a", "b")])


def test_what_a_caller_may_not_see_is_not_there(shared: Engine) -> None:
    program = Server(shared).program
    with writing(shared) as connection:
        everything = Store(connection, program, CLOCK)
        for number, source in enumerate(["riverside", "lakeside"]):
            everything.create(patient(number), Labels(source=source), id=f"p{number}")
        mine = Store(connection, program, CLOCK, Sight(text("fhir_resource.source = :whose"), {"whose": "riverside"}))
        assert mine.read("Patient", "p0").id == "p0"
        for ask in (lambda: mine.read("Patient", "p1"), lambda: mine.vread("Patient", "p1", 1),
                    lambda: mine.update(patient(1), None, 1)):  # fmt: skip
            with pytest.raises(NotFound):
                ask()
        assert set(mine.read_many(["Patient/p0", "Patient/p1"])) == {"Patient/p0"}
        assert mine.missing(["Patient/p0", "Patient/p1"]) == {"Patient/p1"}
        assert [row.id for row in mine.search("Patient").rows] == ["p0"]
        assert mine.search("Patient", "_count=0").total == 1
        key = Key("Patient", "urn:mrn", "1")
        assert mine.identified([key]) == {key: []}
        assert everything.identified([key]) == {key: ["p1"]}


def test_an_identifier_finds_its_resource_by_system_and_type(shared: Engine) -> None:
    with writing(shared) as connection:
        store = Store(connection, Server(shared).program, CLOCK)
        store.create(patient(), Labels(source="riverside"), id="p1")
        asked = [Key("Patient", "urn:mrn", "1"), Key("Patient", "urn:other", "1"), Key("Organization", "urn:mrn", "1")]
        assert store.identified(asked) == dict(zip(asked, (["p1"], [], []), strict=True))


def test_nothing_is_asked_for_nothing(shared: Engine) -> None:
    with writing(shared) as connection:
        store = Store(connection, "nobody", CLOCK)
        assert (store.read_many([]), store.missing([]), store.identified([]), store.write([])) == ({}, set(), {}, [])
        assert store.claims.claim({}) == {}
