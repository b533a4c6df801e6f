"""What the store takes and gives: a stored version, a draft to be written, a page of a search."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from peerfhir.fhir.labels import Labels
from peerfhir.fhir.reader import Json, read_own
from peerfhir.fhir.tables import instant_of


@dataclass(frozen=True)
class Stored:
    """One version of a resource: the bytes served, and what is known beside them."""

    type: str
    id: str
    version: int
    updated_at: datetime
    body: bytes = field(repr=False)
    labels: Labels
    parsed: Json = field(default=None, repr=False, compare=False)
    method: str = ""  # how this version came about: create | update | delete; a deleted one has no body

    @property
    def resource(self) -> Json:
        """The content as JSON, read from the bytes when it is not at hand. Not to be changed in place."""
        return self.parsed if self.parsed is not None else read_own(self.body)

    @property
    def reference(self) -> str:
        """`Type/id`, as another resource points at it."""
        return f"{self.type}/{self.id}"

    @property
    def etag(self) -> str:
        """The version as an HTTP entity tag."""
        return f'W/"{self.version}"'

    @property
    def stamp(self) -> str:
        """When it was written, as a FHIR instant."""
        return _stamp(self.updated_at)

    @property
    def last_modified(self) -> str:
        """When it was written, as an HTTP date."""
        return format_datetime(self.updated_at.replace(microsecond=0), usegmt=True)


@dataclass(frozen=True)
class Draft:
    """A resource to be written: new when `previous` is None, else the next version of that.

    resource  a new one with an id keeps it, so that the caller decides who may choose ids
    labels    None keeps those of the previous version
    place     FHIRPath of the resource in what was sent, for faults
    claimed   (system, value) of an identifier that its writer has claimed for it already
    """

    resource: Json
    labels: Labels | None = None
    previous: Stored | None = None
    place: str = ""
    claimed: tuple[str, str] | None = None


@dataclass(frozen=True)
class Page:
    """One page of a search: rows in order, the number of all matches when asked, where the next page begins."""

    rows: tuple[Stored, ...]
    total: int | None
    next: str | None


def from_row(row: Any) -> Stored:
    """A row of the store's select as a Stored."""
    labels = Labels(row.source, row.person_id, row.share_class)
    at = instant_of(row.updated_at)
    return Stored(row.type, row.id, row.version, at, bytes(row.body), labels, method=row.method)


def with_meta(resource: Json, resource_id: str, version: int, at: datetime) -> Json:
    """A copy that carries our id, version and time; what stood there before is replaced."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: value for key, value in resource.items() if key not in ("resourceType", "id", "meta")}
    return {
        "resourceType": resource["resourceType"],
        "id": resource_id,
        "meta": {"versionId": str(version), "lastUpdated": _stamp(at), **meta},
        **rest,
    }


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
