"""Index rows into their tables: what is new is written, what is gone is removed, nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import Connection

from peerfhir.fhir.index import Rows
from peerfhir.fhir.tables import fhir_date, fhir_quantity, fhir_reference, fhir_string, fhir_token

_INDEXES: tuple[tuple[Table, str, tuple[str, ...]], ...] = (
    (fhir_token, "tokens", ("param", "code", "system")),
    (fhir_reference, "references", ("param", "target")),
    (fhir_date, "dates", ("param", "low", "high")),
    (fhir_string, "strings", ("param", "value", "exact")),
    (fhir_quantity, "quantities", ("param", "value", "code", "system")),
)


class Indexing:
    """The index rows of one program, inside the caller's transaction."""

    def __init__(self, connection: Connection, program_id: str) -> None:
        self._connection = connection
        self._program_id = program_id
        self._mark = "?" if connection.dialect.name == "sqlite" else "%s"

    def change(self, changes: Iterable[tuple[str, str, Rows, Rows]]) -> None:
        """(type, id, rows before, rows after) of each resource; one statement per table however many there are.

        The statements go to the driver as they are: there are dozens of rows for each resource, and a row costs
        SQLAlchemy more than it costs the database.
        """
        changes = list(changes)
        for table, kind, names in _INDEXES:
            gone: list[tuple[Any, ...]] = []
            new: list[tuple[Any, ...]] = []
            for resource_type, resource_id, before, after in changes:
                old, now = getattr(before, kind), getattr(after, kind)
                if old or now:
                    where = (self._program_id, resource_type, resource_id)
                    gone += [(*where, *row) for row in old - now]
                    new += [(*where, *row) for row in now - old]
            if gone:
                self._connection.exec_driver_sql(_remove(table.name, names, self._mark), gone)
            if new:
                self._connection.exec_driver_sql(_insert(table.name, names, self._mark), new)


@cache
def _insert(table: str, names: tuple[str, ...], mark: str) -> str:
    columns = ("program_id", "type", "id", *names)
    marks = ", ".join(mark for _ in columns)
    # only names of this module go into the text
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608


@cache
def _remove(table: str, names: tuple[str, ...], mark: str) -> str:
    where = " AND ".join(f"{name} = {mark}" for name in ("program_id", "type", "id", *names))
    return f"DELETE FROM {table} WHERE {where}"  # noqa: S608 - as above
