"""Intake: referrals (a transaction of seven) through HTTP, durable before each answer, per second and p95."""

from __future__ import annotations

import json

from house import line, load, referral, served

SECONDS, MOST = 5.0, 300
CONNECTIONS = (12, 4)  # many hospitals at once share commits; a few alone wait for the disk each time


def bodies(first: int, many: int) -> list[list[bytes]]:
    """Made before the clock starts, so that the load generator does little but send; each referral is new."""
    return [[json.dumps(referral(first + which, n)).encode() for n in range(MOST)] for which in range(many)]


if __name__ == "__main__":
    with served() as server:
        warm = bodies(0, 2)
        load(server, lambda which, n: ("POST", "/fhir", warm[which][n % MOST]), 2, 1.0)
        for connections in CONNECTIONS:
            made = bodies(10 * connections, connections)
            rate, p50, p95, refused = load(
                server, lambda which, n, made=made: ("POST", "/fhir", made[which][n % MOST]), connections, SECONDS
            )
            figures = f"{rate:.0f}/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, refused {refused}"
            target = ">= 200/s in WAL, >= 150/s in TRUNCATE"
            line(f"intake of a referral, {connections} connections", figures, target, f"journal {server.journal}")
