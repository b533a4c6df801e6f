"""Numbers given out once: PF-000123."""

from __future__ import annotations

from sqlalchemy import Connection

from peerfhir.records.schema import number
from peerfhir.records.upsert import insert_or_update


def next_number(connection: Connection, program_id: str, prefix: str) -> str:
    """The next number of a program for a prefix of at most 10 letters, for example "PF" -> "PF-000123".

    Writers with the same prefix take turns until the commit, so that no number is given twice.
    """
    row = insert_or_update(
        connection,
        number,
        ("program_id", "prefix"),
        {"program_id": program_id, "prefix": prefix, "last": 1},
        {"last": number.c.last + 1},
        "last",
    )
    return f"{prefix}-{row.last:06d}"
