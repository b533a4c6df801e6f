"""Searches of every kind, resources to be searched in bulk, and the plans a database makes of them."""

from __future__ import annotations

import random
import re
from typing import Any

from sqlalchemy import Connection, Engine, insert, text

from peerfhir.fhir.index import Rows, rows_of
from peerfhir.fhir.indexing import Indexing
from peerfhir.fhir.parameters import PARAMETERS, of
from peerfhir.fhir.search import _MODIFIERS
from peerfhir.fhir.tables import fhir_resource, fhir_version, metadata
from peerfhir.fhir.writer import write
from peerfhir.records.database import writing

PROGRAM = "many"
_AT_ONCE = 5000
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
            put_in(made, path, _value(parameter.kind, number, rng))
    return made


def put_in(node: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set a value at a path of a search parameter, unless something stands there."""
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


def load(engine: Engine, sizes: dict[str, int], seed: int) -> None:
    """So many resources of each type, in bulk."""
    rng = random.Random(seed)
    keys = {"program_id": PROGRAM, "version": 1, "updated_at": 1_795_000_000_000_000}
    for kind, size in sizes.items():
        for start in range(0, size, _AT_ONCE):
            made = [resource(kind, n, rng) for n in range(start, min(size, start + _AT_ONCE))]
            indexed = [(one["resourceType"], one["id"], Rows(), rows_of(one)) for one in made]
            with writing(engine) as connection:
                connection.execute(
                    insert(fhir_resource),
                    [{**keys, "type": kind, "id": ident, "source": "s", "person_id": None, "share_class": None,
                      "deleted": False, "keys": rows.keys} for kind, ident, _, rows in indexed],
                )  # fmt: skip
                connection.execute(
                    insert(fhir_version),
                    [
                        {**keys, "type": one["resourceType"], "id": one["id"], "method": "create", "body": write(one)}
                        for one in made
                    ],
                )
                Indexing(connection, PROGRAM).change(indexed)
    if engine.dialect.name == "postgresql":
        with writing(engine) as connection:
            connection.execute(text("ANALYZE"))


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


def walked(kind: str) -> list[str]:
    """Searches that nothing narrows, each in an order that an index has: they stop when their page is full."""
    date = next(name for name, one in of(kind).items() if one.kind == "date" and not one.many)
    orders = ["", "_sort=-_id", "_sort=_lastUpdated", "_sort=-_lastUpdated", f"_sort={date}", f"_sort=-{date}"]
    tests = ["", "status:not=urn:s|nowhere", "status:not=urn:s|c5&intent:not=urn:s|c6", "subject:missing=false"]
    return ["&".join(part for part in (test, order) if part) for order in orders for test in tests]


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


def sorts(plan: str) -> bool:
    """Whether rows are put into order before the first is given."""
    return "TEMP B-TREE FOR ORDER BY" in plan or bool(re.search(r"(^|\n)\s*(->\s*)?(Sort|Incremental Sort) ", plan))


def counts_everything(plan: str) -> bool:
    """Whether all of a type was to be counted: that means reading all of it, and PostgreSQL may do so in one go."""
    return plan.startswith("Aggregate") and "SubPlan" not in plan and plan.count("Scan") == 1
