from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from peerfhir.config import Mark, compose
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.types import Static
from peerfhir.mapping.bands import Band, Bands
from peerfhir.mapping.codes import CodeMaps
from peerfhir.mapping.problems import Problems

SYSTEMS = {"own": "http://own.example"}


def read(text: str) -> tuple[dict[str, Band], list[str]]:
    problems = Problems()
    node = compose(Path("x"), text=text)
    scores = {("phq-9", "total"): [(Decimal(5), "mild"), (Decimal(0), "minimal")]}
    reader = Bands(
        CodeMaps(SYSTEMS, problems, lambda *_: None), problems, lambda one, score: scores.get((one, score or "total"))
    )
    return reader.read(node.value, node.key_marks), [f"{one.code} {one.mark.line}" for one in problems.errors]  # fmt: skip


def one(text: str) -> Band:
    found, errors = read(f"m: {text}")
    assert errors == []
    return found["m"]


@pytest.mark.parametrize(
    ("value", "label"),
    [(0, "minimal"), (4, "minimal"), (5, "mild"), (Decimal("4.99"), "minimal"), (Decimal("5.0"), "mild"), (99, "moderate"), (None, None)],
)  # fmt: skip
def test_a_number_gets_the_label_of_the_greatest_bound_not_above_it(value: Any, label: str | None) -> None:
    assert one("{0: minimal, 5: mild, 10: moderate}").translate(value) == label


def test_bounds_may_be_below_zero_and_have_digits() -> None:
    found = one('{"-1.5": low, "0.25": high}')
    assert [found.translate(Decimal(n)) for n in ("-1.5", "0.2", "0.25")] == ["low", "low", "high"]


@pytest.mark.parametrize(("value", "code"), [(-1, "PM713"), ("5", "PM712"), (True, "PM712"), ([1], "PM712")])
def test_a_number_below_every_bound_and_what_is_no_number_fail_the_record(value: Any, code: str) -> None:
    with pytest.raises(EvaluationProblem) as failed:
        one("{0: minimal}").translate(value)
    assert failed.value.rule == code


def test_a_label_with_more_than_a_code_is_a_coding() -> None:
    found = one("{0: {code: N, system: own, display: Normal}, 5: {code: H, system: own}}")
    assert found.translate(7) == {"system": "http://own.example", "code": "H"}
    given = Static(("integer",), "one", blank=False)
    assert found.output(given).kinds == ("Coding",)
    assert found.output(given).codes == frozenset("NH")
    assert one("{0: a}").output(given) == Static(("string",), "one", codes=frozenset("a"), blank=False)


def test_only_numbers_can_have_a_band() -> None:
    found = one("{0: a}")
    assert found.review(Static(("decimal",), "opt")) == []
    assert [rule for rule, *_ in found.review(Static(("string",), "opt"))] == ["PM120"]


def test_the_bands_of_an_instrument_are_taken_from_it() -> None:
    assert one("{instrument: phq-9, score: total}").translate(7) == "mild"
    assert one("{instrument: phq-9}").translate(0) == "minimal"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("m:\n  0: a\n  0.0: b", "PM138 3"), ("m:\n  5: a\n  0: b", "PM138 3"), ("m: {low: a}", "PM138 1"), ("m: {NaN: a}", "PM138 1"),
        ("m: {1_0: a}", "PM138 1"), ("m: {0: ''}", "PM136 1"), ("m: {0: {equivalence: unmatched}}", "PM138 1"), ("m: x", "PM007 1"),
        ("m: {}", "PM007 1"), ("M: {0: a}", "PM007 1"), ("m: {instrument: gad-9}", "PM130 1"), ("m: {0: {code: a, system: onw}}", "PM139 1"),
        ("m: {instrument: phq-9, scor: x}", "PM002 1"),
    ],
)  # fmt: skip
def test_bands_that_break_a_rule_are_refused_at_their_line(text: str, problem: str) -> None:
    found, errors = read(text)
    assert errors == [problem]
    assert all(one.broken for one in found.values()) or problem.startswith(("PM007 1", "PM139", "PM002"))


def test_what_uses_broken_bands_has_no_further_problem() -> None:
    broken = Band("m", Mark("x", 1, 1), (), (), broken=True)
    assert broken.review(Static(("string",), "opt")) == []
