"""What a peer records of a meeting, in two layers: what may reach the chart, and the working note."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from peerfhir.pathway.vocabulary import Intervention, Modality, ServiceType


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
