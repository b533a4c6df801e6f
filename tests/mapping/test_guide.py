"""The guide to mappings, block by block: files are written, commands run, and what the page shows must appear."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from peerfhir.fhir import reader
from tests.mapping.maps import Said, call
from tests.support.house import ROOT

GUIDE = (ROOT / "docs" / "mapping-guide.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Kind, file name or nothing, and text of each block, in order."""
    return [(match[1], match[2] or "", match[3]) for match in _BLOCK.finditer(page)]


def ran(command: str) -> Said:
    """One line of the page; `|| true` lets it fail."""
    line, _, forgiven = command.partition("||")
    words = shlex.split(line)
    assert words[:2] == ["peerfhir", "map"]
    said = call(*words[2:])
    assert said.code == 0 or forgiven, f"{command}: {said.out}{said.err}"
    return said


def test_the_guide_leads_from_an_export_to_a_green_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told, steps = "", 0
    for kind, name, text in blocks(GUIDE):
        if name:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        elif kind == "sh":
            saids = [ran(line) for line in text.splitlines()]
            told = "".join(said.out + said.err for said in saids)
        else:
            assert kind == "text"
            for line in text.splitlines():
                assert line in told, f"the page says: {line}\nit was: {told}"
            steps += 1
    assert steps >= 5
    lines = (tmp_path / "walkers.ndjson").read_bytes().splitlines()
    assert len(lines) == 4
    first = reader.read(lines[0])["entry"]
    assert first[0]["resource"]["name"][0]["text"] == "Ana Rivera"
    assert first[1]["resource"]["subject"]["reference"] == first[0]["fullUrl"]


def test_no_shipped_mapping_has_seen_the_table_of_the_guide() -> None:
    header = next(text for kind, name, text in blocks(GUIDE) if name == "walkers.csv").splitlines()[0]
    for path in (ROOT / "mappings").rglob("*"):
        if path.is_file():
            assert header not in path.read_text("utf-8")
            assert "walkers" not in path.name


def test_every_command_the_guide_lists_is_there_with_its_options() -> None:
    rows = re.findall(r"^\| `map (\w+)([^`]*)` \|", GUIDE, re.MULTILINE)
    assert {name for name, _ in rows} == {
        "check", "run", "test", "diff", "explain", "show", "init", "schema", "export", "import",
    }  # fmt: skip
    for name, rest in rows:
        said = call(name, "--help")
        assert said.code == 0
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in said.out, f"map {name} {option}"
