"""`peerfhir validate` and `peerfhir packages`: what is printed, exit codes, lines, packages kept and compiled once."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from peerfhir.cli import app
from peerfhir.fhir import site
from peerfhir.fhir.reader import read
from peerfhir.fhir.validate import validate
from peerfhir.fhir.writer import indented, write

URL = "https://example.org/with-method"
SEEN: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
WRONG = {**SEEN, "status": "banana", "issued": "yesterday"}
PROFILE = {
    "resourceType": "StructureDefinition", "url": URL, "type": "Observation", "kind": "resource",
    "derivation": "constraint",
    "snapshot": {"element": [
        {"id": "Observation", "path": "Observation", "min": 0, "max": "*",
         "constraint": [{"key": "own-1", "severity": "error", "human": "A note says why.",
                         "expression": "note.exists()"}]},
        {"id": "Observation.method", "path": "Observation.method", "min": 1, "max": "1",
         "type": [{"code": "CodeableConcept"}]},
    ]},
}  # fmt: skip


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "right.json").write_text(indented(SEEN))
    (tmp_path / "wrong.json").write_text(indented(WRONG))
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "package.json").write_bytes(write({"name": "example.own", "version": "1.0.0"}))
    (tmp_path / "package" / "p.json").write_bytes(write(PROFILE))
    return tmp_path


def config(folder: Path) -> tuple[str, str]:
    return "--config", str(folder / "config")


def test_what_is_right_ends_with_0(folder: Path) -> None:
    done = run("validate", folder / "right.json", *config(folder))
    assert done.exit_code == 0
    assert f"{folder}/right.json:1: Observation: no error" in done.output


def test_what_is_wrong_is_named_with_its_line_and_ends_with_1(folder: Path) -> None:
    done = run("validate", folder / "right.json", folder / "wrong.json", *config(folder))
    assert done.exit_code == 1
    assert "wrong.json:3: error: Observation.status: This code is not allowed here. Use one of:" in done.stdout
    assert "wrong.json:7: error: Observation.issued: This must be a date and time" in done.stdout
    assert "banana" not in done.output
    assert "2 resource(s), 1 with errors" in done.stderr


def test_what_is_not_there_ends_with_2(folder: Path) -> None:
    (folder / "empty").mkdir()
    for words in (
        ["validate", folder / "nowhere.json"],
        ["validate", folder / "right.json", "--format", "xml"],
        ["validate", folder / "right.json", "--package", folder / "nowhere"],
        ["validate", folder / "right.json", "--profile", "https://example.org/unknown"],
        ["packages", "add", folder / "nowhere"],
        ["packages", "add", folder / "package", "--name", "../outside"],
        ["validate", folder / "empty"],
    ):
        assert run(*words, *config(folder)).exit_code == 2, words


def test_a_folder_an_ndjson_file_and_a_bundle(folder: Path) -> None:
    lines = [write(SEEN), b"", write(WRONG), b'{"resourceType": "Observation",', write({**SEEN, "nonsense": 1})]
    (folder / "many.ndjson").write_bytes(b"\n".join(lines))
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": SEEN}, {"resource": WRONG}]}
    (folder / "bundle.json").write_text(indented(bundle))
    done = run("validate", folder / "many.ndjson", folder / "bundle.json", *config(folder))
    assert done.exit_code == 1
    said = done.stdout.splitlines()
    assert f"{folder}/many.ndjson:1: Observation: no error" in said
    assert any(one.startswith(f"{folder}/many.ndjson:3: error: Observation.status:") for one in said)
    assert any(one.startswith(f"{folder}/many.ndjson:4: fatal:") for one in said)
    assert any(one.startswith(f"{folder}/many.ndjson:5: error: Observation.nonsense:") for one in said)
    assert any("bundle.json:17: error: Bundle.entry[1].resource.status:" in one for one in said)
    assert (
        "6 resource(s)"
        in run("validate", folder / "many.ndjson", folder / "right.json", folder / "wrong.json", *config(folder)).stderr
    )
    assert "resource(s)" in run("validate", folder, *config(folder)).stderr


def test_standard_input_is_one_text_or_a_resource_a_line(folder: Path) -> None:
    words = ["validate", "-", *config(folder)]
    done = CliRunner().invoke(app, words, input=indented(WRONG))
    assert (done.exit_code, "-:3: error: Observation.status:" in done.stdout) == (1, True)
    done = CliRunner().invoke(app, words, input=write(SEEN) + b"\n\n" + write(WRONG) + b"\n")
    assert (done.exit_code, "2 resource(s), 1 with errors" in done.stderr) == (1, True)
    assert "-:3: error: Observation.status:" in done.stdout
    assert CliRunner().invoke(app, words, input=write(SEEN) + b"\n").exit_code == 0
    assert CliRunner().invoke(app, words, input=b"").exit_code == 1


def test_names_in_capitals_are_read_and_escaped_keys_have_their_lines(folder: Path) -> None:
    (folder / "loud").mkdir()
    (folder / "loud" / "A.JSON").write_text('{"resourceType": "Patient",\n"n\\u0061me": [{\n"use": "banana"}]}')
    (folder / "loud" / "B.NDJSON").write_bytes(write(SEEN) + b"\n" + write(WRONG))
    done = run("validate", folder / "loud", *config(folder))
    assert "A.JSON:3: error: Patient.name[0].use:" in done.stdout
    assert "B.NDJSON:2: error: Observation.status:" in done.stdout


def test_a_type_of_r4_is_a_profile_as_well(folder: Path) -> None:
    asked = "http://hl7.org/fhir/StructureDefinition/"
    for name, code in (("Observation", 0), ("Patient", 1)):
        assert run("validate", folder / "right.json", "--profile", asked + name, *config(folder)).exit_code == code


def test_json_and_operationoutcomes(folder: Path) -> None:
    row = read(run("validate", folder / "wrong.json", "--format", "json", *config(folder)).stdout.encode())
    assert (row["resourceType"], row["valid"], row["issues"][0]["line"]) == ("Observation", False, 3)
    out = read(run("validate", folder / "wrong.json", "--format", "operationoutcome", *config(folder)).stdout.encode())
    assert out["resourceType"] == "OperationOutcome"
    assert out["issue"][0]["expression"] == ["Observation.status"]
    assert out["issue"][0]["extension"][0]["valueInteger"] == 3
    assert [one for one in validate(out) if one.severity == "error"] == []


def test_a_profile_is_asked_for_or_claimed(folder: Path) -> None:
    done = run("validate", folder / "right.json", "--package", folder / "package", "--profile", URL, *config(folder))
    assert done.exit_code == 1
    assert "error: Observation.method: This element is required. [required]" in done.stdout
    assert "error: Observation: A note says why. (own-1) [invariant]" in done.stdout
    (folder / "claims.json").write_bytes(write({**SEEN, "meta": {"profile": [URL]}}))
    assert run("validate", folder / "claims.json", "--package", folder / "package", *config(folder)).exit_code == 1
    done = run("validate", folder / "claims.json", *config(folder))
    assert (done.exit_code, "it was not checked" in done.stdout) == (0, True)


def test_packages_are_added_listed_used_and_removed(folder: Path) -> None:
    done = run("packages", "add", folder / "package", *config(folder))
    assert done.exit_code == 0, done.output
    assert "example.own#1.0.0: 1 definitions" in done.output
    assert "example.own  1.0.0" in run("packages", "list", *config(folder)).output
    (kept,) = (folder / "config" / "packages" / site.CACHE).iterdir()
    before = kept.stat().st_mtime_ns
    (folder / "claims.json").write_bytes(write({**SEEN, "meta": {"profile": [f"{URL}|1.0"]}}))
    assert run("validate", folder / "claims.json", *config(folder)).exit_code == 1
    assert kept.stat().st_mtime_ns == before  # compiled once
    kept.write_bytes(b"not whole")
    assert run("validate", folder / "claims.json", *config(folder)).exit_code == 1
    assert run("packages", "add", kept.parents[1] / "example.own#1.0.0.tgz", *config(folder)).exit_code == 0  # its own
    assert run("packages", "remove", "example.own", *config(folder)).exit_code == 0
    assert run("packages", "list", *config(folder)).output == "none\n"
    assert run("packages", "remove", "example.own", *config(folder)).exit_code == 1
    assert run("validate", folder / "claims.json", *config(folder)).exit_code == 0


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def hostile(tmp_path: Path) -> dict[str, Path]:
    good = (member("package/p.json"), write(PROFILE))
    bomb = tmp_path / "bomb.tgz"
    with tarfile.open(bomb, "w:gz", compresslevel=9) as archive:
        info = member("package/big.json")
        info.size = 17 * 1024 * 1024
        archive.addfile(info, io.BytesIO(b"0" * info.size))
    (tmp_path / "text.tgz").write_bytes(b"nothing of the kind")
    cut = packed(tmp_path / "whole.tgz", good).read_bytes()
    (tmp_path / "cut.tgz").write_bytes(cut[: len(cut) // 2])
    return {
        "a path that leads out": packed(tmp_path / "out.tgz", (member("../p.json"), write(PROFILE))),
        "a path from the root": packed(tmp_path / "root.tgz", (member("/etc/p.json"), write(PROFILE))),
        "a path of another system": packed(tmp_path / "win.tgz", (member("package\\..\\..\\p.json"), write(PROFILE))),
        "a link": packed(tmp_path / "link.tgz", good, (member("package/l.json", tarfile.SYMTYPE, "/etc/passwd"), b"")),
        "a hard link": packed(tmp_path / "hard.tgz", good, (member("package/h.json", tarfile.LNKTYPE, "package/p.json"), b"")),
        "a device": packed(tmp_path / "device.tgz", good, (member("package/d", tarfile.FIFOTYPE), b"")),
        "a member twice": packed(tmp_path / "twice.tgz", good, good),
        "a member that is too large": bomb,
        "no archive": tmp_path / "text.tgz",
        "half an archive": tmp_path / "cut.tgz",
        "what is no JSON": packed(tmp_path / "bad.tgz", (member("package/p.json"), b"{")),
        "nothing in it": packed(tmp_path / "empty.tgz", (member("package/package.json"), b"{}")),
    }  # fmt: skip


def test_a_hostile_package_is_refused_with_its_name_and_nothing_is_kept(tmp_path: Path) -> None:
    for what, path in hostile(tmp_path).items():
        done = run("packages", "add", path, *config(tmp_path))
        assert done.exit_code != 0, what
        assert path.name in str(done.exception), (what, done.exception)
        assert not (tmp_path / "config" / "packages").exists(), what


def test_a_package_that_goes_bad_later_is_named(folder: Path) -> None:
    assert run("packages", "add", folder / "package", *config(folder)).exit_code == 0
    (folder / "config" / "packages" / "broken#1.tgz").write_bytes(b"nothing")
    done = run("validate", folder / "right.json", *config(folder))
    assert "broken#1.tgz: this is not a package" in str(done.exception)
