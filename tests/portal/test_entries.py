from __future__ import annotations

import pytest
from marshmallow import ValidationError

from peerfhir.pathway.vocabulary import Modality
from peerfhir.portal import entries


def said(field, value) -> object:
    """The value, or the key of the mistake."""
    try:
        return field.deserialize(value)
    except ValidationError as wrong:
        return wrong.messages[0][0]


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        (entries.Text(), "  a\r\nb  ", "a\nb"),
        (entries.Text(limit=3), "abcd", "too_long"),
        (entries.Text(words=2), "a b c", "too_many_words"),
        (entries.Text(), "a\x00", "bad_text"),
        (entries.Text(), "a\x9f", "bad_text"),
        (entries.Text(), "tab\tand\nline", "tab\tand\nline"),
        (entries.Text(required=True), "   ", "needed"),
        (entries.Offered(Modality), "phone", Modality.PHONE),
        (entries.Offered(Modality), "Phone", "not_offered"),
        (entries.Offered(Modality), "", None),
        (entries.Moment(), "2026-11-25 10:00", "not_a_time"),
        (entries.Moment(), "", None),
        (entries.Day(), "2026-02-30", "not_a_date"),
        (entries.Minutes(), " 45 ", 45),
        (entries.Minutes(), "1441", "number_range"),
        (entries.Minutes(), "4.5", "not_a_number"),
        (entries.Tick(), "on", True),
        (entries.Tick(), "yes", True),
        (entries.Tick(), "no", False),
        (entries.Tick(), "", False),
        (entries.Password(), " p ", " p "),
    ],
)
def test_an_entry_is_a_value_or_a_mistake_with_a_name(field, value, found):
    assert said(field, value) == found


def test_a_key_that_is_none_is_left_out():
    for wrong in ("x", "1" * 36, "' or 1=1", "ABCDEF01-0000-0000-0000-000000000000"):
        assert said(entries.Key(), wrong) == ""
    good = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert said(entries.Key(), good) == good
