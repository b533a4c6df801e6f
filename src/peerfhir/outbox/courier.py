"""One leased message on its way: the question about consent, the plan, and the exchange with the hospital."""

from __future__ import annotations

import threading
from urllib.parse import quote

from sqlalchemy import Connection, Engine

from peerfhir.adapters.pieces import KEPT
from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.errors import DatabaseBusy, Fault, Verdict
from peerfhir.fhir.capability import Offer
from peerfhir.fhir.reader import read_own
from peerfhir.outbox import addresses, probe
from peerfhir.outbox.addresses import Address
from peerfhir.outbox.answers import EhrAnswer
from peerfhir.outbox.consent import MaySend, ask_for
from peerfhir.outbox.ehr import Ehr
from peerfhir.outbox.lease import Lease
from peerfhir.outbox.prepared import Change, Prepared, Renderer
from peerfhir.outbox.probe import Once, Probe
from peerfhir.outbox.reconcile import Found, identifiers_of, search
from peerfhir.outbox.retry import Effect, Judgement, Sent, judge
from peerfhir.outbox.settlement import AMBIGUOUS, Settlement, kept_of
from peerfhir.pathway.refusals import Refusal
from peerfhir.pathway.vocabulary import ShareClass
from peerfhir.records.database import reading, writing


class Courier:
    """Carries the messages of one endpoint. Used by several threads at once, each with a lease of its own."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        endpoint: EndpointSettings,
        ehr: Ehr,
        render: Renderer,
        may_send: MaySend,
        settlement: Settlement,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._endpoint = endpoint
        self._ehr = ehr
        self._render = render
        self._may_send = may_send
        self._settlement = settlement
        self._probe = Probe(engine, clock, endpoint.id, ehr)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Put nothing more on the wire."""
        self._stopping.set()

    def close(self) -> None:
        """Let go of the connections."""
        self._ehr.close()

    def carry(self, lease: Lease) -> None:
        """Deliver one message or find out why not, and settle it.

        Raises  DatabaseBusy (later): the lease ends by itself. A fault of ours parks the message and is raised.
        """
        try:
            self._carry(lease)
        except DatabaseBusy:
            raise
        except Fault as fault:
            advice = f"{fault.place}: {fault.what}" if fault.place else fault.what
            self._settlement.parked(lease, fault.code, advice)
        except Refusal as refusal:
            self._settlement.parked(lease, refusal.reason, " ".join((type(refusal).__doc__ or "").split()))
        except Exception as error:
            # parked, so that it is seen and holds up nobody else's messages
            self._settlement.parked(lease, "unexpected", type(error).__name__, verdict=None)
            raise

    def _carry(self, lease: Lease) -> None:
        if self._stopping.is_set():
            self._settlement.released(lease)
            return
        offer = self._probe.offer()
        if isinstance(offer, EhrAnswer):
            self._settlement.failed(lease, offer, _no_plan(offer), wrote=False)
            return
        with reading(self._engine) as connection:
            decision = self._may_send(connection, lease.message, self._endpoint, self._clock.now())
            prepared = self._prepared(connection, lease, offer) if decision.permit else None
        if prepared is None:
            self._settlement.refused(lease, decision)
        elif prepared.form == KEPT:
            self._settlement.kept_here(lease, prepared, decision)
        elif not self._endpoint.live:
            self._settlement.dry_run(lease, prepared, decision)
        elif self._stopping.is_set():
            self._settlement.released(lease)
        elif prepared.change is not None:
            self._update(lease, prepared, prepared.change)
        else:
            self._create(lease, prepared, offer)

    def _prepared(self, connection: Connection, lease: Lease, offer: Offer) -> Prepared:
        """The bytes that were meant for the wire before, or new ones.

        An update is always made anew, and so is what says more than the person agrees to by now.
        """
        message = lease.message
        kept = lease.kept and message.method == "POST" and message.body is not None
        if kept and message.named:
            now = self._clock.now()
            kept = ask_for(connection, message, self._endpoint, now, ShareClass.CARE_TEAM_CONTACT).permit
        if not kept or message.body is None:
            return self._render(connection, message, self._endpoint, offer)
        names = identifiers_of(read_own(message.body))
        return Prepared(
            message.form or message.target or "",
            message.rung or 1,
            message.rung_reason or "",
            message.made_by,
            create=message.body,
            identifier=names[0] if names else None,
            named=message.named,
        )

    def _create(self, lease: Lease, prepared: Prepared, offer: Offer) -> None:
        once = probe.once(offer, self._endpoint, prepared.form) if prepared.identifier else Once.NEITHER
        if once is Once.NEITHER and lease.doubt:
            self._settlement.ambiguous(lease)
            return
        if once is Once.SEARCH and (lease.doubt or lease.message.parent_id) and self._is_settled(lease, prepared):
            return
        condition = None
        if once is Once.CONDITIONAL:
            condition = f"identifier={quote(prepared.identifier or '', safe=':/|')}"
        kept = kept_of(prepared, "POST", prepared.form, prepared.create, if_none_exist=condition)
        if not self._settlement.before_the_wire(lease, kept):
            return
        headers = _headers(lease) | ({"If-None-Exist": condition} if condition else {})
        answer = self._ehr.exchange("POST", prepared.form, prepared.create, headers)
        judged = judge(answer.seen(prepared.form), Sent("POST", if_none_exist=condition is not None))
        if judged.verdict is Verdict.DONE and _is_anothers(answer, prepared):
            judged = Judgement(Verdict.RECONCILE, "unclear-success", doubt=True)
        if judged.verdict is Verdict.DONE:
            self._settlement.arrived(lease, answer, self._address(answer, prepared, once))
        elif judged.doubt and once is Once.NEITHER:
            self._settlement.ambiguous(lease, answer, judged)
        else:
            self._not_done(lease, answer, judged, wrote=True)

    def _is_settled(self, lease: Lease, prepared: Prepared) -> bool:
        """Look before sending again; True when that settled the message."""
        finding = search(self._ehr, prepared.form, prepared.identifier or "", execution_id=lease.message.execution_id)
        if finding.found is Found.ABSENT:
            return False
        if finding.found is Found.ARRIVED:
            self._settlement.arrived(lease, finding.answer, finding.address, wrote=False)
        elif finding.found is Found.UNKNOWN:
            judged = judge(finding.answer.seen("Bundle"), Sent("GET"))
            if judged.verdict is Verdict.DONE:
                judged = Judgement(Verdict.LATER, "unclear-search")
            self._not_done(lease, finding.answer, judged, wrote=False)
        else:
            reason = "several-matches" if finding.found is Found.SEVERAL else "ambiguous"
            self._settlement.parked(lease, reason, AMBIGUOUS, Verdict.RECONCILE)
        return True

    def _address(self, answer: EhrAnswer, prepared: Prepared, once: Once) -> Address | None:
        """Where it is now; asked for when the answer does not say."""
        found = addresses.read(answer.headers, answer.json, prepared.form)
        if found is None and once is not Once.NEITHER and prepared.identifier:
            found = search(self._ehr, prepared.form, prepared.identifier).address
        return found

    def _update(self, lease: Lease, prepared: Prepared, change: Change) -> None:
        current = self._ehr.exchange("GET", change.path, None, _headers(lease))
        judged = judge(current.seen(prepared.form), Sent("GET"))
        if judged.verdict is Verdict.DONE and current.json is None:
            judged = Judgement(Verdict.LATER, "unclear-answer")
        if judged.verdict is not Verdict.DONE:
            self._not_done(lease, current, judged, wrote=False)
            return
        there = addresses.of_resource(current.json, prepared.form, current.headers.get("etag"))
        etag = there.etag if there else current.headers.get("etag")
        revision = change.revise(current.json)
        if revision.body is None:
            seen, plan = Address(change.path, etag), kept_of(prepared, "PUT", change.path)
            self._settlement.arrived(lease, current, seen, wrote=False, local=change.local, plan=plan)
            return
        kept = kept_of(prepared, "PUT", change.path, revision.body, if_match=etag)
        if not self._settlement.before_the_wire(lease, kept):
            return
        headers = _headers(lease) | ({"If-Match": etag} if etag else {})
        answer = self._ehr.exchange("PUT", change.path, revision.body, headers)
        judged = judge(answer.seen(prepared.form), Sent("PUT", if_match=etag is not None))
        written = addresses.of_resource(answer.json, prepared.form, answer.headers.get("etag"))
        address = Address(change.path, written.etag if written else answer.headers.get("etag"))
        if judged.verdict is not Verdict.DONE:
            self._not_done(lease, answer, judged, wrote=True)
        elif revision.more:
            self._settlement.next_step(lease, answer, address, change.local)
        else:
            self._settlement.arrived(lease, answer, address, local=change.local)

    def _not_done(self, lease: Lease, answer: EhrAnswer, judged: Judgement, *, wrote: bool) -> None:
        if judged.reason == "not-offered":  # the statement promised it: read it again before the next plan
            with writing(self._engine) as connection:
                probe.forget(connection, self._endpoint.id)
        self._settlement.failed(lease, answer, judged, wrote=wrote)


def _headers(lease: Lease) -> dict[str, str]:
    said = {"Prefer": "return=minimal"}  # what we wrote need not come back over the wire
    return said | ({"X-Request-Id": lease.message.execution_id} if lease.message.execution_id else {})


def _no_plan(answer: EhrAnswer) -> Judgement:
    """Without a CapabilityStatement no plan can be made: everything waits, and nothing is parked one by one."""
    judged = judge(answer.seen("CapabilityStatement"), Sent("GET"))
    if judged.verdict is Verdict.LATER:
        return judged
    advice = "The hospital's CapabilityStatement cannot be read at base_url/metadata."
    return Judgement(Verdict.LATER, "no-capability", Effect.REST, advice=advice)


def _is_anothers(answer: EhrAnswer, prepared: Prepared) -> bool:
    """What was found instead of being created carries identifiers, and ours is not one of them."""
    if answer.status != 200 or not isinstance(answer.json, dict):
        return False
    if answer.json.get("resourceType") != prepared.form:
        return False
    names = identifiers_of(answer.json)
    return bool(names) and prepared.identifier not in names
