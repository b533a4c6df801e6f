"""The person served, peer specialists, the program, and the actor who does a thing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from peerfhir.pathway.vocabulary import CompleteOn, Modality, Recipient, Role, ServiceType


@dataclass(frozen=True)
class Identifier:
    """A business identifier: system is an absolute URI."""

    system: str
    value: str


@dataclass(frozen=True)
class Wishes:
    """What the person would like in a peer; every part is optional and theirs to change."""

    language: str | None = None  # BCP 47, for example "es"
    interpreter_accepted: bool = False
    peer_gender: str | None = None  # a gender, required when given
    age_band: str | None = None  # for example "40-59"
    modalities: frozenset[Modality] = frozenset()  # empty: any
    times: frozenset[str] = frozenset()  # for example "weekday-evening"; empty: any
    communities: frozenset[str] = frozenset()  # culture and community tags
    use_tags: bool = False  # consent to use need tags for matching


@dataclass(frozen=True)
class Person:
    """The person served. `key` of the person's page is a secret kept by access, not here."""

    id: str
    program_id: str
    given: str
    family: str
    identifiers: tuple[Identifier, ...] = ()
    birth_date: date | None = None
    phone: str | None = None
    email: str | None = None
    area: str | None = None  # postal code or district
    safe_contact: str | None = None  # how and when it is safe to make contact
    need_tags: frozenset[str] = frozenset()
    wishes: Wishes = Wishes()
    excluded_peers: frozenset[str] = frozenset()  # "I know them", from either side, without a reason
    sharing_chosen_at: datetime | None = None  # when the person first said what may be shared
    sharing_stopped_at: datetime | None = None
    version: int = 0


@dataclass(frozen=True)
class Tag:
    """A lived-experience tag; the peer decides who may see it."""

    code: str
    visibility: str = "private"  # private | match-only | public


@dataclass(frozen=True)
class Peer:
    """A peer specialist of a program's roster."""

    id: str
    program_id: str
    display: str  # as shown to people: first name and initial
    user_id: str | None = None  # the login, when there is one
    title: str = "Peer Specialist"
    gender: str | None = None
    age_band: str | None = None
    languages: frozenset[str] = frozenset()
    tags: tuple[Tag, ...] = ()
    communities: frozenset[str] = frozenset()  # as the peer tells people; anything else is a tag
    modalities: frozenset[Modality] = frozenset()  # empty: any
    services: frozenset[ServiceType] = frozenset()  # empty: any
    times: frozenset[str] = frozenset()
    area: str | None = None
    clearances: frozenset[str] = frozenset()
    load: Decimal = Decimal(0)  # weighted caseload, domain rule: 12 by default is full
    credential_until: date | None = None  # valid to the end of this local day; None: not credentialed
    excluded_people: frozenset[str] = frozenset()
    last_assigned_at: datetime | None = None
    version: int = 0


@dataclass(frozen=True)
class Weights:
    """Points of each soft criterion of matching; defaults add up to 100."""

    experience: int = 30
    language: int = 15
    times: int = 15
    community: int = 10
    area: int = 10
    headroom: int = 10
    age_band: int = 5
    continuity: int = 5


@dataclass(frozen=True)
class Program:
    """A peer-support program: its rules, from config/program.yaml."""

    id: str
    name: str
    complete_on: CompleteOn = CompleteOn.ENROLLED
    caseload_cap: Decimal = Decimal(12)
    contact_attempts: int = 3
    note_due_hours: int = 48  # a note recorded later is kept and labelled late
    weights: Weights = Weights()
    time_zone: str = "UTC"
    recipients: frozenset[Recipient] = frozenset({Recipient.REFERRER, Recipient.HOSPITAL})
    crisis_line: str | None = None  # shown on every page of a person; a site confirms it


@dataclass(frozen=True)
class Actor:
    """Who does a thing. `id` goes into the audit; it is never a person's name."""

    id: str
    role: Role
    program_id: str
    display: str = ""
    peer_id: str | None = None  # set when role is peer
    person_id: str | None = None  # set when role is person
    source: str | None = None  # set for requesters: the endpoint or client they came through
