"""Reads of a stored resource through HTTP, the token checked on each, beside an unchecked answer of the same server."""

from __future__ import annotations

import json

from house import ask, line, load, referral, served

if __name__ == "__main__":
    with served() as server:
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/fhir+json"}
        status, answer = ask(server.port, "POST", "/fhir", json.dumps(referral(1, 1)), headers)
        assert status == 200, answer
        where = next(
            e["response"]["location"]
            for e in json.loads(answer)["entry"]
            if "/Task/" in "/" + e["response"]["location"]
        )
        path = "/fhir/" + where.split("/fhir/")[-1].split("/_history")[0]
        load(server, lambda which, n: ("GET", path, None), 2, 1.0)
        rate, p50, p95, refused = load(server, lambda which, n: ("GET", path, None), 4, 5.0)
        bare, *_ = load(server, lambda which, n: ("GET", "/healthz", None), 4, 3.0)
        beside = f"{rate / bare:.2f} of an empty answer ({bare:.0f}/s)"
        figures = f"{rate:.0f}/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, refused {refused}, {beside}"
        line("reads with a token", figures, ">= 1500/s", f"journal {server.journal}")
