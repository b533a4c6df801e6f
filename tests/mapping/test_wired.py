from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.errors import MappingFailed
from tests.mapping.marked import places, told
from tests.support.mapping_folder import load, write

TEXT = """mapping: labelled
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, key: id, fields: {id: string!, score: integer!, icd: string!}}
conceptMaps: {icd: http://x.example/m|2.1}
bands: {severity: {0: minimal, 5: mild}}
bundle: none
resources:
  basic:
    resourceType: Basic
    code: {coding: =icd.translate('icd'), text: =score.band('severity')}
"""
MAP = '{"resourceType": "ConceptMap", "url": "http://x.example/m", "version": "2.1", "status": "draft", "group": [{"target": "http://t.example", "element": [{"code": "F10", "target": [{"code": "T", "equivalence": "wider"}]}]}]}'


def test_bands_and_canonicals_of_a_document_reach_its_expressions(tmp_path: Path) -> None:
    folder = write(tmp_path, "labelled", TEXT)
    (folder / "library").mkdir()
    (folder / "library" / "icd.conceptmap.json").write_text(MAP)
    loaded = load(tmp_path, "labelled", TEXT)
    made = loaded.run("labelled", {"id": "1", "score": 7, "icd": "F10"}).only()
    assert made["code"] == {"coding": [{"system": "http://t.example", "code": "T"}], "text": "mild"}
    assert "mappings/library/icd.conceptmap.json" in loaded.get("labelled").files
    before = loaded.sha256("labelled")
    (folder / "library" / "icd.conceptmap.json").write_text(MAP.replace('"T"', '"U"'))
    assert load(tmp_path, "labelled", TEXT).sha256("labelled") != before


def test_a_number_below_every_band_fails_its_record_and_a_text_has_no_band(tmp_path: Path) -> None:
    text = TEXT.replace("http://x.example/m|2.1", "{F10: {code: T, display: t}}").replace("0: minimal, ", "")
    write(tmp_path, "labelled", text)
    loaded = load(tmp_path, "labelled", text)
    with pytest.raises(MappingFailed, match="PM713"):
        loaded.run("labelled", {"id": "1", "score": 4, "icd": "F10"})
    errors, _ = told(tmp_path / "b", "labelled", text.replace("score: integer!", "score: string!"))
    assert "PM120" in {code for _, code in places(errors)}, errors
