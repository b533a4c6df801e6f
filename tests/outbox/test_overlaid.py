from __future__ import annotations

import json

import pytest

from peerfhir.pathway.vocabulary import Piece
from tests.outbox.ward import make_ward


@pytest.fixture
def ward(engine, clock):
    return make_ward(engine, clock)


def test_an_endpoint_with_an_overlay_is_sent_what_the_overlay_says(ward):
    plain = ward.rendered(Piece.SUMMARY, ward.encounter)
    overlaid = ward.rendered(Piece.SUMMARY, ward.encounter, overlays=("summary.oracle-like",))
    assert (plain.made_by.mapping_id, overlaid.made_by.mapping_id) == ("summary", "summary")
    assert plain.made_by.mapping_sha256 != overlaid.made_by.mapping_sha256
    assert "author" in json.loads(plain.create)
    assert "author" not in json.loads(overlaid.create)
    assert ward.rendered(Piece.SUMMARY, ward.encounter) == plain
