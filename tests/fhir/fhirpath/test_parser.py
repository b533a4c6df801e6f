from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from peerfhir.fhir.fhirpath.parser import (
    Binary,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    Quantity,
    Special,
    TypeTest,
    Unary,
    Variable,
    children,
    parse,
)
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from tests.support.generated import CALM

LEVELS = [  # FHIRPath N1 grammar, loosest first
    ["implies"], ["or", "xor"], ["and"], ["in", "contains"], ["=", "~", "!=", "!~"], ["<", "<=", ">", ">="], ["|"],
    ["+", "-", "&"], ["*", "/", "div", "mod"],
]  # fmt: skip
LEVEL = {operator: at for at, level in enumerate(LEVELS) for operator in level}


def shown(node: Expression) -> str:
    """The tree with every operation in brackets."""
    match node:
        case Binary(operator=operator, left=left, right=right):
            return f"({shown(left)} {operator} {shown(right)})"
        case Unary(operator=operator, operand=operand):
            return f"({operator}{shown(operand)})"
        case TypeTest(operator=operator, operand=operand, type_name=name):
            return f"({shown(operand)} {operator} {name})"
        case Member(base=base, name=name):
            return f"{shown(base)}.{name}" if base else name
        case Call(base=base, name=name, arguments=arguments):
            inner = f"{name}({', '.join(shown(one) for one in arguments)})"
            return f"{shown(base)}.{inner}" if base else inner
        case Index(base=base, index=index):
            return f"{shown(base)}[{shown(index)}]"
        case Literal(value=value):
            return repr(value)
        case Quantity(value=value, unit=unit):
            return f"{value} '{unit}'"
        case Variable(name=name):
            return f"%{name}"
        case Special(name=name):
            return name


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a.b.c()", "a.b.c()"),
        ("-a.b", "(-a.b)"),
        ("-a * b", "((-a) * b)"),
        ("a and b or c and d", "((a and b) or (c and d))"),
        ("a = b and c", "((a = b) and c)"),
        ("a | b = c", "((a | b) = c)"),
        ("a + b is Quantity | c", "(((a + b) is Quantity) | c)"),
        ("a as FHIR.string = 'x'", "((a as FHIR.string) = 'x')"),
        ("a[0].b[1]", "a[0].b[1]"),
        ("iif(a, {}, 4 days)", "iif(a, None, 4 'days')"),
        ("x.where($this = 'y')", "x.where(($this = 'y'))"),
        ("as.is.in.contains", "as.is.in.contains"),
        ("(a or b) and not(c)", "((a or b) and not(c))"),
        ("%systems.`us-npi`", "%systems.us-npi"),
    ],
)
def test_an_expression_becomes_the_tree_of_the_grammar(text: str, tree: str) -> None:
    assert shown(parse(text)) == tree


@seed(3)
@CALM
@given(st.lists(st.sampled_from(sorted(LEVEL)), min_size=1, max_size=8))
def test_operators_bind_as_the_grammar_says(operators: list[str]) -> None:
    text = "a0 " + " ".join(f"{operator} a{at}" for at, operator in enumerate(operators, start=1))

    def oracle(low: int, high: int) -> str:
        """Split at the last of the loosest operators between operand `low` and operand `high`."""
        if low == high:
            return f"a{low}"
        loosest = min(LEVEL[operators[at]] for at in range(low, high))
        split = max(at for at in range(low, high) if LEVEL[operators[at]] == loosest)
        return f"({oracle(low, split)} {operators[split]} {oracle(split + 1, high)})"

    assert shown(parse(text)) == oracle(0, len(operators))


@pytest.mark.parametrize(
    ("text", "rule", "offset"),
    [
        ("", "PM100", 0), ("a b", "PM100", 2), ("(a", "PM100", 2), ("a.", "PM100", 2), ("a = ", "PM100", 4),
        ("f(,a)", "PM100", 2), ("f(a,)", "PM100", 4), ("a..b", "PM100", 2), ("a[1", "PM100", 3), ("{a}", "PM100", 1),
        ("a.true", "PM100", 2), ("a is 5", "PM100", 5), ("a.$this", "PM100", 2), ("$that", "PM100", 0),
        ("99999999999", "PM125", 0),
    ],
)  # fmt: skip
def test_broken_syntax_is_refused_at_its_place(text: str, rule: str, offset: int) -> None:
    with pytest.raises(ExpressionProblem) as refused:
        parse(text)
    assert (refused.value.rule, refused.value.offset) == (rule, offset)


def test_an_operator_word_as_a_field_name_is_told_to_use_backticks() -> None:
    with pytest.raises(ExpressionProblem) as refused:
        parse("a.div")
    assert "`div`" in refused.value.hint


LARGE: list[Callable[[int], str]] = [
    lambda n: "(" * n + "a" + ")" * n,
    lambda n: ".".join(["a"] * n),
    lambda n: " and ".join(["a"] * n),
    lambda n: "-" * n + "a",
    lambda n: "a" + "[0]" * n,
    lambda n: "f(" * n + "a" + ")" * n,
    lambda n: "a" * n,
]


@pytest.mark.parametrize("shape", LARGE)
def test_an_expression_without_measure_is_refused_and_never_exhausts_the_stack(shape: Callable[[int], str]) -> None:
    for size in (200, 900, 5_000):
        with pytest.raises(ExpressionProblem) as refused:
            parse(shape(max(size, 4_001) if shape is LARGE[-1] else size))
        assert refused.value.rule == "PM127"


WORDS = [
    "a",
    "b1",
    "`x y`",
    "%v",
    "'s'",
    "1",
    "1.5",
    "@2020-01-01",
    "true",
    "{}",
    "$this",
    "where(",
    "iif(",
    "%systems.",
]
SIGNS = st.sampled_from([*WORDS, *"()[].,=&|+-*/<>~ ", "and", "or", "is", "in", "div"])


@seed(4)
@CALM
@given(st.lists(SIGNS, max_size=30).map("".join))
def test_any_row_of_words_gives_a_tree_or_a_problem_inside_it(text: str) -> None:
    try:
        tree = parse(text)
    except ExpressionProblem as problem:
        assert 0 <= problem.offset <= len(text)
        return
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        assert 0 <= node.offset <= len(text)
        waiting += children(node)
