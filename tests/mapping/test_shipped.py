"""Every mapping that ships: checked, with good and bad examples that hold, all of its rules reached, valid R4."""

from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.adapters.pieces import NEEDED
from peerfhir.fhir.packages import open_package
from peerfhir.fhir.site import judge_of
from peerfhir.fhir.validate import validate
from peerfhir.mapping.aside import Made
from peerfhir.mapping.coverage import covered
from peerfhir.mapping.examples import examples, run
from peerfhir.mapping.inputs import of_file, output
from peerfhir.mapping.lossy import losses
from peerfhir.mapping.outcomes import Outcome
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.traced import Tracer
from tests.support import shipped

OPENED = shipped.shelf().opened
BY_NAME = {one.name: one for one in OPENED}
EACH = pytest.mark.parametrize("mapping", OPENED, ids=lambda one: one.name)

ASKED_FOR = frozenset((
    "referral-csv", "referral-json", "encounter", "group-session", "phq-9", "gad-7", "person", "patient", "consent",
    "referral-csv+epic-like", "summary+oracle-like", "procedure+oracle-like",
))  # fmt: skip


def test_nothing_that_ships_has_an_error_or_a_warning() -> None:
    assert [str(one) for one in shipped.shelf().problems if one.severity != "info"] == []


def test_what_a_program_starts_with_is_there() -> None:
    assert set(BY_NAME) >= ASKED_FOR | NEEDED


@EACH
def test_every_mapping_is_active_and_has_an_example_of_what_it_makes_and_of_what_it_refuses(mapping: Opened) -> None:
    found, problems = examples(mapping)
    assert problems == []
    assert any(one.expected is not None for one in found)
    assert any(one.error is not None for one in found)
    assert mapping.document.status == "active"


@EACH
def test_every_example_gives_what_stands_beside_it_and_valid_r4(mapping: Opened) -> None:
    for example in examples(mapping)[0]:
        verdict = run(mapping, example)
        assert verdict.problems == (), f"{mapping.name}/{example.name}: {verdict.problems} {verdict.changes[:3]}"


@EACH
def test_every_rule_is_reached_by_an_example(mapping: Opened) -> None:
    found = covered(mapping, examples(mapping)[0])
    assert [rule.address for rule in found.silent] == []
    assert found.percent == 100


@EACH
def test_what_is_made_is_accepted_by_the_models_too(mapping: Opened) -> None:
    for example in examples(mapping)[0]:
        for one in of_file(mapping, example.input):
            if isinstance(one, Made) and one.result.entries:
                assert [found for found in validate(output(one.result)) if found.severity == "error"] == []


@EACH
def test_the_report_of_what_is_lost_names_every_declared_field(mapping: Opened) -> None:
    found = losses(mapping)
    assert found.summary()
    assert {one.kind for one in found.fields} <= {"exact", "lossy", "none", "unread", "unused"}


@EACH
def test_a_failed_record_is_told_without_its_values(mapping: Opened) -> None:
    for example in examples(mapping)[0]:
        if example.error is None:
            continue
        told = "\n".join(
            str(problem)
            for one in of_file(mapping, example.input)
            if not isinstance(one, Made)
            for problem in one.problems
        )
        assert told
        for value in ("Vega", "Rivera", "MRN-1001", "48218", "Marisol"):
            assert value not in told


@pytest.mark.parametrize("name", ["summary", "procedure"])
def test_an_overlay_says_the_same_as_a_mapping_of_its_own_for_that_hospital(name: str) -> None:
    overlaid, own = BY_NAME[f"{name}+oracle-like"], BY_NAME[f"{name}-oracle"]
    compared = 0
    for example in examples(own)[0]:
        if example.expected is not None:
            (theirs,), (ours,) = of_file(own, example.input), of_file(overlaid, example.input)
            assert isinstance(theirs, Made)
            assert isinstance(ours, Made)
            assert ours.result.only() == theirs.result.only()
            compared += 1
    assert compared


def test_two_hospitals_get_different_resources_of_the_same_row() -> None:
    base, epic = BY_NAME["referral-csv"], BY_NAME["referral-csv+epic-like"]
    path = base.examples / "01-basic.input.csv"
    (plain,), (changed,) = of_file(base, path), of_file(epic, path)
    assert isinstance(plain, Made)
    assert isinstance(changed, Made)
    assert set(plain.result.resources) == {"patient", "request", "task"}
    assert set(changed.result.resources) == {"patient", "request"}
    # the ids stay, so that the same person and the same order are addressed
    assert [entry.full_url for entry in changed.result.entries] == [
        entry.full_url for entry in plain.result.entries[:2]
    ]


def test_the_worked_vectors_of_the_language_hold() -> None:
    urls = {"referral-csv": ("patient", "a1defa48-2310-59b2-94b5-b0e466bd401b"), "group-session": ("encounter", "7fb1c370-5ba6-5e98-902a-504542591b19")}  # fmt: skip
    for name, (resource, uuid) in urls.items():
        mapping = BY_NAME[name]
        example = examples(mapping)[0][0]
        (made,) = of_file(mapping, example.input)
        assert isinstance(made, Made)
        first = next(entry for entry in made.result.entries if entry.name == resource)
        assert first.full_url == f"urn:uuid:{uuid}"


@EACH
def test_the_traced_build_gives_what_the_plain_build_gives(mapping: Opened) -> None:
    tracer = Tracer(mapping.checked)
    for example in examples(mapping)[0]:
        for one in of_file(mapping, example.input):
            if isinstance(one, Made):
                traced = tracer.run(one.typed)
                made = [each.outcome.value for each in traced.made]
                entries = one.result.entries
                assert made == ([entry.resource for entry in entries] or ([one.result.values] if made else []))
                assert [each.full_url for each in traced.made if each.full_url] == [
                    entry.full_url for entry in entries if entry.full_url
                ]
                assert all(isinstance(each.outcome, Outcome) for each in traced.made)


def test_every_file_of_the_folder_belongs_to_a_mapping() -> None:
    kinds = {".yaml", ".csv", ".json", ".txt"}
    for path in shipped.FOLDER.rglob("*"):
        if path.is_file() and ".schema" not in path.parts:
            assert path.suffix in kinds, path
            assert isinstance(path, Path)


def test_what_is_made_keeps_to_the_profiles_it_claims(tmp_path: Path) -> None:
    packages = shipped.ROOT.parent / "shared" / "fhir-packages"
    if not packages.is_dir():
        pytest.skip("the packages of Gravity and US Core are not on this machine")
    paths = []
    for name in ("gravity-sdohcc", "us-core-7.0.0"):
        folder = next((packages / name).rglob("StructureDefinition-*.json")).parent
        paths.append(tmp_path / f"{name}.tgz")
        paths[-1].write_bytes(open_package(folder).packed())
    judge = judge_of(paths, tmp_path)
    claims = 0
    for mapping in OPENED:
        for example in examples(mapping)[0]:
            for one in of_file(mapping, example.input):
                for entry in one.result.entries if isinstance(one, Made) else ():
                    claims += len(entry.resource.get("meta", {}).get("profile", ()))
                    found = [each for each in judge.findings(entry.resource) if each.severity == "error"]
                    # a reference to another entry can be followed in its Bundle only
                    assert [each for each in found if each.code != "not-found"] == [], f"{mapping.name}/{example.name}"
    assert claims >= 20
