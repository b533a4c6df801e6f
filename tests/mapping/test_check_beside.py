"""What `map check` reads beside the mappings: the site's packages and its instruments."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from peerfhir.fhir import reader
from peerfhir.fhir.packages import Package
from tests.mapping.maps import call, worked
from tests.mapping.test_profiles import BASIC, HEAD, OWN, own

CONFIG = Path(__file__).parents[2] / "config"
PHQ9 = """mapping: phq-9
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, key: id, fields: {id: string!, q1: integer}}
bundle: none
resources:
  qr: {$questionnaire: phq-9, $answers: {/44250-9: =q1}, status: completed}
"""


def put(mappings: Path, name: str, text: str) -> None:
    (mappings / name).mkdir(parents=True)
    (mappings / name / f"{name}.map.yaml").write_text(text, "utf-8")


def codes(mappings: Path) -> list[str]:
    """The codes of the errors of a check."""
    found = reader.read(call("check", "--mappings", mappings, "--format", "json").out.encode())
    return [one["code"] for one in found if one["severity"] == "error"]


def test_a_slice_of_a_profile_is_known_where_the_site_has_its_package(tmp_path: Path) -> None:
    mappings = tmp_path / "mappings"
    put(mappings, "row", HEAD + f"profiles: {{p: {OWN}}}\nbundle: none\nresources:\n{BASIC}")
    assert set(codes(mappings)) >= {"PM225"}
    packages = tmp_path / "config" / "packages"
    packages.mkdir(parents=True)
    profile = {"resourceType": "StructureDefinition", **own()}
    (packages / "own.tgz").write_bytes(Package("own", "1.0.0", (profile,), (), ()).packed())
    assert codes(mappings) == []


def test_a_package_that_no_mapping_needs_is_not_opened(tmp_path: Path) -> None:
    mappings = worked(tmp_path)
    before = codes(mappings)
    packages = tmp_path / "config" / "packages"
    packages.mkdir(parents=True)
    (packages / "broken.tgz").write_bytes(b"nothing")
    assert codes(mappings) == before


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    """A mapping that asks, and a copy of the instrument."""
    put(tmp_path / "mappings", "phq-9", PHQ9)
    shutil.copytree(CONFIG / "instruments", tmp_path / "config" / "instruments")
    return tmp_path / "mappings"


def spoil(mappings: Path, old: str, new: str) -> None:
    path = mappings.parent / "config/instruments/phq-9/instrument.yaml"
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


def test_an_instrument_that_cannot_be_used_is_told_with_its_line_in_every_form(asking: Path) -> None:
    assert codes(asking) == []
    spoil(asking, "range: [0, 27]", "range: [0, 26]")
    assert codes(asking) == ["PM608", "PM130"]
    said = call("check", "--mappings", asking)
    assert said.code == 1
    assert "instrument.yaml:22:7: error PM608: range: the answers reach from 0 to 27" in said.err


def test_a_mapping_is_not_run_on_an_instrument_with_an_error_and_the_reason_is_told(asking: Path) -> None:
    spoil(asking, "range: [0, 27]", "range: [0, 26]")
    said = call("test", "phq-9", "--mappings", asking)
    assert said.code == 1
    assert "PM130" in said.err
    assert "PM608" in said.err


def test_a_warning_of_an_instrument_is_told_and_stops_only_a_strict_check(asking: Path) -> None:
    spoil(asking, "LA6573-5: 1", "LA6573-5: 0")
    said = call("check", "--mappings", asking)
    assert (said.code, "warning PM605" in said.err) == (0, True)
    assert call("check", "--strict", "--mappings", asking).code == 1
