from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, event, insert, inspect, select, text

from peerfhir.errors import BadConfiguration, Conflict, DatabaseBusy, Fault
from peerfhir.fhir.tables import metadata as resources
from peerfhir.records import database
from peerfhir.records.database import check_schema, downgrade, journal, open_engine, reading, upgrade, writing
from peerfhir.records.schema import endpoint_state, metadata, number


def settings_of(connection) -> dict[str, object]:
    if connection.dialect.name == "sqlite":
        names = ("synchronous", "foreign_keys", "busy_timeout", "journal_mode")
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names}
    return {"synchronous_commit": connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()}


def test_every_pooled_connection_has_the_settings_of_the_promise(engine: Engine) -> None:
    with reading(engine):
        pass  # a reader leaves nothing behind
    wanted = (
        {
            "synchronous": 2,
            "foreign_keys": 1,
            "busy_timeout": 5000,
            "journal_mode": "wal" if sqlite3.sqlite_version_info >= (3, 51, 3) else "truncate",
        }
        if engine.dialect.name == "sqlite"
        else {"synchronous_commit": "on"}
    )
    raw = set()
    with contextlib.ExitStack() as stack:
        for _ in range(engine.pool.size() + engine.pool._max_overflow):
            if engine.dialect.name == "sqlite":
                connection = stack.enter_context(engine.connect().execution_options(peerfhir_reading=True))
            else:
                connection = stack.enter_context(engine.connect())
            assert settings_of(connection) == wanted
            raw.add(id(connection.connection.dbapi_connection))
    assert len(raw) == 10


def test_a_server_that_is_set_to_forget_is_overruled(bare_engine: Engine) -> None:
    postgresql = bare_engine.dialect.name == "postgresql"
    if postgresql:
        with bare_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"ALTER DATABASE {bare_engine.url.database} SET synchronous_commit TO off"))
    else:
        raw = sqlite3.connect(bare_engine.url.database)
        raw.execute("PRAGMA synchronous=OFF")  # of this connection only: nothing to inherit
        raw.close()
    again = open_engine(bare_engine.url.render_as_string(hide_password=False))
    with again.connect() as connection:
        found = settings_of(connection)
    again.dispose()
    assert found["synchronous_commit" if postgresql else "synchronous"] == ("on" if postgresql else 2)


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ((3, 6, 0), "truncate"),
        ((3, 40, 1), "truncate"),
        ((3, 51, 2), "truncate"),
        ((3, 51, 3), "wal"),
        ((3, 52, 0), "truncate"),
        ((3, 53, 0), "wal"),
        ((4, 0, 0), "wal"),
    ],
)
def test_the_journal_follows_the_version_rule(version: tuple[int, ...], wanted: str) -> None:
    assert database._journal_for(version) == wanted


def test_a_newer_library_gets_the_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database.sqlite3, "sqlite_version_info", (3, 53, 0))
    engine = open_engine(f"sqlite:///{tmp_path / 'new.db'}")
    assert journal(engine) == "wal"
    engine.dispose()
    monkeypatch.setattr(database.sqlite3, "sqlite_version_info", (3, 40, 1))
    engine = open_engine(f"sqlite:///{tmp_path / 'new.db'}")  # and an older one takes it back
    assert journal(engine) == "truncate"
    engine.dispose()


def test_a_new_database_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "private.db"
    engine = open_engine(f"sqlite:///{file}")
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE x (y)")
        assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    engine.dispose()


def test_a_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
    with pytest.raises(DatabaseBusy), reading(engine):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_choice_of_journal_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        open_engine(f"sqlite:///{tmp_path / 'x.db'}").dispose()
    assert f"SQLite {sqlite3.sqlite_version}: journal" in caplog.text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("not an address", "not a database address"),
        ("mysql://localhost/x", "neither sqlite nor postgresql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "needs a file"),
    ],
)
def test_an_address_we_cannot_use_is_refused_with_a_sentence(url: str, says: str) -> None:
    with pytest.raises(BadConfiguration, match=says):
        open_engine(url)


def test_a_missing_driver_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(BadConfiguration, match=r"peerfhir\[postgres\]"):
        open_engine("postgresql://127.0.0.1/x")


def test_a_server_that_is_away_is_busy_not_broken() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2")
    with pytest.raises(DatabaseBusy), reading(engine):
        pass


def test_migrations_make_exactly_the_tables_of_the_models(engine: Engine) -> None:
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        difference = compare_metadata(context, [metadata, resources])
    assert difference == []
    for table in (*metadata.sorted_tables, *resources.sorted_tables):  # what the comparison does not look at
        found = inspect(engine)
        assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
        keys = {key["name"] for key in found.get_foreign_keys(table.name)}
        assert keys == {key.name for key in table.foreign_key_constraints}


def test_down_and_up_again_leaves_nothing_and_everything(engine: Engine) -> None:
    downgrade(engine)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    with pytest.raises(BadConfiguration, match="peerfhir init"):
        check_schema(engine)
    upgrade(engine)
    check_schema(engine)
    upgrade(engine)  # nothing to do, and no harm
    check_schema(engine)


def test_two_starts_at_once_migrate_once(bare_engine: Engine) -> None:
    faults: list[BaseException] = []

    def start() -> None:
        try:
            upgrade(bare_engine)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []
    check_schema(bare_engine)


def test_a_failed_migration_leaves_no_table_behind(bare_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    made = []
    whole = op.create_table

    def breaks_at_the_tenth(*args, **kwargs):
        made.append(args[0])
        if len(made) == 10:
            raise OSError("the plug is pulled")
        return whole(*args, **kwargs)

    monkeypatch.setattr(op, "create_table", breaks_at_the_tenth)
    with pytest.raises(OSError, match="plug"):
        upgrade(bare_engine)
    assert [name for name in inspect(bare_engine).get_table_names() if name != "alembic_version"] == []


@pytest.mark.parametrize(("found", "says"), [("0000", "older"), ("9999", "newer")])
def test_a_start_on_another_schema_is_refused(engine: Engine, found: str, says: str) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": found})
    with pytest.raises(BadConfiguration, match=says):
        check_schema(engine)


def test_an_empty_database_is_refused(bare_engine: Engine) -> None:
    with pytest.raises(BadConfiguration, match="no tables"):
        check_schema(bare_engine)


def test_a_reader_cannot_write_and_the_next_writer_can(engine: Engine) -> None:
    row = {"program_id": "p", "prefix": "PF", "last": 1}
    with pytest.raises(Fault), reading(engine) as connection:
        connection.execute(insert(number).values(**row))
    with writing(engine) as connection:
        connection.execute(insert(number).values(**row))
    with reading(engine) as connection:
        assert connection.execute(select(number.c.last)).scalar_one() == 1


def test_what_is_not_finished_is_not_kept(engine: Engine) -> None:
    def breaks_off() -> None:
        with writing(engine) as connection:
            connection.execute(insert(number).values(program_id="p", prefix="PF", last=1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        breaks_off()
    with reading(engine) as connection:
        assert connection.execute(select(number)).all() == []


def test_a_taken_key_says_conflict_and_never_quotes_the_key(engine: Engine) -> None:
    row = {"program_id": "p", "prefix": "MRN-12345", "last": 1}
    with writing(engine) as connection:
        connection.execute(insert(number).values(**row))
    with pytest.raises(Conflict) as caught, writing(engine) as connection:
        connection.execute(insert(number).values(**row))
    assert "12345" not in str(caught.value)
    assert caught.value.__suppress_context__
    with pytest.raises(Fault) as worse, writing(engine) as connection:
        connection.execute(text("INSERT INTO number VALUES ('MRN-12345', 'x', 'y', 'z')"))
    assert "12345" not in str(worse.value)


def test_a_writer_that_waits_too_long_says_busy(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another process on SQLite (a second engine), and behind a row lock on PostgreSQL."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with writing(engine) as connection:
        connection.execute(insert(endpoint_state).values(endpoint="e", paused=False, breaker="closed", failures=0))
    other = open_engine(engine.url.render_as_string(hide_password=False))
    change = text("UPDATE endpoint_state SET failures = failures + 1")
    try:
        with writing(engine) as connection:
            connection.execute(change)
            with pytest.raises(DatabaseBusy), writing(other) as second:
                second.execute(change)
            if engine.dialect.name == "sqlite":  # a thread of the same process waits for its turn
                with pytest.raises(DatabaseBusy), writing(engine):
                    pass
    finally:
        other.dispose()
    with reading(engine) as connection:
        assert connection.execute(select(endpoint_state.c.failures)).scalar_one() == 1


def test_a_pool_that_is_empty_says_busy(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.pool, "_timeout", 0.1)
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(reading(engine))
        with pytest.raises(DatabaseBusy), reading(engine):
            pass


def test_writers_of_many_threads_and_two_engines_lose_nothing(engine: Engine) -> None:
    other = open_engine(engine.url.render_as_string(hide_password=False))
    with writing(engine) as connection:
        connection.execute(insert(number).values(program_id="p", prefix="n", last=0))
    add = text("UPDATE number SET last = last + 1")

    def work(mine: Engine) -> None:
        for _ in range(20):
            with writing(mine) as connection:
                connection.execute(add)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in (engine, other) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.dispose()
    with reading(engine) as connection:
        assert connection.execute(select(number.c.last)).scalar_one() == 160


def test_a_full_disk_is_an_honest_no_and_heals(tmp_path: Path) -> None:
    """max_page_count is a full disk without privileges; after it is raised nothing acknowledged is missing."""
    engine = open_engine(f"sqlite:///{tmp_path / 'full.db'}")
    upgrade(engine)
    limit = {"pages": 0}

    def bounded(connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={limit['pages']}")

    with reading(engine) as connection:
        limit["pages"] = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 20
    event.listen(engine, "begin", bounded)
    acknowledged: list[int] = []
    filler = text("INSERT INTO record_version VALUES ('p', 'k', :id, 1, 0, zeroblob(2048))")

    def fill() -> None:
        for n in range(1000):
            with writing(engine) as connection:
                connection.execute(filler, {"id": str(n)})
            acknowledged.append(n)

    with pytest.raises(DatabaseBusy):
        fill()
    assert 5 < len(acknowledged) < 100
    count = text("SELECT count(*) FROM record_version")
    with reading(engine) as connection:
        assert connection.execute(count).scalar_one() == len(acknowledged)
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    limit["pages"] = 100_000
    with writing(engine) as connection:
        connection.execute(filler, {"id": "after"})
    with reading(engine) as connection:
        assert connection.execute(count).scalar_one() == len(acknowledged) + 1
    engine.dispose()
