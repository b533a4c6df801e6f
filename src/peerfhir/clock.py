"""Time and new identifiers, so that tests can hold both still."""

from __future__ import annotations

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
    """A random identifier that is legal as a FHIR id (R4 datatypes, `id`: 1-64 of [A-Za-z0-9-.])."""
    return str(uuid.uuid4())
