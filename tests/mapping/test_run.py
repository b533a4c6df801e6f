from __future__ import annotations

import copy
import random
import re
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from peerfhir.errors import MappingFailed
from peerfhir.fhir import model
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.evaluation import MAX_TURNS, CarefulRun, Run
from peerfhir.mapping.registry import Mappings
from peerfhir.mapping.run import Program, Result
from tests.mapping import samples
from tests.support.mapping_folder import load

SEED = 20261121
PLACE = re.compile(r"[\w-]+/[\w-]+/[\w-]+\.map\.yaml:[1-9]\d*:[1-9]\d*")


def told(failed: pytest.ExceptionInfo[MappingFailed]) -> str:
    """What a person reads; the place must be a place."""
    assert PLACE.fullmatch(failed.value.place or "")
    return str(failed.value)


def test_a_referral_row_becomes_patient_request_and_task() -> None:
    bundle = samples.mappings().run("referral-csv", samples.referral()).bundle()
    assert bundle["type"] == "transaction"
    assert bundle["entry"][0] == {  # docs/mapping-guide.md
        "fullUrl": "urn:uuid:a1defa48-2310-59b2-94b5-b0e466bd401b",
        "resource": {
            "resourceType": "Patient",
            "identifier": [
                {
                    "use": "usual",
                    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                    "system": "https://hospital.example/mrn",
                    "value": "48213",
                }
            ],
            "active": True,
            "name": [{"use": "official", "family": "Rivera", "given": ["Ana"]}],
            "telecom": [{"system": "phone", "value": "(415) 555-0134", "use": "mobile"}],
            "gender": "female",
            "birthDate": "1989-04-17",
        },
        "request": {
            "method": "POST", "url": "Patient", "ifNoneExist": "identifier=https://hospital.example/mrn|48213",
        },
    }  # fmt: skip
    patient, request, task = (entry["fullUrl"] for entry in bundle["entry"])
    assert bundle["entry"][1]["resource"]["subject"] == {"reference": patient}
    assert bundle["entry"][2]["resource"]["focus"] == {"reference": request}
    assert bundle["entry"][2]["resource"]["owner"] == {"display": "Peer program: recovery"}
    assert bundle["entry"][2]["request"] == {"method": "POST", "url": "Task"}
    assert len({patient, request, task}) == 3


def test_a_group_session_becomes_one_encounter_per_attendee_and_none_leads_to_another() -> None:
    result = samples.mappings().run("group-session", samples.session())
    made = result.resources["encounter"]
    assert [entry.full_url for entry in result.entries][2] == "urn:uuid:7fb1c370-5ba6-5e98-902a-504542591b19"
    assert len(made) == 6
    for number, encounter in enumerate(made, start=15):
        text = repr(encounter)
        assert f"A-{number}" in text
        assert not [
            other for other in range(15, 21) if other != number and (f"A-{other}" in text or f"p{other}" in text)
        ]
        assert "G-0" not in text
        assert "location" not in encounter  # the site is blank
        assert encounter["length"]["value"] == 60


def test_what_is_made_is_valid_r4() -> None:
    for name, record in (
        ("referral-csv", samples.referral(email="a@b.example", notes="n")),
        ("group-session", samples.session()),
    ):
        for entry in samples.mappings().run(name, record).entries:
            assert not [finding for finding in model.parse(entry.resource) if finding.severity == "error"]


def test_the_same_record_gives_the_same_bytes_whatever_happened_before() -> None:
    first = samples.mappings().run("referral-csv", samples.referral()).bundle()
    samples.mappings().run("referral-csv", samples.referral(referral_id="R-2"))
    assert samples.mappings().run("referral-csv", samples.referral()).bundle() == first


def test_an_order_becomes_a_record_of_fields() -> None:
    values = samples.mappings().run("referral-from-ehr", samples.resource("ServiceRequest-active")).values
    assert values == {
        "referral_id": "ORD-1001", "asked_on": "2026-11-21T14:05:00-05:00", "urgency": "R",
        "reason": "Lonely since moving here; would like to talk with someone who has been there.",
        "patient_ref": "Patient/p1", "wanted": "from 2026-11-21", "codes": ["461481000124109"],
        "asked": [
            {"system": "http://snomed.info/sct", "code": "410606002"},
            {"system": "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes", "code": "social-connection"},
        ],
        "notes": ["Prefers a Spanish-speaking peer. Safe contact: mobile, after 17:00, no voicemail."], "social": True,
    }  # fmt: skip


def test_an_order_without_its_number_is_refused_where_the_number_is_read() -> None:
    order = samples.resource("ServiceRequest-active")
    order["identifier"][0]["system"] = "https://elsewhere.example"
    with pytest.raises(MappingFailed) as failed:
        samples.mappings().run("referral-from-ehr", order)
    assert "PM722: record.referral_id" in told(failed)
    with pytest.raises(MappingFailed) as failed:
        samples.mappings().run("referral-from-ehr", samples.resource("Patient"))
    assert "PM700" in told(failed)


def test_every_error_of_a_record_is_told_with_its_place_and_without_a_value() -> None:
    with pytest.raises(MappingFailed) as failed:
        samples.mappings().run("referral-csv", samples.referral(mrn="", dob="1989-02-30", program="yoga-secret"))
    text = told(failed)
    assert failed.value.code == "mapping-failed"
    assert [found for found in ("PM701: /mrn", "PM702: /dob", "PM703: /program") if found not in text] == []
    assert text.count("referral-csv.map.yaml:") == 3
    assert "secret" not in text
    assert "1989" not in text


TOLD = """
mapping: told
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, fields: {id: string!, a: string, b: string, c: string, items: [{n: string}]}}
conceptMaps: {m: {x: y}}
bundle: none
resources:
  task:
    resourceType: Task
    id: =id
    status: =a.translate('m')
    intent: =b
    description: =c
    note:
      - $each: items as i
        text: =%i.n.translate('m')
"""


def test_errors_of_several_rules_are_all_found(tmp_path: Path) -> None:
    text = TOLD.replace("{m: {x: y}}", "{m: {x: draft}}")
    made = load(tmp_path, "told", text)
    record = {"id": "1", "a": "no", "b": "bad", "c": "fine", "items": [{"n": "x"}, {"n": "no"}]}
    with pytest.raises(MappingFailed) as failed:
        made.run("told", record)
    found = re.findall(r"map\.yaml:(\d+):\d+: (PM\d+): ([\w.\[\]]+)", told(failed))
    lines = text.splitlines()
    assert [(code, address) for _, code, address in found] == [
        ("PM710", "task.status"), ("PM721", "task.intent"), ("PM710", "task.note[0].text"),
    ]  # fmt: skip
    assert [lines[int(line) - 1].strip().split(":")[0] for line, _, _ in found] == ["status", "intent", "text"]


def test_a_required_element_that_is_empty_fails_the_record(tmp_path: Path) -> None:
    made = load(tmp_path, "told", TOLD.replace("{m: {x: y}}", "{m: {x: draft}}"))
    with pytest.raises(MappingFailed) as failed:
        made.run("told", {"id": "1", "a": "x", "items": []})
    assert "PM722: task.intent" in told(failed)


def test_a_record_is_not_changed_and_shares_nothing_with_what_is_made() -> None:
    order = samples.resource("ServiceRequest-active")
    before = copy.deepcopy(order)
    values = samples.mappings().run("referral-from-ehr", order).values
    values["codes"].append("more")
    values["asked"][0]["code"] = "other"
    assert order == before
    record = samples.session()
    kept = copy.deepcopy(record)
    first = samples.mappings().run("group-session", record).bundle()
    first["entry"][0]["resource"]["type"][0]["coding"].append("spoiled")
    assert record == kept
    assert "spoiled" not in repr(samples.mappings().run("group-session", record).bundle())


def careful(program: Program, record: Any) -> Any:
    """The result of the build that records fall back to when they fail."""
    run = CarefulRun(program._careful.rules)
    made = program._careful.function(program._typed(record), run)
    assert not run.found
    return made


@pytest.mark.parametrize("number", range(40))
def test_the_careful_build_makes_what_the_plain_one_makes(number: int) -> None:
    chance = random.Random(f"{SEED}-{number}")
    optional = ("middle_name", "email", "notes", "reason_code", "sex", "priority")
    blank = {name: chance.choice(["", samples.referral()[name] or "a@b"]) for name in optional}
    loaded = samples.mappings()._loaded
    for name, record in (
        ("referral-csv", samples.referral(**blank)),
        ("group-session", samples.session(chance.randrange(4))),
    ):
        result = samples.mappings().run(name, record)
        plain = [(entry.name, entry.resource, entry.full_url, entry.request) for entry in result.entries]
        assert careful(loaded[name].program, record) == plain


@pytest.mark.parametrize("number", range(300))
def test_any_record_gives_resources_or_an_error_with_a_code_and_never_a_crash(number: int) -> None:
    chance = random.Random(f"{SEED}-{number}")
    name = chance.choice(["referral-csv", "group-session", "referral-from-ehr"])
    good = {
        "referral-csv": samples.referral, "group-session": samples.session,
        "referral-from-ehr": lambda: samples.resource("ServiceRequest-active"),
    }[name]()  # fmt: skip
    for _ in range(chance.randrange(1, 4)):
        good = samples.spoiled(good, chance)
    try:
        result = samples.mappings().run(name, good)
    except MappingFailed as failed:
        assert re.match(rf"{PLACE.pattern}: PM7\d\d", str(failed))
        assert "PM790" not in str(failed)
    else:
        for entry in result.entries:
            assert not [finding for finding in model.parse(entry.resource) if finding.severity == "error"]


def test_a_record_with_endless_turns_is_stopped(tmp_path: Path) -> None:
    made = load(tmp_path, "told", TOLD.replace("{m: {x: y}}", "{m: {x: draft}}"))
    with pytest.raises(MappingFailed) as failed:
        made.run("told", {"id": "1", "a": "x", "b": "plan", "items": [{"n": "x"}] * (MAX_TURNS + 1)})
    assert "PM750" in told(failed)


def test_two_resources_of_one_identity_stop_the_record() -> None:
    twice = samples.session(2)
    twice["attendees"][1]["attendance_id"] = twice["attendees"][0]["attendance_id"]
    with pytest.raises(MappingFailed) as failed:
        samples.mappings().run("group-session", twice)
    assert "PM731" in told(failed)


def test_a_search_cannot_be_widened_by_a_value() -> None:
    for value, written in (
        ("a|b", "a%5C%7Cb"),
        ("a,b", "a%5C%2Cb"),
        ("a&_id=1", "a%26_id%3D1"),
        ("é $", "%C3%A9%20%5C%24"),
    ):
        entry = samples.mappings().run("referral-csv", samples.referral(mrn=value)).bundle()["entry"][0]
        assert entry["request"]["ifNoneExist"] == f"identifier=https://hospital.example/mrn|{written}"
        assert entry["resource"]["identifier"][0]["value"] == value


def test_one_mapping_serves_many_threads() -> None:
    wanted = {number: samples.mappings().run("group-session", samples.session(number)).bundle() for number in range(4)}
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(100):
            if samples.mappings().run("group-session", samples.session(number)).bundle() != wanted[number]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not wrong


def test_a_result_says_what_it_holds(tmp_path: Path) -> None:
    result = samples.mappings().run("group-session", samples.session(2))
    assert list(result.resources) == ["encounter"]
    with pytest.raises(MappingFailed):
        result.only()
    assert Result((), "none", {}).bundle() == {"resourceType": "Bundle", "type": "collection"}
    made = load(tmp_path, "told", TOLD.replace("{m: {x: y}}", "{m: {x: draft}}"))
    assert made.run("told", {"id": "1", "a": "x", "b": "plan"}).only() == {
        "resourceType": "Task", "id": "1", "status": "draft", "intent": "plan",
    }  # fmt: skip


def test_a_fault_of_the_engine_names_the_line_and_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Mappings.load(samples.DOCUMENTS, canonical="http://x.example")
    program = fresh._loaded["referral-csv"].program

    def broken(value: object) -> object:
        raise ZeroDivisionError(f"secret {value}")

    globals_of = program._plain.function.__globals__  # type: ignore[attr-defined]
    monkeypatch.setitem(globals_of, "g_searched", broken)
    with pytest.raises(MappingFailed) as failed:
        program.run(samples.referral())
    assert "PM790" in told(failed)
    assert "secret" not in told(failed)
    assert failed.value.__suppress_context__
    line = int((failed.value.place or "").split(":")[1])
    text = (samples.DOCUMENTS / "referral-csv" / "referral-csv.map.yaml").read_text().splitlines()
    assert text[line - 1].strip().startswith(("patient:", "resourceType: Patient"))


def test_decimals_keep_their_digits(tmp_path: Path) -> None:
    text = """
mapping: score
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, fields: {value: decimal!}}
bundle: none
resources:
  score:
    resourceType: Observation
    status: final
    code: {text: Score}
    valueQuantity: {value: =value, unit: "{{value}} points"}
    referenceRange: {low: {value: 1.20}, text: all}
"""
    made = load(tmp_path, "score", text).run("score", {"value": Decimal("4.50")}).only()
    assert str(made["valueQuantity"]["value"]) == "4.50"
    assert made["valueQuantity"]["unit"] == "4.50 points"
    assert str(made["referenceRange"][0]["low"]["value"]) == "1.20"


def test_work_on_one_record_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    work = iter([1.0, 1.2, 1.3])
    monkeypatch.setattr("peerfhir.mapping.evaluation.time.thread_time", lambda: next(work))
    run = Run()
    run.turns([1])
    run.turns([1])
    with pytest.raises(EvaluationProblem, match="seconds of work"):
        run.turns([1])
