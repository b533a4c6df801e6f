"""A client at the door: which program it belongs to, for whom it speaks, what it may do."""

from __future__ import annotations

from dataclasses import dataclass

from peerfhir.access.scopes import Scopes
from peerfhir.pathway.people import Actor
from peerfhir.pathway.vocabulary import Recipient, Role


@dataclass(frozen=True)
class Caller:
    """A client whose token was checked."""

    client_id: str
    program_id: str
    scopes: Scopes
    endpoint: str | None = None  # the hospital it speaks for
    recipient: Recipient | None = None  # as whom a person's grants count for it; None: no grant does

    @property
    def source(self) -> str:
        """Under which name what it sends is kept."""
        return self.endpoint or self.client_id

    def actor(self) -> Actor:
        """The one who does a thing, for the pathway and the audit."""
        return Actor(id=self.client_id, role=Role.REQUESTER, program_id=self.program_id, source=self.source)
