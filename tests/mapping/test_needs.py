"""Limits that a site or an endpoint lowers: held when mappings are read, and when records run."""

from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.config import Limits
from peerfhir.errors import BadConfiguration
from peerfhir.mapping import evaluation
from peerfhir.mapping.needs import Needs
from peerfhir.mapping.registry import Mappings
from peerfhir.mapping.run import RecordFailed
from tests.support.mapping_folder import CANONICAL, load, write

TEXT = """mapping: list
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, fields: {id: string!, of: [{name: string!}], kind: {type: code, codes: kind}}}
conceptMaps: {kind: {a: one, b: two, c: three}}
fragments:
  names:
    type: CodeableConcept
    params: {n: string}
    body: {coding: [{$each: "%n.split('-') as a", code: =%a}]}
bundle: collection
resources:
  each:
    $each: of as o
    $identity: =%o.name
    resourceType: Basic
    identifier: {value: =kind.translate('kind')}
    code: {$use: names, with: {n: =%o.name}}
"""
RECORD = {"id": "1", "of": [{"name": f"n{at}"} for at in range(3)], "kind": "a"}


def test_a_mapping_says_what_it_needs_with_what_its_fragments_need(tmp_path: Path) -> None:
    found = load(tmp_path, "list", TEXT).get("list")
    assert found.needs == Needs(nested_each=2, code_map_rows=3, document_bytes=len(TEXT.encode()))
    assert list(found.needs.beyond(Limits())) == []
    assert list(found.needs.beyond(Limits(nested_each=1, code_map_rows=3))) == [("nested_each", 1, 2)]


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(nested_each=1), "limits.nested_each is 1 here, and this mapping needs 2"),
        (Limits(code_map_rows=2), "limits.code_map_rows is 2 here, and this mapping needs 3"),
        (Limits(document_bytes=100), f"limits.document_bytes is 100 here, and this mapping needs {len(TEXT)}"),
    ],
)
def test_a_mapping_beyond_the_limits_of_the_site_is_refused(limits: Limits, what: str, tmp_path: Path) -> None:
    folder = write(tmp_path, "list", TEXT)
    with pytest.raises(BadConfiguration) as refused:
        Mappings.load(folder, canonical=CANONICAL, limits=limits)
    assert refused.value.problems == (f"mappings/list/list.map.yaml:1:1: error PM750: {what}",)


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(resources=2), "the record makes more than 2 resources"),
        (Limits(output_characters=50), "the record makes more than 50 characters"),
    ],
)
def test_a_record_is_held_to_the_limits_of_its_endpoint_and_of_nobody_else(
    limits: Limits, what: str, tmp_path: Path
) -> None:
    mappings = load(tmp_path, "list", TEXT)
    expected = mappings.run("list", RECORD).bundle()
    with pytest.raises(RecordFailed, match=f"PM750: {what}"):
        mappings.under([], limits).run("list", RECORD)
    with pytest.raises(RecordFailed, match=f"PM750: {what}"):
        Mappings.load(tmp_path / "mappings", canonical=CANONICAL, limits=limits).run("list", RECORD)
    assert mappings.under([], Limits()).run("list", RECORD).bundle() == expected
    assert mappings.run("list", RECORD).bundle() == expected


def test_the_time_of_a_record_is_that_of_its_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the test goes 10 ms at each look."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(evaluation.time, "thread_time", lambda: next(ticks) * 0.01)
    mappings = load(tmp_path, "list", TEXT)
    assert len(mappings.run("list", RECORD).entries) == 3
    with pytest.raises(RecordFailed, match="PM750"):
        mappings.under([], Limits(record_seconds=0.015)).run("list", RECORD)


def test_the_limits_that_can_be_set_are_those_of_the_engine() -> None:
    from peerfhir.mapping import code_rows, directives, folder

    assert Limits() == Limits(
        evaluation.MAX_SECONDS, evaluation.MAX_RESOURCES, evaluation.MAX_OUTPUT, directives.MAX_EACH,
        code_rows.MAX_ROWS, folder.MAX_BYTES,
    )  # fmt: skip
