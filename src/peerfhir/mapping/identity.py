"""Names of what a mapping makes: the same record gives the same ids, whatever the mapping's version."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any, Protocol
from urllib.parse import quote

from peerfhir.fhir import writer
from peerfhir.fhir.fhirpath.functions import text
from peerfhir.fhir.fhirpath.problems import EvaluationProblem

NAMESPACE = uuid.UUID("29ae02f8-7011-5df9-b973-2518ce3d6d25")  # UUIDv5 of the URL namespace and urn:peerfhir:mapping
_SEPARATOR = b"\x1f"
_VARIANTS = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}


class Hash(Protocol):
    """A SHA-1 state that can be copied."""

    def copy(self) -> Hash: ...

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def seed(mapping_id: str, resource: str) -> Hash:
    """The hash of everything that is fixed in the names of one resource of one mapping."""
    state = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)
    state.update(f"{mapping_id}\x1f{resource}".encode())
    return state


def full_url(start: Hash, *parts: Any) -> str:
    """`urn:uuid:` with the UUIDv5 of mapping id, resource name and identity parts, joined with U+001F."""
    state = start.copy()
    for part in parts:
        state.update(_SEPARATOR + (part if type(part) is str else text(part) or "").encode())
    made = state.hexdigest()
    return f"urn:uuid:{made[:8]}-{made[8:12]}-5{made[13:16]}-{_VARIANTS[made[16]]}{made[17:20]}-{made[20:32]}"


def record_key(record: Any) -> str:
    """The SHA-256 of a typed record's canonical JSON, for mappings without a key."""
    return hashlib.sha256(writer.write(_canonical(record))).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    return [_canonical(one) for one in value] if isinstance(value, list) else value


_ESCAPES = str.maketrans({"\\": "\\\\", ",": "\\,", "|": "\\|", "$": "\\$"})


def searched(value: Any) -> str:
    """A value in search text: FHIR's escapes, then percent-encoding, so that it cannot widen the search.

    Raises  EvaluationProblem PM732 when it is empty
    """
    written = value if type(value) is str else text(value)
    if written and written.isascii() and written.isalnum():
        return written
    if not written:
        raise EvaluationProblem("PM732", "a value in search text is empty; the search would match others")
    return quote(written.translate(_ESCAPES), safe="")
