"""INSERT .. ON CONFLICT, which both databases have and each dialect spells in its own module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert


def insert_new(
    connection: Connection, table: Table, keys: tuple[str, ...], values: Mapping[str, Any], *returning: str
) -> Row[Any] | None:
    """Insert a row unless its keys are taken; the columns asked for, or None when they were taken.

    Race-free: of two writers with the same keys exactly one gets a row back.
    """
    made = _insert(connection, table).values(**values).on_conflict_do_nothing(index_elements=list(keys))
    return _row(connection, made.returning(*(table.c[name] for name in returning or keys)))


def insert_or_update(
    connection: Connection,
    table: Table,
    keys: tuple[str, ...],
    values: Mapping[str, Any],
    change: Mapping[str, Any],
    *returning: str,
) -> Row[Any]:
    """Insert a row, or change the one that holds the keys; either way it is locked until the commit."""
    made = _insert(connection, table).values(**values)
    made = made.on_conflict_do_update(index_elements=list(keys), set_=dict(change))
    row = _row(connection, made.returning(*(table.c[name] for name in returning or keys)))
    assert row is not None  # noqa: S101 - ON CONFLICT DO UPDATE always returns its row
    return row


def _insert(connection: Connection, table: Table) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def _row(connection: Connection, statement: ReturningInsert[Any]) -> Row[Any] | None:
    return connection.execute(statement).one_or_none()
