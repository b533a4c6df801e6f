"""For one endpoint: in which form it takes a piece, the richest first, and why not richer."""

from __future__ import annotations

from dataclasses import dataclass

from peerfhir.adapters.pieces import KEPT, PIECES, Form
from peerfhir.config import EndpointSettings, WriteRule
from peerfhir.fhir.capability import Offer
from peerfhir.pathway.vocabulary import Piece


@dataclass(frozen=True)
class Rung:
    """The form chosen for a piece.

    number   1 native, 2 document, 3 message, 4 kept on our own API (docs/rules.md, Write-back)
    form     a resource type, or "kept"
    mapping  the mapping that makes it; None when it is kept
    reason   in plain words, for the engineer who asks why it looks as it does
    """

    number: int
    form: str
    mapping: str | None
    reason: str


_KEPT_BECAUSE: dict[Piece, str] = {
    Piece.STATUS: "the status stands on our own API",
    Piece.ENCOUNTER: "the meeting stands on our own API",
    Piece.SUMMARY: "the summary stands on our own API",
    Piece.PROCEDURE: "the session stands on our own API",
    Piece.RESPONSE: "the answers stand on our own API",
    Piece.ITEM: "the answer stands on our own API",
    Piece.TOTAL: "the score stands on our own API",
    Piece.PANEL: "the panel stands on our own API",
}
_NAMES = {1: "its own form", 2: "a document", 3: "a message"}


def plan(piece: Piece, offer: Offer, endpoint: EndpointSettings) -> Rung:
    """The richest form of a piece that this endpoint takes, decided before anything is sent.

    offer     from the endpoint's last CapabilityStatement
    endpoint  its own rules narrow the offer: `writes`, `receives_charges`
    """
    refusals: list[str] = []
    for form in PIECES[piece]:
        refusal = _refusal(piece, form, offer, endpoint)
        if refusal is None:
            return Rung(form.rung, form.type, _mapping(piece, form, endpoint), _reason(form, refusals))
        refusals.append(refusal)
    return Rung(4, KEPT, None, f"{'; '.join(refusals)}: {_instead(piece, offer, endpoint)}")


def _instead(piece: Piece, offer: Offer, endpoint: EndpointSettings) -> str:
    """Where a reader finds what this piece would have said."""
    if piece is Piece.PANEL and plan(Piece.TOTAL, offer, endpoint).form == "DocumentReference":
        return "the panel is in the note of the total"
    if piece is Piece.PROCEDURE and plan(Piece.STATUS, offer, endpoint).form == "Task":
        return "the referral's output says that peer support was given"
    return _KEPT_BECAUSE[piece]


def _refusal(piece: Piece, form: Form, offer: Offer, endpoint: EndpointSettings) -> str | None:
    """Why this form is not taken there; None when it is."""
    rule = endpoint.writes.get(form.type, WriteRule())
    if not rule.accept:
        return rule.because or f"the hospital's settings say it takes no {form.type}"
    if piece is Piece.PROCEDURE and endpoint.receives_charges:
        return "the hospital also receives charges, so a billing code does not go there as a Procedure"
    if form.update:
        return None if form.type in offer.updates else f"the hospital offers no update of {form.type}"
    return None if form.type in offer.creates else f"the hospital offers no create of {form.type}"


def _mapping(piece: Piece, form: Form, endpoint: EndpointSettings) -> str:
    """The endpoint's own mapping for a type, where the type has one native piece; else ours."""
    own = endpoint.writes.get(form.type, WriteRule()).mapping
    native = [each for each, forms in PIECES.items() if forms[0].type == form.type]
    return own if own and native == [piece] else form.mapping


def _reason(form: Form, refusals: list[str]) -> str:
    if not refusals:
        return f"the hospital takes {form.type}"
    return f"{'; '.join(refusals)}: it goes as {_NAMES[form.rung]}"
