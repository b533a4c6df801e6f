"""Prefer and Accept, as clients write them."""

from __future__ import annotations

import pytest

from peerfhir.fhir.preferences import Preferences, of


@pytest.mark.parametrize(
    ("header", "wish"),
    [
        ("", Preferences()), ("return=minimal", Preferences("minimal")), ("RETURN = minimal", Preferences("minimal")),
        ('return="representation"; handling=lenient', Preferences("representation", True)),
        ("handling=lenient, return=OperationOutcome", Preferences("OperationOutcome", True)),
        ("handling=strict", Preferences()), ("return=presentation", Preferences()), ("respond-async", Preferences()),
        ("return=minimal, return=representation", Preferences("minimal")), (";;,,==", Preferences()),
    ],
)  # fmt: skip
def test_a_preference_is_read(header: str, wish: Preferences) -> None:
    assert of({"prefer": header}) == wish
