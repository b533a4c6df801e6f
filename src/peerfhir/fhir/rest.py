"""Every interaction of the RESTful API over sessions; no web framework, no policy."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from hashlib import sha256
from typing import Any

from peerfhir.errors import BadRequest, Fault, InvalidResource, MethodNotAllowed, NotFound, VersionConflict
from peerfhir.fhir import batch, preferences, transaction, validation
from peerfhir.fhir.bundle import READS, Entry
from peerfhir.fhir.calls import Call, Reply
from peerfhir.fhir.everything import everything, query_of
from peerfhir.fhir.history import history
from peerfhir.fhir.issues import Finding, outcome, outcome_of
from peerfhir.fhir.preferences import FHIR_JSON, Preferences, is_known
from peerfhir.fhir.reader import Json
from peerfhir.fhir.routes import Offered
from peerfhir.fhir.search import parse
from peerfhir.fhir.searchset import searchset
from peerfhir.fhir.stored import Stored
from peerfhir.fhir.subset import part_of
from peerfhir.fhir.validate import validate as judge
from peerfhir.fhir.versions import fits
from peerfhir.fhir.writer import write
from peerfhir.fhir.writes import Change, Session, carry_out

__all__ = ["Call", "Change", "Reply", "Rest", "Session"]

_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def _arriving(resource: Json, profiles: Sequence[str] = ()) -> Sequence[Finding]:
    return judge(resource, profiles=profiles)


class Rest:
    """A FHIR server over sessions.

    open        one call's session inside one transaction: commits when its block ends, rolls back on an exception
    capability  the CapabilityStatement; asked without a session
    validate    everything that speaks against a resource; asked before a transaction opens. For $validate with
                `profiles=` too, addresses to hold it against
    admit       asked before a body is judged: raises when the caller may not do this to this type at all
    offered     what the capability states; every other method or address is refused
    """

    def __init__(
        self,
        open: Callable[[Call, bool], AbstractContextManager[Session]],  # noqa: A002 - what it does
        capability: Callable[[], Json],
        *,
        validate: Callable[..., Sequence[Finding]] = _arriving,
        admit: Callable[[Call, str, str], None] | None = None,
        offered: Offered | None = None,
    ) -> None:
        self._open = open
        self._capability = capability
        self._validate = validate
        self._admit = admit
        self._offered = offered or Offered()

    def answer(self, call: Call) -> Reply:
        """The answer to one call. Never raises: every fault is an OperationOutcome, and says nothing of a value."""
        try:
            return self._answer(call)
        except MethodNotAllowed as fault:
            said = refusal(fault)
            said.headers["Allow"] = self.allow(call.path)
            return said
        except Fault as fault:
            return refusal(fault)
        except Exception as err:
            # the text of an exception may hold a person's data; its kind and place do not
            where = err.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            line = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else ""
            logging.getLogger(__name__).error("surprise kind=%s at=%s", type(err).__name__, line)
            return refusal(Fault("Something went wrong here. The request id helps to find it."))

    def allow(self, path: str) -> str:
        """The methods of an address as Allow says them (RFC 9110, 10.2.1)."""
        try:
            return ", ".join(self._offered.methods(_parts(path)))
        except NotFound:
            return "OPTIONS"

    def _answer(self, call: Call) -> Reply:
        preferences.check_acceptable(call.headers, call.query)
        parts = _parts(call.path)
        if not self._offered.takes(call.method, parts):
            raise MethodNotAllowed(advice=f"This address takes {self.allow(call.path)}.")
        method = "GET" if call.method == "HEAD" else call.method
        if not parts:
            return self._bundle(call)
        if parts == ["metadata"]:
            return self._metadata(call)
        if len(parts) > 1 and not parts[1].startswith(("_", "$")):
            return self._of_one(call, method, parts[0], parts[1], parts[2:])
        return self._of_type(call, method, parts[0], parts[1:])

    def _of_type(self, call: Call, method: str, name: str, rest: list[str]) -> Reply:
        if rest == ["_history"]:
            return self._history(call, name, None)
        if rest == ["$validate"]:
            return self._validate_only(call, name, None)
        if method == "GET" or rest:
            return self._search(call, name)
        return self._create(call, name) if method == "POST" else self._update(call, name, None)

    def _of_one(self, call: Call, method: str, name: str, resource_id: str, rest: list[str]) -> Reply:
        if not rest:
            return _BY_METHOD[method](self, call, name, resource_id)
        if rest[0] == "_history":
            return self._read(call, name, resource_id, rest[1]) if rest[1:] else self._history(call, name, resource_id)
        if rest == ["$validate"]:
            return self._validate_only(call, name, resource_id)
        if rest == ["$everything"]:
            query = "&".join(one for one in (call.query, query_of(call.body)) if one)
            with self._open(call, False) as session:
                found = everything(session, resource_id, query, call.base)
            return _json(200, found)
        return self._search(call, rest[0], patient=resource_id)

    # reading

    def _read(self, call: Call, name: str, resource_id: str, version: str | None = None) -> Reply:
        with self._open(call, False) as session:
            session.may("read" if version is None else "vread", name)
            if version is None:
                stored = session.store.read(name, resource_id)
            elif _VERSION.fullmatch(version):
                stored = session.store.vread(name, resource_id, int(version))
            else:
                raise NotFound
        if not fits(call.headers.get("if-match"), stored):
            raise VersionConflict(place="If-Match")
        headers = {"ETag": stored.etag, "Last-Modified": stored.last_modified}
        if is_known(call.headers, stored.etag, stored.updated_at):
            return Reply(304, headers)
        body = stored.body
        if "_summary" in call.query or "_elements" in call.query:
            asked = parse(name, call.query)
            body = part_of(stored, asked.summary, asked.elements).data
        return Reply(200, {"Content-Type": FHIR_JSON, **headers}, body)

    def _search(self, call: Call, name: str, patient: str | None = None) -> Reply:
        form = call.body if call.method == "POST" and isinstance(call.body, dict) else None
        lenient = preferences.of(call.headers).lenient
        asked = parse(name, call.query, form=form, base=call.base, lenient=lenient, patient=patient)
        with self._open(call, False) as session:
            session.may("search-type", name)
            found = searchset(session, asked, call.base)
        return _json(200, found)

    def _history(self, call: Call, name: str, resource_id: str | None) -> Reply:
        with self._open(call, False) as session:
            session.may("history-type" if resource_id is None else "history-instance", name)
            found = history(session, name, resource_id, call.query, call.base)
        return _json(200, found)

    def _metadata(self, call: Call) -> Reply:
        body = write(self._capability())
        etag = f'W/"{sha256(body).hexdigest()[:16]}"'
        if is_known(call.headers, etag):
            return Reply(304, {"ETag": etag})
        return Reply(200, {"Content-Type": FHIR_JSON, "ETag": etag}, body)

    def _validate_only(self, call: Call, name: str, resource_id: str | None) -> Reply:
        asked = validation.asked(call.body, call.query)
        if asked.resource is None and resource_id is not None:
            with self._open(call, False) as session:
                session.may("read", name)
                asked = asked.of(session.store.read(name, resource_id).resource)
        return _json(200, validation.outcome_for(asked, name, resource_id, self._validate))

    # writing

    def _create(self, call: Call, name: str) -> Reply:
        condition = call.headers.get("if-none-exist") if self._offered.conditional else None
        if self._offered.conditional:
            # fhirpy's get_or_create says the condition there; taking it as a plain create would double the resource
            condition = (_meant(call.query) or None) if condition is None else condition
        self._check_body(call, "create", name)
        entry = Entry("", "POST", name, resource=call.body, if_none_exist=condition)
        return self._write(call, entry, "create")

    def _update(self, call: Call, name: str, resource_id: str | None) -> Reply:
        query = _meant(call.query)
        if bool(query) == (resource_id is not None) or (query and not self._offered.conditional):
            raise BadRequest("A PUT goes to Type/id, or to Type with a search that finds one.")
        self._check_body(call, "update", name)
        if resource_id is not None and call.body.get("id") != resource_id:
            raise BadRequest("The id in the address and in the resource differ, or it has none.", place=f"{name}.id")
        entry = Entry("", "PUT", name, resource_id, query, call.body, **_preconditions(call))
        return self._write(call, entry, "update")

    def _patch(self, call: Call, name: str, resource_id: str) -> Reply:
        self._refuse_query(call)
        if self._admit:
            self._admit(call, "patch", name)
        entry = Entry("", "PATCH", name, resource_id, resource=call.body, **_preconditions(call))
        return self._write(call, entry, "patch")

    def _delete(self, call: Call, name: str, resource_id: str) -> Reply:
        self._refuse_query(call)
        entry = Entry("", "DELETE", name, resource_id, **_preconditions(call))
        with self._open(call, True) as session:
            session.may("delete", name)
            (written,) = carry_out(session, [entry], call.base, self._refuse_invalid)
            if written.method == "delete":
                session.after_writes([written.change()], call)
        headers = {"ETag": written.stored.etag}
        if preferences.of(call.headers).returns != "OperationOutcome":
            return Reply(204, headers)
        said = write(outcome([Finding("information", "informational", "", "It is deleted.")]))
        return Reply(200, {"Content-Type": FHIR_JSON, **headers}, said)

    def _refuse_query(self, call: Call) -> None:
        if _meant(call.query):
            raise BadRequest("A PATCH or DELETE goes to Type/id, without a query.")

    def _check_body(self, call: Call, interaction: str, name: str) -> None:
        if self._admit:
            self._admit(call, interaction, name)
        if not isinstance(call.body, dict):
            raise BadRequest("The body must be one FHIR resource: a JSON object.")
        if call.body.get("resourceType") != name:
            raise BadRequest(f"This address takes a resource of type {name}.", place=f"{name}.resourceType")
        self._refuse_invalid(call.body)

    def _refuse_invalid(self, resource: Json) -> None:
        findings = tuple(one for one in self._validate(resource) if one.severity in ("error", "fatal"))
        if findings:
            raise InvalidResource(findings)

    def _write(self, call: Call, entry: Entry, interaction: str) -> Reply:
        with self._open(call, True) as session:
            session.may(interaction, entry.type)
            (written,) = carry_out(session, [entry], call.base, self._refuse_invalid)
            session.after_writes([written.change()], call)
        stored = written.stored
        status = 201 if written.method == "create" else 200
        headers = {
            "Location": f"{call.base}/{stored.reference}/_history/{stored.version}",
            "ETag": stored.etag,
            "Last-Modified": stored.last_modified,
        }
        return _preferred(status, headers, stored, preferences.of(call.headers))

    def _bundle(self, call: Call) -> Reply:
        kind = transaction.kind_of(call.body)
        if kind == "batch":
            self._refuse_invalid(batch.shell(call.body))
            return _json(200, batch.run(call.body, call, self.answer))
        self._refuse_invalid(call.body)
        entries = transaction.entries_of(call.body, call.base)
        if self._admit:
            for entry in entries:
                transaction.may(partial(self._admit, call), entry)
        whole = preferences.of(call.headers).returns == "representation"
        with self._open(call, any(one.method not in READS for one in entries)) as session:
            body, changes = transaction.run(session, entries, call.base, self._refuse_invalid, whole=whole)
            if changes:
                session.after_writes(changes, call)
        return _json(200, body)


_BY_METHOD: Mapping[str, Callable[[Rest, Call, str, str], Reply]] = {
    "GET": lambda rest, *rest_of_it: rest._read(*rest_of_it),  # noqa: SLF001 - the table of this class
    "PUT": lambda rest, *rest_of_it: rest._update(*rest_of_it),  # noqa: SLF001
    "PATCH": lambda rest, *rest_of_it: rest._patch(*rest_of_it),  # noqa: SLF001
    "DELETE": lambda rest, *rest_of_it: rest._delete(*rest_of_it),  # noqa: SLF001
}


def refusal(fault: Fault) -> Reply:
    """The answer to a fault: its status, and an OperationOutcome."""
    return Reply(fault.status, {"Content-Type": FHIR_JSON}, write(outcome_of(fault)))


def _preconditions(call: Call) -> dict[str, Any]:
    return {"if_match": call.headers.get("if-match"), "if_none_match": call.headers.get("if-none-match")}


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _meant(query: str) -> str:
    """A query without what says nothing about the resource."""
    return "&".join(one for one in query.split("&") if one.partition("=")[0] not in ("_format", "_pretty", ""))


def _json(status: int, value: Json) -> Reply:
    return Reply(status, {"Content-Type": FHIR_JSON}, write(value))


def _preferred(status: int, headers: dict[str, str], stored: Stored, wish: Preferences) -> Reply:
    if wish.returns == "minimal":
        return Reply(status, headers)
    if wish.returns == "OperationOutcome":
        body = write(outcome([Finding("information", "informational", "", "It is stored.")]))
    else:
        body = stored.body
    return Reply(status, {"Content-Type": FHIR_JSON, **headers}, body)
