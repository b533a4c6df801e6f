from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from peerfhir.outbox import breaker
from peerfhir.outbox.lease import Happened
from peerfhir.outbox.retry import Effect
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import endpoint_state
from tests.support.owing import endpoint_at

ENDPOINT = endpoint_at("http://127.0.0.1:9/fhir", burst=100, rate_per_second=10.0, lease_seconds=60.0)


def admit(engine, clock, wanted=50, endpoint=ENDPOINT):
    """Ask, and take what is given."""
    with writing(engine) as connection:
        count = breaker.admit(connection, endpoint, clock.now(), wanted)
        breaker.spend(connection, endpoint, clock.now(), count, 1 if count else None)
        assert breaker.is_open_for_business(connection, endpoint.id, clock.now()) or count <= 1
    return count


def record(engine, clock, effect, times=1, **more):
    with writing(engine) as connection:
        for _ in range(times):
            breaker.record(connection, ENDPOINT, Happened(effect, "why", **more), clock.now(), random.Random(3))


def state(engine):
    with reading(engine) as connection:
        return connection.execute(select(endpoint_state)).one()


def opened(engine, clock):
    admit(engine, clock, 1)
    record(engine, clock, Effect.COUNTS, breaker.OPENS_AFTER)
    assert state(engine).breaker == "open"
    clock.move(hours=2)


def test_it_opens_after_failures_in_a_row_and_one_success_forgives_them(engine, clock):
    admit(engine, clock, 1)
    record(engine, clock, Effect.COUNTS, breaker.OPENS_AFTER - 1)
    record(engine, clock, Effect.RESETS)
    assert (state(engine).breaker, state(engine).failures) == ("closed", 0)
    record(engine, clock, Effect.COUNTS, breaker.OPENS_AFTER)
    assert state(engine).breaker == "open"
    assert admit(engine, clock) == 0


def test_a_probe_goes_ahead_alone_and_its_success_closes_it(engine, clock):
    opened(engine, clock)
    assert admit(engine, clock) == 1
    assert admit(engine, clock) == 0, "no second probe before the first has had its time"
    record(engine, clock, Effect.RESETS)
    assert admit(engine, clock) == 50


def test_a_probe_that_fails_opens_it_for_longer(engine, clock):
    opened(engine, clock)
    waits = []
    for _ in range(6):
        admit(engine, clock)
        record(engine, clock, Effect.COUNTS)
        waits.append(state(engine).open_until - clock.now())
        clock.move(hours=2)
    assert all(timedelta(0) < wait <= timedelta(hours=1) for wait in waits)
    assert max(waits[3:]) > waits[0]


def test_a_probe_that_tells_nothing_of_the_endpoint_lets_the_next_one_go_at_once(engine, clock):
    opened(engine, clock)
    assert admit(engine, clock) == 1
    record(engine, clock, Effect.NO)  # refused for what it was, or cancelled before the wire
    assert admit(engine, clock) == 1


def test_a_probe_whose_worker_died_is_followed_by_another(engine, clock):
    opened(engine, clock)
    assert admit(engine, clock) == 1
    clock.move(seconds=61)
    assert admit(engine, clock) == 1


def test_a_wait_that_was_asked_for_is_kept_through_successes_of_others(engine, clock):
    admit(engine, clock, 1)
    record(engine, clock, Effect.COUNTS)
    record(engine, clock, Effect.THROTTLES, retry_after=30)
    record(engine, clock, Effect.THROTTLES, retry_after=10)
    record(engine, clock, Effect.RESETS)
    clock.move(seconds=29)
    assert admit(engine, clock) == 0
    clock.move(seconds=1)
    assert admit(engine, clock) > 0


def test_a_fault_of_certificate_or_address_rests_and_then_tries_again_by_itself(engine, clock):
    admit(engine, clock, 1)
    record(engine, clock, Effect.REST)
    assert (state(engine).paused, state(engine).pause_reason) == (False, "why")
    clock.move(seconds=breaker.REST_SECONDS - 1)
    assert admit(engine, clock) == 0
    clock.move(seconds=1)
    assert admit(engine, clock) == 1


def test_a_pause_ends_only_when_a_person_says_so(engine, clock):
    admit(engine, clock, 1)
    record(engine, clock, Effect.PAUSES)
    clock.move(days=30)
    assert admit(engine, clock) == 0
    with writing(engine) as connection:
        assert breaker.resume(connection, ENDPOINT.id)
        assert not breaker.resume(connection, ENDPOINT.id)
    assert admit(engine, clock) > 0


@pytest.mark.parametrize("rate", [0.5, 3.0, 7.0, 50.0])
def test_tokens_come_back_at_their_rate_and_no_faster(engine, clock, rate):
    endpoint = replace(ENDPOINT, rate_per_second=rate, burst=20)
    chance = random.Random(9)
    begun, given = clock.now(), admit(engine, clock, 100, endpoint)
    for _ in range(60):
        clock.move(seconds=chance.uniform(0.01, 0.4))
        given += admit(engine, clock, chance.randrange(4), endpoint)
    assert given <= 20 + rate * (clock.now() - begun).total_seconds() + 1
    clock.move(hours=1)
    assert admit(engine, clock, 100, endpoint) == 20


def test_a_clock_that_steps_back_gives_no_tokens_and_takes_none(engine, clock):
    admit(engine, clock, 40)
    clock.move(days=-2)
    assert admit(engine, clock, 100) == 60
    clock.move(seconds=1)
    assert admit(engine, clock, 100) == 10
