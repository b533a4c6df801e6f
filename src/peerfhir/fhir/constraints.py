"""The invariants of a profile: read from its snapshot, and held against a resource by FHIRPath."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import Base, Schema
from peerfhir.fhir.snapshot import Node

Slot = tuple[str, str, Schema | None]  # key in JSON, its type, what an entry must match to belong to the slice


@dataclass(frozen=True)
class Constraint:
    """One invariant of a profile.

    severity    error | warning
    expression  FHIRPath, on each value at `steps`; "" for a reference
    steps       from the root of the profile: each the keys in JSON that may stand there, with type and slice
    targets     of a reference: the profiles of which what it refers to meets one
    """

    key: str
    severity: str
    human: str
    expression: str
    steps: tuple[tuple[Slot, ...], ...]
    targets: tuple[str, ...] = ()

    def as_data(self) -> Json:
        """As JSON."""
        return [self.key, self.severity, self.human, self.expression, self.steps, self.targets]

    @classmethod
    def of_data(cls, data: Json) -> Constraint:
        """From JSON."""
        key, severity, human, expression, steps, targets = data
        ways = tuple(tuple((a, b, c) for a, b, c in one) for one in steps)
        return cls(key, severity, human, expression, ways, tuple(targets))


class Slices(Protocol):
    """What says which entries of a list belong to a slice."""

    def slices(self, sliced: Node, kind: str) -> Mapping[str, Schema]: ...


@dataclass
class _Reading:
    """One profile while it is read. `unread` names what stands where it cannot be asked."""

    matcher: Slices
    base: Base
    is_profile: Callable[[str], bool]
    found: list[Constraint] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def constraints_of(
    root: Node, kind: str, matcher: Slices, base: Base, is_profile: Callable[[str], bool]
) -> tuple[tuple[Constraint, ...], list[str]]:
    """The invariants that a profile adds to those of R4 and what it asks of the targets of references.

    is_profile  whether a canonical url is that of a profile at hand
    Returns     them, and a name for each that stands where it cannot be asked
    """
    reading = _Reading(matcher, base, is_profile)
    _collect(reading, root, kind, ())
    return tuple(_once(reading.found)), reading.unread


def _once(found: list[Constraint]) -> Iterator[Constraint]:
    seen: set[str] = set()
    for one in found:
        mark = repr(one)
        if mark not in seen:
            seen.add(mark)
            yield one


def _own(node: Node, base: Base) -> Iterator[Json]:
    for rule in node.element.get("constraint", ()):
        if rule["key"] not in base.rules:
            yield rule


def _collect(reading: _Reading, node: Node, kind: str, steps: tuple[tuple[Slot, ...], ...]) -> None:
    for rule in _own(node, reading.base):
        if rule.get("expression"):
            made = Constraint(rule["key"], rule["severity"], rule.get("human", ""), rule["expression"], steps)
            reading.found.append(made)
        else:
            reading.unread.append(f"invariant {rule['key']} has no expression: not checked")
    targets = _targets(reading, node)
    if targets:
        reading.found.append(Constraint("", "target", "", "", steps, targets))
    for name, child in node.children.items():
        slot = reading.base.slots(kind).get(name)
        if slot is None:
            _leave(reading, child)
            continue
        kinds = [one for one in slot.types if one in _kinds(child)] or list(slot.types)
        here = tuple((slot.key(one), one, None) for one in kinds)
        _collect(reading, child, kinds[0] if len(kinds) == 1 else "Element", (*steps, here))
        matches = reading.matcher.slices(child, kinds[0]) if child.slices and not slot.is_choice else {}
        for part, one in child.slices.items():
            if slot.is_choice:
                own = [each for each in slot.types if each in _kinds(one)]
                there: tuple[Slot, ...] = tuple((slot.key(each), each, None) for each in own)
            elif part in matches:
                own, there = kinds, ((slot.name, kinds[0], matches[part]),)
            else:
                _leave(reading, one)
                continue
            _collect(reading, one, own[0] if own else "Element", (*steps, there))


def _leave(reading: _Reading, node: Node) -> None:
    reading.unread += [f"invariant {rule['key']} not checked" for rule in _own(node, reading.base)]


def _targets(reading: _Reading, node: Node) -> tuple[str, ...]:
    """The profiles of a reference's targets; none when it may go to any type of R4 itself only."""
    rows = [row for row in node.element.get("type", ()) if row.get("code") == "Reference"]
    urls = [url.split("|")[0] for row in rows for url in row.get("targetProfile", ())]
    return tuple(urls) if any(reading.is_profile(url) for url in urls) else ()


def _kinds(node: Node) -> list[Any]:
    return [row["code"] for row in node.element.get("type", ())]
