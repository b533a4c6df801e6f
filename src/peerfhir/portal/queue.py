"""The queue: every open referral that somebody sees, by what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask import Blueprint, Response

from peerfhir.pathway.people import Actor, Peer, Person
from peerfhir.pathway.referral import Referral, is_open
from peerfhir.pathway.vocabulary import Priority, Role, Status
from peerfhir.portal.desk import WITH_PEOPLE, Desk
from peerfhir.portal.states import Chip, chip
from peerfhir.portal.words import Calendar
from peerfhir.records import referrals as kept
from peerfhir.records.work import Work

NEEDS_LEAD = (Status.RECEIVED, Status.TRIAGE, Status.MATCHING)
_WAITING = (Status.WAITLISTED, Status.INFO_NEEDED, Status.PAUSED)
_GROUPS: tuple[tuple[str, tuple[Status, ...]], ...] = (
    ("needs_you", NEEDS_LEAD),
    ("choosing", (Status.MATCH_PROPOSED,)),
    ("waiting", _WAITING),
    ("enrolled", (Status.ENROLLED,)),
)


@dataclass(frozen=True)
class Card:
    """One referral in a list."""

    href: str
    name: str
    chip: Chip
    since: str
    number: str
    why: str = ""
    priority: Chip | None = None
    peer: str = ""


@dataclass(frozen=True)
class Group:
    """A heading of the queue and what stands below it."""

    title: str
    cards: tuple[Card, ...]


def mount(pages: Blueprint, desk: Desk) -> None:
    """The route of the queue."""
    pages.add_url_rule("/referrals", "referrals", partial(_queue, desk))


def mine(work: Work, actor: Actor) -> list[Referral]:
    """The open referrals that an actor sees: the most urgent first, then the oldest."""
    if actor.role is Role.PEER:
        found = kept.of_peer(work.connection, actor.program_id, actor.peer_id or "")
    else:
        found = kept.queue(work.connection, actor.program_id)
    rank = {priority: place for place, priority in enumerate(Priority)}
    return sorted((one for one in found if is_open(one)), key=lambda one: -rank[one.priority])


def cards(work: Work, desk: Desk, actor: Actor, found: list[Referral]) -> list[Card]:
    """Referrals as cards of a list."""
    calendar = desk.calendar(actor.program_id)
    peers = {peer.id: peer for peer in work.peers()}
    return [
        _card(desk, calendar, actor, one, work.person(one.person_id), peers.get(one.peer_id or "")) for one in found
    ]


def _card(desk: Desk, calendar: Calendar, actor: Actor, referral: Referral, person: Person, peer: Peer | None) -> Card:
    words, program = desk.words, desk.program(actor.program_id)
    rush = referral.priority is not Priority.ROUTINE
    return Card(
        href=f"/referrals/{referral.id}",
        name=shown_name(referral, person, actor),
        chip=chip(referral, program, words),
        since=words.say("queue.since", when=_when(calendar, referral.received_at)),
        number=referral.number,
        why=referral.reason or "",
        priority=Chip(words.say(f"priority.{referral.priority}"), "care") if rush else None,
        peer=words.say("queue.with_peer", name=peer.display) if peer and actor.role is not Role.PEER else "",
    )


def shown_name(referral: Referral, person: Person, actor: Actor) -> str:
    """A peer who has not said yes knows the first name only."""
    if actor.role is Role.PEER and referral.status is Status.MATCH_PROPOSED:
        return person.given
    return f"{person.given} {person.family}"


def _when(calendar: Calendar, at: datetime | None) -> str:
    return calendar.moment(at) if at else ""


def _queue(desk: Desk) -> Response:
    actor = desk.staff(WITH_PEOPLE)
    with desk.work(actor) as work:
        found = mine(work, actor)
        shown = dict(zip((one.id for one in found), cards(work, desk, actor, found), strict=True))
        work.audit("search", "referrals")
    words = desk.words
    groups = _grouped(found, shown, actor, words.say)
    lead = words.say("queue.lead_peer" if actor.role is Role.PEER else "queue.lead_all")
    title = words.say("queue.title")
    return desk.page("referrals.html", title, actor, here="/referrals", lead=lead, groups=groups)


def _grouped(
    found: list[Referral], shown: dict[str, Card], actor: Actor, say: Callable[[str], str]
) -> tuple[Group, ...]:
    def of(statuses: tuple[Status, ...]) -> tuple[Card, ...]:
        return tuple(shown[one.id] for one in found if one.status in statuses)

    if actor.role is Role.PEER:
        named = [
            ("needs_peer", of((Status.MATCH_PROPOSED,))),
            ("waiting", of(_WAITING)),
            ("enrolled", of((Status.ENROLLED,))),
        ]
    else:
        named = [(name, of(statuses)) for name, statuses in _GROUPS]
    in_one = {card.href for _, some in named for card in some}
    named.insert(-1, ("walking", tuple(card for card in shown.values() if card.href not in in_one)))
    return tuple(Group(say(f"queue.{name}"), some) for name, some in named if some)
