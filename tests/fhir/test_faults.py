"""One fault in a resource that is right: whatever its class, it is seen. And junk of any kind never breaks the judge."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import PRIMITIVES, Slot
from tests.support.fhir import EXAMPLES, example

SEED = 20261121
BASE = schema.r4()
Place = tuple[Json, str, Slot, str, str]  # parent, key, element, its type, the type of the parent


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(BASE)


def places(node: Json, kind: str) -> Iterator[Place]:
    """Every element of a resource with its definition."""
    for key, value in node.items():
        slot, inner = BASE.keys(kind).get(key, (None, ""))
        if slot is None:
            continue
        yield node, key, slot, inner, kind
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from places(one, one.get("resourceType", inner))


def put(value: Callable[[Any], Any], when: Callable[[Slot, str, Any], bool]) -> Callable[[Place], bool]:
    """A fault that replaces the value of an element; says whether it could be made there."""

    def make(place: Place) -> bool:
        node, key, slot, kind, _ = place
        if not when(slot, kind, node[key]):
            return False
        node[key] = value(node[key])
        return True

    return make


def rename(place: Place) -> bool:
    place[0]["nonsense"] = place[0].pop(place[1])
    return True


def drop(place: Place) -> bool:
    if not place[2].minimum:
        return False
    del place[0][place[1]]
    return True


def second_type(place: Place) -> bool:
    node, _, slot, kind, _ = place
    other = next((one for one in slot.types if one != kind and one in ("string", "boolean", "dateTime")), None)
    if not slot.is_choice or other is None:
        return False
    node[slot.key(other)] = {"string": "x", "boolean": True, "dateTime": "2026"}[other]
    return True


def backwards(place: Place) -> bool:
    if place[3] != "Period" or place[2].many:
        return False
    place[0][place[1]] = {"start": "2026-02-02", "end": "2026-02-01"}
    return True


def one(slot: Slot, kind: str, value: Any) -> bool:
    return not slot.many


def of(*kinds: str) -> Callable[[Slot, str, Any], bool]:
    return lambda slot, kind, value: kind in kinds and not slot.many


def bound(slot: Slot, kind: str, value: Any) -> bool:
    expansion = BASE.terminology.expansion(slot.value_set) if slot.value_set else None
    return kind == "code" and not slot.many and expansion is not None and expansion.is_listed


FAULTS: dict[str, Callable[[Place], bool]] = {
    "unknown element": rename,
    "required element missing": drop,
    "null": put(lambda _: None, lambda slot, kind, value: True),
    "empty list": put(lambda _: [], lambda slot, kind, value: slot.many),
    "empty object": put(lambda _: {}, lambda slot, kind, value: kind not in PRIMITIVES and not slot.many),
    "list for one": put(lambda value: [value], one),
    "one for a list": put(lambda value: value[0], lambda slot, kind, value: slot.many),
    "object for a text": put(lambda _: {"a": 1}, lambda slot, kind, value: kind in PRIMITIVES and not slot.many),
    "text for an object": put(lambda _: "x", lambda slot, kind, value: kind not in PRIMITIVES and not slot.many),
    "wrong code": put(lambda _: "banana", bound),
    "code with a space": put(lambda value: f" {value}", of("code", "id", "uri", "url", "canonical")),
    "empty text": put(lambda _: "", of("string", "markdown", "code", "uri", "id", "dateTime", "date", "xhtml")),
    "text for a boolean": put(lambda value: str(value).lower(), of("boolean")),
    "text for a number": put(str, of("integer", "positiveInt", "unsignedInt", "decimal")),
    "point in a whole number": put(lambda value: Decimal(f"{value}.0"), of("integer", "positiveInt", "unsignedInt")),
    "day not in the calendar": put(lambda _: "2026-02-30", of("date", "dateTime")),
    "no zone": put(lambda _: "2026-02-03T10:00:00", of("dateTime", "instant")),
    "bad reference": put(lambda _: "what is this", lambda slot, kind, value: slot.name == "reference"),
    "reference that runs": put(lambda _: "javascript:alert(1)", lambda slot, kind, value: slot.name == "reference"),
    "no such contained": put(lambda _: "#nowhere", lambda slot, kind, value: slot.name == "reference"),
    "script in the narrative": put(lambda value: value.replace("</div>", "<script>x</script></div>"), of("xhtml")),
    "second type of a choice": second_type,
    "a period that ends early": backwards,
    "extension without a value": put(lambda _: [{"url": "http://x"}], lambda slot, kind, value: kind == "Extension"),
    "unit without system": put(lambda _: {"value": 1, "code": "kg"}, of("Quantity")),
}


def cases() -> Iterator[tuple[str, str, Json]]:
    for path in sorted(EXAMPLES.glob("*.json")):
        right = example(path.stem)
        for what, fault in FAULTS.items():
            for at in range(len(list(places(right, right["resourceType"])))):
                wrong = copy.deepcopy(right)
                place = list(places(wrong, wrong["resourceType"]))[at]
                if fault(place):
                    yield what, f"{path.stem}: {place[4]}.{place[1]}", wrong


def test_nearly_every_single_fault_is_seen(judge: Judge) -> None:
    drawn = random.Random(SEED)
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for what, where, wrong in cases():
        if made[what] >= 150 and drawn.random() > 0.05:
            continue
        made[what] += 1
        if not [each for each in judge.findings(wrong, strict=True) if each.severity == "error"]:
            missed[what] += 1
            print("missed:", what, "in", where)
    total = sum(made.values())
    print(f"seed {SEED}: {total - sum(missed.values())} of {total} single faults seen, {len(FAULTS)} classes")
    print({what: f"{made[what] - missed[what]}/{made[what]}" for what in FAULTS})
    assert sum(missed.values()) <= total * 0.05
    assert all(made[what] for what in FAULTS)


JUNK: list[Any] = [None, True, 0, -1, Decimal("2.0"), "", " ", "#x", [], {}, [None], [[]], [{}], {"a": 1}, ["x"], [1], {"resourceType": []},
                   {"id": []}, "x" * 70, {"reference": {}}, {"coding": "x"}, [{"linkId": []}], {"profile": [1]}]  # fmt: skip


def nodes(node: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from nodes(node[key])


def test_junk_anywhere_ends_in_findings_and_never_in_an_exception(judge: Judge) -> None:
    drawn = random.Random(SEED)
    names = sorted(path.stem for path in EXAMPLES.glob("*.json"))
    for _ in range(1500):
        wrong = example(drawn.choice(names))
        for _ in range(drawn.randint(1, 3)):
            parent, key = drawn.choice(list(nodes(wrong)))
            parent[key] = copy.deepcopy(drawn.choice(JUNK))
        judge.findings(wrong, strict=drawn.random() > 0.5)
    print(f"seed {SEED}: 1500 resources with junk in them")
