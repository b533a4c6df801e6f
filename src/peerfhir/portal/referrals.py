"""One referral: where it stands, and what can be done with it now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response

from peerfhir.access.links import make_link
from peerfhir.errors import Forbidden
from peerfhir.gateway.refusals import fault_of
from peerfhir.pathway.people import Actor, Peer, Person
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.refusals import NotFoundHere, Refusal
from peerfhir.pathway.vocabulary import Role, Status
from peerfhir.portal.actions import ACTIONS, Step, steps_of
from peerfhir.portal.desk import LEADS, WITH_PEOPLE, Desk, go
from peerfhir.portal.fields import Fact, Filled, Problem, problems, refused
from peerfhir.portal.forms import read, wall_clock
from peerfhir.portal.queue import shown_name
from peerfhir.portal.states import Chip, Moment, chip, history, meaning, time_line
from peerfhir.portal.words import Calendar
from peerfhir.records.work import Work

_LEAVES_THEM = frozenset({"not-me"})  # afterwards this peer sees the referral no more


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
