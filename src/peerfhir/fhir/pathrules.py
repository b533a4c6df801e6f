"""Invariants of profiles held against a resource: the one place that asks FHIRPath on behalf of validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema_rs

from peerfhir.fhir.constraints import Constraint
from peerfhir.fhir.definitions import PRIMITIVES, r4
from peerfhir.fhir.fhirpath.dialects import STANDARD
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Item, model_of, plain
from peerfhir.fhir.fhirpath.problems import EvaluationProblem, ExpressionProblem
from peerfhir.fhir.fhirpath.standard import Path, path
from peerfhir.fhir.fhirpath.types import OPEN, Scope, Static
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import Schema
from peerfhir.fhir.terminology import Answer, Terminology

_MOST_WORDS = 300


class PathRules:
    """The invariants of profiles, each compiled on first use. Safe to share between threads."""

    def __init__(self, terminology: Terminology) -> None:
        self._terminology = terminology
        self._paths: dict[tuple[str, str], Path | None] = {}
        self._slices: dict[str, Any] = {}

    def broken(self, constraints: Iterable[Constraint], resource: Json, place: str, whole: Json) -> Iterator[Finding]:
        """What does not hold, with places in names of JSON; what cannot be decided is said as information.

        resource  what the profile is about: a resource, or an extension in one
        place     where it stands in `whole`, the resource or Bundle that was sent
        """
        unknown: list[bool] = []
        environment = Environment(
            model_of(r4()), resource=resource if "resourceType" in resource else None, root=whole,
            member_of=self._member(unknown),
        )  # fmt: skip
        for one in constraints:
            if not one.targets:  # see `references`
                for item, at in self._items(one, resource, place):
                    finding = self._judged(one, item, at, environment, unknown)
                    if finding is not None:
                        yield finding

    def references(
        self, constraints: Iterable[Constraint], resource: Json, place: str
    ) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """The references that a profile says something of: place, text, and the profiles that its target may meet."""
        for one in constraints:
            if one.targets:
                for item, at in self._items(one, resource, place):
                    text = item.value.get("reference") if type(item.value) is dict else None
                    if type(text) is str:
                        yield f"{at}.reference", text, one.targets

    def _judged(
        self, one: Constraint, item: Item, place: str, environment: Environment, unknown: list[bool]
    ) -> Finding | None:
        compiled = self._path(one.expression, item.kind)
        unknown.clear()
        environment.defined.clear()
        if compiled is not None:
            try:
                if _holds(compiled(item, environment)):
                    return None
            except (EvaluationProblem, RecursionError):
                compiled = None
        if compiled is None or unknown:
            text = f"An invariant of the profile could not be decided here ({one.key})."
            return Finding("information", "not-supported", place, text)
        severity = "warning" if one.severity == "warning" else "error"
        return Finding(severity, "invariant", place, f"{one.human[:_MOST_WORDS]} ({one.key})")

    def _member(self, unknown: list[bool]) -> Any:
        def member(system: str | None, code: str, value_set: str) -> bool | None:
            answer = self._terminology.ask(value_set, system, code)
            if answer is Answer.UNKNOWN:
                unknown.append(True)
                return None
            return answer is Answer.VALID

        return member

    def _path(self, expression: str, kind: str) -> Path | None:
        """The compiled expression; None when the language has no such thing."""
        known = self._paths.get((expression, kind))
        if known is not None:
            return known
        if (expression, kind) not in self._paths:
            # a name that the type has not is nothing for HL7's validator: then it is read without knowing the type
            for root in (Static((kind,), "one", sure=False), OPEN):
                scope = Scope(root, r4(), strict=False, dialect=STANDARD)
                try:
                    self._paths[expression, kind] = path(expression, scope, model_of(r4()))
                    break
                except ExpressionProblem:
                    self._paths[expression, kind] = None
        return self._paths[expression, kind]

    def _items(self, one: Constraint, resource: Json, place: str) -> list[tuple[Item, str]]:
        """The values that an invariant is about, each with its place."""
        kind = resource.get("resourceType", "Extension")
        found = [(Item(resource, kind), place)]
        if not one.steps:
            return found
        for step in one.steps:
            found = [below for item, at in found for slot in step for below in self._below(item, at, *slot)]
        return found

    def _below(self, item: Item, place: str, key: str, kind: str, match: Schema | None) -> Iterator[tuple[Item, str]]:
        node = item.value
        if type(node) is not dict or (key not in node and f"_{key}" not in node):
            return
        element = r4().element(item.kind, key)  # backbone elements have names of their own there
        kind = element.type if element is not None else kind
        value, beside = node.get(key), node.get(f"_{key}") if kind in PRIMITIVES else None
        if type(value) is not list and type(beside) is not list:
            if match is None or self._belongs(match, value):
                yield Item(value, _kind(kind, value), beside, item), f"{place}.{key}"
            return
        values, besides = value if type(value) is list else [], beside if type(beside) is list else []
        for at in range(max(len(values), len(besides))):
            each = values[at] if at < len(values) else None
            if match is None or self._belongs(match, each):
                extra = besides[at] if at < len(besides) else None
                yield Item(each, _kind(kind, each), extra, item), f"{place}.{key}[{at}]"

    def _belongs(self, match: Schema, value: Json) -> bool:
        mark = repr(match)
        if mark not in self._slices:
            self._slices[mark] = jsonschema_rs.validator_for(match, offline=True)
        return bool(self._slices[mark].is_valid(value))


def _kind(kind: str, value: Json) -> str:
    """A resource inside is of the type it says."""
    if kind in ("Resource", "DomainResource") and type(value) is dict:
        return str(value.get("resourceType", kind))
    return kind


def _holds(found: list[Any]) -> bool:
    """What HL7's validator makes of a result: one value that is not false is true; nothing is false."""
    values = [plain(one) for one in found]
    if len(values) == 1 and type(values[0]) is bool:
        return values[0]
    return bool(values)
