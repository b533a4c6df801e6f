"""Time and new identifiers, so that tests can hold both still."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the house needs of time. All instants are aware and in UTC."""

    def now(self) -> datetime:
        """The wall clock, UTC, for what is written down."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back, for durations and deadlines."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The wall clock, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed point."""
        return time.monotonic()


def new_id() -> str:
    """An identifier that nobody else has, legal as a FHIR id (R4 datatypes, `id`: 1-64 of [A-Za-z0-9-.]).

    It begins with the milliseconds since 1970, the rest is random: what is written together stands together in the
    database, so that a commit touches few pages. It is no secret and tells no more than `meta.lastUpdated` does.
    Source  RFC 9562, 5.7 (UUID version 7)
    """
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (chance >> 68 & 0xFFF) << 64 | 0b10 << 62
    return str(uuid.UUID(int=value | chance & (1 << 62) - 1))
