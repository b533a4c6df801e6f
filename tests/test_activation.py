"""Mappings as they become active, and as they were, with the files of a folder that changes."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from peerfhir.activation import Pinned, Reloading, activate, refusals
from peerfhir.errors import BadConfiguration, MappingFailed, NotFound
from peerfhir.mapping.registry import Mappings, Standing
from peerfhir.records import kept
from peerfhir.records.database import open_engine, reading, writing
from peerfhir.records.schema import mapping_file
from tests.support import shipped
from tests.support.house import ROOT, furnish
from tests.support.mapping_folder import CANONICAL, write

NOTE = """mapping: note
version: 1.0.0
status: active
fhirVersion: 4.0.1
source: {format: json, key: id, fields: {id: string!, kind: {type: code!, codes: kind}}}
systems: {kind: http://kind.example}
conceptMaps: {kind: kind.csv}
bundle: none
resources:
  basic: {resourceType: Basic, code: {coding: {system: $kind, code: =kind.translate('kind')}, text: as it was}}
"""
KINDS = "source,code\na,one\nb,two\n"
OVERLAY = """overlay: note.north
version: 2.0.0
extends: note@^1.0
applies-to: {endpoint: north}
rules:
  - {at: basic.code.text, set: in the north}
"""
RECORD = {"id": "1", "kind": "a"}


@pytest.fixture
def lite(sqlite_template: Path, tmp_path: Path) -> Iterator[Engine]:
    shutil.copy(sqlite_template, tmp_path / "lite.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'lite.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write(tmp_path, "note", NOTE, kind_csv=KINDS)
    (folder / "note" / "overlays").mkdir()
    (folder / "note" / "overlays" / "north.overlay.yaml").write_text(OVERLAY, "utf-8")
    return folder


def read(folder: Path) -> Mappings:
    return Mappings.load(folder, canonical=CANONICAL)


def change(folder: Path, old: str, new: str, name: str = "note.map.yaml") -> None:
    path = folder / "note" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_version_that_was_active_is_refused_with_other_content_at_its_line(engine, clock, folder: Path) -> None:
    assert activate(engine, clock, read(folder)) == ()
    assert activate(engine, clock, read(folder)) == ()  # a start without a change
    change(folder, "as it was", "as it is")
    change(folder, "in the north", "up north", "overlays/north.overlay.yaml")
    with pytest.raises(BadConfiguration) as refused:
        activate(engine, clock, read(folder))
    (told,) = refused.value.problems
    first, hint = told.splitlines()
    assert first.startswith("mappings/note/note.map.yaml:2:1: error PM011: version: 'note' 1.0.0 was used before")
    assert first.endswith("with other content: mappings/note/note.map.yaml")
    assert hint.strip() == "hint: raise the version"
    with pytest.raises(BadConfiguration) as said:
        refusals(engine, read(folder))  # what a check says, without keeping anything
    assert said.value.problems == refused.value.problems
    change(folder, "version: 1.0.0", "version: 1.0.1")
    assert activate(engine, clock, read(folder)) == ()  # the overlay over another version is another one
    with reading(engine) as connection:
        found = [(one.version.version, one.version.overlay) for one in kept.versions(connection, "note")]
    assert sorted(found) == [("1.0.0", ""), ("1.0.0", "north"), ("1.0.1", ""), ("1.0.1", "north")]


def test_an_overlay_and_a_file_beside_the_document_count_as_well(lite, clock, folder: Path) -> None:
    activate(lite, clock, read(folder))
    change(folder, "in the north", "up north", "overlays/north.overlay.yaml")
    with pytest.raises(BadConfiguration, match=r"north\.overlay\.yaml:2:1: error PM011: version: overlay 'note.north'"):
        activate(lite, clock, read(folder))
    change(folder, "2.0.0", "2.0.1", "overlays/north.overlay.yaml")
    assert activate(lite, clock, read(folder)) == ()
    change(folder, "b,two", "b,three", "kind.csv")
    with pytest.raises(BadConfiguration, match=r"with other content: mappings/note/kind\.csv\n"):
        activate(lite, clock, read(folder))


def test_while_developing_it_is_told_and_what_ran_is_kept_all_the_same(lite, clock, folder: Path) -> None:
    activate(lite, clock, read(folder))
    change(folder, "as it was", "as it is")
    fresh = read(folder)
    (told,) = activate(lite, clock, fresh, development=True)
    assert told.startswith("mappings/note/note.map.yaml:2:1: warning PM011: version: ")
    refusals(lite, fresh, development=True)
    with reading(lite) as connection:
        assert Pinned(CANONICAL)(connection, fresh.sha256("note")).version == "1.0.0"
    with pytest.raises(BadConfiguration, match="PM011"):  # and whoever starts it in earnest is still told
        activate(lite, clock, fresh)


def test_a_draft_is_not_kept_and_may_change(lite, clock, folder: Path) -> None:
    change(folder, "status: active", "status: draft")
    activate(lite, clock, read(folder))
    change(folder, "as it was", "as it is")
    assert activate(lite, clock, read(folder)) == ()
    with reading(lite) as connection:
        assert kept.known(connection) == {}


def test_nothing_is_kept_of_a_start_that_was_refused(lite, clock, folder: Path) -> None:
    activate(lite, clock, read(folder))
    write(folder.parent, "other", NOTE.replace("mapping: note", "mapping: other"), kind_csv=KINDS)
    change(folder, "as it was", "as it is")
    with pytest.raises(BadConfiguration):
        activate(lite, clock, read(folder))
    with reading(lite) as connection:
        assert kept.versions(connection, "other") == []


def test_a_mapping_runs_again_as_it_was_without_its_folder(lite, clock, folder: Path) -> None:
    before = read(folder)
    plain, north = before.get("note"), before.get("note", "north")
    expected = [plain.program.run(RECORD).only(), north.program.run(RECORD).only()]
    activate(lite, clock, before)
    shutil.rmtree(folder)
    pinned = Pinned(CANONICAL)
    with reading(lite) as connection:
        again = [pinned(connection, plain.sha256), pinned(connection, north.sha256)]
        assert pinned(connection, plain.sha256) is again[0]
        with pytest.raises(NotFound):
            pinned(connection, "0" * 64)
    assert [one.program.run(RECORD).only() for one in again] == expected
    assert [(one.name, one.sha256, one.overlay_version) for one in again] == [
        ("note", plain.sha256, None),
        ("note+north", north.sha256, "2.0.0"),
    ]
    assert before.with_pinned(again[1]).run("note", RECORD).only()["code"]["text"] == "in the north"
    assert before.under(["note.north"]).with_pinned(again[0]).run("note", RECORD).only()["code"]["text"] == "as it was"


def test_what_was_kept_and_cannot_be_read_any_more_says_its_line_and_what_to_do(lite, clock, folder: Path) -> None:
    given = read(folder).get("note")
    broken = {**given.content, "mappings/note/note.map.yaml": NOTE.replace("=kind.tr", "=kin.tr").encode()}
    from peerfhir.mapping.folder import manifest

    used = kept.Used(kept.Version("note", "1.0.0"), manifest(broken), broken)
    with writing(lite) as connection:
        kept.keep(connection, clock.now(), [used])
    with reading(lite) as connection, pytest.raises(MappingFailed, match="PM111") as fault:
        Pinned(CANONICAL)(connection, used.sha256)
    assert str(fault.value.place).startswith("mappings/note/note.map.yaml:10:")


def test_kept_files_are_never_put_outside_their_folder(lite, clock) -> None:
    from peerfhir.mapping.folder import manifest

    files = {"mappings/../../evil.map.yaml": b"x"}
    used = kept.Used(kept.Version("evil", "1.0.0"), manifest(files), files)
    with writing(lite) as connection:
        kept.keep(connection, clock.now(), [used])
    with reading(lite) as connection, pytest.raises(MappingFailed, match="outside"):
        Pinned(CANONICAL)(connection, used.sha256)


# -- reload ----------------------------------------------------------------------------------------------------


def reloading(engine, clock, folder: Path) -> tuple[Standing, Reloading]:
    standing = Standing(read(folder))
    activate(engine, clock, standing.now)
    return standing, Reloading(engine, clock, standing, lambda: read(folder))


def text_of(standing: Standing) -> str:
    return str(standing.get("note").program.run(RECORD).only()["code"]["text"])


def test_a_reload_reaches_every_process_and_each_looks_once_a_second(engine, clock, folder: Path) -> None:
    here, door = reloading(engine, clock, folder)
    there, other = reloading(engine, clock, folder)
    other.follow()
    change(folder, "as it was", "as it is")
    change(folder, "version: 1.0.0", "version: 1.0.1")
    assert text_of(here) == "as it was"
    assert door.reload("client-1") == ()
    assert text_of(here) == "as it is"
    other.follow()
    assert text_of(there) == "as it was"  # it has looked a moment ago
    clock.move(seconds=1)
    other.follow()
    assert text_of(there) == "as it is"
    door.follow()
    assert here.now.sha256_of_all() == there.now.sha256_of_all()


@pytest.mark.parametrize(
    ("old", "new", "what"), [("as it was", "as it is", "PM011"), ("=kind.translate", "=kin.translate", "PM111")]
)
def test_a_reload_with_one_wrong_file_changes_nothing_anywhere(
    lite, clock, folder: Path, old: str, new: str, what: str
) -> None:
    here, door = reloading(lite, clock, folder)
    write(folder.parent, "other", NOTE.replace("mapping: note", "mapping: other"), kind_csv=KINDS)
    change(folder, old, new)
    before = here.now
    with pytest.raises(BadConfiguration, match=what):
        door.reload("client-1")
    assert here.now is before
    with reading(lite) as connection:
        assert kept.asked(connection) == (0, "")
        assert kept.versions(connection, "other") == []


def test_a_process_that_finds_other_files_than_were_asked_for_keeps_what_it_has(lite, clock, folder: Path) -> None:
    _, door = reloading(lite, clock, folder)
    there, other = reloading(lite, clock, folder)
    change(folder, "version: 1.0.0", "version: 1.0.1")
    door.reload("client-1")
    before = there.now
    change(folder, "version: 1.0.1", "version: 1.0.2")
    other.follow()
    assert there.now is before
    door.reload("client-1")
    clock.move(seconds=1)
    other.follow()
    assert there.get("note").version == "1.0.2"


def test_processes_that_start_at_once_keep_the_same_and_none_is_refused(engine, clock, folder: Path) -> None:
    mappings, faults = read(folder), []
    ready = threading.Barrier(4)

    def start() -> None:
        ready.wait(10)
        try:
            activate(engine, clock, mappings)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []
    with reading(engine) as connection:
        assert len(kept.known(connection)) == 2
        assert len(connection.execute(mapping_file.select()).all()) == 5  # two manifests, three files


def test_every_shipped_mapping_is_read_back_as_it_is(lite, clock) -> None:
    """Those with questionnaires, libraries, files beside them and overlays among them."""
    mappings = shipped.mappings()
    assert activate(lite, clock, mappings) == ()
    pinned = Pinned(CANONICAL)
    with reading(lite) as connection:
        for one in mappings.active():
            assert pinned(connection, one.sha256).content == one.content, one.name


def test_a_service_with_a_version_that_was_used_for_something_else_does_not_start(
    tmp_path: Path, sqlite_template: Path, log_lines: io.StringIO
) -> None:
    mappings = tmp_path / "mappings"
    shutil.copytree(ROOT / "mappings", mappings, ignore=shutil.ignore_patterns("examples"))
    shutil.copy(sqlite_template, tmp_path / "peerfhir.db")
    url = f"sqlite:///{tmp_path / 'peerfhir.db'}"
    first = furnish(tmp_path, url, PEERFHIR_MAPPINGS=str(mappings))
    first.check()
    assert first.web() is not None  # what each process of the service does
    path = mappings / "summary" / "summary.map.yaml"
    path.write_text(path.read_text("utf-8") + "# more\n", "utf-8")
    again = furnish(tmp_path, url, PEERFHIR_MAPPINGS=str(mappings))
    with pytest.raises(BadConfiguration, match=r"summary/summary\.map\.yaml:3:1: error PM011"):
        again.check()
    with pytest.raises(BadConfiguration, match="PM011"):
        again.worker()
    developing = furnish(tmp_path, url, PEERFHIR_MAPPINGS=str(mappings), PEERFHIR_DEVELOPMENT="true")
    developing.check()
    assert developing.worker() is not None
    assert "warning PM011" in log_lines.getvalue()
    for house in (first, again, developing):
        house.engine.dispose()
