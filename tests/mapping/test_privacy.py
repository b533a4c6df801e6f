from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.errors import BadConfiguration
from peerfhir.fhir import reader
from peerfhir.mapping.privacy import FREE_TEXT, read
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.registry import Mappings
from tests.mapping.folders import put
from tests.mapping.maps import call
from tests.support.mapping_folder import CANONICAL

SHIPPED = Path(__file__).parents[2] / "config" / "privacy.yaml"
TEXT = """mapping: kept
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  fields:
    id: string!
    use: {type: string, sensitive: SUD}
    mood: {type: string, sensitive: PSY}
    other: {type: string, sensitive: true}
fragments:
  said: {type: CodeableConcept, params: {code: string}, body: {coding: {code: =%code}}}
bundle: none
resources:
  seen:
    resourceType: Observation
    status: final
    code: {text: Seen}
    identifier: {value: =use}
    valueCodeableConcept: {$use: said, with: {code: =mood}}
    method: {coding: {code: =other}}
"""


def told(folder: Path, policy: str, text: str = TEXT) -> list[tuple[str, int, str, str]]:
    """Line, code, address and sentence of each error, as `peerfhir map check` tells it."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "privacy.yaml").write_text(policy, "utf-8")
    put(folder, kept__kept=text)
    found = reader.read(call("check", "--mappings", folder / "mappings", "--format", "json").out.encode())
    return [
        (Path(one["file"]).name, one["line"], one["code"], one["message"])
        for one in found
        if one["severity"] == "error"
    ]


@pytest.mark.parametrize(
    "entry",
    [
        "SUD: {allow: [Observation.identifier]}", "SUD: {allow: [Observation]}", "SUD: {refuse: [Observation.value, text]}",
        "PSY: {allow: [Observation.value]}",
        "PSY: {refuse: [Observation.identifier]}", "default: {refuse: [Patient, Observation.note]}", "SUD: {refuse: [display]}",
    ],
)  # fmt: skip
def test_a_policy_that_lets_the_values_through_says_nothing(entry: str, tmp_path: Path) -> None:
    assert told(tmp_path, f"labels:\n  {entry}\n") == []


@pytest.mark.parametrize(
    ("entry", "line", "field", "place"),
    [
        ("SUD: {refuse: [Observation.identifier]}", 20, "use", "Observation.identifier.value"),
        ("SUD: {refuse: [value]}", 20, "use", "Observation.identifier.value"),
        ("SUD: {allow: [Patient]}", 20, "use", "Observation.identifier.value"),
        ("SUD: {refuse: [Observation]}", 20, "use", "Observation.identifier.value"),
        ("PSY: {refuse: [Observation.value]}", 13, "mood", "Observation.valueCodeableConcept.coding.code"),
        ("PSY: {allow: [Observation.code]}", 13, "mood", "Observation.valueCodeableConcept.coding.code"),
        ("default: {refuse: [Observation.method]}", 22, "other", "Observation.method.coding.code"),
    ],
)
def test_a_field_that_reaches_what_its_label_may_not_is_refused_there(
    entry: str, line: int, field: str, place: str, tmp_path: Path
) -> None:
    found = told(tmp_path, f"labels:\n  {entry}\n")
    assert found == [("kept.map.yaml", line, "PM301", f"the sensitive field {field} may not stand in {place}")]


def test_the_service_does_not_start_with_a_mapping_that_the_policy_refuses(tmp_path: Path) -> None:
    told(tmp_path, "labels:\n  SUD: {refuse: [Observation]}\n")
    with pytest.raises(BadConfiguration) as refused:
        Mappings.load(tmp_path / "mappings", canonical=CANONICAL)
    assert "PM301" in refused.value.problems[0]
    assert "note: config/privacy.yaml:2:8: the privacy policy" in refused.value.problems[0]
    elsewhere = tmp_path / "other.yaml"
    elsewhere.write_text("labels: {}\n", "utf-8")
    assert Mappings.load(tmp_path / "mappings", canonical=CANONICAL, policy=elsewhere).ids() == ("kept",)


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("labels:\n  SUD: {refuse: [Observation.notes]}\n", 2, "PM202"),
        ("labels:\n  SUD: {refuse: [Observatio]}\n", 2, "PM202"),
        ("labels:\n  SUD: {refuse: [dispaly]}\n", 2, "PM202"),
        ("labels:\n  SUD: {refuse: ['']}\n", 2, "PM202"),
        ("labels:\n  SUD: {refuse: [{a: b}]}\n", 2, "PM202"),
        ("labels:\n  SUD: {refuse: text}\n", 2, "PM007"),
        ("labels:\n  SUD: {allow: [text], refuse: [text]}\n", 2, "PM007"),
        ("labels:\n  SUD: {}\n", 2, "PM007"),
        ("labels:\n  SUD: [text]\n", 2, "PM007"),
        ("labels:\n  SUD: {refuze: [text]}\n", 2, "PM002"),
        ("label: {}\n", 1, "PM002"),
        ("labels: [a]\n", 1, "PM007"),
        ("labels: {\n", 2, "PM001"),
        ("- a\n", 1, "PM007"),
        ("", 1, "PM007"),
    ],
)
def test_a_policy_that_cannot_be_read_is_told_at_its_place_and_stops_the_start(
    text: str, line: int, code: str, tmp_path: Path
) -> None:
    assert ("privacy.yaml", line, code) in [one[:3] for one in told(tmp_path, text)]
    with pytest.raises(BadConfiguration):
        Mappings.load(tmp_path / "mappings", canonical=CANONICAL)


def test_the_policy_that_ships_is_the_one_that_holds_without_a_file() -> None:
    problems = Problems()
    shipped = read(SHIPPED, problems)
    assert problems.every == []
    assert {label: reach.elements for label, reach in shipped.labels.items()} == {"default": FREE_TEXT}
    assert read(SHIPPED.with_name("nowhere.yaml"), problems).of("SUD").elements == FREE_TEXT
