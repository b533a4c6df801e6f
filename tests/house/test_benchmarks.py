"""The benchmarks of the outbox run on what is shipped: with little to do here, on both databases."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    spec = importlib.util.spec_from_file_location("bench_outbox", BENCH / "outbox.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delitem(sys.modules, "house")
    for name, value in {"WAITING": 60, "HEADS": 6, "SECONDS": 0.2, "MESSAGES": 40}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_the_outbox_is_measured_on_each_database(bench, engine):
    assert bench.enqueued(engine) > 0
    assert bench.drained(engine) > 0
    idle, one = bench.claimed(engine)
    assert idle > 0
    assert one > 0
    assert bench.synced() > 0
    assert set(bench.GOALS) >= {engine.dialect.name}
