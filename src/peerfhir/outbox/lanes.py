"""Lanes by endpoint and person: claim, lease, fence, settle. One message in flight in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    type_coerce,
    update,
)

from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.errors import Verdict
from peerfhir.outbox import breaker
from peerfhir.outbox.lease import Ending, Kept, Lease, Message
from peerfhir.pathway.referral import is_paused
from peerfhir.records import referrals
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import Instant, attempt, lane, outbox_message

_MESSAGE = outbox_message.c
_OPEN = ("ready", "leased")


def lease_clock(connection: Connection, clock: Clock) -> datetime:
    """The instant that leases are compared with: the database's on PostgreSQL, where workers may run on many hosts."""
    if connection.dialect.name != "postgresql":
        return clock.now()
    micros = cast(func.floor(func.extract("epoch", func.clock_timestamp()) * 1_000_000), BigInteger)
    now: datetime = connection.execute(select(type_coerce(micros, Instant))).scalar_one()
    return now


def claim(
    engine: Engine,
    clock: Clock,
    endpoint: EndpointSettings,
    owner: str,
    size: int,
    busy: frozenset[int] = frozenset(),
) -> list[Lease]:
    """Lease the lanes of an endpoint whose head is due, oldest first.

    size     1-100 lanes at most; fewer where breaker, tokens or max_in_flight say so
    busy     lanes this process has in its hands: a clock that was set forward does not end their leases for us
    Commits  owner, epoch, `attempts + 1` and the attempt row before returning: a crash leaves a lease that ends
    Raises   DatabaseBusy (later)
    Source   docs/rules.md, Delivery
    """
    with reading(engine) as connection:  # an idle worker asks often, and only a writer has to wait for its turn
        if not _is_anything_due(connection, clock, endpoint, busy):
            return []
    with writing(engine) as connection:
        now, wall = lease_clock(connection, clock), clock.now()
        free = min(size, endpoint.max_in_flight - _in_flight(connection, endpoint.id, now))
        admitted = breaker.admit(connection, endpoint, wall, free)
        if admitted <= 0:
            return []
        until = now + timedelta(seconds=endpoint.lease_seconds)
        leases = []
        for row in _due(connection, endpoint, now, wall, admitted, busy):
            message = _head(connection, row, wall)
            if message is not None:
                leases.append(_lease(connection, row, message, owner, until, wall))
        breaker.spend(connection, endpoint, wall, len(leases), leases[0].lane_id if leases else None)
        return leases


def _is_anything_due(connection: Connection, clock: Clock, endpoint: EndpointSettings, busy: frozenset[int]) -> bool:
    now, wall = lease_clock(connection, clock), clock.now()
    if not breaker.is_open_for_business(connection, endpoint.id, wall):
        return False
    return bool(_due(connection, endpoint, now, wall, 1, busy, lock=False))


def _in_flight(connection: Connection, endpoint: str, now: datetime) -> int:
    busy = select(func.count()).where(lane.c.endpoint == endpoint, lane.c.lease_until > now)
    return int(connection.execute(busy).scalar_one())


def _due(
    connection: Connection,
    endpoint: EndpointSettings,
    now: datetime,
    wall: datetime,
    size: int,
    busy: frozenset[int],
    *,
    lock: bool = True,
) -> Sequence[Any]:
    row = lane.c
    query = (
        select(row.id, row.head_id, row.lease_epoch)
        .where(
            row.endpoint == endpoint.id,
            row.program_id == endpoint.program,
            row.head_due <= wall,
            row.paused.is_(False),
            row.id.not_in(busy),
            or_(row.lease_until.is_(None), row.lease_until < now),
        )
        .order_by(row.head_due, row.id)
        .limit(size)
    )
    return connection.execute(query.with_for_update(skip_locked=True) if lock else query).all()


def _head(connection: Connection, row: Any, wall: datetime) -> Message | None:
    """The lane's head as it is now; when it is settled or held back, the lane gets another and waits for it."""
    found = connection.execute(_open_message(), {"wanted": row.head_id}).one_or_none()
    if found is not None:
        return Message(**found._mapping)  # noqa: SLF001 - public in spite of its name
    connection.execute(update(lane).where(lane.c.id == row.id).values(**_next_head(connection, row.id, wall)))
    return None


@cache  # statements that every message needs are built once: building one costs more than running it
def _open_message() -> Select[Any]:
    columns = [_MESSAGE[one.name] for one in fields(Message)]
    return select(*columns).where(_MESSAGE.id == bindparam("wanted"), _MESSAGE.state.in_(_OPEN), ~_held())


def _lease(connection: Connection, row: Any, message: Message, owner: str, until: datetime, wall: datetime) -> Lease:
    epoch = row.lease_epoch + 1
    connection.execute(
        update(lane)
        .where(lane.c.id == row.id)
        .values(lease_owner=owner, lease_epoch=epoch, lease_until=until, attempts=lane.c.attempts + 1)
    )
    doubt, on_wire = _history(connection, message.id)
    connection.execute(
        update(outbox_message)
        .where(_MESSAGE.id == message.id)
        .values(state="leased", reason=None, advice=None, attempts=_MESSAGE.attempts + 1)
    )
    made = connection.execute(
        insert(attempt)
        .values(
            outbox_id=message.id,
            program_id=message.program_id,
            n=message.attempts + 1,
            worker=owner,
            epoch=epoch,
            started_at=wall,
        )
        .returning(attempt.c.id)
    ).scalar_one()
    kept = message.body is not None and (on_wire or message.replay_mode == "pinned")
    return Lease(row.id, owner, epoch, made, message, doubt, kept)


def _history(connection: Connection, outbox_id: int) -> tuple[bool, bool]:
    """(may an earlier attempt have been applied?, were bytes meant for the wire before?).

    No verdict: the worker died, or was too late, while they may have been on the wire.
    """
    found = connection.execute(_attempts_so_far(), {"wanted": outbox_id}).one()
    return found[0] > 0, found[1] > 0


@cache
def _attempts_so_far() -> Select[Any]:
    row = attempt.c
    unclear = or_(
        row.verdict.is_(None),
        row.verdict == Verdict.RECONCILE.value,
        and_(row.verdict == Verdict.LATER.value, or_(row.status >= 500, row.status.in_((408, 409)))),
    )
    doubts = func.coalesce(func.sum(case((and_(row.on_wire.is_(True), unclear), 1), else_=0)), 0)
    wired = func.coalesce(func.sum(case((row.on_wire.is_(True), 1), else_=0)), 0)
    return select(doubts, wired).where(row.outbox_id == bindparam("wanted"))


def still_ours(lease: Lease) -> ColumnElement[bool]:
    """The fence: true while nobody else has leased the lane since."""
    row = lane.c
    return exists(
        select(row.id).where(row.id == lease.lane_id, row.lease_owner == lease.owner, row.lease_epoch == lease.epoch)
    )


def keep(connection: Connection, lease: Lease, kept: Kept, *, on_wire: bool) -> bool:
    """Write bytes and plan into the message, in the caller's transaction; False when the lane is no longer ours."""
    values = {one.name: getattr(kept, one.name) for one in fields(Kept)}
    changed = connection.execute(
        update(outbox_message)
        .where(_MESSAGE.id == lease.message.id, _MESSAGE.state == "leased", still_ours(lease))
        .values(**values)
    )
    if changed.rowcount != 1:
        return False
    if on_wire:
        connection.execute(update(attempt).where(attempt.c.id == lease.attempt_id).values(on_wire=True))
    return True


def settle(connection: Connection, lease: Lease, ending: Ending, now: datetime) -> str | None:
    """Write down how the attempt ended and free the lane, in the caller's transaction.

    Returns  the state the message has now; None when another worker has the lane: then the attempt is kept as
             late and nothing else is changed
    Source   docs/rules.md, Delivery
    """
    row = lane.c
    held = connection.execute(
        select(row.id)
        .where(row.id == lease.lane_id, row.lease_owner == lease.owner, row.lease_epoch == lease.epoch)
        .with_for_update()  # whoever owes something in this lane takes turns with us
    ).one_or_none()
    _end_attempt(connection, lease, ending, now, late=held is None)
    if held is None:
        return None
    ending = _overruled(connection, lease, ending, now)
    _end_message(connection, lease, ending, now)
    free: dict[str, Any] = {"lease_owner": None, "lease_until": None}
    if ending.state == "ready":
        free["head_due"] = ending.due
    else:
        free |= _next_head(connection, lease.lane_id, now)
    connection.execute(update(lane).where(row.id == lease.lane_id).values(**free))
    return ending.state


def _overruled(connection: Connection, lease: Lease, ending: Ending, now: datetime) -> Ending:
    """What changed while it was in our hands: somebody cancelled it, or the person goes on again."""
    if ending.state not in ("ready", "held", "parked"):
        return ending
    reason = connection.execute(select(_MESSAGE.reason).where(_MESSAGE.id == lease.message.id)).scalar_one()
    if reason is not None:
        return Ending("cancelled", reason, _advice_when_cancelled(lease, ending))
    # asked with the lane in our hands: whoever resumes later waits for it, and then finds what is held
    if ending.state == "held" and not _is_paused(connection, lease.message):
        return Ending("ready", due=now, verdict=Verdict.LATER)
    return ending


def _is_paused(connection: Connection, message: Message) -> bool:
    wanted = message.referral_id
    return wanted is not None and is_paused(referrals.at(connection, message.program_id, wanted))


def _advice_when_cancelled(lease: Lease, ending: Ending) -> str | None:
    return "An attempt had no clear answer: it may have arrived." if lease.doubt or ending.on_wire else None


def _end_attempt(connection: Connection, lease: Lease, ending: Ending, now: datetime, *, late: bool) -> None:
    values: dict[str, Any] = {
        "ended_at": now,
        "status": ending.status,
        "milliseconds": ending.milliseconds,
        "retry_after": ending.retry_after,
        "late": late,
        "error": ending.reason,
    }
    if not late:  # the doubt of a late attempt is the next owner's: it keeps no verdict
        values["verdict"] = None if ending.verdict is None else ending.verdict.value
        if ending.on_wire is not None:
            values["on_wire"] = ending.on_wire
    connection.execute(update(attempt).where(attempt.c.id == lease.attempt_id).values(**values))


def _end_message(connection: Connection, lease: Lease, ending: Ending, now: datetime) -> None:
    values: dict[str, Any] = {"state": ending.state, "reason": ending.reason, "advice": ending.advice}
    if ending.state != "ready":
        values["settled_at"] = now
    if ending.state == "cancelled":
        values["body"] = None
    if ending.outcome is not None:
        values["outcome"] = ending.outcome
    connection.execute(update(outbox_message).where(_MESSAGE.id == lease.message.id).values(**values))


@cache  # it is built of forty parts and asked for at every step
def _held() -> ColumnElement[bool]:
    """A parked create holds back the later updates of the same resource, and nothing else.

    A rerun of that create stands further back in the lane than the updates it holds, and goes before them.
    """
    other = outbox_message.alias("other")
    same = and_(
        other.c.lane_id == _MESSAGE.lane_id,
        other.c.record_type == _MESSAGE.record_type,
        other.c.record_id == _MESSAGE.record_id,
        other.c.piece == _MESSAGE.piece,
        func.coalesce(other.c.detail, "") == func.coalesce(_MESSAGE.detail, ""),
        other.c.id != _MESSAGE.id,
    )
    before = or_(
        and_(other.c.state == "parked", other.c.id < _MESSAGE.id),
        and_(other.c.state.in_(("ready", "leased", "parked")), other.c.parent_id > 0),
    )
    # each status is told in a message of its own: a later one says more, never less
    is_update = and_(_MESSAGE.parent_id == 0, _MESSAGE.piece != "status")
    return and_(is_update, exists(select(literal_column("1")).select_from(other).where(same, before)))


def _next_head(connection: Connection, lane_id: int, now: datetime) -> dict[str, Any]:
    head = connection.execute(_first_waiting(), {"wanted": lane_id}).scalar_one()
    return {"head_id": head, "head_due": now if head else None, "attempts": 0}


@cache
def _first_waiting() -> Select[Any]:
    mine = _MESSAGE.lane_id == bindparam("wanted")
    return select(func.min(_MESSAGE.id)).where(mine, _MESSAGE.state == "ready", ~_held())


def mend(connection: Connection, endpoint: str, now: datetime) -> int:
    """Give a head to each lane that has none although messages wait in it; how many. A safety net for restarts."""
    row = lane.c
    waiting = exists(select(literal_column("1")).where(_MESSAGE.lane_id == row.id, _MESSAGE.state.in_(_OPEN), ~_held()))
    found = connection.execute(
        select(row.id)
        .where(row.endpoint == endpoint, row.head_id.is_(None), waiting)
        .order_by(row.id)
        .with_for_update()
    ).scalars()
    headless = list(found)
    for lane_id in headless:
        connection.execute(update(lane).where(row.id == lane_id).values(**_next_head(connection, lane_id, now)))
    return len(headless)
