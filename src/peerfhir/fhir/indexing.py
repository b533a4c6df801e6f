"""Index rows into their tables: what is new is written, what is gone is removed, nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table, bindparam, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from peerfhir.fhir.index import Rows
from peerfhir.fhir.prepared import Prepared
from peerfhir.fhir.tables import fhir_date, fhir_quantity, fhir_reference, fhir_string, fhir_token

_HEAD = ("program_id", "type", "id")


class _Index:
    """One table of index rows: the kind of Rows it holds, and how a row goes in and out."""

    def __init__(self, table: Table, kind: str, *names: str) -> None:
        columns = (*_HEAD, *names)
        self.kind = kind
        self.new = Prepared(
            sqlite.insert(table).on_conflict_do_nothing(), postgresql.insert(table).on_conflict_do_nothing(),
            columns=columns,
        )  # fmt: skip
        self.gone = Prepared(
            delete(table).where(*(table.c[name] == bindparam(name) for name in columns)), columns=columns
        )


_INDEXES = (
    _Index(fhir_token, "tokens", "param", "code", "system"),
    _Index(fhir_reference, "references", "param", "target"),
    _Index(fhir_date, "dates", "param", "low", "high"),
    _Index(fhir_string, "strings", "param", "value", "exact"),
    _Index(fhir_quantity, "quantities", "param", "value", "code", "system"),
)


class Indexing:
    """The index rows of one program, inside the caller's transaction."""

    def __init__(self, connection: Connection, program_id: str) -> None:
        self._connection = connection
        self._program_id = program_id

    def change(self, changes: Iterable[tuple[str, str, Rows, Rows]]) -> None:
        """(type, id, rows before, rows after) of each resource; one statement per table however many there are."""
        changes = list(changes)
        for index in _INDEXES:
            gone: list[tuple[Any, ...]] = []
            new: list[tuple[Any, ...]] = []
            for resource_type, resource_id, before, after in changes:
                old, now = getattr(before, index.kind), getattr(after, index.kind)
                if old or now:
                    where = (self._program_id, resource_type, resource_id)
                    gone += [(*where, *row) for row in old - now]
                    new += [(*where, *row) for row in now - old]
            if gone:
                index.gone.run_rows(self._connection, gone)
            if new:
                index.new.run_rows(self._connection, new)
