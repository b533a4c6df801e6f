from __future__ import annotations

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from peerfhir.mapping.texts import pieces
from tests.support.generated import CALM


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("plain", [("plain", "constant")]),
        ("a {{b}} c", [("a ", "constant"), ("b", "expression"), (" c", "constant")]),
        ("{{ a }}{{b}}", [("a", "expression"), ("b", "expression")]),
        ("{{iif(a, {}, '}}')}}", [("iif(a, {}, '}}')", "expression")]),
        ("{{'\\'}}'}} x", [("'\\'}}'", "expression"), (" x", "constant")]),
        ("{ single }", [("{ single }", "constant")]),
        ("a {{b", [("a ", "constant"), ("", "broken")]),
        ("a }} b", [("", "broken")]),
        ("{{a}} }}", [("a", "expression"), ("", "broken")]),
        ("{{a} }", [("", "broken")]),
    ],
)
def test_a_text_is_cut_at_its_braces(text: str, cut: list[tuple[str, str]]) -> None:
    found = list(pieces(text))
    assert [(piece, kind) for _, piece, kind in found] == cut
    assert all(text[start:].startswith(piece) for start, piece, kind in found if kind == "expression")


@seed(12)
@CALM
@given(st.text("ab{}' \\`"))
def test_any_text_is_cut_into_pieces_that_stand_in_it(text: str) -> None:
    found = list(pieces(text))
    for start, piece, kind in found:
        assert kind in ("constant", "expression", "broken")
        assert text[start:].startswith(piece)
    if not any(kind == "broken" for *_, kind in found):
        assert "".join(piece for _, piece, kind in found if kind == "constant").count("{{") == 0
