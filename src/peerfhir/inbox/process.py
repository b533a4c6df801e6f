"""One kept message -> one pathway step, and the message is done in the same commit; `run_once()`."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, func, or_, select, update

from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.errors import Conflict, DatabaseBusy, Fault
from peerfhir.fhir.reader import Json, read_own
from peerfhir.fhir.store import Store
from peerfhir.inbox.intake import Intake
from peerfhir.mapping.registry import InUse
from peerfhir.pathway import steps
from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.refusals import Closed, IllegalTransition, Refusal, StaleVersion
from peerfhir.pathway.vocabulary import Role, TaskStatus
from peerfhir.records.database import writing
from peerfhir.records.schema import inbox_message
from peerfhir.records.work import Office, Work

_log = logging.getLogger(__name__)

DEFAULT_BATCH = 20
_LEASE_SECONDS = 10  # a step takes milliseconds; a lease that ends too early costs work, never a second referral
_MOST_ATTEMPTS = 8  # of what may pass by itself; after that a person looks
_LONGEST_WAIT_SECONDS = 60
_SPOKEN = {"received": TaskStatus.REQUESTED, "ready": TaskStatus.REQUESTED}  # docs/rules.md, States, inbound tolerance
_KEY = re.compile(r"Task/(?P<id>[A-Za-z0-9.-]{1,64})/_history/(?P<version>[0-9]{1,9})")

_MESSAGE = inbox_message.c
ReadOrder = Callable[[Store, Json, str], tuple[Person, Referral]]


class NotYet(Fault):
    """An earlier message about the same order has to be worked on first."""

    code = "not-yet"


@dataclass(frozen=True)
class Kept:
    """A kept message in a worker's hands."""

    id: str
    program_id: str
    source: str
    message_key: str
    focus: str
    execution_id: str
    attempts: int  # with this one
    lease_epoch: int


class _Lost(Exception):
    """Another worker has taken the message; everything of this attempt is rolled back."""


class _Overtaken(Exception):
    """The referral had ended by itself meanwhile: what the message asks for is noted, never applied."""

    def __init__(self, referral: Referral, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.referral = referral
        self.refusal = refusal


class Inbox:
    """Works through what was received; any number of these may run.

    settings    endpoint -> its file: what it sends is read under its overlays, within its limits
    read_order  makes drafts of an order; None: through the mappings
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        office: Office,
        mappings: InUse | None = None,
        owner: str = "worker",
        *,
        settings: Mapping[str, EndpointSettings] | None = None,
        read_order: ReadOrder | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._office = office
        self._owner = owner
        self._stopping = threading.Event()
        if read_order is None:
            if mappings is None:
                raise ValueError("either mappings or a reader of orders is needed")
            read_order = Intake(mappings, frozenset(office.recipients), settings)
        self._read_order: ReadOrder = read_order

    def run_once(self, limit: int = DEFAULT_BATCH) -> int:
        """Work on what is due, oldest first; how many were done, parked or put off.

        Raises  DatabaseBusy (later)
        """
        handled = 0
        while handled < limit and not self._stopping.is_set() and (kept := self._claim()) is not None:
            self._work_on(kept)
            handled += 1
        return handled

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    def _claim(self) -> Kept | None:
        """Lease the oldest message that is due.

        Commits `attempts + 1` and the lease before any work: a message that kills its worker is counted. One at a
        time, so that no other message is counted with it.
        """
        now = self._clock.now()
        free = or_(
            _MESSAGE.state == "ready",
            and_(_MESSAGE.state == "leased", _MESSAGE.lease_until < now),
        )
        due = (
            select(_MESSAGE.id)
            .where(free, _MESSAGE.due_at <= now)
            .order_by(_MESSAGE.received_at, _MESSAGE.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with writing(self._engine) as connection:
            message_id = connection.execute(due).scalar_one_or_none()
            if message_id is None:
                return None
            row = connection.execute(
                update(inbox_message)
                .where(_MESSAGE.id == message_id)
                .values(
                    state="leased",
                    lease_owner=self._owner,
                    lease_epoch=_MESSAGE.lease_epoch + 1,
                    lease_until=now + timedelta(seconds=_LEASE_SECONDS),
                    attempts=_MESSAGE.attempts + 1,
                )
                .returning(*(_MESSAGE[name] for name in Kept.__dataclass_fields__))
            ).one()
        return Kept(**row._mapping)  # noqa: SLF001 - public in spite of its name

    def _work_on(self, kept: Kept) -> None:
        if kept.attempts > _MOST_ATTEMPTS:  # nobody put it off so often: its workers have died over it
            self._park(kept, "worker-died", "Every worker that began it ended before it was done.")
            return
        try:
            self._do(kept)
        except _Lost:
            _log.info("inbox %s: another worker has it", kept.id)
        except _Overtaken as late:
            self._end(kept, _done(late.referral, late.refusal.reason))
        except (DatabaseBusy, Conflict, StaleVersion, NotYet) as fault:
            self._put_off(kept, fault)
        except Fault as fault:
            self._park(kept, fault.code, f"{fault.place}: {fault.what}" if fault.place else fault.what)
        except Refusal as refusal:
            self._park(kept, refusal.reason, " ".join((type(refusal).__doc__ or "").split()))
        except Exception as error:  # a fault of ours in one message must not stop the others
            _log.error("inbox %s: %s", kept.id, type(error).__name__)
            self._park(kept, "unexpected", type(error).__name__)

    def _do(self, kept: Kept) -> None:
        """The step, its records, its projection, what it owes and the settled message: one commit, or nothing."""
        with writing(self._engine) as connection:
            became, reason = self._step(connection, kept)
            self._settle(connection, kept, _done(became, reason))
        _log.info("inbox %s: done %s", kept.id, reason or "")

    def _step(self, connection: Connection, kept: Kept) -> tuple[Referral | None, str | None]:
        """What a message asks for: (the referral it is about, why nothing was done)."""
        found = _KEY.fullmatch(kept.message_key) or _first_task(kept.focus)
        if found is None:
            return None, "nothing-to-do"
        store = Store(connection, kept.program_id, self._clock)
        task = read_own(store.vread("Task", found["id"], int(found["version"])).body)
        status = _status(task)
        requester = Actor(kept.source, Role.REQUESTER, kept.program_id, source=kept.source)
        gateway = Actor("gateway", Role.GATEWAY, kept.program_id, source=kept.source)
        work = self._office.joined(connection, requester, execution_id=kept.execution_id)
        referral = work.referral_by_task(found["id"])
        if referral is not None:
            return self._changed(work, referral, status, task)
        if status is TaskStatus.REQUESTED:
            work = self._office.joined(connection, gateway, execution_id=kept.execution_id)
            person, draft = self._read_order(store, task, kept.source)
            referral = steps.receive_referral(work, person, draft)
            work.finish()
            return referral, None
        if status is not TaskStatus.DRAFT and _has_earlier(connection, kept, found["id"]):
            raise NotYet
        return None, "nothing-to-do"

    def _changed(
        self, work: Work, referral: Referral, status: TaskStatus | None, task: Json
    ) -> tuple[Referral | None, str | None]:
        """A requester's write to the Task of a referral we have; the door has checked that it may be written."""
        said = task.get("statusReason")
        sentence = str(said.get("text") or "") if isinstance(said, dict) else ""
        try:
            if status is TaskStatus.CANCELLED:
                referral = steps.withdraw_by_requester(work, referral.id, sentence)
            elif status is TaskStatus.ENTERED_IN_ERROR:
                referral = steps.mark_mistake(work, referral.id, sentence or None)
            else:
                return referral, "nothing-to-do"
        except (Closed, IllegalTransition) as refusal:
            raise _Overtaken(referral, refusal) from refusal
        work.finish()
        return referral, None

    def _put_off(self, kept: Kept, fault: Fault | Refusal) -> None:
        """It may pass by itself: again after a while, and not for ever."""
        reason = fault.code if isinstance(fault, Fault) else fault.reason
        if kept.attempts >= _MOST_ATTEMPTS:
            self._park(kept, reason, "It did not pass by itself; look at what else happened to this order.")
            return
        due = self._clock.now() + timedelta(seconds=min(_LONGEST_WAIT_SECONDS, 0.25 * 2**kept.attempts))
        self._end(kept, {"state": "ready", "reason": reason, "advice": None, "due_at": due})

    def _park(self, kept: Kept, reason: str, advice: str) -> None:
        self._end(kept, {"state": "parked", "reason": reason, "advice": advice})
        _log.warning("inbox %s: parked, %s", kept.id, reason)

    def _end(self, kept: Kept, values: dict[str, Any]) -> None:
        try:
            with writing(self._engine) as connection:
                self._settle(connection, kept, values)
        except _Lost:
            _log.info("inbox %s: another worker has it", kept.id)

    def _settle(self, connection: Connection, kept: Kept, values: dict[str, Any]) -> None:
        """Fenced: only the worker that leased it last may say how it ended. Raises _Lost."""
        now: datetime = self._clock.now()
        changed = connection.execute(
            update(inbox_message)
            .where(
                _MESSAGE.id == kept.id,
                _MESSAGE.state == "leased",
                _MESSAGE.lease_owner == self._owner,
                _MESSAGE.lease_epoch == kept.lease_epoch,
            )
            .values(
                lease_owner=None, lease_until=None, settled_at=None if values["state"] == "ready" else now, **values
            )
        )
        if changed.rowcount != 1:
            raise _Lost


def _done(became: Referral | None, reason: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {"state": "done", "reason": reason, "advice": None}
    return values if became is None else values | {"record_type": "referral", "record_id": became.id}


def _first_task(focus: str) -> re.Match[str] | None:
    """The first Task that was written with a message whose key is the sender's own."""
    return next((found for one in read_own(focus.encode()) if (found := _KEY.fullmatch(one))), None)


def _status(task: Json) -> TaskStatus | None:
    word = task.get("status")
    try:
        return _SPOKEN.get(word) or TaskStatus(word)
    except ValueError:
        return None


def _has_earlier(connection: Connection, kept: Kept, task_id: str) -> bool:
    """Whether a message about the same Task is still to be worked on, or parked."""
    others = select(func.count()).where(
        _MESSAGE.program_id == kept.program_id,
        _MESSAGE.source == kept.source,
        _MESSAGE.message_key.like(f"Task/{task_id}/\\_history/%", escape="\\"),
        _MESSAGE.id != kept.id,
        _MESSAGE.state.in_(("ready", "leased", "parked")),
    )
    return bool(connection.execute(others).scalar_one())
