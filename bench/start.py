"""Cold start to ready, and resident memory of each process of the shipped server command."""

from __future__ import annotations

import json
from pathlib import Path

from house import ask, line, referral, served


def resident(pid: int) -> list[float]:
    """MB of a process and its children (Linux)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(each.split(":", 1) for each in status.read_text().splitlines() if ":" in each)
        except OSError:
            continue
        if int(status.parent.name) == pid or int(fields["PPid"]) == pid:
            found.append(int(fields.get("VmRSS", "0").split()[0]) / 1024)
    return found


if __name__ == "__main__":
    with served() as server:
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/fhir+json"}
        for n in range(40):
            ask(server.port, "POST", "/fhir", json.dumps(referral(2, n)), headers)
        sizes = resident(server.process.pid)
        line("cold start to ready", f"{server.seconds_to_ready:.2f} s", "< 2 s")
        line("resident memory", f"{max(sizes):.0f} MB the largest of {len(sizes)} processes", "< 200 MB per process")
