"""Statements of the busiest paths: compiled once for each database, then handed to its driver as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Select,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from peerfhir.fhir.writer import write

Values = Mapping[str, Any]  # bound name -> value
_Convert = Callable[[Any], Any]


class Prepared:
    """One statement whose text never changes.

    SQLAlchemy looks every statement up in its cache and builds a result around every answer, which costs several
    times what SQLite takes for the statement itself. Here the statement is compiled at its first use; types convert
    as they do there, and the statement is part of the connection's transaction. No "expanding" parameters.

    statement   for both databases
    postgresql  for PostgreSQL, where it is spelled differently
    columns     of an INSERT, when not all of them are given; the order in which `run_rows` is given values
    """

    def __init__(
        self, statement: Executable, postgresql: Executable | None = None, *, columns: Sequence[str] | None = None
    ) -> None:
        self._statement = statement
        self._postgresql = postgresql
        self._columns = columns
        self._made: dict[str, _Made] = {}  # one assignment per change: safe between threads

    def first(self, connection: Connection, values: Values, *, alone: bool = False) -> Any:
        """The first row, a tuple with the names of its columns, or None.

        alone   a read that needs no transaction around it opens none
        """
        made = self._of(connection)
        cursor = _driver(connection, alone=alone).execute(made.text, made.bound(values))
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else made.row(row)

    def rows(self, connection: Connection, values: Values) -> list[Any]:
        """All rows, each a tuple with the names of its columns."""
        made = self._of(connection)
        cursor = _driver(connection).execute(made.text, made.bound(values))
        found = cursor.fetchall()
        cursor.close()
        return [made.row(row) for row in found]

    def run(self, connection: Connection, values: Values) -> int:
        """Carry out a write; how many rows it touched."""
        made = self._of(connection)
        cursor = _driver(connection).execute(made.text, made.bound(values))
        count = int(cursor.rowcount)
        cursor.close()
        return count

    def run_many(self, connection: Connection, many: Sequence[Values]) -> int:
        """Carry out a write once for each of `many`; how many rows were touched in all."""
        made = self._of(connection)
        cursor = _driver(connection).cursor()
        cursor.executemany(made.text, [made.bound(values) for values in many])
        count = int(cursor.rowcount)
        cursor.close()
        return count

    def run_rows(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Carry out a write once for each of `rows`, whose values stand in the order of `columns`.

        For what comes by the dozen: no name is looked up for each value.
        """
        made = self._of(connection)
        cursor = _driver(connection).cursor()
        cursor.executemany(made.text, made.ordered(rows))
        cursor.close()

    def _of(self, connection: Connection) -> _Made:
        name = connection.dialect.name
        made = self._made.get(name)
        if made is None:
            statement = self._postgresql if name == "postgresql" and self._postgresql is not None else self._statement
            made = self._made[name] = _make(connection, statement, self._columns)
        return made


class _Texts(TypeDecorator[list[str]]):
    """Many texts as one parameter: JSON for SQLite, an array for PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(Text) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:
        return list(value or ()) if dialect.name == "postgresql" else write(list(value or ())).decode()


def among(column: ColumnElement[str], name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """ "The column is one of the texts in this parameter", for SQLite and for PostgreSQL."""
    many = bindparam(name, type_=_Texts())
    values = func.json_each(many).table_valued("value")
    return column.in_(select(values.c.value)), column == any_(many)


@dataclass(frozen=True)
class Sight:
    """What a caller may see: a condition over `fhir_resource` whose text is the same for every caller, and its values.

    Applied to a query it narrows it; a store may also keep its own queries prepared with the condition inside.
    """

    condition: Any  # a TextClause with bound names
    values: Values

    def __call__(self, query: Select[Any]) -> Select[Any]:
        """The query, narrowed to what may be seen."""
        return query.where(self.condition.bindparams(**self.values))


EVERYTHING = Sight(text("1 = 1"), {})


class Seen:
    """A query over `fhir_resource` that is kept prepared for each condition of a Sight; the product has two."""

    def __init__(self, query: Select[Any], postgresql: Select[Any] | None = None) -> None:
        self._queries = (query, query if postgresql is None else postgresql)
        self._made: dict[int, tuple[Any, Prepared]] = {}  # the condition is kept too, so that its id stays its own

    def by(self, sight: Sight) -> Prepared:
        """The query, narrowed to what may be seen; give it the values of the sight with its own."""
        made = self._made.get(id(sight.condition))
        if made is None:
            narrowed = Prepared(*(query.where(sight.condition) for query in self._queries))
            made = self._made[id(sight.condition)] = (sight.condition, narrowed)
        return made[1]


@dataclass(frozen=True)
class _Made:
    text: str
    bound: Callable[[Values], Any]
    ordered: Callable[[Sequence[tuple[Any, ...]]], Sequence[Any]]
    row: Callable[[Any], Any]


def _driver(connection: Connection, *, alone: bool = False) -> Any:
    """The driver's own connection, inside the transaction that SQLAlchemy keeps."""
    if not alone and not connection.in_transaction():
        connection.begin()
    return connection.connection.driver_connection


def _make(connection: Connection, statement: Executable, columns: Sequence[str] | None) -> _Made:
    dialect = connection.dialect
    compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=columns)  # type: ignore[attr-defined]
    into = {
        name: convert
        for bound, name in compiled.bind_names.items()
        if (convert := bound.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    }
    fixed: dict[str, Any] = {
        name: bound.value
        for bound, name in compiled.bind_names.items()
        if bound.value is not None and not bound.required
    }
    for column in getattr(compiled, "insert_prefetch", ()):  # the defaults that the tables give on our side
        if column.default is not None and column.default.is_scalar:
            fixed[column.key] = column.default.arg
    order = compiled.positiontup
    bound = (
        _positional(order, fixed, into)
        if order is not None
        else _named(list(compiled.bind_names.values()), fixed, into)
    )
    plain = not fixed and not into
    return _Made(str(compiled), bound, _ordered(columns or (), order, bound, plain), _row_maker(connection, statement))


def _ordered(
    columns: Sequence[str], order: Sequence[str] | None, bound: Callable[[Values], Any], plain: bool
) -> Callable[[Sequence[tuple[Any, ...]]], Sequence[Any]]:
    """Rows in the order of `columns` as the driver takes them; plain: no value is converted or added."""
    if plain and columns and order is not None and set(order) == set(columns):
        pick = itemgetter(*(columns.index(name) for name in order))
        return lambda rows: [pick(row) for row in rows]
    return lambda rows: [bound(dict(zip(columns, row, strict=True))) for row in rows]


def _positional(order: Sequence[str], fixed: Values, into: Mapping[str, _Convert]) -> Callable[[Values], Any]:
    if not fixed and not into:
        return lambda values: [values[name] for name in order]
    plan = [(name, into.get(name)) for name in order]

    def bound(values: Values) -> list[Any]:
        whole = {**fixed, **values} if fixed else values
        return [whole[name] if convert is None else convert(whole[name]) for name, convert in plan]

    return bound


def _named(names: Sequence[str], fixed: Values, into: Mapping[str, _Convert]) -> Callable[[Values], Any]:
    plan = [(name, into.get(name)) for name in names]

    def bound(values: Values) -> dict[str, Any]:
        whole = {**fixed, **values} if fixed else values
        return {name: whole[name] if convert is None else convert(whole[name]) for name, convert in plan}

    return bound


def _row_maker(connection: Connection, statement: Any) -> Callable[[Any], Any]:
    """A function from a driver's row to a tuple with names; values converted where their type asks for it."""
    columns = (
        list(statement.selected_columns)
        if isinstance(statement, Select)
        else list(getattr(statement, "_returning", ()))
    )
    kind: Any = NamedTuple("Row", [(column.name, Any) for column in columns])  # type: ignore[misc] # known here only
    dialect = connection.dialect
    plan = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    if not any(plan):
        return kind._make

    def row(raw: Any) -> Any:
        return kind._make(
            value if convert is None else convert(value) for value, convert in zip(raw, plan, strict=True)
        )

    return row
