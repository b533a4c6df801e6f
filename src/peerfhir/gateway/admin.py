"""What an operator may see and do over the API: messages by state, the trace of a referral, reruns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import Blueprint, Response, g, request
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate

from peerfhir.access.callers import Caller
from peerfhir.errors import BadRequest, Forbidden, NotFound
from peerfhir.fhir.writer import write
from peerfhir.gateway import door
from peerfhir.gateway.parts import parts
from peerfhir.inbox import parked as inbox_parked
from peerfhir.outbox import parked as outbox_parked
from peerfhir.pathway.people import Actor
from peerfhir.pathway.vocabulary import Role
from peerfhir.records import messages, trace
from peerfhir.records.database import reading

_INBOX_STATES = ("ready", "leased", "done", "parked")
_OUTBOX_STATES = (*_INBOX_STATES, "held", "cancelled", "superseded")
_MOST = 500


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _InboxQuery(_Strict):
    state = fields.String(load_default=None, validate=validate.OneOf(_INBOX_STATES))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, _MOST))


class _OutboxQuery(_Strict):
    state = fields.String(load_default=None, validate=validate.OneOf(_OUTBOX_STATES))
    endpoint = fields.String(load_default=None, validate=validate.Length(max=64))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, _MOST))


class _ShowQuery(_Strict):
    content = fields.Boolean(load_default=False)


class _RerunQuery(_Strict):
    mode = fields.String(load_default="current", validate=validate.OneOf(("current", "pinned")))


class _Shown(Schema):
    """What of a row is shown. Content is not among it: it needs its own scope."""

    class Meta:
        unknown = EXCLUDE

    id = fields.Raw()
    state = fields.String()
    reason = fields.String(allow_none=True)
    advice = fields.String(allow_none=True)
    attempts = fields.Integer()
    execution_id = fields.String(allow_none=True)
    settled_at = fields.AwareDateTime(allow_none=True)


class _Inbox(_Shown):
    source = fields.String()
    message_key = fields.String()
    received_at = fields.AwareDateTime()
    due_at = fields.AwareDateTime()
    content_type = fields.String()
    body_sha256 = fields.String()
    record_type = fields.String(allow_none=True)
    record_id = fields.String(allow_none=True)


class _Attempt(Schema):
    n = fields.Integer()
    started_at = fields.AwareDateTime()
    ended_at = fields.AwareDateTime(allow_none=True)
    on_wire = fields.Boolean()
    milliseconds = fields.Integer(allow_none=True)
    status = fields.Integer(allow_none=True)
    verdict = fields.String(allow_none=True)
    error = fields.String(allow_none=True)


class _Outbox(_Shown):
    endpoint = fields.String()
    idem = fields.String()
    piece = fields.String()
    share_class = fields.String()
    referral_id = fields.String(allow_none=True)
    record_type = fields.String()
    record_id = fields.String()
    record_version = fields.Integer()
    form = fields.String(allow_none=True)
    rung = fields.Integer(allow_none=True)
    rung_reason = fields.String(allow_none=True)
    mapping_id = fields.String(allow_none=True)
    mapping_sha256 = fields.String(allow_none=True)
    method = fields.String(allow_none=True)
    created_at = fields.AwareDateTime()
    horizon_at = fields.AwareDateTime()
    next_at = fields.AwareDateTime(allow_none=True)
    parent_id = fields.Integer()
    replay_mode = fields.String(allow_none=True)
    tries = fields.List(fields.Nested(_Attempt))


class _Hop(Schema):
    at = fields.AwareDateTime()
    kind = fields.String()
    id = fields.String()
    what = fields.String()
    detail = fields.String()


def create_admin() -> Blueprint:
    """The operator's API; every route asks for the scope "admin" and stays in the caller's program."""
    blueprint = Blueprint("admin", __name__, url_prefix="/admin")
    blueprint.before_request(_authenticate)
    for rule, view, method in (
        ("/inbox", _list_inbox, "GET"),
        ("/inbox/<message_id>", _show_inbox, "GET"),
        ("/inbox/<message_id>/rerun", _rerun_inbox, "POST"),
        ("/outbox", _list_outbox, "GET"),
        ("/outbox/<int(max=9223372036854775807):message_id>", _show_outbox, "GET"),
        ("/outbox/<int(max=9223372036854775807):message_id>/rerun", _rerun_outbox, "POST"),
        ("/trace/<wanted>", _trace, "GET"),
    ):
        blueprint.add_url_rule(rule, view_func=view, methods=[method])
    return blueprint


def _authenticate() -> None:
    g.caller = door.caller(request)
    if not g.caller.scopes.admin:
        raise Forbidden("The token has no scope for that.", advice='Ask for the scope "admin".')


def _list_inbox() -> Response:
    asked = _asked(_InboxQuery())
    with reading(parts().engine) as connection:
        rows = messages.list_inbox(connection, _program(), state=asked["state"], limit=asked["limit"])
    return _json({"messages": _dumped(_Inbox(), rows)})


def _show_inbox(message_id: str) -> Response:
    content = _content_wanted(f"inbox/{message_id}")
    with reading(parts().engine) as connection:
        row = messages.show_inbox(connection, _program(), message_id, content=content)
    return _json(_one(_Inbox(), row, content))


def _rerun_inbox(message_id: str) -> Response:
    _asked(_Strict())
    inbox_parked.rerun(parts().engine, parts().clock, _program(), message_id)
    _note("rerun", f"inbox/{message_id}")
    return _json({"id": message_id, "state": "ready"})


def _list_outbox() -> Response:
    asked = _asked(_OutboxQuery())
    with reading(parts().engine) as connection:
        rows = messages.list_outbox(
            connection, _program(), state=asked["state"], endpoint=asked["endpoint"], limit=asked["limit"]
        )
    return _json({"messages": _dumped(_Outbox(), rows)})


def _show_outbox(message_id: int) -> Response:
    content = _content_wanted(f"outbox/{message_id}")
    with reading(parts().engine) as connection:
        row = messages.show_outbox(connection, _program(), message_id, content=content)
    return _json(_one(_Outbox(), row, content))


def _rerun_outbox(message_id: int) -> Response:
    mode = _asked(_RerunQuery())["mode"]
    own = parts()
    project = partial(own.office.rerun_projection, _operator(), execution_id=g.execution_id)
    new_id = outbox_parked.rerun(own.engine, own.clock, _program(), message_id, mode, project=project)
    _note("rerun", f"outbox/{message_id}")
    return _json({"id": new_id, "parent": message_id, "mode": mode})


def _trace(wanted: str) -> Response:
    _asked(_Strict())
    with reading(parts().engine) as connection:
        hops = trace.trace(connection, _program(), wanted)
    if not hops:
        raise NotFound
    return _json({"hops": _dumped(_Hop(), hops)})


def _operator() -> Actor:
    caller: Caller = g.caller
    return Actor(id=caller.client_id, role=Role.ENGINEER, program_id=caller.program_id)


def _note(action: str, subject: str) -> None:
    with parts().office.work(_operator(), execution_id=g.execution_id) as work:
        work.audit(action, subject)


def _program() -> str:
    caller: Caller = g.caller
    return caller.program_id


def _asked(schema: Schema) -> dict[str, Any]:
    """The query of the address. Raises BadRequest with the name of the parameter, never its value."""
    if any(len(request.args.getlist(name)) > 1 for name in request.args):
        raise BadRequest("A parameter was sent more than once.")
    try:
        return dict(schema.load(request.args.to_dict()))
    except ValidationError as error:
        place = ", ".join(sorted(str(name) for name in error.messages_dict))
        raise BadRequest("This parameter is unknown here, or its value is not allowed.", place=place) from None


def _content_wanted(subject: str) -> bool:
    """Whether content is asked for; it needs to be readable with this token too, and is written down."""
    if not _asked(_ShowQuery())["content"]:
        return False
    caller: Caller = g.caller
    if "r" not in caller.scopes.letters("*"):
        raise Forbidden("Content needs a scope to read every type, too.", advice='Ask for "system/*.r admin".')
    _note("read", subject)
    return True


def _one(schema: Schema, row: Any, content: bool) -> dict[str, Any]:
    shown: dict[str, Any] = dict(schema.dump(row))
    if content:
        shown["content"] = bytes(row["body"] or b"").decode("utf-8", "replace")
    return shown


def _dumped(schema: Schema, rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(schema.dump(row)) for row in rows]


def _json(value: Any) -> Response:
    return Response(write(value), content_type="application/json")
