"""Another hospital that says things differently: an endpoint's file and overlays, and no Python, in both directions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from peerfhir.operators import Operator
from peerfhir.practice.people import PATIENTS
from peerfhir.records import kept, people
from peerfhir.records.database import reading
from peerfhir.records.schema import outbox_message
from peerfhir.wiring import House
from tests.support import scene
from tests.support.house import ROOT, SECRET
from tests.support.loop import Loop
from tests.support.served import Served
from tests.support.ward import open_ward

USUAL, NEW = "usual", "north"
OUT = """overlay: summary.north
version: 1.0.0
extends: summary@^1.0
applies-to: {endpoint: north}
rules:
  - {at: note.author, remove: true, because: only practitioners with an id there may sign}
  - {at: note.type.text, set: Note of a peer, because: this chart files by it}
"""
IN = """overlay: person.north
version: 1.0.0
extends: person@^1.0
applies-to: {endpoint: north}
rules:
  - {at: record.family, set: =name.first().family.upper(), because: staff there read capitals}
"""


def furnish(folder: Path, database_url: str, gateway: str, clock: scene.RunningClock, bays: dict[str, Served]) -> House:
    """The shipped configuration with its usual hospital; then what an engineer adds for the new one, as files."""
    house = scene.furnish(folder, database_url, gateway, clock, {USUAL: ("riverside", bays[USUAL].url, "open")})
    house.engine.dispose()
    endpoints = folder / "config" / "endpoints"
    text = (endpoints / f"{USUAL}.yaml").read_text("utf-8").replace(f"endpoint: {USUAL}", f"endpoint: {NEW}")
    text = text.replace(bays[USUAL].url, bays[NEW].url)
    (endpoints / f"{NEW}.yaml").write_text(f"{text}overlays: [summary.north, person.north]\n", "utf-8")
    mappings = folder / "mappings"
    shutil.copytree(ROOT / "mappings", mappings, ignore=shutil.ignore_patterns("examples"))
    for name, overlay in (("summary", OUT), ("person", IN)):
        (mappings / name / "overlays").mkdir(exist_ok=True)
        (mappings / name / "overlays" / "north.overlay.yaml").write_text(overlay, "utf-8")
    environ = {
        "PEERFHIR_SECRET_KEY": SECRET, "PEERFHIR_MAPPINGS": str(mappings), "PEERFHIR_DATABASE_URL": database_url,
        "PEERFHIR_BASE_URL": gateway,
    }  # fmt: skip
    house = House.open(folder / "config", environ)
    house.__dict__["clock"] = clock
    return house


@pytest.fixture
def loops(tmp_path: Path) -> Iterator[dict[str, Loop]]:
    """One house with two hospitals of one kind; only the files of the new one say that it is different."""
    with ExitStack() as stack:
        clock, gateway, bays = scene.RunningClock(), Served(), {name: Served() for name in (USUAL, NEW)}
        for served in (gateway, *bays.values()):
            stack.callback(served.stop)
        house = furnish(tmp_path, f"sqlite:///{tmp_path / 'peerfhir.db'}", gateway.url, clock, bays)
        stack.callback(house.engine.dispose)
        worker = house.worker()
        stack.callback(worker.outbox.close)
        gateway.start(house.web())
        passwords = scene.people(house, "riverside")
        made = {}
        for name, bay in bays.items():
            client = Operator(house).add_client(name, "system/*.cruds", endpoint=name)
            ward = open_ward(tmp_path / name, bay, gateway.url, clock, "open", client, name)
            stack.callback(ward.engine.dispose)
            made[name] = Loop(house, gateway, ward, worker, clock, passwords, "riverside")
        yield made


def test_each_hospital_is_read_and_written_to_as_its_own_file_says(loops: dict[str, Loop]) -> None:
    notes: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for (name, loop), patient in zip(loops.items(), PATIENTS, strict=False):
        walk = loop.refer(patient.id).to_enrolled("attendance", "summary")
        walk.note()
        loop.settle()
        (notes[name],) = loop.ward.of("DocumentReference", patient.id)
        with reading(loop.house.engine) as connection:
            names[name] = people.at(connection, "riverside", walk.person_id).family
        assert loop.ward.refusals() == []
    assert names == {USUAL: PATIENTS[0].family, NEW: PATIENTS[1].family.upper()}
    assert names[NEW] != PATIENTS[1].family
    assert ("author" in notes[USUAL], "author" in notes[NEW]) == (True, False)
    assert (notes[USUAL]["type"]["text"], notes[NEW]["type"]["text"]) == ("Peer support summary", "Note of a peer")
    check_what_is_written_beside_the_bytes(loops[NEW].house)


def check_what_is_written_beside_the_bytes(house: House) -> None:
    """What would be needed to make them again; and the files that the content hash names are there."""
    c = outbox_message.c
    wanted = (c.endpoint, c.mapping_version, c.overlay, c.mapping_sha256, c.engine)
    with reading(house.engine) as connection:
        rows = connection.execute(select(*wanted).where(c.mapping_id == "summary").order_by(c.endpoint)).all()
        files = {row.endpoint: set(kept.files(connection, row.mapping_sha256)) for row in rows}
    assert [(row.endpoint, row.mapping_version, row.overlay) for row in rows] == [
        (NEW, "1.0.0", "north"), (USUAL, "1.0.0", None),
    ]  # fmt: skip
    assert all(row.engine.startswith("peerfhir ") for row in rows)
    assert files[NEW] - files[USUAL] == {"mappings/summary/overlays/north.overlay.yaml"}
