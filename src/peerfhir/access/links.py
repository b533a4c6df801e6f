"""A person's own link: their page without an account, shown once, ended by a new one."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from peerfhir.access.keys import digest_of, new_key
from peerfhir.clock import Clock
from peerfhir.records.schema import person_link as table


def make_link(connection: Connection, clock: Clock, program_id: str, person_id: str, made_by: str) -> str:
    """Make a person's link and end the ones before; returns the key, which is not kept."""
    end_links(connection, clock, program_id, person_id)
    key = new_key()
    connection.execute(
        insert(table).values(
            sha256=digest_of(key), program_id=program_id, person_id=person_id, made_at=clock.now(), made_by=made_by
        )
    )
    return key


def person_of(connection: Connection, key: str) -> tuple[str, str] | None:
    """(program id, person id) of a link that has not ended."""
    row = connection.execute(
        select(table.c.program_id, table.c.person_id).where(
            table.c.sha256 == digest_of(key), table.c.ended_at.is_(None)
        )
    ).one_or_none()
    return (row.program_id, row.person_id) if row is not None else None


def end_links(connection: Connection, clock: Clock, program_id: str, person_id: str) -> int:
    """End every link of a person; returns how many were open."""
    return connection.execute(
        update(table)
        .where(table.c.program_id == program_id, table.c.person_id == person_id, table.c.ended_at.is_(None))
        .values(ended_at=clock.now())
    ).rowcount
