"""Local accounts of staff, for programs without an identity provider of their own."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from peerfhir.access import logins, passwords
from peerfhir.clock import Clock, new_id
from peerfhir.errors import BadRequest, Conflict, Unauthenticated
from peerfhir.pathway.vocabulary import Role
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import login as login_table
from peerfhir.records.schema import user_account as table

STAFF = frozenset({Role.COORDINATOR, Role.SUPERVISOR, Role.PEER, Role.ENGINEER})
FREE_TRIES = 5
_LOCK_SECONDS = 15  # after the free tries; doubled by each further failure
_LONGEST_LOCK_SECONDS = 900
_LOGIN = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,98}[a-z0-9])?")
_NOT_IN = "That did not work. Check both fields; after several tries, wait a minute."


@dataclass(frozen=True)
class Account:
    """A member of staff who may sign in."""

    id: str
    program_id: str
    login: str
    display: str
    role: Role
    peer_id: str | None
    created_at: datetime
    revoked_at: datetime | None


def add_user(
    connection: Connection,
    clock: Clock,
    program_id: str,
    login: str,
    display: str,
    role: Role,
    password: str | None = None,
    peer_id: str | None = None,
) -> tuple[str, str]:
    """Add an account.

    password  None makes one of 100 random bits
    peer_id   the peer of the roster whose account this is; needed for, and only for, role peer
    Returns   (user id, password); the password is not kept and cannot be shown again
    Raises    BadRequest, Conflict when the login is taken
    """
    name = _normal(login)
    if not _LOGIN.fullmatch(name):
        raise BadRequest("A login is letters, digits and . _ @ + - and at most 100 characters.", place="login")
    if role not in STAFF:
        raise BadRequest("A role that signs in is one of " + ", ".join(sorted(STAFF)) + ".", place="role")
    if (role is Role.PEER) != (peer_id is not None):
        raise BadRequest("An account of a peer, and only of a peer, names a peer of the roster.", place="peer_id")
    if connection.execute(select(table.c.id).where(table.c.login == name)).first() is not None:
        raise Conflict("This login is taken.", place="login")
    password = password if password is not None else secrets.token_urlsafe(13)
    user_id = new_id()
    connection.execute(
        insert(table).values(
            id=user_id,
            program_id=program_id,
            login=name,
            display=display.strip()[:100] or name,
            role=role.value,
            peer_id=peer_id,
            password_hash=passwords.hash_password(password),
            created_at=clock.now(),
            failures=0,
        )
    )
    return user_id, password


def list_users(connection: Connection, program_id: str | None = None) -> Sequence[Account]:
    """The accounts of a program, or of all, oldest first, ended ones too."""
    query = select(table).order_by(table.c.created_at, table.c.id)
    if program_id is not None:
        query = query.where(table.c.program_id == program_id)
    return [_account(row) for row in connection.execute(query)]


def revoke_user(connection: Connection, clock: Clock, user_id: str) -> bool:
    """End an account and everything it is signed in to. False when there is none or it was ended before."""
    now = clock.now()
    ended = connection.execute(
        update(table).where(table.c.id == user_id, table.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    connection.execute(
        update(login_table)
        .where(login_table.c.user_id == user_id, login_table.c.ended_at.is_(None))
        .values(ended_at=now)
    )
    return ended.rowcount == 1


def sign_in(
    engine: Engine, clock: Clock, login: str, password: str, *, known_device_of: str | None = None
) -> tuple[str, Account]:
    """Check a password and begin a login.

    known_device_of  user id of whom this browser signed in before, proven by a cookie of ours. It is not
                     locked out when strangers guess: a lock that anyone can cause would keep a clinician out.
    Returns  (key for the cookie, account)
    Raises   Unauthenticated, with one sentence for a wrong name, a wrong password, an ended or a locked account
    Commits  the failure or the login; no transaction is open while the password is compared
    Source   OWASP Authentication Cheat Sheet, "Device cookies"
    """
    with reading(engine) as connection:
        row = connection.execute(select(table).where(table.c.login == _normal(login)[:100])).one_or_none()
    good = passwords.matches(row.password_hash if row is not None else None, password)
    if row is None or row.revoked_at is not None:
        raise Unauthenticated(_NOT_IN)
    now = clock.now()
    locked = row.locked_until is not None and row.locked_until > now and known_device_of != row.id
    with writing(engine) as connection:
        if good and not locked:
            connection.execute(update(table).where(table.c.id == row.id).values(failures=0, locked_until=None))
            return logins.begin(connection, clock, row.id, row.program_id), _account(row)
        if not locked:  # tries during a lock do not prolong it
            _count_failure(connection, row.id, now)
    raise Unauthenticated(_NOT_IN)


def _count_failure(connection: Connection, user_id: str, now: datetime) -> None:
    # in the statement, so that tries at the same time are all counted
    connection.execute(update(table).where(table.c.id == user_id).values(failures=table.c.failures + 1))
    failures = connection.execute(select(table.c.failures).where(table.c.id == user_id)).scalar_one()
    if failures >= FREE_TRIES:
        seconds = min(_LOCK_SECONDS * 2 ** min(failures - FREE_TRIES, 10), _LONGEST_LOCK_SECONDS)
        connection.execute(
            update(table).where(table.c.id == user_id).values(locked_until=now + timedelta(seconds=seconds))
        )


def _normal(login: str) -> str:
    return unicodedata.normalize("NFKC", login).strip().casefold()


def _account(row: Any) -> Account:
    return Account(
        id=row.id,
        program_id=row.program_id,
        login=row.login,
        display=row.display,
        role=Role(row.role),
        peer_id=row.peer_id,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
