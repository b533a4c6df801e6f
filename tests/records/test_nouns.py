"""The queries that pages need, of referrals, encounters, outcomes, safety events and grants."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter, GroupSession
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.refusals import AlreadyRecorded
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.records import consents, encounters, outcomes, referrals
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
        assert referrals.engagements_of_peer(connection, "north", "peer") == [one]


def test_encounters_are_in_the_order_of_their_time(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    times = [clock.now() + timedelta(hours=n) for n in (2, 0, 1)]
    with office.work(made.actor()) as work:
        late, early, middle = (
            work.save_encounter(maker.record(Encounter, person_id="p", peer_id="peer", started_at=at)) for at in times
        )
        group = work.save_group(maker.record(GroupSession, peer_id="peer"))
    with reading(engine) as connection:
        assert encounters.of_person(connection, "north", "p") == [early, middle, late]
        assert encounters.of_peer(connection, "north", "peer") == [early, middle, late]
        assert encounters.of_peer(connection, "north", "peer", since=times[2]) == [middle, late]
        assert encounters.at(connection, "north", late.id, 1) == late
        assert encounters.group_at(connection, "north", group.id) == group
        assert encounters.groups_of_peer(connection, "north", "peer") == [group]


def test_the_same_note_from_a_phone_twice_is_once(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        first = work.save_encounter(maker.record(Encounter, client_uuid="u1"))
        work.save_encounter(maker.record(Encounter, client_uuid=None))
        work.save_encounter(maker.record(Encounter, client_uuid=None))
    with pytest.raises(AlreadyRecorded), office.work(made.actor()) as work:
        work.save_encounter(maker.record(Encounter, client_uuid="u1"))
    with office.work(made.actor()) as work:
        assert work.encounter_by_client_uuid("u1") == first


def test_outcomes_are_in_the_order_of_their_answers(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    with office.work(made.actor()) as work:
        late = work.save_outcome(maker.record(Outcome, person_id="p", answered_at=clock.now()))
        early = work.save_outcome(maker.record(Outcome, person_id="p", answered_at=clock.now() - timedelta(days=7)))
    with reading(engine) as connection:
        assert outcomes.of_person(connection, "north", "p") == [early, late]
        assert outcomes.at(connection, "north", late.id) == late


def test_a_source_raises_one_safety_event_and_closed_ones_are_not_open(
    office: Office, engine: Engine, maker: made.Maker
) -> None:
    with office.work(made.actor()) as work:
        open_ = work.save_safety_event(maker.record(SafetyEvent, person_id="p", source="outcome:1", state="raised"))
        closed = work.save_safety_event(maker.record(SafetyEvent, person_id="p", state="closed"))
    with pytest.raises(AlreadyRecorded), office.work(made.actor()) as work:
        work.save_safety_event(maker.record(SafetyEvent, source="outcome:1"))
    with reading(engine) as connection:
        assert outcomes.open_safety(connection, "north") == [open_]
        assert outcomes.safety_from(connection, "north", "outcome:1") == open_
        assert outcomes.safety_at(connection, "north", closed.id) == closed
        assert len(outcomes.safety_of_person(connection, "north", "p")) == 2


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
