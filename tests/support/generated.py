"""How generated cases run: the same ones every time, in any weather, without a folder of their own."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

CALM = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # a loaded machine is no failure; the seed stands at each test
