"""What an endpoint can do: its CapabilityStatement, kept with its date and read again daily."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, Engine, select, update

from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.fhir import reader, writer
from peerfhir.fhir.capability import Offer, offer_of
from peerfhir.outbox.answers import EhrAnswer
from peerfhir.outbox.ehr import Ehr
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import endpoint_state
from peerfhir.records.upsert import insert_or_update

_log = logging.getLogger(__name__)

FRESH_FOR = timedelta(days=1)  # docs/rules.md, Write-back: checked again daily
_REMEMBER_SECONDS = 30.0  # in this process: a statement is long, and every message needs what it says


class Once(StrEnum):
    """How a create can be made to happen once at an endpoint."""

    CONDITIONAL = "conditional"  # If-None-Exist
    SEARCH = "search"  # by identifier, before any resend
    NEITHER = "neither"  # an ambiguous send waits for a person


def once(offer: Offer, endpoint: EndpointSettings, resource_type: str) -> Once:
    """What this endpoint honours for one type; its own settings speak before its statement."""
    said = endpoint.conditional_create
    if said or (said is None and resource_type in offer.conditional_creates):
        return Once.CONDITIONAL
    searchable = "identifier" in offer.searches.get(resource_type, frozenset())
    return Once.SEARCH if searchable else Once.NEITHER


def kept(connection: Connection, endpoint_id: str) -> Offer | None:
    """What was last read, with its date."""
    row = connection.execute(
        select(endpoint_state.c.capability, endpoint_state.c.capability_at).where(
            endpoint_state.c.endpoint == endpoint_id
        )
    ).one_or_none()
    if row is None or row.capability is None:
        return None
    return replace(offer_of(reader.read_own(row.capability)), read_at=row.capability_at)


class Probe:
    """What one endpoint offers, shared by all threads of a process."""

    def __init__(self, engine: Engine, clock: Clock, endpoint_id: str, ehr: Ehr) -> None:
        self._engine = engine
        self._clock = clock
        self._endpoint_id = endpoint_id
        self._ehr = ehr
        self._turn = threading.Lock()  # one asks, the others wait for the same statement
        self._known: tuple[Offer, float] | None = None

    def offer(self) -> Offer | EhrAnswer:
        """The endpoint's offer, read again when it is older than a day; the answer when there is none to be had.

        A statement that cannot be read again just now stays in use: plans get old, they do not get lost.
        Commits  the statement that was read, before returning; nothing is held open while asking
        """
        with self._turn:
            if self._known is not None and self._clock.monotonic() < self._known[1]:
                return self._known[0]
            found = self._asked()
            if isinstance(found, Offer):
                self._known = found, self._clock.monotonic() + _REMEMBER_SECONDS
            return found

    def _asked(self) -> Offer | EhrAnswer:
        with reading(self._engine) as connection:
            known = kept(connection, self._endpoint_id)
        now = self._clock.now()
        if known is not None and not _is_old(known, now):
            return known
        answer = self._ehr.exchange("GET", "metadata", None, {}, authorize=False)
        if answer.status in (401, 403):  # it should be open to all, and is not everywhere
            answer = self._ehr.exchange("GET", "metadata", None, {})
        statement = answer.json
        kind = statement.get("resourceType") if isinstance(statement, dict) else None
        if answer.status != 200 or kind != "CapabilityStatement":
            return answer if known is None else known
        found = replace(offer_of(statement), read_at=now)
        if known is not None and replace(known, read_at=None) != replace(found, read_at=None):
            _log.warning("endpoint %s: its CapabilityStatement has changed", self._endpoint_id)
        with writing(self._engine) as connection:
            values = {"capability": writer.write(statement), "capability_at": now}
            row = {"endpoint": self._endpoint_id, **values}
            insert_or_update(connection, endpoint_state, ("endpoint",), row, values)
        return found


def forget(connection: Connection, endpoint_id: str) -> None:
    """Read the statement again before the next plan is made."""
    connection.execute(
        update(endpoint_state).where(endpoint_state.c.endpoint == endpoint_id).values(capability_at=None)
    )


def _is_old(known: Offer, now: datetime) -> bool:
    return known.read_at is None or now - known.read_at >= FRESH_FOR or known.read_at > now
