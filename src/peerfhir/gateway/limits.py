"""How often each caller may knock; 429 with Retry-After."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from flask import Request

from peerfhir.clock import Clock
from peerfhir.errors import TooManyRequests

SECONDS = 60
ENTRY_PER_MINUTE = 60  # tries to get in from one address, all processes together (docs/rules.md, Tokens)
_MOST_ADDRESSES = 10_000


@dataclass
class EntryLimit:
    """Tries per address in windows of a minute. Each process counts its own share, so the sum holds.

    In memory on purpose: a row per knock would let a stranger make us write.
    """

    clock: Clock
    processes: int = 1
    per_minute: int = ENTRY_PER_MINUTE
    _window: int = -1
    _tries: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def knock(self, address: str) -> None:
        """Count one try. Raises TooManyRequests."""
        moment = self.clock.monotonic()
        window = int(moment // SECONDS)
        with self._lock:
            if window != self._window or len(self._tries) >= _MOST_ADDRESSES:
                self._window = window
                self._tries.clear()
            tries = self._tries.get(address, 0) + 1
            self._tries[address] = tries
        if tries > max(1, self.per_minute // self.processes):
            raise TooManyRequests(math.ceil((window + 1) * SECONDS - moment))


def address_of(request: Request, base_url: str) -> str:
    """Where a request comes from, for counting only; nothing is permitted because of it.

    Where the service is known under https and this process is spoken to in http, a proxy stands in front,
    and the last entry of X-Forwarded-For is what that proxy saw. Otherwise the header is anyone's word.
    """
    forwarded = request.headers.get("X-Forwarded-For", "")
    if forwarded and base_url.startswith("https:") and request.scheme == "http":
        return forwarded.rsplit(",", 1)[-1].strip()[:64]
    return request.remote_addr or ""
