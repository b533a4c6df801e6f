"""A completed questionnaire -> QuestionnaireResponse and Observations, and back."""

from __future__ import annotations

from datetime import datetime

from peerfhir.adapters import labels, words
from peerfhir.adapters.pieces import PIECES, Refs
from peerfhir.errors import MappingFailed
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.outcome import Instrument, Item, Outcome
from peerfhir.pathway.vocabulary import Piece


def to_fhir(
    mappings: Mappings,
    piece: Piece,
    outcome: Outcome,
    instrument: Instrument,
    refs: Refs,
    detail: str | None = None,
    mapping: str | None = None,
) -> Json:
    """One piece of a completed questionnaire as FHIR.

    piece   RESPONSE, ITEM, TOTAL or PANEL
    detail  link id of the question when piece is ITEM
    Raises  MappingFailed (never)
    """
    record = _facts(outcome, instrument, refs)
    if piece is Piece.RESPONSE:
        record["items"] = [_answer(item, outcome) for item in instrument.items if item.link_id in outcome.answers]
    elif piece is Piece.ITEM:
        record["item"] = _answer(_item(instrument, detail), outcome)
    elif piece is Piece.TOTAL:
        record |= words.attachment(words.of_score(outcome, instrument))
    resource = mappings.run(mapping or PIECES[piece][0].mapping, record).only()
    return labels.labelled(resource, labels.CONFIDENTIALITY_OF[piece])


def from_fhir(mappings: Mappings, response: Json) -> Outcome:
    """A QuestionnaireResponse -> the answers in it, as a draft without ids, program and person.

    The questionnaire's address stands in `instrument_id`; whoever knows the instruments puts the id there.
    Raises  MappingFailed (never)
    """
    # Numbers and texts, such as a total that the sender computed, are no answers to score.
    coded = [item for item in response.get("item", []) if all("valueCoding" in one for one in item.get("answer", []))]
    values = mappings.run("response-in", {**response, "item": coded}).values
    return Outcome(
        id="",
        program_id="",
        person_id="",
        instrument_id=values["questionnaire"],
        number="",
        answered_at=datetime.fromisoformat(values["authored"]),
        answers={answer["link_id"]: answer["code"] for answer in values.get("answers", ()) if "code" in answer},
    )


def _facts(outcome: Outcome, instrument: Instrument, refs: Refs) -> Json:
    """What the mappings of a questionnaire may know; answers are added only for the pieces that carry them."""
    by_person = outcome.administered_by == "person"
    return {
        "number": outcome.number,
        "questionnaire": f"{instrument.url}|{instrument.version}",
        "title": instrument.title,
        "panel_code": instrument.panel_code,
        "panel_display": instrument.panel_display,
        "total_code": instrument.total_code,
        "total_display": instrument.total_display,
        "total": outcome.total,
        "band": outcome.band_label,
        "absent_reason": (outcome.absent_reason or "unknown") if outcome.total is None else None,
        "method": outcome.administered_by,
        "answered_at": words.instant(outcome.answered_at),
        "performer_ref": refs.patient if by_person else refs.program,
        "patient_ref": refs.patient,
        "request_ref": refs.request,
        "program_ref": refs.program,
        "encounter_ref": refs.encounter,
        "response_ref": refs.response,
        "total_ref": refs.total,
        "item_refs": list(refs.items),
        "recipient_refs": list(refs.recipients),
        "sender_ref": refs.sender,
    }


def _item(instrument: Instrument, link_id: str | None) -> Item:
    for item in instrument.items:
        if item.link_id == link_id:
            return item
    raise MappingFailed("The questionnaire has no such question.", place="Outcome.answers")


def _answer(item: Item, outcome: Outcome) -> Json:
    """One question and the answer given, with the coding its questionnaire has for that answer."""
    given = outcome.answers.get(item.link_id)
    for option in item.options:
        if given == option.code or given in option.alternatives:
            return {
                "link_id": item.link_id,
                "text": item.text,
                "code": item.code,
                "answer_system": option.system,
                "answer_code": option.code,
                "answer_display": option.display,
            }
    raise MappingFailed("An answer is not one of the questionnaire's.", place=f"Outcome.answers {item.link_id}")
