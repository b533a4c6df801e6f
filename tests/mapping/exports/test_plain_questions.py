"""What a questionnaire of a mapping is written out as in exports, and what has no plain form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from peerfhir.mapping.exports.fml import text
from peerfhir.mapping.exports.plain_scores import added
from peerfhir.mapping.exports.structure_map import structure_map
from peerfhir.mapping.instruments import Scored
from tests.mapping import moods
from tests.mapping.moods import FORM, MAPPING
from tests.support.mapping_folder import CANONICAL


def test_groups_numbers_codes_and_the_score_leave_whole(tmp_path: Path) -> None:
    made, gaps = structure_map(moods.opened(tmp_path), CANONICAL)
    assert gaps == []
    said = text(made)
    assert "iif(%src.a = 0, 'no', iif(%src.a = 1, 'so'" in said  # as printed: the option with the weight that is left
    assert "iif((%src.w = 'so') or (%src.w = 'maybe'), 'so'" in said
    assert said.count("create('Observation')") == 5
    assert said.count(".hasMember as") == 3


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        (
            "      h: =h",
            "      h: {$value: =h, $absent: asked-declined}",
            "why item h has no answer is not written out",
        ),
        ("      h: =h", "      h: =b", "what chooses an option of item h is neither a number nor a closed code"),
        ("      g/b: =b", '      g/b: "{{b}}!"', "only one expression or constant answers item g/b"),
        ("b: string!", "b: string", "an Observation that may be absent is not written out"),
        ("h: {type: integer!", "h: {type: integer", "a score that allows gaps is not written out"),
        ("status: completed", "status: in-progress", "only what is extracted from one finished response"),
        ("done: dateTime!", "done: dateTime", ""),
    ],
)
def test_what_has_no_plain_form_is_a_gap_with_its_place(tmp_path: Path, was: str, now: str, why: str) -> None:
    assert was in MAPPING
    head, _, rest = MAPPING.partition("status: active")
    _, gaps = structure_map(moods.opened(tmp_path, f"{head}status: active{rest.replace(was, now)}"), CANONICAL)
    if not why:
        assert gaps == []
        return
    (gap,) = gaps
    assert gap.startswith("mappings/moods/moods.map.yaml:")
    assert f"qr.$questionnaire: {why}" in gap


@pytest.mark.parametrize("relation", ["component", "derived"])
def test_an_observation_inside_the_panel_is_a_gap(tmp_path: Path, relation: str) -> None:
    items = tuple(replace(one, relation=relation) if one.link_id == "h" else one for one in FORM.items)
    _, gaps = structure_map(moods.opened(tmp_path, form=replace(FORM, items=items)), CANONICAL)
    assert len(gaps) == 1
    assert "not written out" in gaps[0]


def test_a_score_is_a_sum_only_where_it_is_one_on_every_set_that_is_tried(tmp_path: Path) -> None:
    choices = {name: FORM.questions[name].options for name in ("g/a", "h", "w")}
    assert added(FORM, choices) == ["g/a", "h"]

    def capped(answers: Mapping[str, str]) -> Scored:
        return Scored(min(FORM.score(answers).total or Decimal(0), Decimal(3)))

    assert added(replace(FORM, score=capped), choices) is None
    assert added(replace(FORM, score=lambda answers: Scored(None)), choices) is None
    _, gaps = structure_map(moods.opened(tmp_path, form=replace(FORM, score=capped)), CANONICAL)
    assert any("only a score that is the sum of its weights is written out" in gap for gap in gaps)
