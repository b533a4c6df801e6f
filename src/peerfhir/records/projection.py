"""A saved record -> the resources our own API serves for it, stored in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from peerfhir.errors import Fault, NotFound
from peerfhir.fhir.labels import Labels, Projected
from peerfhir.fhir.reader import Json, read_own
from peerfhir.fhir.store import Store
from peerfhir.pathway.encounter import Encounter
from peerfhir.records.schema import outbox_message
from peerfhir.records.upsert import insert_new

PROJECTED = frozenset({"person", "peer", "referral", "engagement", "encounter", "outcome", "grant"})
# A group session names everyone who came and a safety event says why: neither leaves its table.

Projector = Callable[[Any, Any], Sequence[Projected]]  # (record, Context of adapters.projection) -> resources


class Saved(Protocol):
    """A record after it was saved."""

    @property
    def id(self) -> str: ...
    @property
    def program_id(self) -> str: ...
    @property
    def version(self) -> int: ...


def outward(record: Any) -> Any:
    """The record without what never leaves the program, whatever a mapping asks for."""
    if isinstance(record, Encounter):
        return replace(record, working_note="", group_id=None, client_uuid=None)
    return record


def current(store: Store, type_: str, id_: str) -> Json | None:
    """The resource as it is stored now."""
    try:
        return read_own(store.read(type_, id_).body)
    except NotFound:
        return None


def put(store: Store, projected: Projected) -> None:
    """Create or update one resource; nothing is written when nothing has changed."""
    resource = projected.resource
    labels = Labels(None, projected.person_id, projected.share_class)
    try:
        stored = store.read(resource["resourceType"], resource["id"])
    except NotFound:
        store.create(resource, labels, id=resource["id"])
        return
    labels = replace(labels, source=stored.labels.source)  # who sent it first stays true
    if labels != stored.labels or _content(read_own(stored.body)) != _content(resource):
        store.update(resource, labels, None)


def _content(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource without what the store itself writes into it."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in {"versionId", "lastUpdated"}}
    return {**resource, "meta": meta}


def park(
    connection: Connection, kind: str, record: Saved, fault: Fault, now: datetime, execution_id: str | None
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
