"""A replay as it was made before, after the mapping that made it has changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from peerfhir.activation import Pinned, activate
from peerfhir.errors import NotFound
from peerfhir.fhir.capability import Offer
from peerfhir.mapping.registry import Mappings, Standing
from peerfhir.outbox.render import PlanChanged, Render
from peerfhir.pathway.vocabulary import Piece, Status, TaskStatus
from peerfhir.records.database import open_engine, reading
from tests.outbox.test_render import task, told
from tests.outbox.ward import ENDPOINT, MAPPINGS, OPEN, Ward, make_ward, shipped
from tests.support.mapping_folder import CANONICAL

OTHER = ("encounter", "referral-status")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Mappings:
    """Two of the shipped mappings in a next version that says something else."""
    folder = tmp_path_factory.mktemp("next") / "mappings"
    for name in OTHER:
        shutil.copytree(MAPPINGS / name, folder / name)
        path = folder / name / f"{name}.map.yaml"
        text = path.read_text("utf-8").replace("version: 1.", "version: 2.", 1)
        path.write_text(text.replace("}/NamingSystem/", "}/NamingSystem/new-"), "utf-8")
    for library in MAPPINGS.glob("library"):
        shutil.copytree(library, folder / "library")
    return Mappings.load(folder, canonical=CANONICAL)


@pytest.fixture
def engine(sqlite_template, tmp_path):
    shutil.copy(sqlite_template, tmp_path / "ward.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'ward.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def ward(engine, clock) -> Ward:
    return make_ward(engine, clock)


def later(ward: Ward, changed: Mappings, *, pinned: bool = True) -> Render:
    """The renderer after the house has started again with the next versions."""
    activate(ward.engine, ward.clock, shipped())
    fresh = Standing(shipped())
    for one in changed.active():
        fresh.swap(fresh.now.with_pinned(one))
    return Render(
        fresh, ward.clock, programs=ward.render._programs, instruments=ward.render._instruments,
        pinned=Pinned(CANONICAL) if pinned else None, made_with=("peerfhir 9.9.9", "us.core#8.0.0"),
    )  # fmt: skip


def again(ward: Ward, render: Render, piece: Piece, record: Any, mode: str, made_by: Any, offer: Offer = OPEN) -> Any:
    message = replace(
        ward.message(piece, record), replay_mode=mode, parent_id=7,
        mapping_id=made_by.mapping_id if mode == "pinned" else None,
        mapping_sha256=made_by.mapping_sha256 if mode == "pinned" else None,
    )  # fmt: skip
    with reading(ward.engine) as connection:
        return render(connection, message, ENDPOINT, offer)


def test_a_create_whose_bytes_are_not_kept_is_made_again_to_the_byte(ward: Ward, changed: Mappings) -> None:
    before = ward.rendered(Piece.ENCOUNTER, ward.encounter)
    render = later(ward, changed)
    current = again(ward, render, Piece.ENCOUNTER, ward.encounter, "current", before.made_by)
    assert current.create != before.create
    assert current.made_by.mapping_version.startswith("2.")
    pinned = again(ward, render, Piece.ENCOUNTER, ward.encounter, "pinned", before.made_by)
    assert pinned.create == before.create
    assert pinned.made_by == replace(before.made_by, engine="peerfhir 9.9.9", packages="us.core#8.0.0")


def test_an_update_is_made_on_what_is_there_by_the_mapping_that_made_it(ward: Ward, changed: Mappings) -> None:
    ward.tell(told(TaskStatus.ACCEPTED, Status.MATCHING))
    before = ward.rendered(Piece.STATUS, ward.referral)
    render = later(ward, changed)
    bodies = {
        mode: again(ward, render, Piece.STATUS, ward.referral, mode, before.made_by).change.revise(task()).body
        for mode in ("pinned", "current")
    }
    assert bodies["pinned"] == before.change.revise(task()).body
    assert bodies["pinned"] != bodies["current"]


def test_a_hospital_that_takes_another_form_by_now_is_sent_nothing_pinned(ward: Ward, changed: Mappings) -> None:
    before = ward.rendered(Piece.ENCOUNTER, ward.encounter)
    render = later(ward, changed)
    less = Offer(creates=frozenset({"DocumentReference"}))
    with pytest.raises(PlanChanged):
        again(ward, render, Piece.ENCOUNTER, ward.encounter, "pinned", before.made_by, less)
    assert again(ward, render, Piece.ENCOUNTER, ward.encounter, "current", before.made_by, less).rung == 2


def test_what_was_never_kept_is_not_replaced_by_something_else(ward: Ward, changed: Mappings) -> None:
    before = ward.rendered(Piece.ENCOUNTER, ward.encounter).made_by
    with pytest.raises(NotFound, match="content hash"):
        again(
            ward,
            later(ward, changed),
            Piece.ENCOUNTER,
            ward.encounter,
            "pinned",
            replace(before, mapping_sha256="0" * 64),
        )
    with pytest.raises(PlanChanged):
        again(ward, later(ward, changed, pinned=False), Piece.ENCOUNTER, ward.encounter, "pinned", before)
