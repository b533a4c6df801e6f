"""The process of its own: it is bounded, it comes back, and there is nothing in it to be found."""

from __future__ import annotations

import gc
import io
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from peerfhir.clock import SystemClock
from peerfhir.fhir.reader import read_own
from peerfhir.fhir.writer import write
from peerfhir.portal import playpen
from peerfhir.portal.choices import choices, examples
from peerfhir.portal.draft import Draft
from peerfhir.portal.playpen import Occupied, Playpen, TooMuch
from tests.portal.test_playground import BUSY

CONFIG = Path(__file__).parents[2] / "config"
MAPPINGS = Path(__file__).parents[2] / "mappings"
CANONICAL = "http://peerfhir.example.org/fhir"


@pytest.fixture
def pen() -> Iterator[Playpen]:
    made = Playpen(SystemClock(), CANONICAL, CONFIG)
    yield made
    made.end()


def tried(pen: Playpen, root: Path, letters: int, lines: int = 1) -> str:
    trial = pen.tried(Draft(root, "", BUSY), ('{"a": "' + "a" * letters + '"}\n') * lines, 1)
    return "".join(text for text, _ in trial.pieces)


def test_one_process_answers_every_try_until_it_has_to_be_stopped(pen: Playpen, tmp_path: Path) -> None:
    assert '"multipleBirthInteger": 8' in tried(pen, tmp_path, 2)
    first = pen._process
    assert '"multipleBirthInteger": 27' in tried(pen, tmp_path, 3)
    assert pen._process is first
    with pytest.raises(TooMuch):
        tried(pen, tmp_path, 20_000, lines=12)
    assert pen._process is None
    assert '"multipleBirthInteger": 8' in tried(pen, tmp_path, 2)


def test_a_process_that_was_idle_too_long_is_no_fault_of_the_next_try(pen: Playpen, tmp_path: Path) -> None:
    tried(pen, tmp_path, 2)
    assert pen._process is not None
    os.kill(pen._process.pid, signal.SIGALRM)
    assert '"multipleBirthInteger": 8' in tried(pen, tmp_path, 2)


def test_no_secret_of_the_service_is_in_it(pen: Playpen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEERFHIR_SECRET_KEY", "the key that signs every form of this service")
    tried(pen, tmp_path, 2)
    assert pen._process is not None
    inside = Path(f"/proc/{pen._process.pid}/environ")
    if not inside.exists():
        pytest.skip("no /proc here to look into")
    assert {one.partition(b"=")[0] for one in inside.read_bytes().split(b"\0") if one} <= {b"PYTHONPATH", b"PYTHONUTF8"}


def test_who_comes_while_another_try_runs_is_told_to_wait(
    pen: Playpen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playpen, "MOST_WORK", 0.01)
    with pen._turn, pytest.raises(Occupied):
        tried(pen, tmp_path, 2)


def test_a_mistake_of_ours_is_told_by_its_place_and_without_what_was_typed(pen: Playpen, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^\w+Error at .*\.py:[0-9]+$") as raised:
        pen.tried(Draft(tmp_path, "", BUSY), "{}", "Quillfeather")  # type: ignore[arg-type]
    assert "Quillfeather" not in str(raised.value)
    assert '"multipleBirthInteger": 8' in tried(pen, tmp_path, 2)


def test_the_process_ends_with_the_one_who_asked(tmp_path: Path) -> None:
    made = Playpen(SystemClock(), CANONICAL, CONFIG)
    tried(made, tmp_path, 2)
    process = made._process
    assert process is not None
    del made
    gc.collect()
    assert process.poll() is not None


def test_every_shipped_mapping_gives_in_the_playground_what_its_first_example_expects(pen: Playpen) -> None:
    seen = 0
    for choice in choices(MAPPINGS):
        draft = Draft(MAPPINGS, choice.mapping, "", choice.overlay).as_on_disk()
        for name, path in list(examples(MAPPINGS, choice).items())[:1]:
            trial = pen.tried(draft, path.read_text("utf-8"), 1)
            expected = path.with_name(f"{name}.{trial.suffix}")
            if trial.suffix == "expected.json":
                assert read_own(trial.expected.encode()) == read_own(expected.read_bytes()), choice.name
            assert expected.is_file(), (choice.name, trial.problems)
            assert trial.compared == {}
            seen += 1
    assert seen >= 27


PROFILE = "http://x.example/StructureDefinition/named"
CLAIMING = f"""\
mapping: claiming
version: 1.0.0
status: draft
fhirVersion: 4.0.1
source: {{format: json, fields: {{a: string!}}}}
profiles: {{named: {PROFILE}}}
bundle: none
resources:
  p:
    resourceType: Patient
    profile: named
    active: true
    gender: =a
"""


def packed(folder: Path) -> None:
    """A package of the site with a Patient that must have a birthday."""
    elements = [{"id": "Patient", "path": "Patient"}]
    elements.append({"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1, "max": "1"})
    profile = {
        "resourceType": "StructureDefinition", "url": PROFILE, "type": "Patient", "kind": "resource", "abstract": False,
        "derivation": "constraint", "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "snapshot": {"element": elements}, "differential": {"element": elements[1:]},
    }  # fmt: skip
    folder.mkdir()
    with tarfile.open(folder / "own.tgz", "w:gz") as archive:
        for name, value in (("package.json", {"name": "own", "version": "1.0.0"}), ("named.json", profile)):
            data = write(value)
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_a_draft_is_held_to_the_profiles_of_the_sites_packages(tmp_path: Path) -> None:
    packed(tmp_path / "packages")
    pen = Playpen(SystemClock(), CANONICAL, tmp_path)
    try:
        trial = pen.tried(Draft(tmp_path, "", CLAIMING), '{"a": "female"}', 1)
        required = [one["what"] for one in trial.problems if one["code"] == "PM220"]
        assert required == ["the profile requires the element 'birthDate'"], trial.problems
    finally:
        pen.end()


def test_a_draft_is_held_to_the_privacy_policy_of_the_site(tmp_path: Path) -> None:
    text = CLAIMING.replace("string!", "{type: string!, sensitive: diagnosis}").replace(
        "profile: named", "active: true"
    )
    text = text.replace("    active: true\n    gender", "    gender").replace(f"profiles: {{named: {PROFILE}}}\n", "")
    text = text.replace("gender: =a", "name: {family: =a}")
    (tmp_path / "mappings").mkdir()
    draft = Draft(tmp_path / "mappings", "", text)
    told = []
    for policy in ("", "labels:\n  diagnosis: {allow: [Condition]}\n"):
        home = tmp_path / f"site{len(told)}"
        home.mkdir()
        if policy:
            (home / "privacy.yaml").write_text(policy)
        pen = Playpen(SystemClock(), CANONICAL, home)
        try:
            told.append({one["code"] for one in pen.tried(draft, '{"a": "x"}', 1).problems})
        finally:
            pen.end()
    assert "PM301" not in told[0]
    assert "PM301" in told[1]
