from __future__ import annotations

import random
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, insert, select, update

from peerfhir.records import audit as chain
from peerfhir.records import schema
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import audit, audit_head
from peerfhir.records.work import Office
from tests.records import made
from tests.support.clock import HeldClock

SEED = 20261122
LENGTH = 40
COLUMNS = [column.name for column in audit.c if column.name != "id"]


def entries(rng: random.Random, clock: HeldClock, count: int) -> list[chain.Entry]:
    def maybe(text: str) -> str | None:
        return text if rng.random() < 0.6 else None

    return [
        chain.Entry(
            program_id=rng.choice(["north", "south"]),
            at=clock.now() + timedelta(seconds=rng.random()),
            actor=f"u-{rng.randrange(5)}",
            role=rng.choice(["peer", "coordinator"]),
            action=rng.choice(["read", "update", "disclose"]),
            subject=maybe(f"referral/{rng.randrange(99)}"),
            person_id=maybe(f"p{rng.randrange(9)}"),
            outcome=rng.choice(["ok", "denied"]),
            detail=maybe(rng.choice(["-", "1:x|2:yz", "", "é"])),
            execution_id=maybe("x"),
        )
        for _ in range(count)
    ]


def flip(rng: random.Random, rows: list[dict[str, Any]]) -> int:
    """Another value in any one column of any one row."""
    row, name = rng.choice(rows), rng.choice(COLUMNS)
    old = row[name]
    if name == "at":
        row[name] = old + timedelta(microseconds=rng.choice([-1, 1]))
    elif old is None:
        row[name] = rng.choice(["", "x", "-"])
    elif audit.c[name].nullable and rng.random() < 0.3:
        row[name] = None
    else:
        row[name] = rng.choice([old + "x", old[:-1] + ("a" if old[-1:] != "a" else "b"), "0:" + old])
    return row["id"]


def cut(rng: random.Random, rows: list[dict[str, Any]]) -> int:
    """One to three rows are gone, the last ones too."""
    start = rng.randrange(len(rows))
    gone = rows[start : start + rng.randint(1, 3)]
    del rows[start : start + len(gone)]
    return gone[0]["id"]


def swap(rng: random.Random, rows: list[dict[str, Any]]) -> int:
    """Two rows change places, with or without the chain's own columns."""
    one, two = sorted(rng.sample(rows, 2), key=lambda row: row["id"])
    names = rng.choice([COLUMNS, [name for name in COLUMNS if name not in ("previous", "digest")]])
    if all(one[name] == two[name] for name in names):
        return swap(rng, rows)
    for name in names:
        one[name], two[name] = two[name], one[name]
    return one["id"]


def slip_in(rng: random.Random, rows: list[dict[str, Any]]) -> int:
    """One row too many: at the end with a digest that fits, or anywhere with the later ones moved along."""
    copy = dict(rng.choice(rows))
    if rng.random() < 0.3:
        copy |= {"id": rows[-1]["id"] + 1, "previous": rows[-1]["digest"]}
        copy["digest"] = chain._digest({**copy, "at": schema.Instant().process_bind_param(copy["at"])})
        rows.append(copy)
        return copy["id"]
    copy["id"] = rng.choice([0, -3, copy["id"]])
    if copy["id"] <= 0:
        rows.insert(0, copy)
        return copy["id"]
    for row in rows:
        if row["id"] > copy["id"]:
            row["id"] += 1
    copy["id"] += 1
    rows.append(copy)
    return copy["id"]


def test_a_thousand_edits_of_a_thousand_are_noticed_and_the_first_bad_row_is_named(clock: HeldClock) -> None:
    """Each edit on a chain of its own kind: flip, delete, swap or insert."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine, tables=[audit, audit_head])
    with engine.begin() as connection:
        chain.append(connection, entries(rng, clock, LENGTH))
    with engine.begin() as connection:
        assert chain.verify(connection) is None
        clean = [dict(row) for row in connection.execute(select(audit).order_by(audit.c.id)).mappings()]
    for n in range(1000):
        edit = rng.choice([flip, cut, swap, slip_in])
        rows = [dict(row) for row in clean]
        wanted = edit(rng, rows)
        with engine.connect() as connection, connection.begin() as transaction:
            connection.execute(delete(audit))
            if rows:
                connection.execute(insert(audit), rows)
            assert chain.verify(connection) == wanted, f"edit {n}: {edit.__name__}"
            transaction.rollback()
    engine.dispose()


def test_edits_in_the_real_database_are_named_too(engine: Engine, clock: HeldClock) -> None:
    rng = random.Random(SEED)
    with writing(engine) as connection:
        chain.append(connection, entries(rng, clock, 10))
        chain.append(connection, entries(rng, clock, 5))
        chain.append(connection, [])
    edits = {
        None: [],
        7: [update(audit).where(audit.c.id == 7).values(person_id="p0-x")],
        15: [delete(audit).where(audit.c.id == 15)],
        1: [delete(audit)],
    }
    for wanted, statements in edits.items():
        with engine.connect() as connection, connection.begin() as transaction:
            for statement in statements:
                connection.execute(statement)
            assert chain.verify(connection) == wanted
            transaction.rollback()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (update(audit_head).values(digest="f" * 64), 3),
        (update(audit_head).values(last_id=2), 3),
        (update(audit_head).values(last_id=4), 4),
        (delete(audit_head), 1),
    ],
)
def test_a_head_that_was_edited_is_noticed(engine: Engine, clock: HeldClock, change: Any, wanted: int) -> None:
    with writing(engine) as connection:
        chain.append(connection, entries(random.Random(1), clock, 3))
        connection.execute(change)
        assert chain.verify(connection) == wanted


def test_an_empty_chain_is_whole(engine: Engine) -> None:
    with reading(engine) as connection:
        assert chain.verify(connection) is None


def test_what_many_writers_add_at_once_is_one_chain(office: Office, engine: Engine) -> None:
    def write_lines(n: int) -> None:
        for _ in range(10):
            with office.work(made.actor("north" if n % 2 else "south")) as work:
                work.audit("read", f"person/{n}")
                work.audit("read", f"person/{n}")

    threads = [threading.Thread(target=write_lines, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with reading(engine) as connection:
        assert chain.verify(connection) is None
        assert connection.execute(select(audit_head.c.last_id)).scalar_one() == 120
        assert len(chain.latest(connection, "north", limit=1000)) == 60


def test_a_line_comes_back_as_it_was_written(engine: Engine, clock: HeldClock) -> None:
    written = entries(random.Random(3), clock, 30)
    with writing(engine) as connection:
        chain.append(connection, written)
    with reading(engine) as connection:
        for program in ("north", "south"):
            mine = [one for one in written if one.program_id == program]
            assert chain.latest(connection, program) == mine[::-1]
            assert chain.latest(connection, program, limit=2) == mine[::-1][:2]
            theirs = [one for one in mine if one.person_id == "p3"]
            assert chain.latest(connection, program, person_id="p3") == theirs[::-1]
