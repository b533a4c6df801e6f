"""The first page, by role: what needs someone now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response

from peerfhir.pathway.people import Actor
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.vocabulary import Role, Status
from peerfhir.portal.desk import Desk
from peerfhir.portal.due import due
from peerfhir.portal.people import walking_with
from peerfhir.portal.queue import NEEDS_LEAD, Card, cards, mine
from peerfhir.portal.safety import supervisors
from peerfhir.portal.states import Chip
from peerfhir.records import referrals
from peerfhir.records.outcomes import open_safety
from peerfhir.records.work import Work

_MOST_TRACES = 50


@dataclass(frozen=True)
class Worry:
    """An open safety event, as those who lead the program see it."""

    href: str
    text: str
    level: Chip
    when: str
    state: str


@dataclass(frozen=True)
class Count:
    """A number with its name."""

    number: int
    name: str


@dataclass(frozen=True)
class Entry:
    """A line of today's meetings, or of an engineer's list."""

    href: str
    text: str
    note: str = ""


def mount(pages: Blueprint, desk: Desk) -> None:
    """The route of the first page."""
    pages.add_url_rule("/", "home", partial(_home, desk))


def _home(desk: Desk) -> Response:
    actor = desk.staff()
    if actor.role is Role.ENGINEER:
        return _engineer(desk, actor)
    return _peer(desk, actor) if actor.role is Role.PEER else _lead(desk, actor)


def _hello(desk: Desk, actor: Actor) -> str:
    return desk.words.say("home.hello", name=actor.display)


# -- peers


def _peer(desk: Desk, actor: Actor) -> Response:
    with desk.work(actor) as work:
        found = mine(work, actor)
        new = [one for one in found if one.status is Status.MATCH_PROPOSED]
        shown = cards(work, desk, actor, new)
        today = _today(desk, work, actor, found)
        people = walking_with(work, actor)
        told = supervisors(work)
        work.audit("search", "home")
    words = desk.words
    return desk.page(
        "home_peer.html", _hello(desk, actor), actor, here="/", new=shown, today=today,
        people=words.say("home.your_people_count", count=len(people)) if people else "",
        support=words.say("home.support_people", names=", ".join(told)) if told else "",
    )  # fmt: skip


def _today(desk: Desk, work: Work, actor: Actor, found: list[Referral]) -> list[Entry]:
    calendar = desk.calendar(actor.program_id)
    day = calendar.local(work.now()).date()
    booked = [
        (one.meeting_at, one)
        for one in found
        if one.status is Status.INTRO_SCHEDULED and one.meeting_at and calendar.local(one.meeting_at).date() == day
    ]
    meetings = [
        Entry(
            f"/referrals/{one.id}",
            desk.words.say("home.meeting", name=work.person(one.person_id).given),
            calendar.time(at),
        )
        for at, one in sorted(booked, key=lambda pair: pair[0])
    ]
    return meetings + [
        Entry(
            f"/people/{one.person.id}/{one.instrument_id}",
            desk.words.say("home.ask", title=desk.words.called(one.instrument_id, one.title), name=one.person.given),
            desk.words.say("home.ask_by", date=calendar.day(one.until)),
        )
        for one in due(desk, work, actor)
    ]


# -- those who lead


def _lead(desk: Desk, actor: Actor) -> Response:
    words = desk.words
    with desk.work(actor) as work:
        found = mine(work, actor)
        needs: list[Card] = cards(work, desk, actor, [one for one in found if one.status in NEEDS_LEAD])
        worries = _worries(desk, work, actor)
        work.audit("search", "home")
    choosing = sum(1 for one in found if one.status is Status.MATCH_PROPOSED)
    walking = sum(1 for one in found if one.peer_accepted_at is not None)
    counts = [
        Count(len(needs), words.say("home.count_new")),
        Count(choosing, words.say("home.count_choosing")),
        Count(walking, words.say("home.count_walking")),
    ]
    return desk.page(
        "home_lead.html", _hello(desk, actor), actor, here="/", counts=counts, needs=needs, worries=worries
    )


def _worries(desk: Desk, work: Work, actor: Actor) -> list[Worry]:
    words, calendar = desk.words, desk.calendar(actor.program_id)
    return [
        Worry(
            href=f"/people/{one.person_id}",
            text=words.say("home.worry_line", name=work.person(one.person_id).given),
            level=Chip(words.say(f"worry_level.{one.level}"), "care"),
            when=words.say("home.worry_when", when=calendar.moment(one.raised_at)),
            state=words.say("home.worry_state", state=words.say(f"worry_state.{one.state}")),
        )
        for one in open_safety(work.connection, actor.program_id)
    ]


# -- engineers


def _engineer(desk: Desk, actor: Actor) -> Response:
    """Numbers alone: an engineer knows no names."""
    calendar = desk.calendar(actor.program_id)
    with desk.work(actor) as work:
        found = referrals.queue(work.connection, actor.program_id, open_only=False)[-_MOST_TRACES:]
        work.audit("search", "traces")
    entries = [
        Entry(f"/trace/{one.id}", one.number, calendar.moment(one.received_at) if one.received_at else "")
        for one in reversed(found)
    ]
    return desk.page("home_engineer.html", _hello(desk, actor), actor, here="/", entries=entries)
