from __future__ import annotations

import json

import pytest

from peerfhir.outbox.answers import EhrAnswer
from peerfhir.outbox.reconcile import Found, identifiers_of, search
from peerfhir.outbox.retry import Failure


class Answers:
    """Stands for an endpoint's client: one answer, and what was asked."""

    def __init__(self, answer: EhrAnswer) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def exchange(self, method, path, body=None, headers=None, **more):
        self.asked.append(f"{method} {path}")
        return self.answer


def observation(value="E-1", system="https://us", **more):
    return {"resourceType": "Observation", "id": "9", "identifier": [{"system": system, "value": value}], **more}


def bundle(*resources, **entry):
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one, **entry} for one in resources]}


OUTCOME = {"resourceType": "OperationOutcome", "issue": []}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (bundle(observation()), Found.ARRIVED),
        (bundle(observation(), observation("other")), Found.ARRIVED),
        (bundle(observation(), OUTCOME), Found.ARRIVED),
        (bundle(observation(), observation()), Found.SEVERAL),
        (bundle(), Found.ABSENT),
        ({"resourceType": "Bundle", "type": "searchset"}, Found.ABSENT),
        ({"resourceType": "Bundle", "total": 0, "entry": None}, Found.ABSENT),
        (bundle(OUTCOME), Found.ABSENT),
        (bundle(observation("other"), search={"mode": "include"}), Found.ABSENT),
        (bundle(observation("other")), Found.UNRELIABLE),
        (bundle(observation(system="https://them")), Found.UNRELIABLE),
        (OUTCOME, Found.UNKNOWN),
        ({"resourceType": "Bundle", "entry": "x"}, Found.UNKNOWN),
        (None, Found.UNKNOWN),
    ],
    ids=range(14),
)
def test_a_search_says_no_more_than_it_proves(body, found):
    finding = search(Answers(EhrAnswer(200, {}, body)), "Observation", "https://us|E-1")
    assert finding.found is found
    assert (finding.address is not None) == (found is Found.ARRIVED)


@pytest.mark.parametrize("answer", [EhrAnswer(503), EhrAnswer(400), EhrAnswer(None, failure=Failure.CONNECT)])
def test_a_search_without_an_answer_proves_nothing(answer):
    assert search(Answers(answer), "Observation", "https://us|E-1").found is Found.UNKNOWN


def test_nothing_in_the_address_of_a_search_needs_more_than_our_identifier():
    client = Answers(EhrAnswer(200, {}, bundle()))
    search(client, "Observation", "https://us/a b|QR-1#44261-6&x=1")
    assert client.asked == ["GET Observation?identifier=https%3A%2F%2Fus%2Fa%20b%7CQR-1%2344261-6%26x%3D1"]


@pytest.mark.parametrize(
    ("identifier", "names"),
    [
        ([{"system": "s", "value": "v"}, {"value": "v"}, "x", {"system": 1, "value": "v"}], ["s|v"]),
        ({"system": "s", "value": "v"}, ["s|v"]),
        (None, []),
        ("x", []),
    ],
)
def test_identifiers_are_read_from_one_or_many(identifier, names):
    resource = json.loads(json.dumps({"resourceType": "QuestionnaireResponse", "identifier": identifier}))
    assert identifiers_of(resource) == names
