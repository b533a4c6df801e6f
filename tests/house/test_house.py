"""What holds of the whole house: captions, one door for each thing, nothing of a workplace."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "peerfhir").rglob("*.py"))
TRACKED = [
    ROOT / line
    for line in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
]


def test_every_module_begins_with_a_one_sentence_caption() -> None:
    for path in SOURCES:
        caption = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert caption, path
        first = caption.split("\n\n")[0]
        assert not first.lower().startswith("this module"), path


def test_the_pathway_imports_the_standard_library_and_itself_alone() -> None:
    for path in SOURCES:
        if "pathway" not in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names or name.startswith("peerfhir.pathway"), f"{path}: {name}"


BODY_WORDS = {"data", "get_data", "get_json", "form", "files", "values", "stream", "json"}


def test_only_one_module_touches_the_bytes_of_a_request() -> None:
    for path in SOURCES:
        if path.relative_to(ROOT / "src/peerfhir").as_posix() == "gateway/body.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in BODY_WORDS:
                owner = node.value
                assert not (isinstance(owner, ast.Name) and owner.id == "request"), f"{path}:{node.lineno}"


CALLERS = {"outbox/ehr.py", "outbox/guard.py", "practice/orders.py", "practice/dispatch.py",
           "practice/holdings.py", "practice/visitor.py", "practice/stage.py"}  # fmt: skip


def test_http_clients_are_only_where_they_are_named() -> None:
    for path in SOURCES:
        where = path.relative_to(ROOT / "src/peerfhir").as_posix()
        text = path.read_text("utf-8")
        if where not in CALLERS:
            assert not re.search(r"\b(http\.client|urllib\.request|import requests|import urllib3)\b", text), where


def test_no_clock_but_the_clock() -> None:
    allowed = {"clock.py", "demonstration.py", "practice/scene.py", "practice/parting.py", "practice/stage.py"}
    for path in SOURCES:
        where = path.relative_to(ROOT / "src/peerfhir").as_posix()
        if where not in allowed:
            assert not re.search(r"datetime\.(now|utcnow)\(|time\.time\(", path.read_text("utf-8")), where


def test_locks_have_hashes_and_no_address() -> None:
    for lock in (ROOT / each / "requirements.lock" for each in (".", "tests", "bench")):
        text = lock.read_text("utf-8")
        assert "://" not in text
        assert text.count("--hash=sha256:") > text.count("==")


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text("utf-8").lower()
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["postgres"]):
        name = re.split(r"[\[<>=~ ]", requirement)[0].lower().replace(".", "-")
        assert f"{name}==" in lock or f"{name}[" in lock, requirement


# Where this copy stands is as unwelcome as anybody's home: whoever wrote a file there would find it here.
_HERE = "|".join(re.escape(f"{each}/") for each in (ROOT, ROOT.parent / "shared"))
OF_ONE_MACHINE = re.compile(rf"/(?:root|home)/|/tmp/\w|extra-index-url|find-links|{_HERE}")


def test_no_file_names_a_machine_it_was_written_on() -> None:
    for path in TRACKED:
        if (
            path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".css", ".html", ".json", ""}
            and path.is_file()
        ):
            if path == Path(__file__):
                continue
            found = OF_ONE_MACHINE.search(path.read_text("utf-8", "replace"))
            assert not found, f"{path}: {found and found.group()}"


def test_no_mark_of_unfinished_work() -> None:
    for path in SOURCES:
        found = re.search(
            r"\bTODO\b|\bFIXME\b|NotImplementedError|pragma: no cover|# type: ignore(?!\[)", path.read_text("utf-8")
        )
        assert not found, f"{path}: {found and found.group()}"


def test_error_codes_are_unique() -> None:
    from peerfhir import errors

    codes: dict[str, str] = {}
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.Fault):
            assert codes.setdefault(value.code, name) == name, value.code
            assert value.__doc__


@pytest.mark.parametrize("contract", ["imports"])
def test_the_rooms_keep_their_directions(contract: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-logo"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_sources_are_named_where_a_reader_can_look() -> None:
    elsewhere = re.compile(r"\b(domain|standards|reliability|engineering|house|field)\.md\b")
    for path in TRACKED:
        if path.suffix in {".py", ".md", ".yaml"} and path.is_file() and path != Path(__file__):
            assert not elsewhere.search(path.read_text("utf-8")), path
