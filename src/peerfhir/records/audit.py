"""Audit rows in a hash chain: who did what to which record; `verify` names the first row that was tampered with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, bindparam, insert, select, type_coerce, update

from peerfhir.fhir.prepared import Prepared
from peerfhir.records.schema import Instant, audit, audit_head
from peerfhir.records.upsert import insert_or_update

_FIELDS = (
    "id", "program_id", "at", "actor", "role", "action", "subject", "person_id",
    "outcome", "detail", "execution_id", "previous",
)  # fmt: skip
_START = "0" * 64
_HEAD = Prepared(select(audit_head.c.last_id, audit_head.c.digest).where(audit_head.c.id == 1).with_for_update())
_ADD = Prepared(insert(audit))
_MOVE = Prepared(
    update(audit_head).where(audit_head.c.id == 1).values(last_id=bindparam("last"), digest=bindparam("end"))
)


@dataclass(frozen=True)
class Entry:
    """One thing that was done, or refused.

    action   read | search | create | update | disclose | cancel | sign-in ...
    subject  "referral/<id>", "Task/<id>" ...; never a name
    outcome  ok | denied | failed
    detail   a few words or JSON, without personal data
    """

    program_id: str
    at: datetime
    actor: str
    role: str
    action: str
    subject: str | None = None
    person_id: str | None = None
    outcome: str = "ok"
    detail: str | None = None
    execution_id: str | None = None


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add entries to the end of the chain, inside the caller's transaction.

    It must be the last thing before the commit: the end of the chain is locked from here on, so that two writers
    on PostgreSQL take turns.
    """
    if not entries:
        return
    head = _HEAD.first(connection, {}) or _first_head(connection)
    rows: list[dict[str, Any]] = []
    previous = head.digest
    for number, entry in enumerate(entries, head.last_id + 1):
        row = {"id": number, **vars(entry), "previous": previous}
        row["digest"] = previous = _digest({**row, "at": Instant().process_bind_param(entry.at)})
        rows.append(row)
    _ADD.run_many(connection, rows)
    _MOVE.run(connection, {"last": rows[-1]["id"], "end": rows[-1]["digest"]})


def _first_head(connection: Connection) -> Row[tuple[int, str]]:
    """Before the first line of all; of two writers who both come first, one waits for the other."""
    first = {"id": 1, "last_id": 0, "digest": _START}
    return insert_or_update(connection, audit_head, ("id",), first, {"id": 1}, "last_id", "digest")


def verify(connection: Connection) -> int | None:
    """Walk the whole chain: the id of the first row that is not as it was written, or None.

    A deleted row is named by the id it had; rows cut off at the end are noticed by the head that is kept apart.
    The chain is of the whole database: it is one, whatever programs are in it.
    """
    columns = [type_coerce(audit.c.at, BigInteger).label("at") if c is audit.c.at else c for c in audit.c]
    head = connection.execute(select(audit_head.c.last_id, audit_head.c.digest)).one_or_none()
    last_id, digest = (head.last_id, head.digest) if head else (0, _START)
    whole = select(*columns).order_by(audit.c.id).execution_options(yield_per=1000)  # not all in memory at once
    with connection.execute(whole) as rows:
        return _first_bad(rows, last_id, digest)


def _first_bad(rows: Iterable[Row[Any]], last_id: int, digest: str) -> int | None:
    number, previous = 0, _START
    for row in rows:
        number += 1
        if row.id != number:
            return min(number, int(row.id))
        if row.previous != previous or row.digest != _digest(row._mapping) or number > last_id:  # noqa: SLF001 - public
            return number
        previous = row.digest
    if number < last_id:
        return number + 1
    return None if previous == digest else number


def _digest(row: Any) -> str:
    """sha256 over every field, each with its length, so that no two rows read alike."""
    parts = ["-" if row[name] is None else f"{len(str(row[name]))}:{row[name]}" for name in _FIELDS]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def latest(connection: Connection, program_id: str, *, person_id: str | None = None, limit: int = 100) -> list[Entry]:
    """What was done in a program, or with one person's records there, newest first."""
    where = [audit.c.program_id == program_id] + ([audit.c.person_id == person_id] if person_id else [])
    kept = [audit.c[name] for name in Entry.__dataclass_fields__]
    rows = connection.execute(select(*kept).where(*where).order_by(audit.c.id.desc()).limit(limit))
    return [Entry(**row) for row in rows.mappings()]
