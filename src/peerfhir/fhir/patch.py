"""JSON Patch (RFC 6902) and merge patch (RFC 7396) on a copy of a resource."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from peerfhir.errors import BadRequest, BusinessRule, UnsupportedMedia
from peerfhir.fhir.reader import Json

MAX_OPERATIONS = 1000
MAX_COPIED = 50_000  # values, by all `copy` operations together: a list copied into itself doubles each time
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_ESCAPE = re.compile(r"~(?![01])")


def patched(resource: Json, patch: Json) -> Json:
    """The resource as the patch makes it; neither argument is changed.

    patch   a list is a JSON Patch, an object is merged
    Raises  BadRequest for what is no patch; UnsupportedMedia for a FHIRPath Patch; BusinessRule (422) for one that
            does not fit this resource. All name the operation, never a value
    """
    if isinstance(patch, dict) and patch.get("resourceType") == "Parameters":
        raise UnsupportedMedia("A FHIRPath Patch is not carried out here.", advice="Send a JSON Patch.")
    if isinstance(patch, dict):
        return merged(resource, patch)
    if not isinstance(patch, list):
        raise BadRequest("A patch is a list of operations (JSON Patch), or an object that is merged.")
    if len(patch) > MAX_OPERATIONS:
        raise BadRequest(f"A patch may have at most {MAX_OPERATIONS} operations.")
    found = copy.deepcopy(resource)
    copied = 0
    for at, step in enumerate(patch):
        if isinstance(step, dict) and step.get("op") == "copy":
            copied += _size(_at(found, _pointer(step, "from", f"operation {at}"), f"operation {at}"))
            if copied > MAX_COPIED:
                raise BadRequest("This patch copies too much.", place=f"operation {at}")
        found = _step(found, step, f"operation {at}")
    return found


def _size(node: Json) -> int:
    """How many values stand in a value, itself included; no further than matters."""
    waiting, found = [node], 0
    while waiting and found <= MAX_COPIED:
        one = waiting.pop()
        found += 1
        waiting.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
    return found


def merged(target: Json, patch: Json) -> Json:
    """Top down: an object is merged, null removes, anything else replaces. Source: RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def equal(one: Json, other: Json) -> bool:
    """Whether two JSON values are the same: numbers by value, true is no number. Source: RFC 6902, section 4.6."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def _step(document: Json, step: Json, place: str) -> Json:
    if not isinstance(step, dict) or not isinstance(step.get("op"), str) or step["op"] not in _OPERATIONS:
        raise BadRequest("Each operation has an `op`: add, remove, replace, move, copy or test.", place=place)
    path = _pointer(step, "path", place)
    return _OPERATIONS[step["op"]](document, step, path, place)


def _add(document: Json, step: Json, path: list[str], place: str) -> Json:
    return _put(document, path, copy.deepcopy(_value(step, place)), place)


def _remove(document: Json, step: Json, path: list[str], place: str) -> Json:
    _take(document, path, place)
    return document


def _replace(document: Json, step: Json, path: list[str], place: str) -> Json:
    value = copy.deepcopy(_value(step, place))
    if not path:
        return value
    parent = _at(document, path[:-1], place)
    _at(parent, path[-1:], place)
    parent[_position(parent, path[-1], place) if isinstance(parent, list) else path[-1]] = value
    return document


def _move(document: Json, step: Json, path: list[str], place: str) -> Json:
    start = _pointer(step, "from", place)
    if path[: len(start)] == start and len(path) > len(start):
        raise BusinessRule("Nothing can be moved into itself.", place=place)
    value = _at(document, start, place)
    if path == start:
        return document
    _take(document, start, place)
    return _put(document, path, value, place)


def _copy(document: Json, step: Json, path: list[str], place: str) -> Json:
    return _put(document, path, copy.deepcopy(_at(document, _pointer(step, "from", place), place)), place)


def _test(document: Json, step: Json, path: list[str], place: str) -> Json:
    if not equal(_at(document, path, place), _value(step, place)):
        raise BusinessRule("The resource does not have the value that the patch expects.", place=place)
    return document


_OPERATIONS: dict[str, Callable[[Json, Json, list[str], str], Json]] = {
    "add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test,
}  # fmt: skip


def _value(step: Json, place: str) -> Json:
    if "value" not in step:
        raise BadRequest("This operation needs a `value`.", place=place)
    return step["value"]


def _pointer(step: Json, name: str, place: str) -> list[str]:
    """A JSON Pointer as its steps. Source: RFC 6901."""
    text = step.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")) or _ESCAPE.search(text):
        raise BadRequest(f"This operation needs a `{name}`: a JSON Pointer.", place=place)
    return [one.replace("~1", "/").replace("~0", "~") for one in text.split("/")[1:]]


def _at(node: Json, path: list[str], place: str) -> Any:
    for step in path:
        if isinstance(node, list):
            node = node[_position(node, step, place)]
        elif isinstance(node, dict) and step in node:
            node = node[step]
        else:
            raise _nothing(place)
    return node


def _position(node: list[Any], step: str, place: str, *, room: int = 0) -> int:
    if not _INDEX.fullmatch(step) or int(step) >= len(node) + room:
        raise _nothing(place)
    return int(step)


def _put(document: Json, path: list[str], value: Json, place: str) -> Json:
    if not path:
        return value
    parent = _at(document, path[:-1], place)
    if isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else _position(parent, path[-1], place, room=1), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise _nothing(place)
    return document


def _take(document: Json, path: list[str], place: str) -> None:
    if not path:
        raise BusinessRule("A resource cannot be removed by a patch.", place=place)
    parent = _at(document, path[:-1], place)
    _at(parent, path[-1:], place)
    del parent[_position(parent, path[-1], place) if isinstance(parent, list) else path[-1]]


def _nothing(place: str) -> BusinessRule:
    return BusinessRule("The path of this operation leads to nothing.", place=place)
