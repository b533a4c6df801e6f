"""Every door of the FHIR API, knocked at by those it is not open to: nothing comes out, not even that something is there."""

from __future__ import annotations

import base64
import json

import pytest
from sqlalchemy import select

from peerfhir.clock import SystemClock
from peerfhir.fhir.cursors import Cursor
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.store import Store
from peerfhir.fhir.tables import fhir_conditional_key, fhir_resource, fhir_version
from peerfhir.records import audit
from peerfhir.records.database import reading, writing
from tests.support import doors
from tests.support.grants import share_summaries

one_database = pytest.mark.parametrize("engine_url", ["sqlite"], indirect=True)  # where SQL makes no difference
SECRET = "Zzyzxperson"
MRN = "urn:mrn:secret"


@pytest.fixture
def app(engine, clock):
    return doors.app(engine, clock)


@pytest.fixture
def hospital(app, engine, clock) -> doors.Speaker:
    return doors.speaker(app, engine, clock)


def _everything(engine):
    with reading(engine) as connection:
        return [
            sorted(map(str, connection.execute(select(table)).all()))
            for table in (fhir_resource, fhir_version, fhir_conditional_key)
        ]


def _patient(number: str = "1") -> dict:
    return {
        "resourceType": "Patient", "identifier": [{"system": MRN, "value": number}], "birthDate": "1961-07-04",
        "name": [{"family": f"{SECRET}{number}", "given": ["Ana"]}], "gender": "female",
    }  # fmt: skip


@pytest.fixture
def chart(hospital) -> dict[str, str]:
    """What riverside sent: type -> id. The first Observation is deleted again."""
    who = hospital.post("/fhir/Patient", _patient()).json["id"]
    org = hospital.post("/fhir/Organization", {"resourceType": "Organization", "name": f"{SECRET} Clinic"}).json["id"]
    order = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order",
        "identifier": [{"system": "urn:order:secret", "value": "1"}],
        "subject": {"reference": f"Patient/{who}"}, "requester": {"reference": f"Organization/{org}"},
    }  # fmt: skip
    asked = hospital.post("/fhir/ServiceRequest", order).json["id"]
    task = {
        "resourceType": "Task", "status": "requested", "intent": "order", "authoredOn": "2026-11-21T10:00:00Z",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "identifier": [{"system": "urn:task:secret", "value": "1"}],
        "for": {"reference": f"Patient/{who}"}, "focus": {"reference": f"ServiceRequest/{asked}"},
        "requester": {"reference": f"Organization/{org}"},
    }  # fmt: skip
    sent = hospital.post("/fhir/Task", task)
    assert sent.status_code == 201, sent.text
    seen = {
        "resourceType": "Observation", "status": "final", "code": {"text": SECRET},
        "subject": {"reference": f"Patient/{who}"}, "valueQuantity": {"value": 7},
    }  # fmt: skip
    gone = hospital.post("/fhir/Observation", seen).json["id"]
    assert hospital.web.delete(f"/fhir/Observation/{gone}", headers=hospital.headers()).status_code == 204
    kept = hospital.post("/fhir/Observation", seen).json["id"]
    return {"Patient": who, "Organization": org, "ServiceRequest": asked, "Task": sent.json["id"], "Observation": kept,
            "gone": gone}  # fmt: skip


@pytest.fixture
def strangers(app, engine, clock) -> dict[str, doors.Speaker]:
    """Everybody else: another hospital and a tool of the program, two hospitals of another program."""
    return {
        "lakeside": doors.speaker(app, engine, clock, endpoint="lakeside"),
        "tool": doors.speaker(app, engine, clock, endpoint=None),
        "beta": doors.speaker(app, engine, clock, endpoint="hilltop", program="beta"),
        "beta, same endpoint name": doors.speaker(app, engine, clock, endpoint="riverside", program="beta"),
    }


def _reads(ids: dict[str, str]) -> list[str]:
    """Addresses that lead to one resource, by id."""
    found = [f"{kind}/{ids[kind]}{rest}" for kind in ids if kind != "gone" for rest in ("", "/_history", "/_history/1")]
    found += [f"Observation/{ids['gone']}{rest}" for rest in ("", "/_history", "/_history/1", "/_history/2")]
    return [*found, f"Patient/{ids['Patient']}/$everything", f"Task/{ids['Task']}?_elements=status"]


def _searches(ids: dict[str, str]) -> list[str]:
    """Searches that would find, count, sort by, lead to or bring along something of the chart."""
    who = ids["Patient"]
    found = [
        f"{kind}{more}"
        for kind in ids
        if kind != "gone"
        for more in ("", "?_summary=count", "/_history", "?_total=accurate")
    ]
    return [
        *found,
        f"Patient?family={SECRET}", f"Patient?identifier={MRN}|1", "Patient?birthdate=1961", f"Patient?_id={who}",
        "Patient?gender:not=male", "Patient?birthdate:missing=false", f"Patient?name:contains={SECRET}",
        "Patient?_sort=family,-birthdate", "Patient?_sort=-_lastUpdated&_count=1",
        f"Task?patient.family={SECRET}", f"Task?patient.identifier={MRN}|1", f"Task?subject:Patient._id={who}",
        f"Task?requester:Organization.name={SECRET}", "Task?focus.status=active", f"Task?patient={who}",
        f"Observation?subject.name={SECRET}", "Observation?value-quantity=7", "Observation?patient.birthdate=1961",
        "Task?_include=Task:focus&_include=Task:patient&_include:iterate=ServiceRequest:requester",
        f"Patient?_id={who}&_revinclude=Task:patient&_revinclude=Observation:patient",
        f"Patient/{who}/Task", f"Patient/{who}/Observation", f"Patient/{who}/ServiceRequest?_count=0",
    ]  # fmt: skip


def test_no_reading_door_opens_to_a_stranger(chart, strangers, hospital):
    crossings = asked = 0
    for name, stranger in strangers.items():
        for path in _reads(chart):
            made_up = path.replace(path.split("/")[1].split("?")[0], "never-was")
            said = [stranger.get(f"/fhir/{one}") for one in (path, made_up)]
            crossings += said[0].status_code < 400 or SECRET in said[0].text
            asked += 1
            assert {one.status_code for one in said} == {404}, (name, path)
            assert said[0].text == said[1].text, (name, path)  # hidden, deleted and unknown are answered alike
        for path in _searches(chart):
            answer = stranger.get(f"/fhir/{path}")
            assert answer.status_code == 200, (name, path, answer.text)
            links = json.dumps(answer.json.pop("link"))
            crossings += (
                bool(answer.json.get("entry"))
                or answer.json.get("total", 0) > 0
                or (SECRET in answer.text.replace(links, "") and SECRET not in path)
            )
            asked += 1
            assert "entry" not in answer.json, (name, path)
            assert not answer.json.get("total"), (name, path)
            assert '"next"' not in links, (name, path)
    print(f"{crossings} crossings of {asked}")
    assert crossings == 0
    assert asked > 200
    for path in _searches(chart):  # and each of these doors is one: it opens to the owner
        answer = hospital.get(f"/fhir/{path}")
        assert answer.json.get("entry") or answer.json.get("total"), path


def test_no_writing_door_opens_to_a_stranger(chart, strangers, engine):
    bodies = {
        "Patient": {**_patient(), "gender": "male"},
        "Organization": {"resourceType": "Organization", "name": "Mine"},
    }
    patch = [{"op": "add", "path": "/language", "value": "en"}]
    for name, stranger in strangers.items():
        before = _everything(engine)
        for kind in ("Patient", "Organization", "Task", "Observation", "ServiceRequest"):
            for ident in (chart[kind], "never-was"):
                path = f"/fhir/{kind}/{ident}"
                for headers in ({}, {"If_Match": 'W/"1"'}):
                    patched = stranger.send("PATCH", path, patch, **headers)
                    merged = stranger.send("PATCH", path, {"language": "en"}, **headers)
                    assert {patched.status_code, merged.status_code} == {404}, (name, kind)
                removed = stranger.web.delete(path, headers=stranger.headers())
                assert removed.status_code == (405 if kind == "Task" else 404), (name, kind)
                if kind in bodies:
                    assert stranger.put(path, {**bodies[kind], "id": ident}).status_code == 404
            batch = {"resourceType": "Bundle", "type": "batch", "entry": [
                {"request": {"method": "GET", "url": f"{kind}/{chart[kind]}"}},
                {"request": {"method": "GET", "url": f"{kind}/{chart[kind]}/_history"}},
                {"request": {"method": "DELETE", "url": f"{kind}/{chart[kind]}"}},
            ]}  # fmt: skip
            answers = stranger.post("/fhir", batch).json["entry"]
            assert [one["response"]["status"][:3] for one in answers] == [
                "404",
                "404",
                "405" if kind == "Task" else "404",
            ]
            whole = {**batch, "type": "transaction", "entry": batch["entry"][2:]}
            assert stranger.post("/fhir", whole).status_code == (422 if kind == "Task" else 404)
        assert _everything(engine) == before, name


@one_database
def test_a_conditional_update_of_a_stranger_makes_its_own_and_touches_nothing(chart, strangers, engine, hospital):
    before = hospital.get(f"/fhir/Patient/{chart['Patient']}").data
    for name, stranger in strangers.items():
        answer = stranger.put(f"/fhir/Patient?identifier={MRN}|1", {**_patient(), "gender": "other"})
        assert answer.status_code == 201, (name, answer.text)
        assert answer.json["id"] != chart["Patient"]
        again = stranger.put(f"/fhir/Patient?identifier={MRN}|1", {**_patient(), "gender": "unknown"})
        assert (again.status_code, again.json["id"]) == (200, answer.json["id"])
    assert hospital.get(f"/fhir/Patient/{chart['Patient']}").data == before


@one_database
def test_a_cursor_that_names_what_one_may_not_see_is_refused(chart, strangers):
    """The place of a hidden row in an order would tell its name or birthday."""
    for stranger in strangers.values():
        for number in ("2", "3"):
            stranger.post("/fhir/Patient", _patient(number))
        for ident in (chart["Patient"], "never-was"):
            answer = stranger.get(f"/fhir/Patient?_sort=birthdate&_after={Cursor('v', 1, ident)}")
            assert answer.status_code == 400
            assert "no longer there" in answer.text


@one_database
def test_no_next_link_holds_what_a_search_was_sorted_by(hospital):
    for number in range(6):
        hospital.post("/fhir/Patient", _patient(str(number)))
    path, seen = "/fhir/Patient?_sort=-family&_count=2", []
    while path:
        answer = hospital.get(path).json
        seen += [one["resource"]["name"][0]["family"] for one in answer["entry"]]
        links = {one["relation"]: one["url"] for one in answer["link"]}
        path = links.get("next", "").removeprefix(doors.BASE)
        if path:
            token = path.split("_after=")[1]
            plain = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
            assert SECRET.lower() not in plain.lower()
    assert seen == [f"{SECRET}{number}" for number in range(5, -1, -1)]


@pytest.fixture
def shared(engine, clock) -> None:
    """A person of riverside's with a grant for summaries: one note under it, one score outside it."""
    with writing(engine) as connection:
        share_summaries(connection, clock)
        store = Store(connection, "alpha", clock)
        store.create({"resourceType": "Patient", "gender": "other"}, Labels(None, "p1", "summary"), id="whom")
        note = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"title": "x"}}],
                "subject": {"reference": "Patient/whom"}}  # fmt: skip
        store.create(note, Labels(None, "p1", "summary"), id="note")
        store.create({**note, "description": SECRET}, Labels(None, "p1", "scores"), id="scores")


def test_a_grant_opens_what_it_covers_at_every_door_and_each_opening_is_written_down(
    app, engine, clock, shared, hospital
):
    doors_of_notes = [
        "DocumentReference/note", "DocumentReference/note/_history", "DocumentReference/note/_history/1",
        "DocumentReference", "DocumentReference/_history", "Patient/whom/DocumentReference",
        "Patient/whom/$everything", "DocumentReference?patient.gender=other&_include=DocumentReference:subject",
        "Patient?_id=whom&_revinclude=DocumentReference:patient",
    ]  # fmt: skip
    lakeside = doors.speaker(app, engine, clock, endpoint="lakeside")
    for path in doors_of_notes:
        before = _disclosed(engine)
        answer = hospital.get(f"/fhir/{path}")
        assert answer.status_code == 200, path
        assert "DocumentReference/note" in answer.text or answer.json["id"] == "note", path
        assert SECRET not in answer.text
        assert "DocumentReference/note" in _disclosed(engine)[len(before) :], path
        before = _disclosed(engine)
        other = lakeside.get(f"/fhir/{path}")
        assert other.status_code == 404 or "entry" not in other.json, path
        assert _disclosed(engine) == before
    for path in ("DocumentReference/scores/_history", "DocumentReference/scores/_history/1"):
        assert hospital.get(f"/fhir/{path}").status_code == 404
    assert hospital.get("/fhir/DocumentReference?_summary=count").json["total"] == 1


def _disclosed(engine) -> list[str]:
    with reading(engine) as connection:
        lines = [one.subject for one in audit.latest(connection, "alpha") if one.action == "disclose"]
    return lines[::-1] if lines else lines


@one_database
def test_what_the_program_wrote_is_not_deleted_or_patched_by_others(engine, shared, hospital):
    before = _everything(engine)
    for path in ("DocumentReference/note", "Patient/whom"):
        gone = hospital.web.delete(f"/fhir/{path}", headers=hospital.headers())
        patched = hospital.send("PATCH", f"/fhir/{path}", [{"op": "add", "path": "/language", "value": "en"}])
        assert (gone.status_code, patched.status_code) == (403, 403), path
    assert _everything(engine) == before


@one_database
def test_a_resource_that_became_part_of_the_records_is_the_programs(engine, hospital, chart):
    with writing(engine) as connection:
        store = Store(connection, "alpha", SystemClock())
        kept = store.read("Observation", chart["Observation"])
        store.update(kept.resource, Labels("riverside", "p1", "scores"), None)
    before = _everything(engine)
    path = f"/fhir/Observation/{chart['Observation']}"
    assert hospital.web.delete(path, headers=hospital.headers()).status_code == 403
    assert hospital.send("PATCH", path, {"status": "amended"}).status_code == 403
    assert _everything(engine) == before


@one_database
def test_what_an_order_refers_to_stays_while_it_does(engine, hospital, chart):
    before = _everything(engine)
    for kind in ("Patient", "Organization", "ServiceRequest"):
        answer = hospital.web.delete(f"/fhir/{kind}/{chart[kind]}", headers=hospital.headers())
        assert (answer.status_code, answer.json["issue"][0]["code"]) == (409, "conflict"), kind
    assert hospital.web.delete(f"/fhir/Task/{chart['Task']}", headers=hospital.headers()).status_code == 405
    assert _everything(engine) == before
    assert (
        hospital.web.delete(f"/fhir/Observation/{chart['Observation']}", headers=hospital.headers()).status_code == 204
    )
    assert hospital.get(f"/fhir/Observation/{chart['Observation']}").status_code == 410


@one_database
def test_a_patch_of_a_task_keeps_the_rules_of_its_requester(engine, hospital, chart):
    path = f"/fhir/Task/{chart['Task']}"
    fresh = {"If_Match": 'W/"1"'}
    before = _everything(engine)
    refused = [
        ([{"op": "replace", "path": "/status", "value": "accepted"}], fresh, 403),
        ([{"op": "replace", "path": "/status", "value": "completed"}], fresh, 422),
        ([{"op": "replace", "path": "/status", "value": "cancelled"}], fresh, 422),
        ([{"op": "add", "path": "/businessStatus", "value": {"text": "x"}}], fresh, 422),
        ([{"op": "remove", "path": "/for"}], fresh, 422),
        ([{"op": "replace", "path": "/for/reference", "value": "Patient/never-was"}], fresh, 422),
        ([{"op": "replace", "path": "/id", "value": "other"}], fresh, 422),
        ([{"op": "replace", "path": "/priority", "value": "urgent"}], {}, 422),
        ([{"op": "add", "path": "/priority", "value": "urgent"}], {}, 400),
        ([{"op": "add", "path": "/priority", "value": "urgent"}], {"If_Match": 'W/"9"'}, 412),
        ({"priority": "banana"}, fresh, 422),
    ]  # fmt: skip
    for patch, headers, status in refused:
        answer = hospital.send("PATCH", path, patch, **headers)
        assert answer.status_code == status, (patch, answer.text)
        assert _everything(engine) == before
    answer = hospital.send("PATCH", path, {"status": "cancelled", "statusReason": {"text": "Moved away."}}, **fresh)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == 'W/"2"'


@one_database
@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("system/Task.rs", "Task?patient.name=x", 403), ("system/Task.rs system/Patient.rs", "Task?patient.name=x", 200),
        ("system/Task.r", "Task/_history", 403), ("system/Task.s", "Task/_history", 200),
        ("system/Task.s", "Task/x/_history", 403), ("system/Patient.s", "Patient/x/$everything", 403),
        ("system/Task.rs", "Patient/x/Task", 200), ("system/Task.rs", "Patient/x/Observation", 403),
    ],
)  # fmt: skip
def test_a_scope_holds_at_the_doors_that_look_into_other_types(app, engine, clock, scope, path, status):
    assert doors.speaker(app, engine, clock, scope=scope).get(f"/fhir/{path}").status_code == status


@one_database
@pytest.mark.parametrize("scope", ["system/Observation.cr", "system/Observation.cru", "system/Observation.crs"])
def test_a_delete_needs_the_letter_d(app, engine, clock, scope):
    speaker = doors.speaker(app, engine, clock, scope=scope)
    made = speaker.post("/fhir/Observation", {"resourceType": "Observation", "status": "final", "code": {"text": "x"}})
    path = f"/fhir/Observation/{made.json['id']}"
    assert speaker.web.delete(path, headers=speaker.headers()).status_code == 403
    assert speaker.send("PATCH", path, {"status": "amended"}).status_code == (200 if "u" in scope[-2:] else 403)
