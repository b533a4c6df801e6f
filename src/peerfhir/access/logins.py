"""Who is signed in, until when: idle and absolute limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select, update

from peerfhir.access.keys import digest_of, new_key
from peerfhir.clock import Clock
from peerfhir.pathway.people import Actor
from peerfhir.pathway.vocabulary import Role
from peerfhir.records.schema import login as table
from peerfhir.records.schema import user_account

# a page view within this time of the last one writes nothing: the idle limit may come that much early
_TOUCH_EVERY = timedelta(seconds=30)


@dataclass(frozen=True)
class Limits:
    """How long a login lasts (ASVS 7.3.1, 7.3.2; 45 CFR 164.312(a)(2)(iii))."""

    idle: timedelta = timedelta(minutes=15)
    absolute: timedelta = timedelta(hours=12)


@dataclass(frozen=True)
class Seen:
    """The actor of a login, and whether it is time to write down that they are still there."""

    actor: Actor
    due: bool


def begin(connection: Connection, clock: Clock, user_id: str, program_id: str) -> str:
    """Start a login; returns the key for the cookie. Logins that ended a day ago are swept away."""
    now = clock.now()
    connection.execute(delete(table).where(table.c.seen_at < now - timedelta(days=1)))
    key = new_key()
    connection.execute(
        insert(table).values(sha256=digest_of(key), user_id=user_id, program_id=program_id, started_at=now, seen_at=now)
    )
    return key


def who(connection: Connection, clock: Clock, key: str, limits: Limits = Limits()) -> Seen | None:
    """The actor behind a key; None when it is unknown, ended, idle too long or too old, or the account was ended."""
    now = clock.now()
    row = connection.execute(
        select(
            table.c.seen_at,
            user_account.c.id,
            user_account.c.program_id,
            user_account.c.display,
            user_account.c.role,
            user_account.c.peer_id,
        )
        .join(user_account, (user_account.c.id == table.c.user_id) & (user_account.c.program_id == table.c.program_id))
        .where(
            table.c.sha256 == digest_of(key),
            table.c.ended_at.is_(None),
            table.c.seen_at > now - limits.idle,
            table.c.started_at > now - limits.absolute,
            user_account.c.revoked_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    actor = Actor(id=row.id, role=Role(row.role), program_id=row.program_id, display=row.display, peer_id=row.peer_id)
    return Seen(actor, due=row.seen_at <= now - _TOUCH_EVERY)


def touch(connection: Connection, clock: Clock, key: str) -> None:
    """Write down that they are still there."""
    connection.execute(update(table).where(table.c.sha256 == digest_of(key)).values(seen_at=clock.now()))


def sign_out(connection: Connection, clock: Clock, key: str) -> None:
    """End a login."""
    connection.execute(
        update(table).where(table.c.sha256 == digest_of(key), table.c.ended_at.is_(None)).values(ended_at=clock.now())
    )
