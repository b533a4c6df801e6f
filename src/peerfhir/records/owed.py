"""What is owed to a hospital: rows put in their lane, overtaken, or cancelled, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from peerfhir.pathway.vocabulary import Piece, ShareClass
from peerfhir.records.schema import lane, outbox_message
from peerfhir.records.upsert import insert_new, insert_or_update

_MESSAGE = outbox_message.c


@dataclass(frozen=True)
class OwedRow:
    """One message to be sent: which piece of which exact version of a record, and where.

    order_key  the person; messages of one lane (endpoint, order key) go out one after the other
    idem       the effect: the same again is owed only once
    """

    program_id: str
    endpoint: str
    order_key: str
    idem: str
    piece: Piece
    detail: str | None
    share_class: ShareClass
    person_id: str
    referral_id: str | None
    record_type: str
    record_id: str
    record_version: int
    horizon_at: datetime
    execution_id: str | None = None


def owe_row(connection: Connection, row: OwedRow, now: datetime) -> int | None:
    """Put a message at the end of its lane; the id, or None when this effect is owed already.

    The lane is locked until the commit, so ids follow the order of the commits and a claim waits for us.
    Source  docs/rules.md, Delivery
    """
    keys = {"program_id": row.program_id, "endpoint": row.endpoint, "order_key": row.order_key}
    change = {"order_key": row.order_key}  # changes nothing, but locks and returns the row
    held = insert_or_update(connection, lane, ("endpoint", "program_id", "order_key"), keys, change, "id", "head_id")
    values = {name: value for name, value in asdict(row).items() if name != "order_key"}
    values |= {"lane_id": held.id, "state": "ready", "created_at": now, "parent_id": 0}
    made = insert_new(connection, outbox_message, ("program_id", "endpoint", "idem", "parent_id"), values, "id")
    if made is None:
        return None
    if held.head_id is None:
        connection.execute(update(lane).where(lane.c.id == held.id).values(head_id=made.id, head_due=now, attempts=0))
    return int(made.id)


def supersede(
    connection: Connection, newer: OwedRow, newer_id: int, is_terminal: Callable[[int], bool], now: datetime
) -> int:
    """Set aside status messages that a newer one has overtaken before they were sent; how many.

    is_terminal  of a version of the referral: such a status is never dropped
    Source       docs/rules.md, Delivery
    """
    (held,) = _locked(connection, newer.program_id, newer.order_key, lane.c.endpoint == newer.endpoint)
    older = connection.execute(
        select(_MESSAGE.id, _MESSAGE.record_version).where(
            _MESSAGE.program_id == newer.program_id,
            _MESSAGE.lane_id == held.id,
            _MESSAGE.referral_id == newer.referral_id,
            _MESSAGE.piece == newer.piece,
            _MESSAGE.state == "ready",
            _MESSAGE.id < newer_id,
        )
    )
    overtaken = [one.id for one in older if not is_terminal(one.record_version)]
    if overtaken:
        _settle(connection, newer.program_id, overtaken, "superseded", "overtaken", now)
        if held.head_id in overtaken:
            move_head(connection, held.id, now)
    return len(overtaken)


def cancel(
    connection: Connection,
    program_id: str,
    person_id: str,
    reason: str,
    now: datetime,
    *,
    keep: frozenset[Piece] = frozenset(),
    referral_id: str | None = None,
) -> int:
    """Cancel what waits for a person, or for one referral: no bytes are left of it. How many were cancelled.

    A message that a worker has in its hands may be on the wire at this moment. It is left there, with the reason
    and an ended horizon, so that it is not tried again.
    Source  docs/rules.md, Consent
    """
    lanes = _locked(connection, program_id, person_id)
    open_rows = connection.execute(
        select(_MESSAGE.id, _MESSAGE.lane_id, _MESSAGE.state).where(
            _MESSAGE.program_id == program_id,
            _MESSAGE.person_id == person_id,
            _MESSAGE.state.in_(("ready", "leased", "held", "parked")),
            # only what stands in a lane we hold: a lane that appears just now was owed after this, not before
            _MESSAGE.lane_id.in_([one.id for one in lanes]),
            _MESSAGE.piece.not_in(keep),
            *([_MESSAGE.referral_id == referral_id] if referral_id else []),
        )
    ).all()
    flying = [row.id for row in open_rows if row.state == "leased"]
    cancelled = [row.id for row in open_rows if row.id not in flying]
    _settle(connection, program_id, cancelled, "cancelled", reason, now)
    connection.execute(
        update(outbox_message)
        .where(_MESSAGE.program_id == program_id, _MESSAGE.id.in_(flying))
        .values(reason=reason, horizon_at=now)
    )
    freed = {row.lane_id for row in open_rows if row.state == "parked" and row.id in cancelled}
    for one in lanes:  # what only waited behind a cancelled message may go
        if one.head_id in cancelled or (one.head_id is None and one.id in freed):
            move_head(connection, one.id, now)
    return len(cancelled)


def release(connection: Connection, program_id: str, person_id: str, referral_id: str, now: datetime) -> int:
    """Let go, in its order, what a pause of this referral held back; how many. Its horizon stood still meanwhile.

    The lanes are locked before anything is looked at: a worker that is about to set something aside either has
    done so by then, or sees that the pause is over.
    """
    lanes = _locked(connection, program_id, person_id)
    found = connection.execute(
        select(_MESSAGE.id, _MESSAGE.lane_id, _MESSAGE.horizon_at, _MESSAGE.settled_at).where(
            _MESSAGE.program_id == program_id,
            _MESSAGE.referral_id == referral_id,
            _MESSAGE.state == "held",
            _MESSAGE.lane_id.in_([one.id for one in lanes]),
        )
    ).all()
    for one in found:
        values = {"state": "ready", "reason": None, "advice": None, "settled_at": None}
        horizon = one.horizon_at + max(now - one.settled_at, timedelta(0))
        mine = (_MESSAGE.program_id == program_id, _MESSAGE.id == one.id)
        connection.execute(update(outbox_message).where(*mine).values(**values, horizon_at=horizon))
    for held in lanes:
        first = min((one.id for one in found if one.lane_id == held.id), default=None)
        if first is not None and _goes_before(connection, first, held.head_id):
            move_head(connection, held.id, now)
    return len(found)


def _goes_before(connection: Connection, message_id: int, head_id: int | None) -> bool:
    """A head that a worker has in its hands stays the head; the next is chosen when it is settled."""
    if head_id is None:
        return True
    state = connection.execute(select(_MESSAGE.state).where(_MESSAGE.id == head_id)).scalar_one_or_none()
    return state != "leased" and message_id < head_id


def move_head(connection: Connection, lane_id: int, now: datetime) -> None:
    """The next waiting message of a lane becomes its head, due now; no message, no head."""
    waiting = select(func.min(_MESSAGE.id)).where(_MESSAGE.lane_id == lane_id, _MESSAGE.state == "ready")
    head = connection.execute(waiting).scalar_one()
    connection.execute(
        update(lane).where(lane.c.id == lane_id).values(head_id=head, head_due=now if head else None, attempts=0)
    )


def _locked(
    connection: Connection, program_id: str, order_key: str, *which: ColumnElement[bool]
) -> list[Row[tuple[int, int | None]]]:
    """Lanes in the order of their ids, which is the order everyone locks them in."""
    mine = (lane.c.program_id == program_id, lane.c.order_key == order_key, *which)
    query = select(lane.c.id, lane.c.head_id).where(*mine).order_by(lane.c.id)
    return list(connection.execute(query.with_for_update()))


def _settle(
    connection: Connection, program_id: str, ids: Iterable[int], state: str, reason: str, now: datetime
) -> None:
    connection.execute(
        update(outbox_message)
        .where(_MESSAGE.program_id == program_id, _MESSAGE.id.in_(ids))
        .values(state=state, reason=reason, advice=None, body=None, settled_at=now)
    )
