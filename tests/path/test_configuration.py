"""What is missing or broken keeps the service from starting: file, line and reason, exit code 1, never a trace."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.console import run
from tests.support.house import ROOT
from tests.support.postgres import free_port

Break = Callable[[Path], object]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything in place: `peerfhir init` has been run, and `peerfhir check` is content."""
    folder = tmp_path_factory.mktemp("ready")
    for name in ("config", "mappings"):
        shutil.copytree(ROOT / name, folder / name)
    assert run(folder, "init").returncode == 0
    assert run(folder, "check").returncode == 0
    return folder


@pytest.fixture
def here(ready: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    return tmp_path


def changed(name: str, old: str, new: str) -> Break:
    def change(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")

    return change


def written(name: str, content: bytes) -> Break:
    return lambda folder: (folder / name).write_bytes(content)


def added(name: str, text: str) -> Break:
    return lambda folder: (folder / name).write_text((folder / name).read_text("utf-8") + text, "utf-8")


def gone(name: str) -> Break:
    def remove(folder: Path) -> None:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink()

    return remove


def told(statement: str) -> Break:
    def tell(folder: Path) -> None:
        connection = sqlite3.connect(folder / "var" / "peerfhir.db")
        with connection:
            connection.execute(statement)
        connection.close()

    return tell


MAIN, PROGRAM, HAPI = "config/peerfhir.yaml", "config/program.yaml", "config/endpoints/hapi.yaml"
MAPPING, PHQ = "mappings/encounter/encounter.map.yaml", "config/instruments/phq-9"
DATABASE = "PEERFHIR_DATABASE_URL"

# name -> (how it is broken, where the problem is said to be, a word of the reason)
BROKEN: dict[str, tuple[Break, str, str]] = {
    "no programs": (gone(PROGRAM), f"{PROGRAM}:1:1", "cannot be read"),
    "programs that are a folder": (lambda at: (gone(PROGRAM)(at), (at / PROGRAM).mkdir()), f"{PROGRAM}:1:1", "read"),
    "not YAML": (changed(MAIN, "port: 8080", "port: [8080"), f"{MAIN}:19:8", "expected"),
    "not UTF-8": (written(PROGRAM, b"programs: {r: {name: 'caf\xe9'}}"), f"{PROGRAM}:1:1", "UTF-8"),
    "nothing in it": (written(PROGRAM, b""), f"{PROGRAM}:1:1", "expected"),
    "a key twice": (changed(MAIN, "port: 8080", "port: 8080\nport: 8081"), f"{MAIN}:19:1", "twice"),
    "an anchor": (changed(MAIN, "port: 8080", "port: &p 8080"), f"{MAIN}:18:7", "anchors"),
    "an unknown key": (changed(MAIN, "port: 8080", "prot: 8080"), f"{MAIN}:18:1", "not known"),
    "a port that is none": (changed(MAIN, "port: 8080", "port: 99999"), f"{MAIN}:18:1", "65535"),
    "no such database": (changed(MAIN, "sqlite:///var", "mysql://var"), f"{MAIN}:11:1", "sqlite:///"),
    "an address without https": (changed(MAIN, "http://127.0.0.1", "http://example.org"), MAIN, "only for http on loopback"),
    "no such completion": (changed(PROGRAM, "complete_on: enrolled", "complete_on: soon"), f"{PROGRAM}:8:5", "enrolled"),
    "no such time zone": (changed(PROGRAM, "New_York", "Nowhere"), f"{PROGRAM}:13:5", "time zone"),
    "no such criterion": (changed(PROGRAM, "experience: 30", "charm: 30"), f"{PROGRAM}:17:15", "experience"),
    "no such program": (changed(HAPI, "program: riverside", "program: lakeside"), HAPI, "no program"),
    "a plain-text hospital": (changed(HAPI, "//127.0.0.1:8080", "//example.org"), HAPI, "https"),
    "no such recipient": (changed(HAPI, "recipient: hospital", "recipient: all"), f"{HAPI}:13:1", "hospital"),
    "another name": (changed(HAPI, "endpoint: hapi", "endpoint: happy"), HAPI, "name"),
    "no secret of a hospital": (
        changed(HAPI, "{kind: none}", "{kind: client-secret, token_url: 'https://x.org/t', secret_file: var/none}"),
        "var/none:1:1",
        "cannot be read",
    ),
    "a mapping that is not there": (added(HAPI, "writes: {Procedure: {mapping: none}}\n"), f"{HAPI}:17:22", "no mapping"),
    "no key": (gone("var/secret.key"), "var/secret.key:1:1", "cannot be read"),
    "a short key": (written("var/secret.key", b"short"), MAIN, "32 characters"),
    "a key for everyone": (lambda at: (at / "var/secret.key").chmod(0o644), "var/secret.key:1:1", "chmod 600"),
    "a mapping with an unknown function": (changed(MAPPING, "=minutes", "=minutes.foo()"), f"{MAPPING}:80:30", "foo()"),
    "a mapping that is no YAML": (changed(MAPPING, "bundle: none", "bundle: [none"), f"{MAPPING}:52:10", "expected"),
    "a mapping with an unknown element": (changed(MAPPING, " length:", " lenght:"), f"{MAPPING}:80:5", "did you mean"),
    "a code map without columns": (written("mappings/encounter/class.csv", b"a,b\n"), "class.csv:1:1", "columns"),
    "a needed mapping gone": (gone("mappings/person"), "mappings/person:1:1", "needed"),
    "no mappings": (gone("mappings"), "mappings:1:1", "not there"),
    "a questionnaire that is no JSON": (written(f"{PHQ}/questionnaire.json", b"{"), f"{PHQ}/questionnaire.json:1:2", "JSON"),
    "no questionnaire": (gone(f"{PHQ}/questionnaire.json"), f"{PHQ}/questionnaire.json:1:1", "cannot be read"),
    "an instrument without scoring": (written(f"{PHQ}/instrument.yaml", b"id: phq-9\n"), f"{PHQ}/instrument.yaml:1:1", "scoring"),
    "no tables": (gone("var/peerfhir.db"), DATABASE, "peerfhir init"),
    "a schema behind": (told("update alembic_version set version_num = '0000'"), DATABASE, "older"),
    "a schema ahead": (told("update alembic_version set version_num = '9999'"), DATABASE, "newer"),
    "something else in its place": (written("var/peerfhir.db", b"not a database " * 400), DATABASE, "no database"),
}  # fmt: skip


def assert_refused(answer: subprocess.CompletedProcess[str], place: str, reason: str) -> None:
    assert answer.returncode == 1, answer
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    lines = answer.stderr.splitlines()
    assert any(place in line and reason in line for line in [*lines, *map(" ".join, pairwise(lines))]), answer.stderr
    assert re.fullmatch(r"\d+ problem\(s\); nothing was started\.", lines[-1])


@pytest.mark.parametrize("how", BROKEN)
def test_check_refuses_with_file_line_and_reason(here: Path, how: str) -> None:
    break_it, place, reason = BROKEN[how]
    break_it(here)
    assert_refused(run(here, "check"), place, reason)


# one of each kind: the server starts processes of its own, which could only fail without a word
SERVED = ("an unknown key", "a mapping with an unknown function", "no questionnaire", "a schema behind", "no key")


@pytest.mark.parametrize(
    ("command", "how"), [*(("serve", how) for how in SERVED), ("work", "a mapping with an unknown function")]
)
def test_nothing_starts_on_what_is_broken(here: Path, command: str, how: str) -> None:
    break_it, place, reason = BROKEN[how]
    break_it(here)
    words = [command, "--port", str(free_port())] if command == "serve" else [command]
    answer = run(here, *words)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert any(place in line and reason in line for line in answer.stderr.splitlines())


def test_every_problem_is_told_at_once(here: Path) -> None:
    for how in ("an unknown key", "no such time zone", "no such recipient"):
        BROKEN[how][0](here)
    answer = run(here, "check")
    assert answer.stderr.splitlines()[-1].startswith("3 problem(s)")
    for name in (MAIN, PROGRAM, HAPI):
        assert name in answer.stderr


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PEERFHIR_PORT", "eighty", "integer"),
        ("PEERFHIR_NONSENSE", "1", "no setting"),
        ("PEERFHIR_DATABASE_URL", "", "sqlite:///"),
        ("PEERFHIR_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none", "does not answer"),
        ("PEERFHIR_ENDPOINTS__NOWHERE__SECRET", "x", "no such endpoint"),
    ],
)
def test_a_wrong_environment_is_named_by_its_variable(here: Path, name: str, value: str, reason: str) -> None:
    answer = run(here, "check", **{name: value})
    assert answer.returncode == 1
    said = [line for line in answer.stderr.splitlines() if reason in line]
    assert said
    assert name.removesuffix("__SECRET") in said[0]


def test_without_a_configuration_it_says_where_it_looked(tmp_path: Path) -> None:
    for words in (["check"], ["serve"], ["work"], ["init"], ["clients", "list"], ["inbox", "list"]):
        answer = run(tmp_path, *words)
        assert answer.returncode == 2
        assert "config/peerfhir.yaml is not there" in answer.stderr
