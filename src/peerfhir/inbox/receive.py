"""Raw bytes and message key, durable before the 2xx."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from peerfhir.clock import Clock
from peerfhir.records import messages


def keep(
    connection: Connection,
    clock: Clock,
    *,
    program_id: str,
    source: str,
    message_key: str,
    content_type: str,
    raw: bytes,
    focus: Sequence[str],
    execution_id: str,
) -> str:
    """Keep what arrived, in the transaction that stores what was in it; the message's id.

    message_key  unique per program and source: the same key again is the same message, kept once
    raw          the bytes as they arrived
    focus        "Type/id/_history/version" of each resource that was written with it
    """
    message_id, _ = messages.keep_inbox(
        connection,
        clock.now(),
        program_id=program_id,
        source=source,
        message_key=message_key,
        content_type=content_type,
        raw=raw,
        focus=focus,
        execution_id=execution_id,
    )
    return message_id
