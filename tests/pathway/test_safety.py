"""Safety events: raised once, and only ever raised."""

from __future__ import annotations

import pytest

from peerfhir.pathway.safety import level_of, raise_once
from tests.support.books import new_books


def test_the_same_source_raises_one_event():
    books = new_books()
    first = raise_once(books, "x", "outcome:1", "urgent")
    assert raise_once(books, "x", "outcome:1", "stat") == first
    assert raise_once(books, "x", "outcome:2", "stat").id != first.id


@pytest.mark.parametrize("level", ["urgent", "stat"])
def test_the_answer_of_a_peer_only_raises_the_level(level):
    assert level_of(level, "yes") == level_of(level, None) == level
    assert level_of(level, "no") == level_of(level, "unsure") == "stat"
