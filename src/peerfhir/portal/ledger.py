"""The ledger as a person reads it: what they allowed, and what has left and cannot be unsent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from peerfhir.adapters.pieces import KEPT
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.people import Person
from peerfhir.pathway.vocabulary import Piece, Recipient
from peerfhir.portal.desk import Desk
from peerfhir.portal.words import Calendar
from peerfhir.records import encounters
from peerfhir.records.messages import list_outbox
from peerfhir.records.work import Work

_MOST_SENT = 500
_SAYS_THE_SAME = {Piece.PROCEDURE: Piece.ENCOUNTER, Piece.PANEL: Piece.TOTAL}  # to the person, not to a chart
_TOLD_OFTEN = frozenset({Piece.STATUS, Piece.ITEM})


@dataclass(frozen=True)
class Sent:
    """Something that has left, with its words where it had words."""

    when: str
    text: str
    words: str = ""


def granted(desk: Desk, calendar: Calendar, grant: Grant) -> str:
    """One line of what was allowed: what, to whom, from when, and until when if it has ended."""
    say = desk.words.say
    slots = {"what": say(f"share.{grant.share_class}"), "whom": say(f"recipient_to.{grant.recipient}")}
    since = calendar.moment(grant.granted_at)
    if grant.ended_at is None:
        return say("me.history_on", when=since, **slots)
    return say("me.history_off", when=since, until=calendar.moment(grant.ended_at), **slots)


def sent(desk: Desk, work: Work, calendar: Calendar, person: Person) -> tuple[Sent, ...]:
    """What has left, newest first; what went out several times on a day, or says the same again, is told once."""
    rows = list_outbox(work.connection, person.program_id, state="done", person_id=person.id, limit=_MOST_SENT)
    left = [row for row in rows if row["endpoint"] and row["form"] != KEPT and row["settled_at"] is not None]
    pieces = {(row["record_id"], row["piece"]) for row in left}
    found: list[Sent] = []
    told: set[tuple[date, str, str]] = set()
    for row in left:
        if (row["record_id"], _SAYS_THE_SAME.get(row["piece"])) in pieces:
            continue
        recipient = _recipient(desk, row["endpoint"])
        line = (calendar.local(row["settled_at"]).date(), row["piece"], recipient)
        if row["piece"] in _TOLD_OFTEN and line in told:
            continue
        told.add(line)
        what, whom = desk.words.say(f"piece.{row['piece']}"), desk.words.say(f"recipient_to.{recipient}")
        text = desk.words.say("me.already_line", what=what, whom=whom)
        said = _said(work, row["piece"], row["record_id"], row["record_version"])
        found.append(Sent(calendar.moment(row["settled_at"]), text, said))
    return tuple(found)


def _recipient(desk: Desk, endpoint: str) -> str:
    """For whom an endpoint receives; one that is no longer configured was a hospital."""
    known = desk.parts.endpoints.get(endpoint)
    return known.recipient if known is not None else Recipient.HOSPITAL


def _said(work: Work, piece: str, record_id: str, version: int) -> str:
    """The words of a summary that went out, as they were then."""
    if piece != Piece.SUMMARY:
        return ""
    return encounters.at(work.connection, work.program.id, record_id, version).summary or ""
