"""Outcome questionnaires: answers, scores, bands, missing data and sentinel items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class AnswerOption:
    """One allowed answer: code and system as in the questionnaire, weight when it is scored."""

    code: str
    system: str
    display: str
    weight: Decimal | None = None
    alternatives: tuple[str, ...] = ()  # other codes accepted for the same answer


@dataclass(frozen=True)
class Sentinel:
    """An item whose answer needs a person to act, from `at_least` upwards."""

    at_least: Decimal
    level: str = "urgent"


@dataclass(frozen=True)
class Item:
    """One question."""

    link_id: str
    text: str
    code: str | None = None  # LOINC
    options: tuple[AnswerOption, ...] = ()
    sentinel: Sentinel | None = None


@dataclass(frozen=True)
class Band:
    """A label from a lower bound (inclusive) upwards."""

    from_score: Decimal
    code: str
    label: str


@dataclass(frozen=True)
class Scale:
    """How a total is made from items."""

    id: str
    items: tuple[str, ...]  # link ids
    low: Decimal
    high: Decimal
    max_missing: int = 0  # above it there is no total
    missing_method: str = "prorate-half-up"  # the only one so far
    bands: tuple[Band, ...] = ()
    lower_is_better: bool = True


@dataclass(frozen=True)
class Instrument:
    """A questionnaire as frozen values; there is no code per instrument."""

    id: str
    title: str
    version: str
    url: str
    panel_code: str  # LOINC
    total_code: str  # LOINC
    panel_display: str
    total_display: str
    items: tuple[Item, ...]
    scale: Scale
    notices: tuple[str, ...] = ()  # display items, in order
    copyright: str = ""


@dataclass(frozen=True)
class Score:
    """What scoring gave. `total` is None when the missing-data rule forbids one; `reason` says why."""

    total: Decimal | None
    answered: int
    missing: int
    band: Band | None = None
    reason: str | None = None  # not-answered | too-many-missing
    sentinel: str = "none"  # none | raised | unknown
    sentinel_level: str | None = None  # urgent | stat


@dataclass(frozen=True)
class Outcome:
    """One completed questionnaire; never overwritten, an amendment is a new version."""

    id: str
    program_id: str
    person_id: str
    instrument_id: str
    number: str  # ours, for example QR-000123
    answered_at: datetime
    answers: Mapping[str, str] = field(default_factory=dict)  # link id -> answer code
    referral_id: str | None = None
    engagement_id: str | None = None
    encounter_id: str | None = None
    total: Decimal | None = None
    band_code: str | None = None
    band_label: str | None = None
    absent_reason: str | None = None
    sentinel: str = "none"
    administered_by: str = "person"
    recorded_by: str | None = None
    absent: Mapping[str, str] = field(default_factory=dict)  # link id -> why there is no answer: asked-declined
    client_uuid: str | None = None  # set by the form; the same form twice is once
    version: int = 0
