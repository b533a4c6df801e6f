"""What the engine needs of one call's caller, and what it tells of each write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.reader import Json
from peerfhir.fhir.store import Store, Stored


class Session(Protocol):
    """One call inside one transaction: the store, and what this caller may do. All methods may raise any Fault."""

    @property
    def store(self) -> Store: ...

    @property
    def labels(self) -> Labels:
        """Of what this caller creates."""
        ...

    def may(self, interaction: str, resource_type: str, /) -> None:
        """Raises Forbidden, MethodNotAllowed or BusinessRule. interaction: a code of a CapabilityStatement."""
        ...

    def before_write(self, method: str, resource: Json, previous: Json | None, if_match: str | None, /) -> Json:
        """What to store of what was sent; method: create | update | delete (then `resource` is what goes)."""
        ...

    def after_writes(self, changes: Sequence[Change], call: Any, /) -> None:
        """What has to be kept together with the changes; the same transaction, before its commit."""
        ...


@dataclass(frozen=True)
class Change:
    """What became of one write.

    method    create | update | delete | matched (a condition found it, or it was gone already; nothing written)
    resource  as it is stored now; for a delete as it was
    full_url  the sender's own address of it, in a Bundle
    """

    type: str
    id: str
    version: int
    method: str
    resource: Json
    previous: Json | None
    full_url: str | None


@dataclass(frozen=True)
class Written:
    """The result of one entry: the stored version, and how it came about."""

    entry: Entry
    stored: Stored
    method: str  # create | update | delete | matched
    previous: Stored | None = None

    def change(self) -> Change:
        one = self.stored
        before = self.previous.resource if self.previous else None
        now = before if self.method == "delete" else one.resource if one.body else {}
        return Change(one.type, one.id, one.version, self.method, now, before, self.entry.full_url)
