from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.refusals import AlreadyRecorded
from peerfhir.records import referrals
from peerfhir.records.database import reading
from peerfhir.records.work import Office
from tests.records import made
from tests.support.clock import HeldClock


def test_the_queue_is_what_is_open_oldest_first(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    start = clock.now()
    with office.work(made.actor()) as work:
        made_ = [
            work.save_referral(
                made.referral(
                    maker,
                    "p1" if n % 2 else "p2",
                    received_at=start - timedelta(hours=n),
                    closed_at=start if n == 3 else None,
                    peer_id="peer" if n in (1, 3) else None,
                )
            )
            for n in range(5)
        ]
    with reading(engine) as connection:
        assert referrals.queue(connection, "north") == [made_[n] for n in (4, 2, 1, 0)]
        assert referrals.queue(connection, "north", open_only=False) == made_[::-1]
        assert referrals.of_peer(connection, "north", "peer") == [made_[3], made_[1]]
        assert referrals.of_person(connection, "north", "p1") == [made_[3], made_[1]]
        assert referrals.by_number(connection, "north", made_[2].number) == made_[2]
        assert referrals.by_task(connection, "north", made_[2].origin.task_id) == made_[2]
        assert referrals.at(connection, "north", made_[2].id) == made_[2]


def test_one_task_is_one_referral(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        first = work.save_referral(made.referral(maker, "p"))
    with pytest.raises(AlreadyRecorded), office.work(made.actor()) as work:
        work.save_referral(made.referral(maker, "p", origin=first.origin))


def test_engagements_are_found_by_referral_and_by_peer(office: Office, engine: Engine, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        one = work.save_engagement(maker.record(Engagement, referral_id="r1", peer_id="peer"))
        work.save_engagement(maker.record(Engagement, referral_id="r2", peer_id="other"))
    with pytest.raises(AlreadyRecorded), office.work(made.actor()) as work:
        work.save_engagement(maker.record(Engagement, referral_id="r1"))
    with reading(engine) as connection:
        assert referrals.engagement_of(connection, "north", "r1") == one
        assert referrals.engagement_at(connection, "north", one.id) == one
