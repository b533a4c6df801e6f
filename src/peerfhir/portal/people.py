"""The people somebody walks with, and who may see whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask import Blueprint, Response
from sqlalchemy import func, select

from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.referral import Referral, is_open
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.pathway.vocabulary import Role
from peerfhir.portal.desk import WITH_PEOPLE, Desk
from peerfhir.portal.states import Chip, chip
from peerfhir.records import people as kept
from peerfhir.records import referrals
from peerfhir.records.encounters import ENCOUNTER
from peerfhir.records.schema import encounter
from peerfhir.records.versions import listed
from peerfhir.records.work import Work


@dataclass(frozen=True)
class PersonCard:
    """One person in a list."""

    href: str
    name: str
    chip: Chip | None
    last: str
    next: str = ""


def mount(pages: Blueprint, desk: Desk) -> None:
    """The route of the list."""
    pages.add_url_rule("/people", "people", partial(_list, desk))


# -- who may see whom


def theirs(work: Work, actor: Actor) -> list[Referral]:
    """The referrals of a peer who said yes, open or ended, oldest first; of a lead, all of the program."""
    if actor.role is not Role.PEER:
        return referrals.queue(work.connection, actor.program_id, open_only=False)
    found = referrals.of_peer(work.connection, actor.program_id, actor.peer_id or "")
    return [one for one in found if one.peer_accepted_at is not None]


def seen_by(work: Work, actor: Actor, person_id: str) -> tuple[Person, Referral | None]:
    """The person, and the latest referral that joins them to this actor.

    Raises  NotFoundHere for someone of another peer or program exactly as for nobody
    """
    person = work.person(person_id)
    mine = [one for one in work.referrals_of(person_id) if actor.role is not Role.PEER or _accepted(one, actor)]
    if actor.role is Role.PEER and not mine:
        raise NotFoundHere
    found = [one for one in mine if is_open(one)] or mine
    return person, found[-1] if found else None


def _accepted(referral: Referral, actor: Actor) -> bool:
    return referral.peer_id == actor.peer_id and referral.peer_accepted_at is not None


def walking_with(work: Work, actor: Actor) -> list[Person]:
    """The people with whom something may still be recorded, by name."""
    ids = dict.fromkeys(one.person_id for one in theirs(work, actor) if is_open(one))
    found = [work.person(person_id) for person_id in ids]
    return sorted((one for one in found if one.sharing_stopped_at is None), key=lambda one: (one.given, one.family))


# -- the list


def _list(desk: Desk) -> Response:
    actor = desk.staff(WITH_PEOPLE)
    with desk.work(actor) as work:
        latest = {one.person_id: one for one in theirs(work, actor)}
        persons = kept.list_of(work.connection, actor.program_id)
        shown = [one for one in persons if actor.role is not Role.PEER or one.id in latest]
        last = _last_met(work, actor)
        cards = [_card(desk, work, actor, one, latest.get(one.id), last.get(one.id)) for one in shown]
        work.audit("search", "people")
    words = desk.words
    lead = words.say("people.lead_peer" if actor.role is Role.PEER else "people.lead_all")
    cards.sort(key=lambda one: one.name)
    return desk.page("people.html", words.say("people.title"), actor, here="/people", lead=lead, cards=cards)


def _last_met(work: Work, actor: Actor) -> dict[str, tuple[datetime, Encounter | None]]:
    """When each person was met last; a peer's own meetings with what comes next, of a program only the times."""
    if actor.role is Role.PEER:
        theirs = encounter.c.peer_id == actor.peer_id
        mine = listed(work.connection, ENCOUNTER, actor.program_id, theirs, order=(encounter.c.started_at,))
        return {one.person_id: (one.started_at, one) for one in mine}
    row = encounter.c
    query = select(row.person_id, func.max(row.started_at)).where(row.program_id == actor.program_id)
    return {person_id: (at, None) for person_id, at in work.connection.execute(query.group_by(row.person_id))}


def _card(
    desk: Desk, work: Work, actor: Actor, person: Person, referral: Referral | None,
    last: tuple[datetime, Encounter | None] | None,
) -> PersonCard:  # fmt: skip
    words, calendar = desk.words, desk.calendar(actor.program_id)
    met = words.say("people.not_met")
    if last is not None:
        met = words.say("people.last_met", when=calendar.day(calendar.local(last[0]).date()))
    return PersonCard(
        href=f"/people/{person.id}",
        name=f"{person.given} {person.family}",
        chip=chip(referral, work.program, words) if referral else None,
        last=met,
        next=what_next(desk, actor, last[1]) if last is not None and last[1] is not None else "",
    )


def what_next(desk: Desk, actor: Actor, meeting: Encounter) -> str:
    """The next step that was agreed in a meeting, with its day; empty when there was none."""
    if not meeting.next_step:
        return ""
    if meeting.next_on is None:
        return desk.words.say("people.next", what=meeting.next_step)
    day = desk.calendar(actor.program_id).day(meeting.next_on)
    return desk.words.say("people.next_on", what=meeting.next_step, when=day)
