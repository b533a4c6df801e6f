"""Endpoint health and send rate, kept in the database so that all hosts agree."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, or_, select, update

from peerfhir.config import EndpointSettings
from peerfhir.outbox.lease import Happened
from peerfhir.outbox.retry import Effect, wait_seconds
from peerfhir.records.schema import endpoint_state
from peerfhir.records.upsert import insert_new

OPENS_AFTER = 5  # consecutive endpoint-level failures (docs/rules.md, Delivery)
REST_SECONDS = 900  # after a fault that only the hospital's people can mend, such as a certificate

_STATE = endpoint_state.c


def is_open_for_business(connection: Connection, endpoint_id: str, now: datetime) -> bool:
    """Whether a claim could admit anything, asked without a lock."""
    shut = or_(_STATE.paused.is_(True), _STATE.open_until > now)
    return connection.execute(select(_STATE.endpoint).where(_STATE.endpoint == endpoint_id, shut)).first() is None


def admit(connection: Connection, endpoint: EndpointSettings, now: datetime, wanted: int) -> int:
    """How many messages may be leased at this instant; 0 while paused, waiting or out of tokens.

    Locks the endpoint's row, so that claims for one endpoint take turns; call `spend` with what was leased.
    """
    row = _locked(connection, endpoint, now)
    if wanted <= 0 or row.paused or (row.open_until is not None and row.open_until > now):
        return 0
    tokens, _ = _refilled(row, endpoint, now)
    # after an open breaker one lane goes ahead to see
    return min(wanted, tokens, 1 if row.breaker != "closed" else wanted)


def spend(connection: Connection, endpoint: EndpointSettings, now: datetime, count: int, lane_id: int | None) -> None:
    """Take the tokens of what was leased; after an open breaker the one lane that was let through is the probe."""
    if count == 0:
        return
    row = _locked(connection, endpoint, now)
    tokens, since = _refilled(row, endpoint, now)
    values: dict[str, Any] = {"tokens": tokens - count, "tokens_at": since}
    if row.breaker != "closed":
        # no second probe before this one has had its time
        wait = now + timedelta(seconds=endpoint.lease_seconds)
        values |= {"breaker": "half-open", "probe_lane": lane_id, "open_until": wait}
    _change(connection, endpoint.id, values)


def record(
    connection: Connection, endpoint: EndpointSettings, happened: Happened, now: datetime, chance: random.Random
) -> None:
    """Write down what an attempt says about its endpoint."""
    if happened.effect is Effect.RESETS:
        # touched only when there is something to reset: a row that every success writes is a queue of its own
        connection.execute(
            update(endpoint_state)
            .where(_STATE.endpoint == endpoint.id, or_(_STATE.failures > 0, _STATE.breaker != "closed"))
            .values(
                failures=0,
                breaker="closed",
                # a wait that the hospital asked for is kept
                open_until=case((_STATE.breaker != "closed", None), else_=_STATE.open_until),
                probe_lane=None,
                pause_reason=None,
            )
        )
    elif happened.effect is Effect.NO:
        # the probe told nothing of the endpoint: the next one may go ahead at once
        connection.execute(
            update(endpoint_state)
            .where(_STATE.endpoint == endpoint.id, _STATE.breaker == "half-open")
            .values(open_until=None, probe_lane=None)
        )
    elif happened.effect is Effect.PAUSES:
        _change(connection, endpoint.id, {"paused": True, "pause_reason": happened.reason})
    elif happened.effect is Effect.REST:
        until = now + timedelta(seconds=REST_SECONDS)
        _change(connection, endpoint.id, {"breaker": "open", "open_until": until, "pause_reason": happened.reason})
    elif happened.effect is Effect.COUNTS:
        _count(connection, endpoint, now, chance)
    if happened.effect in (Effect.THROTTLES, Effect.COUNTS) and happened.retry_after:
        _wait(connection, endpoint, now, happened.retry_after)


def _count(connection: Connection, endpoint: EndpointSettings, now: datetime, chance: random.Random) -> None:
    row = _locked(connection, endpoint, now)
    failures = row.failures + 1
    values: dict[str, Any] = {"failures": failures}
    if failures >= OPENS_AFTER:
        tries = failures - OPENS_AFTER + 1
        wait = wait_seconds(tries, endpoint.retry_base_seconds, endpoint.retry_cap_seconds, chance)
        values |= {"breaker": "open", "open_until": now + timedelta(seconds=wait), "probe_lane": None}
    _change(connection, endpoint.id, values)


def _wait(connection: Connection, endpoint: EndpointSettings, now: datetime, seconds: int) -> None:
    row = _locked(connection, endpoint, now)
    until = now + timedelta(seconds=seconds)
    if row.open_until is None or row.open_until < until:
        _change(connection, endpoint.id, {"open_until": until})


def resume(connection: Connection, endpoint: str) -> bool:
    """Let an endpoint be called again; True when it was paused, resting or waiting."""
    changed = connection.execute(
        update(endpoint_state)
        .where(
            _STATE.endpoint == endpoint,
            or_(_STATE.paused.is_(True), _STATE.open_until.is_not(None), _STATE.breaker != "closed"),
        )
        .values(paused=False, pause_reason=None, breaker="closed", failures=0, open_until=None, probe_lane=None)
    )
    return changed.rowcount > 0


def pause(connection: Connection, endpoint: str, reason: str) -> None:
    """Stop sending to an endpoint at the next claim, until `resume`."""
    insert_new(connection, endpoint_state, ("endpoint",), {"endpoint": endpoint})
    _change(connection, endpoint, {"paused": True, "pause_reason": reason})


def _locked(connection: Connection, endpoint: EndpointSettings, now: datetime) -> Any:
    query = select(endpoint_state).where(_STATE.endpoint == endpoint.id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        first = {"endpoint": endpoint.id, "tokens": endpoint.burst, "tokens_at": now}
        insert_new(connection, endpoint_state, ("endpoint",), first)
        row = connection.execute(query).one()
    return row


def _refilled(row: Any, endpoint: EndpointSettings, now: datetime) -> tuple[int, datetime]:
    """(tokens now, since when they count). Whole tokens only; the rest of the time is kept for the next."""
    if row.tokens is None or row.tokens_at is None or row.tokens_at > now:  # never filled, or the clock stepped back
        return endpoint.burst if row.tokens is None else row.tokens, now
    gained = int((now - row.tokens_at).total_seconds() * endpoint.rate_per_second)
    if row.tokens + gained >= endpoint.burst:
        return endpoint.burst, now
    return row.tokens + gained, row.tokens_at + timedelta(seconds=gained / endpoint.rate_per_second)


def _change(connection: Connection, endpoint: str, values: dict[str, Any]) -> None:
    connection.execute(update(endpoint_state).where(_STATE.endpoint == endpoint).values(**values))
