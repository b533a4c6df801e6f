from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest

from peerfhir.fhir import reader
from peerfhir.fhir.definitions import invariants, r4
from peerfhir.fhir.fhirpath.dialects import STANDARD
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Item, model_of, plain
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.standard import path
from peerfhir.fhir.fhirpath.types import Scope, Static
from peerfhir.mapping.bound import Bound
from peerfhir.mapping.certain import Part
from peerfhir.mapping.decided import Decider
from peerfhir.mapping.invariants import Invariants, places
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.tree import Struct
from tests.mapping.constants import resource_of

FOLDER = Path(__file__).parents[3] / "shared/data/hl7-r4-examples"
SEED = 20261121
MUTANTS = 250

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the examples of R4 are not beside the repository")


def examples() -> list[dict[str, Any]]:
    """The official examples of R4, without those that are no resources."""
    found = [reader.read_own(one.read_bytes()) for one in sorted(FOLDER.glob("*.json"))]
    return [one for one in found if r4().is_resource(one.get("resourceType", ""))]


def test_no_invariant_and_no_required_binding_is_broken_by_an_official_example_of_r4() -> None:
    told = []
    for one in examples():
        problems = Problems()
        found = list(places(resource_of(one), r4()))
        Invariants(r4(), problems).check(found)
        Bound(problems, {}).check(found)
        told += [str(problem) for problem in problems.every if problem.severity != "info"]
    assert told == []


def pruned(value: Any) -> Any:
    """The same without what is empty."""
    if isinstance(value, dict):
        inner = {key: pruned(one) for key, one in value.items()}
        return {key: one for key, one in inner.items() if one not in ({}, [])}
    return [one for one in map(pruned, value) if one not in ({}, [])] if isinstance(value, list) else value


def mutant(resource: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The resource without one to four of its elements."""
    made = copy.deepcopy(resource)
    for _ in range(chance.randint(1, 4)):
        node: Any = made
        while isinstance(node, (dict, list)) and node:
            if isinstance(node, list):
                node = chance.choice(node)
                continue
            names = [name for name in node if name != "resourceType"]
            name = chance.choice(names) if names else ""
            if not name or chance.random() < 0.4 or not isinstance(node[name], (dict, list)):
                node.pop(name, None)
                break
            node = node[name]
    found = pruned(made)
    assert isinstance(found, dict)
    return found


def is_false(expression: str, resource: dict[str, Any]) -> bool:
    """What the FHIRPath engine makes of an invariant when data flow."""
    kind, model = resource["resourceType"], model_of(r4())
    scope = Scope(Static((kind,), "one", sure=False), r4(), strict=False, dialect=STANDARD)
    environment = Environment(model, resource=resource, root=resource)
    try:
        return [plain(one) for one in path(expression, scope, model)(Item(resource, kind), environment)] == [False]
    except EvaluationProblem:
        return False


def test_what_is_decided_before_data_flows_is_what_the_engine_finds_when_they_do() -> None:
    chance = random.Random(SEED)
    known, decider = examples(), Decider(r4())
    both = missed = 0
    for _ in range(MUTANTS):
        resource = mutant(chance.choice(known), chance)
        body = resource_of(resource).body
        assert isinstance(body, Struct)
        for at in invariants()["types"].get(body.kind, ()):
            key, _, _, expression = invariants()["rules"][at]
            decided = decider.is_false(expression, Part(body, body.kind, True), body, body)
            real = is_false(expression, resource)
            assert real or not decided, (key, resource)
            both += decided
            missed += real and not decided
    assert both > 10 * missed
    assert both > 10
