from __future__ import annotations

from peerfhir.adapters.labels import ACT_CODE, CONFIDENTIALITY, CONFIDENTIALITY_OF, labelled
from peerfhir.pathway.vocabulary import Piece


def test_there_is_exactly_one_confidentiality_however_often_it_is_set() -> None:
    once = labelled({"resourceType": "Encounter", "id": "1", "status": "finished"}, "N")
    twice = labelled(once, "R")
    assert [label["code"] for label in twice["meta"]["security"] if label["system"] == CONFIDENTIALITY] == ["R"]
    assert list(twice) == ["resourceType", "id", "meta", "status"]


def test_other_labels_and_the_profile_stay() -> None:
    meta = {"profile": ["urn:p"], "security": [{"system": ACT_CODE, "code": "MH"}]}
    made = labelled({"resourceType": "Encounter", "meta": meta}, "R", ("MH", "SUD"))
    assert made["meta"]["profile"] == ["urn:p"]
    assert [label["code"] for label in made["meta"]["security"]] == ["R", "MH", "SUD"]
    assert meta["security"] == [{"system": ACT_CODE, "code": "MH"}]


def test_only_the_status_of_an_order_is_not_restricted() -> None:
    assert {piece for piece, code in CONFIDENTIALITY_OF.items() if code != "R"} == {Piece.STATUS}
