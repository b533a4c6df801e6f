"""Invariants and search parameters that others publish: every one is compiled, and those of R4 hold on its examples."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from peerfhir.fhir import reader
from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath.dialects import STANDARD
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Model
from peerfhir.fhir.fhirpath.operators import truth
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.fhir.fhirpath.standard import path
from peerfhir.fhir.fhirpath.types import Scope, Static
from tests.support.third_party import folder

MODEL = Model(r4())
BASE = "http://hl7.org/fhir/StructureDefinition/"
# what its author wrote in the spelling of JSON
MISTAKEN = {"us-core-condition-asserted-date of Condition": "'valueDateTime' is the JSON name, not FHIRPath"}
NOT_R4 = {"SubscriptionStatus"}  # a type that only R4B and R5 have


@cache
def published(kind: str) -> tuple[Any, ...]:
    files = sorted(folder("fhir-packages").rglob(f"{kind}-*.json"))
    found = (reader.read_own(file.read_bytes()) for file in files)
    return tuple(one for one in found if one.get("resourceType") == kind)


def kinds_at(place: str, types: list[str]) -> tuple[str, ...]:
    """The types of an element of a snapshot, as the index has them; () where it is not an element of R4."""
    kind, *steps = place.split(".")
    for step in steps[:-1]:
        element = r4().element(kind, step)
        if element is None:
            return ()
        kind = element.type
    if not steps:
        return (kind,) if r4().is_type(kind) else ()
    name = steps[-1].removesuffix("[x]")
    element = r4().element(kind, name)
    found = (element.type,) if element else tuple(one.type for one in r4().choices(kind, name))
    narrowed = tuple(one for one in found if one in types)
    return narrowed or found


def invariants() -> Iterator[tuple[str, str, str, tuple[str, ...], str]]:
    """Key, place, expression, the types it stands on, and who says it."""
    seen = set()
    for definition in published("StructureDefinition"):
        for element in (definition.get("snapshot") or {}).get("element", ()):
            kinds = kinds_at(element["path"], [one["code"] for one in element.get("type", ())])
            for rule in element.get("constraint", ()):
                mark = (rule.get("expression"), kinds)
                if kinds and rule.get("expression") and mark not in seen:
                    seen.add(mark)
                    yield rule["key"], element["path"], rule["expression"], kinds, rule.get("source", "")


def scope_of(*kinds: str) -> Scope:
    return Scope(Static(kinds, "one", sure=False), r4(), strict=False, dialect=STANDARD)


def test_every_published_invariant_is_compiled() -> None:
    count, refused = 0, {}
    for key, place, text, kinds, _ in invariants():
        try:
            path(text, scope_of(*kinds), MODEL)
            count += 1
        except ExpressionProblem as problem:
            if not any(word in text for word in NOT_R4):
                refused[f"{key} at {place}"] = problem.what
    assert not refused
    assert count > 250


def test_every_published_search_parameter_is_compiled() -> None:
    count, refused = 0, {}
    for parameter in published("SearchParameter"):
        for base in parameter["base"] if parameter.get("expression") else ():
            try:
                path(parameter["expression"], scope_of(base), MODEL)
                count += 1
            except ExpressionProblem as problem:
                refused[f"{parameter['id']} of {base}"] = problem.what
    assert refused == MISTAKEN
    assert count > 100


def test_the_invariants_of_r4_hold_on_its_examples() -> None:
    rules: dict[str, dict[str, str]] = {}
    for key, place, text, _, source in invariants():
        if place in r4().resources() and source.startswith(BASE):
            rules.setdefault(place, {})[key] = text
    asked, broken = 0, set()
    for file in sorted(folder("data/hl7-r4-examples").glob("*.json")):
        resource = reader.read_own(file.read_bytes())
        kind = resource["resourceType"]
        for key, text in rules.get(kind, {}).items():
            found = path(text, scope_of(kind), MODEL)(resource, Environment(MODEL, resource=resource))
            asked += 1
            if truth(found) is not True:
                broken.add(f"{file.stem}: {key}")
    assert asked > 1_000
    # dom-6 is advice: a resource should have a narrative
    assert {one.rpartition(" ")[2] for one in broken} <= {"dom-6"}, broken
