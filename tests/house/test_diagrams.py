"""The mermaid pages equal the tables they show."""

from __future__ import annotations

from pathlib import Path

from tests.support.diagrams import referral_states

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_referral_states_equals_the_table():
    page = (DOCS / "referral-states.md").read_text("utf-8")
    assert page == referral_states(), "run: python -m tests.support.diagrams > docs/referral-states.md"
