"""Outcome questionnaires: answers, scores, bands, missing data and sentinel items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from peerfhir.pathway.refusals import BadAnswer

DECLINED = "asked-declined"  # data-absent-reason: asked, and the person did not want to say


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
    stat_from: Decimal = Decimal(2)  # from here upwards the level is stat; Source: docs/rules.md, Safety


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
    bands: tuple[Band, ...] = ()
    lower_is_better: bool = True


@dataclass(frozen=True)
class Change:
    """How far two totals of one person must lie apart to mean something; `source` says who found that."""

    mcid: Decimal | None = None  # the smallest difference that matters to people
    reliable: Decimal | None = None  # the smallest one that is not the error of measurement
    source: str = ""

    @property
    def least(self) -> Decimal | None:
        """The smallest difference that is both, as far as it is known; None where nobody is named who found it."""
        known = [one for one in (self.mcid, self.reliable) if one is not None]
        return max(known, default=None) if self.source else None


@dataclass(frozen=True)
class Schedule:
    """When a questionnaire is asked, in days: first after enrolment, then again, and how much earlier or later."""

    baseline_days: int
    every_days: int
    window_days: int

    def due(self, began: date, last: date | None) -> tuple[date, date]:
        """The first and the last day on which it is to be asked.

        began  when the two began to work together
        last   when it was answered last, if ever
        """
        day = began + timedelta(self.baseline_days) if last is None else last + timedelta(self.every_days)
        return day - timedelta(self.window_days), day + timedelta(self.window_days)


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
    change: Change | None = None
    schedule: Schedule | None = None


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


def answered(instrument: Instrument, answers: Mapping[str, str]) -> dict[str, AnswerOption]:
    """The answers that were given, by link id in the order of the questionnaire; blank and declined ones are left out.

    answers  link id -> answer code, one of its other accepted codes, its words, or its number
    Raises   BadAnswer for an unknown item or answer: it is never counted as 0
    Source   docs/rules.md, Questionnaires
    """
    known = {item.link_id: item for item in instrument.items}
    for link_id in answers:
        if link_id not in known:
            raise BadAnswer("This questionnaire has no such item.", field="item")
    given = {i.link_id: answers[i.link_id].strip() for i in instrument.items if i.link_id in answers}
    return {link_id: read_answer(known[link_id], text) for link_id, text in given.items() if text not in ("", DECLINED)}


def read_answer(item: Item, text: str) -> AnswerOption:
    """The option meant by a code, another accepted code, the printed words or the number, tried in that order.

    Raises  BadAnswer
    Source  docs/rules.md, Questionnaires (an ordinal extension arrives here as a number)
    """
    words = " ".join(text.split()).casefold()
    for matches in (
        [o for o in item.options if o.code == text],
        [o for o in item.options if text in o.alternatives],
        [o for o in item.options if o.display.casefold() == words],
        [o for o in item.options if o.weight is not None and str(o.weight) == words],
    ):
        if len(matches) == 1:
            return matches[0]
    raise BadAnswer(field=item.link_id)


def score(instrument: Instrument, answers: Mapping[str, str]) -> Score:
    """Total, band, missing items and sentinel of one completion.

    Raises  BadAnswer; nothing is scored then
    Source  docs/rules.md, Questionnaires (PHQ-9: up to 2 missing, sum x items / answered, rounded half up)
    """
    given = answered(instrument, answers)
    scale = instrument.scale
    weights = [_weight(given[link_id]) for link_id in scale.items if link_id in given]
    missing = len(scale.items) - len(weights)
    total = None
    if weights and missing <= scale.max_missing:
        total = half_up(sum(weights, Fraction(0)) * len(scale.items) / len(weights))
    sentinel, level = _sentinel(instrument, given, scored=total is not None)
    return Score(
        total=total,
        answered=len(weights),
        missing=missing,
        band=None if total is None else band_of(scale, total),
        reason=None if total is not None else "too-many-missing" if weights else "not-answered",
        sentinel=sentinel,
        sentinel_level=level,
    )


def half_up(value: Fraction) -> Decimal:
    """Rounded to a whole number, halves upwards; exact, because 4.5 must give 5 and never 4."""
    return Decimal((2 * value.numerator + value.denominator) // (2 * value.denominator))


def band_of(scale: Scale, total: Decimal) -> Band | None:
    """The band with the highest lower bound that the total reaches."""
    reached = [band for band in scale.bands if band.from_score <= total]
    return max(reached, key=lambda band: band.from_score, default=None)


def _weight(option: AnswerOption) -> Fraction:
    if option.weight is None:
        raise BadAnswer("This answer has no value to count.", field="answer")
    return Fraction(option.weight)


def _sentinel(instrument: Instrument, given: Mapping[str, AnswerOption], *, scored: bool) -> tuple[str, str | None]:
    """none, raised or unknown, and the level; unknown when a total exists and the sentinel item is blank."""
    result: tuple[str, str | None] = ("none", None)
    for item in instrument.items:
        if item.sentinel is None:
            continue
        option = given.get(item.link_id)
        if option is None:
            result = ("unknown", item.sentinel.level) if scored and result[0] == "none" else result
        elif option.weight is not None and option.weight >= item.sentinel.at_least:
            stat = option.weight >= item.sentinel.stat_from
            return ("raised", "stat" if stat else item.sentinel.level)
    return result
