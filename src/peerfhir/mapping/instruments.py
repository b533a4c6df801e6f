"""Questionnaires of the site as mappings see them: items, options, scales. Scoring is handed in with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

Json = Any

# The element under which an answer stands, by item type; "choice" and "open-choice" are codings.
VALUES: Mapping[str, str] = {
    "boolean": "boolean", "decimal": "decimal", "integer": "integer", "date": "date", "dateTime": "dateTime",
    "time": "time", "string": "string", "text": "string", "url": "uri", "choice": "Coding", "open-choice": "Coding",
    "quantity": "Quantity", "reference": "Reference", "attachment": "Attachment",
}  # fmt: skip


@dataclass(frozen=True)
class Option:
    """One allowed answer. `alternatives` are other codes that mean the same."""

    code: str
    system: str = ""
    display: str = ""
    weight: Decimal | None = None
    alternatives: tuple[str, ...] = ()

    @property
    def coding(self) -> dict[str, str]:
        """As FHIR writes it."""
        parts = {"system": self.system, "code": self.code, "display": self.display}
        return {key: value for key, value in parts.items() if value}


@dataclass(frozen=True)
class Question:
    """One item of a questionnaire.

    type      choice, decimal, string, group, display ... of R4
    codes     Codings
    reverse   its weights fall where the printed numbers rise
    relation  how what is extracted belongs to the panel: member, component, derived, independent; "" for not extracted
    category  CodeableConcepts of what is extracted
    unit      Coding of a number's unit
    items     what stands below a group
    """

    link_id: str
    type: str
    text: str = ""
    codes: tuple[Json, ...] = ()
    options: tuple[Option, ...] = ()
    required: bool = False
    repeats: bool = False
    read_only: bool = False
    reverse: bool = False
    relation: str = ""
    category: tuple[Json, ...] = ()
    unit: Json = None
    items: tuple[Question, ...] = ()

    @property
    def weights(self) -> tuple[Decimal, ...]:
        """The numbers of its options."""
        return tuple(one.weight for one in self.options if one.weight is not None)


@dataclass(frozen=True)
class Scored:
    """What scoring gives: a total, the label of its band, and without a total why there is none."""

    total: Decimal | None
    band: str = ""
    reason: str = "unknown"


@dataclass(frozen=True)
class Form:
    """One instrument.

    codes      Codings of the panel
    category   CodeableConcepts of the panel's Observation
    total      link id of the item that holds the score
    span       lowest and highest score
    bands      score -> lower bound and label of each band
    score      link id -> code of the option chosen; gives the total
    files      label -> bytes of each of its files, for content hashes
    """

    id: str
    url: str
    version: str
    items: tuple[Question, ...]
    score: Callable[[Mapping[str, str]], Scored]
    codes: tuple[Json, ...] = ()
    category: tuple[Json, ...] = ()
    total: str | None = None
    span: tuple[Decimal, Decimal] | None = None
    bands: Mapping[str, Sequence[tuple[Decimal, str]]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def questions(self) -> Mapping[str, Question]:
        """Every item by its link id, groups and what is in them."""
        found: dict[str, Question] = {}
        waiting = list(reversed(self.items))
        while waiting:
            one = waiting.pop()
            found[one.link_id] = one
            waiting += reversed(one.items)
        return found

    def bands_of(self, score: str | None) -> Sequence[tuple[Decimal, str]] | None:
        """The bands of a score, or of the only one; None when there is no such score."""
        if score is None and len(self.bands) == 1:
            return next(iter(self.bands.values()))
        return self.bands.get(score or "")
