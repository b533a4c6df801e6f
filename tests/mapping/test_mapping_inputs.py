"""The command line of mappings with overlays, sensitive fields, long inputs and rules that need no example."""

from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.errors import MappingFailed
from peerfhir.fhir import reader
from peerfhir.mapcommands import check_here
from tests.mapping import samples
from tests.mapping.maps import accept_outputs, call, example, row, table, worked
from tests.support.house import ROOT


@pytest.fixture
def mappings(tmp_path: Path) -> Path:
    return worked(tmp_path)


SECRET = """mapping: secret
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: csv
  key: id
  fields:
    id: string!
    word: {type: string, sensitive: SUD, codes: [alpha, beta]}
    more: string
bundle: none
resources:
  basic:
    resourceType: Basic
    id: =id
    code: {coding: {system: "urn:x", code: =word}}
    author: {display: =more}
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "mappings" / "secret"
    folder.mkdir(parents=True)
    (folder / "secret.map.yaml").write_text(SECRET, "utf-8")
    return tmp_path / "mappings"


def test_the_value_of_a_sensitive_field_is_masked_unless_it_is_asked_for(secret: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,word,more\n1,alpha,open\n", "utf-8")
    said = call("explain", "secret", "--input", source, "--mappings", secret)
    assert "alpha" not in said.out
    assert "basic.code.coding[0].code = (masked)" in said.out
    assert '"open"' in said.out
    assert "alpha" not in call("explain", "secret", "--input", source, "--format", "json", "--mappings", secret).out
    assert "alpha" in call("explain", "secret", "--input", source, "--show-values", "--mappings", secret).out


def test_a_failure_about_a_sensitive_field_never_holds_its_value(secret: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,word,more\n1,hush,open\n", "utf-8")
    said = call("run", "secret", "--input", source, "--mappings", secret)
    assert said.code == 1
    assert "PM703" in said.err
    assert "hush" not in said.err + said.out


def test_an_overlay_is_run_tested_shown_and_told_by_check() -> None:
    shipped = ROOT / "mappings"
    source = shipped / "referral-csv" / "examples" / "01-basic.input.csv"
    ran = call("run", "referral-csv", "--input", source, "--overlay", "epic-like", "--mappings", shipped)
    assert [one["resource"]["resourceType"] for one in reader.read(ran.out.encode())["entry"]] == [
        "Patient", "ServiceRequest",
    ]  # fmt: skip
    assert "urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.14" in ran.out
    told = call("check", shipped / "referral-csv", "--mappings", shipped).out
    assert "  + overlays/epic-like.overlay.yaml" in told
    assert "3 rules changed" in told
    shown = call("show", "referral-csv", "--overlay", "epic-like", "--resolved", "--mappings", shipped).out
    assert "referral-csv/overlays/epic-like.overlay.yaml:" in shown
    assert "3 examples, none failed" in call("test", "referral-csv+epic-like", "--mappings", shipped).out
    differs = call("diff", "referral-csv", "referral-csv+epic-like", "--mappings", shipped)
    assert "present -> absent" in differs.out
    assert call("run", "referral-csv", "--input", source, "--overlay", "none", "--mappings", shipped).code == 2


def test_a_long_input_is_streamed_and_its_bar_goes_to_a_terminal_only(
    mappings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peerfhir.mapping import running

    source, target = tmp_path / "long.csv", tmp_path / "out.ndjson"
    source.write_text(table(*(row(referral_id=f"R-{at}") for at in range(running.LONG + 10))), "utf-8")
    seen: list[int] = []

    def counted(file: object, text: str) -> None:
        seen.append(len(text))

    monkeypatch.setattr(running, "_line", counted)
    said = call("run", "referral-csv", "--input", source, "--ndjson", "-o", target, "--mappings", mappings)
    assert said.code == 0
    assert len(seen) == running.LONG + 10
    assert said.err == ""  # not a terminal: no bar
    assert said.out == ""


def test_a_rule_that_no_example_can_reach_is_excused_with_a_reason(mappings: Path) -> None:
    example(mappings, "group-session", "01", samples.session(2))
    accept_outputs(mappings, "group-session")
    document = mappings / "group-session" / "group-session.map.yaml"
    before = call("test", "group-session", "--coverage", "--mappings", mappings)
    assert "encounter.location.location.display" in before.out
    assert before.code == 1
    reason = "accept:\n  - {code: PM501, at: encounter.location.location.display, because: no site is public}\n"
    document.write_text(document.read_text("utf-8") + reason, "utf-8")
    assert call("test", "group-session", "--coverage", "--mappings", mappings).code == 0
    assert "PM010" not in call("check", document, "--strict", "--mappings", mappings).err


def test_a_fault_of_the_engine_ends_with_three(mappings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peerfhir.mapping.run import Program

    def broken(_self: Program, _typed: object, **_: object) -> None:
        raise MappingFailed("PM790: the engine failed here (KeyError)", place="mappings/x/x.map.yaml:1:1")

    monkeypatch.setattr(Program, "run_typed", broken)
    source = tmp_path / "in.csv"
    source.write_text(table(row()), "utf-8")
    said = call("run", "referral-csv", "--input", source, "--mappings", mappings)
    assert said.code == 3
    assert "PM790" in said.err


def test_an_overlay_without_an_example_is_told_in_its_own_file(mappings: Path) -> None:
    home = mappings / "referral-csv" / "overlays"
    home.mkdir(exist_ok=True)
    (home / "clinic.overlay.yaml").write_text(
        "overlay: referral-csv.clinic\nversion: 1.0.0\nextends: referral-csv@^1.0\napplies-to: {endpoint: clinic}\n"
        "systems: {mrn: https://clinic.example/mrn}\n", "utf-8"
    )  # fmt: skip
    said = call("check", "--mappings", mappings).err
    assert "overlays/clinic.overlay.yaml:1:1: error PM500: there is no example beside this overlay" in said
    assert "write examples/clinic/01-name.input.*" in said


def test_a_check_without_options_says_and_ends_as_the_command_does(
    mappings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEERFHIR_MAPPINGS", str(mappings))
    assert check_here() == 1  # the worked examples are active and have no example beside them
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].startswith("3 documents,")
    assert "PM500" in told.err
