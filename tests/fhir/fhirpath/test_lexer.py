from __future__ import annotations

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from peerfhir.fhir.fhirpath.lexer import tokens
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from tests.support.generated import CALM


def kinds(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokens(text)[:-1]]


def test_words_know_their_kind_and_their_place() -> None:
    found = tokens("a.where(b = 'x') // why\n and %c")
    assert [(token.kind, token.text, token.offset) for token in found] == [
        ("name", "a", 0), ("symbol", ".", 1), ("name", "where", 2), ("symbol", "(", 7), ("name", "b", 8),
        ("symbol", "=", 10), ("string", "x", 12), ("symbol", ")", 15), ("name", "and", 25), ("variable", "c", 29),
        ("end", "", 31),
    ]  # fmt: skip


def test_names_and_variables_may_be_quoted() -> None:
    assert kinds("`us-npi`.%`vs-x`.%'y z'") == [
        ("quoted-name", "us-npi"), ("symbol", "."), ("variable", "vs-x"), ("symbol", "."), ("variable", "y z"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("@2026", "date", "2026"),
        ("@2026-02", "date", "2026-02"),
        ("@2026-02-28", "date", "2026-02-28"),
        ("@2026-02T", "dateTime", "2026-02"),
        ("@2026-02-28T10:30", "dateTime", "2026-02-28T10:30"),
        ("@2026-02-28T10:30:15.5-05:00", "dateTime", "2026-02-28T10:30:15.5-05:00"),
        ("@T10:30", "time", "10:30"),
        ("12", "number", "12"),
        ("1.20", "number", "1.20"),
    ],
)
def test_dates_times_and_numbers_are_one_word(text: str, kind: str, value: str) -> None:
    assert kinds(text) == [(kind, value)]


@seed(1)
@CALM
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_can_be_written_as_a_string(text: str) -> None:
    written = text.replace("\\", "\\\\").replace("'", "\\'")
    assert kinds(f"'{written}'") == [("string", text)]


def test_escapes_are_read_and_unknown_ones_refused() -> None:
    assert kinds(r"'\n\t\r\f\\\/\`\"é'") == [("string", '\n\t\r\f\\/`"é')]
    for text in (r"'a\q'", r"'\ud800'", r"'\u12'"):
        with pytest.raises(ExpressionProblem) as refused:
            tokens(text)
        assert refused.value.rule == "PM125"


@pytest.mark.parametrize(
    ("text", "rule", "offset"),
    [
        ("a = 'x", "PM100", 4), ("`a", "PM100", 0), ('a = "x"', "PM100", 4), ("a # b", "PM100", 2), ("/* x", "PM100", 0),
        ("@2026-13-01", "PM125", 0), ("@2026-02-30", "PM125", 0), ("a = @T25:00", "PM125", 4), ("@x", "PM125", 0),
        ("%", "PM100", 0),
    ],
)  # fmt: skip
def test_what_is_no_word_is_refused_at_its_place(text: str, rule: str, offset: int) -> None:
    with pytest.raises(ExpressionProblem) as refused:
        tokens(text)
    assert (refused.value.rule, refused.value.offset) == (rule, offset)


@seed(2)
@CALM
@given(st.text())
def test_any_text_gives_words_or_a_problem_inside_it(text: str) -> None:
    try:
        found = tokens(text)
    except ExpressionProblem as problem:
        assert 0 <= problem.offset <= len(text)
    else:
        assert found[-1].kind == "end"
        assert [token.offset for token in found] == sorted(token.offset for token in found)
