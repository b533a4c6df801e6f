from __future__ import annotations

from peerfhir.fhir.fhirpath.problems import EvaluationProblem, ExpressionProblem, nearest


def test_a_hint_names_the_nearest_word_or_nothing() -> None:
    assert nearest("identifer", ["identifier", "status"]) == "did you mean 'identifier'?"
    assert nearest("zzz", ["identifier", "status"]) == ""


def test_a_problem_carries_its_rule_and_place() -> None:
    problem = ExpressionProblem("PM111", 4, "'x' is not declared", "did you mean 'y'?")
    assert (problem.rule, problem.offset, problem.hint, problem.advice) == (
        "PM111",
        4,
        problem.advice,
        "did you mean 'y'?",
    )
    assert str(EvaluationProblem("PM710", "no such code")) == "no such code"
