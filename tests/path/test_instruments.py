"""A second questionnaire goes the whole way that the first goes, without a line of its own."""

from __future__ import annotations

from tests.path.looking import ALL, doubled
from tests.support.loop import Loop

ITEMS = ("69725-0", "68509-9", "69733-4", "69734-2", "69735-9", "69689-8", "69736-7")


def test_gad7_arrives_as_response_answers_total_and_panel_and_its_total_is_scored(loop: Loop) -> None:
    walk = loop.refer().to_enrolled(*ALL)
    walk.answer("gad-7", (1, 2, 3, 0, 1, 2, 1))
    loop.settle()
    assert loop.ward.counts() == {"QuestionnaireResponse": 1, "Observation": 9}
    assert doubled(loop) == []
    [response] = loop.ward.of("QuestionnaireResponse")
    assert response["questionnaire"] == "http://loinc.org/q/69737-5|2.77"
    assert [one["linkId"] for one in response["item"]] == [f"/{code}" for code in ITEMS]
    found = {one["code"]["coding"][0]["code"]: one for one in loop.ward.of("Observation")}
    assert set(found) == {*ITEMS, "70274-6", "69737-5"}
    assert found["70274-6"]["valueQuantity"]["value"] == 10
    assert found["70274-6"]["interpretation"][0]["text"] == "Moderate"
    assert len(found["69737-5"]["hasMember"]) == 8
    assert loop.ward.refusals() == []


def test_a_gad7_with_a_gap_tells_why_there_is_no_total(loop: Loop) -> None:
    walk = loop.refer().to_enrolled("scores")
    walk.answer("gad-7", (3, 3, 3, 3, 3, 3))
    loop.settle()
    found = {one["code"]["coding"][0]["code"]: one for one in loop.ward.of("Observation")}
    assert "valueQuantity" not in found["70274-6"]
    assert "interpretation" not in found["70274-6"]
    assert found["70274-6"]["dataAbsentReason"]["coding"][0]["code"]
    assert loop.ward.refusals() == []
