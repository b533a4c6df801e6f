"""A resource against the elements of its type: names, lists, required, choices, primitives, required codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from peerfhir.fhir import definitions, model
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.model import R4_TYPES
from peerfhir.fhir.primitives import check_of, sentence
from peerfhir.fhir.reader import Json

MAX_FINDINGS = 200
_MAX_DEPTH = 80  # the reader stops strangers at 64; what is built here must not exhaust the stack either
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class _Slot:
    """One element, ready to be checked. `check` is None for an element that has elements of its own."""

    kind: str
    many: bool
    check: Callable[[Any], bool] | None
    codes: frozenset[str] | None


@dataclass(frozen=True)
class _Plan:
    """The elements of one type, and which must be there: each group needs one of its names."""

    slots: dict[str, _Slot]
    required: tuple[tuple[str, ...], ...]
    choices: tuple[tuple[str, tuple[str, ...]], ...]


def structure(resource: Json) -> list[Finding]:
    """Everything that R4 says about names, shapes, primitive values and required codes. Never raises."""
    found: list[Finding] = []
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    _resource(resource, name if isinstance(name, str) and name in R4_TYPES else "", found, 0)
    return found[:MAX_FINDINGS]


@cache
def _plan(type_name: str) -> _Plan:
    elements = definitions.r4().elements(type_name).values()
    slots = {
        one.name: _Slot(
            one.type, one.many, check_of(one.type) if one.type in definitions.PRIMITIVES else None, one.codes
        )
        for one in elements
    }
    groups: dict[str, list[str]] = {}
    for one in elements:
        if one.choice:
            groups.setdefault(one.choice, []).append(one.name)
    needed: list[tuple[str, ...]] = [(one.name,) for one in elements if one.minimum and not one.choice]
    needed += [tuple(groups[name]) for name in {one.choice for one in elements if one.minimum and one.choice}]
    return _Plan(slots, tuple(needed), tuple((name, tuple(names)) for name, names in groups.items()))


def _add(found: list[Finding], code: str, path: str, text: str) -> None:
    found.append(Finding("error", code, path, text))


def _resource(value: Any, path: str, found: list[Finding], depth: int) -> None:
    name = value.get("resourceType") if type(value) is dict else None
    if type(name) is not str or name not in R4_TYPES:
        _add(found, "structure", f"{path}.resourceType".lstrip("."), "This is not a resource type of FHIR R4.")
    elif not definitions.r4().is_resource(name):
        before = len(found)
        _plain(value, path, found, depth)
        if len(found) == before:
            found += [one.below(path) for one in model.parse(value)]
    else:
        _object(value, name, path, found, depth)


def _object(value: Any, type_name: str, path: str, found: list[Finding], depth: int) -> None:
    if type(value) is not dict or not value:
        text = "This element takes an object." if value != {} else "An object must not be empty: leave the element out."
        return _add(found, "structure", path, text)
    if depth > _MAX_DEPTH or len(found) >= MAX_FINDINGS:
        return _add(found, "too-costly", path, "This is nested deeper than can be judged.")
    plan = _plan(type_name)
    slots = plan.slots
    for name, one in value.items():
        slot = slots.get(name)
        if slot is not None:
            if slot.check is not None and not slot.many and slot.check(one) and (not slot.codes or one in slot.codes):
                continue  # nearly every element: a single primitive that is right
            _element(one, name, slot, value, path, found, depth)
        elif name[:1] == "_" and (slot := slots.get(name[1:])) is not None and slot.check is not None:
            _extended(one, f"{path}.{name[1:]}", slot, found, depth)
        elif name != "resourceType" or type_name not in R4_TYPES:
            place = f"{path}.{name}" if _PLAIN_NAME.fullmatch(name) else path
            _add(found, "structure", place, f"{type_name} has no such element in FHIR R4. Remove it or mend its name.")
    _presence(value, plan, path, found)
    if type_name == "Extension":
        _extension(value, path, found)
    elif type_name == "Period":
        _period(value, path, found)
    return None


def _presence(value: dict[str, Any], plan: _Plan, path: str, found: list[Finding]) -> None:
    for names in plan.required:
        if not any(name in value or f"_{name}" in value for name in names):
            _add(found, "required", f"{path}.{_choice_name(names)}", "This element is required.")
    for choice, names in plan.choices:
        if sum(name in value or f"_{name}" in value for name in names) > 1:
            _add(found, "structure", f"{path}.{choice}", "Only one of the types of this element may be sent.")


def _choice_name(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    shortest = min(names, key=len)
    return re.sub(r"[A-Z][A-Za-z0-9]*$", "", shortest) or shortest


def _element(
    value: Any, name: str, slot: _Slot, parent: dict[str, Any], path: str, found: list[Finding], depth: int
) -> None:
    place = f"{path}.{name}"
    if not slot.many:
        if type(value) is list:
            return _add(found, "structure", place, "This element takes one value, not a list.")
        return _value(value, slot, place, found, depth)
    if type(value) is not list or not value:
        text = "This element takes a list." if value != [] else "A list must not be empty: leave the element out."
        return _add(found, "structure", place, text)
    beside = parent.get(f"_{name}") if slot.check else None
    for at, one in enumerate(value):
        # a null holds the place of a value that has only extensions
        if one is None and type(beside) is list and at < len(beside) and beside[at]:
            continue
        _value(one, slot, f"{place}[{at}]", found, depth)
    return None


def _value(value: Any, slot: _Slot, place: str, found: list[Finding], depth: int) -> None:
    if value is None:
        _add(found, "structure", place, "null is not a value in FHIR: leave the element out.")
    elif slot.check is None:
        if slot.kind == "Resource":
            _resource(value, place, found, depth + 1)
        else:
            _object(value, slot.kind, place, found, depth + 1)
    elif not slot.check(value):
        _add(found, "value", place, sentence(slot.kind))
    elif slot.codes and value not in slot.codes:
        _add(
            found, "code-invalid", place, f"This code is not allowed here. Use one of: {', '.join(sorted(slot.codes))}."
        )


def _extended(value: Any, place: str, slot: _Slot, found: list[Finding], depth: int) -> None:
    """The `_name` beside a primitive: its id and extensions."""
    entries = value if slot.many and type(value) is list else [value]
    if not entries:
        _add(found, "structure", place, "A list must not be empty: leave the element out.")
    for one in entries:
        if one is not None or not slot.many:
            _object(one, "Element", place, found, depth + 1)


def _extension(value: dict[str, Any], path: str, found: list[Finding]) -> None:
    """ext-1: an extension has a value or extensions of its own, not both and not neither."""
    has_value = any(name.lstrip("_").startswith("value") for name in value)
    if has_value == ("extension" in value):
        _add(found, "invariant", path, "An extension has either a value or extensions of its own (ext-1).")


def _period(value: dict[str, Any], path: str, found: list[Finding]) -> None:
    """per-1: a period does not end before it starts; only what is written alike is compared."""
    start, end = value.get("start"), value.get("end")
    if type(start) is str and type(end) is str and len(start) == len(end) and start[19:] == end[19:] and start > end:
        _add(found, "invariant", path, "A period must not end before it starts (per-1).")


def _plain(value: Any, path: str, found: list[Finding], depth: int) -> None:
    """A resource that the index does not know: no nulls and nothing empty. `fhir.model` says the rest."""
    if value is None or value == {} or value == []:
        _add(found, "structure", path, "null and empty values are not FHIR: leave the element out.")
    elif depth > _MAX_DEPTH or len(found) >= MAX_FINDINGS:
        _add(found, "too-costly", path, "This is nested deeper than can be judged.")
    elif type(value) is dict:
        for name, one in value.items():
            place = f"{path}.{name}" if _PLAIN_NAME.fullmatch(name) else path
            _plain(one, place, found, depth + 1)
    elif type(value) is list:
        for at, one in enumerate(value):
            if one is not None:
                _plain(one, f"{path}[{at}]", found, depth + 1)
