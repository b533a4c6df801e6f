from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from peerfhir.errors import MappingFailed
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.vocabulary import Status, TaskStatus
from peerfhir.records import audit, projection, referrals
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import inbox_message, lane, outbox_message
from tests.support import doors

CANARY = "Marisol Vega"


@pytest.fixture
def operator(web_app, lite, clock):
    return doors.speaker(web_app, lite, clock, endpoint=None, scope="admin system/*.r")


@pytest.fixture
def kept(web_app, lite, clock, operator) -> str:
    """One parked order in alpha, with a name in its bytes, and one in beta."""
    hospital = doors.speaker(web_app, lite, clock)
    order = doors.order()
    order["entry"][0]["resource"]["name"] = [{"text": CANARY}]
    assert hospital.post("/fhir", order).status_code == 200
    other = doors.speaker(web_app, lite, clock, program="beta", endpoint="hilltop")
    assert other.post("/fhir", doors.order()).status_code == 200
    with writing(lite) as connection:
        connection.execute(update(inbox_message).values(state="parked", reason="mapping-failed", advice="Mend it."))
        return connection.execute(select(inbox_message.c.id).where(inbox_message.c.program_id == "alpha")).scalar_one()


@pytest.fixture
def owed(lite, clock) -> int:
    with writing(lite) as connection:
        for number, program in enumerate(("alpha", "beta"), 1):
            connection.execute(
                insert(lane).values(
                    id=number, program_id=program, endpoint="riverside", order_key="p1", lease_epoch=0, attempts=0,
                    paused=False,
                )
            )  # fmt: skip
            connection.execute(
                insert(outbox_message).values(
                    id=number, program_id=program, lane_id=number, endpoint="riverside", idem="E-1:summary",
                    piece="summary", share_class="summary", person_id="p1", record_type="encounter", record_id="e1",
                    record_version=1, state="parked", reason="refused", advice="Look.", body=CANARY.encode(),
                    attempts=3, created_at=clock.now(), horizon_at=clock.now(), parent_id=0,
                )
            )  # fmt: skip
    return 1


def test_messages_are_listed_without_what_is_in_them(operator, kept, owed):
    inbox = operator.get("/admin/inbox?state=parked").json["messages"]
    assert [one["id"] for one in inbox] == [kept]
    assert (inbox[0]["reason"], inbox[0]["advice"], inbox[0]["source"]) == ("mapping-failed", "Mend it.", "riverside")
    outbox = operator.get("/admin/outbox?endpoint=riverside&state=parked").json["messages"]
    assert [(one["id"], one["idem"]) for one in outbox] == [(owed, "E-1:summary")]
    assert operator.get("/admin/outbox?state=done").json["messages"] == []
    assert operator.get("/admin/outbox?state=held").json["messages"] == []
    for path in ("/admin/inbox", "/admin/outbox", f"/admin/inbox/{kept}", f"/admin/outbox/{owed}"):
        answer = operator.get(path)
        assert answer.status_code == 200
        assert CANARY not in answer.text
        assert "person_id" not in answer.text


def test_content_needs_a_scope_of_its_own_and_is_written_down(web_app, lite, clock, operator, kept, owed):
    plain = doors.speaker(web_app, lite, clock, endpoint=None, scope="admin")
    for path in (f"/admin/inbox/{kept}", f"/admin/outbox/{owed}"):
        assert plain.get(path).status_code == 200
        assert plain.get(f"{path}?content=true").status_code == 403
        answer = operator.get(f"{path}?content=true")
        assert CANARY in answer.json["content"]
    with reading(lite) as connection:
        reads = [one.subject for one in audit.latest(connection, "alpha") if one.action == "read"]
    assert reads == [f"outbox/{owed}", f"inbox/{kept}"]


def test_a_parked_message_is_run_again_once(operator, kept, owed, lite):
    answer = operator.web.post(f"/admin/inbox/{kept}/rerun", headers=operator.headers())
    assert (answer.status_code, answer.json["state"]) == (200, "ready")
    assert operator.web.post(f"/admin/inbox/{kept}/rerun", headers=operator.headers()).status_code == 409
    answer = operator.web.post(f"/admin/outbox/{owed}/rerun?mode=current", headers=operator.headers())
    assert answer.status_code == 200, answer.text
    assert answer.json["parent"] == owed != answer.json["id"]
    assert operator.get(f"/admin/outbox/{answer.json['id']}").json["state"] == "ready"
    assert operator.web.post(f"/admin/outbox/{owed}/rerun", headers=operator.headers()).status_code == 409
    with reading(lite) as connection:
        lines = [one.subject for one in audit.latest(connection, "alpha") if one.action == "rerun"]
    assert lines == [f"outbox/{owed}", f"inbox/{kept}"]


def test_a_parked_projection_is_run_again_too(lite, clock):
    """Its row keeps its id; while the mapping still fails it stays parked, and says so."""
    broken = [True]

    def project(record, context):
        if broken:
            raise MappingFailed("A rule found nothing.", place="referral.map.yaml:3:1")
        return ()

    web = doors.app(lite, clock, project=project)
    operator = doors.speaker(web, lite, clock, endpoint=None, scope="admin")
    story = Referral("r1", "alpha", "p1", "PF-000001", Status.RECEIVED, TaskStatus.REQUESTED)
    with writing(lite) as connection:
        saved = referrals.save(connection, story, clock.now())
        projection.park(connection, "referral", saved, MappingFailed("Nothing."), clock.now(), None)
    (row,) = operator.get("/admin/outbox?state=parked").json["messages"]
    for state in ("parked", "done"):
        answer = operator.web.post(f"/admin/outbox/{row['id']}/rerun", headers=operator.headers())
        assert (answer.status_code, answer.json["id"]) == (200, row["id"]), answer.text
        assert operator.get(f"/admin/outbox/{row['id']}").json["state"] == state
        broken.clear()


def test_another_programs_messages_are_unknown(web_app, lite, clock, kept, owed):
    other = doors.speaker(web_app, lite, clock, program="beta", endpoint=None, scope="admin system/*.r")
    ids = {"inbox": (kept, "never-was"), "outbox": (owed, 999)}
    for queue, pair in ids.items():
        for what in ("", "?content=true"):
            said = {(other.get(f"/admin/{queue}/{one}{what}").status_code, other.get(f"/admin/{queue}/{one}{what}").text)
                    for one in pair}  # fmt: skip
            assert len(said) == 1
            assert said.pop()[0] == 404
        for one in pair:
            assert other.web.post(f"/admin/{queue}/{one}/rerun", headers=other.headers()).status_code == 404
    assert [one["source"] for one in other.get("/admin/inbox").json["messages"]] == ["hilltop"]


@pytest.mark.parametrize(
    "query", ["state=banana", "limit=0", "limit=501", "limit=x", "colour=blue", "state=ready&state=done", "content=1"]
)
def test_a_query_that_is_not_understood_names_the_parameter_and_not_its_value(operator, query):
    answer = operator.get(f"/admin/inbox?{query}")
    assert answer.status_code == 400
    assert "banana" not in answer.text
    assert "blue" not in answer.text
    assert operator.get(f"/admin/outbox?{query}").status_code == 400


def test_the_trace_tells_a_referrals_story_in_its_own_program_only(web_app, lite, clock, operator):
    story = Referral("r1", "alpha", "p1", "PF-000001", Status.RECEIVED, TaskStatus.REQUESTED)
    with writing(lite) as connection:
        referrals.save(connection, story, clock.now())
    other = doors.speaker(web_app, lite, clock, program="beta", endpoint=None, scope="admin system/*.r")
    for wanted in ("r1", "PF-000001"):
        (hop,) = operator.get(f"/admin/trace/{wanted}").json["hops"]
        assert (hop["kind"], hop["id"], hop["what"]) == ("referral", "PF-000001", "received")
        assert other.get(f"/admin/trace/{wanted}").status_code == 404
    assert operator.get("/admin/trace/never-was").status_code == 404
    assert operator.get("/admin/trace/r1?x=1").status_code == 400


def test_a_method_or_id_of_another_kind_is_not_there(operator):
    assert operator.get("/admin/outbox/abc").status_code == 404
    assert operator.get("/admin/inbox/x/rerun").status_code == 405
    assert operator.get("/admin").status_code == 404


@pytest.mark.parametrize("odd", ["%00", "x" * 65, "a%20b", "%F0%9F%90%9F", "a'--"])
def test_what_can_be_no_id_is_not_there_on_either_database(engine, clock, odd):
    speaker = doors.speaker(doors.app(engine, clock), engine, clock, endpoint=None, scope="admin system/*.r")
    for path in (f"/admin/inbox/{odd}", f"/admin/inbox/{odd}?content=true", f"/admin/trace/{odd}"):
        assert speaker.get(path).status_code == 404, path
    assert speaker.send("POST", f"/admin/inbox/{odd}/rerun", None).status_code == 404
    assert speaker.get(f"/admin/outbox?endpoint={odd}").status_code == 400
    with reading(engine) as connection:
        assert [one.action for one in audit.latest(connection, "alpha") if one.action in ("read", "rerun")] == []
