"""Times, texts, the drafted summary and the records of a group."""

from __future__ import annotations

import random
import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from peerfhir.pathway.encounter import (
    DONE,
    HOW,
    GroupSession,
    check_no_names,
    check_texts,
    check_times,
    draft_summary,
    group_records,
    is_late,
)
from peerfhir.pathway.refusals import BadTimes, NamesSomeone, TooLong
from peerfhir.pathway.vocabulary import Intervention, Modality, ServiceType
from tests.support.books import START, a_person

SEED = 7


def fits(begin: datetime, end: datetime, minutes: int, now: datetime = START) -> bool:
    try:
        check_times(begin, end, minutes, now)
    except BadTimes:
        return False
    return True


def test_an_hour_that_has_ended_fits():
    assert fits(START - timedelta(hours=1), START, 60)


@pytest.mark.parametrize("minutes", [0, -1, -60, 61, 10_000])
def test_minutes_have_to_be_positive_and_fit_between_the_times(minutes):
    assert not fits(START - timedelta(hours=1), START, minutes)


def test_the_end_comes_after_the_start_within_a_day_and_not_in_the_future():
    assert not fits(START, START, 1)
    assert not fits(START, START - timedelta(minutes=5), 5)
    assert not fits(START - timedelta(hours=25), START, 30)
    assert not fits(START, START + timedelta(hours=1), 60)
    assert fits(START - timedelta(hours=1), START + timedelta(minutes=4), 60)  # a phone that runs ahead
    assert not fits(START.replace(tzinfo=None), START, 1)
    assert not fits(START, START.replace(tzinfo=None), 1)


def test_a_night_when_the_clocks_change_has_its_real_length():
    zone = ZoneInfo("America/New_York")
    begin = datetime(2026, 11, 1, 0, 30, tzinfo=zone).astimezone(ZoneInfo("UTC"))
    end = datetime(2026, 11, 1, 2, 30, tzinfo=zone).astimezone(ZoneInfo("UTC"))  # three hours: 01:00 comes twice
    assert fits(begin, end, 180)
    assert not fits(begin, end, 181)


def test_crossing_midnight_is_a_meeting_like_any_other():
    begin = START.replace(hour=23, minute=40) - timedelta(days=1)
    assert fits(begin, begin + timedelta(minutes=45), 45)


def test_a_note_after_the_deadline_is_late():
    assert not is_late(START, START + timedelta(hours=48), 48)
    assert is_late(START, START + timedelta(hours=48, seconds=1), 48)


def test_a_summary_has_at_most_120_words_and_a_field_600_characters():
    check_texts(summary=" ".join(["word"] * 120), working_note="x" * 600, next_step="x" * 600)
    for bad in (
        {"summary": " ".join(["word"] * 121), "working_note": "", "next_step": None},
        {"summary": None, "working_note": "x" * 601, "next_step": None},
        {"summary": None, "working_note": "", "next_step": "x" * 601},
        {"summary": None, "working_note": "", "next_step": None, "topic": "x" * 601},
    ):
        with pytest.raises(TooLong) as caught:
            check_texts(**bad)
        assert "x" * 20 not in str(caught.value)


def test_a_draft_reads_as_one_text_and_keeps_the_sentence_as_it_was_written():
    text = draft_summary(
        [Intervention.LISTENED, Intervention.HOUSING, Intervention.LISTENED, Intervention.CHECKIN],
        modality=Modality.PHONE,
        minutes=40,
        next_step="Call the housing office",
        next_on=date(2026, 12, 2),
        sentence="I did not give up this week!",
    )
    assert text == (
        "I did not give up this week! Met by phone for 40 minutes. "
        "The peer specialist listened, worked on housing and checked in. "
        "Next step: Call the housing office. Next contact: 2026-12-02."
    )


def test_a_group_draft_speaks_of_the_group():
    text = draft_summary([], modality=Modality.VIDEO, minutes=60, topic="Sleeping better")
    assert text == "Took part in a peer support group by video for 60 minutes: Sleeping better."


def test_drafts_from_all_taps_stay_within_their_layer():
    rng = random.Random(SEED)
    print("seed", SEED)
    for _ in range(500):
        taps = rng.sample(list(Intervention), rng.randint(0, 8))
        text = draft_summary(taps, modality=rng.choice(list(Modality)), minutes=rng.randint(1, 300))
        assert len(text.split()) <= 120
        assert not re.search(r"\s\s|\.\.", text)
        assert all(DONE[tap] in text for tap in taps)


def test_free_text_that_leaves_no_room_is_refused():
    with pytest.raises(TooLong):
        draft_summary([], modality=Modality.PHONE, minutes=5, sentence=" ".join(["word"] * 118))


def test_every_tap_and_modality_has_words():
    assert set(DONE) == set(Intervention)
    assert set(HOW) == set(Modality)


PEOPLE = [a_person("x", given="Ana-Lucía", family="O'Neil"), a_person("y", given="Bo", family="Ito")]


@pytest.mark.parametrize(
    "text",
    ["Ana-Lucía spoke first.", "with bo.", "The ITO family", "O'Neil's idea", "(Bo)", "Bo"],
)
def test_a_text_for_everyone_names_nobody(text):
    with pytest.raises(NamesSomeone) as caught:
        check_no_names([("summary", text)], PEOPLE)
    assert caught.value.field == "summary"
    assert not any(p.given in str(caught.value) or p.family in str(caught.value) for p in PEOPLE)


@pytest.mark.parametrize("text", ["We spoke about sleep.", "A boat, an itogether", "", None])
def test_a_word_that_only_contains_a_name_is_no_name(text):
    check_no_names([("summary", text)], PEOPLE)


def test_a_group_gives_records_that_share_no_exported_key():
    session = GroupSession(
        "session-1",
        "riverside",
        "p1",
        "Sleeping better",
        ServiceType.GROUP_FACILITATED,
        Modality.VIDEO,
        START - timedelta(hours=1),
        START,
        "We spoke about sleep.",
        ("x", "y", "z"),
        working_note="y had a hard week.",
    )
    records = group_records(session, ["n1", "n2", "n3"], ["i1", "i2", "i3"])
    assert [r.person_id for r in records] == ["x", "y", "z"]
    assert len({r.number for r in records}) == len({r.id for r in records}) == 3
    assert {r.working_note for r in records} == {""}
    assert {r.minutes for r in records} == {60}
    assert {r.summary for r in records} == {"We spoke about sleep."}
    with pytest.raises(ValueError, match="zip"):
        group_records(session, ["n1"], ["i1", "i2", "i3"])
