"""Passwords and client secrets at rest: argon2id."""

from __future__ import annotations

import threading
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from peerfhir.errors import BadRequest

LEAST_LENGTH = 12
MOST_LENGTH = 256
# one check takes 19 MiB and about 20 ms of a core; more at once would be a way to exhaust the machine
_AT_ONCE = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """A self-describing argon2id hash. Raises BadRequest for one that is too short or too long."""
    text = _normal(password)
    if not LEAST_LENGTH <= len(text) <= MOST_LENGTH:
        raise BadRequest(f"A password has {LEAST_LENGTH} to {MOST_LENGTH} characters.", place="password")
    with _AT_ONCE:
        return _hasher().hash(text)


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password. Takes as long when there is none to compare with (`kept` is None)."""
    text = _normal(password)[: MOST_LENGTH + 1]
    with _AT_ONCE:
        try:
            return _hasher().verify(kept or _nobodys(), text) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def _normal(password: str) -> str:
    # phones and desks write the same accented letter differently (NIST SP 800-63B-4, 3.1.1.2)
    return unicodedata.normalize("NFC", password)


@cache
def _hasher() -> PasswordHasher:
    # OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane
    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


@cache
def _nobodys() -> str:
    return _hasher().hash("nobody's password, so that an unknown name takes as long")
