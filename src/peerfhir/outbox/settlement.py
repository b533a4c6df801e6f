"""What is written down before the wire and after it: bytes and disclosure first, then how it ended."""

from __future__ import annotations

import hashlib
import logging
import random
from dataclasses import asdict, replace

from sqlalchemy import Connection, Engine

from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.errors import Verdict
from peerfhir.outbox import addresses, breaker, lanes, retry
from peerfhir.outbox.addresses import Address
from peerfhir.outbox.answers import EhrAnswer
from peerfhir.outbox.consent import MaySend, ask_for
from peerfhir.outbox.issues import without_values
from peerfhir.outbox.lease import Ending, Happened, Kept, Lease
from peerfhir.outbox.prepared import Prepared
from peerfhir.outbox.retry import Effect, Judgement
from peerfhir.pathway.consent import PAUSED, Decision
from peerfhir.pathway.vocabulary import ShareClass
from peerfhir.records import audit
from peerfhir.records.database import writing

_log = logging.getLogger(__name__)

DRY_RUN_SECONDS = 60  # how often a waiting message is looked at again while its endpoint is not live
AMBIGUOUS = (
    "It may have arrived, and this hospital lets us neither create conditionally nor search: "
    "look in the chart, and rerun it only when it is not there."
)
HELD = "The person pauses: it goes out by itself, consent asked again, when they go on."


class Settlement:
    """Writes the attempts of one endpoint's messages. Every method is one commit. Raises DatabaseBusy (later)."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        endpoint: EndpointSettings,
        may_send: MaySend,
        owner: str,
        chance: random.Random,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._endpoint = endpoint
        self._may_send = may_send
        self._owner = owner
        self._chance = chance

    def before_the_wire(self, lease: Lease, kept: Kept) -> bool:
        """Ask consent once more and commit bytes, plan and disclosure; False: nothing may leave.

        After True the attempt is in doubt until it is settled.
        """
        with writing(self._engine) as connection:
            now = self._clock.now()
            decision = self._may_send(connection, lease.message, self._endpoint, now)
            contact = ShareClass.CARE_TEAM_CONTACT
            too_much = kept.named and not ask_for(connection, lease.message, self._endpoint, now, contact).permit
            if decision.permit and not too_much:
                if not lanes.keep(connection, lease, replace(kept, grant_id=decision.grant_id), on_wire=True):
                    _log.info("outbox %d: another worker has its lane", lease.message.id)
                    return False
                self._audit(connection, lease, "disclose", "ok", f"{kept.form} {kept.method}")
        if not decision.permit:
            self.refused(lease, decision)
        elif too_much:
            self.released(lease)  # it is made anew, without the name
        return decision.permit and not too_much

    def arrived(
        self,
        lease: Lease,
        answer: EhrAnswer,
        address: Address | None,
        *,
        wrote: bool = True,
        local: str | None = None,
        plan: Kept | None = None,
    ) -> None:
        """It is there. `local` is the name the address is kept under; None: the message's own effect."""
        effect = Happened(Effect.RESETS, "arrived")
        ending = Ending("done", verdict=Verdict.DONE, on_wire=wrote or None, effect=effect)
        self._settle(lease, _with_answer(ending, answer), address, local or lease.message.idem, plan)

    def next_step(self, lease: Lease, answer: EhrAnswer, address: Address, local: str) -> None:
        """One legal step of several is done; the message goes on at once, in an attempt of its own."""
        effect = Happened(Effect.RESETS, "arrived")
        ending = Ending("ready", due=self._clock.now(), verdict=Verdict.DONE, on_wire=True, effect=effect)
        self._settle(lease, _with_answer(ending, answer), address, local)

    def failed(self, lease: Lease, answer: EhrAnswer, judged: Judgement, *, wrote: bool) -> None:
        """Again at, or parked with reason, advice and the hospital's issues without values.

        wrote  the exchange was a write; otherwise it was a read, which changes nothing there
        """
        now = self._clock.now()
        asked = retry.retry_after_seconds(answer.headers.get("retry-after"), now)
        state, reason, advice, due = "parked", judged.reason, judged.advice, None
        if judged.verdict is not Verdict.NEVER:
            settings, tries = self._endpoint, lease.message.attempts + 1
            wait = retry.wait_seconds(tries, settings.retry_base_seconds, settings.retry_cap_seconds, self._chance)
            due = retry.next_time(now, wait, asked, lease.message.horizon_at)
            state = "ready"
            if due is None:
                state, reason = "parked", "gave-up"
                advice = f"Not taken within the horizon; the last reason was {judged.reason}."
        ending = Ending(state, reason, advice, due, judged.verdict, retry_after=asked)
        ending = replace(
            ending,
            on_wire=(judged.doubt or answer.status is not None) if wrote else None,
            outcome=without_values(answer.json),
            effect=Happened(judged.effect, judged.reason, asked),
        )
        self._settle(lease, _with_answer(ending, answer))

    def ambiguous(self, lease: Lease, answer: EhrAnswer | None = None, judged: Judgement | None = None) -> None:
        """It may have arrived and nothing can tell: a person has to look."""
        ending = Ending("parked", "ambiguous", AMBIGUOUS, verdict=Verdict.RECONCILE)
        if answer is not None and judged is not None:
            effect = Happened(judged.effect, judged.reason)
            ending = _with_answer(replace(ending, on_wire=True, effect=effect), answer)
        self._settle(lease, ending)

    def parked(self, lease: Lease, reason: str, advice: str | None, verdict: Verdict | None = Verdict.NEVER) -> None:
        """A person has to look. Without a verdict a doubt about what was on the wire stays."""
        self._settle(lease, Ending("parked", reason, advice, verdict=verdict))

    def refused(self, lease: Lease, decision: Decision) -> None:
        """It may not be shared: no bytes. What only a pause keeps back is set aside until the person goes on."""
        if decision.reason == PAUSED:
            self._settle(lease, Ending("held", PAUSED, HELD, verdict=Verdict.LATER))
            return
        advice = "An earlier attempt had no clear answer: it may have arrived." if lease.doubt else None
        self._settle(lease, Ending("cancelled", decision.reason, advice, verdict=Verdict.NEVER))

    def kept_here(self, lease: Lease, prepared: Prepared, decision: Decision) -> None:
        """The endpoint takes no form of it: it stands on our own API, and the reason beside it."""
        plan = replace(kept_of(prepared), grant_id=decision.grant_id)
        self._settle(lease, Ending("done", "kept", prepared.reason, verdict=Verdict.DONE), plan=plan)

    def dry_run(self, lease: Lease, prepared: Prepared, decision: Decision) -> None:
        """Rendered and shown, not sent; it is rendered anew when the endpoint is live."""
        method, target = ("PUT", prepared.change.path) if prepared.change else ("POST", prepared.form)
        plan = replace(kept_of(prepared, method, target, prepared.create), grant_id=decision.grant_id)
        due = retry.later(self._clock.now(), DRY_RUN_SECONDS)
        advice = "The endpoint is in dry run: say live: true in its file when you have looked."
        self._settle(lease, Ending("ready", "dry-run", advice, due, Verdict.LATER), plan=plan)

    def released(self, lease: Lease) -> None:
        """Nothing was done; the message goes back to its lane."""
        self._settle(lease, Ending("ready", due=self._clock.now(), verdict=Verdict.LATER))

    def _settle(
        self,
        lease: Lease,
        ending: Ending,
        address: Address | None = None,
        local: str = "",
        plan: Kept | None = None,
    ) -> None:
        message = lease.message
        with writing(self._engine) as connection:
            now = self._clock.now()
            if plan is not None:
                lanes.keep(connection, lease, plan, on_wire=False)
            state = lanes.settle(connection, lease, ending, now)
            if state is not None and address is not None:
                addresses.remember(connection, message.program_id, message.endpoint, local, address, now)
            happened = ending.effect or Happened(Effect.NO, ending.reason or "")
            breaker.record(connection, self._endpoint, happened, now, self._chance)
            if state == "cancelled":
                self._audit(connection, lease, "cancel", "denied", ending.reason or "")
        _log.info("outbox %d: %s %s", message.id, state or "late", ending.reason or "")

    def _audit(self, connection: Connection, lease: Lease, action: str, outcome: str, detail: str) -> None:
        """The last thing before a commit: the end of the audit chain is locked from here on."""
        message = lease.message
        entry = audit.Entry(
            program_id=message.program_id,
            at=self._clock.now(),
            actor=self._owner,
            role="gateway",
            action=action,
            subject=f"{message.record_type}/{message.record_id}",
            person_id=message.person_id,
            outcome=outcome,
            detail=f"{message.piece} to {message.endpoint}, outbox {message.id}, attempt {lease.attempt_id}: {detail}",
            execution_id=message.execution_id,
        )
        audit.append(connection, [entry])


def kept_of(
    prepared: Prepared,
    method: str | None = None,
    target: str | None = None,
    body: bytes | None = None,
    *,
    if_none_exist: str | None = None,
    if_match: str | None = None,
) -> Kept:
    """What is written down of a plan, with the bytes when there are any."""
    return Kept(
        form=prepared.form,
        rung=prepared.rung,
        rung_reason=prepared.reason,
        **asdict(prepared.made_by),
        named=prepared.named,
        method=method,
        target=target,
        if_none_exist=if_none_exist,
        if_match=if_match,
        body=body,
        body_sha256=hashlib.sha256(body).hexdigest() if body is not None else None,
    )


def _with_answer(ending: Ending, answer: EhrAnswer) -> Ending:
    return replace(ending, status=answer.status, milliseconds=answer.milliseconds)
