from __future__ import annotations

import base64
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from peerfhir.adapters import outcome as outcomes
from peerfhir.adapters.author import author
from peerfhir.adapters.instruments import load_instruments
from peerfhir.adapters.pieces import PIECES
from peerfhir.adapters.writeback import plan
from peerfhir.errors import MappingFailed
from peerfhir.fhir.writer import write
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.vocabulary import Piece
from peerfhir.practice.moods import MOODS, complaint
from tests.adapters.conftest import MAPPINGS
from tests.adapters.making import Maker
from tests.adapters.offers import OFFERS, endpoint

SEED = 7
ANSWERS = (Piece.RESPONSE, Piece.ITEM, Piece.TOTAL, Piece.PANEL)


def test_every_completed_questionnaire_gives_valid_resources(mappings: Mappings) -> None:
    maker = Maker(SEED)
    for _ in range(25):
        instrument = maker.instrument()
        outcome = maker.outcome(maker.person(), instrument)
        refs = replace(maker.refs(), encounter="Encounter/1", response="QuestionnaireResponse/2", total="Observation/3")
        for piece in ANSWERS:
            for form in PIECES[piece]:
                detail = next(iter(outcome.answers)) if piece is Piece.ITEM else None
                resource = outcomes.to_fhir(mappings, piece, outcome, instrument, refs, detail, form.mapping)
                author(resource)
                assert resource["meta"]["security"][0]["code"] == "R"


def test_a_total_is_a_quantity_or_says_why_there_is_none(mappings: Mappings) -> None:
    maker = Maker(SEED)
    instrument = maker.instrument()
    outcome = maker.outcome(maker.person(), instrument)
    scored = replace(outcome, total=Decimal(12), band_label="moderate", absent_reason=None)
    made = outcomes.to_fhir(mappings, Piece.TOTAL, scored, instrument, maker.refs())
    assert made["valueQuantity"] == {
        "value": Decimal(12),
        "unit": "{score}",
        "system": "http://unitsofmeasure.org",
        "code": "{score}",
    }
    assert made["interpretation"] == [{"text": "moderate"}]
    assert "dataAbsentReason" not in made
    assert b'"value":12,' in write(made)
    zero = outcomes.to_fhir(mappings, Piece.TOTAL, replace(scored, total=Decimal(0)), instrument, maker.refs())
    assert zero["valueQuantity"]["value"] == Decimal(0)


@pytest.mark.parametrize(
    ("reason", "code"), [("too-many-missing", "not-performed"), ("not-answered", "not-performed"), (None, "unknown")]
)
def test_no_score_is_never_a_zero(mappings: Mappings, reason: str | None, code: str) -> None:
    maker = Maker(SEED)
    instrument = maker.instrument()
    outcome = replace(maker.outcome(maker.person(), instrument), total=None, band_label=None, absent_reason=reason)
    made = outcomes.to_fhir(mappings, Piece.TOTAL, outcome, instrument, maker.refs())
    assert "valueQuantity" not in made
    assert "interpretation" not in made
    assert made["dataAbsentReason"]["coding"][0]["code"] == code
    assert made["dataAbsentReason"]["text"]
    note = outcomes.to_fhir(mappings, Piece.TOTAL, outcome, instrument, maker.refs(), None, "score-as-note")
    assert "could not be scored" in base64.b64decode(note["content"][0]["attachment"]["data"]).decode()


def test_scores_tell_no_answer(mappings: Mappings) -> None:
    maker = Maker(SEED)
    for _ in range(10):
        instrument = maker.instrument()
        outcome = maker.outcome(maker.person(), instrument)
        for piece in (Piece.TOTAL, Piece.PANEL):
            for form in PIECES[piece]:
                sent = write(
                    outcomes.to_fhir(mappings, piece, outcome, instrument, maker.refs(), None, form.mapping)
                ).decode()
                for item in instrument.items:
                    assert item.link_id not in sent
                    assert item.text not in sent
                    assert not [option.code for option in item.options if option.code in sent]


def test_a_panel_holds_its_total_and_only_shared_answers(mappings: Mappings) -> None:
    maker = Maker(SEED)
    instrument = maker.instrument()
    outcome = maker.outcome(maker.person(), instrument)
    refs = replace(
        maker.refs(),
        total="Observation/t",
        items=("Observation/a", "Observation/b"),
        response="QuestionnaireResponse/r",
    )
    made = outcomes.to_fhir(mappings, Piece.PANEL, outcome, instrument, refs)
    assert [each["reference"] for each in made["hasMember"]] == ["Observation/t", "Observation/a", "Observation/b"]
    assert "dataAbsentReason" not in made
    alone = outcomes.to_fhir(mappings, Piece.PANEL, outcome, instrument, maker.refs())
    assert alone["dataAbsentReason"]["coding"][0]["code"] == "masked"
    assert "hasMember" not in alone


def test_who_answered_is_who_performed(mappings: Mappings) -> None:
    maker = Maker(SEED)
    instrument = maker.instrument()
    refs = maker.refs()
    for method, performer in (("person", refs.patient), ("peer", refs.program), ("proxy", refs.program)):
        outcome = replace(maker.outcome(maker.person(), instrument), administered_by=method)
        made = outcomes.to_fhir(mappings, Piece.TOTAL, outcome, instrument, refs)
        assert made["performer"] == [{"reference": performer}]
        assert made["method"]["text"]


def test_answers_go_out_and_come_back(mappings: Mappings) -> None:
    maker = Maker(SEED)
    for _ in range(10):
        instrument = maker.instrument()
        outcome = maker.outcome(maker.person(), instrument)
        sent = outcomes.to_fhir(mappings, Piece.RESPONSE, outcome, instrument, maker.refs())
        back = outcomes.from_fhir(mappings, sent)
        assert back.answers == outcome.answers
        assert back.answered_at == outcome.answered_at
        assert back.instrument_id == f"{instrument.url}|{instrument.version}"


def test_an_alternative_code_is_sent_as_the_questionnaires_own(mappings: Mappings) -> None:
    maker = Maker(SEED)
    instrument = maker.instrument()
    item = instrument.items[0]
    option = replace(item.options[2], alternatives=("old-code",))
    changed = replace(instrument, items=(replace(item, options=(option,)), *instrument.items[1:]))
    outcome = replace(maker.outcome(maker.person(), instrument), answers={item.link_id: "old-code"})
    made = outcomes.to_fhir(mappings, Piece.ITEM, outcome, changed, maker.refs(), item.link_id)
    assert made["valueCodeableConcept"]["coding"][0]["code"] == option.code


@pytest.mark.parametrize("link_id", ["/no-such", "/1000-1"])
def test_an_answer_nobody_gave_stops_the_piece(mappings: Mappings, link_id: str) -> None:
    maker = Maker(SEED)
    instrument = maker.instrument()
    outcome = replace(maker.outcome(maker.person(), instrument), answers={})
    with pytest.raises(MappingFailed):
        outcomes.to_fhir(mappings, Piece.ITEM, outcome, instrument, maker.refs(), link_id)


def test_every_form_the_plan_chooses_is_one_the_hospital_takes(mappings: Mappings) -> None:
    maker = Maker(SEED)
    instrument = maker.instrument()
    outcome = maker.outcome(maker.person(), instrument)
    for name, offer in OFFERS.items():
        for piece in ANSWERS:
            rung = plan(piece, offer, endpoint(name))
            if rung.mapping is None:
                continue
            detail: Any = next(iter(outcome.answers)) if piece is Piece.ITEM else None
            resource = outcomes.to_fhir(mappings, piece, outcome, instrument, maker.refs(), detail, rung.mapping)
            author(resource)
            assert resource["resourceType"] == rung.form
            rule = MOODS[name].rules.get(rung.form)
            assert rule is None or complaint(rule, resource) is None


def test_the_questionnaire_that_ships_goes_out_whole(mappings: Mappings) -> None:
    phq9 = load_instruments(MAPPINGS.parent / "config" / "instruments")["phq-9"]
    maker = Maker(SEED)
    answers = {item.link_id: maker.random.choice(item.options).code for item in phq9.items if item.options}
    outcome = replace(maker.outcome(maker.person(), phq9), instrument_id="phq-9", answers=answers)
    for piece in (Piece.RESPONSE, Piece.TOTAL, Piece.PANEL):
        author(outcomes.to_fhir(mappings, piece, outcome, phq9, maker.refs()))
    for link_id in answers:
        made = outcomes.to_fhir(mappings, Piece.ITEM, outcome, phq9, maker.refs(), link_id)
        author(made)
        assert made["identifier"][0]["value"] == f"{outcome.number}#{link_id.strip('/')}"
