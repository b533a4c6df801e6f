"""A referral and its allowed transitions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from peerfhir.pathway.people import Identifier
from peerfhir.pathway.vocabulary import ContactOutcome, Priority, ServiceType, Status, TaskStatus


@dataclass(frozen=True)
class Proposal:
    """One peer proposed to a person, with reasons in plain words."""

    peer_id: str
    score: int  # 0-100
    reasons: tuple[str, ...]  # never name a tag the peer has not made public


@dataclass(frozen=True)
class ContactAttempt:
    """One attempt to reach the person."""

    at: datetime
    by: str  # actor id
    channel: str  # a Modality value: phone, text-chat, in-person
    outcome: ContactOutcome


@dataclass(frozen=True)
class Origin:
    """Where a referral came from: enough to write back to, and to prove who ordered it.

    source      endpoint id, or client id when the sender has no endpoint
    endpoint    where results are owed; None when nothing can be written back
    task_id     id of our own Task; request_id of our own ServiceRequest
    placer      the sender's order number, identifier PLAC
    """

    source: str
    endpoint: str | None = None
    task_id: str | None = None
    request_id: str | None = None
    patient_id: str | None = None  # id of our own Patient resource
    placer: Identifier | None = None


@dataclass(frozen=True)
class Outward:
    """What others are told of a referral."""

    task_status: TaskStatus
    status: Status
    display: str
    reason: str | None  # Task.statusReason.text


@dataclass(frozen=True)
class Referral:
    """A clinician's request that someone walk alongside a person."""

    id: str
    program_id: str
    person_id: str
    number: str  # ours, identifier FILL, for example PF-000123
    status: Status
    task_status: TaskStatus
    service: ServiceType = ServiceType.ONE_TO_ONE
    priority: Priority = Priority.ROUTINE
    reason: str | None = None  # the referrer's words
    requested_by: str | None = None  # display of the requester
    contact_agreed: str = "not-asked"  # said-so | signed | not-asked
    contact_prohibited: bool = False  # orderDetail contacting-subject-prohibited
    origin: Origin | None = None
    status_reason: str | None = None  # kept here; what goes out is the outward form
    decline_reason: str | None = None
    before_pause: Status | None = None  # where `resume` goes back to from paused
    before_question: Status | None = None  # and from info-needed
    peer_id: str | None = None  # the peer the person chose; theirs from `assigned` on
    refused_peers: frozenset[str] = frozenset()  # not to be proposed again for this referral
    proposals: tuple[Proposal, ...] = ()
    attempts: tuple[ContactAttempt, ...] = ()
    meeting_at: datetime | None = None
    received_at: datetime | None = None
    accepted_at: datetime | None = None
    completed_at: datetime | None = None  # the Task was completed; the engagement goes on
    completed_as: Status | None = None  # the status it had then
    engagement_status: str | None = None  # copied from the engagement: active | onhold | finished
    closed_at: datetime | None = None  # all is over: the referral, and its engagement where there was one
    told: Outward | None = None  # the last outward form: what others were told
    version: int = 0
