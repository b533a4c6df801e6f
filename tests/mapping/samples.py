"""The worked examples the tests of this room share: documents, records that fit them, resources."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

from peerfhir.fhir import reader
from peerfhir.mapping.registry import Mappings
from tests.support.mapping_folder import CANONICAL

EXAMPLES = Path(__file__).with_name("examples")
DOCUMENTS = Path(__file__).with_name("documents")  # sections 30.1, 30.2 and 13 of the language, without date formats

# A row and a form of the worked examples, as they come in.
ROW = {
    "referral_id": "R-1000", "referred_at": "2026-03-02 10:00", "mrn": "48213", "last_name": "Rivera",
    "first_name": "Ana", "middle_name": "", "dob": "04/17/1989", "sex": "F", "phone": "(415) 555-0134", "email": "",
    "priority": "U", "reason": "Would like company", "reason_code": "", "referrer_npi": "1234567893",
    "referrer_name": "Dr. Okafor", "program": "recovery", "notes": "",
}  # fmt: skip
FORM = {
    "form_id": "F-1", "patient": "p1", "completed": "2026-03-02T10:00:00-05:00", "author": "f1",
    **{f"q{at}": at % 4 for at in range(1, 10)},
}  # fmt: skip


@cache
def mappings() -> Mappings:
    """The three documents, loaded."""
    return Mappings.load(DOCUMENTS, canonical=CANONICAL)


def resource(name: str) -> Any:
    """A FHIR example, read afresh."""
    return reader.read((EXAMPLES / f"{name}.json").read_bytes())


def referral(**changes: Any) -> dict[str, Any]:
    """A row that referral-csv takes."""
    row = {
        "referral_id": "R-1000", "referred_at": "2026-03-02T10:00:00-05:00", "mrn": "48213", "last_name": "Rivera",
        "first_name": "Ana", "middle_name": "", "dob": "1989-04-17", "sex": "F", "phone": "(415) 555-0134", "email": "",
        "priority": "U", "reason": "Would like company", "reason_code": "", "referrer_npi": "1234567893",
        "referrer_name": "Dr. Okafor", "program": "recovery", "notes": "",
    }  # fmt: skip
    return {**row, **changes}


def session(attendees: int = 6, **changes: Any) -> dict[str, Any]:
    """A group session that group-session takes; attendance ids are A-15, A-16 ..."""
    people = [
        {"attendance_id": f"A-{number}", "patient": f"p{number}", "status": "present", "left_at": None, "note": "own"}
        for number in range(15, 15 + attendees)
    ]
    record = {
        "session_id": "G-0", "modality": "video", "topic": "Sleep", "start": "2026-03-02T10:00:00-05:00",
        "end": "2026-03-02T11:00:00-05:00", "minutes": 60, "site": "", "facilitator": {"id": "f1", "name": "F. Peer"},
        "attendees": people,
    }  # fmt: skip
    return {**record, **changes}


ODDITIES: list[Any] = [
    None, "", " ", "x", "5", 5, -1, 2**40, True, False, [], {}, ["x"], [None], {"x": 1}, [[]], "2026-02-30", "2026-01-31",
    "2026-01-31T10:00:00Z", "\u0000", "é" * 50, [{"coding": "x"}], {"reference": 5}, "Patient/1", "||$,\\",
]  # fmt: skip


def spoiled(value: Any, chance: random.Random) -> Any:
    """A copy of a JSON value with something in it replaced, removed or doubled."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        rest = {**value}
        if chance.random() < 0.1:
            del rest[key]
        else:
            rest[key] = spoiled(value[key], chance)
        return rest
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        return [*value[:at], spoiled(value[at], chance), *value[at + chance.randrange(2) :]]
    return chance.choice(ODDITIES)
