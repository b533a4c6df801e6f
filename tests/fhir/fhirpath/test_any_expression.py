"""Expressions nobody would write, in every dialect: each gives a collection, or a fault of one of the two kinds."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath.compile import Expressions
from peerfhir.fhir.fhirpath.dialects import STANDARD
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.library import MORE_FUNCTIONS, STANDARD_FUNCTIONS
from peerfhir.fhir.fhirpath.model import Model
from peerfhir.fhir.fhirpath.problems import EvaluationProblem, ExpressionProblem
from peerfhir.fhir.fhirpath.standard import path
from peerfhir.fhir.fhirpath.types import Bound, Scope, Static
from tests.fhir.fhirpath.test_mappings import RECORD, RECORD_TYPE, SCOPE
from tests.fhir.fhirpath.test_standard import PATIENT

MODEL = Model(r4())
FUNCTIONS = {**STANDARD_FUNCTIONS, **MORE_FUNCTIONS}
FIELDS = [f"`{name}`" for name in RECORD_TYPE.names()]
ELEMENTS = [
    "name",
    "given",
    "family",
    "birthDate",
    "active",
    "id",
    "gender",
    "multipleBirth",
    "managingOrganization",
    "reference",
]
LITERALS = [
    "1", "0", "2.50", "'a'", "''", "true", "false", "{}", "@2020", "@2020-01-02", "@2020-01-02T10:00:00Z", "@T10:00",
    "4 days", "5 'mg'", "$this", "$index", "%context", "%resource", "%var", "%many", "(1 | 2 | 'a')", "10L", "(-3)", "'^a+'",
]  # fmt: skip
OPERATORS = ["+", "-", "*", "/", "div", "mod", "&", "=", "!=", "~", "!~", "<", "<=", ">", ">=", "and", "or", "xor", "implies", "in", "contains", "|"]  # fmt: skip
TYPES = ["String", "Quantity", "Patient", "boolean", "System.Integer", "FHIR.code"]


def made(chance: random.Random, depth: int, names: list[str]) -> str:
    kind = chance.random()

    def inner() -> str:
        return made(chance, depth - 1, names)

    if depth <= 0 or kind < 0.25:
        return chance.choice([*LITERALS, *names, *names])
    if kind < 0.5:
        return f"({inner()} {chance.choice(OPERATORS)} {inner()})"
    if kind < 0.58:
        return f"{inner()}.{chance.choice(names)}"
    if kind < 0.66:
        return (
            f"{inner()}[{inner()}]"
            if kind < 0.62
            else f"({inner()} {chance.choice(['is', 'as'])} {chance.choice(TYPES)})"
        )
    word = chance.choice(list(FUNCTIONS))
    function = FUNCTIONS[word]
    count = chance.randint(function.least, max(function.least, min(function.most, 3)))
    typed = word in ("is", "as", "ofType")
    arguments = ", ".join(chance.choice(TYPES) if typed else inner() for _ in range(count))
    return f"{inner()}.{word}({arguments})"


def of_record(text: str, *, strict: bool) -> list[Any]:
    return Expressions(replace(SCOPE, strict=strict)).function(text)(RECORD, {"var": "v", "many": ["m", "n"]})


def of_patient(text: str) -> list[Any]:
    variables = {"var": Bound(Static(("string",)), ""), "many": Bound(Static(("string",), "many"), "")}
    scope = Scope(Static(("Patient",), "one", sure=False), r4(), variables, strict=False, dialect=STANDARD)
    given = {"var": "v", "many": ["m", "n"]}
    return path(text, scope, MODEL)(PATIENT, Environment(MODEL, now=datetime(2026, 1, 2, tzinfo=UTC), variables=given))


@pytest.mark.parametrize("way", ["mapping", "published over a record", "published"])
def test_any_expression_gives_a_collection_or_a_fault_with_a_code(way: str) -> None:
    chance = random.Random(31)
    rules, given = set(), 0
    for _ in range(700):
        text = made(chance, 4, ELEMENTS if way == "published" else FIELDS)
        try:
            found = of_patient(text) if way == "published" else of_record(text, strict=way == "mapping")
        except (ExpressionProblem, EvaluationProblem) as problem:
            assert problem.rule.startswith("PM")
            rules.add(problem.rule)
        else:
            assert type(found) is list, f"seed 31: {text}"
            given += 1
    assert given > 100
    assert rules >= {"PM111", "PM120", "PM712"}


def test_objects_of_a_record_are_compared_by_what_they_hold() -> None:
    assert of_record("items.isDistinct()", strict=True) == [True]
    assert of_record("items.combine(items).distinct().count()", strict=True) == [3]
    assert of_record("items.first() = items.first() and items.first() ~ items.first()", strict=True) == [True]
    assert of_record("items.first() in items.tail()", strict=True) == [False]
