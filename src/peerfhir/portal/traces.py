"""The trail of one referral: what came in, what was kept, what went out; never what it says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response

from peerfhir.pathway.vocabulary import Role
from peerfhir.portal.desk import LEADS, Desk
from peerfhir.portal.words import Words
from peerfhir.records.trace import Hop, trace

_READERS = LEADS | {Role.ENGINEER}
_TONES = {"done": "go", "parked": "care", "never": "care", "later": "wait", "reconcile": "wait"}
_KINDS = {"received": "new", "owed": "wait"}


@dataclass(frozen=True)
class Line:
    """One hop in words."""

    machine: str  # the instant, for the element's datetime
    when: str
    what: str
    state: str
    tone: str
    detail: str


def mount(pages: Blueprint, desk: Desk) -> None:
    """The route of the trace."""
    pages.add_url_rule("/trace/<referral_id>", "trace", partial(_trace, desk))


def _trace(desk: Desk, referral_id: str) -> Response:
    actor = desk.staff(_READERS)
    calendar = desk.calendar(actor.program_id)
    with desk.work(actor) as work:
        referral = work.referral(referral_id)
        lines = [
            Line(
                machine=hop.at.isoformat(),
                when=f"{calendar.day_year(calendar.local(hop.at).date())}, {calendar.local(hop.at):%H:%M:%S}",
                what=_what(desk.words, hop),
                state=_state(desk.words, hop),
                tone=_TONES.get(hop.what) or _KINDS.get(hop.kind, "rest"),
                detail=f"{hop.id} · {hop.detail}" if hop.detail else hop.id,
            )
            for hop in trace(work.connection, actor.program_id, referral.id)
        ]
        work.audit("read", f"trace/{referral.id}", referral.person_id)
    title = desk.words.say("trace.title", number=referral.number)
    back = "/" if actor.role is Role.ENGINEER else f"/referrals/{referral.id}"
    return desk.page("trace.html", title, actor, here="/referrals", lines=lines, back=back)


def _what(words: Words, hop: Hop) -> str:
    return words.say(f"trace.kind.{hop.kind}")


def _state(words: Words, hop: Hop) -> str:
    """The state in words, where the catalogue has some; else as it is kept, because engineers look it up."""
    for key in (f"trace.state.{hop.what}", f"piece_name.{hop.what}"):
        if words.knows(key):
            return words.say(key)
    if hop.kind == "referral":
        return words.say(f"status.{hop.what}", tries="", of="")
    return hop.what
