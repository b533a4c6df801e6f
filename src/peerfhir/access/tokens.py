"""Access tokens: opaque, kept as their digest, ended at once by a revocation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from peerfhir.access import scopes
from peerfhir.access.callers import Caller
from peerfhir.access.keys import digest_of, new_key
from peerfhir.access.scopes import Scopes
from peerfhir.clock import Clock
from peerfhir.pathway.vocabulary import Recipient
from peerfhir.records.schema import access_token, client


@dataclass(frozen=True)
class Held:
    """A token that was found good, and until when it may be believed."""

    caller: Caller
    expires_at: datetime


def issue(connection: Connection, clock: Clock, client_id: str, program_id: str, may: Scopes, seconds: int) -> str:
    """Give out a token of 256 random bits that lives `seconds`. Expired ones are swept away on the way."""
    now = clock.now()
    connection.execute(delete(access_token).where(access_token.c.expires_at < now - timedelta(days=1)))
    token = new_key()
    connection.execute(
        insert(access_token).values(
            sha256=digest_of(token),
            client_id=client_id,
            program_id=program_id,
            scopes=str(may),
            expires_at=now + timedelta(seconds=seconds),
        )
    )
    return token


def verify(connection: Connection, clock: Clock, token: str, recipients: Mapping[str, Recipient]) -> Held | None:
    """Who holds this token, or None: unknown, expired, revoked, or the client itself was revoked.

    recipients  endpoint id -> the recipient whose grants count for clients of that endpoint
    """
    row = connection.execute(
        select(
            access_token.c.client_id,
            access_token.c.program_id,
            access_token.c.scopes,
            access_token.c.expires_at,
            client.c.endpoint,
        )
        .join(client, (client.c.id == access_token.c.client_id) & (client.c.program_id == access_token.c.program_id))
        .where(
            access_token.c.sha256 == digest_of(token),
            access_token.c.revoked_at.is_(None),
            access_token.c.expires_at > clock.now(),
            client.c.revoked_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    caller = Caller(
        client_id=row.client_id,
        program_id=row.program_id,
        scopes=scopes.parse(row.scopes),
        endpoint=row.endpoint,
        recipient=recipients.get(row.endpoint or ""),
    )
    return Held(caller, row.expires_at)


def revoke(connection: Connection, clock: Clock, token: str, client_id: str) -> None:
    """End a token of this client; nothing happens for one that is not its own (RFC 7009, 2.1)."""
    connection.execute(
        update(access_token)
        .where(
            access_token.c.sha256 == digest_of(token),
            access_token.c.client_id == client_id,
            access_token.c.revoked_at.is_(None),
        )
        .values(revoked_at=clock.now())
    )


class Remembered:
    """Tokens found good a moment ago, so that reading need not ask the database each time.

    One per process. A revocation is noticed after `seconds` at the latest; what is unknown is never remembered.
    """

    def __init__(
        self, clock: Clock, look_up: Callable[[str], Held | None], *, seconds: float = 1.0, most: int = 10_000
    ) -> None:
        self._clock = clock
        self._look_up = look_up
        self._seconds = seconds
        self._most = most
        self._held: dict[str, tuple[float, Held]] = {}  # one assignment per change: safe between threads

    def caller(self, token: str) -> Caller | None:
        """The holder of a token, or None."""
        # the moment before asking: what is revoked while we ask must not live a second longer
        moment = self._clock.monotonic()
        asked_at, held = self._held.get(token, (float("-inf"), None))
        if held is None or moment - asked_at >= self._seconds:
            held = self._look_up(token)
            self._keep(token, moment, held)
        if held is None or held.expires_at <= self._clock.now():
            return None
        return held.caller

    def _keep(self, token: str, moment: float, held: Held | None) -> None:
        if held is None:
            self._held.pop(token, None)
            return
        if len(self._held) >= self._most:
            self._held.clear()
        self._held[token] = (moment, held)
