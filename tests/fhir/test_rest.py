"""Every interaction, on both databases, through the engine without the web."""

from __future__ import annotations

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.errors import Forbidden
from peerfhir.fhir.reader import read
from tests.support.fhir import BASE, OpenSession, Server, example, issues, referral


@pytest.fixture
def server(shared: Engine) -> Server:
    return Server(shared)


def patient(**changed: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}], "active": True, **changed}


def task(**changed: Any) -> dict[str, Any]:
    made = example("Task-requested")
    del made["id"]
    made["owner"] = {"display": "any"}
    made["identifier"][0]["value"] = "T-1"
    return {**made, **changed}


def test_a_create_answers_with_its_address_version_and_time(server: Server) -> None:
    reply = server.ask("POST", "Patient", patient(id="mine", meta={"versionId": "9", "tag": [{"code": "x"}]}))
    body = read(reply.body)
    assert reply.status == 201
    assert body["id"] != "mine"
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["tag"] == [{"code": "x"}]
    assert reply.headers["Location"] == f"{BASE}/Patient/{body['id']}/_history/1"
    assert reply.headers["ETag"] == 'W/"1"'
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", reply.headers["Last-Modified"])


def test_what_is_read_is_what_was_stored_byte_for_byte(server: Server) -> None:
    reply = server.ask("POST", "Patient", patient())
    again = server.ask("GET", f"Patient/{read(reply.body)['id']}")
    assert again.body == reply.body
    assert again.headers["ETag"] == 'W/"1"'


def test_digits_of_a_decimal_survive(server: Server) -> None:
    raw = b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50}}'
    reply = server.ask("POST", "Observation", read(raw))
    assert b'"value":1.50' in reply.body


def test_an_unchanged_resource_is_304(server: Server) -> None:
    where = f"Patient/{server.post(patient())['id']}"
    assert server.ask("GET", where, if_none_match='W/"1"').status == 304
    assert server.ask("GET", where, if_none_match='W/"2"').status == 200


def test_prefer_decides_what_comes_back(server: Server) -> None:
    assert server.ask("POST", "Patient", patient(), prefer="return=minimal").body == b""
    said = read(server.ask("POST", "Patient", patient(), prefer="return=OperationOutcome").body)
    assert said["resourceType"] == "OperationOutcome"
    odd = read(server.ask("POST", "Patient", patient(), prefer="return=presentation, respond-async").body)
    assert odd["resourceType"] == "Patient"


def test_an_update_makes_a_version_and_keeps_the_one_before(server: Server) -> None:
    kept = server.post(patient())
    where = f"Patient/{kept['id']}"
    reply = server.ask("PUT", where, {**kept, "active": False}, if_match='W/"1"')
    assert (reply.status, reply.headers["ETag"]) == (200, 'W/"2"')
    assert server.get(f"{where}/_history/1") == kept
    assert server.get(where)["active"] is False
    assert server.ask("GET", f"{where}/_history/3").status == 404
    assert server.ask("GET", f"{where}/_history/x").status == 404


def test_a_stale_version_is_412_and_changes_nothing(server: Server) -> None:
    kept = server.post(patient())
    where = f"Patient/{kept['id']}"
    server.ask("PUT", where, {**kept, "active": False}, if_match='W/"1"')
    before = server.ask("GET", where).body
    reply = server.ask("PUT", where, {**kept, "gender": "female"}, if_match='W/"1"')
    assert reply.status == 412
    assert issues(reply)[0][0] == "conflict"
    assert server.ask("GET", where).body == before


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "*", 'W/"7", W/"1"'])
def test_an_if_match_may_be_written_in_each_way(server: Server, tag: str) -> None:
    kept = server.post(patient())
    assert server.ask("PUT", f"Patient/{kept['id']}", kept, if_match=tag).status == 200


def test_an_update_needs_the_id_it_is_sent_to_and_something_to_update(server: Server) -> None:
    kept = server.post(patient())
    assert server.ask("PUT", f"Patient/{kept['id']}", {**kept, "id": "other"}).status == 400
    del kept["id"]
    assert server.ask("PUT", "Patient/anything", kept).status == 400
    assert server.ask("PUT", "Patient/new", {**kept, "id": "new"}).status == 404


def test_a_conditional_create_is_made_once(server: Server) -> None:
    condition = {"if_none_exist": "identifier=urn:mrn|1"}
    first = server.ask("POST", "Patient", patient(), **condition)
    second = server.ask("POST", "Patient", patient(gender="male"), **condition)
    assert (first.status, second.status) == (201, 200)
    assert second.body == first.body
    assert second.headers["Location"] == first.headers["Location"]
    assert server.get("Patient?_count=0")["total"] == 1


def test_a_post_with_a_query_is_a_conditional_create(server: Server) -> None:
    assert server.ask("POST", "Patient?identifier=urn:mrn|1", patient()).status == 201
    assert server.ask("POST", "Patient?identifier=urn:mrn|1", patient()).status == 200
    assert server.ask("POST", "Patient?nonsense=1", patient()).status == 400
    assert server.ask("POST", "Patient", patient(), if_none_exist="").status == 400  # meant as one, and says nothing


@pytest.mark.parametrize("start", ["", "?", "Patient?"])
def test_a_condition_may_name_its_type_and_hold_a_question_mark(server: Server, start: str) -> None:
    body = patient(identifier=[{"system": "http://x.example/?mrn", "value": "1"}])
    condition = {"if_none_exist": f"{start}identifier=http://x.example/?mrn|1"}
    assert [server.ask("POST", "Patient", body, **condition).status for _ in range(2)] == [201, 200]


def test_a_condition_that_fits_several_is_412(server: Server) -> None:
    server.post(patient())
    server.post(patient())
    reply = server.ask("POST", "Patient", patient(), if_none_exist="identifier=urn:mrn|1")
    assert reply.status == 412
    assert issues(reply)[0][0] == "multiple-matches"


def test_a_condition_may_be_any_search(server: Server) -> None:
    body = patient(birthDate="1988-04-12", gender="female")
    condition = {"if_none_exist": "birthdate=1988-04-12&gender=female"}
    assert [server.ask("POST", "Patient", body, **condition).status for _ in range(3)] == [201, 200, 200]


def test_a_condition_whose_holder_changed_makes_a_new_resource(server: Server) -> None:
    condition = {"if_none_exist": "identifier=urn:mrn|1"}
    first = read(server.ask("POST", "Patient", patient(), **condition).body)
    moved = {**first, "identifier": [{"system": "urn:mrn", "value": "2"}]}
    assert server.ask("PUT", f"Patient/{first['id']}", moved).status == 200
    again = server.ask("POST", "Patient", patient(), **condition)
    assert again.status == 201
    assert read(again.body)["id"] != first["id"]
    assert server.ask("POST", "Patient", patient(), **condition).status == 200


def test_the_same_order_sent_twice_is_a_duplicate_that_names_the_first(server: Server) -> None:
    first = server.post(task())
    reply = server.ask("POST", "Task", task())
    assert reply.status == 409
    assert issues(reply) == [("duplicate", "Task.identifier")]
    assert f"Task/{first['id']}" in read(reply.body)["issue"][0]["diagnostics"]
    assert server.get("Task?_count=0")["total"] == 1


def test_an_identifier_that_a_task_gave_up_may_be_used_again(server: Server) -> None:
    first = server.post(task())
    moved = copy.deepcopy(first)
    moved["identifier"][0]["value"] = "T-2"
    assert server.ask("PUT", f"Task/{first['id']}", moved).status == 200
    assert server.ask("POST", "Task", task()).status == 201
    assert server.ask("POST", "Task", moved).status == 409


def test_two_senders_may_use_the_same_identifier(shared: Engine) -> None:
    riverside = Server(shared, source="riverside")
    lakeside = Server(shared, source="lakeside", program=riverside.program)
    assert riverside.ask("POST", "Task", task()).status == 201
    assert lakeside.ask("POST", "Task", task()).status == 201
    assert lakeside.get("Task?_count=0")["total"] == 2


def test_two_programs_know_nothing_of_each_other(shared: Engine) -> None:
    one, other = Server(shared), Server(shared)
    kept = one.post(task())
    assert other.ask("GET", f"Task/{kept['id']}").status == 404
    assert other.ask("GET", f"Task/{kept['id']}/_history/1").status == 404
    assert other.ask("PUT", f"Task/{kept['id']}", kept).status == 404
    assert other.get("Task?_count=0")["total"] == 0
    assert other.ask("POST", "Task", task()).status == 201
    leading = task(identifier=[{"value": "T-9"}], basedOn=[{"reference": f"Task/{kept['id']}"}])
    assert issues(other.ask("POST", "Task", leading)) == [("not-found", "Task.basedOn[0].reference")]


def test_eight_racers_make_one_resource(shared: Engine) -> None:
    server = Server(shared)
    trials = 30

    def race(number: int) -> list[int]:
        body = patient(identifier=[{"system": "urn:mrn", "value": str(number)}])
        with ThreadPoolExecutor(8) as pool:
            asked = [
                pool.submit(server.ask, "POST", "Patient", body, if_none_exist=f"identifier=urn:mrn|{number}")
                for _ in range(8)
            ]
            return sorted(one.result().status for one in asked)

    for number in range(trials):
        assert race(number) == [200] * 7 + [201]
    assert server.get("Patient?_count=0")["total"] == trials


def test_racers_over_a_master_identifier_make_one_note(shared: Engine) -> None:
    server = Server(shared)
    for number in range(8):
        key = {"system": "urn:note", "value": str(number)}
        body = {"resourceType": "DocumentReference", "status": "current", "masterIdentifier": key,
                "content": [{"attachment": {"url": "Binary/1"}}]}  # fmt: skip
        ask = lambda _, body=body, n=number: server.ask(  # noqa: E731
            "POST", "DocumentReference", body, if_none_exist=f"identifier=urn:note|{n}"
        )
        with ThreadPoolExecutor(8) as pool:
            assert sorted(one.status for one in pool.map(ask, range(8))) == [200] * 7 + [201]


def test_eight_racers_with_plain_orders_make_one(shared: Engine) -> None:
    server = Server(shared)
    for number in range(6):
        body = task(identifier=[{"system": "urn:order", "value": str(number)}])
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda _, body=body: server.ask("POST", "Task", body).status, range(8)))
        assert sorted(replies) == [201] + [409] * 7


def test_a_lost_update_is_impossible(shared: Engine) -> None:
    server = Server(shared)
    kept = server.post(patient())
    with ThreadPoolExecutor(8) as pool:
        put = lambda _: server.ask("PUT", f"Patient/{kept['id']}", kept, if_match='W/"1"').status  # noqa: E731
        replies = list(pool.map(put, range(8)))
    assert sorted(replies) == [200] + [412] * 7


def test_a_referral_arrives_whole_and_its_references_lead_to_our_copies(server: Server) -> None:
    reply = server.ask("POST", "", referral())
    answer = read(reply.body)
    assert reply.status == 200
    assert [one["response"]["status"] for one in answer["entry"]] == ["201 Created"] * 7
    places = [one["response"]["location"].partition("/_history/")[0] for one in answer["entry"]]
    kept = server.get(places[5])
    assert kept["focus"]["reference"] == places[4]
    assert kept["for"]["reference"] == places[0]
    assert kept["owner"]["reference"] == places[2]
    # what did not come along stays where it is
    assert server.get(places[4])["encounter"]["reference"] == "https://ehr.example.org/fhir/Encounter/e0"
    assert [one.full_url for one in server.seen][5] == "https://ehr.example.org/fhir/Task/t1-1"


def test_the_same_referral_again_changes_nothing(server: Server) -> None:
    first = read(server.ask("POST", "", referral()).body)
    second = read(server.ask("POST", "", referral()).body)
    assert [one["response"]["status"] for one in second["entry"]] == ["200 OK"] * 7
    assert [one["response"]["location"] for one in second["entry"]] == [
        one["response"]["location"] for one in first["entry"]
    ]
    assert {one.method for one in server.seen[7:]} == {"matched"}


def test_racing_referrals_are_one(shared: Engine) -> None:
    server = Server(shared)
    for number in range(4):
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda _, n=number: server.ask("POST", "", referral(n)), range(8)))
        assert {one.status for one in replies} == {200}
        places = {read(one.body)["entry"][5]["response"]["location"] for one in replies}
        assert len(places) == 1
    assert server.get("Task?_count=0")["total"] == 4
    assert server.get("Patient?_count=0")["total"] == 4


def _broken(bundle: dict[str, Any], at: int) -> tuple[dict[str, Any], str]:
    """The transaction with one fault in entry `at`, and the element it is in."""
    resource = bundle["entry"][at]["resource"]
    if "status" in resource:
        resource["status"] = "banana"
        return bundle, "resource.status"
    resource["active"] = "true"
    return bundle, "resource.active"


@pytest.mark.parametrize("at", range(7))
def test_a_fault_in_any_entry_names_the_entry_and_stores_nothing(server: Server, at: int) -> None:
    bundle, element = _broken(referral(), at)
    reply = server.ask("POST", "", bundle)
    assert reply.status == 422
    assert issues(reply)[0][1] == f"Bundle.entry[{at}].{element}"
    assert server.get("Task?_count=0")["total"] == 0
    assert server.get("Patient?_count=0")["total"] == 0


def test_a_reference_to_nothing_names_its_place(server: Server) -> None:
    bundle = referral()
    bundle["entry"][5]["resource"]["focus"] = {"reference": "ServiceRequest/nowhere"}
    reply = server.ask("POST", "", bundle)
    assert reply.status == 422
    assert issues(reply) == [("not-found", "Bundle.entry[5].resource.focus.reference")]
    assert server.get("Patient?_count=0")["total"] == 0
    reply = server.ask("POST", "Task", task(focus={"reference": "ServiceRequest/nowhere"}))
    assert issues(reply) == [("not-found", "Task.focus.reference")]


def test_urns_and_relative_references_are_resolved_inside_the_bundle(server: Server) -> None:
    one, two = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "http://elsewhere.example/r4/ServiceRequest/s"
    order = example("ServiceRequest-active")
    for name in ("encounter", "supportingInfo", "performer", "requester", "basedOn", "reasonReference"):
        order.pop(name, None)
    order["subject"] = {"reference": one}
    asked = task(focus={"reference": "ServiceRequest/s"}, requester={"display": "x"})
    asked["for"] = {"reference": one}
    body = patient(
        text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{two}">x</a></div>'}
    )
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "http://elsewhere.example/r4/Task/t", "resource": asked, "request": {"method": "POST", "url": "Task"}},
        {"fullUrl": one, "resource": body, "request": {"method": "POST", "url": "Patient"}},
        {"fullUrl": two, "resource": order, "request": {"method": "POST", "url": "ServiceRequest"}},
    ]}  # fmt: skip
    reply = server.ask("POST", "", bundle, prefer="return=representation")
    assert reply.status == 200, reply.body
    kept = [one["resource"] for one in read(reply.body)["entry"]]
    assert kept[0]["focus"]["reference"] == f"ServiceRequest/{kept[2]['id']}"
    assert kept[2]["subject"]["reference"] == f"Patient/{kept[1]['id']}"
    assert f'href="ServiceRequest/{kept[2]["id"]}"' in kept[1]["text"]["div"]


def test_a_conditional_reference_finds_exactly_one(server: Server) -> None:
    kept = server.post(patient())
    asked = task(focus={"reference": "http://x.example/ServiceRequest/1"}, requester={"display": "x"})
    asked["for"] = {"reference": "Patient?identifier=urn:mrn|1"}
    entry = {"resource": asked, "request": {"method": "POST", "url": "Task"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    reply = server.ask("POST", "", bundle, prefer="return=representation")
    assert read(reply.body)["entry"][0]["resource"]["for"]["reference"] == f"Patient/{kept['id']}"
    asked["for"] = {"reference": "Patient?identifier=urn:mrn|2"}
    reply = server.ask("POST", "", bundle)
    assert reply.status == 422
    assert issues(reply)[0] == ("not-found", "Bundle.entry[0].resource.for.reference")
    server.post(patient())
    asked["for"] = {"reference": "Patient?identifier=urn:mrn|1"}
    reply = server.ask("POST", "", bundle)
    assert reply.status == 412
    assert issues(reply)[0] == ("multiple-matches", "Bundle.entry[0].resource.for.reference")


def test_a_transaction_creates_changes_and_reads_in_the_order_of_the_specification(server: Server) -> None:
    kept = server.post(patient())
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "GET", "url": f"Patient/{kept['id']}"}},
        {"request": {"method": "GET", "url": "Patient?active=false"}},
        {"resource": {**kept, "active": False},
         "request": {"method": "PUT", "url": f"Patient/{kept['id']}", "ifMatch": 'W/"1"'}},
    ]}  # fmt: skip
    answer = read(server.ask("POST", "", bundle).body)
    assert answer["entry"][0]["resource"]["active"] is False
    assert answer["entry"][1]["resource"]["total"] == 1
    assert answer["entry"][2]["response"]["status"] == "200 OK"
    reply = server.ask("POST", "", bundle)  # the same If-Match is stale now
    assert reply.status == 412
    assert "Bundle.entry[2]" in issues(reply)[0][1] or "Bundle.entry[2]" in read(reply.body)["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda b: b["entry"][1].pop("request"), "Bundle.entry[1].request"),
        (lambda b: b["entry"][1]["request"].update(method="OPTIONS"), "Bundle.entry[1].request.method"),
        (lambda b: b["entry"][1]["request"].update(method="DELETE"), "Bundle.entry[1].resource"),
        (lambda b: b["entry"][1]["request"].update(url="Patient"), "Bundle.entry[1].resource.resourceType"),
        (lambda b: b["entry"][1]["request"].update(url="?"), "Bundle.entry[1].request.url"),
        (lambda b: b["entry"][1].pop("resource"), "Bundle.entry[1].resource"),
        (lambda b: b["entry"].append(b["entry"][1]), "Bundle.entry[7].fullUrl"),
        (lambda b: b["entry"][1]["request"].update(ifNoneExist="nonsense=1"), "Bundle.entry[1].request.ifNoneExist"),
        (lambda b: b["entry"][5]["resource"]["focus"].update(reference="urn:uuid:1"),
         "Bundle.entry[5].resource.focus.reference"),
        (lambda b: b["entry"][5]["resource"].pop("focus"), "Bundle.entry[5].resource.focus"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_carried_out_is_named(server: Server, change: Any, place: str) -> None:
    bundle = referral()
    change(bundle)
    reply = server.ask("POST", "", bundle)
    assert 400 <= reply.status < 500
    assert place in [where for _, where in issues(reply)]
    assert server.get("Organization?_count=0")["total"] == 0


def test_two_entries_with_one_condition_are_refused(server: Server) -> None:
    bundle = referral()
    again = copy.deepcopy(bundle["entry"][0])
    again["fullUrl"] += "x"
    bundle["entry"].append(again)
    reply = server.ask("POST", "", bundle)
    assert reply.status == 422
    assert issues(reply) == [("duplicate", "Bundle.entry[7].request.ifNoneExist")]


def test_what_is_no_transaction_and_no_batch_is_refused_plainly(server: Server) -> None:
    assert server.ask("POST", "", {**referral(), "type": "collection"}).status == 400
    assert server.ask("POST", "", patient()).status == 400
    assert server.ask("POST", "", [1]).status == 400
    entries = [{"request": {"method": "GET", "url": "Patient"}}] * 10_000
    assert server.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 422


def test_a_transaction_without_entries_is_answered(server: Server) -> None:
    assert server.ask("POST", "", {"resourceType": "Bundle", "type": "transaction"}).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "Nonsense", 404), ("GET", "Coverage", 404), ("GET", "nonsense/1/2/3", 404), ("GET", "", 405),
        ("DELETE", "Patient/1", 404), ("PATCH", "Patient/1", 404), ("PUT", "Patient", 400), ("POST", "metadata", 405),
        ("DELETE", "Patient", 405), ("PATCH", "Patient", 405), ("POST", "Patient/1/_history", 405), ("GET", "_history", 404),
        ("GET", "Patient/$validate", 405), ("GET", "Task/1/$everything", 404), ("POST", "Patient/1/$everything", 404),
        ("GET", "Patient/1/$everything", 404), ("GET", "Patient/1/Organization", 404), ("GET", "Group/1/Task", 404),
        ("GET", "Patient/1/_history/1/2", 404), ("GET", "Patient/$nonsense", 404), ("DELETE", "metadata", 405),
        ("GET", "Patient/_search", 405), ("GET", "Patient/unknown", 404), ("GET", "Patient/a_b", 404),
        ("POST", "Patient/1", 405), ("GET", "Patient/1/Nonsense", 404), ("GET", "Patient/1/_history", 404),
    ],
)  # fmt: skip
def test_every_refusal_is_an_outcome(server: Server, method: str, path: str, status: int) -> None:
    reply = server.ask(method, path)
    assert reply.status == status
    assert issues(reply)
    assert (status == 405) == ("Allow" in reply.headers)


def test_the_body_must_be_a_resource_of_the_type_of_its_address(server: Server) -> None:
    for body in ([], "x", 1, None, {}, {"resourceType": "Practitioner"}, {"resourceType": 1}):
        assert server.ask("POST", "Patient", body).status == 400


def test_only_json_is_answered(server: Server) -> None:
    where = f"Patient/{server.post(patient())['id']}"
    good = ["*/*", "application/fhir+json", "application/json;q=0.9, text/html", "application/fhir+json, */*; q=0.1",
            "application/json+fhir", "application/fhir+json; fhirVersion=4.0", ""]  # fmt: skip
    bad = ["application/fhir+xml", "text/html", "application/fhir+json; fhirVersion=5.0", "*/*;q=0"]
    assert {server.ask("GET", where, accept=one).status for one in good} == {200}
    assert {server.ask("GET", where, accept=one).status for one in bad} == {406}
    assert server.ask("GET", f"{where}?_format=json", accept="text/html").status == 200
    assert server.ask("GET", f"{where}?_format=xml").status == 406


def test_metadata_says_what_is_served_and_is_cached(server: Server) -> None:
    reply = server.ask("GET", "metadata")
    statement = read(reply.body)
    assert statement["fhirVersion"] == "4.0.1"
    assert server.ask("GET", "metadata", if_none_match=reply.headers["ETag"]).status == 304
    for resource in statement["rest"][0]["resource"]:
        names = [one["name"] for one in resource["searchParam"]]
        assert names
        for name in set(names) - {"_id", "_lastUpdated"}:  # everything that is offered is understood
            assert server.ask("GET", f"{resource['type']}?{name}:missing=true&_count=0").status == 200


def test_what_a_session_forbids_is_not_done(shared: Engine) -> None:
    class Closed(OpenSession):
        def may(self, interaction: str, resource_type: str) -> None:
            if interaction in ("create", "search-type"):
                raise Forbidden

    server = Server(shared, session=Closed)
    assert server.ask("POST", "Patient", patient()).status == 403
    assert server.ask("GET", "Patient").status == 403
    reply = server.ask("POST", "", referral())
    assert reply.status == 403
    assert "Bundle.entry[0]" in issues(reply)[0][1]


def test_an_exception_after_the_writes_leaves_nothing(shared: Engine) -> None:
    class Breaking(OpenSession):
        def after_writes(self, changes: Any, call: Any) -> None:
            raise ZeroDivisionError("Marisol Vega")

    server = Server(shared, session=Breaking)
    reply = server.ask("POST", "", referral())
    assert reply.status == 500
    assert b"Marisol" not in reply.body
    assert server.get("Patient?_count=0")["total"] == 0


def test_only_new_references_are_asked_after(shared: Engine) -> None:
    """A resource that was stored with a reference its sender may not follow can still be changed by the sender."""
    server = Server(shared)
    with server.open(None, True) as session:  # type: ignore[arg-type]
        kept = session.store.create(task(owner={"reference": "PractitionerRole/ours"}), server.labels)
    body = {**kept.resource, "focus": {"reference": "http://x.example/ServiceRequest/1"}, "requester": {"display": "x"}}
    assert server.ask("PUT", f"Task/{kept.id}", body).status == 200
    body["owner"] = {"reference": "PractitionerRole/other"}
    assert server.ask("PUT", f"Task/{kept.id}", body).status == 422


def test_a_format_beside_a_write_is_no_condition(server: Server) -> None:
    said = "?_format=json&_pretty=true"
    for _ in range(2):
        assert server.ask("POST", f"Patient{said}", patient()).status == 201
    where = f"Patient/{server.get('Patient?_count=1')['entry'][0]['resource']['id']}"
    assert server.ask("PUT", f"{where}{said}", server.get(where)).status == 200
    assert server.ask("PATCH", f"{where}{said}", {"gender": "other"}).status == 200
    assert server.ask("DELETE", f"{where}{said}").status == 204
