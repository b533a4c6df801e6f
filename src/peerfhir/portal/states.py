"""Where a referral stands, as a chip with words, and how it came there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from peerfhir.pathway.people import Program
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.vocabulary import ContactOutcome, Status
from peerfhir.portal.words import Words
from peerfhir.records.referrals import REFERRAL
from peerfhir.records.schema import record_version
from peerfhir.records.versions import from_bytes

_TONES: dict[str, tuple[Status, ...]] = {
    "new": (Status.SENT, Status.RECEIVED, Status.TRIAGE),
    "wait": (
        Status.INFO_NEEDED, Status.WAITLISTED, Status.MATCHING, Status.MATCH_PROPOSED, Status.INTRO_MISSED,
        Status.INTRO_CANCELLED, Status.DECIDING, Status.PAUSED,
    ),
    "go": (
        Status.ASSIGNED, Status.OUTREACH, Status.CONTACT_MADE, Status.INTRO_SCHEDULED, Status.INTRO_DONE,
        Status.ENROLLED, Status.IN_CONTACT,
    ),
}  # fmt: skip
_TONE_OF = {status: tone for tone, statuses in _TONES.items() for status in statuses}


@dataclass(frozen=True)
class Chip:
    """A state in words; the tone only repeats what the words say."""

    text: str
    tone: str  # new | wait | go | rest | care


@dataclass(frozen=True)
class Moment:
    """One point of a time line."""

    at: datetime
    text: str
    when: str = ""


def chip(referral: Referral, program: Program, words: Words) -> Chip:
    """The state of a referral."""
    name = _name(referral)
    tried = tries(referral)
    text = words.say(f"status.{name}", tries=max(tried, 1), of=max(program.contact_attempts, tried))
    return Chip(text, "rest" if name == Status.CLOSED else _TONE_OF.get(referral.status, "rest"))


def _name(referral: Referral) -> str:
    """The state as the catalogue names it: it tells apart what the table holds as one."""
    if referral.status is Status.ENROLLED and referral.closed_at is not None:
        return Status.CLOSED
    if referral.status is Status.MATCH_PROPOSED and referral.peer_id is not None:
        return "asked"
    return referral.status


def tries(referral: Referral) -> int:
    """How often they could not be reached since they last answered."""
    tried = 0
    for one in referral.attempts:
        tried = 0 if one.outcome is ContactOutcome.ANSWERED else tried + 1
    return tried


def meaning(referral: Referral, words: Words) -> str:
    """One sentence about the state."""
    return words.say(f"meaning.{_name(referral)}")


def history(connection: Connection, program: Program, referral_id: str) -> list[tuple[datetime, Referral]]:
    """Every version of a referral with the instant it was kept, oldest first."""
    kept = record_version.c
    rows = connection.execute(
        select(kept.kept_at, kept.body)
        .where(kept.program_id == program.id, kept.kind == REFERRAL.kind, kept.id == referral_id)
        .order_by(kept.version)
    )
    return [(row.kept_at, from_bytes(REFERRAL.type, row.body)) for row in rows]


def time_line(kept: list[tuple[datetime, Referral]], program: Program, words: Words) -> list[Moment]:
    """What happened to a referral: each new state, each try, each day that was booked."""
    line: list[Moment] = []
    before: Referral | None = None
    for at, now in kept:
        if before is not None and len(now.attempts) > len(before.attempts):
            line += [
                Moment(one.at, f"{words.say(f'modality.{one.channel}')}: {words.say(f'contact_outcome.{one.outcome}')}")
                for one in now.attempts[len(before.attempts) :]
            ]
        if before is None or _name(now) != _name(before):
            line.append(Moment(at, chip(now, program, words).text))
        before = now
    return line
