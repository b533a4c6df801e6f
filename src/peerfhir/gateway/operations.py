"""Every operation of the JSON API in words: who may ask, with what, and how it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from marshmallow import Schema

from peerfhir import errors
from peerfhir.errors import Fault
from peerfhir.gateway import shapes, told

OPERATOR = "operator"  # a bearer token with the scope admin
CLIENT = "client"  # client id and secret, or a signed assertion in the form
TAGS = {
    "Messages": "What was received and what is owed, by state; a parked message is run again from here.",
    "Mappings": "How a record is turned into FHIR: explained rule by rule, and read again from its files.",
    "Tokens": "Client credentials for systems: RFC 6749, 7009, 7662 and 7523, as SMART Backend Services uses them.",
    "Health": "For machines that watch. No token; the proxy keeps these addresses inside.",
    "Description": "What this API says of itself.",
}

_ALWAYS: tuple[type[Fault], ...] = (errors.BadRequest, errors.HeadersTooLarge)
_KEPT: tuple[type[Fault], ...] = (*_ALWAYS, Fault, errors.DatabaseBusy)
_ASKED: tuple[type[Fault], ...] = (errors.Unauthenticated, errors.Forbidden, *_KEPT)
_SENT: tuple[type[Fault], ...] = (
    errors.NotFound, errors.BodyTooLarge, errors.UnsupportedMedia, errors.InvalidResource, *_ASKED
)  # fmt: skip
_PROVEN: tuple[type[Fault], ...] = (
    errors.Unauthenticated, errors.LengthRequired, errors.BodyTooLarge, errors.UnsupportedMedia,
    errors.TooManyRequests, *_KEPT,
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One part of an address that changes."""

    says: str
    example: str | int
    pattern: str | None = shapes.ID
    longest: int = 64


@dataclass(frozen=True)
class Operation:
    """One method of one address.

    path     as OpenAPI writes it; `parts` tells of each name in braces
    answer   shape of a 200; None when `media` is no JSON, or is described elsewhere
    needs    OPERATOR, CLIENT, or "" where anyone may ask
    refuses  the faults it may answer with; each tells its status and its sentence
    body     shape of the JSON that is sent
    unready  shape of a 503 that is no refusal
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    answer: type[Schema] | None
    refuses: tuple[type[Fault], ...]
    says: str = ""
    needs: str = ""
    query: type[Schema] | None = None
    form: type[Schema] | None = None
    media: str = "application/json"
    parts: Mapping[str, Part] = field(default_factory=dict)
    unready: type[Schema] | None = None
    body: type[Schema] | None = None


_INBOX = {"message_id": Part("The message's id, as the list gives it.", "6f1d4c2ab7e84e0f9a3c5d7e8b901234")}
_OUTBOX = {"message_id": Part("The message's id, as the list gives it.", 42, pattern=None)}
_WANTED = {"wanted": Part("A referral's id or number, its Task's id, or the id of a message.", "PF-000001")}
_MAPPING = {"mapping_id": Part("The mapping's id.", "referral-csv")}

OPERATIONS = (
    Operation(
        "get", "/admin/inbox", "list_inbox", "Messages", "Received messages, newest first", shapes.InboxList, _ASKED,
        "Without content: nothing of a person is in this answer.", OPERATOR, shapes.InboxQuery,
    ),
    Operation(
        "get", "/admin/inbox/{message_id}", "show_inbox", "Messages", "One received message", shapes.InboxShown,
        (*_ASKED, errors.NotFound), "", OPERATOR, shapes.ShowQuery, parts=_INBOX,
    ),
    Operation(
        "post", "/admin/inbox/{message_id}/rerun", "rerun_inbox", "Messages", "Work on a parked message again",
        shapes.InboxAgain, (*_ASKED, errors.NotFound, errors.Conflict),
        "409 when it is not parked. It is written into the audit.", OPERATOR, shapes.NoQuery, parts=_INBOX,
    ),
    Operation(
        "get", "/admin/outbox", "list_outbox", "Messages", "Owed messages, newest first", shapes.OutboxList, _ASKED,
        "Without content: nothing of a person is in this answer.", OPERATOR, shapes.OutboxQuery,
    ),
    Operation(
        "get", "/admin/outbox/{message_id}", "show_outbox", "Messages", "One owed message with every attempt",
        shapes.OutboxShown, (*_ASKED, errors.NotFound), "", OPERATOR, shapes.ShowQuery, parts=_OUTBOX,
    ),
    Operation(
        "post", "/admin/outbox/{message_id}/rerun", "rerun_outbox", "Messages", "Send a parked message again",
        shapes.OutboxAgain, (*_ASKED, errors.NotFound, errors.Conflict),
        "A new row that repeats the effect of the old one, so the hospital cannot get it twice. 409 when it is not "
        "parked. It is written into the audit.", OPERATOR, shapes.RerunQuery, parts=_OUTBOX,
    ),
    Operation(
        "get", "/admin/trace/{wanted}", "trace", "Messages", "The story of one referral", shapes.Story,
        (*_ASKED, errors.NotFound), "Received, each step, what was owed and every attempt, in the order of time.",
        OPERATOR, shapes.NoQuery, parts=_WANTED,
    ),
    Operation(
        "post", "/admin/mappings/{mapping_id}/$explain", "explain_mapping", "Mappings",
        "Where each value of a record's output comes from", shapes.Explanation, _SENT,
        "Nothing is kept and nothing is sent anywhere. 422 with every reason when the record cannot be mapped.",
        OPERATOR, shapes.NoQuery, parts=_MAPPING, body=shapes.Explain,
    ),
    Operation(
        "post", "/admin/mappings/$reload", "reload_mappings", "Mappings", "Read all mappings again", shapes.Reloaded,
        (*_ASKED, errors.InvalidResource),
        "422 with every problem when one file is wrong, or when a version that was used has other content; then all "
        "stay as they were. Every process follows within a second or two. It is written into the audit.",
        OPERATOR, shapes.NoQuery,
    ),
    Operation(
        "post", "/oauth/token", "token", "Tokens", "Get an access token", told.Token, _PROVEN,
        "A client proves itself in exactly one way: HTTP Basic, client_id and client_secret, or a signed assertion.",
        CLIENT, form=told.TokenForm,
    ),
    Operation(
        "post", "/oauth/revoke", "revoke", "Tokens", "End a token before its time", told.Nothing, _PROVEN,
        "A token that is unknown, or another client's, is answered the same (RFC 7009).", CLIENT, form=told.KeyForm,
    ),
    Operation(
        "post", "/oauth/introspect", "introspect", "Tokens", "What a token of mine may do", told.Held, _PROVEN, "",
        CLIENT, form=told.KeyForm,
    ),
    Operation(
        "get", "/.well-known/smart-configuration", "smart_configuration", "Tokens", "Where a token is asked for",
        told.Smart, _ALWAYS,
    ),
    Operation(
        "get", "/fhir/.well-known/smart-configuration", "smart_configuration_of_fhir", "Tokens",
        "The same, below the FHIR base", told.Smart, _ALWAYS,
    ),
    Operation("get", "/healthz", "healthz", "Health", "The process answers", told.Alive, _ALWAYS),
    Operation("get", "/health", "health", "Health", "The same, in the words other software uses", told.Alive, _ALWAYS),
    Operation(
        "get", "/readyz", "readyz", "Health", "It can work: database, schema, mappings", told.Ready, (*_ALWAYS, Fault),
        unready=told.Ready,
    ),
    Operation(
        "get", "/metrics", "metrics", "Health", "Figures for Prometheus", None, _KEPT,
        "Labels are programs, endpoints, states and verdicts; never a person.", media="text/plain",
    ),
    Operation("get", "/openapi.json", "openapi", "Description", "This document", None, _ALWAYS),
)  # fmt: skip
