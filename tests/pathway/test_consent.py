"""What may be shared, against a brute-force reading of the ledger."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from peerfhir.pathway.consent import Grant, has_chosen, in_force, may_share
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece, Recipient, ShareClass
from tests.support.books import START, a_person

SEED = 811


def grant(**changes) -> Grant:
    made = Grant("g1", "riverside", "x", Recipient.HOSPITAL, ShareClass.SUMMARY, START)
    return replace(made, **changes)


def ask(
    grants, at=START, *, recipient=Recipient.HOSPITAL, piece=Piece.SUMMARY, stopped=False, origin=True, paused=False
):
    return may_share(
        grants,
        recipient,
        SHARE_CLASS_OF[piece],
        at,
        person_stopped=stopped,
        is_origin=origin,
        piece=piece,
        paused=paused,
    )


def minutes(n: float):
    return START + timedelta(minutes=n)


def generated(rng: random.Random) -> list[Grant]:
    """A history on a line of minutes; lines may overlap, end before they begin, or never end."""
    made = []
    for n in range(rng.randint(0, 6)):
        begin = rng.randint(-20, 20)
        made.append(
            grant(
                id=f"g{n}",
                recipient=rng.choice([Recipient.HOSPITAL, Recipient.REFERRER]),
                share_class=rng.choice([ShareClass.SUMMARY, ShareClass.ATTENDANCE, ShareClass.SCORES]),
                granted_at=minutes(begin),
                until=rng.choice([None, minutes(begin + rng.randint(0, 20))]),
                ended_at=rng.choice([None, minutes(begin + rng.randint(0, 20))]),
                end_reason=rng.choice(["narrowed", "withdrawn"]),
            )
        )
    return made


def test_ten_thousand_histories_give_what_a_minute_by_minute_reading_gives():
    rng = random.Random(SEED)
    print("seed", SEED)
    for _ in range(10_000):
        history = generated(rng)
        at, piece = rng.randint(-25, 45), rng.choice(list(Piece))
        recipient = rng.choice([Recipient.HOSPITAL, Recipient.REFERRER, None])
        stopped, origin, paused = (rng.random() < 0.2 for _ in range(3))
        lights = set()  # the minutes at which somebody had said yes to exactly this
        for line in history:
            if line.recipient is recipient and line.share_class is SHARE_CLASS_OF[piece]:
                begin = int((line.granted_at - START).total_seconds() // 60)
                ends = [int((t - START).total_seconds() // 60) for t in (line.until, line.ended_at) if t is not None]
                lights |= set(range(begin, min(ends, default=100)))
        own_status = piece is Piece.STATUS and origin
        held = at in lights and recipient is not None and not stopped and (not paused or piece is Piece.STATUS)
        decision = ask(
            history, minutes(at), recipient=recipient, piece=piece, stopped=stopped, origin=origin, paused=paused
        )
        assert decision.permit is (own_status or held), (history, at, piece)
        if decision.permit and not own_status:
            line = next(g for g in history if g.id == decision.grant_id)
            assert in_force(line, minutes(at))
        else:
            assert decision.grant_id is None
        assert decision.reason


def test_no_answer_means_no():
    assert ask([]).permit is False
    assert ask([]).reason == "no-grant"


@pytest.mark.parametrize("piece", [p for p in Piece if p is not Piece.STATUS])
def test_the_party_that_ordered_it_learns_the_status_and_nothing_else_without_a_grant(piece):
    assert ask([], piece=Piece.STATUS).permit
    assert not ask([], piece=Piece.STATUS, origin=False).permit
    assert not ask([], piece=piece).permit


def test_status_goes_out_even_after_a_stop_and_during_a_pause():
    assert ask([], piece=Piece.STATUS, stopped=True, paused=True).permit


def test_a_stop_outweighs_a_grant_that_was_not_ended():
    assert ask([grant()], stopped=True).reason == "sharing-stopped"


def test_a_class_covers_itself_only():
    for given in ShareClass:
        for piece in Piece:
            decision = ask([grant(share_class=given)], piece=piece, origin=False)
            assert decision.permit is (SHARE_CLASS_OF[piece] is given)


def test_a_grant_holds_from_its_first_instant_and_not_at_its_last():
    line = grant(until=minutes(10))
    assert ask([line], START).permit
    assert not ask([line], START - timedelta(microseconds=1)).permit
    assert ask([line], minutes(10) - timedelta(microseconds=1)).permit
    assert not ask([line], minutes(10)).permit


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"ended_at": START, "end_reason": "withdrawn"}, "withdrawn"),
        ({"ended_at": START, "end_reason": "narrowed"}, "narrowed"),
        ({"ended_at": START}, "withdrawn"),
        ({"until": START, "granted_at": minutes(-5)}, "expired"),
        ({"granted_at": minutes(5)}, "not-yet"),
    ],
)
def test_a_refusal_says_why(line, reason):
    assert ask([grant(**line)]).reason == reason


def test_a_new_grant_holds_beside_an_ended_one_which_is_not_revived():
    old = grant(ended_at=START, end_reason="withdrawn", granted_at=minutes(-5))
    new = grant(id="g2", granted_at=minutes(1))
    assert ask([old, new], minutes(2)).grant_id == "g2"


def test_a_person_has_chosen_until_they_stop():
    assert not has_chosen(a_person("x"))
    chosen = a_person("x", sharing_chosen_at=START)
    assert has_chosen(chosen)
    assert not has_chosen(replace(chosen, sharing_stopped_at=START))
