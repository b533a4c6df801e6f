"""What could not be processed: why, and run it again."""

from __future__ import annotations

from sqlalchemy import Engine, update

from peerfhir.clock import Clock
from peerfhir.errors import Conflict
from peerfhir.records import messages
from peerfhir.records.database import reading, writing
from peerfhir.records.messages import Shown
from peerfhir.records.schema import inbox_message

_MESSAGE = inbox_message.c


def list_parked(engine: Engine, program_id: str, *, limit: int = 100) -> list[Shown]:
    """The parked messages of a program with reason and advice, without content, newest first."""
    with reading(engine) as connection:
        return messages.list_inbox(connection, program_id, state="parked", limit=limit)


def show(engine: Engine, program_id: str, message_id: str) -> Shown:
    """One message without content. Raises NotFound."""
    with reading(engine) as connection:
        return messages.show_inbox(connection, program_id, message_id)


def rerun(engine: Engine, clock: Clock, program_id: str, message_id: str) -> str:
    """Put a parked message back in its place, due now; its id.

    Safe to repeat: what a message asks for is done once, whoever asks again.
    Raises  NotFound; Conflict when it is not parked
    """
    with writing(engine) as connection:
        changed = connection.execute(
            update(inbox_message)
            .where(_MESSAGE.program_id == program_id, _MESSAGE.id == message_id, _MESSAGE.state == "parked")
            .values(state="ready", due_at=clock.now(), attempts=0, reason=None, advice=None, settled_at=None)
        )
        if changed.rowcount != 1:
            messages.show_inbox(connection, program_id, message_id)
            raise Conflict("Only a parked message can be run again.", place="state")
    return message_id
