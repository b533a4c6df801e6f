from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given, seed, settings
from hypothesis import strategies as st

from peerfhir.mapping import forms, zones
from peerfhir.mapping.formats import BadFormat, Format, read_format
from peerfhir.mapping.zones import Unfit, Zone
from tests.support.generated import CALM

FIVE = zones.fixed("-05:00")


def chicago(ambiguous: str = "error") -> Zone:
    found = zones.named("America/Chicago", ambiguous)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("written", "kind", "text", "value"),
    [
        ("MM/DD/YYYY", "date", "04/17/1989", "1989-04-17"), ("M/D/YYYY", "date", "4/7/1989", "1989-04-07"), ("DD.MM.YYYY", "date", "17.04.1989", "1989-04-17"),
        ("YYYYMMDD", "date", "19890417", "1989-04-17"), ("DD-MMM-YYYY", "date", "17-Apr-1989", "1989-04-17"), ("MMM YYYY", "date", "Apr 1989", "1989-04"),
        ("YYYY", "date", "1989", "1989"), ("MM/YYYY", "date", "04/1989", "1989-04"), ("YYYY-MM-DD", "dateTime", "1989-04-17", "1989-04-17"),
        ("YYYY", "date", "0001", "0001"), ("YYYY-MM-DD", "date", "0999-12-31", "0999-12-31"), ("'day' DD 'of' MM YYYY", "date", "day 17 of 04 1989", "1989-04-17"),
        ("YYYY''MM", "date", "1989'04", "1989-04"), ("[YYYY](MM)", "date", "[1989](04)", "1989-04"),
        ("YYYY-MM-DD HH:mm", "dateTime", "2026-03-02 10:00", "2026-03-02T10:00:00-05:00"), ("YYYY-MM-DD'T'HH:mm:ssZZ", "dateTime", "2026-03-02T10:00:07+01:00", "2026-03-02T10:00:07+01:00"),
        ("YYYY-MM-DD'T'HH:mm:ssZZ", "instant", "2026-03-02T10:00:07Z", "2026-03-02T10:00:07Z"), ("YYYYMMDDHHmmssZ", "instant", "20260302100007-0500", "2026-03-02T10:00:07-05:00"),
        ("YYYY-MM-DD HH:mm:ss.SSS", "dateTime", "2026-03-02 10:00:07.123", "2026-03-02T10:00:07.123-05:00"), ("MM/DD/YYYY hh:mm A", "dateTime", "03/02/2026 12:05 AM", "2026-03-02T00:05:00-05:00"),
        ("MM/DD/YYYY h:mm A", "dateTime", "03/02/2026 1:05 PM", "2026-03-02T13:05:00-05:00"), ("D.M.YYYY H:mm", "dateTime", "2.3.2026 7:05", "2026-03-02T07:05:00-05:00"),
        ("MM/DD/YYYY hh:mm A", "dateTime", "03/02/2026 12:05 PM", "2026-03-02T12:05:00-05:00"), ("HH:mm", "time", "07:05", "07:05:00"), ("h:mm A", "time", "7:05 PM", "19:05:00"),
        ("HHmmss", "time", "070559", "07:05:59"), ("YYYY-MM-DD HH:mm:ss", "dateTime", "2016-12-31 23:59:60", "2016-12-31T23:59:60-05:00"),
    ],
)  # fmt: skip
def test_a_format_reads_a_text_and_prints_it_again(written: str, kind: str, text: str, value: str) -> None:
    timed = kind in ("dateTime", "instant") and re.search("[Hh]", written) and "Z" not in written
    found = read_format(written, kind, FIVE if timed else None)
    assert found.parse(text) == value
    assert forms.fits(kind, value)
    assert found.show(value) == text


@pytest.mark.parametrize(
    ("written", "text", "value"),
    [
        ("DD-MMM-YYYY", "17-APR-1989", "1989-04-17"), ("DD-MMM-YYYY", "17-apr-1989", "1989-04-17"), ("M/D/YYYY", "04/07/1989", "1989-04-07"),
    ],
)  # fmt: skip
def test_what_may_be_written_in_several_ways_is_printed_in_one(written: str, text: str, value: str) -> None:
    assert read_format(written, "date", None).parse(text) == value


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("MM/DD/YYYY", "13/01/2026"), ("MM/DD/YYYY", "02/29/2026"), ("MM/DD/YYYY", "02/30/2024"), ("MM/DD/YYYY", "1/1/2026"), ("MM/DD/YYYY", "01/01/26"),
        ("MM/DD/YYYY", "01/01/0000"), ("MM/DD/YYYY", "01/01/20260"), ("MM/DD/YYYY", " 01/01/2026"), ("MM/DD/YYYY", "01/01/2026\n"), ("MM/DD/YYYY", "٠١/٠١/٢٠٢٦"),
        ("D.M.YYYY", "31.4.2026"), ("D.M.YYYY", "0.1.2026"), ("DD-MMM-YYYY", "31-Feb-2026"), ("DD-MMM-YYYY", "01-Jän-2026"), ("YYYY-MM-DD", "2026-W01-1"), ("YYYY-MM-DD", ""),
    ],
)  # fmt: skip
def test_a_text_that_is_no_day_of_the_format_is_refused_without_being_told(written: str, text: str) -> None:
    with pytest.raises(Unfit) as refused:
        read_format(written, "date", None).parse(text)
    assert not text or text.strip() not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["2026-03-02 24:00", "2026-03-02 10:60", "2026-03-02 1:00", "2026-03-02", "2026-02-29 10:00", "2026-03-02 10:00 "],
)
def test_a_text_that_is_no_moment_of_the_format_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        read_format("YYYY-MM-DD HH:mm", "dateTime", FIVE).parse(text)


@pytest.mark.parametrize("offset", ["+14:30", "+15:00", "-24:00", "+5:00", "z", "+0500", ""])
def test_an_offset_that_fhir_does_not_know_is_refused(offset: str) -> None:
    with pytest.raises(Unfit):
        read_format("YYYY-MM-DD HH:mmZZ", "dateTime", None).parse(f"2026-03-02 10:00{offset}")


@pytest.mark.parametrize(
    ("written", "kind", "zone", "what"),
    [
        ("YY-MM-DD", "date", None, "four digits"), ("MDYYYY", "date", None, "is not clear"), ("M1YYYY", "date", None, "is not clear"), ("YYYYDMM", "date", None, "is not clear"),
        ("YYYY-MM-DD", "time", None, "no day"), ("HH:mm", "date", None, "year is missing"), ("YYYY-MM-DD HH:mm", "date", None, "no time"), ("MM/DD", "date", None, "year is missing"),
        ("YYYY DD", "date", None, "needs its month"), ("YYYY-MM HH:mm", "dateTime", FIVE, "needs its day"), ("YYYY-MM-DD HH:mm", "dateTime", None, "no offset"),
        ("YYYY-MM-DD HH:mmZZ", "dateTime", FIVE, "another is declared"), ("YYYY-MM-DD HH", "dateTime", FIVE, "minutes"), ("YYYY-MM-DD hh:mm", "dateTime", FIVE, "12-hour"),
        ("YYYY-MM-DD HH:mm A", "dateTime", FIVE, "12-hour"), ("YYYY-MM-DD hh HH:mm A", "dateTime", FIVE, "twice"), ("YYYY-MM-DD YYYY", "date", None, "twice"),
        ("YYYY-MM-DD HH:mm.SSS", "dateTime", FIVE, "seconds are missing"), ("YYYY-MM-DD mm:ss", "dateTime", FIVE, "hour is missing"), ("YYYY-MM-DD HH:mm", "instant", FIVE, "second"),
        ("YYYY-MM-DDTHH:mm", "dateTime", FIVE, "'T'"), ("", "date", None, "year is missing"), ("mm", "time", None, "hour is missing"), ("YYYY-MM-DD", "date", FIVE, "no offset"),
        ("YYYY 'open", "date", None, "'"), ("YYYY-QQ", "date", None, "'Q'"), ("YYYYé", "date", None, "'é'"),
    ],
)  # fmt: skip
def test_a_format_that_is_not_clear_is_refused_with_what_to_write(
    written: str, kind: str, zone: Zone | None, what: str
) -> None:
    with pytest.raises(BadFormat, match=re.escape(what)):
        read_format(written, kind, zone)


# --- zones ------------------------------------------------------------------------------------------------------------


def local(ambiguous: str = "error") -> Format:
    return read_format("YYYY-MM-DD HH:mm", "dateTime", chicago(ambiguous))


def test_a_local_time_gets_the_offset_it_had_then() -> None:
    assert local().parse("2026-01-15 10:00") == "2026-01-15T10:00:00-06:00"
    assert local().parse("2026-07-15 10:00") == "2026-07-15T10:00:00-05:00"
    assert local().show("2026-07-15T15:00:00Z") == "2026-07-15 10:00"
    assert local().show("2026-01-15T15:00:00Z") == "2026-01-15 09:00"
    assert (
        read_format("YYYY-MM-DD HH:mm", "dateTime", zones.named("UTC")).parse("2026-01-15 10:00")
        == "2026-01-15T10:00:00Z"
    )


def test_a_local_time_that_the_clock_leaves_out_does_not_exist() -> None:
    for gap in ("2026-03-08 02:00", "2026-03-08 02:30", "2026-03-08 02:59"):
        with pytest.raises(Unfit, match="does not exist"):
            local("earlier").parse(gap)
    assert local().parse("2026-03-08 01:59").endswith("-06:00")
    assert local().parse("2026-03-08 03:00").endswith("-05:00")


def test_a_local_time_that_the_clock_shows_twice_needs_a_word_on_which() -> None:
    with pytest.raises(Unfit, match="twice"):
        local().parse("2026-11-01 01:30")
    assert local("earlier").parse("2026-11-01 01:30") == "2026-11-01T01:30:00-05:00"
    assert local("later").parse("2026-11-01 01:30") == "2026-11-01T01:30:00-06:00"


def test_an_offset_of_old_days_that_has_seconds_is_not_rounded() -> None:
    with pytest.raises(Unfit, match="whole minutes"):
        local().parse("1880-01-01 10:00")


def test_moments_at_the_ends_of_the_calendar_are_told_and_do_not_break() -> None:
    for value in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        with pytest.raises(Unfit, match="calendar"):
            local().show(value)
    assert local().show("2016-12-31T23:59:60Z") == "2016-12-31 17:59"


@pytest.mark.parametrize(
    "name", ["America/Chicag", "", "../../etc/passwd", "/etc/passwd", "America", "a\x00b", "localtime", "right/UTC"]
)
def test_a_zone_that_is_not_known_is_none(name: str) -> None:
    assert zones.named(name) is None


def test_a_value_that_lacks_what_the_format_prints_is_refused() -> None:
    for value in ("2026", "2026-03", "2026-03-02"):
        with pytest.raises(Unfit, match="has no"):
            local().show(value)
    with pytest.raises(Unfit, match="not a date"):
        local().show("never")


# --- properties -------------------------------------------------------------------------------------------------------


def naive(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC).replace(tzinfo=None)


DATES = ["YYYY-MM-DD", "MM/DD/YYYY", "D.M.YYYY", "DD MMM YYYY", "YYYYMMDD", "'born' MMM D, YYYY"]
CLOCKS = ["HH:mm:ss.SSS", "H:mm:ss.SSS", "hh:mm:ss.SSS A", "h:mm:ss.SSS A", "HHmmss.SSS"]
MOMENTS = st.datetimes(naive(1, 1, 2), naive(9999, 12, 30)).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))  # fmt: skip
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@seed(21)
@CALM
@given(st.sampled_from(DATES), st.dates())
def test_a_day_that_is_printed_reads_back_as_the_same_day(written: str, day: object) -> None:
    found = read_format(written, "date", None)
    assert found.parse(found.show(str(day))) == str(day)


@seed(22)
@CALM
@given(st.sampled_from(DATES), st.sampled_from(CLOCKS), MOMENTS, OFFSETS, st.sampled_from(["ZZ", "Z", ""]))
def test_a_moment_that_is_printed_reads_back_as_the_same_moment(
    date: str, clock: str, at: datetime, offset: timezone, token: str
) -> None:
    value = at.replace(tzinfo=offset).isoformat(timespec="milliseconds")
    zone = None if token else zones.fixed(value[-6:])
    found = read_format(f"{date} {clock}{token}", "dateTime", zone)
    back = found.parse(found.show(value))
    assert back.replace("Z", "+00:00") == value


@seed(23)
@CALM
@given(
    st.sampled_from(["America/Chicago", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]),
    st.datetimes(naive(1980, 1, 1), naive(2036, 1, 1)),
    st.sampled_from(["earlier", "later"]),
)
def test_a_local_time_that_is_read_is_printed_as_it_was(name: str, at: datetime, ambiguous: str) -> None:
    zone = zones.named(name, ambiguous)
    assert zone is not None
    found = read_format("YYYY-MM-DD HH:mm:ss", "dateTime", zone)
    text = at.strftime("%Y-%m-%d %H:%M:%S")
    try:
        value = found.parse(text)
    except Unfit as gap:
        assert "does not exist" in str(gap)
        return
    assert found.show(value) == text
    assert found.show(datetime.fromisoformat(value).astimezone(UTC).isoformat()) == text


@seed(24)
@settings(CALM, max_examples=200)
@given(
    st.text("YMDHhmsSAZ'-/:. T0é\x00", max_size=14),
    st.sampled_from(["date", "dateTime", "instant", "time"]),
    st.booleans(),
    st.text(max_size=12),
)
def test_any_format_is_refused_or_gives_the_form_of_its_type(written: str, kind: str, zoned: bool, text: str) -> None:
    try:
        found = read_format(written, kind, FIVE if zoned else None)
    except BadFormat as refused:
        assert refused.what
        return
    try:
        value = found.parse(text)
    except Unfit:
        return
    assume(value)
    assert forms.fits(kind, value)
