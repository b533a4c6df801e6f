"""The worked examples beside each mapping: what goes in, what comes out, and what is refused where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from peerfhir.adapters.author import author
from peerfhir.adapters.pieces import NEEDED
from peerfhir.errors import MappingFailed
from peerfhir.fhir.reader import Json, read
from peerfhir.mapping.registry import Mappings
from tests.adapters.conftest import MAPPINGS

# those that adapters use, one resource or record each; tests/mapping/test_shipped.py holds of every other one too
FOLDERS = sorted(each.parent for each in MAPPINGS.glob("*/*.map.yaml") if each.parent.name in NEEDED)
GOOD = sorted(each for folder in FOLDERS for each in folder.glob("examples/*.expected.json"))
BAD = sorted(each for folder in FOLDERS for each in folder.glob("examples/*.error.txt"))


def named(path: Path) -> str:
    return f"{path.parts[-3]}/{path.name.partition('.')[0]}"


def sent(example: Path) -> Json:
    stem = example.name.partition(".")[0]
    return read((example.parent / f"{stem}.input.json").read_bytes())


def made(mappings: Mappings, example: Path) -> Json:
    result = mappings.run(example.parts[-3], sent(example))
    return result.only() if result.resources else result.values


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_mapping_has_an_example_of_what_it_makes_and_of_what_it_refuses(folder: Path) -> None:
    assert [each for each in GOOD if folder in each.parents]
    assert [each for each in BAD if folder in each.parents]


def test_every_example_is_whole() -> None:
    found = (each for folder in FOLDERS for each in folder.glob("examples/*.input.json"))
    inputs = {each.parent / each.name.partition(".")[0] for each in found}
    assert inputs == {each.parent / each.name.partition(".")[0] for each in (*GOOD, *BAD)}


@pytest.mark.parametrize("example", GOOD, ids=named)
def test_an_example_gives_what_stands_beside_it(mappings: Mappings, example: Path) -> None:
    result = made(mappings, example)
    assert result == read(example.read_bytes())
    if "resourceType" in result:
        author(result)


@pytest.mark.parametrize("example", BAD, ids=named)
def test_what_is_refused_is_refused_at_its_place_and_without_its_values(mappings: Mappings, example: Path) -> None:
    with pytest.raises(MappingFailed) as failure:
        made(mappings, example)
    told = str(failure.value)
    folder = example.parts[-3]
    assert re.match(rf"mappings/{folder}/{folder}\.map\.yaml:[0-9]+:[0-9]+: ", told)
    for line in example.read_text().splitlines():
        assert line in told
    assert "MRN" not in told
    assert "Vega" not in told


def test_every_mapping_that_ships_is_active(mappings: Mappings) -> None:
    assert set(mappings.ids()) >= {folder.name for folder in FOLDERS}
    assert all(len(mappings.sha256(each)) == 64 for each in mappings.ids())
