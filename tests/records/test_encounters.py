from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from peerfhir.pathway.encounter import Encounter, GroupSession
from peerfhir.pathway.refusals import AlreadyRecorded
from peerfhir.records import encounters
from peerfhir.records.database import reading
from peerfhir.records.work import Office
from tests.records import made
from tests.support.clock import HeldClock


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
        assert encounters.at(connection, "north", late.id, 1) == late
        assert encounters.group_at(connection, "north", group.id) == group


def test_the_same_note_from_a_phone_twice_is_once(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        first = work.save_encounter(maker.record(Encounter, client_uuid="u1"))
        work.save_encounter(maker.record(Encounter, client_uuid=None))
        work.save_encounter(maker.record(Encounter, client_uuid=None))
    with pytest.raises(AlreadyRecorded), office.work(made.actor()) as work:
        work.save_encounter(maker.record(Encounter, client_uuid="u1"))
    with office.work(made.actor()) as work:
        assert work.encounter_by_client_uuid("u1") == first
