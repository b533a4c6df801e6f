from __future__ import annotations

from peerfhir.adapters.pieces import PIECES
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.vocabulary import Piece


def test_every_piece_has_a_native_form_and_climbs_down_in_order() -> None:
    assert set(PIECES) == set(Piece)
    for forms in PIECES.values():
        rungs = [form.rung for form in forms]
        assert rungs[0] == 1
        assert rungs == sorted(set(rungs))


def test_every_form_has_its_mapping(mappings: Mappings) -> None:
    known = set(mappings.ids())
    assert {form.mapping for forms in PIECES.values() for form in forms} <= known
