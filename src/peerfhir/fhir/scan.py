"""One look at every value of a resource: quick where all is well, and with every place where something is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from peerfhir.fhir.issues import Finding
from peerfhir.fhir.narrative import is_closed
from peerfhir.fhir.primitives import sentence
from peerfhir.fhir.schema import Base

_INTEGERS = frozenset({"integer", "unsignedInt", "positiveInt"})
MAX_DEPTH = 100  # objects in objects; the reader stops strangers at 64
_TELLING = frozenset({"reference", "url", "div", "start"})
Object = dict[str, Any]


@dataclass(slots=True)
class Seen:
    """What was met on the way: the text of every reference, and the extensions that were asked for."""

    references: list[str] = field(default_factory=list)
    extensions: list[Object] = field(default_factory=list)


def is_quiet(root: Object, integers: frozenset[str], urls: frozenset[str], seen: Seen) -> bool:  # noqa: C901 - one pass, for speed
    """Whether nothing in a resource that its schema accepts needs a closer look; most are, and it costs no places.

    urls  of extensions that have invariants of their own: `seen` takes them, and every reference
    """
    level = [root]
    for _ in range(MAX_DEPTH):
        below: list[Object] = []
        for node in level:
            for key, one in node.items():
                kind = type(one)
                if kind is str:
                    if key in _TELLING and not _is_quiet_text(node, key, one, urls, seen):
                        return False
                elif kind is dict:
                    if key == "low" and "high" in node and _is_upside_down(one, node["high"]):
                        return False
                    below.append(one)
                elif kind is list:
                    if key[:1] == "_":
                        return False
                    for entry in one:
                        if type(entry) is dict:
                            below.append(entry)
                        elif entry is None or (type(entry) is Decimal and key in integers):
                            return False
                elif kind is Decimal and key in integers:
                    return False
        if not below:
            return True
        level = below
    return False


def _is_quiet_text(node: Object, key: str, text: str, urls: frozenset[str], seen: Seen) -> bool:
    if key == "reference":
        seen.references.append(text)
    elif key == "url":
        if text in urls:
            seen.extensions.append(node)
    elif key == "div":
        return is_closed(text)
    elif "end" in node:
        return not ends_early(node)
    return True


def broken(place: str, text: str) -> Finding:
    """An invariant that does not hold; its key stands in brackets at the end of the text."""
    return Finding("error", "invariant", place, text)


def look(resource: Object, path: str, base: Base) -> list[Finding]:
    """What no schema can say about any resource, with places in names of JSON; contained ones are looked at with it."""
    found: list[Finding] = []
    anchors: set[str] = set()
    _walk(resource, path, base, found, anchors)
    contained = resource.get("contained", [])
    if anchors or contained:
        found += _local_references(resource, path, {str(one.get("id")) for one in contained})
        found += _contained(contained, path, anchors)
    return found


def _walk(root: Object, path: str, base: Base, found: list[Finding], anchors: set[str]) -> None:  # noqa: C901 - one pass, for speed
    """One look at every value: nulls, narratives, periods, whole numbers written with a point, local references."""
    waiting: list[tuple[str, Object]] = [(path, root)]
    while waiting:
        place, node = waiting.pop()
        if place.count(".") > MAX_DEPTH:
            found.append(Finding("error", "too-costly", path, "This is nested deeper than can be judged."))
            break
        for key, one in node.items():
            kind = type(one)
            if kind is str:
                if one[:1] == "#":
                    anchors.add(one)
            elif kind is dict:
                if key != "resource" and key != "outcome":
                    waiting.append((f"{place}.{key}", one))
            elif kind is list:
                beside = node.get(key[1:]) if key[:1] == "_" else None
                if type(beside) is list and len(beside) != len(one):
                    text = "The list of values and the list of their extensions are of one length."
                    found.append(Finding("error", "structure", f"{place}.{key}", text))
                for at, entry in enumerate(one):
                    if type(entry) is dict:
                        waiting.append((f"{place}.{key}[{at}]", entry))
                    elif entry is None:
                        _null(node, key, at, f"{place}.{key}[{at}]", found)
                    elif type(entry) is Decimal and _is_integer(entry, root, place[len(path) :], key, base):
                        found.append(Finding("error", "value", f"{place}.{key}[{at}]", sentence("integer")))
            elif kind is Decimal and _is_integer(one, root, place[len(path) :], key, base):
                found.append(Finding("error", "value", f"{place}.{key}", sentence("integer")))
        if "start" in node and node is not root and ends_early(node):
            found.append(broken(place, "A period must not end before it starts (per-1)."))
        is_range = "low" in node and "high" in node and not place.rpartition(".")[2].startswith("referenceRange")
        if is_range and _is_upside_down(node["low"], node["high"]):
            found.append(broken(place, "A range does not start above its end (rng-2)."))
        if "div" in node and type(node["div"]) is str and not is_closed(node["div"]):
            found.append(
                broken(
                    f"{place}.div",
                    "Every tag is closed, one div is around everything, and named characters are of HTML (txt-1).",
                )
            )


def _null(parent: Object, key: str, at: int, place: str, found: list[Finding]) -> None:
    """A null holds the place of a value that has only extensions, or of extensions that a value has not."""
    partner = parent.get(key[1:] if key[:1] == "_" else f"_{key}")
    if type(partner) is not list or at >= len(partner) or partner[at] is None:
        text = "null stands only beside extensions: leave the entry out."
        found.append(Finding("error", "structure", place, text))


def _is_integer(number: Decimal, root: Object, place: str, key: str, base: Base) -> bool:
    """Whether the definition wants a whole number: `2.0` is one for JSON, and none for FHIR."""
    if number != number.to_integral_value():
        return False
    kind: str = root["resourceType"]
    node: Any = root
    for step in [*place.split(".")[1:], key]:
        name, _, index = step.partition("[")
        if type(node.get("resourceType")) is str:
            kind = node["resourceType"]
        kind = base.keys(kind).get(name, (None, ""))[1] if base.is_type(kind) else ""
        node = node.get(name) if not index else node[name][int(index[:-1])]
    return kind in _INTEGERS


def _is_upside_down(low: Any, high: Any) -> bool:
    """rng-2, as far as both are numbers of one unit."""
    if type(low) is not dict or type(high) is not dict:
        return False
    least: Any = low.get("value")
    most: Any = high.get("value")
    units = [(one.get("system"), one.get("code"), one.get("unit")) for one in (low, high)]
    is_number = type(least) in (int, Decimal) and type(most) in (int, Decimal)
    return is_number and units[0] == units[1] and bool(least > most)


def ends_early(period: Object) -> bool:
    """per-1. Instants are compared as such; else as far as both are written."""
    start, end = period["start"], period.get("end")
    if type(start) is not str or type(end) is not str:
        return False
    if start[19:] == end[19:] and len(start) == len(end):
        return start > end
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) > datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return False  # a leap second; the schema has judged the rest
    length = min(len(start.split("T")[0]), len(end.split("T")[0]))
    return start[:length] > end[:length]


def _local_references(resource: Object, path: str, ids: set[Any]) -> Iterator[Finding]:
    """ref-1: a local reference names a contained resource, or the container itself."""
    waiting: list[tuple[str, Any]] = [(path, resource)]
    while waiting:
        place, node = waiting.pop()
        if type(node) is dict:
            text = node.get("reference")
            if type(text) is str and text[:1] == "#" and text != "#" and text[1:] not in ids:
                yield broken(f"{place}.reference", "No contained resource has this id (ref-1).")
            waiting += [(f"{place}.{k}", v) for k, v in node.items() if type(v) in (dict, list) and k != "resource"]
        else:
            waiting += [(f"{place}[{at}]", one) for at, one in enumerate(node) if type(one) in (dict, list)]


def _contained(contained: list[Any], path: str, anchors: set[str]) -> Iterator[Finding]:
    seen: set[str] = set()
    for at, one in enumerate(contained):
        if str(one.get("id")) in seen:
            text = "Another contained resource has the same id."
            yield Finding("error", "duplicate", f"{path}.contained[{at}].id", text)
        seen.add(str(one.get("id")))
        place, meta = f"{path}.contained[{at}]", meta_of(one)
        if "contained" in one:
            yield broken(place, "A contained resource contains none itself (dom-2).")
        if f"#{one.get('id')}" not in anchors and not _names_container(one):
            yield broken(place, "Nothing refers to this contained resource (dom-3).")
        if "versionId" in meta or "lastUpdated" in meta:
            yield broken(place, "A contained resource has no version and no time of change (dom-4).")
        if "security" in meta:
            yield broken(place, "A contained resource has no labels of its own (dom-5).")


def meta_of(inner: Object) -> Object:
    """The meta of a resource that has not been judged yet."""
    meta = inner.get("meta")
    return meta if type(meta) is dict else {}


def _names_container(node: Any) -> bool:
    if type(node) is dict:
        return node.get("reference") == "#" or any(_names_container(one) for one in node.values())
    return type(node) is list and any(_names_container(one) for one in node)
