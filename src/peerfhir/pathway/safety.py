"""A worrying answer and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class SafetyEvent:
    """Raised by a sentinel item or by a peer's worry; closing needs a named assessor."""

    id: str
    program_id: str
    person_id: str
    source: str  # "outcome:<id>" or "encounter:<id>"; the same source raises one event
    level: str  # urgent | stat
    raised_at: datetime
    state: str = "raised"  # raised | acknowledged | warm-handoff | clinician-assessed | closed | sentinel-unknown
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    disposition: str | None = None
    version: int = 0
