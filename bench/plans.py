"""The plan and the time of every search of Tasks, at 10,000 stored and, when asked (--million), at 1,000,000."""

from __future__ import annotations

import logging
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import event

from house import ROOT, line
from peerfhir.clock import SystemClock
from peerfhir.fhir.search import parse
from peerfhir.fhir.store import Store
from peerfhir.records.database import journal, open_engine, reading, upgrade

sys.path.insert(0, str(ROOT))
from tests.support.searches import PROGRAM, Plans, counts_everything, is_scan, load, searches, sorts, walked

SEED, SIZES, MILLION = 20261121, (10_000,), 1_000_000
SLOWEST = 5


def run(size: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="peerfhir-bench-"))
    try:
        engine = open_engine(f"sqlite:///{folder / 'plans.db'}")
        upgrade(engine)
        load(engine, {"Task": size, "Patient": min(size, 1000)}, SEED)
        by_index, sorting, times = 0, [], []
        free = walked("Task")
        wanted = [*searches("Task"), *(one for one in free if one not in searches("Task"))]
        for query in wanted:
            asked = parse("Task", query)
            with reading(engine) as connection:
                plans = Plans(connection)
                event.listen(connection, "before_cursor_execute", plans.see)
                Store(connection, PROGRAM, SystemClock()).search("Task", asked, bounded=True)
            sorting += [query] if query in free and any(map(sorts, plans.found)) else []
            by_index += all(not is_scan(plan) or counts_everything(plan) for plan in plans.found)
            with reading(engine) as connection:  # its pages are warm by now, as a busy search's are
                began = time.perf_counter()
                Store(connection, PROGRAM, SystemClock()).search("Task", asked, bounded=True)
                times.append(((time.perf_counter() - began) * 1000, query or "(none)"))
        times.sort()
        p50 = statistics.median(spent for spent, _ in times)
        p95 = times[int(len(times) * 0.95)][0]
        result = f"{by_index} of {len(wanted)} enter by an index, p50 {p50:.1f} ms, p95 {p95:.1f} ms"
        line("searches of Tasks", result, "all", f"{size:,} Tasks, journal {journal(engine)}")
        line(
            "searches that nothing narrows",
            f"{len(free) - len(sorting)} of {len(free)} are walked",
            "all",
            f"{size:,} Tasks",
        )
        for spent, query in reversed(times[-SLOWEST:]):
            print(f"  {spent:.0f} ms  {query}")
        engine.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    for each in SIZES + ((MILLION,) if "--million" in sys.argv else ()):
        run(each)
