"""Yes, no, cannot know: without any server."""

from __future__ import annotations

from typing import Any

import pytest

from peerfhir.fhir import schema
from peerfhir.fhir.terminology import Answer, Terminology

VALID, INVALID, UNKNOWN = Answer.VALID, Answer.INVALID, Answer.UNKNOWN
STATUS = "http://hl7.org/fhir/ValueSet/observation-status"
SYSTEM = "http://hl7.org/fhir/observation-status"


@pytest.mark.parametrize(
    ("value_set", "system", "code", "answer"),
    [
        (STATUS, SYSTEM, "final", VALID), (STATUS + "|4.0.1", SYSTEM, "final", VALID), (STATUS, None, "final", VALID),
        (STATUS, SYSTEM, "banana", INVALID), (STATUS, "urn:other", "final", INVALID), (STATUS, None, "banana", INVALID),
        ("http://hl7.org/fhir/ValueSet/currencies", "urn:iso:std:iso:4217", "EUR", UNKNOWN),
        ("http://hl7.org/fhir/ValueSet/currencies", "urn:other", "EUR", INVALID),
        ("http://example.org/nowhere", SYSTEM, "final", UNKNOWN),
    ],
)  # fmt: skip
def test_a_code_of_the_base(value_set: str, system: str | None, code: str, answer: Answer) -> None:
    assert schema.r4().terminology.ask(value_set, system, code) is answer


def value_set(**parts: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": "u", **parts}


def include(*parts: Any, **more: Any) -> dict[str, Any]:
    return value_set(compose={"include": list(parts), **more})


LISTED = {"system": "s", "concept": [{"code": "a"}, {"code": "b"}]}


@pytest.mark.parametrize(
    ("resource", "asked"),
    [
        (include(LISTED), {"a": VALID, "c": INVALID}),
        (include({"system": "whole"}), {}),
        (include({"system": "s"}), {"a": UNKNOWN}),
        (include({"system": "s", "filter": [{"property": "x", "op": "=", "value": "y"}]}), {"a": UNKNOWN}),
        (include({"system": "s"}, exclude=[LISTED]), {"a": UNKNOWN}),
        (include({"valueSet": [STATUS]}, LISTED), {"a": VALID, "c": INVALID}),
        (include({"valueSet": ["urn:nowhere"]}, LISTED), {"a": VALID, "c": UNKNOWN}),
        (include({"valueSet": ["u"]}, LISTED), {"a": VALID, "c": UNKNOWN}),
        (value_set(expansion={"contains": [{"system": "s", "code": "a", "contains": [{"system": "s", "code": "b"}]}]}),
         {"a": VALID, "b": VALID, "c": INVALID}),
        (value_set(expansion={"total": 9, "contains": [{"system": "s", "code": "a"}]}), {"a": UNKNOWN}),
    ],
)  # fmt: skip
def test_a_value_set_of_a_site(resource: dict[str, Any], asked: dict[str, Answer]) -> None:
    terminology = schema.r4().terminology.copy()
    terminology.add(resource)
    assert {code: terminology.ask("u", "s", code) for code in asked} == asked
    assert schema.r4().terminology.expansion("u") is None  # the base is not changed by it


def test_a_complete_code_system_of_a_site_is_known_with_all_below() -> None:
    terminology = Terminology({}, {})
    terminology.add(include({"system": "whole"}))
    assert terminology.ask("u", "whole", "inner") is UNKNOWN
    assert terminology.ask_system("whole", "inner") is UNKNOWN
    concepts = [{"code": "outer", "concept": [{"code": "inner"}]}]
    terminology.add({"resourceType": "CodeSystem", "url": "whole", "content": "complete", "concept": concepts})
    assert terminology.knows_system("whole")
    assert terminology.ask("u", "whole", "inner") is VALID
    assert terminology.ask("u", "whole", "none") is INVALID
    assert (terminology.ask_system("whole", "outer"), terminology.ask_system("whole", "x")) == (VALID, INVALID)


def test_a_fragment_of_a_code_system_is_not_taken_for_all_of_it() -> None:
    terminology = Terminology({}, {})
    fragment = {"resourceType": "CodeSystem", "url": "s", "content": "fragment", "concept": [{"code": "a"}]}
    terminology.add(fragment)
    assert terminology.ask_system("s", "b") is UNKNOWN
