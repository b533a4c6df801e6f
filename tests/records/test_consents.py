from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from peerfhir.pathway.consent import Grant
from peerfhir.records import consents
from peerfhir.records.database import reading
from peerfhir.records.work import Office
from tests.records import made
from tests.support.clock import HeldClock


def test_the_ledger_keeps_ended_lines(office: Office, engine: Engine, maker: made.Maker, clock: HeldClock) -> None:
    now = clock.now()
    with office.work(made.actor()) as work:
        second = work.save_grant(maker.record(Grant, person_id="p", granted_at=now))
        first = work.save_grant(
            maker.record(Grant, person_id="p", granted_at=now - timedelta(days=1), ended_at=now, end_reason="withdrawn")
        )
    with reading(engine) as connection:
        assert consents.ledger(connection, "north", "p") == [first, second]
        assert consents.at(connection, "north", first.id, 1) == first
