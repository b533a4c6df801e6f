from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.config import Mark, compose
from peerfhir.mapping.problems import Problem, Problems, Texts, messages

MARK = Mark("mappings/a/a.map.yaml", 3, 5)


def test_a_message_has_the_form_of_the_language() -> None:
    problem = Problem(MARK, "PM202", "task.x", "Task has no element 'x'", "did you mean 'y'?")
    assert (
        str(problem)
        == "mappings/a/a.map.yaml:3:5: error PM202: task.x: Task has no element 'x'\n    hint: did you mean 'y'?"
    )
    assert str(Problem(MARK, "PM001", "", "not YAML")) == "mappings/a/a.map.yaml:3:5: error PM001: not YAML"


def test_problems_are_told_once_and_in_the_order_of_the_file() -> None:
    problems = Problems()
    problems.add(MARK, "PM202", "a", "second")
    problems.add(Mark(MARK.path, 1, 1), "PM202", "a", "first")
    problems.add(MARK, "PM202", "b", "second")
    problems.add(MARK, "PM300", "c", "unused")
    assert [problem.what for problem in problems.errors] == ["first", "second"]
    assert [problem.severity for problem in problems.warnings] == ["warning"]
    assert len(messages(problems.errors)) == 2


def test_a_warning_is_accepted_by_code_and_address_and_an_error_never() -> None:
    problems = Problems()
    problems.add(MARK, "PM300", "source.fields.a", "unused")
    problems.add(MARK, "PM202", "task.x", "unknown")
    assert not problems.accept("PM300", "source.fields.b")
    assert not problems.accept("PM202", None)
    assert problems.accept("PM300", "source.fields.a")
    assert problems.warnings == []
    assert len(problems.errors) == 1


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: =one & three", "three"), ('a: "=one & three"', "three"), ("a: '=it''s & three'", "three"),
        ("a: =one &\n  two & three", "three"), ("a: |\n  =one &\n  three\n", "three"), ("a: >-\n    =one\n    & three", "three"),
        ('a: "=one \\u0026 three"', "a"), ('a: "é \\" three"', "three"),
    ],
)  # fmt: skip
def test_a_place_inside_a_scalar_is_found_in_the_text(text: str, part: str) -> None:
    node = compose(Path("x"), text=text).value["a"]
    texts = Texts()
    texts.add("x", text)
    mark = texts.inside(node, node.value.index("three"))
    line = text.split("\n")[mark.line - 1]
    assert line[mark.column - 1 :].startswith(part) or mark == node.mark
