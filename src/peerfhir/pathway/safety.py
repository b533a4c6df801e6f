"""A worrying answer and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # ports names SafetyEvent
    from peerfhir.pathway.ports import Books


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


def raise_once(books: Books, person_id: str, source: str, level: str, *, state: str = "raised") -> SafetyEvent:
    """The safety event of this source; the same answer submitted twice raises one (AC-SA-4).

    source  "outcome:<id>" or "encounter:<id>"
    level   urgent | stat
    state   raised, or sentinel-unknown when a total exists and the item was left blank
    """
    event = SafetyEvent(books.new_id(), books.program.id, person_id, source, level, books.now(), state)
    return books.safety_event_from(source) or books.save_safety_event(event)


def level_of(level: str, safe_now: str | None) -> str:
    """The peer's answer to "Are they safe right now?" can only raise the level. Source: docs/rules.md, Safety."""
    return "stat" if safe_now in ("no", "unsure") else level
