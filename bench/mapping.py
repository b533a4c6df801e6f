"""Records mapped per second by the worked examples, beside hand-written Python and the peers, on the same input."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from peers import fhirpath_templates, jsonata_python, python_liquid
from peers.by_hand import HAND, bundle

from peerfhir.adapters.instruments import load_instruments
from peerfhir.adapters.questionnaires import forms
from peerfhir.fhir import reader
from peerfhir.mapping.catalogue import survey
from peerfhir.mapping.registry import Mappings

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
TARGETS = {"referral-csv": 40_000, "group-session": 20_000, "phq-9-explicit": 15_000}
CANONICAL = "http://peerfhir.example.org/fhir"
PEERS: dict[str, Callable[[str], Callable[[Any], Any]]] = {
    "python-liquid": lambda name: python_liquid.engine(name, reader.read_own),
    "jsonata-python": jsonata_python.engine,
    "fpml": fhirpath_templates.engine,
    "fpml, helped": fhirpath_templates.parsed_once,
}
LEFT_OUT = (
    "The peers are given the ids (UUIDv5) in the record, and check no form of a value. None of them can make such an "
    "id; fpml escapes no search text; helped, it parses each expression once."
)
ROWS = (100_000, 1_000_000)


def per_second(run: Callable[[Any], object], records: list[Any], seconds: float = 0.5) -> float:
    """Records per second of processor time, the best of three rounds."""
    best = 0.0
    for _ in range(3):
        count, spent, begin = 0, 0.0, time.process_time()
        while spent < seconds:
            some = records[count % len(records) :][: 20 if count else 1]
            for one in some:
                run(one)
            count += len(some)
            spent = time.process_time() - begin
        best = max(best, count / spent)
    return best


def samples() -> dict[str, list[Any]]:
    """Raw records for each mapping: 200 of each, every second with what may be left out."""
    from tests.mapping.samples import FORM, ROW, session

    rest = {"middle_name": "María", "email": "a@example.org", "reason_code": "F33.1", "notes": 'Said "yes"'}
    return {
        "referral-csv": [{**ROW, "referral_id": f"R-{at}", **(rest if at % 2 else {})} for at in range(200)],
        "group-session": [session(6, session_id=f"G-{at}", site="Room 2" if at % 2 else "") for at in range(200)],
        "phq-9-explicit": [{**FORM, "form_id": f"F-{at}", "q3": at % 4} for at in range(200)],
    }


def compare(name: str, program: Any, records: list[Any]) -> None:
    """One line for each engine; every one says the same before it is timed."""
    typed = [program.typed(one) for one in records]
    ours = lambda record: program.run_typed(record).bundle()  # noqa: E731
    hand = lambda record: bundle(HAND[name](record))  # noqa: E731
    wanted = [hand(one) for one in typed]
    assert [ours(one) for one in typed] == wanted, f"{name}: the two say something else"
    rate, bound = per_second(ours, typed), per_second(hand, typed)
    print(f"{name:16} {rate:9,.0f}/s  target {TARGETS[name]:,}")
    print(f"  {'by hand':14} {bound:9,.0f}/s  ratio {rate / bound:.2f}")
    given = [{**one, "urls": [e["fullUrl"] for e in made["entry"]]} for one, made in zip(typed, wanted, strict=True)]
    for peer, engine in PEERS.items():
        try:
            run = engine(name)
        except ImportError:
            print(f"  {peer:14} is not installed (make bench installs it)")
            continue
        for one, made in zip(given[:4], wanted[:4], strict=True):
            assert plain(run(one)) == made, f"{peer}: {name} says something else"
        theirs = per_second(run, given)
        print(f"  {peer:14} {theirs:9,.0f}/s  ratio {rate / theirs:,.0f}")


def plain(value: Any) -> Any:
    """Lists and dicts of a peer as Python's own."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def rows(count: int) -> Iterator[str]:
    """A csv file of referrals, line by line."""
    from tests.mapping.samples import ROW

    yield ",".join(ROW) + "\n"
    for at in range(count):
        yield ",".join(f'"{value}"' for value in {**ROW, "referral_id": f"R-{at}"}.values()) + "\n"


def streamed(count: int) -> tuple[float, int]:
    """Seconds of processor time and the most resident KiB of a process that maps a file of so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.csv")
        with file.open("w", encoding="utf-8") as out:
            out.writelines(rows(count))
        done = subprocess.run(
            [sys.executable, __file__, "--stream", str(file)], check=True, capture_output=True, text=True
        )
    seconds, most, made = done.stdout.split()
    assert int(made) == count
    return float(seconds), int(most)


def stream(file: Path) -> None:
    """Map every row of a file, in a process of its own; say what it took."""
    from peerfhir.mapping.aside import Made, Mapped

    program = survey(ROOT / "tests/mapping/worked", canonical=CANONICAL).loaded["referral-csv"].program
    begin = time.process_time()
    with file.open("rb") as given:
        made = sum(isinstance(one, Made) for one in Mapped(program, given, None))
    print(time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, made)


def cold() -> tuple[float, float]:
    """Seconds of `peerfhir map check`, the whole process, and of its processor; the best of five."""
    spent = []
    for _ in range(5):
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        command = [sys.executable, "-m", "peerfhir.cli", "map", "check"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        after, took = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begin
        spent.append((took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return min(spent)


def main() -> None:
    """One line per mapping and engine, then the stream, the check and the cold start."""
    instruments = ROOT / "config/instruments"
    known = forms(instruments, load_instruments(instruments))
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}. {LEFT_OUT}")
    loaded = survey(ROOT / "tests/mapping/worked", canonical=CANONICAL, instruments=known).loaded
    for name, records in samples().items():
        compare(name, loaded[name].program, records)
    for count in ROWS:
        seconds, most = streamed(count)
        print(f"{count:,} rows of csv: {seconds:.1f} s, at most {most / 1024:.0f} MiB resident")
    spent = []
    for _ in range(5):
        begin = time.process_time()
        count = len(Mappings.load(ROOT / "mappings", canonical=CANONICAL, instruments=known).ids())
        spent.append(time.process_time() - begin)
    print(f"check and compile of {count} shipped mappings {min(spent) * 1e3:.0f} ms  target 150")
    took, worked = cold()
    print(f"cold peerfhir map check {took:.2f} s, {worked:.2f} s of it processor time  target 0.4")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stream"]:
        stream(Path(sys.argv[2]))
    else:
        main()
