"""Invariants of profiles held against a resource: the one place that asks FHIRPath on behalf of validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from peerfhir.fhir.surely import surely
from peerfhir.fhir.terminology import Answer, Terminology

_MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class _Step:
    """One key in JSON on the way to what an invariant is about.

    belongs  says of an entry whether it is of the slice; None where every one is
    """

    key: str
    beside: str
    kind: str
    belongs: Callable[[Json], bool] | None


@dataclass(frozen=True, slots=True)
class _Rule:
    """An invariant on its way: `first` are the keys of which one must be there for it to say anything."""

    said: Constraint
    steps: tuple[tuple[_Step, ...], ...]
    first: frozenset[str]


class PathRules:
    """The invariants of profiles, each compiled on first use. Safe to share between threads.

    constraints  gives those of a profile by its url
    """

    def __init__(self, terminology: Terminology, constraints: Callable[[str], Sequence[Constraint]]) -> None:
        self._terminology, self._constraints = terminology, constraints
        self._rules: dict[str, tuple[tuple[_Rule, ...], tuple[_Rule, ...]]] = {}
        self._paths: dict[tuple[str, str], Path | None] = {}
        self._sure: dict[tuple[str, str], Callable[[Json], bool]] = {}
        self._slices: dict[str, Callable[[Json], bool]] = {}
        self._kinds: dict[tuple[str, str, str], str] = {}

    def broken(self, url: str, resource: Json, place: str, whole: Json) -> Iterator[Finding]:
        """What does not hold, with places in names of JSON; what cannot be decided is said as information.

        resource  what the profile is about: a resource, or an extension in one
        place     where it stands in `whole`, the resource or Bundle that was sent
        """
        environment: Environment | None = None
        unknown: list[bool] = []
        root = Item(resource, resource.get("resourceType", "Extension"))
        for rule in self._of(url)[0]:
            if rule.first and rule.first.isdisjoint(resource):
                continue
            for at, item in enumerate(self._items(rule, root)):
                if self._surely(rule.said.expression, item.kind)(item.value):
                    continue
                if environment is None:
                    environment = Environment(
                        model_of(r4()), resource=resource if "resourceType" in resource else None, root=whole,
                        member_of=self._member(unknown),
                    )  # fmt: skip
                said = self._judged(rule.said, item, environment, unknown)
                if said is not None:
                    yield Finding(*said[:2], self._places(rule, root, place)[at], said[2])

    def astray(
        self, url: str, resource: Json, place: str, is_right: Callable[[str, tuple[str, ...]], bool]
    ) -> Iterator[str]:
        """Where the references stand that lead to something which a profile does not want there.

        is_right  the text of a reference, and the profiles of which its target should meet one
        """
        for rule in self._of(url)[1]:
            if rule.first.isdisjoint(resource):
                continue
            found, wanted = [resource], rule.said.targets
            for step in rule.steps:
                below: list[Json] = []
                for node in found:
                    for way in step:
                        below += _plain_below(node, way)
                found = below
            for one in found:
                text = _text_of(one)
                if text is not None and not is_right(text, wanted):
                    break
            else:
                continue
            root = Item(resource, resource["resourceType"])
            for item, at in zip(self._items(rule, root), self._places(rule, root, place), strict=True):
                text = _text_of(item.value)
                if text is not None and not is_right(text, wanted):
                    yield f"{at}.reference"

    def _of(self, url: str) -> tuple[tuple[_Rule, ...], tuple[_Rule, ...]]:
        """The invariants of a profile, and what it asks of the targets of references."""
        made = self._rules.get(url)
        if made is None:
            rules = [self._rule(one) for one in self._constraints(url)]
            made = self._rules[url] = (
                tuple(one for one in rules if not one.said.targets),
                tuple(one for one in rules if one.said.targets),
            )
        return made

    def _rule(self, one: Constraint) -> _Rule:
        steps = tuple(
            tuple(
                _Step(key, f"_{key}", kind, None if match is None else self._slice(match)) for key, kind, match in step
            )
            for step in one.steps
        )
        return _Rule(one, steps, frozenset(key for step in steps[:1] for way in step for key in (way.key, way.beside)))

    def _judged(
        self, one: Constraint, item: Item, environment: Environment, unknown: list[bool]
    ) -> tuple[str, str, str] | None:
        """What is to be said of one value: severity, code and text."""
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
            return "information", "not-supported", text
        severity = "warning" if one.severity == "warning" else "error"
        return severity, "invariant", f"{one.human[:_MOST_WORDS]} ({one.key})"

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

    def _surely(self, expression: str, kind: str) -> Callable[[Json], bool]:
        """What says quickly of most values that an invariant holds for them."""
        known = self._sure.get((expression, kind))
        if known is None:
            is_read = self._path(expression, kind) is not None
            known = (surely(expression, kind, r4()) if is_read else None) or _never
            self._sure[expression, kind] = known
        return known

    def _items(self, rule: _Rule, root: Item) -> list[Item]:
        """The values that an invariant is about."""
        found = [root]
        for step in rule.steps:
            found = [below for item in found for way in step for below, _ in self._below(item, way)]
        return found

    def _places(self, rule: _Rule, root: Item, place: str) -> list[str]:
        """Where they stand, in the same order: asked for only where there is something to say."""
        found = [(root, place)]
        for step in rule.steps:
            found = [
                (below, f"{at}.{way.key}" if number is None else f"{at}.{way.key}[{number}]")
                for item, at in found
                for way in step
                for below, number in self._below(item, way)
            ]
        return [at for _, at in found]

    def _below(self, item: Item, way: _Step) -> Sequence[tuple[Item, int | None]]:
        """What stands under a key, with its number where that is a list."""
        node = item.value
        if type(node) is not dict:
            return ()
        value, beside = node.get(way.key), node.get(way.beside)
        if value is None and beside is None and way.key not in node and way.beside not in node:
            return ()
        kind = self._kinds.get((item.kind, way.key, way.kind)) or self._kind(item.kind, way)
        if kind not in PRIMITIVES:
            beside = None
        belongs = way.belongs
        if type(value) is not list and type(beside) is not list:
            if belongs is None or belongs(value):
                return ((Item(value, _kind(kind, value), beside, item), None),)
            return ()
        found = []
        values, besides = value if type(value) is list else [], beside if type(beside) is list else []
        for at in range(max(len(values), len(besides))):
            each = values[at] if at < len(values) else None
            if belongs is None or belongs(each):
                extra = besides[at] if at < len(besides) else None
                found.append((Item(each, _kind(kind, each), extra, item), at))
        return found

    def _kind(self, around: str, way: _Step) -> str:
        """The type of what is below: backbone elements have names of their own there."""
        element = r4().element(around, way.key)
        kind = self._kinds[around, way.key, way.kind] = element.type if element is not None else way.kind
        return kind

    def _slice(self, match: Schema) -> Callable[[Json], bool]:
        mark = repr(match)
        if mark not in self._slices:
            self._slices[mark] = jsonschema_rs.validator_for(match, offline=True).is_valid
        return self._slices[mark]


def _text_of(reference: Json) -> str | None:
    text = reference.get("reference") if type(reference) is dict else None
    return text if type(text) is str else None


def _plain_below(node: Json, way: _Step) -> Iterable[Json]:
    """What stands under a key, without its type and place."""
    value = node.get(way.key) if type(node) is dict else None
    values = value if type(value) is list else () if value is None else (value,)
    return values if way.belongs is None else [one for one in values if way.belongs(one)]


def _never(_: Json) -> bool:
    return False


def _kind(kind: str, value: Json) -> str:
    """A resource inside is of the type it says."""
    if kind in ("Resource", "DomainResource") and type(value) is dict:
        return str(value.get("resourceType", kind))
    return kind


def _holds(found: list[Any]) -> bool:
    """What HL7's validator makes of a result: one value that is not false is true; nothing is false."""
    if len(found) == 1 and type(found[0]) is bool:
        return found[0]
    values = [plain(one) for one in found]
    if len(values) == 1 and type(values[0]) is bool:
        return values[0]
    return bool(values)
