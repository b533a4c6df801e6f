"""`/healthz`, `/readyz`, `/metrics`: is it alive, can it work, how much is waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, Connection, func, literal, select

from peerfhir.clock import Clock
from peerfhir.errors import Fault
from peerfhir.fhir.reader import Json
from peerfhir.fhir.writer import write
from peerfhir.gateway.parts import Parts, parts
from peerfhir.records.database import check_schema, reading
from peerfhir.records.schema import attempt, endpoint_state, inbox_message, outbox_message

_WAITING = ("ready", "leased")
_BREAKER = {"closed": 0, "half-open": 1, "open": 2}
_KEEP_SECONDS = 2.0  # counting costs more than asking, and anyone inside the network may ask


def create_ops(own: Parts) -> Blueprint:
    """The blueprint of what operators' machines ask."""
    blueprint = Blueprint("ops", __name__)
    blueprint.add_url_rule("/healthz", view_func=lambda: _json({"status": "ok"}), endpoint="healthz")
    blueprint.add_url_rule("/health", view_func=lambda: _json({"status": "UP"}), endpoint="health")
    blueprint.add_url_rule("/readyz", view_func=_readyz, endpoint="readyz")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Gauges(own))
    page = _Kept(own.clock, lambda: generate_latest(registry))
    blueprint.add_url_rule("/metrics", view_func=lambda: _metrics(page), endpoint="metrics")
    return blueprint


def _readyz() -> Response:
    checks = {name: _holds(check) for name, check in _CHECKS.items()}
    ready = all(checks.values())
    words = {name: "ok" if holds else "failed" for name, holds in checks.items()}
    return _json({"status": "ready" if ready else "not ready", "checks": words}, 200 if ready else 503)


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Fault:
        return False


def _database() -> bool:
    with reading(parts().engine) as connection:
        return connection.execute(select(literal(1))).scalar_one() == 1


def _schema() -> bool:
    check_schema(parts().engine)
    return True


def _mappings() -> bool:
    return bool(parts().mappings.ids())


_CHECKS: dict[str, Callable[[], bool]] = {"database": _database, "schema": _schema, "mappings": _mappings}


def _metrics(page: _Kept) -> Response:
    return Response(page.get(), content_type="text/plain; version=0.0.4; charset=utf-8")


class _Kept:
    """A page that is made again at most every two seconds."""

    def __init__(self, clock: Clock, make: Callable[[], bytes]) -> None:
        self._clock = clock
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[float, bytes] | None = None

    def get(self) -> bytes:
        with self._lock:
            moment = self._clock.monotonic()
            if self._made is None or moment - self._made[0] >= _KEEP_SECONDS:
                self._made = (moment, self._make())
            return self._made[1]


class _Gauges(Collector):
    """What the tables say at this moment: with several processes, counters in memory would see a part only.

    Labels are programs, endpoints, states and verdicts; never a person, never free text.
    """

    def __init__(self, own: Parts) -> None:
        self._engine = own.engine
        self._clock = own.clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with reading(self._engine) as connection:
            yield from self._messages(connection)
            yield _verdicts(connection)
            yield from _endpoints(connection)

    def _messages(self, connection: Connection) -> Iterator[GaugeMetricFamily]:
        inbox = GaugeMetricFamily("peerfhir_inbox_messages", "Kept messages by state", labels=["program", "state"])
        for words, count in _counted(connection, inbox_message.c.program_id, inbox_message.c.state):
            inbox.add_metric(words, count)
        yield inbox
        outbox = GaugeMetricFamily(
            "peerfhir_outbox_messages", "Owed messages by state", labels=["program", "endpoint", "state"]
        )
        columns = (outbox_message.c.program_id, outbox_message.c.endpoint, outbox_message.c.state)
        for words, count in _counted(connection, *columns):
            outbox.add_metric(words, count)
        yield outbox
        oldest = GaugeMetricFamily(
            "peerfhir_oldest_waiting_seconds", "Age of the oldest message that waits", labels=["queue"]
        )
        for queue, table, since in (
            ("inbox", inbox_message, inbox_message.c.received_at),
            ("outbox", outbox_message, outbox_message.c.created_at),
        ):
            first = connection.execute(select(func.min(since)).where(table.c.state.in_(_WAITING))).scalar_one()
            oldest.add_metric([queue], (self._clock.now() - first).total_seconds() if first is not None else 0.0)
        yield oldest


def _verdicts(connection: Connection) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily("peerfhir_attempts", "Attempts to deliver by verdict", labels=["verdict"])
    for words, count in _counted(connection, attempt.c.verdict):
        gauge.add_metric(words, count)
    return gauge


def _endpoints(connection: Connection) -> Iterator[GaugeMetricFamily]:
    breaker = GaugeMetricFamily(
        "peerfhir_endpoint_breaker", "0 closed, 1 trying one message, 2 open", labels=["endpoint"]
    )
    paused = GaugeMetricFamily("peerfhir_endpoint_paused", "1 while an operator holds it", labels=["endpoint"])
    columns = (endpoint_state.c.endpoint, endpoint_state.c.breaker, endpoint_state.c.paused)
    for name, state, held in connection.execute(select(*columns)):
        breaker.add_metric([name], _BREAKER.get(state, 2))
        paused.add_metric([name], int(held))
    yield breaker
    yield paused


def _counted(connection: Connection, *columns: ColumnElement[Any]) -> Iterator[tuple[list[str], int]]:
    """(the columns' words, how many rows have them)."""
    query = select(*columns, func.count()).group_by(*columns).order_by(*columns)
    for row in connection.execute(query):
        yield ["open" if word is None else str(word) for word in row[:-1]], row[-1]


def _json(value: Json, status: int = 200) -> Response:
    return Response(write(value), status=status, content_type="application/json")
