"""The ledger as a person reads it: what they allowed, and what has left and cannot be unsent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from peerfhir.pathway.consent import Grant
from peerfhir.pathway.people import Person
from peerfhir.pathway.vocabulary import Piece
from peerfhir.portal.desk import Desk
from peerfhir.portal.words import Calendar
from peerfhir.records import encounters
from peerfhir.records.messages import list_outbox
from peerfhir.records.work import Work

_MOST_SENT = 500


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
    """What has left, newest first; where a status went out several times on a day, it is told once."""
    rows = list_outbox(work.connection, person.program_id, state="done", person_id=person.id, limit=_MOST_SENT)
    found: list[Sent] = []
    told: set[tuple[date, str, str]] = set()
    for row in rows:
        at = row["settled_at"]
        if not row["endpoint"] or row["form"] == "kept" or at is None:
            continue
        recipient = (
            desk.parts.endpoints[row["endpoint"]].recipient if row["endpoint"] in desk.parts.endpoints else "hospital"
        )
        line = (calendar.local(at).date(), row["piece"], recipient)
        if line in told and row["piece"] in (Piece.STATUS, Piece.ITEM):
            continue
        told.add(line)
        what, whom = desk.words.say(f"piece.{row['piece']}"), desk.words.say(f"recipient_to.{recipient}")
        text = desk.words.say("me.already_line", what=what, whom=whom)
        found.append(
            Sent(calendar.moment(at), text, _said(work, row["piece"], row["record_id"], row["record_version"]))
        )
    return tuple(found)


def _said(work: Work, piece: str, record_id: str, version: int) -> str:
    """The words of a summary that went out, as they were then."""
    if piece != Piece.SUMMARY:
        return ""
    return encounters.at(work.connection, work.program.id, record_id, version).summary or ""
