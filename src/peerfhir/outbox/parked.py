"""What was not delivered: why, and run it again, with the same bytes or rendered anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from peerfhir.clock import Clock
from peerfhir.errors import BusinessRule, Conflict, NotFound
from peerfhir.outbox import breaker
from peerfhir.pathway.vocabulary import Piece
from peerfhir.records import messages
from peerfhir.records.database import reading, writing
from peerfhir.records.messages import Shown
from peerfhir.records.owed import move_head
from peerfhir.records.schema import lane, outbox_message
from peerfhir.records.upsert import insert_new

PINNED, CURRENT = "pinned", "current"
_MESSAGE = outbox_message.c
_THE_SAME = (
    "program_id", "lane_id", "endpoint", "idem", "piece", "detail", "share_class", "person_id", "referral_id",
    "record_type", "record_id", "record_version", "execution_id",
)  # fmt: skip
_BYTES = (
    "rung", "rung_reason", "form", "mapping_id", "mapping_sha256", "mapping_version", "overlay", "engine", "packages",
    "method", "target", "if_none_exist", "body", "body_sha256", "named",
)  # fmt: skip
_LEAST_HORIZON = timedelta(hours=1)
_ENDPOINT_WAS_STOPPED_FOR = frozenset({"auth", "gone"})


def list_parked(engine: Engine, program_id: str, *, limit: int = 100) -> list[Shown]:
    """The parked messages of a program with reason and advice, without content, newest first."""
    with reading(engine) as connection:
        return messages.list_outbox(connection, program_id, state="parked", limit=limit)


def show(engine: Engine, program_id: str, message_id: int) -> Shown:
    """One message with its attempts and when it is tried next, without content. Raises NotFound."""
    with reading(engine) as connection:
        return messages.show_outbox(connection, program_id, message_id)


def rerun(
    engine: Engine,
    clock: Clock,
    program_id: str,
    message_id: int,
    mode: str = CURRENT,
    *,
    project: Callable[[int], bool] | None = None,
) -> int:
    """Owe a parked message once more, as a new row at the end of its lane; the new row's id.

    mode     "current": rendered anew, by the mappings and the plan as they are now; "pinned": the exact bytes; an
             update, which is always made on top of what is there, by the mapping that made it before
    project  runs a projection of our own again (Office.rerun_projection); its row keeps its id

    The effect keeps its identifier, so a create that did arrive is found and not doubled. Consent is asked again
    when it is sent. Where an endpoint was stopped for this message's fault, it may be called again.
    Raises   NotFound; Conflict when it is not parked; BusinessRule for a mode that cannot be
    """
    if mode not in (PINNED, CURRENT):
        raise BusinessRule("A rerun is pinned or current.", place="mode")
    row = _parked(engine, program_id, message_id)
    if not row["endpoint"]:
        if project is None:
            raise BusinessRule("This is a projection on our own API: run it again from the command line.", place="id")
        project(message_id)
        return message_id
    with writing(engine) as connection:
        return _again(connection, clock, row, mode)


def _parked(engine: Engine, program_id: str, message_id: int) -> dict[str, Any]:
    query = select(outbox_message).where(_MESSAGE.program_id == program_id, _MESSAGE.id == message_id)
    with reading(engine) as connection:
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound
    if row["state"] != "parked":
        raise Conflict("Only a parked message can be run again.", place="state")
    if row["endpoint"] and row["lane_id"] is None:
        raise Conflict("This message has no lane.", place="lane")
    return dict(row)


def _again(connection: Connection, clock: Clock, row: dict[str, Any], mode: str) -> int:
    if mode == PINNED and row["body"] is None:
        raise BusinessRule("It never had bytes; run it again as current.", place="mode")
    now = clock.now()
    if row["piece"] == Piece.STATUS and _is_overtaken(connection, row):
        raise Conflict("A later status of this referral has been told since; this one would take it back.")
    connection.execute(select(lane.c.id).where(lane.c.id == row["lane_id"]).with_for_update())
    changed = connection.execute(
        update(outbox_message)
        .where(_MESSAGE.id == row["id"], _MESSAGE.program_id == row["program_id"], _MESSAGE.state == "parked")
        .values(state="superseded", settled_at=now)
    )
    values = {name: row[name] for name in _THE_SAME}
    values |= {
        "state": "ready",
        "created_at": now,
        "horizon_at": now + max(row["horizon_at"] - row["created_at"], _LEAST_HORIZON),
        "parent_id": row["id"],
        "replay_mode": mode,
        "attempts": 0,
    }
    if mode == PINNED:
        values |= {name: row[name] for name in _BYTES}
    made = insert_new(connection, outbox_message, ("program_id", "endpoint", "idem", "parent_id"), values, "id")
    if changed.rowcount != 1 or made is None:
        raise Conflict("It has been run again already.", place="state")
    held = connection.execute(select(lane.c.head_id).where(lane.c.id == row["lane_id"])).scalar_one()
    if held is None:
        move_head(connection, row["lane_id"], now)
    if row["reason"] in _ENDPOINT_WAS_STOPPED_FOR:
        breaker.resume(connection, row["endpoint"])
    return int(made.id)


def _is_overtaken(connection: Connection, row: dict[str, Any]) -> bool:
    later = select(_MESSAGE.id).where(
        _MESSAGE.program_id == row["program_id"],
        _MESSAGE.endpoint == row["endpoint"],
        _MESSAGE.record_id == row["record_id"],
        _MESSAGE.piece == row["piece"],
        _MESSAGE.record_version > row["record_version"],
        _MESSAGE.state.in_(("ready", "leased", "done")),
    )
    return connection.execute(later.limit(1)).first() is not None
