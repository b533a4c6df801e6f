"""What a peer records of a meeting, in two layers: what may reach the chart, and the working note."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from peerfhir.pathway.people import Person
from peerfhir.pathway.refusals import BadTimes, NamesSomeone, TooLong
from peerfhir.pathway.vocabulary import Intervention, Modality, ServiceType

MAX_SUMMARY_WORDS = 120  # Source: docs/rules.md, Notes
MAX_FIELD_CHARACTERS = 600  # of each field of the working note; Source: docs/rules.md, Notes
_LONGEST = timedelta(hours=24)
_CLOCK_SKEW = timedelta(minutes=5)  # a phone may run ahead of the server

GROUPS = frozenset({ServiceType.GROUP_FACILITATED, ServiceType.GROUP_SELF_LED})

HOW: dict[Modality, str] = {
    Modality.IN_PERSON: "in person",
    Modality.HOME: "at home",
    Modality.COMMUNITY: "out in the community",
    Modality.BEDSIDE: "at the bedside",
    Modality.ED_BEDSIDE: "in the emergency department",
    Modality.PHONE: "by phone",
    Modality.VIDEO: "by video",
    Modality.TEXT_CHAT: "by text chat",
}
DONE: dict[Intervention, str] = {  # what the peer did, after "The peer specialist"
    Intervention.LISTENED: "listened",
    Intervention.SHARED_EXPERIENCE: "shared lived experience in the service of hope",
    Intervention.GOAL_SETTING: "worked on goals",
    Intervention.ACTION_PLAN: "made an action plan together with the person",
    Intervention.COPING_SKILL: "practised coping skills",
    Intervention.PROBLEM_SOLVE: "worked through a problem",
    Intervention.NAVIGATE_SYSTEM: "helped to find the way through services",
    Intervention.APPOINTMENT_ACCOMPANY: "came along to an appointment",
    Intervention.ADVOCACY: "helped the person to speak up",
    Intervention.RESOURCE_LINK: "linked to resources",
    Intervention.HOUSING: "worked on housing",
    Intervention.EMPLOYMENT: "worked on employment",
    Intervention.TRANSPORT: "worked on transport",
    Intervention.BENEFITS: "worked on benefits",
    Intervention.HEALTH_EDUCATION: "talked about health information",
    Intervention.RECOVERY_MEETING: "talked about recovery meetings",
    Intervention.HARM_REDUCTION_INFO: "gave information on staying safer",
    Intervention.FAMILY_SUPPORT: "talked about family support",
    Intervention.WELLNESS_TOOL: "used a wellness tool",
    Intervention.SOCIAL_CONNECTION: "worked on social connection",
    Intervention.CRISIS_SUPPORT: "stayed and connected to crisis support",
    Intervention.CELEBRATE: "celebrated a step forward",
    Intervention.SYSTEM_COORDINATION: "coordinated with other services",
    Intervention.GROUP_FACILITATION: "facilitated the group",
    Intervention.CHECKIN: "checked in",
}


@dataclass(frozen=True)
class Encounter:
    """One meeting of one person. A group gives one of these per attendee.

    number        ours, opaque, different per attendee; the only key that is exported
    group_id      our own key of the group session; never leaves the program
    working_note  layer 2: never leaves through any integration, report or search
    summary       layer 1: at most 120 words, exactly as previewed; None when kept between us
    """

    id: str
    program_id: str
    person_id: str
    peer_id: str
    referral_id: str | None
    engagement_id: str | None
    number: str
    service: ServiceType
    modality: Modality
    started_at: datetime
    ended_at: datetime
    minutes: int
    status: str = "finished"  # finished | cancelled | entered-in-error
    setting: str | None = None
    interventions: tuple[Intervention, ...] = ()
    working_note: str = ""
    summary: str | None = None
    topic: str | None = None  # of a group; says nothing of who came
    next_step: str | None = None
    next_on: date | None = None
    worry: bool = False
    group_id: str | None = None
    client_uuid: str | None = None  # set by the phone; the same note twice is once
    recorded_at: datetime | None = None
    recorded_by: str | None = None
    late: bool = False
    version: int = 0


@dataclass(frozen=True)
class GroupSession:
    """A group meeting as the facilitator records it; it is never exported."""

    id: str
    program_id: str
    peer_id: str
    topic: str
    service: ServiceType
    modality: Modality
    started_at: datetime
    ended_at: datetime
    summary: str
    attendees: tuple[str, ...]  # person ids
    working_note: str = ""
    recorded_at: datetime | None = None
    version: int = 0


def check_times(started_at: datetime, ended_at: datetime, minutes: int, now: datetime) -> None:
    """Refuse times that do not fit together; instants are aware, so clock changes and midnight do no harm.

    minutes  whole, at least 1, at most the time between start and end
    Raises   BadTimes with the field
    Source   docs/rules.md, Questionnaires
    """
    if started_at.tzinfo is None or ended_at.tzinfo is None:
        raise BadTimes("A time needs its time zone.", field="started_at")
    length = ended_at - started_at
    if not timedelta(0) < length <= _LONGEST:
        raise BadTimes("The end has to come after the start, within a day.", field="ended_at")
    if ended_at > now + _CLOCK_SKEW:
        raise BadTimes("This meeting has not ended yet.", field="ended_at")
    if minutes < 1 or timedelta(minutes=minutes) > length + timedelta(seconds=59):
        raise BadTimes("The minutes have to fit between start and end.", field="minutes")


def check_texts(*, summary: str | None, working_note: str, next_step: str | None, topic: str | None = None) -> None:
    """Refuse what is longer than its layer allows. Raises TooLong with the field."""
    if summary is not None and len(summary.split()) > MAX_SUMMARY_WORDS:
        raise TooLong("The summary has at most 120 words.", field="summary")
    for name, text in (("working_note", working_note), ("next_step", next_step), ("topic", topic)):
        if text is not None and len(text) > MAX_FIELD_CHARACTERS:
            raise TooLong(field=name)


def check_no_names(texts: Iterable[tuple[str, str | None]], people: Iterable[Person]) -> None:
    """Refuse a text for everyone that names one of these people.

    texts   (field, text) pairs
    Raises  NamesSomeone with the field, never the name
    Source  docs/rules.md, Notes
    """
    names = {name for person in people for name in (person.given, person.family) if len(name) > 1}
    for field, text in texts:
        for name in names:
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text or "", re.IGNORECASE):
                raise NamesSomeone(field=field)


def is_late(ended_at: datetime, now: datetime, note_due_hours: int) -> bool:
    """Recorded after the program's deadline: kept, and labelled."""
    return now - ended_at > timedelta(hours=note_due_hours)


def draft_summary(
    interventions: Sequence[Intervention],
    *,
    modality: Modality,
    minutes: int,
    topic: str | None = None,
    next_step: str | None = None,
    next_on: date | None = None,
    sentence: str | None = None,
) -> str:
    """The chart summary as it would read, from taps and an optional sentence of the person's or the peer's.

    topic    of a group: the text is then about the group and fits every attendee
    Returns  at most 120 words; it starts with the sentence, which is kept as it was written
    Raises   TooLong when the free text does not leave room
    Source   docs/rules.md, Notes
    """
    parts = [_sentence(sentence)] if sentence and sentence.strip() else []
    if topic is None:
        parts.append(f"Met {HOW[modality]} for {minutes} minutes.")
    else:
        parts.append(f"Took part in a peer support group {HOW[modality]} for {minutes} minutes: {_sentence(topic)}")
    if interventions:
        done = [DONE[tap] for tap in dict.fromkeys(interventions)]
        parts.append(f"The peer specialist {_listing(done)}.")
    if next_step and next_step.strip():
        parts.append(f"Next step: {_sentence(next_step)}")
    if next_on is not None:
        parts.append(f"Next contact: {next_on.isoformat()}.")
    text = " ".join(parts)
    check_texts(summary=text, working_note="", next_step=None)
    return text


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?", "\u201d", '"')) else f"{text}."


def _listing(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def group_records(session: GroupSession, numbers: Sequence[str], ids: Sequence[str]) -> list[Encounter]:
    """One encounter per attendee, alike but for person and number; the working note stays with the session.

    numbers, ids  one per attendee, drawn at random: neighbours in a sequence would point to each other
    Source        docs/rules.md, Notes
    """
    return [
        Encounter(
            id=own_id,
            program_id=session.program_id,
            person_id=person_id,
            peer_id=session.peer_id,
            referral_id=None,
            engagement_id=None,
            number=number,
            service=session.service,
            modality=session.modality,
            started_at=session.started_at,
            ended_at=session.ended_at,
            minutes=(session.ended_at - session.started_at) // timedelta(minutes=1),
            interventions=(Intervention.GROUP_FACILITATION,),
            summary=session.summary or None,
            topic=session.topic,
            group_id=session.id,
        )
        for person_id, number, own_id in zip(session.attendees, numbers, ids, strict=True)
    ]
