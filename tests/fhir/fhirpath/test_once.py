"""Each value once: structures are the same when all that is in them is, in whatever order it was written."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from peerfhir.fhir.fhirpath.model import Item
from peerfhir.fhir.fhirpath.operators import Once, key, union

SEED = 20261121


def item(value: Any, kind: str = "Element") -> Item:
    return Item(value, kind)


def test_structures_that_are_equal_are_taken_once() -> None:
    first = item({"a": 1, "b": {"c": [1, {"d": "x"}]}})
    turned = item({"b": {"c": [1, {"d": "x"}]}, "a": Decimal("1.0")})
    deeper = item({"a": 1, "b": {"c": [1, {"d": "y"}]}})
    truth = item({"a": True, "b": {"c": [1, {"d": "x"}]}})  # true is not 1
    assert union([first, turned, deeper], [truth, deeper, first]) == [first, deeper, truth]


def test_quantities_are_compared_in_their_unit() -> None:
    ucum = "http://unitsofmeasure.org"
    gram = item({"value": 1000, "system": ucum, "code": "mg"}, "Quantity")
    same = item({"value": 1, "system": ucum, "code": "g"}, "Quantity")
    assert union([gram], [same]) == [gram]


def test_it_takes_what_keys_of_whole_values_would_take() -> None:
    drawn = random.Random(SEED)
    leaves: list[Any] = ["x", 1, True, Decimal("1.0"), None]

    def made(depth: int) -> Any:
        if depth == 0 or drawn.random() < 0.3:
            return drawn.choice(leaves)
        if drawn.random() < 0.5:
            return [made(depth - 1) for _ in range(drawn.randint(0, 2))]
        return {name: made(depth - 1) for name in drawn.sample("abc", drawn.randint(0, 2))}

    values = [item({"a": made(3), "b": made(2)}) for _ in range(2_000)] + ["x", 1, Decimal("1.0"), True, "x"]
    known: set[Any] = set()
    expected = []
    for one in values:
        expected.append(key(one) not in known)
        known.add(key(one))
    once = Once()
    assert [once.takes(one) for one in values] == expected
    print(f"seed {SEED}: {sum(expected)} of {len(values)} values are different")
    assert 100 < sum(expected) < len(values)
