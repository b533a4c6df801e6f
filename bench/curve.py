"""Reads, searches and creates over HTTP as the store grows: 1,000 and 100,000 resources, with --million 1,000,000 too.

Each size is loaded in bulk into a database of its own, and the load is on the disk before anything is measured: at a
million its 1.5 GB would be written beside the reads. The reads come twice: with the token checked on each request,
and from the same server with that check taken out, so that its price is seen. Beside each figure of reads stands what
the server's processes spent on one, which the neighbours of the machine change least; and the load average.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from house import ENDPOINT, Served, free_port, line, load, served, wait

SIZES = (1_000, 100_000)
MILLION = 1_000_000
SECONDS = 4.0
CLIENTS = 4
BATCH = 2_000  # resources in one commit while loading
MRN, ORDERS = "urn:bench:mrn", "urn:bench:orders"
PROGRAM = "riverside"
READS, SEARCH_MS, CREATES = 2500, 2.0, 200


def resource(number: int) -> dict[str, Any]:
    """The n-th resource: of ten, one is a patient, the others are about that one."""
    who = number - number % 10
    if number == who:
        return {
            "resourceType": "Patient", "id": f"p{number}", "identifier": [{"system": MRN, "value": f"M{number}"}],
            "name": [{"family": f"Invented{number}", "given": ["Test"]}], "gender": "unknown",
            "birthDate": f"19{50 + number // 10 % 50}-01-02", "active": True,
        }  # fmt: skip
    subject = {"reference": f"Patient/p{who}"}
    if number % 2 == 0:
        return {"id": f"s{number}"} | order(f"O{number}", subject)
    return {
        "resourceType": "Observation", "id": f"o{number}", "identifier": [{"system": MRN, "value": f"B{number}"}],
        "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "44261-6"}]},
        "subject": subject, "effectiveDateTime": f"2026-{number // 10 % 12 + 1:02}-01T10:00:00Z",
        "valueInteger": number % 27,
    }  # fmt: skip


def order(number: str, subject: dict[str, str]) -> dict[str, Any]:
    """An order as a hospital would send it."""
    return {
        "resourceType": "ServiceRequest", "identifier": [{"system": ORDERS, "value": number}], "status": "active",
        "intent": "order", "priority": "routine", "code": {"text": "Peer support"}, "subject": subject,
        "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "410606002"}]}],
        "authoredOn": "2026-11-21T10:00:00Z", "requester": {"display": "A clinician (invented)"},
    }  # fmt: skip


def filled(size: int):
    """Loads so many resources, as the hospital whose client asks for them."""

    def prepare(house: Any) -> None:
        from peerfhir.fhir.store import Draft, Labels, Store
        from peerfhir.records.database import writing

        began = time.monotonic()
        for start in range(0, size, BATCH):
            drafts = [Draft(resource(n), Labels(source=ENDPOINT)) for n in range(start, min(start + BATCH, size))]
            with writing(house.engine) as connection:
                Store(connection, PROGRAM, house.clock).write(drafts)
        os.sync()
        print(f"loaded {size:,} resources, {size / (time.monotonic() - began):.0f}/s", file=sys.stderr, flush=True)

    return prepare


def spread(which: int, n: int, size: int) -> int:
    """A number of a resource, far from the one before: a fixed walk that visits all of them."""
    return (which * 7_919 + n * 104_729) % size // 10 * 10


def read(size: int):
    return lambda which, n: ("GET", f"/fhir/Patient/p{spread(which, n, size)}", None)


def search(size: int):
    return lambda which, n: ("GET", f"/fhir/Patient?identifier={MRN}%7CM{spread(which, n, size)}", None)


def create(size: int):
    def make(which: int, n: int) -> tuple[str, str, bytes]:
        subject = {"reference": f"Patient/p{spread(which, n, size)}"}
        return "POST", "/fhir/ServiceRequest", json.dumps(order(f"new-{which}-{n}", subject)).encode()

    return make


def measure(server: Served, size: int, seconds: float) -> None:
    """One line each for reads, search by identifier and creates."""
    more = f"{size:,} resources, journal {server.journal}, load average {os.getloadavg()[0]:.1f}"
    line("reads with a token", reads(server, size, seconds), f">= {READS}/s", more)
    _, p50, p95, bad = load(server, search(size), 1, seconds)
    line(
        "search by identifier", f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, refused {bad}", f"p50 <= {SEARCH_MS:.0f} ms", more
    )
    rate, p50, p95, bad = load(server, create(size), CLIENTS, seconds)
    result = f"{rate:.0f}/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, refused {bad}"
    line("creates, validated and durable", result, f">= {CREATES}/s", more)


def reads(server: Served, size: int, seconds: float) -> str:
    """The figures of reads, after connections are open, statements prepared and pages read once."""
    load(server, read(size), 2, min(seconds, 2.0))
    before = spent(server)
    rate, p50, p95, bad = load(server, read(size), CLIENTS, seconds)
    each = (spent(server) - before) / (rate * seconds) * 1e6
    return f"{rate:.0f}/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, refused {bad}, {each:.0f} us of processor each"


def spent(server: Served) -> float:
    """Seconds of processor that the server's processes, which are one session, have used. Source: proc(5)."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if int(fields[3]) == server.process.pid else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def run(size: int, seconds: float = SECONDS) -> None:
    with served(filled(size)) as server:
        measure(server, size, seconds)
        with unchecked(server) as open_to_all:
            result = reads(open_to_all, size, seconds)
        more = f"{size:,} resources, journal {server.journal}, load average {os.getloadavg()[0]:.1f}"
        line("the same read without the token check", result, "none", more)


@contextmanager
def unchecked(server: Served) -> Iterator[Served]:
    """A second server on the same database, which takes everybody for the hospital's client."""
    port = free_port()
    command = [sys.executable, __file__, "--unchecked", "--config", str(server.config)]
    process = subprocess.Popen(command, env=server.environment | {"PEERFHIR_PORT": str(port)}, start_new_session=True)
    try:
        wait(port)
        yield replace(server, port=port, token="none", process=process)
    finally:
        process.terminate()
        process.wait(timeout=15)


def serve_unchecked(config: Path) -> None:
    from peerfhir.access.scopes import parse
    from peerfhir.gateway import door
    from peerfhir.serving import serve_web
    from peerfhir.wiring import House

    anyone = door.Caller("bench", PROGRAM, parse("system/*.cruds"), endpoint=ENDPOINT)
    door.caller = lambda request: anyone  # before the server forks: every process has it
    serve_web(House.open(config, os.environ).settings, config)


if __name__ == "__main__":
    if "--unchecked" in sys.argv:
        serve_unchecked(Path(sys.argv[sys.argv.index("--config") + 1]))
    else:
        for each in SIZES + ((MILLION,) if "--million" in sys.argv else ()):
            run(each)
