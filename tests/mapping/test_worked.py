from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from peerfhir.adapters.instruments import load_instruments
from peerfhir.adapters.questionnaires import forms
from peerfhir.errors import MappingFailed
from peerfhir.fhir.model import parse
from peerfhir.mapping.catalogue import Survey, survey
from peerfhir.mapping.run import Result
from tests.mapping.samples import FORM, ROW, session
from tests.support.mapping_folder import CANONICAL

HERE = Path(__file__).parent / "worked"
INSTRUMENTS = Path(__file__).parents[2] / "config/instruments"


@cache
def folder() -> Survey:
    """The worked examples, loaded."""
    instruments = forms(INSTRUMENTS, load_instruments(INSTRUMENTS))
    return survey(HERE, canonical=CANONICAL, instruments=instruments)


def run(name: str, record: Any) -> Result:
    """One record through one of them; every resource is valid R4."""
    result = folder().loaded[name].program.run(record)
    assert [finding for entry in result.entries for finding in parse(entry.resource)] == []
    return result


def test_every_worked_example_is_accepted_as_it_is_printed() -> None:
    assert [str(one) for one in folder().problems if one.severity == "error"] == []
    assert sorted(folder().loaded) == ["group-session", "phq-9", "phq-9-explicit", "referral-csv"]


def test_a_referral_row_gives_the_entry_that_the_specification_prints() -> None:
    bundle = run("referral-csv", ROW).bundle()
    v2 = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}
    assert bundle["entry"][0] == {
        "fullUrl": "urn:uuid:a1defa48-2310-59b2-94b5-b0e466bd401b",
        "resource": {
            "resourceType": "Patient",
            "identifier": [
                {"use": "usual", "type": {"coding": [v2]}, "system": "https://hospital.example/mrn", "value": "48213"}
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
    request, task = (entry["resource"] for entry in bundle["entry"][1:])
    assert request["authoredOn"] == "2026-03-02T10:00:00-05:00"
    assert request["code"]["coding"][1]["code"] == "mentoring"
    assert request["subject"] == {"reference": bundle["entry"][0]["fullUrl"]}
    assert "note" not in request
    assert task["focus"] == {"reference": bundle["entry"][1]["fullUrl"]}
    assert task["owner"] == {"display": "Peer program: recovery"}


@pytest.mark.parametrize(("field", "value", "code"), [("dob", "1989-04-17", "PM702"), ("program", "yoga", "PM703")])
def test_a_row_that_does_not_fit_stops_with_the_code_and_the_column(field: str, value: str, code: str) -> None:
    with pytest.raises(MappingFailed, match=f"{code}: /{field}: ") as refused:
        run("referral-csv", {**ROW, field: value})
    assert value not in str(refused.value)


def test_a_group_session_gives_one_encounter_per_attendee_and_names_nobody_else() -> None:
    result = run("group-session", session(6))
    encounters = result.resources["encounter"]
    assert len(encounters) == 6
    assert result.entries[2].full_url == "urn:uuid:7fb1c370-5ba6-5e98-902a-504542591b19"
    assert encounters[2]["identifier"] == [{"system": "https://peer.example/attendance", "value": "A-17"}]
    assert encounters[2]["length"]["code"] == "min"
    assert encounters[2]["length"]["value"] == 60
    assert encounters[2]["period"]["end"] == "2026-03-02T11:00:00-05:00"
    assert "location" not in encounters[2]
    assert "G-0" not in str(encounters)
    assert all(f"p{other}" not in str(encounters[2]) for other in (15, 16, 18, 19, 20))


def test_a_left_at_is_taken_before_the_end() -> None:
    record = session(1)
    record["attendees"][0] |= {"status": "left-early", "left_at": "2026-03-02T10:30:00-05:00"}
    encounter = run("group-session", {**record, "site": "Riverside"}).resources["encounter"][0]
    assert encounter["status"] == "finished"
    assert encounter["period"]["end"] == "2026-03-02T10:30:00-05:00"
    assert encounter["location"] == [{"location": {"display": "Riverside"}}]


def test_both_forms_of_the_questionnaire_say_the_same_answers_and_the_same_total() -> None:
    preferred, explicit = run("phq-9", FORM), run("phq-9-explicit", FORM)
    items = [
        {one["linkId"]: one["answer"][0] for one in result.resources["qr"][0]["item"]}
        for result in (preferred, explicit)
    ]
    links = [link for link in items[1] if link != "/44261-6"]
    assert len(links) == 9
    for link in links:
        codes = [answers[link]["valueCoding"]["code"] for answers in items]
        assert codes[0] == codes[1]
    assert items[0]["/44261-6"] == {"valueDecimal": Decimal(13)}
    assert items[1]["/44261-6"] == {"valueInteger": 13}


def test_the_explicit_form_makes_a_total_with_its_band_and_one_observation_per_row() -> None:
    result = run("phq-9-explicit", FORM)
    total = result.resources["total"][0]
    assert total["valueQuantity"]["value"] == 13
    assert total["valueQuantity"]["code"] == "{score}"
    assert total["interpretation"] == [{"text": "moderate"}]
    answers = result.resources["answer"]
    assert [one["code"]["coding"][0]["code"] for one in answers][:2] == ["44250-9", "44255-8"]
    assert answers[4]["code"]["coding"][0]["display"] == "Poor appetite or overeating"
    assert len(answers) == 9
    assert {one["derivedFrom"][0]["reference"] for one in answers} == {result.entries[0].full_url}
    assert len({entry.full_url for entry in result.entries}) == 11
