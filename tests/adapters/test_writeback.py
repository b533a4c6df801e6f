from __future__ import annotations

from dataclasses import replace

import pytest

from peerfhir.adapters.pieces import KEPT, PIECES
from peerfhir.adapters.writeback import plan
from peerfhir.config import WriteRule
from peerfhir.pathway.vocabulary import Piece
from tests.adapters.offers import OFFERS, endpoint

# What the ladder of docs/rules.md, Write-back, comes to: piece -> (rung, form) per hospital.
LADDER = {
    "open": {piece: (1, forms[0].type) for piece, forms in PIECES.items()},
    "epic-like": {
        **{piece: (1, forms[0].type) for piece, forms in PIECES.items()},
        Piece.ENCOUNTER: (2, "DocumentReference"),
    },
    "oracle-like": {
        Piece.STATUS: (2, "DocumentReference"),
        Piece.ENCOUNTER: (1, "Encounter"),
        Piece.SUMMARY: (1, "DocumentReference"),
        Piece.PROCEDURE: (1, "Procedure"),
        Piece.RESPONSE: (4, KEPT),
        Piece.ITEM: (4, KEPT),
        Piece.TOTAL: (2, "DocumentReference"),
        Piece.PANEL: (4, KEPT),
    },
    "athena-like": {
        **dict.fromkeys(Piece, (4, KEPT)),
        Piece.RESPONSE: (1, "QuestionnaireResponse"),
    },
}


@pytest.mark.parametrize("name", OFFERS)
@pytest.mark.parametrize("piece", Piece)
def test_each_piece_takes_the_richest_form_a_hospital_offers(name: str, piece: Piece) -> None:
    rung = plan(piece, OFFERS[name], endpoint(name))
    assert (rung.number, rung.form) == LADDER[name][piece]
    assert (rung.mapping is None) == (rung.form == KEPT)


@pytest.mark.parametrize("name", OFFERS)
@pytest.mark.parametrize("piece", Piece)
def test_a_plan_only_asks_for_what_is_offered_and_says_why(name: str, piece: Piece) -> None:
    rung = plan(piece, OFFERS[name], endpoint(name))
    if rung.form == "Task":
        assert "Task" in OFFERS[name].updates
    elif rung.form != KEPT:
        assert rung.form in OFFERS[name].creates
    assert rung.reason.strip()
    if rung.number > 1:
        assert "the hospital" in rung.reason or "Millennium" in rung.reason


def test_the_panel_is_named_in_the_note_of_the_total() -> None:
    assert "note of the total" in plan(Piece.PANEL, OFFERS["oracle-like"], endpoint("oracle-like")).reason
    assert "note of the total" not in plan(Piece.PANEL, OFFERS["athena-like"], endpoint("athena-like")).reason


def test_no_billing_code_goes_where_charges_go_too() -> None:
    rung = plan(Piece.PROCEDURE, OFFERS["open"], endpoint("open", receives_charges=True))
    assert rung.form == KEPT
    assert "charges" in rung.reason
    assert "output" in rung.reason
    assert "output" not in plan(Piece.PROCEDURE, OFFERS["athena-like"], endpoint("athena-like")).reason


def test_an_endpoints_own_mapping_replaces_the_native_form_alone() -> None:
    oracle = endpoint("oracle-like")
    assert plan(Piece.SUMMARY, OFFERS["oracle-like"], oracle).mapping == "summary-oracle"
    assert plan(Piece.PROCEDURE, OFFERS["oracle-like"], oracle).mapping == "procedure-oracle"
    assert plan(Piece.TOTAL, OFFERS["oracle-like"], oracle).mapping == "score-as-note"
    assert plan(Piece.STATUS, OFFERS["oracle-like"], oracle).mapping == "status-as-note"


def test_a_type_with_several_pieces_keeps_our_mappings() -> None:
    here = replace(endpoint("open"), writes={"Observation": WriteRule(mapping="special")})
    assert plan(Piece.TOTAL, OFFERS["open"], here).mapping == "total"


def test_a_rule_without_a_reason_is_given_one() -> None:
    here = replace(endpoint("open"), writes={"DocumentReference": WriteRule(accept=False)})
    rung = plan(Piece.SUMMARY, OFFERS["open"], here)
    assert (rung.number, rung.form) == (3, "Communication")
    assert "settings" in rung.reason
    assert "a message" in rung.reason
