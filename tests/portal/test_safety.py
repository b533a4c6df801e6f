from __future__ import annotations

from peerfhir.access.accounts import revoke_user
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.portal.desk import Desk
from peerfhir.portal.safety import alarm_of, who_is_told
from peerfhir.records.database import writing


def test_an_open_worry_is_told_until_it_is_closed(site):
    referral = site.refer("Marisol", "Vega")
    desk = Desk(site.parts)
    with site.work() as work:
        person = work.person(referral.person_id)
        assert alarm_of(desk, work, person) is None
        event = work.save_safety_event(
            SafetyEvent("s", "riverside", person.id, "outcome:1", "urgent", work.now(), "sentinel-unknown")
        )
        assert alarm_of(desk, work, person).skipped
        other = work.save_safety_event(SafetyEvent("t", "riverside", person.id, "encounter:1", "stat", work.now()))
        assert not alarm_of(desk, work, person).skipped
        assert alarm_of(desk, work, person, "outcome:1").skipped
        assert alarm_of(desk, work, person, "outcome:2") is None
        for one in (event, other):
            from dataclasses import replace

            work.save_safety_event(replace(one, state="closed"))
        assert alarm_of(desk, work, person) is None


def test_those_who_are_told_are_those_who_lead_now(site):
    desk = Desk(site.parts)
    with site.work() as work:
        told = who_is_told(desk, work)
    assert "Carla" in told
    assert "Sue" in told
    assert "Tomas" not in told
    with writing(site.parts.engine) as connection:
        for login in ("carla", "sue"):
            revoke_user(connection, site.clock, site.users[login])
    with site.work() as work:
        assert who_is_told(desk, work) == "It stands at the top of the first page of your supervisors and coordinators."
