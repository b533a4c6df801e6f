"""`peerfhir validate` as an operator has it: a bar at a terminal on long input, and what becomes of a fault of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from peerfhir.fhir.writer import write
from tests.support.console import run
from tests.support.terminal import at_terminal

LINES = 44
SEEN = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueString": "x" * 100_000}
WRONG = {**SEEN, "status": "banana"}


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """An NDJSON file of more than 4 MiB; the last line is wrong."""
    path = tmp_path / "long.ndjson"
    path.write_bytes(b"".join(write(one) + b"\n" for one in [SEEN] * (LINES - 1) + [WRONG]))
    return path


def test_a_long_file_shows_a_bar_that_is_gone_in_the_end(long: Path) -> None:
    shown = at_terminal("validate", long.name, folder=long.parent)
    assert shown.code == 1
    assert "validating" in shown.terminal
    assert "100%" in shown.terminal
    last = shown.terminal.rpartition("\x1b[2K")[2]  # what stands after the line was cleared
    assert last.split("\r\n") == [f"{LINES} resource(s), 1 with errors", ""]
    assert "\x1b[?25h" in shown.terminal  # the cursor is back
    results = shown.output.splitlines()
    assert "\x1b" not in shown.output
    assert "validating" not in shown.output
    assert sum(line.endswith("no error") for line in results) == LINES - 1
    assert next(line for line in results if ": error:" in line).startswith(
        f"long.ndjson:{LINES}: error: Observation.status"
    )


def test_no_bar_stands_among_results_in_short_input_or_in_a_file(long: Path) -> None:
    assert "validating" not in at_terminal("validate", long.name, folder=long.parent, both=True).terminal
    long.write_bytes(write(SEEN) + b"\n")
    shown = at_terminal("validate", long.name, folder=long.parent)
    assert (shown.code, shown.terminal) == (0, "1 resource(s), 0 with errors\r\n")
    long.write_bytes(b"".join(write(SEEN) + b"\n" for _ in range(LINES)))
    done = run(long.parent, "validate", long.name)
    assert (done.returncode, done.stderr) == (0, f"{LINES} resource(s), 0 with errors\n")


FAULT = """
from peerfhir.fhir import examine
def fault(*_, **__):
    raise RuntimeError("Marisolita")
examine.examine = fault
from peerfhir.cli import main
main()
"""


def test_a_fault_of_ours_ends_with_3_and_shows_no_value(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(write(SEEN))
    done = subprocess.run(
        [sys.executable, "-c", FAULT, "validate", "one.json"], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "RuntimeError" in done.stdout + done.stderr
    assert "Marisolita" not in done.stdout + done.stderr
