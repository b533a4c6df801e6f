from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from peerfhir.mapping.aside import Made, Mapped
from tests.mapping.test_worked import folder

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, loaded as it is started: its own folder comes first."""
    monkeypatch.syspath_prepend(str(BENCH))
    spec = importlib.util.spec_from_file_location("bench_mapping", BENCH / "mapping.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_python_written_by_hand_says_what_the_benchmark_mappings_say(bench: ModuleType) -> None:
    for name, records in bench.samples().items():
        program = folder().loaded[name].program
        for record in records[:8]:
            typed = program.typed(record)
            assert bench.bundle(bench.HAND[name](typed)) == program.run_typed(typed).bundle()


def test_a_mapping_is_timed_beside_the_engines_that_are_there_and_the_others_are_named(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(bench, "per_second", lambda run, records: 1.0 if run(records[0]) else 0.0)
    monkeypatch.setattr(bench, "PEERS", {"elsewhere": missing})
    bench.compare("group-session", folder().loaded["group-session"].program, bench.samples()["group-session"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["group-session", "by", "elsewhere"]
    assert "not installed" in lines[2]


def test_rows_of_the_stream_are_read_by_the_mapping_they_are_made_for(bench: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("".join(bench.rows(30)), "utf-8")
    with file.open("rb") as stream:
        found = list(Mapped(folder().loaded["referral-csv"].program, stream))
    assert [one.place for one in found if isinstance(one, Made)] == [f"row {at}" for at in range(1, 31)]
