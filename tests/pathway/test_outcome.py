"""Scores, bands, missing answers and sentinels, against an oracle of its own."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from peerfhir.pathway.outcome import DECLINED, AnswerOption, Item, answered, half_up, read_answer, score
from peerfhir.pathway.refusals import BadAnswer
from tests.support.books import scale_of_nine

NINE = scale_of_nine()
LINKS = [item.link_id for item in NINE.items]
SEED = 20261125


def expected(values: list[int | None]) -> dict:
    """What PHQ-9 gives, worked out apart from the product: docs/rules.md, Questionnaires."""
    given = [v for v in values if v is not None]
    missing = 9 - len(given)
    total = None
    if given and missing <= 2:
        total = math.floor(Fraction(sum(given) * 9, len(given)) + Fraction(1, 2))
    band = None if total is None else max(low for low in (0, 5, 10, 15, 20) if low <= total)
    last = values[8]
    sentinel, level = "none", None
    if last is None and total is not None:
        sentinel, level = "unknown", "urgent"
    elif last is not None and last >= 1:
        sentinel, level = "raised", "urgent" if last == 1 else "stat"
    return {"total": total, "band": band, "missing": missing, "sentinel": sentinel, "level": level}


def scored(values: list[int | None]):
    return score(NINE, {link: f"A{v}" for link, v in zip(LINKS, values, strict=True) if v is not None})


def compare(values: list[int | None]) -> None:
    want, got = expected(values), scored(values)
    assert got.total == (None if want["total"] is None else Decimal(want["total"])), values
    assert (got.band.code if got.band else None) == (None if want["band"] is None else f"band-{want['band']}"), values
    assert (got.missing, got.sentinel, got.sentinel_level) == (want["missing"], want["sentinel"], want["level"]), values
    assert got.answered == 9 - want["missing"]
    if got.total is None:
        assert got.reason == ("not-answered" if want["missing"] == 9 else "too-many-missing")
    else:
        assert got.reason is None


def test_twenty_thousand_generated_answer_sets_give_what_the_oracle_says():
    rng = random.Random(SEED)
    print("seed", SEED)
    for _ in range(20_000):
        blanks = rng.choice([0, 0, 0, 1, 1, 2, 2, 3, 5, 9])
        values: list[int | None] = [rng.randint(0, 3) for _ in range(9)]
        for at in rng.sample(range(9), blanks):
            values[at] = None
        compare(values)


def test_every_sum_with_one_and_two_blanks_gives_what_the_oracle_says():
    for blanks, total in itertools.product((0, 1, 2, 3), range(28)):
        left = total
        values: list[int | None] = []
        for _ in range(9 - blanks):
            values.append(min(3, left))
            left -= values[-1] or 0
        if left == 0:
            for arranged in ([*values, *[None] * blanks], [*[None] * blanks, *values]):
                compare(arranged)


@pytest.mark.parametrize(
    ("values", "total", "band"),
    [
        ([3] * 9, 27, "band-20"),
        ([1] * 4 + [0] * 5, 4, "band-0"),
        ([1] * 5 + [0] * 4, 5, "band-5"),
        ([1] * 9, 9, "band-5"),
        ([2] * 5 + [0] * 4, 10, "band-10"),
        ([2] * 7 + [0] * 2, 14, "band-10"),
        ([3] * 5 + [0] * 4, 15, "band-15"),
        ([3] * 6 + [1, 0, 0], 19, "band-15"),
        ([3] * 6 + [2, 0, 0], 20, "band-20"),
        ([1, 1, 1, 1, 0, 0, 0, 0, None], 5, "band-5"),  # 4.5; round() would give 4
        ([3, 3, 3, 3, 0, 0, 0, 0, None], 14, "band-10"),  # 13.5
        ([3, 3, 3, 3, 3, 3, 2, 0, None], 23, "band-20"),  # 22.5; round() would give 22
        ([1] * 7 + [None, None], 9, "band-5"),
    ],
)
def test_the_vectors_of_the_reference(values, total, band):
    got = scored(values)
    assert (got.total, got.band.code) == (Decimal(total), band)


def test_all_threes_raise_the_sentinel_and_a_blank_ninth_item_makes_it_unknown():
    assert scored([3] * 9).sentinel == "raised"
    assert scored([1] * 7 + [None, None]).sentinel == "unknown"


def test_six_answers_give_no_total_and_a_reason():
    got = scored([1] * 6 + [None] * 3)
    assert (got.total, got.band, got.reason) == (None, None, "too-many-missing")


def test_a_worrying_answer_is_seen_even_when_there_is_no_total():
    got = scored([None] * 8 + [2])
    assert (got.total, got.sentinel, got.sentinel_level) == (None, "raised", "stat")


@pytest.mark.parametrize(
    ("value", "sentinel", "level"), [(0, "none", None), (1, "raised", "urgent"), (2, "raised", "stat")]
)
def test_the_level_follows_the_answer(value, sentinel, level):
    got = scored([0] * 8 + [value])
    assert (got.sentinel, got.sentinel_level) == (sentinel, level)


def test_an_unknown_answer_is_refused_and_never_counted_as_nothing():
    full = dict.fromkeys(LINKS, "A0")
    for bad in ("A9", "LA33-6", "LA32-8", "yes", "4", "-1", "0.5", "null"):
        with pytest.raises(BadAnswer) as caught:
            score(NINE, full | {"/3": bad})
        assert caught.value.field == "/3"
        assert bad not in str(caught.value)


def test_an_unknown_item_is_refused():
    for link in ("/44261-6", "/44262-4", "/54635-8", ""):
        with pytest.raises(BadAnswer):
            score(NINE, dict.fromkeys(LINKS, "A0") | {link: "A0"})


def test_declined_and_blank_answers_are_missing():
    got = score(NINE, dict.fromkeys(LINKS, "A1") | {"/1": DECLINED, "/2": "  "})
    assert (got.missing, got.total) == (2, Decimal(9))


def test_an_answer_is_read_by_code_then_other_code_then_words_then_number():
    options = (
        AnswerOption("A", "s", "Not at all", Decimal(0), alternatives=("OLD-A",)),
        AnswerOption("B", "s", "Several days", Decimal(1)),
        AnswerOption("2", "s", "3", Decimal(3)),  # its code looks like another one's number
        AnswerOption("C", "s", "More", Decimal(2)),
    )
    item = Item("/x", "x", options=options)
    for text, code in (("A", "A"), ("OLD-A", "A"), (" several   DAYS ", "B"), ("1", "B"), ("2", "2"), ("3", "2")):
        assert read_answer(item, text.strip()).code == code
    twice = replace(item, options=(*options, AnswerOption("D", "s", "more", Decimal(5))))
    with pytest.raises(BadAnswer):
        read_answer(twice, "more")  # two answers have these words


def test_an_answer_without_a_value_cannot_be_counted():
    options = (AnswerOption("A", "s", "a"),)
    nine = replace(NINE, items=(replace(NINE.items[0], options=options), *NINE.items[1:]))
    with pytest.raises(BadAnswer):
        score(nine, {"/1": "A"})


def test_answers_come_back_in_the_order_of_the_questionnaire():
    assert list(answered(NINE, {"/9": "A1", "/1": "A0", "/4": ""})) == ["/1", "/9"]


def test_halves_go_up_and_everything_else_to_the_nearest():
    for n in range(-40, 400):
        value = Fraction(n, 8)
        assert half_up(value) == Decimal(math.floor(value + Fraction(1, 2)))
