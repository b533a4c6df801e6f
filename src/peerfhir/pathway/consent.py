"""What may be shared with whom, until when, and what withdrawal does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from peerfhir.pathway.people import Person
from peerfhir.pathway.vocabulary import Piece, Recipient, ShareClass

PAUSED = "paused"  # the one no that becomes a yes by waiting


@dataclass(frozen=True)
class Grant:
    """One line of the ledger: person x recipient x share class x purpose x period x evidence."""

    id: str
    program_id: str
    person_id: str
    recipient: Recipient
    share_class: ShareClass
    granted_at: datetime
    purpose: str = "TREAT"  # v3-ActReason
    until: datetime | None = None  # None: until ended
    evidence: str = "said-so"  # said-so | signed | document
    recorded_by: str = ""
    ended_at: datetime | None = None
    end_reason: str | None = None  # narrowed | withdrawn | expired
    version: int = 0


@dataclass(frozen=True)
class Decision:
    """May it be shared? `grant_id` is the evidence when it may; `reason` says why not."""

    permit: bool
    reason: str
    grant_id: str | None = None


def in_force(grant: Grant, now: datetime) -> bool:
    """Whether this line of the ledger holds now: from `granted_at` on, before its end and before `until`."""
    ended = grant.ended_at is not None and grant.ended_at <= now
    expired = grant.until is not None and grant.until <= now
    return grant.granted_at <= now and not ended and not expired


def has_chosen(person: Person) -> bool:
    """The person has said what may be shared, and has not stopped since. Until then almost nothing is told."""
    return person.sharing_chosen_at is not None and person.sharing_stopped_at is None


def may_share(
    grants: Sequence[Grant],
    recipient: Recipient | None,
    share_class: ShareClass,
    now: datetime,
    *,
    person_stopped: bool,
    is_origin: bool,
    piece: Piece,
    paused: bool = False,
) -> Decision:
    """May this piece go to this recipient now? No answer means no.

    grants     all lines of the person, ended ones too: they say why not
    is_origin  the recipient made the order this piece is about; it may always learn the order's own status
    paused     while the person pauses, nothing but status goes out
    Returns    reason own-order | granted | sharing-stopped | no-recipient | paused | withdrawn | narrowed |
               expired | not-yet | no-grant
    Source     docs/rules.md, Consent
    """
    if piece is Piece.STATUS and is_origin:
        return Decision(True, "own-order")
    if person_stopped:
        return Decision(False, "sharing-stopped")
    if recipient is None:
        return Decision(False, "no-recipient")
    if paused and piece is not Piece.STATUS:
        return Decision(False, PAUSED)
    lines = [g for g in grants if g.recipient is recipient and g.share_class is share_class]
    holding = min((g for g in lines if in_force(g, now)), key=lambda g: (g.granted_at, g.id), default=None)
    if holding is None:
        return Decision(False, _why_not(lines, now))
    return Decision(True, "granted", holding.id)


def _why_not(lines: Iterable[Grant], now: datetime) -> str:
    """What the latest line for this recipient and class says."""
    latest = max(lines, key=lambda g: (g.granted_at, g.id), default=None)
    if latest is None:
        return "no-grant"
    if latest.ended_at is not None and latest.ended_at <= now:
        return latest.end_reason or "withdrawn"
    return "expired" if latest.granted_at <= now else "not-yet"
