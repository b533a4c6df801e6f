"""Questionnaires that are to be asked now, for the first page of a peer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.referral import Referral, is_open
from peerfhir.portal.desk import Desk
from peerfhir.portal.people import theirs
from peerfhir.records.work import Work


@dataclass(frozen=True)
class Due:
    """One questionnaire for one person."""

    person: Person
    instrument_id: str
    title: str
    until: date


def due(desk: Desk, work: Work, actor: Actor) -> list[Due]:
    """What the peer's people are to be asked, from the day on which a schedule allows it; the oldest first."""
    if not any(one.schedule for one in desk.parts.instruments.values()):
        return []
    referrals = {one.person_id: one for one in theirs(work, actor) if is_open(one)}
    found = [each for referral in referrals.values() for each in _of(desk, work, actor, referral)]
    return sorted(found, key=lambda one: (one.until, one.person.given, one.instrument_id))


def _of(desk: Desk, work: Work, actor: Actor, referral: Referral) -> Iterator[Due]:
    """What one person is to be asked: nothing before they work together, while they pause, or after they stopped."""
    engagement, person = work.engagement_of(referral.id), work.person(referral.person_id)
    if engagement is None or engagement.status != "active" or engagement.started_at is None:
        return
    if person.sharing_stopped_at is not None:
        return
    calendar = desk.calendar(actor.program_id)
    today, began = calendar.local(work.now()).date(), calendar.local(engagement.started_at).date()
    answered = work.outcomes_of(person.id)
    for one in desk.parts.instruments.values():
        if one.schedule is None:
            continue
        days = [calendar.local(each.answered_at).date() for each in answered if each.instrument_id == one.id]
        first, until = one.schedule.due(began, max(days, default=None))
        if first <= today:
            yield Due(person, one.id, one.title, until)
