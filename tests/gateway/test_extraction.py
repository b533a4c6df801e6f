"""`QuestionnaireResponse/$extract`: what a response gives over FHIR is what a mapping extracts from it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from peerfhir.fhir import reader
from peerfhir.fhir.reader import Json
from peerfhir.fhir.validate import validate
from tests.support import doors, shipped
from tests.support.clock import HeldClock

PATH = "/fhir/QuestionnaireResponse/$extract"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, Engine, HeldClock]]:
    with doors.reading(tmp_path_factory.mktemp("house"), shipped.mappings()) as made:
        yield made


@pytest.fixture(scope="module")
def partner(house: tuple[Flask, Engine, HeldClock]) -> doors.Speaker:
    return doors.speaker(*house)


def mapped(name: str = "01-answered") -> tuple[Json, list[Json]]:
    """A QuestionnaireResponse of the shipped mapping, and the Observations it extracts."""
    path = shipped.FOLDER / "phq-9" / "examples" / f"{name}.expected.json"
    response, *observations = [one["resource"] for one in reader.read(path.read_bytes())["entry"]]
    return response, observations


def nameless(observation: Json) -> Json:
    """Without what names other resources of the Bundle."""
    return {key: one for key, one in observation.items() if key not in ("derivedFrom", "hasMember")}


def said(answer: Any, status: int = 422) -> str:
    assert (answer.status_code, answer.json["resourceType"]) == (status, "OperationOutcome"), answer.text
    return " ".join(one["diagnostics"] for one in answer.json["issue"])


@pytest.mark.parametrize("name", ["01-answered", "02-all-lowest", "03-all-highest"])
def test_a_response_gives_what_a_mapping_extracts(partner: doors.Speaker, name: str) -> None:
    response, wanted = mapped(name)
    answer = partner.post(PATH, response)
    assert answer.status_code == 200, answer.text
    bundle = answer.json
    assert bundle["type"] == "transaction"
    assert {one["request"]["method"] + one["request"]["url"] for one in bundle["entry"]} == {"POSTObservation"}
    found = [one["resource"] for one in bundle["entry"]]
    assert [nameless(one) for one in found] == [nameless(one) for one in wanted]
    urls = {one["fullUrl"] for one in bundle["entry"]}
    members = [one["reference"] for resource in found for one in resource.get("hasMember", [])]
    assert len(urls) == len(found)
    assert members
    assert set(members) < urls
    assert [one for one in validate(bundle, by_model=False) if one.severity == "error"] == []
    assert partner.post(PATH, response).json == bundle


def test_parameters_hold_the_response_too(partner: doors.Speaker) -> None:
    response, _ = mapped()
    sent = {"resourceType": "Parameters", "parameter": [{"name": "questionnaire-response", "resource": response}]}
    assert partner.post(PATH, sent).json == partner.post(PATH, response).json


def test_a_total_that_was_sent_is_not_believed(partner: doors.Speaker) -> None:
    response, _ = mapped("02-all-lowest")
    wrong = deepcopy(response)
    total = next(item for item in wrong["item"] if "valueDecimal" in item["answer"][0])
    total["answer"][0]["valueDecimal"] = 27
    assert [nameless(one["resource"]) for one in partner.post(PATH, wrong).json["entry"]] == [
        nameless(one["resource"]) for one in partner.post(PATH, response).json["entry"]
    ]


def test_an_unfinished_response_gives_nothing(partner: doors.Speaker) -> None:
    response, _ = mapped()
    assert partner.post(PATH, {**response, "status": "in-progress"}).json == {
        "resourceType": "Bundle",
        "type": "transaction",
    }


def test_what_is_stored_is_extracted_and_named_as_its_source(partner: doors.Speaker) -> None:
    response, wanted = mapped()
    plain = {key: one for key, one in response.items() if key not in ("subject", "author")}
    made = partner.post("/fhir/QuestionnaireResponse", plain)
    assert made.status_code == 201, made.text
    own = made.json["id"]
    answer = partner.get(f"/fhir/QuestionnaireResponse/{own}/$extract")
    assert answer.status_code == 200, answer.text
    found = [one["resource"] for one in answer.json["entry"]]
    assert len(found) == len(wanted)
    assert all(one["derivedFrom"] == [{"reference": f"QuestionnaireResponse/{own}"}] for one in found)
    assert said(partner.get("/fhir/QuestionnaireResponse/nobody/$extract"), 404)
    assert said(partner.post(f"/fhir/QuestionnaireResponse/{own}/$extract", response), 400)


def test_another_program_does_not_see_what_is_stored(
    house: tuple[Flask, Engine, HeldClock], partner: doors.Speaker
) -> None:
    response, _ = mapped()
    plain = {key: one for key, one in response.items() if key not in ("subject", "author")}
    own = partner.post("/fhir/QuestionnaireResponse", plain).json["id"]
    stranger = doors.speaker(*house, program="beta", endpoint="hilltop")
    assert said(stranger.get(f"/fhir/QuestionnaireResponse/{own}/$extract"), 404)


def test_what_cannot_be_extracted_is_refused_and_never_repeats_a_value(partner: doors.Speaker) -> None:
    response, _ = mapped()
    strange, other = deepcopy(response), deepcopy(response)
    strange["item"][0]["answer"][0]["valueCoding"] = {"system": "http://loinc.org", "code": "LA-SECRET"}
    other["item"][0]["linkId"] = "/none"
    typed = deepcopy(response)
    typed["item"][0]["answer"][0] = {"valueString": "SECRET"}
    for sent, word in (
        ({**response, "questionnaire": "http://loinc.org/q/0"}, "not known here"),
        ({**response, "questionnaire": f"{response['questionnaire'].partition('|')[0]}|0.0"}, "not known here"),
        (strange, "matches no option"), (other, "not of this questionnaire"), (typed, "another type of answer"),
        ({"resourceType": "Patient"}, "QuestionnaireResponse is expected"), ({**response, "status": "SECRET"}, ""),
    ):  # fmt: skip
        text = said(partner.post(PATH, sent))
        assert word in text
        assert "SECRET" not in text
    given = {"resourceType": "Parameters", "parameter": [{"name": "questionnaire", "resource": {"resourceType": "Questionnaire", "status": "draft"}}]}  # fmt: skip
    assert said(partner.post(PATH, given))


def test_no_answer_is_chosen_or_left_out_in_silence(partner: doors.Speaker) -> None:
    response, _ = mapped()
    twice, two, below, inside = (deepcopy(response) for _ in range(4))
    twice["item"].append(deepcopy(twice["item"][0]))
    two["item"][0]["answer"] *= 2
    inside["subject"] = {"reference": "#p"}
    inside["contained"] = [{"resourceType": "Patient", "id": "p"}]
    below["item"][0]["answer"][0]["item"] = [below["item"].pop(1)]
    for sent, word in ((twice, "answered twice"), (two, "answered twice"), (inside, "response contains")):
        assert word in said(partner.post(PATH, sent))
    wanted = [nameless(one["resource"]) for one in partner.post(PATH, response).json["entry"]]
    assert [nameless(one["resource"]) for one in partner.post(PATH, below).json["entry"]] == wanted


def test_the_scope_is_that_of_reading_responses(house: tuple[Flask, Engine, HeldClock]) -> None:
    response, _ = mapped()
    assert said(doors.speaker(*house, scope="system/Patient.rs").post(PATH, response), 403)
    assert doors.speaker(*house, scope="system/QuestionnaireResponse.r").post(PATH, response).status_code == 200


def test_the_capability_statement_says_so(partner: doors.Speaker) -> None:
    statement = partner.get("/fhir/metadata").json
    (stated,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "QuestionnaireResponse"]
    assert {"name": "extract", "definition": "http://hl7.org/fhir/uv/sdc/OperationDefinition/QuestionnaireResponse-extract"} in stated["operation"]  # fmt: skip
