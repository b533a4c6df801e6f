"""What the party that ordered a referral may write in its Task, field by field."""

from __future__ import annotations

from typing import Any

from peerfhir.errors import BusinessRule, RequiredMissing
from peerfhir.fhir.reader import Json
from peerfhir.pathway.referral import Event, requester_move
from peerfhir.pathway.vocabulary import TaskStatus

_OURS_ON_CREATE = ("output", "executionPeriod")
_THEIRS = frozenset({"priority", "restriction"})
_APPENDED = frozenset({"input", "note"})
_KEPT = frozenset({"id", "resourceType", "meta", "text", "lastModified"})  # the server's own; what is sent is not asked
_OWNER_UNTIL = frozenset({TaskStatus.DRAFT, TaskStatus.REQUESTED})
# partners say these for "requested" (docs/rules.md, States, inbound tolerance); they are never said back
_SPOKEN = {"received": TaskStatus.REQUESTED, "ready": TaskStatus.REQUESTED}


def new_task(sent: Json) -> Json:
    """The Task to store when a requester creates one.

    Raises  BusinessRule naming the field
    Source  docs/rules.md, States, "Who may write which Task field"
    """
    status = _status(sent)
    if status not in (TaskStatus.DRAFT, TaskStatus.REQUESTED):
        raise BusinessRule("A new referral begins as draft or requested.", place="Task.status")
    for name in _OURS_ON_CREATE:
        if name in sent:
            raise BusinessRule("This field is filled in by the program that receives the referral.", place=_path(name))
    return {**sent, "status": status.value}


def changed_task(stored: Json, sent: Json) -> Json:
    """The Task to store when its requester puts `sent` over `stored`.

    Raises  BusinessRule, RequiredMissing with the field as place; pathway refusals for the status
    Source  docs/rules.md, States, "Who may write which Task field", "HTTP answers to Task writes"
    """
    before, after = _status(stored), _status(sent)
    event = requester_move(before, after) if after is not before else None
    if event is Event.WITHDRAW_REFERRER and not _text_of(sent.get("statusReason")):
        raise RequiredMissing("Say in a sentence why.", place="Task.statusReason.text")
    for name in sorted(stored.keys() | sent.keys()):
        if name not in _KEPT and stored.get(name) != sent.get(name):
            _check(name, stored.get(name), sent.get(name), before, event)
    kept = {name: stored[name] for name in stored if name in _KEPT}
    return {**{name: value for name, value in sent.items() if name not in _KEPT}, **kept, "status": after.value}


def _check(name: str, stored: Any, sent: Any, before: TaskStatus, event: Event | None) -> None:
    """Whether the requester may turn one field into another value."""
    plain = name.removeprefix("_")  # a primitive's extensions go with it
    if plain == "status" or plain in _THEIRS:
        return
    if plain == "statusReason":
        if event is None:
            raise BusinessRule("A reason is changed together with the status.", place=_path(plain))
        return
    if plain == "owner":
        if before not in _OWNER_UNTIL:
            raise BusinessRule("The owner is fixed once the referral is accepted.", place=_path(plain))
        return
    if plain in _APPENDED:
        if _list(sent)[: len(_list(stored))] != _list(stored):
            raise BusinessRule("Entries may be added at the end; none may be changed or removed.", place=_path(plain))
        return
    if plain == "output" or plain in ("businessStatus", "executionPeriod"):
        raise BusinessRule("This field belongs to the program that received the referral.", place=_path(plain))
    raise BusinessRule("This field is fixed once the referral is sent.", place=_path(plain))


def _status(task: Json) -> TaskStatus:
    word = task.get("status")
    try:
        return _SPOKEN.get(str(word)) or TaskStatus(word)
    except ValueError:
        raise BusinessRule("A referral's Task has no such status.", place="Task.status") from None


def _text_of(reason: Any) -> str:
    text = reason.get("text") if isinstance(reason, dict) else None
    return text.strip() if isinstance(text, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _path(name: str) -> str:
    return f"Task.{name}"
