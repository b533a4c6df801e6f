"""The shapes of the operator's API: what a query may say, and what an answer says."""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, fields, validate

INBOX_STATES = ("ready", "leased", "done", "parked")
OUTBOX_STATES = (*INBOX_STATES, "held", "cancelled", "superseded")
MODES = ("current", "pinned")
MOST = 500
ID = r"^[A-Za-z0-9._-]*$"  # of endpoints and messages; a database may refuse what else a text can hold
_AT = "2026-11-21T10:00:00+00:00"
_SUM = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def says(text: str, *examples: Any) -> dict[str, Any]:
    """What the published description says of a field; examples are invented."""
    said: dict[str, Any] = {"description": text} if text else {}
    return {"metadata": said | ({"examples": list(examples)} if examples else {})}


class Strict(Schema):
    """What is not named here is refused, or is never answered."""

    class Meta:
        unknown = RAISE


class NoQuery(Strict):
    """The address takes no query."""


class InboxQuery(Strict):
    """Which received messages."""

    state = fields.String(validate=validate.OneOf(INBOX_STATES), **says("Only those in this state."))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, MOST), **says("The newest so many."))


class OutboxQuery(Strict):
    """Which owed messages."""

    state = fields.String(validate=validate.OneOf(OUTBOX_STATES), **says("Only those in this state."))
    endpoint = fields.String(
        validate=[validate.Length(max=64), validate.Regexp(ID)],
        **says("Only those to this endpoint; its id."),
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, MOST), **says("The newest so many."))


class ShowQuery(Strict):
    """How much of a message."""

    content = fields.Boolean(
        load_default=False, truthy={"true"}, falsy={"false"},
        **says("With the bytes. Needs a scope to read every type besides admin, and is written into the audit."),
    )  # fmt: skip


class RerunQuery(Strict):
    """How a parked message is sent again."""

    mode = fields.String(
        load_default="current", validate=validate.OneOf(MODES),
        **says(
            "current: by the mapping as it is now. pinned: the very bytes that were refused, or the mapping that ran."
        ),
    )  # fmt: skip


class _Shown(Strict):
    """What of every row is shown. Content is not among it: it needs its own scope."""

    state = fields.String(required=True, **says("Where it stands.", "parked"))
    reason = fields.String(required=True, allow_none=True, **says("Why it stands where it stands; a code."))
    advice = fields.String(required=True, allow_none=True, **says("What can be done about it."))
    attempts = fields.Integer(required=True, **says("How often it was tried.", 1))
    execution_id = fields.String(
        required=True, allow_none=True, **says("X-Request-Id of the call it came from.", "nightly-0042")
    )
    settled_at = fields.AwareDateTime(required=True, allow_none=True, **says("When it came to rest.", _AT))


class InboxLine(_Shown):
    """A message that was received."""

    id = fields.String(required=True, **says("Of the message.", "6f1d4c2ab7e84e0f9a3c5d7e8b901234"))
    source = fields.String(required=True, **says("The endpoint or client that sent it.", "riverside"))
    message_key = fields.String(
        required=True, **says("The same key from the same source is the same message.", "Task/t-1/_history/1")
    )
    received_at = fields.AwareDateTime(required=True, **says("When it arrived.", _AT))
    due_at = fields.AwareDateTime(required=True, **says("When it is worked on, at the earliest.", _AT))
    content_type = fields.String(required=True, **says("As the sender said it.", "application/fhir+json"))
    body_sha256 = fields.String(required=True, **says("Of the bytes as they arrived.", _SUM))
    record_type = fields.String(required=True, allow_none=True, **says("What it became.", "referral"))
    record_id = fields.String(required=True, allow_none=True, **says("The id of that record."))


class InboxShown(InboxLine):
    """A message that was received, with its bytes when they are asked for."""

    content = fields.String(**says("The bytes as text; only with content=true."))


class Attempt(Strict):
    """One try to deliver a message."""

    n = fields.Integer(required=True, **says("Which try.", 1))
    started_at = fields.AwareDateTime(required=True, **says("When it began.", _AT))
    ended_at = fields.AwareDateTime(required=True, allow_none=True, **says("When it ended.", _AT))
    on_wire = fields.Boolean(required=True, **says("Whether bytes may have left."))
    milliseconds = fields.Integer(required=True, allow_none=True, **says("How long it took.", 120))
    status = fields.Integer(required=True, allow_none=True, **says("The HTTP status of the answer.", 422))
    verdict = fields.String(required=True, allow_none=True, **says("done, later, reconcile or never.", "never"))
    error = fields.String(required=True, allow_none=True, **says("What went wrong on the way, without values."))


class OutboxLine(_Shown):
    """A message that is owed to a hospital."""

    id = fields.Integer(required=True, **says("Of the message.", 42))
    endpoint = fields.String(required=True, **says("Where it goes; empty for what shows in our own API.", "riverside"))
    idem = fields.String(required=True, **says("Its effect, whose repetition changes nothing.", "PF-000001:status:2"))
    piece = fields.String(required=True, **says("Which part of the story.", "status"))
    share_class = fields.String(required=True, **says("What a consent has to allow for it.", "status"))
    referral_id = fields.String(required=True, allow_none=True, **says("The referral it belongs to."))
    record_type = fields.String(required=True, **says("What it tells of.", "referral"))
    record_id = fields.String(required=True, **says("The id of that record."))
    record_version = fields.Integer(required=True, **says("Which version of it.", 2))
    form = fields.String(required=True, allow_none=True, **says("The resource type it was sent as.", "Task"))
    rung = fields.Integer(
        required=True, allow_none=True, **says("Which of the four forms that a hospital may take, best first.", 1)
    )
    rung_reason = fields.String(required=True, allow_none=True, **says("Why that form."))
    mapping_id = fields.String(required=True, allow_none=True, **says("The mapping that made it.", "referral-status"))
    mapping_sha256 = fields.String(required=True, allow_none=True, **says("Of the mapping that made it.", _SUM))
    mapping_version = fields.String(required=True, allow_none=True, **says("Of the mapping that made it.", "1.0.0"))
    overlay = fields.String(required=True, allow_none=True, **says("The overlay it lay under.", "epic-like"))
    engine = fields.String(required=True, allow_none=True, **says("What ran the mapping.", "peerfhir 0.1.0"))
    packages = fields.String(
        required=True, allow_none=True, **says("The FHIR packages that were installed then, with a blank between.")
    )
    method = fields.String(required=True, allow_none=True, **says("How it was sent.", "PUT"))
    created_at = fields.AwareDateTime(required=True, **says("Since when it is owed.", _AT))
    horizon_at = fields.AwareDateTime(required=True, **says("Until when it is tried.", _AT))
    parent_id = fields.Integer(required=True, **says("The message it repeats; 0 when none.", 0))
    replay_mode = fields.String(required=True, allow_none=True, **says("How it repeats that one.", "current"))


class OutboxShown(OutboxLine):
    """A message that is owed to a hospital, with every attempt, and its bytes when they are asked for."""

    next_at = fields.AwareDateTime(required=True, allow_none=True, **says("When it is tried next.", _AT))
    tries = fields.List(fields.Nested(Attempt), required=True, **says("Every attempt, oldest first."))
    content = fields.String(**says("The bytes as text; only with content=true."))


class InboxList(Strict):
    """Received messages, newest first."""

    messages = fields.List(fields.Nested(InboxLine), required=True, **says("Newest first."))


class OutboxList(Strict):
    """Owed messages, newest first."""

    messages = fields.List(fields.Nested(OutboxLine), required=True, **says("Newest first."))


class InboxAgain(Strict):
    """A received message is worked on again."""

    id = fields.String(required=True, **says("Of the message."))
    state = fields.Constant("ready", required=True, **says("Where it stands.", "ready"))


class OutboxAgain(Strict):
    """An owed message is sent again."""

    id = fields.Integer(required=True, **says("Of the message that is owed now.", 43))
    parent = fields.Integer(required=True, **says("The message that was asked for.", 42))
    mode = fields.String(required=True, validate=validate.OneOf(MODES), **says("As it was asked for."))


class Hop(Strict):
    """One thing that happened to a referral; it says nothing about the person."""

    at = fields.AwareDateTime(required=True, **says("When.", _AT))
    kind = fields.String(
        required=True,
        validate=validate.OneOf(
            ("received", "referral", "engagement", "encounter", "outcome", "owed", "attempt", "settled")
        ),
        **says("What kind of thing it happened to."),
    )
    id = fields.String(required=True, **says("Of the row or record.", "PF-000001"))
    what = fields.String(required=True, **says("The state from then on.", "received"))
    detail = fields.String(required=True, **says("More of it, in words.", "version 1, requested"))


class Story(Strict):
    """What happened to a referral, in the order of time."""

    hops = fields.List(fields.Nested(Hop), required=True, **says("Oldest first."))


class Explain(Strict):
    """A record, and what is to be explained of it."""

    input = fields.String(
        required=True, **says("The file as text, in the format of the mapping.", "id,notes\n1,Please call.\n")
    )
    record = fields.Integer(
        load_default=1, strict=True, validate=validate.Range(1, 1_000_000), **says("Which record of it, from 1.", 1)
    )
    path = fields.String(load_default="", **says("Only this address of the output, or of the mapping.", "task.status"))
    overlay = fields.String(load_default=None, allow_none=True, **says("The overlay it lies under.", "epic-like"))


class MappingNamed(Strict):
    """A mapping as it is used now."""

    id = fields.String(required=True, **says("Of the mapping.", "encounter"))
    version = fields.String(required=True, **says("As its file says.", "1.0.0"))
    sha256 = fields.String(required=True, **says("Over every file it is made of.", _SUM))


class Cell(Strict):
    """One field of the record that a rule has read."""

    field = fields.String(required=True, **says("Its name.", "notes"))
    value = fields.Raw(required=True, allow_none=True, **says("As it stood there; masked where it is sensitive."))
    place = fields.String(required=True, **says("Where it stood.", "row 3, column 7"))
    how = fields.String(required=True, **says("What was made of it.", "read as string"))


class Line(Strict):
    """One place of the output: where its value came from, or why it is absent."""

    address = fields.String(required=True, **says("In the output.", "task.note[0].text"))
    rule = fields.String(required=True, **says("In the mapping.", "task.note.text"))
    file = fields.String(
        required=True, **says("Where the rule is written.", "mappings/referral-csv/referral-csv.map.yaml")
    )
    line = fields.Integer(required=True, **says("Its line.", 12))
    column = fields.Integer(required=True, **says("Its column.", 9))
    text = fields.String(required=True, **says("The rule itself.", "text: =notes"))
    present = fields.Boolean(required=True, **says("Whether there is a value."))
    value = fields.Raw(required=True, allow_none=True, **says("What it gave; masked where it is sensitive."))
    why = fields.String(required=True, **says("Why it is absent.", "the expression is empty"))
    sources = fields.List(fields.Nested(Cell), required=True, **says("The fields it was made of."))


class Explanation(Strict):
    """Where every value of one record's output came from."""

    mapping = fields.Nested(MappingNamed, required=True, **says("Which mapping has made it."))
    explained = fields.List(fields.Nested(Line), required=True, **says("In the order of the output."))


class Reloaded(Strict):
    """The mappings that are used from now on."""

    mappings = fields.List(fields.Nested(MappingNamed), required=True, **says("Every one, by id."))
    told = fields.List(fields.String(), required=True, **says("Warnings that stop nothing."))
