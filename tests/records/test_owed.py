from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.ports import Owed
from peerfhir.pathway.referral import Outward
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece, Status, TaskStatus
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import attempt, lane, outbox_message, record_version
from peerfhir.records.work import Office
from tests.records import made
from tests.records.kept import a_note, a_referral, lanes, messages, piece_of, set_state, status_of
from tests.support.clock import HeldClock


def test_a_piece_names_its_record_by_exact_version_and_waits_in_its_lane(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    who, referral = a_referral(office, maker, endpoint="other")
    with office.work(made.actor(), execution_id="req-1") as work:
        note = a_note(work, maker, referral)
        note = work.save_encounter(replace(note, minutes=50))
        result = work.save_outcome(maker.record(Outcome, person_id=who.id, referral_id=referral.id))
        work.owe(piece_of(note))
        work.owe(Owed(Piece.ITEM, "outcome", result.id, who.id, referral.id, detail="44250-9"))
    first, second = messages(engine)
    assert first.idem == f"{note.number}:encounter"
    assert second.idem == f"{result.number}:item:44250-9"
    assert (first.record_type, first.record_id, first.record_version) == ("encounter", note.id, 2)
    assert (first.share_class, second.share_class) == ("attendance", "item-level")
    assert (first.state, first.attempts, first.body, first.parent_id) == ("ready", 0, None, 0)
    assert (first.created_at, first.horizon_at) == (clock.now(), clock.now() + timedelta(hours=1))
    assert (first.person_id, first.referral_id, first.execution_id) == (who.id, referral.id, "req-1")
    (only,) = lanes(engine)
    assert (only.endpoint, only.order_key, only.head_id) == ("other", who.id, first.id)
    assert (only.head_due, only.paused, only.lease_owner) == (clock.now(), False, None)
    assert first.lane_id == second.lane_id == only.id


def test_every_piece_has_the_class_that_a_grant_must_cover(office: Office, engine: Engine, maker: made.Maker) -> None:
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        note = a_note(work, maker, referral)
        for piece in Piece:
            work.owe(status_of(referral) if piece is Piece.STATUS else piece_of(note, piece))
    assert {one.piece: one.share_class for one in messages(engine)} == {
        piece.value: SHARE_CLASS_OF[piece].value for piece in Piece
    }


def test_nothing_is_owed_where_nothing_can_be_written_back(office: Office, engine: Engine, maker: made.Maker) -> None:
    _, referral = a_referral(office, maker, endpoint=None)
    with office.work(made.actor()) as work:
        work.owe(piece_of(a_note(work, maker, referral)))
        work.owe(status_of(referral))
        work.owe(status_of(work.save_referral(replace(made.referral(maker, "p"), origin=None))))
    assert messages(engine) == []
    assert lanes(engine) == []


def test_a_piece_of_a_record_that_is_not_here_is_refused(office: Office, maker: made.Maker) -> None:
    _, referral = a_referral(office, maker)
    for owed in (
        Owed(Piece.ENCOUNTER, "encounter", "x", "p", referral.id),
        Owed(Piece.STATUS, "referral", "x", "p", "x"),
    ):
        with pytest.raises(NotFoundHere), office.work(made.actor()) as work:
            work.owe(owed)


def test_the_same_effect_again_is_owed_once(office: Office, engine: Engine, maker: made.Maker) -> None:
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        note = a_note(work, maker, referral)
        work.owe(piece_of(note))
        work.owe(piece_of(note))
    with office.work(made.actor()) as work:
        work.owe(piece_of(work.save_encounter(replace(note, minutes=1))))
    (only,) = messages(engine)
    assert only.record_version == 1  # what was owed first is what goes out
    set_state(engine, only.id, state="cancelled")
    with office.work(made.actor()) as work:
        work.owe(piece_of(note))
    assert [one.state for one in messages(engine)] == ["cancelled"]  # a later yes does not release it


def test_each_status_is_told_of_a_version_of_its_own(office: Office, engine: Engine, maker: made.Maker) -> None:
    """The words for the hospital also depend on the person's choice, which does not touch the referral."""
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        work.owe(status_of(work.save_referral(referral)))  # version 2
    (first,) = messages(engine)
    set_state(engine, first.id, state="done")
    with office.work(made.actor()) as work:
        work.owe(status_of(referral))  # nothing was saved, but something is to be said
        work.owe(status_of(referral))
    idems = [one.idem for one in messages(engine)]
    assert idems == [f"{referral.number}:status:2", f"{referral.number}:status:3"]
    with reading(engine) as connection:
        kept = select(record_version.c.version).where(record_version.c.id == referral.id)
        assert sorted(connection.execute(kept).scalars()) == [1, 2, 3]


def test_a_status_that_was_overtaken_before_it_was_sent_is_set_aside(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    _, referral = a_referral(office, maker)
    _, other = a_referral(office, maker)
    for status in (Status.MATCHING, Status.ASSIGNED, Status.OUTREACH):
        clock.move(minutes=1)
        with office.work(made.actor()) as work:
            referral = work.save_referral(replace(referral, status=status))
            work.owe(status_of(referral))
            work.owe(status_of(other))
    mine = messages(engine, outbox_message.c.referral_id == referral.id)
    assert [one.state for one in mine] == ["superseded", "superseded", "ready"]
    assert {one.reason for one in mine} == {"overtaken", None}
    held = next(one for one in lanes(engine) if one.order_key == referral.person_id)
    assert held.head_id == mine[-1].id
    assert held.head_due == clock.now()


@pytest.mark.parametrize("ended", ["kept", "told"])
def test_a_terminal_status_is_never_dropped(office: Office, engine: Engine, maker: made.Maker, ended: str) -> None:
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        referral = work.save_referral(replace(referral, status=Status.MATCHING))
        work.owe(status_of(referral))
        if ended == "kept":
            change = {"status": Status.ENROLLED, "task_status": TaskStatus.COMPLETED}
        else:
            change = {"told": Outward(TaskStatus.CANCELLED, Status.CLOSED, "Referral closed", "Referral closed.")}
        referral = work.save_referral(replace(referral, **change))
        work.owe(status_of(referral))
        work.owe(status_of(work.save_referral(replace(referral, told=None, task_status=TaskStatus.REQUESTED))))
    assert [one.state for one in messages(engine)] == ["superseded", "ready", "ready"]


def test_a_status_in_a_workers_hands_is_not_overtaken(office: Office, engine: Engine, maker: made.Maker) -> None:
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        work.owe(status_of(referral))
    (first,) = messages(engine)
    set_state(engine, first.id, state="leased")
    with office.work(made.actor()) as work:
        work.owe(status_of(referral))
    assert [one.state for one in messages(engine)] == ["leased", "ready"]
    assert lanes(engine)[0].head_id == first.id


def test_other_pieces_are_never_overtaken_by_a_status(office: Office, engine: Engine, maker: made.Maker) -> None:
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        work.owe(piece_of(a_note(work, maker, referral)))
        work.owe(status_of(referral))
    assert [one.state for one in messages(engine)] == ["ready", "ready"]


def test_a_withdrawn_person_stops_what_is_waiting(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    who, referral = a_referral(office, maker)
    _, neighbour = a_referral(office, maker)
    for one in (referral, neighbour):
        with office.work(made.actor()) as work:
            note = a_note(work, maker, one)
            for piece in (Piece.ENCOUNTER, Piece.SUMMARY, Piece.PROCEDURE):
                work.owe(piece_of(note, piece))
            work.owe(status_of(one))
    mine = messages(engine, outbox_message.c.person_id == who.id)
    set_state(engine, mine[1].id, state="parked", body=b"a summary", reason="refused", advice="look")
    set_state(engine, mine[2].id, body=b"rendered, kept for the next try")
    clock.move(minutes=5)
    with office.work(made.actor()) as work:
        assert work.cancel_owed(who.id, "withdrawn", keep=frozenset({Piece.STATUS})) == 3
    mine = messages(engine, outbox_message.c.person_id == who.id)
    assert [one.state for one in mine] == ["cancelled", "cancelled", "cancelled", "ready"]
    for one in mine[:3]:
        assert (one.body, one.reason, one.advice, one.settled_at) == (None, "withdrawn", None, clock.now())
    theirs = messages(engine, outbox_message.c.person_id == neighbour.person_id)
    assert [one.state for one in theirs] == ["ready"] * 4
    heads = {one.order_key: one.head_id for one in lanes(engine)}
    assert heads == {who.id: mine[3].id, neighbour.person_id: theirs[0].id}
    with office.work(made.actor()) as work:
        assert work.cancel_owed(who.id, "withdrawn") == 1
        assert work.cancel_owed(who.id, "withdrawn") == 0
    assert {one.order_key: (one.head_id, one.head_due) for one in lanes(engine)}[who.id] == (None, None)


def test_what_is_on_the_wire_is_left_there_and_not_tried_again(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    who, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        note = a_note(work, maker, referral)
        work.owe(piece_of(note))
        work.owe(piece_of(note, Piece.SUMMARY))
    flying, waiting = messages(engine)
    set_state(engine, flying.id, state="leased", body=b"on its way", attempts=1)
    with writing(engine) as connection:
        connection.execute(
            insert(attempt).values(
                outbox_id=flying.id, program_id="north", n=1, worker="w", epoch=1, started_at=clock.now(), on_wire=True
            )
        )
        connection.execute(
            update(lane).values(lease_owner="w", lease_epoch=1, lease_until=clock.now() + timedelta(hours=1))
        )
    clock.move(seconds=10)
    with office.work(made.actor()) as work:
        assert work.cancel_owed(who.id, "withdrawn") == 1
    flying, waiting = messages(engine)
    assert (flying.state, flying.body, flying.reason, flying.horizon_at) == (
        "leased", b"on its way", "withdrawn", clock.now(),
    )  # fmt: skip
    assert waiting.state == "cancelled"
    (held,) = lanes(engine)
    assert (held.head_id, held.lease_owner, held.lease_epoch) == (flying.id, "w", 1)


def test_one_referral_of_a_person_can_be_cancelled_alone(office: Office, engine: Engine, maker: made.Maker) -> None:
    who, one = a_referral(office, maker)
    with office.work(made.actor()) as work:
        two = work.save_referral(made.referral(maker, who.id))
        work.owe(status_of(one))
        work.owe(status_of(two))
        assert work.cancel_owed(who.id, "withdrawn-referrer", referral_id=one.id) == 1
    assert [(row.referral_id, row.state) for row in messages(engine)] == [(one.id, "cancelled"), (two.id, "ready")]


def test_what_waited_behind_a_cancelled_message_may_go(office: Office, engine: Engine, maker: made.Maker) -> None:
    """A worker took the head away because the rest waits for a parked one; with that cancelled, the rest is due."""
    who, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        work.owe(piece_of(a_note(work, maker, referral)))
        work.owe(status_of(referral))
    parked, kept = messages(engine)
    set_state(engine, parked.id, state="parked")
    with writing(engine) as connection:
        connection.execute(update(lane).values(head_id=None, head_due=None))
    with office.work(made.actor()) as work:
        work.cancel_owed(who.id, "narrowed", keep=frozenset({Piece.STATUS}))
    assert lanes(engine)[0].head_id == kept.id


def test_a_lane_without_a_head_gets_the_next_message_as_its_head(
    office: Office, engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    _, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        work.owe(status_of(referral))
    set_state(engine, messages(engine)[0].id, state="done")
    with writing(engine) as connection:
        connection.execute(update(lane).values(head_id=None, head_due=None, attempts=7))
    clock.move(hours=1)
    with office.work(made.actor()) as work:
        work.owe(status_of(referral))
    (held,) = lanes(engine)
    assert (held.head_id, held.head_due, held.attempts) == (messages(engine)[1].id, clock.now(), 0)


def test_many_who_owe_in_one_lane_leave_one_lane_one_head_and_no_gap(
    office: Office, engine: Engine, maker: made.Maker
) -> None:
    """Eight threads, one person; half of what they owe is the same effect."""
    who, referral = a_referral(office, maker)
    with office.work(made.actor()) as work:
        shared = [a_note(work, maker, referral) for _ in range(5)]
    faults: list[BaseException] = []

    def owe(seed: int) -> None:
        try:
            mine = made.Maker(seed)
            for note in shared:
                with office.work(made.actor()) as work:
                    work.owe(piece_of(note))
                    work.owe(piece_of(a_note(work, mine, referral)))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=owe, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    found = messages(engine)
    assert len(found) == 5 + 8 * 5
    assert len({one.idem for one in found}) == 45
    (held,) = lanes(engine)
    assert (held.head_id, held.order_key) == (found[0].id, who.id)


def test_cancelling_while_others_owe_leaves_no_message_behind_a_missing_head(
    office: Office, engine: Engine, maker: made.Maker
) -> None:
    who, referral = a_referral(office, maker)
    faults: list[BaseException] = []
    ready = threading.Barrier(5)

    def repeat(turn: Any) -> None:
        ready.wait(10)
        try:
            for _ in range(15):
                with office.work(made.actor()) as work:
                    turn(work)
        except BaseException as error:
            faults.append(error)

    makers = [made.Maker(seed) for seed in (11, 12, 13)]
    turns = [lambda work, m=m: work.owe(piece_of(a_note(work, m, referral))) for m in makers]
    turns += [lambda work: work.cancel_owed(who.id, "narrowed")] * 2
    threads = [threading.Thread(target=repeat, args=(turn,)) for turn in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    found = messages(engine)
    assert len(found) == 45
    ready = [one.id for one in found if one.state == "ready"]
    (held,) = lanes(engine)
    assert held.head_id == (min(ready) if ready else None)
