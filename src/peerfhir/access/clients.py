"""Clients: the programs that speak to us over the API, added and revoked by an operator."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from peerfhir.access import keys, passwords, scopes
from peerfhir.clock import Clock
from peerfhir.errors import BadRequest, Conflict
from peerfhir.records.schema import access_token
from peerfhir.records.schema import client as table

_LONGEST_NAME = 100


@dataclass(frozen=True)
class Client:
    """A registered client, without what would let someone else be it."""

    id: str
    program_id: str
    name: str
    endpoint: str | None
    scopes: str
    signs: bool  # authenticates by private_key_jwt; otherwise by its secret
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class Credentials:
    """What the token endpoint compares with."""

    id: str
    program_id: str
    scopes: str
    secret_hash: str | None
    public_keys: str | None


def add_client(
    connection: Connection,
    clock: Clock,
    program_id: str,
    name: str,
    scopes_text: str,
    endpoint: str | None = None,
    jwks: bytes | None = None,
) -> tuple[str, str | None]:
    """Register a client of a program.

    endpoint  the hospital it speaks for: what it sends is kept under that name, and that hospital's grants count
    jwks      its public keys; then it has no secret and signs instead
    Returns   (client id, secret); the secret is not kept and cannot be shown again
    Raises    BadRequest for scopes or keys that cannot be used, Conflict for a name that is taken
    """
    name = name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise BadRequest(f"A client's name has 1 to {_LONGEST_NAME} characters.", place="name")
    may = scopes.parse(scopes_text)
    if not may:
        raise BadRequest("A client needs at least one scope, for example system/*.cruds.", place="scope")
    public_keys = keys.read_public_keys(jwks) if jwks is not None else None
    taken = select(table.c.id).where(table.c.program_id == program_id, table.c.name == name)
    if connection.execute(taken).first() is not None:
        raise Conflict("A client of this name exists already. Names are not used twice, so that the audit stays clear.")
    client_id = f"client-{secrets.token_hex(8)}"
    secret = keys.new_key() if public_keys is None else None
    connection.execute(
        insert(table).values(
            id=client_id,
            program_id=program_id,
            name=name,
            endpoint=endpoint,
            secret_hash=passwords.hash_password(secret) if secret is not None else None,
            jwks=public_keys,
            scopes=str(may),
            created_at=clock.now(),
        )
    )
    return client_id, secret


def list_clients(connection: Connection, program_id: str | None = None) -> Sequence[Client]:
    """The clients of a program, or of all, oldest first, revoked ones too."""
    query = select(table).order_by(table.c.created_at, table.c.id)
    if program_id is not None:
        query = query.where(table.c.program_id == program_id)
    return [
        Client(
            id=row.id,
            program_id=row.program_id,
            name=row.name,
            endpoint=row.endpoint,
            scopes=row.scopes,
            signs=row.jwks is not None,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
        )
        for row in connection.execute(query)
    ]


def credentials_of(connection: Connection, client_id: str) -> Credentials | None:
    """What a client that is not revoked has to prove; None for every other id."""
    row = connection.execute(
        select(table.c.id, table.c.program_id, table.c.scopes, table.c.secret_hash, table.c.jwks).where(
            table.c.id == client_id, table.c.revoked_at.is_(None)
        )
    ).one_or_none()
    return Credentials(row.id, row.program_id, row.scopes, row.secret_hash, row.jwks) if row else None


def revoke_client(connection: Connection, clock: Clock, client_id: str) -> bool:
    """End a client and every token it holds. False when there is no such client or it was ended before."""
    now = clock.now()
    ended = connection.execute(
        update(table).where(table.c.id == client_id, table.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    connection.execute(
        update(access_token)
        .where(access_token.c.client_id == client_id, access_token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return ended.rowcount == 1
