"""Bodies made by a seed: real resources with places removed, replaced, renamed, wrapped or doubled."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from peerfhir.fhir.reader import read
from tests.support.fhir import EXAMPLES

CANARY = "Marisolita"
NAMES = ["foo", "_status", "valueString", "id", "extension", "resourceType", "contained", "status", "_birthDate",
         "identifier", "entry", "reference", "meta", "\u00fc", "a b", "", "request", "fullUrl", "coding"]  # fmt: skip
WILD: list[Any] = [
    None, {}, [], "", " x", "x  y", True, False, 0, -1, 1, 2**40, 10**30, Decimal("1.5"), Decimal("1E+30"), "true",
    "2024-13-45", "2024-02-30", "0000", {"a": 1}, [None], [[]], [{}], {"resourceType": 1}, {"resourceType": "Nope"},
    {"resourceType": CANARY}, "\u2028", "<div>", {"reference": "x"}, {"reference": "#no"}, {"reference": ["a"]},
    {"reference": "Patient?identifier=x|y"}, {"reference": "javascript:alert(1)"}, {"extension": []}, [1, "a", None],
    "2024-01-01T00:00:00", "10:00:00", CANARY, {CANARY: CANARY}, {"coding": [{"code": CANARY}]}, "x" * 300,
    {"resourceType": "SubscriptionTopic", "status": "draft"}, {"resourceType": "Medication", "x": 1}, "🙂", "a/b|c,d",
]  # fmt: skip


def examples() -> list[Any]:
    return [read(path.read_bytes()) for path in sorted(EXAMPLES.glob("*.json"))]


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in steps:
        yield from _places(one, (*at, step))


def mutated(rng: random.Random, value: Any) -> Any:
    """One to three places removed, replaced, renamed, wrapped or doubled."""
    changed = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = [one for one in _places(changed) if one]
        if not places:
            break
        *way, last = rng.choice(places)
        parent = changed
        for step in way:
            parent = parent[step]
        kind = rng.randrange(10)
        if kind < 2:
            del parent[last]
        elif kind < 7:
            parent[last] = copy.deepcopy(rng.choice(WILD))
        elif kind == 7 and isinstance(parent, dict):
            parent[rng.choice(NAMES)] = parent.pop(last)
        elif kind == 8 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
        else:
            parent[last] = [parent[last]]
    return changed
