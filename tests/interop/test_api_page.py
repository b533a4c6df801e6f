"""Every command of docs/api.md is run in order, by the shell, against the shipped server."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.gateway import running

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
BLOCK = re.compile(r"^```(bash|text)\n(.*?)^```$", re.M | re.S)
MARK = "-- next --"


def steps() -> list[tuple[str, str]]:
    """Each block of commands, and what the page says that it answers."""
    found: list[tuple[str, str]] = []
    for kind, text in BLOCK.findall(PAGE.read_text("utf-8")):
        if kind == "bash":
            found.append((text, ""))
        else:
            found[-1] = (found[-1][0], text)
    return found


def test_every_command_of_the_page_answers_what_the_page_says(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed on this machine")
    with running(tmp_path) as gateway:
        script = "set -euo pipefail\n" + "".join(f"{text}\necho '{MARK}'\n" for text, _ in steps())
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
            env={**gateway.environment, "SITE": gateway.url,
                 "PATH": f"{Path(sys.executable).parent}:{gateway.environment['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    answers = done.stdout.split(f"{MARK}\n")[:-1]
    assert answers == [said for _, said in steps()]
    assert len(answers) >= 7
