from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from peerfhir.errors import Verdict
from peerfhir.outbox.retry import (
    LONGEST_RETRY_AFTER_SECONDS,
    Body,
    Effect,
    Failure,
    Seen,
    Sent,
    judge,
    next_time,
    retry_after_seconds,
    wait_seconds,
)

NOW = datetime(2026, 11, 21, 23, 30, 15, 123456, tzinfo=UTC)
POST, PUT, GET = Sent("POST"), Sent("PUT", if_match=True), Sent("GET")
CONDITIONAL = Sent("POST", if_none_exist=True)
WRITES = (POST, CONDITIONAL, PUT)

# docs/rules.md, Delivery, read aloud: status -> (verdict, effect) for a create that was sent without a condition
TABLE = {
    **dict.fromkeys((200, 201, 202, 204), (Verdict.DONE, Effect.RESETS)),
    **dict.fromkeys((203, 205, 206, 207, 226), (Verdict.RECONCILE, Effect.NO)),
    **dict.fromkeys((300, 301, 302, 303, 304, 307, 308), (Verdict.NEVER, Effect.NO)),
    **dict.fromkeys((400, 402, 403, 404, 405, 406, 411, 412, 413, 414, 415, 422, 428, 431, 451, 501), (Verdict.NEVER, Effect.NO)),
    401: (Verdict.NEVER, Effect.PAUSES),
    408: (Verdict.LATER, Effect.COUNTS),
    425: (Verdict.LATER, Effect.COUNTS),
    409: (Verdict.LATER, Effect.NO),
    410: (Verdict.NEVER, Effect.PAUSES),
    429: (Verdict.LATER, Effect.THROTTLES),
    **dict.fromkeys((500, 502, 503, 504, 505, 507, 520, 599), (Verdict.LATER, Effect.COUNTS)),
}  # fmt: skip


@pytest.mark.parametrize(("status", "row"), TABLE.items())
def test_each_status_has_the_verdict_of_the_table(status, row):
    judged = judge(Seen(status), POST)
    assert (judged.verdict, judged.effect) == row


def test_every_status_and_every_failure_has_a_verdict_and_a_reason_that_is_a_code():
    for sent in (*WRITES, GET):
        for body in Body:
            for status in range(100, 1000):
                judged = judge(Seen(status, body=body), sent)
                assert judged.reason.replace("-", "").isalpha()
        for failure in Failure:
            assert judge(Seen(failure=failure), sent).verdict in Verdict


def test_whatever_parks_a_message_says_what_to_do():
    for sent in (*WRITES, GET):
        judgements = [judge(Seen(status), sent) for status in range(100, 1000)]
        judgements += [judge(Seen(failure=failure), sent) for failure in Failure]
        assert [one for one in judgements if one.verdict is Verdict.NEVER and not one.advice] == []


def test_only_what_cannot_have_been_applied_is_free_of_doubt():
    certain = {200, 201, 202, 204, *range(300, 400), *(set(range(400, 500)) - {408, 409}), 501}
    for status in range(200, 600):
        assert judge(Seen(status), POST).doubt == (status not in certain), status
    assert judge(Seen(failure=Failure.LOST), POST).doubt
    for failure in set(Failure) - {Failure.LOST}:
        assert not judge(Seen(failure=failure), POST).doubt


def test_a_read_is_never_in_doubt_and_never_reconciled():
    for status in range(100, 1000):
        judged = judge(Seen(status), GET)
        assert not judged.doubt
        assert judged.verdict is not Verdict.RECONCILE


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_that_brings_errors_or_something_else_is_looked_up(status):
    assert judge(Seen(status, body=Body.ERRORS), POST).verdict is Verdict.RECONCILE
    assert judge(Seen(status, body=Body.OTHER), POST).verdict is Verdict.RECONCILE
    assert judge(Seen(status, body=Body.NONE), POST).verdict is Verdict.DONE
    assert judge(Seen(status, body=Body.RESOURCE), POST).verdict is Verdict.DONE


def test_a_created_answer_with_an_address_counts_even_when_its_body_is_cut_off():
    assert judge(Seen(201, body=Body.OTHER, located=True), POST).verdict is Verdict.DONE


def test_a_stale_version_is_read_again_and_a_doubled_match_is_left_to_people():
    assert judge(Seen(412), PUT).verdict is Verdict.LATER
    assert judge(Seen(412), CONDITIONAL).verdict is Verdict.NEVER
    assert judge(Seen(412), CONDITIONAL).reason == "several-matches"


def test_a_resource_that_is_gone_does_not_stop_its_endpoint():
    assert judge(Seen(410), PUT).effect is Effect.NO
    assert judge(Seen(410), POST).effect is Effect.PAUSES


def test_waits_are_full_jitter_between_the_floor_and_the_ceiling():
    chance = random.Random(20261121)
    for tries in range(1, 40):
        ceiling = min(3600.0, 2.0 ** (tries - 1))
        waits = [wait_seconds(tries, 1.0, 3600.0, chance) for _ in range(400)]
        assert all(0.5 <= wait <= ceiling for wait in waits)
        spread = (max(waits) - min(waits)) / (ceiling - 0.5 or 1)
        assert spread > 0.9


def test_waits_do_not_overflow_after_years():
    assert wait_seconds(100_000, 1.0, 3600.0, random.Random(1)) <= 3600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("17", 17),
        (" 120 ", 120),
        ("86400", 86400),
        ("86401", LONGEST_RETRY_AFTER_SECONDS),
        ("9" * 400, LONGEST_RETRY_AFTER_SECONDS),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("Sat, 32 Nov 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds_is_obeyed_and_nonsense_is_ignored(header, seconds):
    assert retry_after_seconds(header, NOW) == seconds


def test_retry_after_as_a_date_is_obeyed_to_the_second_and_never_early():
    chance = random.Random(7)
    for _ in range(500):
        wanted = (NOW + timedelta(seconds=chance.randrange(1, 80_000))).replace(microsecond=0)
        seconds = retry_after_seconds(format_datetime(wanted, usegmt=True), NOW)
        assert seconds is not None
        assert wanted <= NOW + timedelta(seconds=seconds) < wanted + timedelta(seconds=1)
    assert retry_after_seconds(format_datetime(NOW - timedelta(days=1), usegmt=True), NOW) == 0


def test_the_later_of_both_waits_wins():
    horizon = NOW + timedelta(hours=72)
    assert next_time(NOW, 3.0, 60, horizon) == NOW + timedelta(seconds=60)
    assert next_time(NOW, 90.0, 60, horizon) == NOW + timedelta(seconds=90)


def test_a_hospital_that_is_down_is_tried_for_its_whole_horizon_and_then_no_longer():
    chance = random.Random(72)
    horizon, now, tries = NOW + timedelta(hours=72), NOW, 0
    while True:
        tries += 1
        due = next_time(now, wait_seconds(tries, 1.0, 3600.0, chance), None, horizon)
        if due is None:
            break
        assert now < due <= horizon
        now = due
    assert now == horizon, "the last try falls on the horizon"
    assert 72 < tries < 400
