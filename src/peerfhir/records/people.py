"""Persons and peers: rows <-> pathway objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, tuple_

from peerfhir.errors import DatabaseBusy
from peerfhir.pathway.people import Identifier, Peer, Person
from peerfhir.pathway.refusals import AlreadyRecorded, TooLong
from peerfhir.records import versions
from peerfhir.records.schema import peer, person, person_identifier
from peerfhir.records.upsert import insert_new
from peerfhir.records.versions import Noun

PERSON = Noun("person", Person, person, lambda one: {"sharing_stopped_at": one.sharing_stopped_at})
_LONGEST = 255  # characters of a system or value; PostgreSQL would refuse more, SQLite would not
PEER = Noun("peer", Peer, peer, lambda one: {"user_id": one.user_id})


def at(connection: Connection, program_id: str, person_id: str, version: int | None = None) -> Person:
    """A person as of a version; None: now. Raises NotFoundHere."""
    return versions.at(connection, PERSON, program_id, person_id, version)


def peer_at(connection: Connection, program_id: str, peer_id: str, version: int | None = None) -> Peer:
    """A peer as of a version; None: now. Raises NotFoundHere."""
    return versions.at(connection, PEER, program_id, peer_id, version)


def list_of(connection: Connection, program_id: str) -> list[Person]:
    """Every person of the program."""
    return versions.listed(connection, PERSON, program_id)


def peers(connection: Connection, program_id: str) -> list[Peer]:
    """The program's roster."""
    return versions.listed(connection, PEER, program_id)


def by_identifier(connection: Connection, program_id: str, identifiers: Sequence[Identifier]) -> Person | None:
    """The person who carries one of these identifiers.

    Raises  AlreadyRecorded when they belong to different persons: a coordinator has to look
    """
    if not identifiers:
        return None
    row = person_identifier.c
    wanted = [(one.system, one.value) for one in identifiers]
    owners = connection.execute(
        select(row.person_id).distinct().where(row.program_id == program_id, tuple_(row.system, row.value).in_(wanted))
    ).scalars()
    found = list(owners)
    if len(found) > 1:
        raise AlreadyRecorded("These identifiers belong to more than one person.", field="identifiers")
    return at(connection, program_id, found[0]) if found else None


def save(connection: Connection, record: Person, now: datetime) -> Person:
    """Keep a person; its identifiers are its own within the program.

    Raises  StaleVersion; TooLong; AlreadyRecorded when another person holds an identifier;
            DatabaseBusy when a second order for the same new person is being kept at this moment
    """
    if any(max(len(one.system), len(one.value)) > _LONGEST for one in record.identifiers):
        raise TooLong(field="identifiers")
    saved = versions.save(connection, PERSON, record, now)
    row = person_identifier.c
    kept = [(one.system, one.value) for one in saved.identifiers]
    mine = (row.program_id == saved.program_id) & (row.person_id == saved.id)
    connection.execute(delete(person_identifier).where(mine, ~tuple_(row.system, row.value).in_(kept)))
    for system, value in kept:
        insert_new(
            connection,
            person_identifier,
            ("program_id", "system", "value"),
            {"program_id": saved.program_id, "system": system, "value": value, "person_id": saved.id},
        )
    held = select(row.system, row.value).where(mine)
    if set(kept) - {(system, value) for system, value in connection.execute(held)}:
        if record.version == 0:  # nobody had it when this order was read: the two orders met
            raise DatabaseBusy
        raise AlreadyRecorded("This identifier belongs to another person.", field="identifiers")
    return saved


def save_peer(connection: Connection, record: Peer, now: datetime) -> Peer:
    """Keep a peer. Raises StaleVersion."""
    return versions.save(connection, PEER, record, now)
