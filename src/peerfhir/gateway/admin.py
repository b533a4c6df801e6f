"""What an operator may see and do over the API: messages by state, a referral's trace, reruns, mappings."""

from __future__ import annotations

import re
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, g, request
from marshmallow import Schema, ValidationError

from peerfhir.access.callers import Caller
from peerfhir.errors import BadConfiguration, BadRequest, Forbidden, InvalidResource, MappingFailed, NotFound
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.writer import write
from peerfhir.gateway import body, door, shapes
from peerfhir.gateway.parts import parts
from peerfhir.inbox import parked as inbox_parked
from peerfhir.mapping.aside import Refused
from peerfhir.mapping.explain import Explained, explained
from peerfhir.mapping.inputs import outcomes, records
from peerfhir.mapping.shelf import Opened
from peerfhir.outbox import parked as outbox_parked
from peerfhir.pathway.people import Actor
from peerfhir.pathway.vocabulary import Role
from peerfhir.records import messages, trace
from peerfhir.records.database import reading

_LONGEST_ID = 64


def create_admin() -> Blueprint:
    """The operator's API; every route asks for the scope "admin" and stays in the caller's program."""
    blueprint = Blueprint("admin", __name__, url_prefix="/admin")
    blueprint.before_request(_authenticate)
    blueprint.before_request(_check_ids)
    for rule, view, method in (
        ("/inbox", _list_inbox, "GET"),
        ("/inbox/<message_id>", _show_inbox, "GET"),
        ("/inbox/<message_id>/rerun", _rerun_inbox, "POST"),
        ("/outbox", _list_outbox, "GET"),
        ("/outbox/<int(max=9223372036854775807):message_id>", _show_outbox, "GET"),
        ("/outbox/<int(max=9223372036854775807):message_id>/rerun", _rerun_outbox, "POST"),
        ("/trace/<wanted>", _trace, "GET"),
        ("/mappings/$reload", _reload, "POST"),
        ("/mappings/<mapping_id>/$explain", _explain, "POST"),
    ):
        blueprint.add_url_rule(rule, view_func=view, methods=[method])
    return blueprint


def _authenticate() -> None:
    g.caller = door.caller(request)
    if not g.caller.scopes.admin:
        raise Forbidden("The token has no scope for that.", advice='Ask for the scope "admin".')


def _check_ids() -> None:
    """What can be no id of ours is asked of no database, and written into no audit. Raises NotFound."""
    for value in (request.view_args or {}).values():
        if isinstance(value, str) and not (len(value) <= _LONGEST_ID and re.fullmatch(shapes.ID, value)):
            raise NotFound


def _list_inbox() -> Response:
    asked = _asked(shapes.InboxQuery())
    with reading(parts().engine) as connection:
        rows = messages.list_inbox(connection, _program(), state=asked.get("state"), limit=asked["limit"])
    return _json(shapes.InboxList().dump({"messages": rows}))


def _show_inbox(message_id: str) -> Response:
    content = _content_wanted(f"inbox/{message_id}")
    with reading(parts().engine) as connection:
        row = messages.show_inbox(connection, _program(), message_id, content=content)
    return _json(_one(shapes.InboxShown(), row, content))


def _rerun_inbox(message_id: str) -> Response:
    _asked(shapes.NoQuery())
    inbox_parked.rerun(parts().engine, parts().clock, _program(), message_id)
    _note("rerun", f"inbox/{message_id}")
    return _json({"id": message_id, "state": "ready"})


def _list_outbox() -> Response:
    asked = _asked(shapes.OutboxQuery())
    with reading(parts().engine) as connection:
        rows = messages.list_outbox(
            connection, _program(), state=asked.get("state"), endpoint=asked.get("endpoint"), limit=asked["limit"]
        )
    return _json(shapes.OutboxList().dump({"messages": rows}))


def _show_outbox(message_id: int) -> Response:
    content = _content_wanted(f"outbox/{message_id}")
    with reading(parts().engine) as connection:
        row = messages.show_outbox(connection, _program(), message_id, content=content)
    return _json(_one(shapes.OutboxShown(), row, content))


def _rerun_outbox(message_id: int) -> Response:
    mode = _asked(shapes.RerunQuery())["mode"]
    own = parts()
    project = partial(own.office.rerun_projection, _operator(), execution_id=g.execution_id)
    new_id = outbox_parked.rerun(own.engine, own.clock, _program(), message_id, mode, project=project)
    _note("rerun", f"outbox/{message_id}")
    return _json({"id": new_id, "parent": message_id, "mode": mode})


def _trace(wanted: str) -> Response:
    _asked(shapes.NoQuery())
    with reading(parts().engine) as connection:
        hops = trace.trace(connection, _program(), wanted)
    if not hops:
        raise NotFound
    return _json(shapes.Story().dump({"hops": hops}))


def _reload() -> Response:
    """Every mapping is read again, or none is."""
    _asked(shapes.NoQuery())
    caller: Caller = g.caller
    try:
        told = parts().reload(caller.client_id)
    except BadConfiguration as refused:
        here = f"{parts().settings.mappings_dir.resolve().parent}/"
        raise InvalidResource(tuple(_finding(one.replace(here, "")) for one in refused.problems)) from None
    _note("reload", "mappings")
    known = parts().mappings
    mappings = [{"id": name, "version": known.get(name).version, "sha256": known.sha256(name)} for name in known.ids()]
    return _json(shapes.Reloaded().dump({"mappings": mappings, "told": told}))


def _explain(mapping_id: str) -> Response:
    """What `map explain` says of a record that is sent along; values of sensitive fields are never shown."""
    _asked(shapes.NoQuery())
    sent, _ = body.read_json(request)
    asked = _loaded(shapes.Explain(), sent)
    try:
        loaded = parts().mappings.get(mapping_id, asked["overlay"])
    except MappingFailed:
        raise NotFound("There is no such mapping here, or none with this overlay.") from None
    opened = Opened(loaded, Path(), loaded.document.mark.path)
    found = _explained(opened, asked["input"].encode(), asked["record"], asked["path"])
    if asked["path"] and not found:
        raise NotFound("Nothing stands at this path, in the output or in the mapping.", place="path")
    _note("explain", f"mapping/{mapping_id}")
    which = {"id": loaded.id, "version": loaded.version, "sha256": loaded.sha256}
    return _json(shapes.Explanation().dump({"mapping": which, "explained": [one.told() for one in found]}))


def _explained(opened: Opened, data: bytes, record: int, path: str) -> list[Explained]:
    """Raises BadRequest, InvalidResource with each reason why the record cannot be mapped."""
    now = parts().clock.now()
    try:
        given = next(islice(records(opened, BytesIO(data)), record - 1, None), None)
        if given is None:
            raise BadRequest("The input has no such record.", place="record")
        return explained(opened, given, now=now, path=path)
    except (MappingFailed, EvaluationProblem):
        outcome = next(islice(outcomes(opened, BytesIO(data), now), record - 1, None), None)
        problems = outcome.problems if isinstance(outcome, Refused) else ()
        lines = [str(one).partition("\n")[0].replace(": error ", ": ") for one in problems]
        raise InvalidResource(tuple(map(_finding, lines or ["the input cannot be read"]))) from None


def _finding(text: str) -> Finding:
    return Finding("error", "processing", "", text)


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
    return _loaded(schema, request.args.to_dict())


def _loaded(schema: Schema, given: Any) -> dict[str, Any]:
    try:
        return dict(schema.load(given))
    except ValidationError as error:
        place = ", ".join(sorted(str(name) for name in error.messages_dict))
        raise BadRequest("This parameter is unknown here, or its value is not allowed.", place=place) from None


def _content_wanted(subject: str) -> bool:
    """Whether content is asked for; it needs to be readable with this token too, and is written down."""
    if not _asked(shapes.ShowQuery())["content"]:
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


def _json(value: Any) -> Response:
    return Response(write(value), content_type="application/json")
