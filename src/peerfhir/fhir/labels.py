"""What is known about a stored resource beside its content: who sent it, whom it is about, how far it may go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Labels:
    """source: who sent it (None: ourselves); person_id and share_class: set on what a grant must cover."""

    source: str | None = None
    person_id: str | None = None
    share_class: str | None = None


@dataclass(frozen=True)
class Projected:
    """A resource that our own API serves for a record. The resource carries its id."""

    resource: dict[str, Any]
    share_class: str | None = None
    person_id: str | None = None
