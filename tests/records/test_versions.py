from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from peerfhir.pathway.refusals import AlreadyRecorded, NotFoundHere, StaleVersion
from peerfhir.records import versions
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import record_version
from peerfhir.records.work import _NOUNS
from tests.records.made import Maker
from tests.support.clock import HeldClock

NOUNS = list(_NOUNS.values())
by_kind = pytest.mark.parametrize("noun", NOUNS, ids=[noun.kind for noun in NOUNS])


@by_kind
def test_a_record_comes_back_as_it_was_whatever_is_in_it(noun: versions.Noun) -> None:
    for seed in range(60):
        record = Maker(seed, full=seed % 3 == 0).record(noun.type)
        body = versions.to_bytes(record)
        assert versions.from_bytes(noun.type, body) == record
        assert versions.to_bytes(versions.from_bytes(noun.type, body)) == body


@by_kind
def test_every_version_of_a_record_can_be_read_again(noun: versions.Noun, engine: Engine, clock: HeldClock) -> None:
    maker = Maker(7, full=True)
    first = maker.record(noun.type)
    changed = maker.record(noun.type, id=first.id)
    with writing(engine) as connection:
        one = versions.save(connection, noun, first, clock.now())
        two = versions.save(connection, noun, replace(changed, version=1), clock.now())
    assert (one.version, two.version) == (1, 2)
    with reading(engine) as connection:
        assert versions.at(connection, noun, "north", first.id, 1) == one == replace(first, version=1)
        assert versions.at(connection, noun, "north", first.id) == two
        assert versions.find(connection, noun, "north", first.id) == two
        row = connection.execute(select(noun.table).where(noun.table.c.id == first.id)).mappings().one()
    assert row["version"] == 2
    assert row["updated_at"] == clock.now()
    for name, value in noun.columns(two).items():
        assert row[name] == value


@by_kind
def test_a_stale_version_changes_nothing(noun: versions.Noun, engine: Engine, clock: HeldClock) -> None:
    record = Maker(8).record(noun.type)
    with writing(engine) as connection:
        saved = versions.save(connection, noun, record, clock.now())
        versions.save(connection, noun, saved, clock.now())
    for stale in (saved, replace(saved, version=9)):
        with pytest.raises(StaleVersion), writing(engine) as connection:
            versions.save(connection, noun, stale, clock.now())
    with pytest.raises(AlreadyRecorded), writing(engine) as connection:
        versions.save(connection, noun, record, clock.now())  # new again
    with reading(engine) as connection:
        assert versions.at(connection, noun, "north", record.id).version == 2
        assert len(connection.execute(select(record_version)).all()) == 2


@by_kind
def test_another_programs_record_is_as_unknown_as_one_that_never_was(
    noun: versions.Noun, engine: Engine, clock: HeldClock
) -> None:
    record = Maker(9).record(noun.type)
    with writing(engine) as connection:
        versions.save(connection, noun, record, clock.now())
    with reading(engine) as connection:
        for program, wanted, version in (("south", record.id, None), ("south", record.id, 1), ("north", "x", None)):
            with pytest.raises(NotFoundHere):
                versions.at(connection, noun, program, wanted, version)
        assert versions.find(connection, noun, "south", record.id) is None
        assert versions.listed(connection, noun, "south") == []
