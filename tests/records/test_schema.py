from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from peerfhir.records.schema import Instant


def test_an_instant_comes_back_to_the_microsecond_whatever_zone_it_was_written_in() -> None:
    print("seed 9")
    rng = random.Random(9)
    instant = Instant()
    for _ in range(1000):
        zone = timezone(timedelta(minutes=rng.randint(-14 * 60, 14 * 60)))
        moment = (datetime(1900, 1, 2, tzinfo=UTC) + timedelta(microseconds=rng.randrange(10**16))).astimezone(zone)
        kept = instant.process_bind_param(moment)
        assert instant.process_result_value(kept, None) == moment
        later = instant.process_bind_param(moment + timedelta(microseconds=1))
        assert later == kept + 1


def test_nothing_stays_nothing_and_a_naive_time_is_refused() -> None:
    assert Instant().process_bind_param(None) is None
    assert Instant().process_result_value(None, None) is None
    with pytest.raises(ValueError, match="time zone"):
        Instant().process_bind_param(datetime(2026, 1, 1))  # noqa: DTZ001
