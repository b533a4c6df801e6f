"""One request and one answer, as the engine sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from peerfhir.fhir.reader import Json


@dataclass(frozen=True)
class Call:
    """One request, read whole. `path` is below the base, `headers` lower-cased, `caller` whoever was let in."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json = None  # parsed JSON; for a POST _search the form as name -> values
    base: str = ""  # of this API, without a trailing slash
    raw: bytes = field(default=b"", repr=False)
    caller: Any = None


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)
