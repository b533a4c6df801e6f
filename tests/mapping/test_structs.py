from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.errors import MappingFailed
from tests.mapping.folders import BASE, put, told

CHOICE = """    multipleBirthBoolean: {$if: word.exists(), $value: true}
    multipleBirthInteger: {$if: email.exists(), $value: 2}
"""


def test_two_spellings_of_a_choice_exclude_each_other_when_data_flows(tmp_path: Path) -> None:
    program = put(tmp_path, row__row=BASE.replace("  note:\n", CHOICE + "  note:\n")).loaded["row"].program
    record = {"id": "7", "name": "A"}
    assert program.run({**record, "word": "x"}).resources["patient"][0]["multipleBirthBoolean"] is True
    assert program.run({**record, "email": "x"}).resources["patient"][0]["multipleBirthInteger"] == 2
    with pytest.raises(MappingFailed, match="PM723"):
        program.run({**record, "word": "x", "email": "x"})


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("reverse: {word: =%patient.name.family, email: {skip: not given back}}", []),
        ("reverse: {wrod: =%patient.id}", ["E PM111 30"]),
        ("reverse: {word: patient}", ["E PM007 30"]),
        ("reverse: {word: {skipped: x}}", ["E PM007 30"]),
    ],
)
def test_what_stands_under_reverse_names_declared_fields(line: str, wanted: list[str], tmp_path: Path) -> None:
    assert told(put(tmp_path, row__row=BASE + line + "\n")) == wanted
