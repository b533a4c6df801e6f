from __future__ import annotations

import hashlib
import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from peerfhir.errors import NotFound
from peerfhir.records import kept
from peerfhir.records.database import reading, writing
from peerfhir.records.kept import Used, Version
from peerfhir.records.schema import mapping_file


def used(version: Version, **files: str) -> Used:
    data = {name: text.encode() for name, text in files.items()}
    lines = ["peerfhir-mapping 1", *(f"{hashlib.sha256(one).hexdigest()}  {name}" for name, one in data.items())]
    return Used(version, "".join(f"{line}\n" for line in lines).encode(), data)


FIRST = used(Version("visit", "1.0.0"), a="one", b="two")
SECOND = used(Version("visit", "1.1.0"), a="one", b="three")
OVERLAID = used(Version("visit", "1.1.0", "north", "2.0.0"), a="one", b="three", c="four")


def test_versions_are_kept_with_their_files_and_read_back(engine, clock) -> None:
    given = [SECOND, FIRST, OVERLAID]
    with writing(engine) as connection:
        assert kept.keep(connection, clock.now(), given) == {one.version: one.sha256 for one in given}
    with reading(engine) as connection:
        assert {one.version: kept.files(connection, one.sha256) for one in given} == {
            one.version: one.files for one in given
        }
        found = kept.versions(connection, "visit")
        assert kept.versions(connection, "other") == []
        with pytest.raises(NotFound):
            kept.files(connection, "0" * 64)
    assert [one.version for one in found] == [FIRST.version, SECOND.version, OVERLAID.version]
    assert {one.at for one in found} == {clock.now()}


def test_a_version_stays_what_it_was_first_and_its_first_moment_too(engine, clock) -> None:
    with writing(engine) as connection:
        kept.keep(connection, clock.now(), [FIRST])
    before = clock.now()
    other = used(FIRST.version, a="changed", b="two")
    later = before + timedelta(days=1)
    with writing(engine) as connection:
        assert kept.keep(connection, later, [other, SECOND])[FIRST.version] == FIRST.sha256
    with reading(engine) as connection:
        assert kept.known(connection)[FIRST.version] == FIRST.sha256
        assert kept.files(connection, other.sha256) == other.files  # what a delivery may have been made by
        assert [one.at for one in kept.versions(connection, "visit")] == [before, later]


def test_what_was_changed_in_the_database_is_not_taken_for_what_was_kept(engine, clock) -> None:
    with writing(engine) as connection:
        kept.keep(connection, clock.now(), [FIRST])
        one = hashlib.sha256(b"two").hexdigest()
        connection.execute(update(mapping_file).where(mapping_file.c.sha256 == one).values(data=b"new"))
    with reading(engine) as connection, pytest.raises(NotFound, match="changed"):
        kept.files(connection, FIRST.sha256)


def test_of_processes_that_start_at_once_with_different_files_one_is_first_and_all_are_told_the_same(
    engine, clock
) -> None:
    given = [
        [used(Version("visit", "1.0.0"), a=f"text {at}"), used(Version("call", "1.0.0"), b="same")] for at in range(4)
    ]
    told: list[dict[Version, str]] = []
    ready = threading.Barrier(4)

    def start(mine: list[Used]) -> None:
        ready.wait(10)
        with writing(engine) as connection:
            told.append(kept.keep(connection, clock.now(), mine))

    threads = [threading.Thread(target=start, args=(one,)) for one in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(told) == 4
    assert all(one == told[0] for one in told)
    with reading(engine) as connection:
        assert kept.known(connection) == told[0]


def test_a_reload_that_was_asked_for_last_is_the_one_that_counts(engine, clock) -> None:
    with reading(engine) as connection:
        assert kept.asked(connection) == (0, "")
    with writing(engine) as connection:
        first = kept.ask(connection, clock.now(), "a" * 64, "client-1")
        second = kept.ask(connection, clock.now(), "b" * 64, "client-2")
    assert second > first > 0
    with reading(engine) as connection:
        assert kept.asked(connection) == (second, "b" * 64)
