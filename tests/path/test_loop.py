"""One referral through every room and back, over HTTP, on both databases; judged by the hospital's own store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.path.looking import ALL, THREE, doubled, episodes
from tests.support.loop import NOTE, SUMMARY, Loop

LoopOf = Callable[..., Loop]
CLOSED = ("cancelled", "Referral closed")


def test_what_was_agreed_arrives_once_through_an_outage_and_nothing_after_the_person_stops(loop: Loop) -> None:
    ines, omar = loop.alone("Ines", "Calder"), loop.alone("Omar", "Field")
    walk = loop.refer().to_met()
    loop.settle()
    assert loop.ward.shown()[-1] == ("in-progress", "In contact")  # nothing more before the person has chosen
    assert loop.ward.counts() == {}
    walk.share(*THREE)
    walk.note()
    loop.settle()
    walk.act("enrol")
    loop.settle()
    assert loop.ward.shown()[-1] == ("completed", "Working together")
    assert loop.ward.counts() == {"Encounter": 1, "DocumentReference": 1, "Procedure": 1}

    loop.ward.served.stop()
    loop.group(walk.peer, [walk.person_id, ines, omar])
    walk.phq9()
    for _ in range(3):
        loop.turn()
    waiting = loop.waiting()
    assert waiting == 5
    loop.ward.served.start()
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2}
    assert episodes(loop) == [None, "EP-000001"]

    walk.note(ago=20, working="A short call.", summary="A short check-in call.")
    walk.stop()
    loop.settle()
    assert loop.ward.shown()[-1] == ("completed", "Referral closed")
    before = loop.ward.versions()
    loop.clock.skip(3600)
    loop.settle()
    assert loop.ward.versions() == before
    assert loop.ward.counts() == {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2}
    assert doubled(loop) == []
    assert loop.ward.refusals() == []
    everything = loop.ward.words()
    for kept_back in (NOTE, "A short check-in call.", "They compared tea shops.", "44250-9", "First cup of tea"):
        assert kept_back not in everything
    assert SUMMARY in everything
    states = {(state, reason) for _, _, state, reason in loop.owed()}
    assert ("cancelled", "consent-withdrawn") in states
    assert not {state for state, _ in states} - {"done", "superseded", "cancelled"}


def test_item_answers_arrive_each_once_where_they_are_shared(loop: Loop) -> None:
    walk = loop.refer().to_enrolled(*ALL)
    walk.phq9()
    loop.settle()
    assert loop.ward.counts() == {"QuestionnaireResponse": 1, "Observation": 11}
    assert doubled(loop) == []
    response = loop.ward.of("QuestionnaireResponse")[0]
    assert len(response["item"]) == 9
    codes = sorted(one["code"]["coding"][0]["code"] for one in loop.ward.of("Observation"))
    assert len(set(codes)) == 11
    panel = next(one for one in loop.ward.of("Observation") if one.get("hasMember"))
    kept = {f"Observation/{v.id}" for v in loop.ward.arrived() if v.type == "Observation"}
    members = {one["reference"] for one in panel["hasMember"]}
    assert len(members & kept) == 10
    assert loop.ward.refusals() == []


def test_scores_without_answers_are_two_observations(loop: Loop) -> None:
    walk = loop.refer().to_enrolled("scores")
    walk.phq9()
    walk.note()
    loop.settle()
    assert loop.ward.counts() == {"Observation": 2}
    total = next(one for one in loop.ward.of("Observation") if "valueInteger" in one or "valueQuantity" in one)
    value = total.get("valueInteger", total.get("valueQuantity", {}).get("value"))
    assert value == 12


def test_three_workers_at_once_deliver_each_piece_once(loop: Loop) -> None:
    walks = [loop.refer(patient) for patient in ("p1", "p2", "p3")]
    for walk in walks:
        walk.to_enrolled(*ALL)
        walk.note()
        walk.phq9()
    more = [loop.house.worker() for _ in range(2)]
    with ThreadPoolExecutor(3) as threads:
        for _ in range(20):
            list(threads.map(lambda one: one.drain(), (loop.worker, *more)))
            if not loop.waiting():
                break
            loop.clock.skip(2)
    for worker in more:
        worker.outbox.close()
    whole = {"Encounter": 1, "Procedure": 1, "DocumentReference": 1, "QuestionnaireResponse": 1, "Observation": 11}
    assert [loop.ward.counts(patient) for patient in ("p1", "p2", "p3")] == [whole] * 3
    assert doubled(loop) == []
    assert [loop.ward.shown(task)[-1] for task in ("t1", "t2", "t3")] == [("completed", "Working together")] * 3
    assert loop.ward.refusals() == []


def test_a_token_of_the_hospital_that_ran_out_or_was_forgotten_is_asked_for_again(loop: Loop) -> None:
    walk = loop.refer().to_enrolled("attendance")
    loop.settle()
    loop.clock.skip(3600)
    loop.leave()
    walk.note(ago=60)
    loop.settle()
    assert loop.ward.refusals() == []  # known to be too old, and renewed before
    loop.ward.hospital.authority._tokens.clear()
    walk.note(ago=30)
    loop.settle()
    assert {one.status for one in loop.ward.refusals()} == {401}
    assert loop.ward.counts() == {"Encounter": 2, "Procedure": 2}


# -- a group ----------------------------------------------------------------------------------------------------


def test_nobody_in_a_group_is_named_in_anothers_chart(loop: Loop) -> None:
    ines = loop.alone("Ines", "Calder")
    walks = {"p1": loop.refer("p1").to_enrolled(*THREE), "p2": loop.refer("p2")}
    walks["p2"].to_proposed()
    walks["p2"].own("choose", {"peer_id": walks["p1"].now().peer_id or ""})
    walks["p2"].peer = walks["p1"].peer
    walks["p2"].act("accept")
    walks["p2"].act("contact", channel="phone", outcome="answered")
    walks["p2"].note(ago=90, keep=True)
    walks["p2"].share(*THREE)
    walks["p2"].act("enrol")
    loop.settle()
    alone = loop.alone("Omar", "Field", walks["p1"].peer)
    people = [walks["p1"].person_id, walks["p2"].person_id, alone]
    loop.group(walks["p1"].peer, people)
    loop.settle()
    assert loop.ward.counts("p1") == loop.ward.counts("p2") == {"Encounter": 1, "DocumentReference": 1, "Procedure": 1}
    names = {"p1": ("Marisol", "Vega", "MRN-1001"), "p2": ("Tomas", "Birch", "MRN-1002")}
    groups, numbers = loop.group_keys(), {p: loop.meeting_numbers(w.person_id) for p, w in walks.items()}
    assert len(groups) == 1
    numbers["nobody"] = loop.meeting_numbers(alone)
    everything = loop.ward.words()
    for words in ("Omar", "Field", "Ines", "Calder", ines, alone, *groups, *numbers["nobody"]):
        assert words not in everything
    for one, other in (("p1", "p2"), ("p2", "p1")):
        chart = loop.ward.words(one)
        for words in (*names[other], f"Patient/{other}", walks[other].person_id, *numbers[other]):
            assert words not in chart, f"{one} names {other}"
    starts = {tuple(one["period"].values()) for p in ("p1", "p2") for one in loop.ward.of("Encounter", p)}
    assert len(starts) == 1  # it was the same hour all the same


# -- the person's own choice --------------------------------------------------------------------------------------


def test_a_stop_before_they_work_together_closes_the_order_and_cancels_what_waits(loop: Loop) -> None:
    walk = loop.refer().to_met()
    walk.share(*THREE)
    loop.settle()
    walk.note()
    assert loop.waiting() == 3
    walk.stop()
    loop.settle()
    assert loop.ward.shown()[-1] == CLOSED
    assert loop.ward.task()["statusReason"] == {"text": "Referral closed."}
    assert loop.ward.counts() == {}
    assert sum(1 for _, _, state, reason in loop.owed() if (state, reason) == ("cancelled", "consent-withdrawn")) == 3


def test_a_narrower_choice_holds_for_what_waits_and_a_wider_one_for_what_comes(loop: Loop) -> None:
    walk = loop.refer().to_enrolled(*ALL)
    loop.settle()
    walk.note(ago=60)
    walk.phq9()
    walk.share("attendance", "scores")
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 1, "Procedure": 1, "Observation": 2}
    cancelled = [
        piece for piece, _, state, reason in loop.owed() if (state, reason) == ("cancelled", "consent-narrowed")
    ]
    assert sorted(cancelled) == sorted(["summary", "response", *["item"] * 9])
    walk.share("attendance", "summary", "scores")
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 1, "Procedure": 1, "Observation": 2}  # not released afterwards
    walk.note(ago=30)
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 2, "Procedure": 2, "Observation": 2, "DocumentReference": 1}


def test_someone_who_stopped_may_start_again_with_a_new_order(loop: Loop) -> None:
    first = loop.refer().to_enrolled(*THREE)
    first.note()
    loop.settle()
    first.stop()
    loop.settle()
    closed = loop.ward.task("t1")
    again = loop.refer()
    assert again.person_id == first.person_id
    first.share()  # they start again, with nothing let out
    again.to_met()
    loop.settle()
    assert loop.ward.counts() == {"Encounter": 1, "Procedure": 1, "DocumentReference": 1}
    again.share("attendance")
    again.note(ago=30)
    again.act("enrol")
    loop.settle()
    assert loop.ward.shown("t2")[-1] == ("completed", "Working together")
    assert loop.ward.counts() == {"Encounter": 2, "Procedure": 2, "DocumentReference": 1}
    assert loop.ward.task("t1") == closed
    assert doubled(loop) == []
