"""A person's own page: who their peer is, what is shared with whom, what was sent, and stopping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response

from peerfhir.errors import Forbidden
from peerfhir.gateway import door
from peerfhir.pathway import steps
from peerfhir.pathway.consent import Grant, has_chosen, in_force
from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.referral import Referral, is_open
from peerfhir.pathway.refusals import NotFoundHere, Refusal
from peerfhir.pathway.vocabulary import Recipient, ShareClass, Status
from peerfhir.portal.desk import Desk, Posted, go, link_of
from peerfhir.portal.fields import Problem
from peerfhir.portal.forms import ChooseForm, read
from peerfhir.portal.ledger import Sent, granted, sent
from peerfhir.portal.referrals import Offer, initials
from peerfhir.portal.words import Calendar
from peerfhir.records.work import Work

# What can be let out today; the other classes of the vocabulary have nothing behind them yet.
SHOWN = (
    ShareClass.ATTENDANCE, ShareClass.SUMMARY, ShareClass.SCORES, ShareClass.ITEM_LEVEL, ShareClass.CARE_TEAM_CONTACT,
)  # fmt: skip
_ORDER = (Recipient.HOSPITAL, Recipient.REFERRER, *Recipient)
_RECIPIENTS = frozenset(one.value for one in Recipient)
_CLASSES = frozenset(one.value for one in ShareClass)


@dataclass(frozen=True)
class Switch:
    """One class of one recipient."""

    name: str  # "hospital.summary"
    title: str
    means: str
    on: bool


@dataclass(frozen=True)
class Sharing:
    """The switches of one recipient."""

    code: str
    recipient: str
    switches: tuple[Switch, ...]


@dataclass(frozen=True)
class OwnView:
    """Everything the page shows."""

    given: str
    peer: str
    peer_name: str
    meeting: str
    offers: tuple[tuple[str, Offer], ...]
    can_change: bool
    sharing: tuple[Sharing, ...]
    chosen: str
    stopped: bool
    sent: tuple[Sent, ...]
    history: tuple[str, ...]


def mount(pages: Blueprint, desk: Desk) -> None:
    """The routes of the person's page."""
    pages.add_url_rule("/me/<key>", "me", partial(_me, desk))
    for name, handle in (("choose", _choose), ("change-peer", _change), ("sharing", _sharing), ("stop", _stop)):
        pages.add_url_rule(f"/me/<key>/{name}", f"me_{name}", partial(handle, desk), methods=["POST"])


def _me(desk: Desk, key: str) -> Response:
    return _page(desk, door.by_link(key), key)


def _page(desk: Desk, actor: Actor, key: str, problems: tuple[Problem, ...] = (), status: int = 200) -> Response:
    with desk.work(actor) as work:
        view = _view(desk, work, work.person(actor.person_id or ""))
        work.audit("read", f"person/{actor.person_id}", actor.person_id)
    title = desk.words.say("me.title", given=view.given)
    return desk.own_page("me.html", title, desk.program(actor.program_id), key, status, view=view, problems=problems)


# -- what it shows


def _view(desk: Desk, work: Work, person: Person) -> OwnView:
    words, calendar = desk.words, desk.calendar(person.program_id)
    referral = _current(work, person)
    peer = work.peer(referral.peer_id) if referral and referral.peer_id else None
    accepted = referral is not None and referral.peer_accepted_at is not None
    grants = work.grants_of(person.id)
    line = words.say("me.peer_none" if referral else "me.peer_ended")
    if peer is not None:
        line = words.say("me.peer_is" if accepted else "me.peer_asked", name=peer.display)
    booked = referral.meeting_at if referral and referral.status is Status.INTRO_SCHEDULED else None
    return OwnView(
        given=person.given,
        peer=line,
        peer_name=peer.display if peer else "",
        meeting=words.say("me.meeting", when=calendar.moment(booked)) if booked else "",
        offers=_offers(work, referral) if referral and peer is None else (),
        can_change=referral is not None and peer is not None and _may_change(referral),
        sharing=tuple(_switches(desk, work, one, grants) for one in _recipients(work)),
        chosen=_chosen(desk, calendar, person, grants),
        stopped=person.sharing_stopped_at is not None,
        sent=sent(desk, work, calendar, person),
        history=tuple(granted(desk, calendar, grant) for grant in grants),
    )


def _current(work: Work, person: Person) -> Referral | None:
    """The referral that is under way; the latest, when there are several."""
    return next((one for one in reversed(work.referrals_of(person.id)) if is_open(one)), None)


def _may_change(referral: Referral) -> bool:
    return referral.status not in (Status.ENROLLED, Status.PAUSED, Status.INFO_NEEDED)


def _offers(work: Work, referral: Referral) -> tuple[tuple[str, Offer], ...]:
    if referral.status is not Status.MATCH_PROPOSED:
        return ()
    found = [(work.peer(one.peer_id), one.reasons) for one in referral.proposals]
    return tuple((peer.id, Offer(peer.display, initials(peer.display), peer.title, why)) for peer, why in found)


def _recipients(work: Work) -> list[Recipient]:
    return [one for one in dict.fromkeys(_ORDER) if one in work.program.recipients]


def _switches(desk: Desk, work: Work, recipient: Recipient, grants: Iterable[Grant]) -> Sharing:
    say = desk.words.say
    on = {one.share_class for one in grants if one.recipient is recipient and in_force(one, work.now())}
    switches = tuple(
        Switch(f"{recipient}.{share}", say(f"share.{share}"), say(f"share_means.{share}"), share in on)
        for share in ShareClass
        if share in SHOWN or share in on
    )
    return Sharing(recipient.value, say(f"recipient.{recipient}"), switches)


def _chosen(desk: Desk, calendar: Calendar, person: Person, grants: Iterable[Grant]) -> str:
    if person.sharing_stopped_at is not None:
        return desk.words.say("me.sharing_stopped")
    if not has_chosen(person) or person.sharing_chosen_at is None:
        return desk.words.say("me.sharing_not_chosen")
    moments = [person.sharing_chosen_at, *(grant.ended_at or grant.granted_at for grant in grants)]
    return desk.words.say("me.sharing_chosen", when=calendar.moment(max(moments)))


# -- what the person does


def _own_form(desk: Desk, key: str) -> tuple[Actor, Posted]:
    actor = door.by_link(key)
    return actor, desk.posted(link_of(key))


def _done(desk: Desk, key: str, done: str) -> Response:
    return go(f"/me/{key}", done)


def _refused(desk: Desk, actor: Actor, key: str, refusal: Refusal) -> Response:
    sentence = desk.words.say(f"refusal.{refusal.reason}")
    return _page(desk, actor, key, (Problem(sentence),), 422)


def _choose(desk: Desk, key: str) -> Response:
    actor, posted = _own_form(desk, key)
    data, filled = read(ChooseForm(), posted, desk.words)
    if not filled.good:
        raise Forbidden
    wanted = data["peer_id"] if data["peer_id"] not in ("", "none") else None
    try:
        with desk.work(actor) as work:
            steps.choose_peer(work, _open_one(work, actor).id, wanted)
    except Refusal as refusal:
        return _refused(desk, actor, key, refusal)
    return _done(desk, key, "chosen" if wanted else "chosen-none")


def _change(desk: Desk, key: str) -> Response:
    actor, _ = _own_form(desk, key)
    try:
        with desk.work(actor) as work:
            steps.change_peer(work, _open_one(work, actor).id)
    except Refusal as refusal:
        return _refused(desk, actor, key, refusal)
    return _done(desk, key, "chosen-none")


def _open_one(work: Work, actor: Actor) -> Referral:
    found = _current(work, work.person(actor.person_id or ""))
    if found is None:
        raise NotFoundHere
    return found


def _sharing(desk: Desk, key: str) -> Response:
    """Ticked boxes are named "hospital.summary"; what is not named is off."""
    actor, posted = _own_form(desk, key)
    choices: dict[Recipient, frozenset[ShareClass]] = {}
    for name in posted:
        recipient, _, share = name.partition(".")
        if recipient in _RECIPIENTS and share in _CLASSES:
            to = Recipient(recipient)
            choices[to] = choices.get(to, frozenset()) | {ShareClass(share)}
    try:
        with desk.work(actor) as work:
            steps.choose_sharing(work, actor.person_id or "", choices)
    except Refusal as refusal:
        return _refused(desk, actor, key, refusal)
    return _done(desk, key, "sharing")


def _stop(desk: Desk, key: str) -> Response:
    actor, _ = _own_form(desk, key)
    try:
        with desk.work(actor) as work:
            steps.stop_sharing(work, actor.person_id or "")
    except Refusal as refusal:
        return _refused(desk, actor, key, refusal)
    return _done(desk, key, "stop")
