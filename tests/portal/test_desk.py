from __future__ import annotations

import pytest

from peerfhir.pathway.people import Program
from peerfhir.portal.desk import Desk, go, is_own_path


@pytest.mark.parametrize("path", ["/", "/people", "/people/1f-2/note", "/referrals/a_b~c.d"])
def test_a_path_of_ours_is_gone_to(path):
    assert is_own_path(path)
    answer = go(path, "note")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{path}?done=note"


@pytest.mark.parametrize(
    "path",
    ["", "people", "//evil.example", "/\\evil.example", "/people//x", "https://evil.example", "/people?x=1", "/a b", "/a\n",
     "/people/", "javascript:alert(1)", "/%2F%2Fevil.example", "/\tx", "///", "/@evil", "/people#x", "\\\\evil", "/a\\b"],
)  # fmt: skip
def test_anything_else_is_not(path):
    assert not is_own_path(path)
    with pytest.raises(ValueError, match="not a path of ours"):
        go(path)


@pytest.mark.parametrize(
    ("line", "number", "dial"),
    [
        ("In crisis? Call or text 988, at any hour.", "988", "988"),
        ("Samaritans: 116 123, free.", "116 123", "116123"),
        ("Call +44 20 7946 0000 now", "+44 20 7946 0000", "+442079460000"),
        ("Call the warm line.", "", ""),
    ],
)
def test_the_number_in_the_crisis_line_can_be_dialled(furnished, line, number, dial):
    card = Desk(furnished.parts).crisis(Program("x", "X", crisis_line=line))
    assert (card.text, card.number, card.dial) == (line, number, dial)


def test_without_a_crisis_line_the_card_is_still_there(furnished):
    card = Desk(furnished.parts).crisis(Program("x", "X"))
    assert "emergency number" in card.text
    assert card.number == ""
