from __future__ import annotations

import threading

from sqlalchemy import Engine, select

from peerfhir.records.database import reading, writing
from peerfhir.records.schema import number
from peerfhir.records.upsert import insert_new, insert_or_update

KEYS = ("program_id", "prefix")


def test_the_first_gets_a_row_and_the_second_gets_none(engine: Engine) -> None:
    row = {"program_id": "p", "prefix": "PF", "last": 1}
    with writing(engine) as connection:
        assert tuple(insert_new(connection, number, KEYS, row, "last", "prefix")) == (1, "PF")
        assert insert_new(connection, number, KEYS, {**row, "last": 2}) is None
        changed = insert_or_update(connection, number, KEYS, {**row, "last": 9}, {"last": number.c.last + 5}, "last")
        assert changed.last == 6
        made = insert_or_update(connection, number, KEYS, {**row, "prefix": "E"}, {"last": number.c.last + 5})
        assert tuple(made) == ("p", "E")


def test_of_eight_racers_exactly_one_inserts(engine: Engine) -> None:
    """Sixty races of eight: a check followed by an insert loses almost every one of them."""
    won: list[int] = []
    ready = threading.Barrier(8)

    def race() -> None:
        for trial in range(60):
            ready.wait(60)
            with writing(engine) as connection:
                row = {"program_id": "p", "prefix": str(trial), "last": 1}
                if insert_new(connection, number, KEYS, row) is not None:
                    won.append(trial)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(won) == list(range(60))
    with reading(engine) as connection:
        assert len(connection.execute(select(number)).all()) == 60
