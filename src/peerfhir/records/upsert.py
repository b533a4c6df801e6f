"""INSERT .. ON CONFLICT, which both databases have and each dialect spells in its own module."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

from peerfhir.fhir.prepared import Prepared


def insert_new(
    connection: Connection, table: Table, keys: tuple[str, ...], values: Mapping[str, Any], *returning: str
) -> Any:
    """Insert a row unless its keys are taken; the columns asked for, or None when they were taken.

    Race-free: of two writers with the same keys exactly one gets a row back.
    """
    return _insert_new(table, keys, returning or keys, tuple(values)).first(connection, values)


def insert_or_update(
    connection: Connection,
    table: Table,
    keys: tuple[str, ...],
    values: Mapping[str, Any],
    change: Mapping[str, Any],
    *returning: str,
) -> Row[Any]:
    """Insert a row, or change the one that holds the keys; either way it is locked until the commit."""
    made = _insert(connection.dialect.name, table).values(**values)
    made = made.on_conflict_do_update(index_elements=list(keys), set_=dict(change))
    return connection.execute(made.returning(*(table.c[name] for name in returning or keys))).one()


@cache
def _insert_new(table: Table, keys: tuple[str, ...], returning: tuple[str, ...], columns: tuple[str, ...]) -> Prepared:
    """Built once: making the statement costs more than sending it."""
    made = [
        _insert(dialect, table)
        .on_conflict_do_nothing(index_elements=list(keys))
        .returning(*(table.c[name] for name in returning))
        for dialect in ("sqlite", "postgresql")
    ]
    return Prepared(*made, columns=columns)


def _insert(dialect: str, table: Table) -> Any:
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)
