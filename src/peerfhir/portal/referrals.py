"""The queue of referrals, and one referral: where it stands and what can be done with it now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask import Blueprint, Response

from peerfhir.access.links import make_link
from peerfhir.errors import Forbidden
from peerfhir.gateway.refusals import fault_of
from peerfhir.pathway.people import Actor, Peer, Person
from peerfhir.pathway.referral import Referral, is_open
from peerfhir.pathway.refusals import NotFoundHere, Refusal
from peerfhir.pathway.vocabulary import Priority, Role, Status
from peerfhir.portal.actions import ACTIONS, Step, steps_of
from peerfhir.portal.desk import LEADS, WITH_PEOPLE, Desk, go
from peerfhir.portal.fields import Filled, Problem, problems, refused
from peerfhir.portal.forms import read, wall_clock
from peerfhir.portal.states import Chip, Moment, chip, history, meaning, time_line
from peerfhir.portal.words import Calendar
from peerfhir.records import referrals as kept
from peerfhir.records.work import Work

_NEEDS_LEAD = (Status.RECEIVED, Status.TRIAGE, Status.MATCHING)
_WAITING = (Status.WAITLISTED, Status.INFO_NEEDED, Status.PAUSED)
_GROUPS: tuple[tuple[str, tuple[Status, ...]], ...] = (
    ("needs_you", _NEEDS_LEAD),
    ("choosing", (Status.MATCH_PROPOSED,)),
    ("waiting", _WAITING),
    ("enrolled", (Status.ENROLLED,)),
)
_LEAVES_THEM = frozenset({"not-me"})  # afterwards this peer sees the referral no more


@dataclass(frozen=True)
class Fact:
    """A line of a list of facts."""

    name: str
    text: str


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


@dataclass(frozen=True)
class Offer:
    """A peer who may fit, and why."""

    name: str
    initials: str
    title: str
    reasons: tuple[str, ...]
    chosen: bool = False


@dataclass(frozen=True)
class ReferralView:
    """Everything the page of one referral shows."""

    heading: str
    number: str
    chip: Chip
    meaning: str
    steps: tuple[Step, ...]
    aside: tuple[Step, ...]
    why: str
    why_by: str
    facts: tuple[Fact, ...]
    offers: tuple[Offer, ...]
    asked_for: str  # the peer who was chosen, or has said yes
    nobody_fits: bool
    line: tuple[Moment, ...]
    given: str
    link: str = ""  # where to make the person's link
    person: str = ""
    trace: str = ""
    contact_prohibited: bool = False
    choosing: bool = False


def mount(pages: Blueprint, desk: Desk) -> None:
    """The routes of referrals."""
    pages.add_url_rule("/referrals", "referrals", partial(_queue, desk))
    pages.add_url_rule("/referrals/<referral_id>", "referral", partial(_referral, desk))
    for name in ACTIONS:
        pages.add_url_rule(
            f"/referrals/<referral_id>/{name}", f"referral_{name}", partial(_act, desk, name=name), methods=["POST"]
        )
    pages.add_url_rule("/referrals/<referral_id>/link", "referral_link", partial(_link, desk), methods=["POST"])


def seen_by(work: Work, actor: Actor, referral_id: str) -> Referral:
    """The referral, when this actor may see it. Raises NotFoundHere for a peer's colleague's as for none."""
    referral = work.referral(referral_id)
    if actor.role is Role.PEER and referral.peer_id != actor.peer_id:
        raise NotFoundHere
    return referral


# -- the queue


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


# -- one referral


def _referral(desk: Desk, referral_id: str) -> Response:
    return _page(desk, desk.staff(WITH_PEOPLE), referral_id)


def _page(
    desk: Desk, actor: Actor, referral_id: str, came_back: tuple[str, Filled] | None = None, status: int = 200
) -> Response:
    with desk.work(actor) as work:
        referral = seen_by(work, actor, referral_id)
        view = _view(desk, work, actor, referral, came_back)
        work.audit("read", f"referral/{referral.id}", referral.person_id)
    found: tuple[Problem, ...] = ()
    if came_back is not None:
        controls = [control for step in (*view.steps, *view.aside) for control in step.controls if step.open]
        found = problems(came_back[1], controls)
    return desk.page("referral.html", view.heading, actor, here="/referrals", status=status, view=view, problems=found)


def _view(
    desk: Desk, work: Work, actor: Actor, referral: Referral, came_back: tuple[str, Filled] | None
) -> ReferralView:
    words, program, calendar = desk.words, work.program, desk.calendar(actor.program_id)
    person = work.person(referral.person_id)
    roster = {peer.id: peer for peer in work.peers()}
    steps = steps_of(referral, work.engagement_of(referral.id), actor, program, words, person.given, came_back)
    asked_for = roster.get(referral.peer_id or "")
    line = time_line(history(work.connection, program, referral.id), program, words)
    closed = referral.closed_at is not None
    return ReferralView(
        heading=words.say("referral.title", name=shown_name(referral, person, actor)),
        number=words.say("referral.number", number=referral.number),
        chip=chip(referral, program, words),
        meaning=meaning(referral, words),
        steps=tuple(step for step in steps if not step.aside),
        aside=tuple(step for step in steps if step.aside),
        why=referral.reason or "",
        why_by=words.say("referral.why_by", name=referral.requested_by) if referral.requested_by else "",
        facts=_facts(desk, calendar, actor, referral, person, asked_for),
        offers=_offers(referral, roster) if actor.role is not Role.PEER else (),
        asked_for=asked_for.display if asked_for else "",
        nobody_fits=referral.status is Status.MATCHING and not referral.proposals and actor.role is not Role.PEER,
        line=tuple(Moment(one.at, one.text, calendar.moment(one.at)) for one in line),
        given=person.given,
        link="" if closed else f"/referrals/{referral.id}/link",
        person=f"/people/{person.id}" if _may_open(referral, actor) else "",
        trace=f"/trace/{referral.id}" if actor.role in LEADS else "",
        contact_prohibited=referral.contact_prohibited,
        choosing=referral.status is Status.MATCH_PROPOSED and referral.peer_id is None,
    )


def _may_open(referral: Referral, actor: Actor) -> bool:
    return actor.role is not Role.PEER or referral.status is not Status.MATCH_PROPOSED


def _facts(
    desk: Desk, calendar: Calendar, actor: Actor, referral: Referral, person: Person, peer: Peer | None
) -> tuple[Fact, ...]:
    words = desk.words
    language = person.wishes.language
    safe = person.safe_contact or words.say("referral.safe_contact_none")
    known = words.knows(f"languages.{language}")
    lines = [
        ("safe_contact", safe),
        ("phone", person.phone if _may_open(referral, actor) else None),
        ("language", words.say(f"languages.{language}") if known else None),
        ("meeting", calendar.moment(referral.meeting_at) if referral.meeting_at else None),
        ("contact_agreed", words.say(f"agreed.{referral.contact_agreed}")),
        ("service", words.say(f"service.{referral.service}")),
        ("priority", words.say(f"priority.{referral.priority}")),
        ("asked_by", referral.requested_by),
    ]
    return tuple(Fact(words.say(f"referral.{name}"), text) for name, text in lines if text)


def _offers(referral: Referral, roster: dict[str, Peer]) -> tuple[Offer, ...]:
    found = [(roster[one.peer_id], one) for one in referral.proposals if one.peer_id in roster]
    return tuple(
        Offer(peer.display, initials(peer.display), peer.title, one.reasons, chosen=peer.id == referral.peer_id)
        for peer, one in found
    )


def initials(display: str) -> str:
    """Up to two letters that stand for a picture."""
    return "".join(part[0] for part in display.split()[:2]).upper()


# -- steps


def _act(desk: Desk, referral_id: str, name: str) -> Response:
    actor = desk.staff(WITH_PEOPLE)
    action = ACTIONS[name]
    data, filled = read(action.form(), desk.posted(), desk.words)
    data, filled = wall_clock(data, filled, ("at",), desk.calendar(actor.program_id), desk.words)
    if not filled.good:
        return _page(desk, actor, referral_id, (name, filled), 422)
    try:
        with desk.work(actor) as work:
            seen_by(work, actor, referral_id)
            action.run(work, referral_id, data)
    except NotFoundHere:
        raise
    except Refusal as refusal:
        back = refused(filled, refusal, desk.words)
        return _page(desk, actor, referral_id, (name, back), fault_of(refusal).status)
    return go("/referrals" if name in _LEAVES_THEM else f"/referrals/{referral_id}", done=name)


def _link(desk: Desk, referral_id: str) -> Response:
    """Make the person's link and show it, once: it is a secret, so there is no page to come back to."""
    actor = desk.staff(WITH_PEOPLE)
    desk.posted()
    with desk.work(actor) as work:
        referral = seen_by(work, actor, referral_id)
        if not _may_open(referral, actor):
            raise Forbidden
        person = work.person(referral.person_id)
        key = make_link(work.connection, desk.parts.clock, actor.program_id, person.id, actor.id)
        work.audit("create", f"link/{person.id}", person.id)
    return desk.page(
        "link.html", desk.words.say("link.title", given=person.given), actor, here="/referrals", narrow=True,
        given=person.given, href=f"{desk.parts.settings.base_url}/me/{key}", back=f"/referrals/{referral_id}",
    )  # fmt: skip
