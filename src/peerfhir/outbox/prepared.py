"""How a message will be said at one endpoint: made by the renderer, carried by the courier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection

from peerfhir.config import EndpointSettings
from peerfhir.fhir.capability import Offer
from peerfhir.fhir.reader import Json
from peerfhir.outbox.lease import MadeBy, Message


@dataclass(frozen=True)
class Revision:
    """What an update writes over what is there now.

    body  None: it says already what we would say, or is no longer ours to change
    more  a further step follows this one
    """

    body: bytes | None
    more: bool = False


@dataclass(frozen=True)
class Change:
    """An update of a resource that the endpoint keeps.

    path    "Type/id" there
    local   "Type/id" of ours, under which its address is known
    revise  what is there now -> what to put in its place
    """

    path: str
    local: str
    revise: Callable[[Json], Revision]


@dataclass(frozen=True)
class Prepared:
    """How a message will be said: exactly one of `create` and `change`, or neither when it is kept with us.

    form        a resource type, or "kept"
    rung        1-4 of the write-back ladder; `reason` says why
    identifier  "system|value" of ours in a resource to be created
    named       the peer's name stands in the bytes, by a consent of its own
    """

    form: str
    rung: int
    reason: str
    made_by: MadeBy = field(default_factory=MadeBy)
    create: bytes | None = None
    identifier: str | None = None
    named: bool = False
    change: Change | None = None


class Renderer(Protocol):
    """Makes bytes of a message; raises MappingFailed (never) when it cannot."""

    def __call__(
        self, connection: Connection, message: Message, endpoint: EndpointSettings, offer: Offer
    ) -> Prepared: ...
