"""Who could walk alongside whom, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from peerfhir.pathway.outcome import half_up
from peerfhir.pathway.people import Peer, Person, Program, Weights
from peerfhir.pathway.referral import Proposal, Referral
from peerfhir.pathway.vocabulary import ServiceType

MOST_PROPOSALS = 3  # Source: docs/rules.md, Matching
INTRODUCTION_LOAD = Decimal("1.5")  # weight of a new person in a caseload; Source: docs/rules.md, Matching
ACTIVE_LOAD = Decimal("1.0")  # of a person met weekly
NEEDS_BADGE = frozenset({ServiceType.BEDSIDE_ED, ServiceType.DISCHARGE_BRIDGE})
HOSPITAL_BADGE = "hospital"

LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "ht": "Haitian Creole",
    "it": "Italian",
    "ko": "Korean",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "so": "Somali",
    "tl": "Tagalog",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


@dataclass(frozen=True)
class _Point:
    """One soft criterion: how much of its weight was earned, and the words for it (None: not to be said)."""

    weight: int
    share: Fraction
    words: str | None


def propose(
    person: Person,
    referral: Referral,
    peers: Iterable[Peer],
    program: Program,
    today: date,
    now: datetime,
    *,
    previous: frozenset[str] = frozenset(),
) -> tuple[Proposal, ...]:
    """At most three peers, best first, each with a score from 0 to 100 and reasons in plain words.

    today     the local day of the program: a credential is valid to the end of its last day
    previous  ids of peers who walked with this person before
    Rules     private tags are not looked at. Tags for matching only help to choose who is among the three;
              the score shown, the reasons and the order of the three come from public tags alone.
    Source    docs/rules.md, Matching
    """
    fit = [p for p in peers if p.id not in referral.refused_peers and is_available(p, person, referral, program, today)]
    shown = {p.id: _points(p, person, program, previous, ("public",)) for p in fit}
    inner = {p.id: _points(p, person, program, previous, ("public", "match-only")) for p in fit}
    chosen = sorted(fit, key=lambda p: (-_exact(inner[p.id]), *_idle(p, now)))[:MOST_PROPOSALS]
    proposals = [(p, half_up(_exact(shown[p.id]))) for p in chosen]
    proposals.sort(key=lambda pair: (-pair[1], *_idle(pair[0], now)))
    return tuple(Proposal(p.id, int(score), _reasons(shown[p.id])) for p, score in proposals)


def is_available(peer: Peer, person: Person, referral: Referral, program: Program, today: date) -> bool:
    """The hard filters: all must hold, whoever asks."""
    wishes = person.wishes
    return (
        peer.program_id == person.program_id
        and peer.load + INTRODUCTION_LOAD <= program.caseload_cap
        and peer.credential_until is not None
        and today <= peer.credential_until
        and (not peer.services or referral.service in peer.services)
        and (not wishes.modalities or not peer.modalities or bool(wishes.modalities & peer.modalities))
        and (wishes.language is None or wishes.interpreter_accepted or _speaks(peer, wishes.language))
        and (wishes.peer_gender is None or wishes.peer_gender == peer.gender)
        and peer.id not in person.excluded_peers
        and person.id not in peer.excluded_people
        and (referral.service not in NEEDS_BADGE or HOSPITAL_BADGE in peer.clearances)
    )


def _speaks(peer: Peer, language: str) -> bool:
    """Same primary language: a wish for es is met by es-MX, and the other way round."""
    return _primary(language) in {_primary(spoken) for spoken in peer.languages}


def _primary(language: str) -> str:
    return language.split("-")[0].casefold()


def _points(
    peer: Peer, person: Person, program: Program, previous: frozenset[str], visible: tuple[str, ...]
) -> list[_Point]:
    """The criteria that this person's wishes make relevant; what nobody asked for costs nobody points."""
    weights, wishes = program.weights, person.wishes
    points = [_headroom(peer, program, weights)]
    if wishes.use_tags and person.need_tags:
        points.insert(0, _experience(peer, person, weights, visible))
    if wishes.language is not None:
        name = LANGUAGES.get(_primary(wishes.language), wishes.language)
        points.append(_yes_or_no(weights.language, _speaks(peer, wishes.language), f"Speaks {name}"))
    if wishes.times:
        points.append(_overlap(weights.times, wishes.times, peer.times, "Free when it suits you: {}"))
    if wishes.communities:
        points.append(_overlap(weights.community, wishes.communities, peer.communities, "Shares with you: {}"))
    if person.area is not None:
        points.append(_yes_or_no(weights.area, peer.area == person.area, "Is in your area"))
    if wishes.age_band is not None:
        points.append(_yes_or_no(weights.age_band, peer.age_band == wishes.age_band, "Is of the age you prefer"))
    if previous:
        points.append(_yes_or_no(weights.continuity, peer.id in previous, "You know each other from before"))
    return points


def _experience(peer: Peer, person: Person, weights: Weights, visible: tuple[str, ...]) -> _Point:
    tags = {tag.code for tag in peer.tags if tag.visibility in visible}
    return _overlap(weights.experience, person.need_tags, tags, "Has been there too: {}")


def _headroom(peer: Peer, program: Program, weights: Weights) -> _Point:
    room = Fraction(program.caseload_cap - peer.load) / Fraction(program.caseload_cap)
    return _Point(weights.headroom, room, "Has time for someone new" if room >= Fraction(1, 3) else None)


def _overlap(weight: int, wanted: Iterable[str], offered: Iterable[str], words: str) -> _Point:
    wanted = frozenset(wanted)
    shared = sorted(wanted & frozenset(offered))
    said = ", ".join(code.replace("-", " ") for code in shared)
    return _Point(weight, Fraction(len(shared), len(wanted)), words.format(said) if shared else None)


def _yes_or_no(weight: int, holds: bool, words: str) -> _Point:
    return _Point(weight, Fraction(int(holds)), words if holds else None)


def _exact(points: list[_Point]) -> Fraction:
    possible = sum(point.weight for point in points)
    return Fraction(100) * sum(point.weight * point.share for point in points) / possible if possible else Fraction(0)


def _reasons(points: list[_Point]) -> tuple[str, ...]:
    said = tuple(point.words for point in points if point.words is not None)
    return said or ("Is free to start",)


def _idle(peer: Peer, now: datetime) -> tuple[float, str]:
    """Longest idle first, then a stable key (AC-MA-4); never assigned counts as idle for ever."""
    since = peer.last_assigned_at or datetime.min.replace(tzinfo=UTC)
    return (-(now - since).total_seconds(), peer.id)
