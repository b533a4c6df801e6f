from __future__ import annotations

import pytest
from sqlalchemy import bindparam, create_engine, delete, insert, literal_column, select, text

from peerfhir.fhir.prepared import Prepared, Sight
from peerfhir.fhir.tables import fhir_resource, metadata

_r = fhir_resource.c
_ONE = select(_r.id, _r.version).where(_r.program_id == bindparam("p"), _r.type == "Task", _r.id == bindparam("i"))
_ROW = {
    "program_id": "north", "type": "Task", "version": 1, "updated_at": 5, "source": None, "person_id": None,
    "share_class": None, "deleted": False, "keys": "",
}  # fmt: skip


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_prepared_write_is_part_of_the_transaction_around_it(connection):
    with connection.begin() as transaction:
        assert Prepared(insert(fhir_resource)).run_many(connection, [{**_ROW, "id": "a"}, {**_ROW, "id": "b"}]) == 2
        assert Prepared(_ONE).first(connection, {"p": "north", "i": "a"}) == ("a", 1)
        transaction.rollback()
    assert connection.execute(select(_r.id)).all() == []


def test_a_constant_inside_the_statement_is_kept_and_rows_have_names(connection):
    Prepared(insert(fhir_resource)).run(connection, {**_ROW, "id": "a"})
    Prepared(insert(fhir_resource)).run(connection, {**_ROW, "id": "a", "type": "Patient"})
    rows = Prepared(_ONE).rows(connection, {"p": "north", "i": "a"})
    assert [(row.id, row.version) for row in rows] == [("a", 1)]
    assert Prepared(_ONE).first(connection, {"p": "south", "i": "a"}) is None


def test_a_read_that_stands_alone_opens_no_transaction_and_any_other_does(connection):
    one = Prepared(_ONE)
    one.first(connection, {"p": "north", "i": "a"}, alone=True)
    assert not connection.in_transaction()
    one.first(connection, {"p": "north", "i": "a"})
    assert connection.in_transaction()


def test_a_sight_narrows_a_query_with_its_own_values(connection):
    Prepared(insert(fhir_resource)).run_many(connection, [{**_ROW, "id": "a"}, {**_ROW, "id": "b", "source": "s"}])
    sight = Sight(text("fhir_resource.source = :whose"), {"whose": "s"})
    assert connection.execute(sight(select(_r.id))).scalars().all() == ["b"]
    inside = Prepared(select(_r.id).where(sight.condition))
    assert [row.id for row in inside.rows(connection, sight.values)] == ["b"]


def test_a_value_that_is_missing_is_an_error_and_not_a_null(connection):
    with pytest.raises(KeyError):
        Prepared(_ONE).first(connection, {"p": "north"})


def test_a_column_of_no_table_has_its_name_too(connection):
    row = Prepared(select(literal_column("1").label("one"))).first(connection, {})
    assert row.one == 1


def test_rows_go_in_by_the_order_of_the_columns_that_was_said(connection):
    columns = ("id", *_ROW)
    rows = [(one, *_ROW.values()) for one in ("a", "b")]
    Prepared(insert(fhir_resource), columns=columns).run_rows(connection, rows)
    (found, _) = connection.execute(select(_r.id, _r.type, _r.deleted).order_by(_r.id)).all()
    assert tuple(found) == ("a", "Task", False)
    gone = Prepared(delete(fhir_resource).where(_r.id == bindparam("id")), columns=("id",))
    gone.run_rows(connection, [("a",), ("b",), ("c",)])
    assert connection.execute(select(_r.id)).all() == []
