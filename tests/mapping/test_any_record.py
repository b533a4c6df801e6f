from __future__ import annotations

import pytest

from peerfhir.mapping.run import RecordFailed
from peerfhir.mapping.shelf import Opened
from tests.mapping import any_record
from tests.support import shipped

SEED, COUNT = 1, 60  # 20,000 of each were tried by hand: see the head of any_record


@pytest.mark.parametrize("mapping", shipped.shelf().opened, ids=lambda one: one.name)
def test_any_record_becomes_valid_fhir_or_an_error_with_a_code(mapping: Opened) -> None:
    counts, wrong = any_record.tried(mapping, SEED, COUNT)
    assert wrong == {}, f"seed {SEED}: {counts}"
    assert counts.get("made", 0) + counts.get("refused", 0) > COUNT * 0.9


def test_enough_of_the_records_are_made_to_say_something() -> None:
    made = [any_record.tried(one, SEED, COUNT)[0].get("made", 0) for one in shipped.shelf().opened]
    assert sum(made) > COUNT * len(made) / 5


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"patient_ref": "Patient/a b"}, "PM720"), ({"patient_ref": "Patients/1"}, "PM720"), ({"patient_ref": "x"}, "PM720"), ({"program_name": " "}, "PM702"),
        ({"program_name": "\u00a0"}, "PM702"), ({"program_name": "x" * (1024 * 1024 + 1)}, "PM703"), ({"patient_ref": "http://h.example/fhir/Patient/1"}, ""), ({"patient_ref": "urn:uuid:1"}, ""),
    ],
)  # fmt: skip
def test_what_fhir_calls_neither_text_nor_reference_is_refused(spoil: dict[str, str], code: str) -> None:
    mapping = shipped.shelf().find("episode")
    assert mapping is not None
    record = {
        "number": "E-1", "status": "active", "started_at": "2026-03-02", "patient_ref": "Patient/1", "program_ref": "Organization/1",
        "program_name": "P",
    }  # fmt: skip
    try:
        mapping.program.run({**record, **spoil})
        found = ""
    except RecordFailed as failed:
        found = failed.problems[0].code
    assert found == code
