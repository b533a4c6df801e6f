"""The invariants of a profile: read from its snapshot, and held against a resource by FHIRPath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import Base, Schema
from peerfhir.fhir.snapshot import Node

Slot = tuple[str, str, Schema | None]  # key in JSON, its type, what an entry must match to belong to the slice


@dataclass(frozen=True)
class Constraint:
    """One invariant of a profile.

    severity    error | warning
    expression  FHIRPath, on each value at `steps`
    steps       from the root of the profile: each the keys in JSON that may stand there, with type and slice
    """

    key: str
    severity: str
    human: str
    expression: str
    steps: tuple[tuple[Slot, ...], ...]

    def as_data(self) -> Json:
        """As JSON."""
        return [self.key, self.severity, self.human, self.expression, self.steps]

    @classmethod
    def of_data(cls, data: Json) -> Constraint:
        """From JSON."""
        key, severity, human, expression, steps = data
        return cls(key, severity, human, expression, tuple(tuple((a, b, c) for a, b, c in one) for one in steps))


class Slices(Protocol):
    """What says which entries of a list belong to a slice."""

    def slices(self, sliced: Node, kind: str) -> Mapping[str, Schema]: ...


def constraints_of(root: Node, kind: str, matcher: Slices, base: Base) -> tuple[tuple[Constraint, ...], list[str]]:
    """The invariants that a profile adds to those of R4, and a name for each that stands where it cannot be asked."""
    found: list[Constraint] = []
    unread: list[str] = []
    _collect(root, kind, (), matcher, base, found, unread)
    return tuple(_once(found)), unread


def _once(found: list[Constraint]) -> Iterator[Constraint]:
    seen: set[str] = set()
    for one in found:
        mark = repr(one)
        if mark not in seen:
            seen.add(mark)
            yield one


def _own(node: Node, base: Base) -> Iterator[Json]:
    for rule in node.element.get("constraint", ()):
        if rule["key"] not in base.rules and rule.get("expression"):
            yield rule


def _collect(
    node: Node, kind: str, steps: tuple[tuple[Slot, ...], ...], matcher: Slices, base: Base,
    found: list[Constraint], unread: list[str],
) -> None:  # fmt: skip
    for rule in _own(node, base):
        found.append(Constraint(rule["key"], rule["severity"], rule.get("human", ""), rule["expression"], steps))
    for name, child in node.children.items():
        slot = base.slots(kind).get(name)
        if slot is None:
            unread += [f"invariant {rule['key']} not checked" for rule in _own(child, base)]
            continue
        kinds = [one for one in slot.types if one in _kinds(child)] or list(slot.types)
        here = tuple((slot.key(one), one, None) for one in kinds)
        inner = kinds[0] if len(kinds) == 1 else "Element"
        _collect(child, inner, (*steps, here), matcher, base, found, unread)
        matches = matcher.slices(child, kinds[0]) if child.slices and not slot.is_choice else {}
        for part, one in child.slices.items():
            if slot.is_choice:
                own = [each for each in slot.types if each in _kinds(one)]
                there: tuple[Slot, ...] = tuple((slot.key(each), each, None) for each in own)
            else:
                own = kinds
                there = ((slot.name, kinds[0], matches.get(part)),)
                if part not in matches:
                    unread += [f"invariant {rule['key']} not checked" for rule in _own(one, base)]
                    continue
            _collect(one, own[0] if own else "Element", (*steps, there), matcher, base, found, unread)


def _kinds(node: Node) -> list[Any]:
    return [row["code"] for row in node.element.get("type", ())]
