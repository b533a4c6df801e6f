"""What may be shared with whom, until when, and what withdrawal does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from peerfhir.pathway.vocabulary import Recipient, ShareClass


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
