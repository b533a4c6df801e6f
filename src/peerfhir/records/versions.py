"""Each record as JSON in its row, and every version of it kept beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Generic, Protocol, TypeVar, cast

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from peerfhir.fhir.reader import read_own
from peerfhir.fhir.writer import write
from peerfhir.pathway.refusals import AlreadyRecorded, NotFoundHere, StaleVersion
from peerfhir.records.schema import record_version


class Record(Protocol):
    """What every noun of the pathway has. Version 0 was never saved."""

    @property
    def id(self) -> str: ...
    @property
    def program_id(self) -> str: ...
    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Noun(Generic[R]):
    """One kind of record: its class, its table, and what is lifted out of the body to be searched."""

    kind: str  # as in record_version.kind, audit subjects and Owed.record_type
    type: type[R]
    table: Table
    columns: Callable[[R], Mapping[str, Any]]


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Built on first use: a class costs about a millisecond."""
    return TypeAdapter(kind)


def to_bytes(record: object) -> bytes:
    """A record as JSON: the same record always gives the same bytes."""
    return write(_plain(record))


def from_bytes(kind: type[R], body: bytes) -> R:
    """The record that `to_bytes` wrote."""
    return cast(R, _adapter(kind).validate_python(read_own(body)))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, str):
        return str(value)  # an enumerated word as the word
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)  # text, because a float would not come back as it was
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return sorted(_plain(one) for one in value)
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value


def find(connection: Connection, noun: Noun[R], program_id: str, record_id: str) -> R | None:
    """The record as it is now, or None."""
    return first(connection, noun, program_id, noun.table.c.id == record_id)


def at(connection: Connection, noun: Noun[R], program_id: str, record_id: str, version: int | None = None) -> R:
    """The record as it was at a version (None: as it is now).

    Raises  NotFoundHere, for another program's record as for one that never was
    """
    if version is None:
        record = find(connection, noun, program_id, record_id)
        if record is None:
            raise NotFoundHere
        return record
    kept = record_version.c
    body = connection.execute(
        select(kept.body).where(
            kept.program_id == program_id, kept.kind == noun.kind, kept.id == record_id, kept.version == version
        )
    ).scalar_one_or_none()
    if body is None:
        raise NotFoundHere
    return from_bytes(noun.type, body)


def first(connection: Connection, noun: Noun[R], program_id: str, *where: ColumnElement[bool]) -> R | None:
    """The one record that fits, or None."""
    return next(iter(listed(connection, noun, program_id, *where)), None)


def listed(
    connection: Connection,
    noun: Noun[R],
    program_id: str,
    *where: ColumnElement[bool],
    order: tuple[Any, ...] = (),
    limit: int | None = None,
) -> list[R]:
    """Records of one program that fit, in order."""
    query = select(noun.table.c.body).where(noun.table.c.program_id == program_id, *where)
    query = query.order_by(*order, noun.table.c.id).limit(limit)
    return [from_bytes(noun.type, body) for body in connection.execute(query).scalars()]


def save(connection: Connection, noun: Noun[R], record: R, now: datetime) -> R:
    """Keep the record under its next version, and return it with that version.

    Raises  StaleVersion when it has changed since it was read
            AlreadyRecorded when another record holds a key that must be its own
    """
    saved = cast(R, replace(cast(Any, record), version=record.version + 1))
    body = to_bytes(saved)
    row = {"version": saved.version, "updated_at": now, "body": body, **noun.columns(saved)}
    table = noun.table
    try:
        if record.version == 0:
            connection.execute(insert(table).values(program_id=record.program_id, id=record.id, **row))
        else:
            done = connection.execute(
                update(table)
                .where(
                    table.c.program_id == record.program_id,
                    table.c.id == record.id,
                    table.c.version == record.version,
                )
                .values(**row)
            )
            if done.rowcount != 1:
                raise StaleVersion
    except IntegrityError:
        raise AlreadyRecorded from None  # the driver's text would quote the key
    connection.execute(
        insert(record_version).values(
            program_id=record.program_id, kind=noun.kind, id=record.id, version=saved.version, kept_at=now, body=body
        )
    )
    return saved
