"""A message in a worker's hands: the row, the lease, what is written down before the wire, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from peerfhir.errors import Verdict
from peerfhir.outbox.retry import Effect


@dataclass(frozen=True)
class Happened:
    """What an attempt says about its endpoint."""

    effect: Effect
    reason: str
    retry_after: int | None = None


@dataclass(frozen=True)
class MadeBy:
    """What made the bytes: the mapping with its content hash and overlay, what ran it, and the packages of FHIR."""

    mapping_id: str | None = None
    mapping_sha256: str | None = None
    mapping_version: str | None = None
    overlay: str | None = None
    engine: str | None = None
    packages: str | None = None


@dataclass(frozen=True)
class Message:
    """A row of outbox_message, as far as delivering needs it."""

    id: int
    program_id: str
    lane_id: int
    endpoint: str
    idem: str
    piece: str
    detail: str | None
    share_class: str
    person_id: str
    referral_id: str | None
    record_type: str
    record_id: str
    record_version: int
    reason: str | None
    rung: int | None
    rung_reason: str | None
    form: str | None
    mapping_id: str | None
    mapping_sha256: str | None
    named: bool
    method: str | None
    target: str | None
    if_none_exist: str | None
    if_match: str | None
    body: bytes | None
    attempts: int
    horizon_at: datetime
    parent_id: int
    replay_mode: str | None
    execution_id: str | None
    mapping_version: str | None = None
    overlay: str | None = None
    engine: str | None = None
    packages: str | None = None

    @property
    def made_by(self) -> MadeBy:
        """What made the bytes that are kept."""
        return MadeBy(**{one.name: getattr(self, one.name) for one in fields(MadeBy)})


@dataclass(frozen=True)
class Lease:
    """The right to work on one lane's head, until the lane's `lease_until` has passed.

    message  as it was when claimed
    doubt    an earlier attempt may have been applied although no one said so
    kept     the bytes in `message` were meant for the wire before: they are sent again as they are
    """

    lane_id: int
    owner: str
    epoch: int
    attempt_id: int
    message: Message
    doubt: bool
    kept: bool


@dataclass(frozen=True)
class Ending:
    """How one attempt ended.

    state    done | ready (again at `due`) | held (until the person goes on) | parked | cancelled
    on_wire  whether a write left this machine, where that is known better than before the wire; None: as it was
    """

    state: str
    reason: str | None = None
    advice: str | None = None
    due: datetime | None = None
    verdict: Verdict | None = None
    status: int | None = None
    milliseconds: int | None = None
    retry_after: int | None = None
    on_wire: bool | None = None
    outcome: bytes | None = None
    effect: Happened | None = None


@dataclass(frozen=True)
class Kept:
    """What is written down before a byte leaves."""

    form: str
    rung: int
    rung_reason: str
    named: bool = False
    method: str | None = None
    target: str | None = None
    if_none_exist: str | None = None
    if_match: str | None = None
    body: bytes | None = None
    body_sha256: str | None = None
    grant_id: str | None = None
    mapping_id: str | None = None
    mapping_sha256: str | None = None
    mapping_version: str | None = None
    overlay: str | None = None
    engine: str | None = None
    packages: str | None = None
