from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.refusals import AlreadyRecorded
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.records import outcomes
from peerfhir.records.database import reading
from peerfhir.records.work import Office
from tests.records import made
from tests.support.clock import HeldClock


def test_outcomes_are_in_the_order_of_their_answers(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    with office.work(made.actor()) as work:
        late = work.save_outcome(maker.record(Outcome, person_id="p", answered_at=clock.now()))
        early = work.save_outcome(maker.record(Outcome, person_id="p", answered_at=clock.now() - timedelta(days=7)))
    with reading(engine) as connection:
        assert outcomes.of_person(connection, "north", "p") == [early, late]
        assert outcomes.at(connection, "north", late.id) == late


def test_the_same_form_twice_at_once_is_one_outcome(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        work.save_outcome(maker.record(Outcome, person_id="p", client_uuid="f-1"))
        work.save_outcome(maker.record(Outcome, person_id="p", client_uuid=None))
        work.save_outcome(maker.record(Outcome, person_id="p", client_uuid=None))
    with pytest.raises(AlreadyRecorded), office.work(made.actor()) as work:
        work.save_outcome(maker.record(Outcome, person_id="p", client_uuid="f-1"))


def test_a_source_raises_one_safety_event_and_closed_ones_are_not_open(
    office: Office, engine: Engine, maker: made.Maker
) -> None:
    with office.work(made.actor()) as work:
        open_ = work.save_safety_event(maker.record(SafetyEvent, person_id="p", source="outcome:1", state="raised"))
        work.save_safety_event(maker.record(SafetyEvent, person_id="p", state="closed"))
    with pytest.raises(AlreadyRecorded), office.work(made.actor()) as work:
        work.save_safety_event(maker.record(SafetyEvent, source="outcome:1"))
    with reading(engine) as connection:
        assert outcomes.open_safety(connection, "north") == [open_]
        assert outcomes.safety_from(connection, "north", "outcome:1") == open_
        assert len(outcomes.safety_of_person(connection, "north", "p")) == 2
