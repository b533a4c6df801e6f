"""The bar of `peerfhir map run`: at a terminal, on long input, gone in the end, and never in what is written."""

from __future__ import annotations

from pathlib import Path

from peerfhir.mapping.running import LONG
from tests.mapping.maps import row, table, worked
from tests.support.console import run
from tests.support.terminal import at_terminal

WORDS = ("map", "run", "referral-csv", "--ndjson", "--mappings", "mappings", "--input")


def long(folder: Path, records: int) -> str:
    worked(folder)
    path = folder / "long.csv"
    path.write_text(table(*(row(referral_id=f"R-{at}") for at in range(records))), "utf-8")
    return path.name


def test_a_long_file_shows_a_bar_that_is_gone_in_the_end(tmp_path: Path) -> None:
    shown = at_terminal(*WORDS, long(tmp_path, LONG), folder=tmp_path)
    assert shown.code == 0
    assert "long.csv" in shown.terminal
    assert "%" in shown.terminal
    assert shown.terminal.endswith("\x1b[2K")  # the line is clear again
    assert "\x1b[?25h" in shown.terminal  # and the cursor is back
    lines = shown.output.splitlines()
    assert len(lines) == LONG
    assert all(line.startswith("{") and line.endswith("}") for line in lines)


def test_what_is_written_to_a_file_has_no_bar_in_it_and_failed_records_are_told_after_it(tmp_path: Path) -> None:
    source = tmp_path / long(tmp_path, LONG)
    source.write_text(source.read_text("utf-8") + row(referral_id="R-bad", dob="1989-02-31") + "\n", "utf-8")
    shown = at_terminal(*WORDS, source.name, "-o", "out.ndjson", folder=tmp_path)
    assert shown.code == 1
    assert "long.csv" in shown.terminal
    assert shown.terminal.rpartition("\x1b[2K")[2].startswith(f"{LONG} mapped, 1 failed")
    assert len((tmp_path / "out.ndjson").read_text("utf-8").splitlines()) == LONG


def test_there_is_none_on_short_input_among_results_or_without_a_terminal(tmp_path: Path) -> None:
    shown = at_terminal(*WORDS, long(tmp_path, 3), folder=tmp_path)
    assert (shown.code, shown.terminal) == (0, "")
    (tmp_path / "other").mkdir()
    done = run(tmp_path / "other", *WORDS, long(tmp_path / "other", LONG))
    assert (done.returncode, done.stderr) == (0, "")
    shown = at_terminal(*WORDS, "long.csv", folder=tmp_path / "other", both=True)
    assert shown.terminal.startswith('{"resourceType":"Bundle"')
    assert "\x1b" not in shown.terminal
