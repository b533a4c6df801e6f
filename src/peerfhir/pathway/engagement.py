"""Walking alongside: the engagement that outlives the referral, and its stages as an event log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from peerfhir.pathway.vocabulary import Stage


@dataclass(frozen=True)
class StageEvent:
    """A stage was entered; any stage may be entered again."""

    stage: Stage
    at: datetime
    by: str  # actor id


@dataclass(frozen=True)
class Engagement:
    """A person and a peer working together (FHIR EpisodeOfCare)."""

    id: str
    program_id: str
    referral_id: str
    person_id: str
    peer_id: str
    number: str  # ours, for example EP-000123
    status: str = "active"  # planned | active | onhold | finished
    started_at: datetime | None = None
    ended_at: datetime | None = None
    closing_reason: str | None = None
    stages: tuple[StageEvent, ...] = ()
    version: int = 0
