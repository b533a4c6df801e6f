from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest
from sqlalchemy import select, update

from peerfhir.clock import SystemClock
from peerfhir.config import EndpointAuth
from peerfhir.outbox import breaker, parked
from peerfhir.outbox.deliver import Outbox
from peerfhir.outbox.ehr import Ehr
from peerfhir.outbox.prepared import Prepared
from peerfhir.pathway.consent import Decision
from peerfhir.pathway.vocabulary import Piece
from peerfhir.records import audit as audits
from peerfhir.records import owed
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import attempt, audit, endpoint_state, lane, outbox_message, remote
from tests.support.ehr import CONDITIONAL, NEITHER, PERSONALITIES, SEARCH_ONLY, FakeEhr, Faults
from tests.support.owing import PROGRAM, SYSTEM, PlainRender, always, drain, endpoint_at, outbox_of, owe, rows, states


def one(engine, query):
    with reading(engine) as connection:
        return connection.execute(query).one()


def many(engine, query):
    with reading(engine) as connection:
        return list(connection.execute(query))


def attempts(engine):
    return many(engine, select(attempt).order_by(attempt.c.id))


def test_what_is_owed_arrives_once_with_its_address_kept(engine, clock):
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        assert drain(outbox) == 1
        outbox.close()
        assert hospital.arrived() == {"E-1": 1}
        (said,) = hospital.writes()
    row = one(engine, select(outbox_message))
    assert (row.state, row.reason, row.form, row.rung, row.method, row.target) == (
        "done", None, "Observation", 1, "POST", "Observation",
    )  # fmt: skip
    assert row.body == said.body
    assert row.grant_id == "grant-1"
    assert said.headers["if-none-exist"] == f"identifier={SYSTEM}|E-1"
    assert said.headers["x-request-id"] == "x-E-1"
    kept = one(engine, select(remote))
    assert (kept.local, kept.reference, kept.etag) == ("E-1:encounter", "Observation/h1", 'W/"1"')
    (tried,) = attempts(engine)
    assert (tried.n, tried.on_wire, tried.verdict, tried.status, tried.late) == (1, True, "done", 201, False)
    lanes = one(engine, select(lane))
    assert (lanes.head_id, lanes.lease_owner, lanes.lease_until) == (None, None, None)


def test_the_attempt_is_on_disk_before_the_wire(engine, clock):
    """What a worker that dies on the wire leaves behind: lease, attempt, bytes, disclosure."""
    seen = {}
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")

        def look(said):
            if said.method == "POST":
                seen["attempt"] = attempts(engine)[0]
                seen["row"] = one(engine, select(outbox_message))
                seen["lane"] = one(engine, select(lane))
                seen["audit"] = many(engine, select(audit))

        hospital.script = look
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        outbox.close()
    assert (seen["attempt"].n, seen["attempt"].on_wire, seen["attempt"].verdict) == (1, True, None)
    assert (seen["row"].state, seen["row"].attempts) == ("leased", 1)
    assert seen["row"].body_sha256
    assert seen["row"].mapping_sha256
    assert (seen["lane"].lease_owner, seen["lane"].lease_epoch) == ("w1", 1)
    (entry,) = seen["audit"]
    assert (entry.action, entry.outcome, entry.person_id, entry.actor) == ("disclose", "ok", "person-1", "w1")
    with reading(engine) as connection:
        assert audits.verify(connection) is None


def test_one_persons_messages_go_out_in_order_and_others_do_not_wait_for_them(engine, clock):
    numbers = [(f"{person}-{n}", f"person-{person}") for n in range(5) for person in "abc"]
    with FakeEhr(faults=Faults(before=0.4), seed=11) as hospital:
        for number, person in numbers:
            owe(engine, clock, number, person=person)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        for _ in range(200):
            if not drain(outbox):
                clock.move(hours=1)
            if set(states(engine).values()) == {"done"}:
                break
        outbox.close()
        arrived = [one["identifier"][0]["value"] for one in hospital.all_of("Observation")]
    assert sorted(arrived) == sorted(number for number, _ in numbers)
    for person in "abc":
        mine = [number for number in arrived if number.startswith(person)]
        assert mine == sorted(mine)


def test_consent_is_asked_before_bytes_are_made_and_again_before_they_leave(engine, clock):
    asked = []

    def changes_its_mind(connection, message, endpoint, now):
        asked.append(now)
        return Decision(len(asked) < 2, "withdrawn" if len(asked) >= 2 else "granted")

    render = PlainRender()
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), render, may_send=changes_its_mind)
        drain(outbox)
        outbox.close()
        assert hospital.writes() == []
    assert (len(asked), render.calls) == (2, 1)
    row = one(engine, select(outbox_message))
    assert (row.state, row.reason, row.body) == ("cancelled", "withdrawn", None)


def test_a_withdrawn_person_stops_what_is_waiting_and_no_bytes_are_made(engine, clock):
    render = PlainRender()
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1", person="stays")
        owe(engine, clock, "E-2", person="left")
        owe(engine, clock, "E-3", person="left")

        def stopped(connection, message, endpoint, now):
            return Decision(message.person_id == "stays", "sharing-stopped")

        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), render, may_send=stopped)
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-1": 1}
    assert states(engine) == {"E-1:encounter": "done", "E-2:encounter": "cancelled", "E-3:encounter": "cancelled"}
    assert render.calls == 1
    denied = many(engine, select(audit).where(audit.c.outcome == "denied"))
    assert [(entry.action, entry.person_id) for entry in denied] == [("cancel", "left")] * 2


def test_what_is_cancelled_while_it_is_on_the_wire_is_not_tried_again(engine, clock):
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")

        def withdraw_meanwhile(said):
            if said.method == "POST":
                with writing(engine) as connection:
                    owed.cancel(connection, PROGRAM, "person-1", "withdrawn", clock.now())
                return 503, {}, b""
            return None

        hospital.script = withdraw_meanwhile
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        clock.move(hours=80)
        drain(outbox)
        outbox.close()
        assert len(hospital.writes()) == 1
    row = one(engine, select(outbox_message))
    assert (row.state, row.reason, row.body) == ("cancelled", "withdrawn", None)
    assert "may have arrived" in row.advice


@pytest.mark.parametrize("personality", PERSONALITIES)
@pytest.mark.parametrize("happens", ["written then dropped", "written then 503"])
def test_a_write_that_was_applied_without_a_word_is_never_doubled(engine, clock, personality, happens):
    with FakeEhr(personality=personality) as hospital:
        owe(engine, clock, "E-1")
        hospital.faults = Faults(dropped=1.0) if "dropped" in happens else Faults(after=1.0)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        assert drain(outbox) == 1
        assert hospital.arrived() == {"E-1": 1}
        hospital.faults = Faults()
        clock.move(hours=2)
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-1": 1}
        writes = len(hospital.writes())
    row = one(engine, select(outbox_message))
    if personality == NEITHER:
        assert (row.state, row.reason, writes) == ("parked", "ambiguous", 1)
        assert "look in the chart" in row.advice
    else:
        assert row.state == "done"
        assert writes == (2 if personality == CONDITIONAL else 1)
        assert one(engine, select(remote.c.reference)) == ("Observation/h1",)


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_a_worker_that_died_on_the_wire_leaves_a_doubt_that_the_next_one_settles(engine, personality):
    """The bytes may or may not have arrived; here they had not."""
    clock = SystemClock()
    with FakeEhr(personality=personality) as hospital:
        endpoint = endpoint_at(hospital.url, lease_seconds=0.2)
        owe(engine, clock, "E-1")
        died = outbox_of(engine, clock, endpoint, owner="died")

        class Killed(BaseException):
            pass

        def killed(*args, **kwargs):
            raise Killed

        exchange = died._lines[0].courier._ehr.exchange
        died._lines[0].courier._ehr.exchange = lambda method, *rest, **named: (
            killed() if method == "POST" else exchange(method, *rest, **named)
        )
        died.run_once()
        died.close()
        assert attempts(engine)[0].verdict is None
        assert hospital.writes() == []
        threading.Event().wait(0.3)
        outbox = outbox_of(engine, clock, endpoint, owner="w2")
        drain(outbox)
        outbox.close()
        arrived = hospital.arrived()
    row = one(engine, select(outbox_message))
    if personality == NEITHER:
        assert (row.state, row.reason, arrived) == ("parked", "ambiguous", {})
    else:
        assert (row.state, arrived) == ("done", {"E-1": 1})


def test_every_attempt_sends_the_same_bytes(engine, clock):
    render = PlainRender()
    with FakeEhr(faults=Faults(before=1.0)) as hospital:
        owe(engine, clock, "E-1")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), render)
        for turn in range(4):
            render.mark = f"the mapping was changed {turn} times"
            drain(outbox)
            clock.move(hours=1)
        hospital.faults = Faults()
        drain(outbox)
        outbox.close()
        bodies = {said.body for said in hospital.writes()}
        assert len(hospital.writes()) == 5
    assert len(bodies) == 1
    assert render.calls == 1
    assert one(engine, select(outbox_message.c.body)).body in bodies


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed_to_the_second(engine, clock, form, status):
    with FakeEhr() as hospital:
        until = (clock.now() + timedelta(seconds=37)).replace(microsecond=0)
        header = "37" if form == "seconds" else format_datetime(until, usegmt=True)
        owe(engine, clock, "E-1", person="a")
        hospital.script = lambda said: (status, {"Retry-After": header}, b"") if said.method == "POST" else None
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        hospital.script = None
        owe(engine, clock, "E-2", person="b")  # the endpoint waits, not only the message
        waited = timedelta(seconds=37) if form == "seconds" else until - clock.now()
        clock.move(seconds=(waited - timedelta(milliseconds=10)).total_seconds())
        assert drain(outbox) == 0
        clock.move(seconds=1.0)
        assert drain(outbox) == 2
        outbox.close()
        assert hospital.arrived() == {"E-1": 1, "E-2": 1}


def test_a_hospital_that_is_down_for_three_days_loses_nothing_and_is_then_left_to_people(engine, clock):
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1", hours=72)
        endpoint = endpoint_at(hospital.url)
        outbox = outbox_of(engine, clock, endpoint)
        drain(outbox)
        owe(engine, clock, "E-2", person="b", hours=72)
        hospital.down = True
        begun = clock.now()
        while states(engine)["E-2:encounter"] == "ready":
            state = one(engine, select(endpoint_state.c.open_until))
            (due,) = one(engine, select(lane.c.head_due).where(lane.c.order_key == "b"))
            clock.move(seconds=(max(due, state.open_until or due) - clock.now()).total_seconds())
            drain(outbox)
            assert clock.now() - begun < timedelta(hours=80)
        outbox.close()
        assert timedelta(hours=72) <= clock.now() - begun
    row = rows(engine)[-1]
    assert (row.state, row.reason) == ("parked", "gave-up")
    assert row.attempts > 40


def test_a_poison_message_stops_only_itself(engine, clock):
    render = PlainRender(broken={"E-bad"})
    with FakeEhr() as hospital:
        for n in range(20):
            owe(engine, clock, f"E-{n}", person=f"person-{n % 4}")
        owe(engine, clock, "E-bad", person="person-1")
        owe(engine, clock, "E-after", person="person-1")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), render)
        drain(outbox)
        assert len(hospital.arrived()) == 21
        (bad,) = [row for row in rows(engine) if row.idem == "E-bad:encounter"]
        assert (bad.state, bad.reason, bad.advice) == (
            "parked", "mapping-failed", "plain.map.yaml:3:1: A rule found nothing.",
        )  # fmt: skip
        before = {row.idem: row.body for row in rows(engine) if row.state == "done"}
        render.broken.clear()
        parked.rerun(engine, clock, PROGRAM, bad.id)
        drain(outbox)
        outbox.close()
        assert hospital.arrived()["E-bad"] == 1
    assert before.items() <= {row.idem: row.body for row in rows(engine) if row.state == "done"}.items()


def test_a_fault_of_our_own_in_one_message_parks_it_and_the_others_go_on(engine, clock):
    class Odd(PlainRender):
        def __call__(self, connection, message, endpoint, offer):
            if message.idem.startswith("E-odd"):
                raise ZeroDivisionError("a name could stand here")
            return super().__call__(connection, message, endpoint, offer)

    with FakeEhr() as hospital:
        owe(engine, clock, "E-odd")
        owe(engine, clock, "E-2")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), Odd())
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-2": 1}
    row = rows(engine)[0]
    assert (row.state, row.reason, row.advice) == ("parked", "unexpected", "ZeroDivisionError")


def test_what_the_hospital_refuses_is_parked_with_its_issues_and_without_its_words(engine, clock):
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "invalid",
                "diagnostics": "Marisol Vega has no such thing",
                "details": {"text": "Vega"},
                "expression": ["Observation.code", "Patient.name.where(family='Vega')"],
            }
        ],
    }
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")
        answer = (422, {"Content-Type": "application/fhir+json"}, json.dumps(outcome).encode())
        hospital.script = lambda said: answer if said.method == "POST" else None
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        outbox.close()
    row = one(engine, select(outbox_message))
    assert (row.state, row.reason) == ("parked", "refused")
    assert json.loads(row.outcome)["issue"] == [
        {"severity": "error", "code": "invalid", "expression": ["Observation.code"]}
    ]
    assert b"Vega" not in row.outcome


def test_a_status_is_written_on_top_of_what_the_hospital_has_with_its_version(engine, clock):
    with FakeEhr(body_in_answers=True) as hospital:
        task = hospital.put_in({"resourceType": "Task", "id": "t1", "status": "requested", "priority": "urgent"})
        render = PlainRender(tasks={"PF-1": task})
        for version in (1, 2, 3):
            owe(engine, clock, "PF-1", piece=Piece.STATUS, version=version)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), render)
        drain(outbox)
        outbox.close()
        puts = hospital.writes()
        latest = hospital.latest("Task", "t1")
    assert [said.headers["if-match"] for said in puts] == ['W/"1"', 'W/"2"', 'W/"3"']
    assert latest["priority"] == "urgent"
    assert [note["text"] for note in latest["note"]] == ["version 1", "version 2", "version 3"]
    assert one(engine, select(remote.c.local, remote.c.etag)) == ("Task/our-PF-1", 'W/"4"')


def test_a_status_that_meets_another_writer_is_read_again_and_sent_again(engine, clock):
    with FakeEhr() as hospital:
        task = hospital.put_in({"resourceType": "Task", "id": "t1", "status": "requested"})
        meddled = []

        def meddle(said):
            if said.method == "PUT" and not meddled:
                meddled.append(said)
                hospital._update(
                    replace(said, headers={}, body=b'{"resourceType":"Task","id":"t1","owner":{}}'), ["Task", "t1"]
                )

        hospital.script = meddle
        owe(engine, clock, "PF-1", piece=Piece.STATUS)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), PlainRender(tasks={"PF-1": task}))
        drain(outbox)
        clock.move(seconds=5)
        drain(outbox)
        outbox.close()
        latest = hospital.latest("Task", "t1")
    assert latest["owner"] == {}, "what the other writer wrote is kept"
    assert [note["text"] for note in latest["note"]] == ["version 1"]
    assert [one.status for one in attempts(engine)] == [412, 200]
    assert states(engine) == {"PF-1:status:1": "done"}


@pytest.mark.parametrize("faults", [Faults(dropped=1.0), Faults(after=1.0)])
def test_a_status_that_was_applied_without_a_word_is_recognised(engine, clock, faults):
    with FakeEhr(faults=faults) as hospital:
        task = hospital.put_in({"resourceType": "Task", "id": "t1", "status": "requested"})
        owe(engine, clock, "PF-1", piece=Piece.STATUS)
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), PlainRender(tasks={"PF-1": task}))
        drain(outbox)
        clock.move(hours=1)
        drain(outbox)
        outbox.close()
        assert len(hospital.writes()) == 1
        assert len(hospital.versions_of("Task", "t1")) == 2
    assert states(engine) == {"PF-1:status:1": "done"}


def test_an_endpoint_that_refuses_our_token_pauses_with_one_message_parked(engine, clock):
    with FakeEhr(tokens=True) as hospital:
        for n in range(5):
            owe(engine, clock, f"E-{n}")
        auth = EndpointAuth("client-secret", hospital.token_url, "us", "secret")
        hospital.script = lambda said: (401, {}, b"") if said.path == "/token" else None
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url, auth=auth))
        drain(outbox)
        clock.move(hours=5)
        drain(outbox)
        found = states(engine)
        assert list(found.values()) == ["parked", "ready", "ready", "ready", "ready"]
        state = one(engine, select(endpoint_state))
        assert (state.paused, state.pause_reason) == (True, "auth")
        hospital.script = None
        parked.rerun(engine, clock, PROGRAM, rows(engine)[0].id)  # the operator has mended the secret
        drain(outbox)
        outbox.close()
        assert len(hospital.arrived()) == 5
    assert one(engine, select(endpoint_state.c.paused)) == (False,)


def test_a_hospital_without_a_readable_statement_makes_everything_wait_and_parks_nothing(engine, clock):
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")
        hospital.script = lambda said: (404, {}, b"") if said.path.endswith("metadata") else None
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        assert states(engine) == {"E-1:encounter": "ready"}
        hospital.script = None
        clock.move(minutes=20)
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-1": 1}


def test_a_dry_run_renders_and_sends_nothing(engine, clock):
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")
        endpoint = endpoint_at(hospital.url)
        render = PlainRender()
        dry = outbox_of(engine, clock, replace(endpoint, live=False), render)
        for _ in range(3):
            dry.run_once()
            clock.move(minutes=5)
        dry.close()
        assert hospital.writes() == []
        row = one(engine, select(outbox_message))
        assert (row.state, row.reason, row.form) == ("ready", "dry-run", "Observation")
        assert b"first" in row.body
        assert many(engine, select(audit)) == []
        render.mark = "second"
        live = outbox_of(engine, clock, endpoint, render)
        drain(live)
        live.close()
        (said,) = hospital.writes()
        assert b"second" in said.body


def test_a_piece_that_is_kept_is_done_without_the_wire(engine, clock):
    class Keeps(PlainRender):
        def __call__(self, connection, message, endpoint, offer):
            return Prepared("kept", 4, "the hospital offers no create of Encounter: the meeting stands on our own API")

    with FakeEhr() as hospital:
        owe(engine, clock, "E-1")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url), Keeps())
        drain(outbox)
        outbox.close()
        assert hospital.writes() == []
    row = one(engine, select(outbox_message))
    assert (row.state, row.form, row.rung, row.reason) == ("done", "kept", 4, "kept")
    assert "no create of Encounter" in row.rung_reason


def test_a_create_that_the_statement_promised_and_the_server_refuses_is_parked_and_the_statement_read_again(
    engine, clock
):
    with FakeEhr(refused_types=frozenset({"Observation"})) as hospital:
        owe(engine, clock, "E-1")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        outbox.close()
    row = one(engine, select(outbox_message))
    assert (row.state, row.reason) == ("parked", "not-offered")
    assert one(engine, select(endpoint_state.c.capability_at)) == (None,)


def test_a_worker_that_is_told_to_stop_leases_nothing_and_gives_back_what_it_has_not_sent(engine, clock):
    with FakeEhr(faults=Faults(latency=(0.3, 0.3))) as hospital:
        for n in range(4):
            owe(engine, clock, f"E-{n}", person=f"p{n}")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url, max_in_flight=4))
        outbox.run_once(patience=0.1)
        owe(engine, clock, "E-later", person="later")
        assert outbox.close(5.0)
        outbox.run_once()
        assert sorted(states(engine).values()) == ["done"] * 4 + ["ready"]
        with reading(engine) as connection:
            assert connection.execute(select(lane.c.lease_owner)).scalars().all() == [None] * 5


def test_a_slow_hospital_does_not_hold_up_another(engine):
    clock = SystemClock()
    answers = threading.Event()

    def slowly(said):
        if said.method == "POST":
            answers.wait(10)

    with FakeEhr(script=slowly) as slow, FakeEhr() as fast:
        endpoints = {"slow": endpoint_at(slow.url, id="slow"), "fast": endpoint_at(fast.url, id="fast")}
        owe(engine, clock, "S-1", endpoint="slow", person="s")
        for n in range(10):
            owe(engine, clock, f"F-{n}", endpoint="fast", person="f")
        outbox = Outbox(engine, clock, endpoints, lambda one: Ehr(one, clock), PlainRender(), always, "w1")
        for _ in range(200):
            outbox.run_once(patience=0.05)
            if len(fast.arrived()) == 10:
                break
        assert len(fast.arrived()) == 10
        assert slow.arrived() == {}
        answers.set()
        outbox.run_once()
        assert outbox.close()
        assert slow.arrived() == {"S-1": 1}


def test_the_statement_is_read_once_a_day(engine, clock):
    with FakeEhr() as hospital:
        endpoint = endpoint_at(hospital.url)

        def reads():
            return sum(said.path.endswith("metadata") for said in hospital.said)

        for hour in range(0, 48, 6):
            owe(engine, clock, f"E-{hour}")
            outbox = outbox_of(engine, clock, endpoint)
            drain(outbox)
            outbox.close()
            assert reads() == 1 + hour // 24
            clock.move(hours=6)


def test_two_programs_never_meet(engine, clock):
    """An endpoint belongs to one program; a row of another that names it stays where it is."""
    with FakeEhr() as hospital:
        owe(engine, clock, "E-ours")
        owe(engine, clock, "E-theirs", program="p2")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-ours": 1}
    assert states(engine)["E-theirs:encounter"] == "ready"


def test_a_paused_endpoint_and_a_paused_lane_wait(engine, clock):
    with FakeEhr() as hospital:
        owe(engine, clock, "E-1", person="a")
        owe(engine, clock, "E-2", person="b")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        with writing(engine) as connection:
            breaker.pause(connection, "h1", "asked to")
        assert drain(outbox) == 0
        with writing(engine) as connection:
            assert breaker.resume(connection, "h1")
            connection.execute(update(lane).where(lane.c.order_key == "a").values(paused=True))
        drain(outbox)
        outbox.close()
        assert hospital.arrived() == {"E-2": 1}


def test_after_a_row_of_failures_the_breaker_lets_one_lane_ahead(engine, clock):
    with FakeEhr() as hospital:
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        owe(engine, clock, "E-0")
        drain(outbox)
        for n in range(1, 9):
            owe(engine, clock, f"E-{n}", person=f"p{n}")
        hospital.down = True
        drain(outbox)
        state = one(engine, select(endpoint_state))
        assert state.breaker == "open"
        before = len(hospital.writes())
        clock.move(hours=1)
        drain(outbox)
        assert len(hospital.writes()) == before + 1, "one probe, and it failed"
        hospital.down = False
        clock.move(hours=1)
        assert outbox.run_once() == 1
        assert one(engine, select(endpoint_state.c.breaker, endpoint_state.c.failures)) == ("closed", 0)
        drain(outbox)
        outbox.close()
        assert len(hospital.arrived()) == 9


def test_no_more_is_sent_than_the_bucket_holds(engine, clock):
    with FakeEhr() as hospital:
        for n in range(12):
            owe(engine, clock, f"E-{n}", person=f"p{n}")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url, rate_per_second=2.0, burst=3))
        assert drain(outbox) == 3
        clock.move(seconds=1)
        assert drain(outbox) == 2
        clock.move(seconds=0.4)
        assert drain(outbox) == 0
        clock.move(seconds=0.1)
        assert drain(outbox) == 1
        clock.move(hours=1)
        assert drain(outbox) == 3
        outbox.close()


def test_search_before_a_resend_believes_only_our_own_identifier(engine, clock):
    """A server that ignores the parameter answers with everything it has: that proves nothing, and nothing is sent."""
    with FakeEhr(personality=SEARCH_ONLY, faults=Faults(after=1.0)) as hospital:
        owe(engine, clock, "E-1")
        outbox = outbox_of(engine, clock, endpoint_at(hospital.url))
        drain(outbox)
        others = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": {"resourceType": "Observation", "id": "x"}}],
        }
        hospital.script = lambda said: (200, {}, json.dumps(others).encode()) if "identifier=" in said.path else None
        clock.move(hours=1)
        drain(outbox)
        outbox.close()
        assert len(hospital.writes()) == 1
    row = one(engine, select(outbox_message))
    assert (row.state, row.reason) == ("parked", "ambiguous")
