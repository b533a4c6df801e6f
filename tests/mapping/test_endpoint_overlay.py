from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from peerfhir.errors import BadConfiguration
from peerfhir.wiring import House

ROOT = Path(__file__).parents[2]
OVERLAY = """overlay: summary.hapi
version: 1.0.0
extends: summary@^1.0
applies-to: {endpoint: ENDPOINT}
description: nothing but a name, to see that it is turned on
"""


def house(folder: Path, endpoint: str, overlays: str) -> House:
    """The shipped configuration with one overlay, and an endpoint that names overlays."""
    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copytree(ROOT / "mappings", folder / "mappings")
    home = folder / "mappings/summary/overlays"
    home.mkdir(exist_ok=True)
    (home / "hapi.overlay.yaml").write_text(OVERLAY.replace("ENDPOINT", endpoint), "utf-8")
    file = folder / "config/endpoints/hapi.yaml"
    file.write_text(file.read_text("utf-8") + f"overlays: {overlays}\n", "utf-8")
    secret = {"PEERFHIR_SECRET_KEY": "x" * 40, "PEERFHIR_DATABASE_URL": f"sqlite:///{folder}/x.db"}
    return House.open(folder / "config", {**secret, "PEERFHIR_MAPPINGS": str(folder / "mappings")})


def test_an_endpoint_names_the_overlays_of_its_mappings(tmp_path: Path) -> None:
    opened = house(tmp_path, "hapi", "[summary.hapi]")
    overlays = opened.settings.endpoints["hapi"].overlays
    assert overlays == ("summary.hapi",)
    there = opened.mappings.under(overlays)
    assert there.get("summary").overlay == "hapi"
    assert there.sha256("summary") != opened.mappings.sha256("summary")


@pytest.mark.parametrize(
    ("endpoint", "overlays", "what"),
    [
        ("hapi", "[summary.gone]", "overlays: there is no overlay 'summary.gone'"),
        ("elsewhere", "[summary.hapi]", "overlays: 'summary.hapi' applies to endpoint 'elsewhere'"),
        ("hapi", "[summary.hapi, summary.hapi]", "overlays: 'summary' has two overlays (PM404)"),
    ],
)
def test_an_endpoint_that_names_a_wrong_overlay_stops_the_start_at_its_line(
    endpoint: str, overlays: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(BadConfiguration) as refused:
        _ = house(tmp_path, endpoint, overlays).mappings
    assert len(refused.value.problems) == 1
    place, _, said = refused.value.problems[0].partition(": ")
    assert place.rpartition("/")[2].startswith("hapi.yaml:")
    assert said == what


def test_only_an_active_mapping_is_used_for_delivery(tmp_path: Path) -> None:
    opened = house(tmp_path, "hapi", "[]")
    file = tmp_path / "mappings/summary/summary.map.yaml"
    file.write_text(file.read_text("utf-8").replace("status: active", "status: draft"), "utf-8")
    with pytest.raises(BadConfiguration, match="only an active mapping is used for delivery"):
        _ = opened.mappings


def test_an_endpoint_whose_limits_its_mappings_exceed_stops_the_start_at_its_line(tmp_path: Path) -> None:
    opened = house(tmp_path, "hapi", "[summary.hapi]\nlimits: {code_map_rows: 1, resources: 5}")
    with pytest.raises(BadConfiguration) as refused:
        _ = opened.mappings
    line = len((tmp_path / "config/endpoints/hapi.yaml").read_text("utf-8").splitlines())
    assert all(f"hapi.yaml:{line}:10: limits.code_map_rows: 1, and '" in one for one in refused.value.problems)
    assert any(one.endswith("'summary+hapi' needs 3") for one in refused.value.problems)
