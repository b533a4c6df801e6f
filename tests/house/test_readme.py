"""README.md says what is so, and every command in it runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support import readme
from tests.support.postgres import free_port

TEXT = readme.README.read_text("utf-8")
LAST = re.compile(r"LOOP CLOSED hops=\d+ arrived=\d+ doubled=0 lost=0 outages=1 kept_back=\d+ after_stop=0 seconds=\d+")
PROGRAM = str(Path(sys.executable).parent / "peerfhir")


def commands() -> list[str]:
    """Every line of a code block, and every inline code, that is a command."""
    lines, inside = [], False
    for line in TEXT.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside:
            lines.append(line.split("#")[0].strip())
    lines += re.findall(r"`((?:make|peerfhir) [^`]+)`", TEXT)
    return list(dict.fromkeys(line for line in lines if re.match(r"(make|peerfhir) ", line)))


def test_the_modules_of_the_diagram_exist_and_carry_their_caption() -> None:
    names = readme.diagram_modules(TEXT)
    assert len(names) > 10
    for name in names:
        path = readme.ROOMS / f"{name}.py"
        assert path.exists(), name
        assert f"| `{name}` | {readme.caption(path)} |" in TEXT, f"{name}: run python -m tests.support.readme"


def test_the_tree_is_the_real_tree() -> None:
    assert readme.tree() in TEXT, "run python -m tests.support.readme"


def test_pictures_and_links_are_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (readme.ROOT / target).exists(), target


def test_the_demonstrations_last_lines_have_their_form() -> None:
    shown = re.search(r"<!-- demo -->\n```\n(.*?)```", TEXT, re.S)
    assert shown
    assert LAST.fullmatch(shown[1].strip().splitlines()[-1])


def test_make_commands_are_targets_and_ci_runs_the_two() -> None:
    makefile = (readme.ROOT / "Makefile").read_text("utf-8")
    for command in commands():
        if command.startswith("make "):
            target = next(word for word in command.split()[1:] if "=" not in word)
            assert re.search(rf"^{target}:", makefile, re.M), command
    ci = (readme.ROOT / ".ci" / "run").read_text("utf-8")
    assert "make test" in ci
    assert re.search(r"make .*try", ci)


def test_every_peerfhir_command_of_the_readme_runs(tmp_path: Path) -> None:
    shutil.copytree(readme.ROOT / "config", tmp_path / "config")
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PEERFHIR_")} | {
        "PEERFHIR_MAPPINGS": str(readme.ROOT / "mappings"),
        "PEERFHIR_PORT": str(port),
        "PEERFHIR_BASE_URL": f"http://127.0.0.1:{port}",
    }
    ran = 0
    for command in commands():
        if not command.startswith("peerfhir "):
            continue
        words = [PROGRAM, *shlex.split(command)[1:]]
        if "serve" in words:
            _serves(words, tmp_path, environment, port)
        else:
            done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 5


def _serves(words: list[str], folder: Path, environment: dict[str, str], port: int) -> None:
    process = subprocess.Popen(words, cwd=folder, env=environment, start_new_session=True)
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                    assert answer.status == 200
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail("the server did not come up")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
