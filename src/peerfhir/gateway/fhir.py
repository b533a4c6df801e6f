"""`/fhir/*`, our own API: policy first, inbox for what others send, kept bytes for what they read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from flask import Blueprint, g, request
from sqlalchemy import Connection, bindparam, insert, select

from peerfhir.access import policy, scopes
from peerfhir.access.callers import Caller
from peerfhir.config import EndpointSettings
from peerfhir.errors import Forbidden, MethodNotAllowed, PreconditionMissing
from peerfhir.fhir import capability
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.prepared import Prepared, among
from peerfhir.fhir.reader import Json
from peerfhir.fhir.rest import Call, Change, Rest
from peerfhir.fhir.routes import Offered
from peerfhir.fhir.search import Query
from peerfhir.fhir.store import Store
from peerfhir.fhir.stored import Page, Stored
from peerfhir.gateway import door, rest, task, transforms
from peerfhir.gateway.authorize import token_url
from peerfhir.gateway.parts import Parts
from peerfhir.gateway.refusals import fault_of
from peerfhir.inbox import receive
from peerfhir.pathway.refusals import Refusal
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import remote
from peerfhir.records.upsert import insert_or_update

_NEW_ADDRESS = Prepared(insert(remote))
_KNOWN_ADDRESSES = Prepared(
    *(
        select(remote.c.local, remote.c.reference).where(
            remote.c.program_id == bindparam("p"), remote.c.endpoint == bindparam("e"), these
        )
        for these in among(remote.c.local, "locals")
    )
)
_GUIDES = ("http://hl7.org/fhir/us/sdoh-clinicalcare/CapabilityStatement/SDOHCC-ReferralRecipient",)
_NEVER_DELETED = frozenset({"Task"})
_RELATIVE = re.compile(r"[A-Z][A-Za-z]{1,40}/[A-Za-z0-9.-]{1,64}")


def create_fhir(own: Parts) -> Blueprint:
    """The blueprint of our own FHIR API."""
    desk = _Desk(own)
    api = Rest(desk.open, desk.capability, admit=desk.admit, offered=Offered(_offers()))
    mounted = rest.mount("fhir", "/fhir", api, lambda: door.caller(request), base=f"{own.settings.base_url}/fhir",
                         origins=own.settings.cors_origins)  # fmt: skip
    return transforms.add(mounted, own, desk.stored)


class _Desk:
    """Opens one session per call, in one transaction with everything the call leaves behind."""

    def __init__(self, own: Parts) -> None:
        self._own = own
        self._statement: Json | None = None

    def admit(self, call: Call, interaction: str, resource_type: str) -> None:
        """Scopes before a body is judged: who may not write a type learns nothing about what is wrong with it."""
        with self._denials(call):
            _check_scope(call.caller, interaction, resource_type)

    @contextmanager
    def open(self, call: Call, write: bool) -> Iterator[ClientSession]:
        """The session of the caller at the door."""
        caller: Caller = call.caller
        transaction = writing if write else reading
        with self._denials(call), transaction(self._own.engine) as connection:
            session = ClientSession(connection, caller, self._own, g.execution_id)
            yield session
        if session.disclosed:
            # before the answer leaves: what cannot be accounted for is not disclosed
            self._note(caller, [("disclose", what, who) for what, who in sorted(session.disclosed.items())], "ok")

    def stored(self, resource_type: str, resource_id: str) -> Json:
        """A resource that the caller of this request may read."""
        with self.open(Call("GET", f"{resource_type}/{resource_id}", caller=g.fhir_caller), False) as session:
            session.may("read", resource_type)
            return session.store.read(resource_type, resource_id).resource

    def capability(self) -> Json:
        """Our CapabilityStatement, made once."""
        if self._statement is None:
            settings = self._own.settings
            built = capability.build(
                "PeerFHIR",
                _offers(),
                version=metadata.version("peerfhir"),
                cors=bool(settings.cors_origins),
                instantiates=_GUIDES,
                base=f"{settings.base_url}/fhir",
                oauth={"token": token_url(settings)},
                description="Referrals to peer support, and what comes back of them. JSON only: XML is refused.",
            )
            self._statement = transforms.stated(built)
        return self._statement

    @contextmanager
    def _denials(self, call: Call) -> Iterator[None]:
        """A refusal of the policy leaves its mark in the audit, apart from what is rolled back."""
        try:
            yield
        except Forbidden:
            # of the address the type alone: what follows it is the sender's own words
            kind = call.path.partition("/")[0]
            self._note(call.caller, [("deny", kind if kind in PARAMETERS else "transaction", None)], "denied")
            raise

    def _note(self, caller: Caller, lines: Iterable[tuple[str, str, str | None]], outcome: str) -> None:
        with self._own.office.work(caller.actor(), execution_id=g.execution_id) as work:
            for action, subject, person_id in lines:
                work.audit(action, subject, person_id, outcome)


def _offers() -> dict[str, tuple[str, ...]]:
    """Resource type -> what is offered of it."""
    return {
        name: tuple(one for one in capability.INTERACTIONS if one != "delete" or name not in _NEVER_DELETED)
        for name in PARAMETERS
    }


def _check_scope(caller: Caller, interaction: str, resource_type: str) -> None:
    if not scopes.allows(caller.scopes, interaction, resource_type):
        raise Forbidden("The token has no scope for that.", advice=f"Ask for one that covers {resource_type}.")


class ClientSession:
    """One call of one client; fulfils fhir.rest.Session."""

    def __init__(self, connection: Connection, caller: Caller, own: Parts, execution_id: str) -> None:
        self._caller = caller
        self._own = own
        self._execution_id = execution_id
        self._connection = connection
        self._endpoint = own.endpoints.get(caller.endpoint or "")
        self.labels = Labels(source=caller.source)
        self.store = _WatchedStore(connection, caller.program_id, own.clock, policy.sight(caller, own.clock.now()))

    @property
    def disclosed(self) -> dict[str, str | None]:
        """ "Type/id" -> person, of what a grant let this caller read."""
        return {
            reference: labels.person_id
            for reference, labels in self.store.seen.items()
            if labels.share_class is not None and labels.source != self._caller.source
        }

    def may(self, interaction: str, resource_type: str, /) -> None:
        """Raises Forbidden unless the token's scopes hold for this interaction; MethodNotAllowed."""
        _check_scope(self._caller, interaction, resource_type)
        if interaction == "delete" and resource_type in _NEVER_DELETED:
            raise MethodNotAllowed("A referral's Task is ended by its status, and never deleted.")

    def before_write(self, method: str, resource: Json, previous: Json | None, if_match: str | None, /) -> Json:
        """What is stored of what was sent; for a Task, what its requester may write. Asked before a delete too."""
        is_task = resource.get("resourceType") == "Task"
        if previous is None:
            return task.new_task(resource) if is_task else resource
        labels = self.store.read(previous["resourceType"], previous["id"]).labels
        if labels.source != self._caller.source:
            raise Forbidden("Only who sent it may change it.")
        if not is_task:
            if labels != self.labels:  # ours by now: what a person's grants cover is written by the program alone
                raise Forbidden("It belongs to the program's records.")
            return resource
        if if_match in (None, "*") and (self._endpoint is None or self._endpoint.require_if_match):
            raise PreconditionMissing("Say which version you have read.", place="If-Match")
        try:
            return task.changed_task(previous, resource)
        except Refusal as refusal:
            raise fault_of(refusal) from refusal

    def after_writes(self, changes: Sequence[Change], call: Call, /) -> None:
        """Keep what has to be worked on, where it has to be written back to, and who did it: in this commit."""
        self._remember_addresses(changes)
        written = [change for change in changes if change.method != "matched"]
        focus = [f"{change.type}/{change.id}/_history/{change.version}" for change in changes]
        for change in written:
            if change.type == "Task":
                receive.keep(
                    self._connection,
                    self._own.clock,
                    program_id=self._caller.program_id,
                    source=self._caller.source,
                    message_key=f"Task/{change.id}/_history/{change.version}",
                    content_type=call.headers.get("content-type", "")[:100],
                    raw=call.raw,
                    focus=focus,
                    execution_id=self._execution_id,
                )
        work = self._own.office.joined(self._connection, self._caller.actor(), execution_id=self._execution_id)
        for change in written:
            work.audit(change.method, f"{change.type}/{change.id}")
        work.finish()

    def _remember_addresses(self, changes: Sequence[Change]) -> None:
        """Our copy -> the sender's own resource, for those whose fullUrl is below the sender's base."""
        if self._endpoint is None:
            return
        keys = {"program_id": self._caller.program_id, "endpoint": self._endpoint.id}
        told = {f"{one.type}/{one.id}": _below(self._endpoint, one.full_url) for one in changes}
        made = {f"{one.type}/{one.id}" for one in changes if one.method == "create"}  # nobody has a row for these
        known = self._remembered([local for local, theirs in told.items() if theirs and local not in made])
        now, new = self._own.clock.now(), []
        for local, theirs in told.items():
            if theirs is None or theirs == known.get(local):
                continue
            key, values = {**keys, "local": local}, {"reference": theirs, "etag": None, "at": now}
            if local in made:
                new.append({**key, **values})
            else:
                insert_or_update(self._connection, remote, tuple(key), {**key, **values}, values)
        if new:
            _NEW_ADDRESS.run_many(self._connection, new)

    def _remembered(self, local: Sequence[str]) -> dict[str, str]:
        """The addresses we have of these already."""
        if not local or self._endpoint is None:
            return {}
        values = {"p": self._caller.program_id, "e": self._endpoint.id, "locals": list(local)}
        return {row.local: row.reference for row in _KNOWN_ADDRESSES.rows(self._connection, values)}


class _WatchedStore(Store):
    """A store that remembers what it has given out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: dict[str, Labels] = {}

    def read(self, resource_type: str, resource_id: str) -> Stored:
        return self._see(super().read(resource_type, resource_id))

    def vread(self, resource_type: str, resource_id: str, version: int) -> Stored:
        return self._see(super().vread(resource_type, resource_id, version))

    def read_many(self, references: Iterable[str]) -> dict[str, Stored]:
        found = super().read_many(references)
        for one in found.values():
            self._see(one)
        return found

    def search(self, resource_type: str, query: Query | str = "", *, bounded: bool = False) -> Page:
        page = super().search(resource_type, query, bounded=bounded)
        for one in page.rows:
            self._see(one)
        return page

    def history(self, *args: Any, **kwargs: Any) -> list[Stored]:
        return [self._see(one) for one in super().history(*args, **kwargs)]

    def _see(self, one: Stored) -> Stored:
        self.seen[one.reference] = one.labels
        return one


def _below(endpoint: EndpointSettings | None, full_url: str | None) -> str | None:
    """ "Type/id" of an address below an endpoint's base; None for every other address."""
    if endpoint is None or full_url is None or not full_url.startswith(f"{endpoint.base_url}/"):
        return None
    rest_of = full_url.removeprefix(f"{endpoint.base_url}/")
    return rest_of if _RELATIVE.fullmatch(rest_of) else None
