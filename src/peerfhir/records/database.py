"""Engine, pragmas and connections; runs the migrations."""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from peerfhir.errors import BadConfiguration, Conflict, DatabaseBusy, Fault
from peerfhir.records.turn import BUSY_SECONDS, Shared, Turn

_log = logging.getLogger(__name__)

_POOL = {"pool_size": 5, "max_overflow": 5, "pool_timeout": BUSY_SECONDS}  # small: many threads, few connections
_READING = {"peerfhir_reading": True, "postgresql_readonly": True}
_VERSIONS = Path(__file__).parent / "migrations" / "versions"

_SQLITE_BUSY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CANTOPEN,
    }
)
# connection lost, resources (disk full, memory, connections), shutdown, rollback for concurrency, lock timeout
_POSTGRES_BUSY = ("08", "53", "57P", "40", "55P03", "57014")


def open_engine(url: str) -> Engine:
    """An engine whose every connection has the settings that an acknowledged message needs.

    url     sqlite:///path or postgresql://... ; the database itself is not touched yet
    Raises  BadConfiguration for an address we cannot use
    Source  docs/rules.md, Delivery
    """
    address = _address(url)
    if address.get_backend_name() == "sqlite":
        engine = create_engine(
            address,
            hide_parameters=True,
            connect_args={"timeout": BUSY_SECONDS},
            execution_options={"peerfhir_shared": Shared(Turn(Path(str(address.database))))},
            **_POOL,
        )
        wanted = _journal_for(sqlite3.sqlite_version_info)
        _log.info("SQLite %s: journal %s, synchronous FULL", sqlite3.sqlite_version, wanted)
        event.listen(engine, "do_connect", _keep_private)
        event.listen(engine, "connect", lambda raw, record: _set_sqlite(raw, wanted))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(address, hide_parameters=True, pool_pre_ping=True, **_POOL)
    event.listen(engine, "connect", _set_postgres)
    return engine


def _address(url: str) -> URL:
    """The address with the driver we use."""
    try:
        address = make_url(url)
    except ArgumentError:
        raise BadConfiguration(("PEERFHIR_DATABASE_URL: not a database address",)) from None
    name = address.drivername
    if name in {"postgres", "postgresql", "postgresql+psycopg"}:
        try:
            import psycopg  # noqa: F401 - an extra; a plain sentence beats an import error
        except ModuleNotFoundError:
            raise BadConfiguration(
                ("PEERFHIR_DATABASE_URL: PostgreSQL needs the extra: pip install 'peerfhir[postgres]'",)
            ) from None
        return address.set(drivername="postgresql+psycopg")
    if name not in {"sqlite", "sqlite+pysqlite"}:
        raise BadConfiguration((f"PEERFHIR_DATABASE_URL: {name} is neither sqlite nor postgresql",))
    if not address.database or address.database == ":memory:" or "mode=memory" in url:
        raise BadConfiguration(("PEERFHIR_DATABASE_URL: SQLite needs a file; what is kept in memory is lost",))
    return address.set(drivername="sqlite+pysqlite")


def _journal_for(version: tuple[int, ...]) -> str:
    """WAL corrupts under two writers before 3.51.3 (WAL-reset bug); 3.52.0 was withdrawn, 3.53.0 is fixed."""
    return "wal" if version >= (3, 51, 3) and version[:2] != (3, 52) else "truncate"


def _keep_private(dialect: object, record: object, arguments: list[str], options: object) -> None:
    """A new database file is readable for its owner alone; SQLite gives its journal the same rights."""
    file = Path(arguments[0])
    if file.parent.is_dir() and not file.exists():
        file.touch(mode=0o600)


def _set_sqlite(raw: Any, wanted: str) -> None:
    raw.isolation_level = None  # transactions begin where we say, in _begin_sqlite
    raw.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    (got,) = raw.execute(f"PRAGMA journal_mode={wanted}").fetchone()
    if got != wanted:
        raise BadConfiguration((f"PEERFHIR_DATABASE_URL: SQLite keeps journal mode {got}, {wanted} is needed",))
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    """Writers take the write lock at once: a read lock that is upgraded later can only fail."""
    reading = connection.get_execution_options().get("peerfhir_reading", False)
    connection.exec_driver_sql(f"PRAGMA query_only={int(reading)}")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _set_postgres(raw: Any, record: object) -> None:
    before = raw.autocommit
    raw.autocommit = True
    raw.execute("SET synchronous_commit TO on")  # whatever the server or the address says
    raw.execute(f"SET lock_timeout TO '{int(BUSY_SECONDS * 1000)}ms'")
    raw.execute("SET timezone TO 'UTC'")
    raw.execute("SET random_page_cost TO 1.1")  # 4 is for disks that turn: it reads whole tables to avoid an index
    raw.autocommit = before


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: committed at the end of the block, rolled back by any exception.

    Raises  DatabaseBusy (later) when the database is locked, full or away; nothing is stored then
            Conflict when a unique key was taken meanwhile
    """
    shared: Shared | None = engine.get_execution_options().get("peerfhir_shared")
    with _translated(), engine.begin() if shared is None else shared.joined(engine) as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction; a write inside it is refused by the database.

    Raises  DatabaseBusy (later)
    """
    with _translated(), engine.connect() as connection:
        # the transaction begins with the first statement; a prepared read that is the only one needs none
        yield connection.execution_options(**_READING)


@contextmanager
def _translated() -> Iterator[None]:
    """Faults of the database as ours. Its own texts may quote a row, so they never travel on."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseBusy().with_traceback(error.__traceback__) from None
    except DBAPIError as error:
        raise _fault_of(error, error.orig, lost=error.connection_invalidated).with_traceback(
            error.__traceback__
        ) from None
    except Exception as error:
        if not _is_of_driver(error):
            raise
        # from a prepared statement, which SQLAlchemy does not see
        raise _fault_of(error, error, lost=False).with_traceback(error.__traceback__) from None


def _is_of_driver(error: Exception) -> bool:
    """True for an exception of sqlite3 or psycopg, which is an extra and may not be there."""
    psycopg = sys.modules.get("psycopg")
    return isinstance(error, sqlite3.Error) or (psycopg is not None and isinstance(error, psycopg.Error))


def _fault_of(error: Exception, cause: BaseException | None, *, lost: bool) -> Fault:
    if _is_busy(cause, lost=lost):
        return DatabaseBusy()
    if "IntegrityError" in {kind.__name__ for kind in type(cause).__mro__}:
        return Conflict()
    return Fault(f"The database refused a statement ({type(error).__name__}).")


def _is_busy(cause: BaseException | None, *, lost: bool) -> bool:
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)
        return code is not None and (code & 0xFF) in _SQLITE_BUSY
    state = getattr(cause, "sqlstate", None)
    if state is None:  # the server never answered
        return lost or type(cause).__name__ in {"OperationalError", "ConnectionTimeout"}
    return str(state).startswith(_POSTGRES_BUSY)


def journal(engine: Engine) -> str:
    """What makes a commit durable here: "wal" or "truncate" for SQLite, "postgresql" otherwise."""
    if engine.dialect.name != "sqlite":
        return engine.dialect.name
    with reading(engine) as connection:
        return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())


def upgrade(engine: Engine) -> None:
    """Bring the tables to the newest migration; all of it or nothing. Two starts at once take turns."""
    _migrate(engine, "upgrade", "head")


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Go back to a migration. The rows of what it removes are lost."""
    _migrate(engine, "downgrade", revision)


def _migrate(engine: Engine, verb: str, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "peerfhir.records:migrations")
    config.set_main_option("path_separator", "os")
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('peerfhir migrations'))"))
        config.attributes["connection"] = connection
        getattr(command, verb)(config, revision)


def check_schema(engine: Engine) -> None:
    """Refuse a database that is not at this version's migration.

    Raises  BadConfiguration, saying which way it is off
    """
    wanted = max(path.name[:4] for path in _VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))
    with reading(engine) as connection:
        found = None
        if inspect(connection).has_table("alembic_version"):
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if found == wanted:
        return
    if found is None:
        raise BadConfiguration(("PEERFHIR_DATABASE_URL: the database has no tables; run `peerfhir init`",))
    way, what = ("older", "run `peerfhir init`") if found < wanted else ("newer", "install the version that made them")
    raise BadConfiguration(
        (f"PEERFHIR_DATABASE_URL: the tables are at migration {found}, {way} than {wanted}; {what}",)
    )
