"""Half-written YAML: keys and their paths as YAML has them where it is whole, and a place wherever somebody types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peerfhir.config.document import compose
from peerfhir.portal.cursor import cursor, entries, tree

MAPPINGS = Path(__file__).parents[2] / "mappings"


def keys(value: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every path to a key of a map; a position of a list is a number."""
    found = set()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in items:
        here = (*path, str(step))
        if isinstance(below, (dict, list)) or not str(step).isdigit():
            found.add(here)
        found |= keys(below, here)
    return found


def test_every_document_that_ships_has_the_keys_that_yaml_says() -> None:
    documents = [path for path in sorted(MAPPINGS.rglob("*.yaml")) if "examples" not in path.parts]
    assert len(documents) > 25
    for path in documents:
        assert keys(tree(entries(path.read_text("utf-8")))) == keys(compose(path).plain()), path.name


@pytest.mark.parametrize(
    ("text", "path", "kind", "word"),
    [
        ("ma", (), "key", "ma"),
        ("source:\n  fo", ("source",), "key", "fo"),
        ("resources:\n  patient:\n    name: {fam", ("resources", "patient", "name"), "key", "fam"),
        ("resources:\n  patient:\n    name: {family: =last, gi", ("resources", "patient", "name"), "key", "gi"),
        ("a:\n  b: {c: {d: 1}, ", ("a", "b"), "key", ""),
        ("a:\n  - ", ("a", 0), "key", ""),
        ("a:\n  - b: 1\n    ", ("a", 0), "key", ""),
        ("a:\n  - b: 1\n  - {c: ", ("a", 1, "c"), "value", ""),
        ("a:\n- b\n- c: x", ("a", 1, "c"), "value", "x"),
        ("a: [x, y", ("a", 1), "value", "y"),
        ('a:\n  b: "=coalesce(x, ', ("a", "b"), "value", '"=coalesce(x, '),
        ('a: {b: "=f(x, y).', ("a", "b"), "value", '"=f(x, y).'),
        ("a: {b: 'it''s, x', c", ("a",), "key", "c"),
        ("a:\n  - =last", ("a", 0), "value", "=last"),
        ("a: {b: 1\nc:\n  d", ("c",), "key", "d"),
        ("a: |\n  text: no\n  more", ("a",), "value", "more"),
        ("a: 1  # he", (), "nothing", ""),
        ("# he", (), "nothing", ""),
        ("a: {b: 1}", ("a",), "nothing", ""),
        ('"quoted key": x', ("quoted key",), "value", "x"),
        ("a: b[0].{{c", ("a",), "value", "b[0].{{c"),
        ("a: {b: x[0].y, c", ("a",), "key", "c"),
    ],
)
def test_the_place_of_the_cursor(text: str, path: tuple[str | int, ...], kind: str, word: str) -> None:
    found = cursor(text, len(text))
    assert (found.path, found.kind, found.word) == (path, kind, word)


def test_a_bracket_that_nobody_closed_ends_with_its_key() -> None:
    assert tree(entries("a:\n  b: {c: 1, d\n  e: 2\nf: 3\n")) == {"a": {"b": {"c": "1"}, "e": "2"}, "f": "3"}


def test_text_that_is_no_yaml_has_a_place_everywhere() -> None:
    for text in ("}}}]]", "- - - {[", "\t: :", "a: 'b", "{a: [b, {c", "\x00\ud800: x", ": :\n - : ["):
        for at in range(len(text) + 1):
            assert cursor(text, at).kind in ("key", "value", "nothing")
        tree(entries(text))
