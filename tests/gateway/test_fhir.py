"""Our own API as a hospital uses it: kept before it is answered, seen by its sender, changed by the table alone."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from peerfhir.fhir.labels import Labels
from peerfhir.fhir.reader import read_own
from peerfhir.fhir.store import Store
from peerfhir.fhir.tables import fhir_resource, fhir_version
from peerfhir.fhir.writer import write
from peerfhir.records import audit, consents
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import audit as audit_table
from peerfhir.records.schema import inbox_message, remote
from tests.support import doors
from tests.support.grants import share_summaries

one_database = pytest.mark.parametrize("engine_url", ["sqlite"], indirect=True)  # where SQL makes no difference


@pytest.fixture
def app(engine, clock):
    return doors.app(engine, clock)


@pytest.fixture
def hospital(app, engine, clock) -> doors.Speaker:
    return doors.speaker(app, engine, clock)


def _rows(engine, table):
    with reading(engine) as connection:
        return connection.execute(select(table)).mappings().all()


def _count(engine, table) -> int:
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _everything(engine) -> tuple:
    """What a refused request must not change."""
    return tuple(
        sorted(map(str, _rows(engine, table))) for table in (fhir_resource, fhir_version, inbox_message, remote)
    )


def _ids(answer) -> dict[str, str]:
    """Type -> id of a transaction-response."""
    found = {}
    for entry in answer.json["entry"]:
        kind, ident = entry["response"]["location"].split("/fhir/")[-1].split("/")[:2]
        found[kind] = ident
    return found


def _task(speaker, ident) -> tuple[dict, str]:
    answer = speaker.get(f"/fhir/Task/{ident}")
    assert answer.status_code == 200
    return read_own(answer.data), answer.headers["ETag"]


def test_an_order_is_kept_byte_for_byte_with_its_addresses_and_its_audit(hospital, engine):
    sent = write(doors.order())
    answer = hospital.web.post("/fhir", data=sent, content_type="application/fhir+json", headers=hospital.headers())
    assert answer.status_code == 200, answer.text
    assert [entry["response"]["status"][:3] for entry in answer.json["entry"]] == ["201"] * 4
    ids = _ids(answer)
    (kept,) = _rows(engine, inbox_message)
    assert bytes(kept["body"]) == sent
    assert (kept["program_id"], kept["source"], kept["state"]) == ("alpha", "riverside", "ready")
    assert kept["message_key"] == f"Task/{ids['Task']}/_history/1"
    assert kept["execution_id"] == answer.headers["X-Request-Id"]
    assert set(read_own(kept["focus"].encode())) == {f"{kind}/{ident}/_history/1" for kind, ident in ids.items()}
    addresses = {row["local"]: row["reference"] for row in _rows(engine, remote)}
    theirs = {"Patient": "p1", "Organization": "hospital", "ServiceRequest": "s1", "Task": "t1"}
    assert addresses == {f"{kind}/{ids[kind]}": f"{kind}/{name}" for kind, name in theirs.items()}
    with reading(engine) as connection:
        lines = audit.latest(connection, "alpha")
        assert {(one.action, one.subject) for one in lines} == {
            ("create", f"{kind}/{ident}") for kind, ident in ids.items()
        }
        assert audit.verify(connection) is None


def test_the_same_order_again_changes_nothing_and_gives_no_second_message(hospital, engine):
    first = hospital.post("/fhir", doors.order())
    before = _everything(engine)
    again = hospital.post("/fhir/", doors.order())
    assert [entry["response"]["status"][:3] for entry in again.json["entry"]] == ["200"] * 4
    assert _ids(again) == _ids(first)
    assert _everything(engine) == before


def test_the_same_order_eight_times_at_once_is_one_order(app, engine, hospital):
    def send(_: int) -> int:
        web = app.test_client()
        return doors.Speaker(web, hospital.token).post("/fhir", doors.order()).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(send, range(8)))
    assert set(statuses) <= {200, 409, 503}  # 409 and 503 say: send it again
    assert 200 in statuses
    assert _count(engine, inbox_message) == 1
    assert sorted(row["type"] for row in _rows(engine, fhir_resource)) == [
        "Organization", "Patient", "ServiceRequest", "Task",
    ]  # fmt: skip


@one_database
def test_addresses_that_are_not_the_senders_are_not_written_back_to(app, engine, clock, hospital):
    order = doors.order(base="https://elsewhere.example.org/fhir")
    assert hospital.post("/fhir", order).status_code == 200
    assert _rows(engine, remote) == []
    tool = doors.speaker(app, engine, clock, endpoint=None)
    assert tool.post("/fhir", doors.order(number="2")).status_code == 200
    assert _rows(engine, remote) == []
    assert {row["source"] for row in _rows(engine, inbox_message)} == {"riverside", _client_of(engine)}


def _client_of(engine) -> str:
    return next(row["source"] for row in _rows(engine, inbox_message) if row["source"] != "riverside")


@one_database
def test_an_address_that_moved_is_learnt_and_one_that_stayed_keeps_what_is_known_of_it(hospital, engine):
    hospital.post("/fhir", doors.order())
    with writing(engine) as connection:
        connection.execute(update(remote).values(etag='W/"7"'))
    moved = doors.order()
    moved["entry"][0]["fullUrl"] = f"{doors.RIVERSIDE}/Patient/merged"
    for entry in moved["entry"][2:]:
        for name in ("subject", "for"):
            if name in entry["resource"]:
                entry["resource"][name] = {"reference": f"{doors.RIVERSIDE}/Patient/merged"}
    assert hospital.post("/fhir", moved).status_code == 200
    known = {row["reference"]: row["etag"] for row in _rows(engine, remote)}
    assert known == {"Patient/merged": None} | dict.fromkeys(
        ("Organization/hospital", "ServiceRequest/s1", "Task/t1"), 'W/"7"'
    )


@one_database
def test_an_order_that_is_half_wrong_leaves_nothing(hospital, engine):
    before = _everything(engine)
    for spoil in (
        lambda entry: entry["resource"].update(focus={"reference": "ServiceRequest/nothing"}),
        lambda entry: entry["resource"].pop("focus"),
        lambda entry: entry["resource"].update(status="banana"),
        lambda entry: entry["resource"].update(status="completed"),
        lambda entry: entry["resource"].update(output=[{"type": {"text": "x"}, "valueString": "y"}]),
        lambda entry: entry["resource"].update(colour="blue"),
        lambda entry: entry["resource"].pop("requester"),
    ):
        order = doors.order()
        spoil(order["entry"][3])
        answer = hospital.post("/fhir", order)
        assert answer.status_code in (400, 422), answer.text
        assert answer.json["resourceType"] == "OperationOutcome"
        assert answer.json["issue"][0].get("expression") or answer.json["issue"][0]["diagnostics"]
        assert _everything(engine) == before


@one_database
def test_each_entry_of_a_bundle_needs_its_own_scope(app, engine, clock):
    small = doors.speaker(app, engine, clock, scope="system/Patient.cruds system/Organization.cruds system/Task.c")
    before = _everything(engine)
    answer = small.post("/fhir", doors.order())
    assert answer.status_code == 403
    assert _everything(engine) == before
    with reading(engine) as connection:
        assert [(one.action, one.outcome) for one in audit.latest(connection, "alpha")] == [("deny", "denied")]


@one_database
@pytest.mark.parametrize(
    ("scope", "status"), [("system/Task.r", 403), ("system/Patient.c", 403), ("system/Patient.rs", 200)]
)
def test_a_search_needs_the_letter_s(app, engine, clock, scope, status):
    assert doors.speaker(app, engine, clock, scope=scope).get("/fhir/Patient").status_code == status


# -- the Task ----------------------------------------------------------------------------------------------------


def test_the_requester_withdraws_with_a_reason_and_the_version_read(hospital, engine):
    ident = _ids(hospital.post("/fhir", doors.order()))["Task"]
    stored, etag = _task(hospital, ident)
    asked = {**stored, "status": "cancelled", "statusReason": {"text": "Moved away."}}
    answer = hospital.put(f"/fhir/Task/{ident}", asked, If_Match=etag)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == 'W/"2"'
    assert [row["message_key"] for row in _rows(engine, inbox_message)] == [
        f"Task/{ident}/_history/1",
        f"Task/{ident}/_history/2",
    ]
    with reading(engine) as connection:
        labels = Store(connection, "alpha", None).read("Task", ident).labels
    assert labels.source == "riverside"


def _wrong_writes() -> dict[str, tuple[dict, dict, int, str, str]]:
    """Name -> (changes, headers, status, issue code, place)."""
    fresh = {"If_Match": 'W/"1"'}
    reason = {"statusReason": {"text": "Because."}}
    return {
        "no If-Match": ({"priority": "urgent"}, {}, 400, "required", "If-Match"),
        "stale If-Match": ({"priority": "urgent"}, {"If_Match": 'W/"0"'}, 412, "conflict", ""),
        "future If-Match": ({"priority": "urgent"}, {"If_Match": 'W/"9"'}, 412, "conflict", ""),
        "accepts": ({"status": "accepted"}, fresh, 403, "forbidden", "Task.status"),
        "rejects": ({"status": "rejected", **reason}, fresh, 403, "forbidden", "Task.status"),
        "completes": ({"status": "completed"}, fresh, 422, "business-rule", "Task.status"),
        "back to draft": ({"status": "draft"}, fresh, 422, "business-rule", "Task.status"),
        "no reason": ({"status": "cancelled"}, fresh, 422, "required", "Task.statusReason.text"),
        "reason code only": (
            {"status": "cancelled", "statusReason": {"coding": [{"code": "x"}]}}, fresh, 422, "required",
            "Task.statusReason.text",
        ),
        "reason alone": (reason, fresh, 422, "business-rule", "Task.statusReason"),
        "business status": ({"businessStatus": {"text": "Enrolled"}}, fresh, 422, "business-rule", "Task.businessStatus"),
        "output": (
            {"output": [{"type": {"text": "x"}, "valueString": "y"}]}, fresh, 422, "business-rule", "Task.output",
        ),
        "execution period": ({"executionPeriod": {"start": "2026"}}, fresh, 422, "business-rule", "Task.executionPeriod"),
        "intent": ({"intent": "plan"}, fresh, 422, "value", "Task.intent"),
        "description": ({"description": "Other"}, fresh, 422, "business-rule", "Task.description"),
        "note removed": ({"note": None}, fresh, 422, "business-rule", "Task.note"),
        "note rewritten": ({"note": [{"text": "Other."}]}, fresh, 422, "business-rule", "Task.note"),
        "identifier": (
            {"identifier": [{"system": "http://x.example", "value": "1"}]}, fresh, 422, "business-rule", "Task.identifier",
        ),
        "authored": ({"authoredOn": "2026-11-22T10:00:00Z"}, fresh, 422, "business-rule", "Task.authoredOn"),
        "another id": ({"id": "other"}, fresh, 400, "invalid", ""),
        "another type": ({"resourceType": "Patient"}, fresh, 400, "invalid", ""),
    }  # fmt: skip


@one_database
def test_a_refused_write_says_what_and_leaves_the_store_byte_for_byte(hospital, engine):
    ident = _ids(hospital.post("/fhir", doors.order()))["Task"]
    stored, _ = _task(hospital, ident)
    before = _everything(engine)
    for name, (changes, headers, status, code, place) in _wrong_writes().items():
        asked = {key: value for key, value in {**stored, **changes}.items() if value is not None}
        answer = hospital.put(f"/fhir/Task/{ident}", asked, **headers)
        issue = answer.json["issue"][0]
        assert answer.status_code == status, (name, answer.text)
        assert issue["code"] == code, (name, answer.text)
        assert place in " ".join([*issue.get("expression", []), issue.get("diagnostics", "")]), answer.text
        assert _everything(engine) == before, name


@one_database
def test_a_lenient_partner_may_leave_the_version_out(app, engine, clock):
    lakeside = doors.speaker(app, engine, clock, endpoint="lakeside")
    ident = _ids(lakeside.post("/fhir", doors.order(base=doors.LAKESIDE)))["Task"]
    stored, _ = _task(lakeside, ident)
    assert lakeside.put(f"/fhir/Task/{ident}", {**stored, "priority": "urgent"}).status_code == 200


@one_database
def test_an_order_taken_back_is_not_taken_back_twice(hospital):
    ident = _ids(hospital.post("/fhir", doors.order()))["Task"]
    stored, etag = _task(hospital, ident)
    gone = {**stored, "status": "cancelled", "statusReason": {"text": "Moved away."}}
    assert hospital.put(f"/fhir/Task/{ident}", gone, If_Match=etag).status_code == 200
    stored, etag = _task(hospital, ident)
    answer = hospital.put(f"/fhir/Task/{ident}", {**stored, "status": "requested"}, If_Match=etag)
    assert (answer.status_code, answer.json["issue"][0]["code"]) == (422, "business-rule")


@one_database
def test_a_note_may_be_added_and_the_inbox_hears_of_it(hospital, engine):
    ident = _ids(hospital.post("/fhir", doors.order()))["Task"]
    stored, etag = _task(hospital, ident)
    more = copy.deepcopy(stored)
    more["note"].append({"text": "New number."})
    assert hospital.put(f"/fhir/Task/{ident}", more, If_Match=etag).status_code == 200
    assert _count(engine, inbox_message) == 2


# -- who sees what -----------------------------------------------------------------------------------------------


def test_no_one_reaches_another_sources_or_another_programs_resources(app, engine, clock, hospital):
    others = {
        "lakeside": doors.speaker(app, engine, clock, endpoint="lakeside"),
        "tool": doors.speaker(app, engine, clock, endpoint=None),
        "beta": doors.speaker(app, engine, clock, endpoint="hilltop", program="beta"),
        "beta, same endpoint name": doors.speaker(app, engine, clock, endpoint="riverside", program="beta"),
    }
    ids = _ids(hospital.post("/fhir", doors.order()))
    before = _everything(engine)
    crossings = asked = 0
    for other in others.values():
        for kind, ident in ids.items():
            for method, path in (
                ("GET", f"/fhir/{kind}/{{}}"),
                ("GET", f"/fhir/{kind}/{{}}/_history/1"),
                ("PUT", f"/fhir/{kind}/{{}}"),
            ):
                said = set()
                for one in (ident, "never-was"):
                    body = {"resourceType": kind, "id": one, **_least(kind)}
                    answer = (
                        other.get(path.format(one))
                        if method == "GET"
                        else other.put(path.format(one), body, If_Match='W/"1"')
                    )
                    said.add((answer.status_code, answer.text))
                    asked += 1
                    crossings += answer.status_code < 400
                assert len(said) == 1, (kind, method, said)  # hidden and unknown are answered alike
            found = other.get(f"/fhir/{kind}?_id={ident}&_total=accurate")
            assert found.json.get("total", 0) == 0
            assert not found.json.get("entry")
    assert crossings == 0
    assert asked > 90
    assert _everything(engine) == before


def test_the_same_identifiers_from_another_source_match_nothing_of_the_first(app, engine, clock, hospital):
    first = _ids(hospital.post("/fhir", doors.order()))
    for more in ({"endpoint": "lakeside"}, {"endpoint": "hilltop", "program": "beta"}):
        other = doors.speaker(app, engine, clock, **more)
        answer = other.post("/fhir", doors.order())
        assert [entry["response"]["status"][:3] for entry in answer.json["entry"]] == ["201"] * 4
        assert not set(_ids(answer).values()) & set(first.values())
        stolen = doors.order(number="9")
        stolen["entry"] = stolen["entry"][2:]
        for entry in stolen["entry"]:
            for name in ("subject", "for", "requester"):
                if name in entry["resource"]:
                    kind = "Organization" if name == "requester" else "Patient"
                    entry["resource"][name] = {"reference": f"{kind}/{first[kind]}"}
        before = _everything(engine)
        assert other.post("/fhir", stolen).status_code in (404, 422)
        assert _everything(engine) == before


def _least(kind: str) -> dict:
    return {
        "Patient": {"gender": "unknown"},
        "Organization": {"name": "Mine now"},
        "ServiceRequest": {"status": "active", "intent": "order", "subject": {"reference": "Patient/x"}},
        "Task": {
            "status": "requested", "intent": "order", "focus": {"reference": "ServiceRequest/x"},
            "for": {"reference": "Patient/x"}, "requester": {"reference": "Organization/x"},
            "authoredOn": "2026-11-21T10:00:00Z", "code": {"text": "fulfill"},
        },
    }[kind]  # fmt: skip


@pytest.fixture
def shared(engine, clock) -> None:
    """A person of riverside's, a summary under a grant, a resource of the program's own."""
    with writing(engine) as connection:
        share_summaries(connection, clock)
        store = Store(connection, "alpha", clock)
        note = {"resourceType": "DocumentReference", "status": "current", "content": []}
        store.create({**note, "id": "note"}, Labels(None, "p1", "summary"), id="note")
        store.create({**note, "id": "scores"}, Labels(None, "p1", "scores"), id="scores")
        store.create({"resourceType": "Organization", "name": "Program"}, Labels(), id="program")


def test_what_a_grant_covers_is_read_and_written_down_before_the_answer(app, engine, clock, shared, hospital):
    lakeside = doors.speaker(app, engine, clock, endpoint="lakeside")
    assert hospital.get("/fhir/DocumentReference/note").status_code == 200
    assert hospital.get("/fhir/DocumentReference/scores").status_code == 404
    assert lakeside.get("/fhir/DocumentReference/note").status_code == 404
    assert [one["resource"]["id"] for one in hospital.get("/fhir/DocumentReference").json["entry"]] == ["note"]
    assert "entry" not in lakeside.get("/fhir/DocumentReference").json
    assert hospital.get("/fhir/Organization/program").status_code == 200
    with reading(engine) as connection:
        lines = [(one.action, one.subject) for one in audit.latest(connection, "alpha") if one.person_id == "p1"]
    assert lines == [("disclose", "DocumentReference/note")] * 2


def test_the_end_of_a_grant_is_felt_at_the_next_read(engine, clock, shared, hospital):
    assert hospital.get("/fhir/DocumentReference/note").status_code == 200
    with writing(engine) as connection:
        from dataclasses import replace

        grant = consents.at(connection, "alpha", "g1")
        consents.save(connection, replace(grant, ended_at=clock.now(), end_reason="withdrawn"), clock.now())
    assert hospital.get("/fhir/DocumentReference/note").status_code == 404
    assert hospital.get("/fhir/DocumentReference/note/_history/1").status_code == 404


@one_database
def test_what_was_not_sent_by_a_client_is_not_changed_by_it(engine, shared, hospital):
    before = _everything(engine)
    for kind, ident in (("Organization", "program"),):
        answer = hospital.put(
            f"/fhir/{kind}/{ident}", {"resourceType": kind, "id": ident, "name": "Mine"}, If_Match='W/"1"'
        )
        assert (answer.status_code, answer.json["issue"][0]["code"]) == (403, "forbidden")
    assert _everything(engine) == before
    assert _count(engine, audit_table) == 1


@one_database
def test_a_client_cannot_choose_labels_ids_or_versions(hospital, engine):
    sent = {
        "resourceType": "Patient", "id": "mine", "meta": {"versionId": "7", "lastUpdated": "2020-01-01T00:00:00Z"},
        "gender": "unknown",
    }  # fmt: skip
    answer = hospital.post("/fhir/Patient", sent)
    assert answer.status_code == 201
    (row,) = _rows(engine, fhir_resource)
    assert row["id"] != "mine"
    assert (row["version"], row["source"], row["person_id"], row["share_class"]) == (1, "riverside", None, None)


@one_database
def test_a_hospital_changes_its_own_copy_of_a_patient_and_no_step_follows(hospital, engine):
    ident = _ids(hospital.post("/fhir", doors.order()))["Patient"]
    stored = read_own(hospital.get(f"/fhir/Patient/{ident}").data)
    assert hospital.put(f"/fhir/Patient/{ident}", {**stored, "gender": "female"}).status_code == 200
    assert _count(engine, inbox_message) == 1


@one_database
def test_metadata_is_open_and_says_who_may_come_in(app):
    answer = app.test_client().get("/fhir/metadata")
    assert answer.status_code == 200
    assert "SMART-on-FHIR" in answer.text
    assert app.test_client().get("/fhir/metadata").data == answer.data


@one_database
def test_what_is_never_deleted_says_so_and_what_it_takes_instead(hospital):
    answer = hospital.web.delete("/fhir/Task/x", headers=hospital.headers())
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, PUT, PATCH, OPTIONS")
    assert hospital.web.options("/fhir/Task/x").headers["Allow"] == answer.headers["Allow"]
    stated = {one["type"]: one for one in hospital.get("/fhir/metadata").json["rest"][0]["resource"]}
    assert "delete" not in {one["code"] for one in stated["Task"]["interaction"]}
    assert hospital.web.options("/fhir/Patient/x").headers["Allow"] == "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"
    whole = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": "Task/x"}}],
    }
    refused = hospital.post("/fhir", whole)
    assert (refused.status_code, "Allow" in refused.headers) == (422, False)
    (issue,) = refused.json["issue"]
    assert (issue["code"], issue["expression"]) == ("not-supported", ["Bundle.entry[0].request.method"])
