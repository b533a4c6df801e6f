from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping.folders import BASE, OVERLAY, put, told

LIBRARY = """library: common
version: 1.4.0
systems: {npi: http://hl7.org/fhir/sid/us-npi}
conceptMaps:
  sex: sex.csv
"""
SEX = "source,code\nF,female\nM,male\n"
USING = BASE.replace("fhirVersion: 4.0.1\n", "fhirVersion: 4.0.1\nimports: [common@^1.0]\n").replace(
    "  sex: {F: female, M: male}\n", ""
)
RECORD = {"id": "7", "name": "Rivera", "sex": "F"}


def test_what_a_library_holds_is_used_by_name(tmp_path: Path) -> None:
    using = USING.replace("identifier: {system: $mrn", "identifier: {system: $npi")
    found = put(tmp_path, row__row=using, library__common=LIBRARY, library__sex_csv=SEX)
    assert found.problems == ()
    made = found.loaded["row"].program.run(RECORD).resources["patient"][0]
    assert made["gender"] == "female"
    assert made["identifier"] == [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "7"}]
    assert found.loaded["row"].files == (
        "mappings/library/common.library.yaml", "mappings/library/sex.csv", "mappings/row/row.map.yaml",
    )  # fmt: skip


def test_a_change_of_a_library_changes_the_content_hash_of_what_imports_it(tmp_path: Path) -> None:
    before = put(tmp_path, row__row=USING, library__common=LIBRARY, library__sex_csv=SEX).loaded["row"].sha256
    after = put(tmp_path, library__sex_csv=SEX + "X,other\n").loaded["row"].sha256
    assert before != after


def test_an_overlay_may_override_what_a_library_defines(tmp_path: Path) -> None:
    overlay = OVERLAY + "conceptMaps: {sex: {F: other, M: other}}\n"
    found = put(tmp_path, row__row=USING, library__common=LIBRARY, library__sex_csv=SEX, row__overlays__north=overlay)
    assert found.problems == ()
    assert found.loaded["row+north"].program.run(RECORD).resources["patient"][0]["gender"] == "other"


REFUSED = {
    "imports: [commn@^1.0]": ["PM006"],
    "imports: [common@^2.0]": ["PM006"],
    "imports: [common@1.5]": ["PM006"],
    "imports: [common]": ["PM007"],
    "imports: common@^1.0\nsystems: {npi: http://other.example}": ["PM003"],
}


@pytest.mark.parametrize("line", REFUSED)
def test_an_import_that_cannot_be_used_is_told_at_its_line(line: str, tmp_path: Path) -> None:
    using = USING.replace("imports: [common@^1.0]", line).replace("=sex.translate('sex')", "male")
    found = put(tmp_path, row__row=using, library__common=LIBRARY, library__sex_csv=SEX)
    assert [one.code for one in found.problems if one.severity == "error"] == REFUSED[line]


def test_a_name_that_is_there_twice_is_refused_with_both_places(tmp_path: Path) -> None:
    using = USING.replace("conceptMaps:\n", "conceptMaps:\n  sex: {F: other, M: other}\n")
    found = put(tmp_path, row__row=using, library__common=LIBRARY, library__sex_csv=SEX)
    lines = str(found.problems[0]).splitlines()
    assert lines[0].startswith("mappings/row/row.map.yaml:16:3: error PM006: conceptMaps.sex: ")
    assert lines[-1] == "    note: mappings/library/common.library.yaml:5:3: defined here, too"


def test_a_library_that_nothing_imports_is_checked(tmp_path: Path) -> None:
    broken = LIBRARY.replace("sex.csv", "{F: [female]}").replace("systems:", "sistems:")
    found = put(tmp_path, row__row=BASE, library__common=broken)
    assert "E PM002 3" in told(found)
    also = put(tmp_path, library__common=LIBRARY.replace("sex.csv", "gone.csv"))
    assert told(also) == ["E PM008 5"]


def test_two_libraries_of_one_name_are_refused(tmp_path: Path) -> None:
    found = put(tmp_path, row__row=BASE, library__common=LIBRARY, other__library__common=LIBRARY, library__sex_csv=SEX)
    assert "PM006" in {one.code for one in found.problems}
