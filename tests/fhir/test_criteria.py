"""Every search finds its way by an index, on both databases, with ten thousand resources there."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from peerfhir.fhir import statements as sql
from peerfhir.fhir.parameters import PARAMETERS, of
from peerfhir.fhir.prepared import EVERYTHING, Seen
from peerfhir.fhir.search import parse
from peerfhir.fhir.store import Store
from peerfhir.records.database import reading
from tests.support import searches as many
from tests.support.clock import HeldClock
from tests.support.searches import PROGRAM, VALUES, Plans, counts_everything, is_scan, searches, sorts, walked

SEED = 20261121
SIZE = 10_000


@pytest.fixture(scope="module")
def full(shared: Engine) -> Engine:
    """Ten thousand Tasks and some of each of the other types, loaded in bulk."""
    print(f"seed {SEED}")
    many.load(shared, {kind: {"Task": SIZE, "Observation": 2000}.get(kind, 60) for kind in PARAMETERS}, SEED)
    return shared


def test_every_search_at_ten_thousand_enters_by_an_index(full: Engine) -> None:
    asked = 0
    wanted = [("Task", query) for query in searches("Task")]
    wanted += [(kind, f"{name}={VALUES[one.kind]}") for kind in PARAMETERS for name, one in of(kind).items()]
    with reading(full) as connection:
        store = Store(connection, PROGRAM, HeldClock())
        plans = Plans(connection)
        event.listen(connection, "before_cursor_execute", plans.see)
        for kind, query in wanted:
            plans.found.clear()
            page = store.search(kind, parse(kind, query))
            if query.startswith("identifier=urn"):  # kept prepared, past SQLAlchemy's eyes
                assert page.rows or kind != "Task"
                plans.found.append(_explained(connection, sql.BY_IDENTIFIER, {"s": "urn:s", **_OF_A_TASK}))
                plans.found.append(_explained(connection, sql.BY_VALUE, _OF_A_TASK))
            assert plans.found, query
            for plan in plans.found:
                assert not is_scan(plan) or counts_everything(plan), f"{kind}?{query}\n{plan}"
            asked += 1
    print(f"{asked} searches among {SIZE} Tasks, each by an index on {full.dialect.name}")
    assert asked >= 400


def test_what_nothing_narrows_is_walked_in_the_order_of_an_index(full: Engine) -> None:
    """No plan sorts: each gives its first row at once and stops when the page is full, whatever is stored."""
    with reading(full) as connection:
        store = Store(connection, PROGRAM, HeldClock())
        plans = Plans(connection)
        event.listen(connection, "before_cursor_execute", plans.see)
        for query in walked("Task"):
            plans.found.clear()
            page = store.search("Task", parse("Task", query), bounded=True)
            assert len(page.rows) == 50, query
            assert page.next
            for plan in plans.found:
                assert not is_scan(plan), f"{query}\n{plan}"
                assert not sorts(plan), f"{query}\n{plan}"


_OF_A_TASK = {"p": PROGRAM, "t": "Task", "c": "c5", "n": 51}


def _explained(connection: Connection, statement: Seen, values: dict[str, Any]) -> str:
    made = statement.by(EVERYTHING)._of(connection)
    how = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    rows = connection.connection.driver_connection.execute(how + made.text, made.bound(values)).fetchall()
    return "\n".join(str(row[-1]) for row in rows)


def test_a_plan_without_an_index_is_seen(full: Engine) -> None:
    """The test above would notice: this search is told to ask every row."""
    with reading(full) as connection:
        plans = Plans(connection)
        event.listen(connection, "before_cursor_execute", plans.see)
        connection.exec_driver_sql("SELECT id FROM fhir_token WHERE system = 'urn:s' AND length(code) = 2").all()
        assert is_scan(plans.found[0]), plans.found[0]
