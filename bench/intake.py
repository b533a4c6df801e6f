"""Intake: referrals (a transaction of seven) through HTTP, durable before each answer, per second and p95."""

from __future__ import annotations

import json

from house import line, load, referral, served

CLIENTS, SECONDS, MOST = 4, 6.0, 400
# Made before the clock starts, so that the load generator does little but send.
BODIES = {
    which: [json.dumps(referral(which, n)).encode() for n in range(MOST)]
    for which in (*range(2), *range(10, 10 + CLIENTS))
}


def make(which: int, n: int):
    return "POST", "/fhir", BODIES[which][n % MOST]


if __name__ == "__main__":
    with served() as server:
        load(server, make, 2, 1.0)
        rate, p50, p95, refused = load(server, lambda which, n: make(which + 10, n), CLIENTS, SECONDS)
        figures = f"{rate:.0f}/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, refused {refused}"
        line("intake of a referral", figures, ">= 200/s in WAL, >= 150/s in TRUNCATE", f"journal {server.journal}")
