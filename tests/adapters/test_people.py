from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from peerfhir.adapters import people
from peerfhir.adapters.author import author
from peerfhir.mapping.registry import Mappings
from tests.adapters.making import PROGRAM, Maker
from tests.adapters.order import patient

SEED = 99


def test_a_person_goes_out_and_comes_back(mappings: Mappings) -> None:
    maker = Maker(SEED)
    for _ in range(30):
        person = maker.person()
        made = people.person_to_fhir(mappings, person)
        author(made)
        back = people.person_from_fhir(mappings, made)
        for name in ("given", "family", "identifiers", "birth_date", "phone", "email", "area"):
            assert getattr(back, name) == getattr(person, name)


def test_a_person_known_by_name_alone_is_a_valid_patient(mappings: Mappings) -> None:
    person = replace(Maker(SEED).person(), identifiers=(), birth_date=None, phone=None, area=None, given="")
    made = people.person_to_fhir(mappings, person)
    author(made)
    assert set(made) == {"resourceType", "active", "name", "gender"}


@pytest.mark.parametrize(
    ("names", "given", "family"),
    [
        ([{"family": "Vega", "given": ["Ana", "Luz"]}], "Ana Luz", "Vega"),
        ([{"text": "Ana Vega"}], "", "Ana Vega"),
        ([{"family": "Old"}, {"use": "official", "family": "Vega", "given": ["Ana"]}], "Ana", "Vega"),
    ],
)
def test_names_are_taken_as_they_come(mappings: Mappings, names: list[dict[str, Any]], given: str, family: str) -> None:
    person = people.person_from_fhir(mappings, patient() | {"name": names})
    assert (person.given, person.family) == (given, family)


@pytest.mark.parametrize(("sent", "kept"), [("1988-04-12", date(1988, 4, 12)), ("1988", None), ("1988-04", None)])
def test_a_birth_date_is_kept_only_when_it_is_a_day(mappings: Mappings, sent: str, kept: date | None) -> None:
    assert people.person_from_fhir(mappings, patient() | {"birthDate": sent}).birth_date == kept


def test_an_identifier_without_a_system_is_not_one(mappings: Mappings) -> None:
    sent = patient() | {"identifier": [{"value": "1"}, {"system": "urn:x", "value": "2"}]}
    assert [each.value for each in people.person_from_fhir(mappings, sent).identifiers] == ["2"]


def test_a_peer_is_a_name_and_a_title(mappings: Mappings) -> None:
    maker = Maker(SEED)
    peer = maker.peer()
    made = people.peer_to_fhir(mappings, peer, maker.refs(), PROGRAM)
    author(made)
    assert made["practitioner"]["display"] == peer.display
    assert not [canary for canary in maker.canaries if canary in str(made)]


@pytest.mark.parametrize(
    ("requester", "name"),
    [
        ({"resourceType": "Organization", "name": "Riverside General"}, "Riverside General"),
        ({"resourceType": "Practitioner", "name": [{"given": ["Joan"], "family": "Okafor"}]}, "Joan Okafor"),
        ({"resourceType": "Practitioner", "name": [{"text": "Dr. Okafor"}]}, "Dr. Okafor"),
        ({"resourceType": "PractitionerRole", "organization": {"display": "Ward 3"}}, "Ward 3"),
        ({"resourceType": "PractitionerRole"}, None),
        ({"resourceType": "Device"}, None),
        (None, None),
    ],
)
def test_a_referrer_is_called_as_their_resource_says(
    mappings: Mappings, requester: dict[str, Any] | None, name: str | None
) -> None:
    assert people.referrer_name(mappings, requester) == name
