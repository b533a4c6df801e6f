from __future__ import annotations

import threading

from sqlalchemy import Engine

from peerfhir.records.work import Office
from tests.records import made


def test_numbers_are_given_once_however_many_ask(office: Office, engine: Engine) -> None:
    given: list[str] = []

    def ask() -> None:
        for _ in range(10):
            with office.work(made.actor()) as work:
                mine = [work.next_number("PF"), work.next_number("PF")]
            given.extend(mine)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(given) == [f"PF-{n:06d}" for n in range(1, 121)]
    with office.work(made.actor("south")) as work:
        assert work.next_number("PF") == "PF-000001"
    with office.work(made.actor()) as work:
        assert work.next_number("E") == "E-000001"
