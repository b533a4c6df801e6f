"""The forms each owed piece can take, richest first, and what it may refer to where it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from peerfhir.pathway.vocabulary import Piece

KEPT = "kept"


@dataclass(frozen=True)
class Refs:
    """What a resource may point to, each "Type/id" as the destination knows it; None or empty: it knows none.

    patient     always known: nothing is written about somebody the destination cannot name
    documents   what carries a note of this referral there, for the referral's output
    episode     EpisodeOfCare, only on our own API; elsewhere the episode's number stands for it
    recipients  practitioners a message is for; sender: the practitioner who may send it
    """

    patient: str
    request: str | None = None
    task: str | None = None
    program: str | None = None
    encounter: str | None = None
    procedures: tuple[str, ...] = ()
    response: str | None = None
    total: str | None = None
    items: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    episode: str | None = None
    recipients: tuple[str, ...] = ()
    sender: str | None = None


@dataclass(frozen=True)
class Form:
    """One way to say a piece: its rung on the ladder, the resource type and the mapping that makes it.

    Source  docs/rules.md, Write-back: 1 native, 2 document, 3 message, 4 kept on our own API
    """

    rung: int
    type: str
    mapping: str
    update: bool = False  # the destination's own resource is updated, nothing is created


PIECES: Mapping[Piece, tuple[Form, ...]] = MappingProxyType(
    {
        # A status that reaches a chart without Task goes as a document: a message needs a practitioner as its
        # sender, and a peer is seldom in a hospital's list of practitioners.
        Piece.STATUS: (
            Form(1, "Task", "referral-status", update=True),
            Form(2, "DocumentReference", "status-as-note"),
            Form(3, "Communication", "status-as-message"),
        ),
        Piece.ENCOUNTER: (
            Form(1, "Encounter", "encounter"),
            Form(2, "DocumentReference", "encounter-as-note"),
        ),
        Piece.SUMMARY: (
            Form(1, "DocumentReference", "summary"),
            Form(3, "Communication", "summary-as-message"),
        ),
        Piece.PROCEDURE: (Form(1, "Procedure", "procedure"),),
        Piece.RESPONSE: (Form(1, "QuestionnaireResponse", "response"),),
        Piece.ITEM: (Form(1, "Observation", "item"),),
        Piece.TOTAL: (
            Form(1, "Observation", "total"),
            Form(2, "DocumentReference", "score-as-note"),
        ),
        Piece.PANEL: (Form(1, "Observation", "panel"),),
    }
)

_TAKEN_IN = ("person", "referral-task", "referral-request", "contact-agreement", "response-in", "referrer-organization",
             "referrer-practitioner", "referrer-role")  # fmt: skip
_OUR_OWN = ("patient", "practitioner-role", "episode", "consent")  # what stands on our own API
NEEDED: frozenset[str] = frozenset(
    {*_TAKEN_IN, *_OUR_OWN, *(form.mapping for forms in PIECES.values() for form in forms)}
)
"""The mappings without which something that is received, kept or owed could not be turned into FHIR."""
