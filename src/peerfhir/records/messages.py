"""What was received and what is owed: kept, listed and shown without content unless it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, select

from peerfhir.clock import new_id
from peerfhir.errors import NotFound
from peerfhir.fhir.writer import write
from peerfhir.records.schema import attempt, inbox_message, lane, outbox_message
from peerfhir.records.upsert import insert_new

Shown = Mapping[str, Any]  # column name -> value, in the order of the table

# An OperationOutcome of a hospital may quote what it refused, so it counts as content.
_CONTENT = frozenset({"body", "outcome"})


def keep_inbox(
    connection: Connection,
    now: datetime,
    *,
    program_id: str,
    source: str,
    message_key: str,
    content_type: str,
    raw: bytes,
    focus: Sequence[str],
    execution_id: str,
) -> tuple[str, bool]:
    """Keep the bytes of a message, in the caller's transaction; its id, and whether it is new.

    message_key  of the sender; the same key from the same source again is the same message, and its first id
    focus        "Type/id/_history/version" of each resource that was written with it
    """
    values = {
        "id": new_id(),
        "program_id": program_id,
        "source": source,
        "message_key": message_key,
        "received_at": now,
        "content_type": content_type,
        "body": raw,
        "body_sha256": hashlib.sha256(raw).hexdigest(),
        "focus": write(list(focus)).decode(),
        "execution_id": execution_id,
        "state": "ready",
        "due_at": now,
    }
    made = insert_new(connection, inbox_message, ("program_id", "source", "message_key"), values, "id")
    if made is not None:
        return str(made.id), True
    row = inbox_message.c
    first = select(row.id).where(row.program_id == program_id, row.source == source, row.message_key == message_key)
    return str(connection.execute(first).scalar_one()), False


def list_inbox(connection: Connection, program_id: str, *, state: str | None = None, limit: int = 100) -> list[Shown]:
    """Received messages without content, newest first."""
    row = inbox_message.c
    where = [row.program_id == program_id] + ([row.state == state] if state else [])
    query = select(*_columns(inbox_message)).where(*where).order_by(row.received_at.desc(), row.id).limit(limit)
    return _shown(connection, query)


def show_inbox(connection: Connection, program_id: str, message_id: str, *, content: bool = False) -> Shown:
    """One received message. Raises NotFound."""
    row = inbox_message.c
    query = select(*_columns(inbox_message, content=content)).where(row.program_id == program_id, row.id == message_id)
    return _one(connection, query)


def list_outbox(
    connection: Connection,
    program_id: str,
    *,
    state: str | None = None,
    endpoint: str | None = None,
    person_id: str | None = None,
    referral_id: str | None = None,
    limit: int = 100,
) -> list[Shown]:
    """Owed messages without content, newest first; endpoint "" are projections of our own that failed."""
    row = outbox_message.c
    wanted = {row.state: state, row.endpoint: endpoint, row.person_id: person_id, row.referral_id: referral_id}
    where = [row.program_id == program_id, *(column == value for column, value in wanted.items() if value is not None)]
    query = select(*_columns(outbox_message)).where(*where).order_by(row.id.desc()).limit(limit)
    return _shown(connection, query)


def show_outbox(connection: Connection, program_id: str, message_id: int, *, content: bool = False) -> Shown:
    """One owed message with its attempts, and when it is tried next. Raises NotFound."""
    row = outbox_message.c
    query = select(*_columns(outbox_message, content=content)).where(row.program_id == program_id, row.id == message_id)
    due = select(lane.c.head_due).where(lane.c.program_id == program_id, lane.c.head_id == message_id)
    return {
        **_one(connection, query),
        "next_at": connection.execute(due).scalar_one_or_none(),
        "tries": attempts_of(connection, program_id, message_id),
    }


def attempts_of(connection: Connection, program_id: str, message_id: int) -> list[Shown]:
    """Every attempt to deliver a message, oldest first."""
    row = attempt.c
    query = select(attempt).where(row.program_id == program_id, row.outbox_id == message_id).order_by(row.id)
    return _shown(connection, query)


def _columns(table: Table, *, content: bool = False) -> list[Any]:
    return [column for column in table.c if content or column.name not in _CONTENT]


def _shown(connection: Connection, query: Any) -> list[Shown]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _one(connection: Connection, query: Any) -> Shown:
    found = _shown(connection, query)
    if not found:
        raise NotFound
    return found[0]
