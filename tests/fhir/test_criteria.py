"""Every search finds its way by an index, on both databases, with ten thousand resources there."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, text

from peerfhir.fhir import statements as sql
from peerfhir.fhir.index import Rows, rows_of
from peerfhir.fhir.indexing import Indexing
from peerfhir.fhir.parameters import PARAMETERS, of
from peerfhir.fhir.prepared import EVERYTHING, Seen
from peerfhir.fhir.search import _MODIFIERS, parse
from peerfhir.fhir.store import Store
from peerfhir.fhir.tables import fhir_resource, fhir_version, metadata
from peerfhir.fhir.writer import write
from peerfhir.records.database import reading, writing
from tests.support.clock import HeldClock

SEED = 20261121
SIZE = 10_000
PROGRAM = "many"
TABLES = "|".join(sorted(table.name for table in metadata.sorted_tables))
VALUES = {
    "token": "urn:s|c5", "reference": "Patient/r17", "date": "ge2026-11-20", "string": "n17", "uri": "urn:u17",
    "quantity": "gt290||mg", "id": "r17", "updated": "ge2026-11-21T10:00:00Z",
}  # fmt: skip
OF_MODIFIER = {"missing": "true", "identifier": "urn:s|c5", "contains": "n17", "exact": "N17", "not": "urn:s|c5"}


def resource(kind: str, number: int, rng: random.Random) -> dict[str, Any]:
    """A resource that has something for every fifth parameter of its type; not valid, and nobody asks."""
    made: dict[str, Any] = {"resourceType": kind, "id": f"r{number}"}
    for at, parameter in enumerate(PARAMETERS[kind].values()):
        if (at + number) % 5 and parameter.kind != "quantity":
            continue
        for path in parameter.paths[:1]:
            _put(made, path, _value(parameter.kind, number, rng))
    return made


def _put(node: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for at, step in enumerate(path[:-1]):
        if step.startswith("http"):
            node["url"] = step
        elif path[at + 1].startswith("http") or step in ("extension",):
            node = node.setdefault(step, [{}])[0]
        else:
            node = node.setdefault(step, {})
            if not isinstance(node, dict):
                return
    node.setdefault(path[-1], value)


def _value(kind: str, number: int, rng: random.Random) -> Any:
    return {
        "token": {"coding": [{"system": "urn:s", "code": f"c{number % 500}"}]},
        "reference": {"reference": f"Patient/r{rng.randrange(1000)}", "identifier": {"system": "urn:s", "value": f"c{number % 900}"}},
        "date": f"2026-{rng.randrange(1, 13):02d}-{rng.randrange(1, 28):02d}",
        "string": f"N{number}",
        "uri": f"urn:u{number}",
        "quantity": {"value": number % 300, "code": "mg", "system": "urn:s"},
    }[kind]  # fmt: skip


@pytest.fixture(scope="module")
def full(shared: Engine) -> Engine:
    """Ten thousand Tasks and some of each of the other types, loaded in bulk."""
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    made = [
        resource(kind, n, rng) for kind in PARAMETERS for n in range({"Task": SIZE, "Observation": 2000}.get(kind, 60))
    ]
    keys = {"program_id": PROGRAM, "version": 1, "updated_at": 1_795_000_000_000_000}
    with writing(shared) as connection:
        indexed = [(one["resourceType"], one["id"], Rows(), rows_of(one)) for one in made]
        connection.execute(
            insert(fhir_resource),
            [{**keys, "type": kind, "id": ident, "source": "s", "person_id": None, "share_class": None, "deleted": False,
              "keys": rows.keys} for kind, ident, _, rows in indexed],
        )  # fmt: skip
        connection.execute(
            insert(fhir_version),
            [
                {**keys, "type": one["resourceType"], "id": one["id"], "method": "create", "body": write(one)}
                for one in made
            ],
        )
        Indexing(connection, PROGRAM).change(indexed)
    if shared.dialect.name == "postgresql":
        with writing(shared) as connection:
            connection.execute(text("ANALYZE"))
    return shared


def searches(kind: str) -> list[str]:
    """Every parameter of a type with every modifier it takes, every prefix of the first date, chains and orders."""
    found = []
    for name, one in of(kind).items():
        found.append(f"{name}={VALUES[one.kind]}")
        found += [f"{name}:{modifier}={OF_MODIFIER[modifier]}" for modifier in sorted(_MODIFIERS.get(one.kind, ()))]
        if one.kind == "reference" and one.targets:
            found.append(f"{name}:{one.targets[0]}=r17")
    first = next((name for name, one in of(kind).items() if one.kind == "date"), None)
    prefixes = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
    found += [f"{first}={prefix}2026-11-20" for prefix in prefixes] if first else []
    found += [f"_lastUpdated={prefix}2026-11-20" for prefix in prefixes]
    if "patient" in PARAMETERS[kind]:
        found += ["patient.identifier=urn:s|c5", "patient.family=n17", "patient=r17&_sort=-_lastUpdated",
                  "patient=r17,r18&_lastUpdated=ge2026", "patient.birthdate=ge2026-12&_count=2"]  # fmt: skip
    return [*found, "", "_sort=-_id", "_sort=_lastUpdated", "_sort=-_lastUpdated&_total=accurate", "_count=0"]


class Plans:
    """Explains every SELECT that a connection is about to carry out."""

    def __init__(self, connection: Connection) -> None:
        self.found: list[str] = []
        self._connection = connection
        self._asking = False

    def see(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if self._asking or not statement.startswith("SELECT"):
            return
        self._asking = True
        how = "EXPLAIN QUERY PLAN " if conn.dialect.name == "sqlite" else "EXPLAIN "
        rows = conn.exec_driver_sql(how + statement, parameters).all()
        self.found.append("\n".join(str(row[-1]) for row in rows))
        self._asking = False


def is_scan(plan: str) -> bool:
    """Whether a table of ours, or a whole index of it, is read from end to end."""
    return bool(re.search(rf"(^|\n)SCAN ({TABLES}|other)\b|Seq Scan on ({TABLES})\b", plan))


def counts_everything(plan: str) -> bool:
    """Whether all of a type was to be counted: that means reading all of it, and PostgreSQL may do so in one go."""
    return plan.startswith("Aggregate") and "SubPlan" not in plan and plan.count("Scan") == 1


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
