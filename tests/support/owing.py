"""Things owed to a hospital without any pathway behind them: for tests of the outbox alone."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select

from peerfhir.clock import Clock, SystemClock
from peerfhir.config import EndpointSettings
from peerfhir.errors import MappingFailed
from peerfhir.fhir import writer
from peerfhir.fhir.capability import Offer
from peerfhir.outbox.deliver import Outbox
from peerfhir.outbox.ehr import Ehr
from peerfhir.outbox.lease import MadeBy, Message
from peerfhir.outbox.prepared import Change, Prepared, Revision
from peerfhir.pathway.consent import Decision
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece
from peerfhir.records.database import reading, writing
from peerfhir.records.owed import OwedRow, owe_row
from peerfhir.records.schema import outbox_message

SYSTEM = "https://us.example.org/number"
PROGRAM = "p1"


def endpoint_at(url: str, **changes: Any) -> EndpointSettings:
    """A live hospital that is called fast and often."""
    quick = EndpointSettings(
        id="h1",
        program=PROGRAM,
        base_url=url,
        live=True,
        allow_insecure_loopback=True,
        connect_seconds=2.0,
        read_seconds=5.0,
        total_seconds=8.0,
        lease_seconds=90.0,
        rate_per_second=100_000.0,
        burst=100_000,
        max_in_flight=8,
    )
    return replace(quick, **changes)


def owe(
    engine: Engine,
    clock: Clock,
    number: str,
    *,
    person: str = "person-1",
    piece: Piece = Piece.ENCOUNTER,
    endpoint: str = "h1",
    program: str = PROGRAM,
    version: int = 1,
    hours: float = 72,
) -> int:
    """Owe one piece; its id."""
    with writing(engine) as connection:
        return owe_in(
            connection, clock, number, person=person, piece=piece, endpoint=endpoint, program=program,
            version=version, hours=hours,
        )  # fmt: skip


def owe_in(
    connection: Connection, clock: Clock, number: str, *, person: str, piece: Piece = Piece.ENCOUNTER,
    endpoint: str = "h1", program: str = PROGRAM, version: int = 1, hours: float = 72,
) -> int:  # fmt: skip
    status = piece is Piece.STATUS
    row = OwedRow(
        program_id=program,
        endpoint=endpoint,
        order_key=person,
        idem=f"{number}:{piece}" + (f":{version}" if status else ""),
        piece=piece,
        detail=None,
        share_class=SHARE_CLASS_OF[piece],
        person_id=person,
        referral_id=None,
        record_type="referral" if status else "encounter",
        record_id=number,
        record_version=version,
        horizon_at=clock.now() + timedelta(hours=hours),
        execution_id=f"x-{number}",
    )
    made = owe_row(connection, row, clock.now())
    assert made is not None
    return made


class PlainRender:
    """Says each message as an Observation that carries its number, or as the number's Task brought up to date.

    `broken` numbers fail like a mapping; `calls` counts the renderings.
    """

    def __init__(self, broken: Iterable[str] = (), tasks: dict[str, str] | None = None) -> None:
        self.broken = set(broken)
        self.tasks = tasks or {}
        self.calls = 0
        self.mark = "first"

    def __call__(self, connection: Connection, message: Message, endpoint: EndpointSettings, offer: Offer) -> Prepared:
        self.calls += 1
        number = message.idem.split(":")[0]
        if number in self.broken:
            raise MappingFailed("A rule found nothing.", place="plain.map.yaml:3:1")
        chosen = Prepared("Observation", 1, "the hospital takes Observation", MadeBy("plain", "0" * 64))
        if message.piece == Piece.STATUS:
            version = message.record_version

            def revise(current: Any) -> Revision:
                if current.get("note", []) and current["note"][-1]["text"] == f"version {version}":
                    return Revision(None)
                notes = [*current.get("note", []), {"text": f"version {version}"}]
                return Revision(writer.write({**current, "note": notes}))

            return replace(chosen, form="Task", change=Change(self.tasks[number], f"Task/our-{number}", revise))
        resource = {
            "resourceType": "Observation",
            "identifier": [{"system": SYSTEM, "value": number}],
            "status": "final",
            "code": {"text": self.mark},
        }
        return replace(chosen, create=writer.write(resource), identifier=f"{SYSTEM}|{number}")


def always(connection: Connection, message: Message, endpoint: EndpointSettings, now: datetime) -> Decision:
    """Everyone agreed to everything."""
    return Decision(True, "granted", "grant-1")


def outbox_of(
    engine: Engine,
    clock: Clock,
    endpoint: EndpointSettings,
    render: Any = None,
    *,
    may_send: Any = always,
    owner: str = "w1",
    seed: int = 1,
) -> Outbox:
    return Outbox(
        engine,
        clock,
        {endpoint.id: endpoint},
        lambda settings: Ehr(settings, clock),
        render or PlainRender(),
        may_send,
        owner,
        chance=random.Random(seed),
    )


def rows(engine: Engine, *wanted: Any) -> list[Any]:
    """Rows of the outbox, in the order they were owed."""
    columns = wanted or (outbox_message,)
    with reading(engine) as connection:
        return list(connection.execute(select(*columns).order_by(outbox_message.c.id)))


def states(engine: Engine) -> dict[str, str]:
    """Effect -> state, of the last row for each."""
    return dict(rows(engine, outbox_message.c.idem, outbox_message.c.state))


def drain(outbox: Outbox, *, seconds: float = 20) -> int:
    """Turns until nothing has been due for a moment."""
    handled = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        turn = outbox.run_once()
        handled += turn
        if not turn:
            break
    return handled


class JumpingClock(SystemClock):
    """A real clock whose wall time can be set by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead
