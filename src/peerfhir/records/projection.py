"""A saved record -> the resources our own API serves for it, stored in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from peerfhir.errors import DatabaseBusy, Fault, NotFound, VersionConflict
from peerfhir.fhir.labels import Labels, Projected
from peerfhir.fhir.reader import Json, read_own
from peerfhir.fhir.store import Store
from peerfhir.pathway.encounter import Encounter
from peerfhir.records.schema import outbox_message
from peerfhir.records.upsert import insert_new
from peerfhir.records.versions import Record

PROJECTED = frozenset({"person", "peer", "referral", "engagement", "encounter", "outcome", "grant"})
# A group session names everyone who came and a safety event says why: neither leaves its table.

Projector = Callable[[Any, Any], Sequence[Projected]]  # (record, Context of adapters.projection) -> resources


def outward(record: Any) -> Any:
    """The record without what never leaves the program, whatever a mapping asks for."""
    if isinstance(record, Encounter):
        return replace(record, working_note="", group_id=None, client_uuid=None)
    return record


class Shelf:
    """The store as a projection uses it: what it has read must not have moved when it writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[tuple[str, str], int] = {}

    def current(self, type_: str, id_: str) -> Json | None:
        """The resource as it is stored now."""
        try:
            stored = self._store.read(type_, id_)
        except NotFound:
            return None
        self._seen[type_, id_] = stored.version
        return read_own(stored.body)

    def put(self, projected: Projected) -> None:
        """Create or update one resource; nothing is written when it says the same as before.

        Raises  DatabaseBusy (later) when somebody else has written it since it was read
        """
        resource = projected.resource
        key = (resource["resourceType"], resource["id"])
        source = None
        try:
            stored = self._store.read(*key)
        except NotFound:
            pass
        else:
            source = stored.labels.source  # who sent it first stays true
            if self._seen.get(key, stored.version) != stored.version:
                raise DatabaseBusy
        try:
            written = self._store.put(resource, Labels(source, projected.person_id, projected.share_class))
        except VersionConflict:
            raise DatabaseBusy from None
        self._seen[key] = written.version


def park(
    connection: Connection, kind: str, record: Record, fault: Fault, now: datetime, execution_id: str | None
) -> None:
    """Leave a visible row for a record that a mapping could not show. The record itself is saved all the same."""
    insert_new(
        connection,
        outbox_message,
        ("program_id", "endpoint", "idem", "parent_id"),
        {
            "program_id": record.program_id,
            "endpoint": "",
            "idem": f"{kind}/{record.id}:projection:{record.version}",
            "piece": "projection",
            "share_class": "",
            "person_id": getattr(record, "person_id", record.id if kind == "person" else ""),
            "referral_id": getattr(record, "referral_id", None),
            "record_type": kind,
            "record_id": record.id,
            "record_version": record.version,
            "state": "parked",
            "reason": fault.code,
            "advice": advice(fault),
            "created_at": now,
            "horizon_at": now,
            "parent_id": 0,
            "execution_id": execution_id,
        },
    )


def advice(fault: Fault) -> str:
    """Where the mapping failed and what to do; no values of the record."""
    return f"{fault.place}: {fault.what}" if fault.place else fault.what
