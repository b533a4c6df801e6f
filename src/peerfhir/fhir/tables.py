"""The tables of stored resources: the current row, every version, five kinds of index rows, and claimed identifiers.

Instants are whole microseconds since 1970-01-01T00:00:00Z. Every row carries `program_id`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table, Text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = String(64)
_TYPE = String(64)
_KEY = String(255)  # longer values are kept as their beginning and a digest: see search.key_of


def micros(instant: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(microseconds: int) -> datetime:
    """Microseconds since 1970 as an aware datetime in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


# Ranges of text have to follow the code points, whatever language the server was set up in.
_TEXT = String(255).with_variant(String(255, collation="C"), "postgresql")


def _index_table(name: str, *columns: Column[str] | Column[int] | Column[float] | Index) -> Table:
    """One b-tree that is its own key: found by value, and, with the value at hand, asked for one id."""
    return Table(
        name,
        metadata,
        Column("program_id", _ID, primary_key=True),
        Column("type", _TYPE, primary_key=True),
        Column("param", String(40), primary_key=True),
        *columns,
        sqlite_with_rowid=False,
    )


fhir_resource = Table(  # the current version of each; policy filters on these columns
    "fhir_resource",
    metadata,
    Column("program_id", _ID, primary_key=True),
    Column("type", _TYPE, primary_key=True),
    Column("id", _ID, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("source", _ID),  # who sent it; None: ourselves
    Column("person_id", _ID),
    Column("share_class", String(30)),
    Column("deleted", Boolean, nullable=False),
    Column("keys", Text, nullable=False),  # what it is sorted by, and which parameters it has: see index.Rows.keys
    Index(None, "program_id", "type", "updated_at", "id"),
    sqlite_with_rowid=False,
)
fhir_version = Table(  # append only: the bytes served
    "fhir_version",
    metadata,
    Column("program_id", _ID, primary_key=True),
    Column("type", _TYPE, primary_key=True),
    Column("id", _ID, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("updated_at", BigInteger, nullable=False),
    Column("method", String(10), nullable=False),  # create | update | delete
    Column("body", LargeBinary, nullable=False),  # empty when it says that the resource was deleted
    Index(None, "program_id", "type", "updated_at", "id", "version"),
)
fhir_token = _index_table(
    "fhir_token",
    Column("code", _KEY, primary_key=True),
    Column("id", _ID, primary_key=True),
    Column("system", _KEY, primary_key=True),
)
fhir_reference = _index_table(
    "fhir_reference", Column("target", _KEY, primary_key=True), Column("id", _ID, primary_key=True)
)
fhir_date = _index_table(
    "fhir_date",
    Column("low", BigInteger, primary_key=True),
    Column("high", BigInteger, primary_key=True),
    Column("id", _ID, primary_key=True),
    Index(None, "program_id", "type", "param", "high", "low", "id"),
)
fhir_string = _index_table(
    "fhir_string",
    Column("value", _TEXT, primary_key=True),  # folded
    Column("exact", _KEY, primary_key=True),  # as it was sent
    Column("id", _ID, primary_key=True),
)
fhir_quantity = _index_table(
    "fhir_quantity",
    Column("value", Double, primary_key=True),
    Column("code", _KEY, primary_key=True),
    Column("system", _KEY, primary_key=True),
    Column("id", _ID, primary_key=True),
)
fhir_conditional_key = Table(  # one resource per identifier of one sender: the primary key refuses the second
    "fhir_conditional_key",
    metadata,
    Column("program_id", _ID, primary_key=True),
    Column("source", _ID, primary_key=True),  # "": ourselves
    Column("type", _TYPE, primary_key=True),
    Column("system", _KEY, primary_key=True),
    Column("value", _KEY, primary_key=True),
    Column("id", _ID, nullable=False),
    sqlite_with_rowid=False,
)
