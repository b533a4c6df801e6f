"""Read, search, create, conditional create, update, transaction, metadata; no web framework, no policy."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from peerfhir.errors import BadRequest, Fault, InvalidResource, MethodNotAllowed, NotFound
from peerfhir.fhir import preferences, transaction
from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.issues import Finding, outcome, outcome_of
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.preferences import FHIR_JSON, Preferences
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import parse
from peerfhir.fhir.searchset import searchset
from peerfhir.fhir.stored import Stored
from peerfhir.fhir.validate import validate as judge
from peerfhir.fhir.writer import write
from peerfhir.fhir.writes import Change, Session, at, carry_out

__all__ = ["Call", "Change", "Reply", "Rest", "Session"]

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_NAME = re.compile(r"[A-Z][A-Za-z]{1,63}")


@dataclass(frozen=True)
class Call:
    """One request, read whole. `path` is below the base, `headers` lower-cased, `caller` whoever was let in."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json = None  # parsed JSON; for a POST _search the form as name -> values
    base: str = ""  # of this API, without a trailing slash
    raw: bytes = field(default=b"", repr=False)
    caller: Any = None


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)


def _arriving(resource: Json) -> Sequence[Finding]:
    return judge(resource)


class Rest:
    """A FHIR server over sessions.

    open        one call's session inside one transaction: commits when its block ends, rolls back on an exception
    capability  the CapabilityStatement; asked without a session
    validate    everything that speaks against a resource; asked before a transaction opens
    admit       asked before a body is judged: raises when the caller may not do this to this type at all
    """

    def __init__(
        self,
        open: Callable[[Call, bool], AbstractContextManager[Session]],  # noqa: A002 - what it does
        capability: Callable[[], Json],
        *,
        validate: Callable[[Json], Sequence[Finding]] = _arriving,
        admit: Callable[[Call, str, str], None] | None = None,
        conditional_create: bool = True,
        transactions: bool = True,
    ) -> None:
        self._open = open
        self._capability = capability
        self._validate = validate
        self._admit = admit
        self._conditional_create = conditional_create
        self._transactions = transactions

    def answer(self, call: Call) -> Reply:
        """The answer to one call. Never raises: every fault is an OperationOutcome, and says nothing of a value."""
        try:
            return self._answer(call)
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

    def _answer(self, call: Call) -> Reply:
        preferences.check_acceptable(call.headers, call.query)
        parts = [part for part in call.path.split("/") if part]
        method = "GET" if call.method == "HEAD" else call.method
        if not parts:
            _only(method, "POST")
            return self._bundle(call)
        if parts == ["metadata"]:
            _only(method, "GET")
            return self._metadata(call)
        if parts[0] not in PARAMETERS:
            known = bool(_NAME.fullmatch(parts[0]))
            raise NotFound("This resource type is not served here." if known else "There is no such address here.")
        return self._of_type(call, method, parts[0], parts[1:])

    def _of_type(self, call: Call, method: str, name: str, rest: list[str]) -> Reply:
        if not rest:
            _only(method, "GET", "POST")
            return self._search(call, name, call.query) if method == "GET" else self._create(call, name)
        if rest == ["_search"]:
            _only(method, "POST")
            return self._search(call, name, call.query)
        if not _ID.fullmatch(rest[0]):
            raise NotFound("There is no such address here.")
        if len(rest) == 1:
            _only(method, "GET", "PUT")
            return self._read(call, name, rest[0]) if method == "GET" else self._update(call, name, rest[0])
        _only(method, "GET")
        if len(rest) == 3 and rest[1] == "_history":
            return self._read(call, name, rest[0], rest[2])
        if len(rest) == 2 and name == "Patient" and "patient" in PARAMETERS.get(rest[1], {}):
            return self._search(call, rest[1], f"patient=Patient/{rest[0]}&{call.query}".rstrip("&"))
        raise NotFound("There is no such address here.")

    # reading

    def _read(self, call: Call, name: str, resource_id: str, version: str | None = None) -> Reply:
        with self._open(call, False) as session:
            session.may("read" if version is None else "vread", name)
            if version is None:
                stored = session.store.read(name, resource_id)
            elif version.isdecimal() and len(version) < 10:
                stored = session.store.vread(name, resource_id, int(version))
            else:
                raise NotFound
        headers = {"ETag": stored.etag, "Last-Modified": stored.last_modified}
        if _unchanged(call, stored.etag):
            return Reply(304, headers)
        return Reply(200, {"Content-Type": FHIR_JSON, **headers}, stored.body)

    def _search(self, call: Call, name: str, query: str) -> Reply:
        form = call.body if call.method == "POST" and isinstance(call.body, dict) else None
        lenient = preferences.of(call.headers).lenient
        asked = parse(name, query, form=form, base=call.base, lenient=lenient)
        with self._open(call, False) as session:
            session.may("search-type", name)
            found = searchset(session, asked, call.base)
        return _json(200, found)

    def _metadata(self, call: Call) -> Reply:
        body = write(self._capability())
        etag = f'W/"{sha256(body).hexdigest()[:16]}"'
        if _unchanged(call, etag):
            return Reply(304, {"ETag": etag})
        return Reply(200, {"Content-Type": FHIR_JSON, "ETag": etag}, body)

    # writing

    def _create(self, call: Call, name: str) -> Reply:
        condition = call.headers.get("if-none-exist") if self._conditional_create else None
        if call.query and self._conditional_create:
            # fhirpy's get_or_create says the condition there; taking it as a plain create would double the resource
            condition = condition or call.query
        self._check_body(call, "create", name)
        entry = Entry("", "POST", name, resource=call.body, if_none_exist=condition)
        return self._write(call, entry, "create")

    def _update(self, call: Call, name: str, resource_id: str) -> Reply:
        if call.query:
            raise BadRequest("A PUT goes to Type/id, without a query.")
        self._check_body(call, "update", name)
        if call.body.get("id") != resource_id:
            raise BadRequest("The id in the address and in the resource differ, or it has none.", place=f"{name}.id")
        if_match = call.headers.get("if-match")
        return self._write(call, Entry("", "PUT", name, resource_id, resource=call.body, if_match=if_match), "update")

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
            (written,) = carry_out(session, [entry], call.base)
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
        transaction.refuse_other(call.body)
        if not self._transactions:
            raise MethodNotAllowed("This server takes no transactions.")
        self._refuse_invalid(call.body)
        entries = transaction.entries_of(call.body, call.base)
        if self._admit:
            for entry in entries:
                with at(entry, "request.method"):
                    self._admit(call, transaction.interaction_of(entry), entry.type)
        whole = preferences.of(call.headers).returns == "representation"
        with self._open(call, any(one.method != "GET" for one in entries)) as session:
            body, changes = transaction.run(session, entries, call.base, whole=whole)
            if changes:
                session.after_writes(changes, call)
        return _json(200, body)


class _NotOffered(MethodNotAllowed):
    """This address does not take this method."""

    def __init__(self, offered: tuple[str, ...]) -> None:
        super().__init__(advice=f"It takes {' and '.join(offered)}.")
        self.allow = ", ".join(offered)


def refusal(fault: Fault) -> Reply:
    """The answer to a fault: its status, and an OperationOutcome."""
    headers = {"Content-Type": FHIR_JSON}
    if isinstance(fault, _NotOffered):
        headers["Allow"] = fault.allow
    return Reply(fault.status, headers, write(outcome_of(fault)))


def _only(method: str, *offered: str) -> None:
    if method not in offered:
        raise _NotOffered(offered)


def _unchanged(call: Call, etag: str) -> bool:
    asked = call.headers.get("if-none-match", "")
    return any(one.strip() in (etag, etag.removeprefix("W/"), "*") for one in asked.split(",")) if asked else False


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
