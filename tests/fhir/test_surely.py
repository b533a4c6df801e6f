"""What is said to hold without FHIRPath holds by FHIRPath: for values made by hand, and for the packages of others."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from peerfhir.fhir import pathrules
from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath.dialects import STANDARD
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Item, model_of
from peerfhir.fhir.fhirpath.standard import path
from peerfhir.fhir.fhirpath.types import Scope, Static
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.reader import Json
from peerfhir.fhir.surely import surely
from tests.support.third_party import claiming, judge_of, profiles_of

SEED = 20261121
MASKED = {"extension": [{"url": "urn:masked", "valueCode": "masked"}]}
OBSERVATION = "(component.empty() and hasMember.empty()) implies (dataAbsentReason.exists() or value.exists())"
UNITS = "ofType(Quantity).system.empty() or ofType(Quantity).system = 'urn:u'"
# expression, type, values of which it is said, values of which nothing is said
CASES: list[tuple[str, str, list[Any], list[Any]]] = [
    (OBSERVATION, "Observation",
     [{"valueString": "x"}, {"_valueString": MASKED}, {"component": [{}]}, {"hasMember": [{}], "valueCode": "x"},
      {"dataAbsentReason": {"text": "x"}}], [{}, {"code": {"text": "x"}}]),
    ("$this is dateTime implies $this.toString().length() >= 10", "dateTime",
     ["2026-01-02", "2026-01-02T10:00:00Z"], ["2026", "2026-01", None]),
    ("$this is dateTime implies $this.toString().length() >= 10", "Period", [{"start": "2026"}], []),
    ("$this is string implies false", "code", [], ["x"]),  # a code is a string
    ("($this as dateTime).toString().length() >= 8", "dateTime", ["2026-01-02"], ["2026"]),
    (UNITS, "Quantity", [{"value": 1}, {"system": "urn:u"}], [{"system": "urn:v"}, {"_system": MASKED}]),
    (UNITS, "CodeableConcept", [{"text": "x"}], []),
    ("value.ofType(Quantity).system.empty()", "Observation", [{}, {"valueString": "x"}, {"valueQuantity": {"value": 1}}],
     [{"valueQuantity": {"system": "urn:u"}}]),
    ("low.system.empty() or low.system = 'urn:u'", "Range", [{}, {"low": {"system": "urn:u"}}], [{"low": {"system": "x"}}]),
    ("name.given.exists()", "Patient", [{"name": [{"family": "x"}, {"given": ["x"]}]},
     {"name": [{"given": [None], "_given": [MASKED]}]}], [{"name": [{"family": "x"}]}, {}, {"name": [{"given": [None]}]}]),
    ("type='group' implies item.exists()", "QuestionnaireItem",
     [{"type": "display"}, {"type": "group", "item": [{}]}], [{"type": "group"}, {}, {"_type": MASKED}]),
    ("extension('urn:a').exists() implies subject.exists()", "Observation",
     [{}, {"extension": [{"url": "urn:b"}]}, {"extension": [{"url": "urn:a"}], "subject": {}}],
     [{"extension": [{"url": "urn:b"}, {"url": "urn:a"}]}]),
    ("extension.where(url='urn:a').count() = 1", "Extension",
     [{"extension": [{"url": "urn:b"}, {"url": "urn:a"}]}], [{}, {"extension": [{"url": "urn:a"}] * 2}]),
    ("code.coding.where(system='urn:u').exists()", "Observation",
     [{"code": {"coding": [{"code": "x"}, {"system": "urn:u"}]}}], [{"code": {"text": "x"}}, {"code": {"coding": [{"system": "x"}]}}]),
    ("contained.id.exists()", "Observation", [], [{"contained": [{"id": "x"}]}]),  # of any type: FHIRPath is asked
    ("value.exists().not()", "Observation", [{}], [{"valueString": "x"}]),
    ("%resource.status = 'final'", "Observation", [], [{"status": "final"}]),
]  # fmt: skip


def holds(expression: str, kind: str, value: Any) -> bool:
    """What FHIRPath itself says."""
    model = model_of(r4())
    found = path(expression, Scope(Static((kind,), "one", sure=False), r4(), strict=False, dialect=STANDARD), model)
    return found(Item(value, kind), Environment(model)) == [True]


@pytest.mark.parametrize(("expression", "kind", "sure", "open_"), CASES, ids=[f"{one[0]} of {one[1]}" for one in CASES])
def test_what_is_said_to_hold_holds(expression: str, kind: str, sure: list[Any], open_: list[Any]) -> None:
    says = surely(expression, kind, r4()) or (lambda _: False)
    assert [says(one) for one in sure] == [True] * len(sure)
    assert [holds(expression, kind, one) for one in sure] == [True] * len(sure)
    assert [says(one) for one in open_] == [False] * len(open_)


def changed(resource: Json, drawn: random.Random) -> Json:
    """The same resource with one element taken away."""
    made = copy.deepcopy(resource)
    places = list(keys(made))
    node, key = drawn.choice(places)
    del node[key]
    return made


def keys(node: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from keys(node[key])


@pytest.mark.parametrize("package", ["us-core-7.0.0", "gravity-sdohcc"])
def test_findings_are_the_same_without_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(SEED)
    examples = claiming(package)
    quick = judge_of(package)
    monkeypatch.setattr(pathrules, "surely", lambda *_: None)
    slow = Judge(quick.base, profiles_of(package))
    broken = 0
    for name, resource in examples:
        for one in (resource, *(changed(resource, drawn) for _ in range(2))):
            found = slow.findings(one)
            assert quick.findings(one) == found, name
            broken += any(each.code == "invariant" for each in found)
    print(f"seed {SEED}: {len(examples) * 3} resources of {package}, {broken} with an invariant that does not hold")
    assert broken
