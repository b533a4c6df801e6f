"""One resource per identifier of one sender, decided by a primary key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from peerfhir.fhir.index import key_of
from peerfhir.fhir.prepared import Prepared
from peerfhir.fhir.tables import fhir_conditional_key

_k = fhir_conditional_key.c
_CLAIM = Prepared(
    sqlite.insert(fhir_conditional_key).on_conflict_do_nothing(),
    postgresql.insert(fhir_conditional_key).on_conflict_do_nothing(),
)


@dataclass(frozen=True, order=True)
class Key:
    """An identifier of one sender; at most one resource may have it."""

    type: str
    system: str
    value: str
    source: str = ""  # "": ourselves


class Claims:
    """The claimed identifiers of one program, inside the caller's transaction."""

    def __init__(self, connection: Connection, program_id: str) -> None:
        self._connection = connection
        self._program_id = program_id

    def claim(self, wanted: Mapping[Key, str]) -> dict[Key, str]:
        """Claim identifiers for resource ids; returns those that another resource has, with that one's id.

        Race-free on both databases: the primary key decides, and a second claimer waits for the first to commit.
        Source  docs/rules.md, Delivery
        """
        ordered = sorted(wanted)  # everybody claims in this order, so nobody waits in a circle
        if not ordered:
            return {}
        rows = [{**self._row(key), "id": wanted[key]} for key in ordered]
        if _CLAIM.run_many(self._connection, rows) == len(rows):
            return {}
        holders = {key: self.holder(key) for key in ordered}
        return {key: holder for key, holder in holders.items() if holder is not None and holder != wanted[key]}

    def holder(self, key: Key) -> str | None:
        """The id of the resource that has this identifier, or None."""
        query = select(_k.id).where(*(_k[name] == value for name, value in self._row(key).items()))
        return self._connection.execute(query).scalar_one_or_none()

    def release(self, keys: Iterable[Key], resource_id: str) -> None:
        """Free the identifiers that this resource no longer carries."""
        for key in keys:
            where = [_k[name] == value for name, value in self._row(key).items()]
            self._connection.execute(delete(fhir_conditional_key).where(*where, _k.id == resource_id))

    def _row(self, key: Key) -> dict[str, str]:
        return {
            "program_id": self._program_id,
            "source": key.source,
            "type": key.type,
            "system": key_of(key.system),
            "value": key_of(key.value),
        }
