"""What a page says when someone may not be safe: help in a crisis, and who has been told."""

from __future__ import annotations

from dataclasses import dataclass

from peerfhir.access.accounts import list_users
from peerfhir.pathway.people import Person
from peerfhir.portal.desk import LEADS, Desk
from peerfhir.records.outcomes import safety_of_person
from peerfhir.records.work import Work


@dataclass(frozen=True)
class Alarm:
    """An open worry about a person. `skipped`: only the question about safety was left out."""

    told: str
    skipped: bool = False


def alarm_of(desk: Desk, work: Work, person: Person, source: str | None = None) -> Alarm | None:
    """The open worry about a person, or None.

    source  "outcome:<id>" or "encounter:<id>" to ask for the one that it raised
    """
    still = [
        one
        for one in safety_of_person(work.connection, person.program_id, person.id)
        if one.state != "closed" and source in (None, one.source)
    ]
    if not still:
        return None
    return Alarm(who_is_told(desk, work), skipped=all(one.state == "sentinel-unknown" for one in still))


def who_is_told(desk: Desk, work: Work) -> str:
    """A sentence that names those on whose first page an open worry stands. Nobody is called by us: it says so."""
    names = supervisors(work)
    if not names:
        return desk.words.say("score.raised_told_role")
    return desk.words.say("score.raised_told_list", names=", ".join(names))


def supervisors(work: Work) -> list[str]:
    """The names of those who lead the program, as they sign in."""
    users = list_users(work.connection, work.program.id)
    return [one.display for one in users if one.role in LEADS and one.revoked_at is None]
