"""The maps in use are found as FHIR finds them: by address, version, name, status and id, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine

from peerfhir.fhir.reader import Json
from peerfhir.fhir.validate import validate
from peerfhir.mapping.registry import Mappings
from tests.support import doors, shipped
from tests.support.clock import HeldClock
from tests.support.mapping_folder import CANONICAL


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return shipped.mappings()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, mappings: Mappings) -> Iterator[tuple[Flask, Engine, HeldClock]]:
    """One app for all of these: nothing here writes."""
    with doors.reading(tmp_path_factory.mktemp("house"), mappings) as made:
        yield made


@pytest.fixture(scope="module")
def partner(house: tuple[Flask, Engine, HeldClock]) -> doors.Speaker:
    return doors.speaker(*house)


def ids(bundle: Json) -> list[str]:
    return [one["resource"]["id"] for one in bundle.get("entry", [])]


def test_every_active_mapping_and_code_map_is_found_and_can_be_read(partner: doors.Speaker, mappings: Mappings) -> None:
    active = {f"{one.id}.{one.overlay}" if one.overlay else one.id for one in mappings.active()}
    maps = partner.get("/fhir/StructureMap").json
    assert set(ids(maps)) == active
    assert maps["total"] == len(active)
    assert [one for one in validate(maps, by_model=False) if one.severity == "error"] == []
    tables = partner.get("/fhir/ConceptMap").json
    assert len(ids(tables)) == tables["total"] == len(set(ids(tables)))
    assert {one.rpartition("-")[0] for one in ids(tables)} >= {"referral-csv", "referral-csv.epic-like"}
    for kind, bundle in (("StructureMap", maps), ("ConceptMap", tables)):
        for entry in bundle["entry"][:3]:
            assert entry["search"] == {"mode": "match"}
            assert partner.get(f"/fhir/{kind}/{entry['resource']['id']}").json == entry["resource"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("_id=phq-9", ["phq-9"]),
        ("_id=phq-9,gad-7", ["gad-7", "phq-9"]),
        (f"url={CANONICAL}/StructureMap/person", ["person"]),
        (f"url={CANONICAL}/StructureMap/person|1.0.0&version=1.0.0", ["person"]),
        (f"url={CANONICAL}/StructureMap/person|9.9.9", []),
        ("_id=person&version=9.9.9", []),
        ("name=referralc", ["referral-csv", "referral-csv.epic-like"]),
        ("name:exact=ReferralCsv", ["referral-csv"]),
        ("name:contains=EPIC", ["referral-csv.epic-like"]),
        ("_id=person&status=active", ["person"]),
        ("_id=person&status=http://hl7.org/fhir/publication-status|active", ["person"]),
        ("_id=person&status=draft", []),
    ],
)
def test_a_search_keeps_what_fits_every_parameter(partner: doors.Speaker, asked: str, found: list[str]) -> None:
    bundle = partner.get(f"/fhir/StructureMap?{asked}").json
    assert ids(bundle) == found
    assert bundle["total"] == len(found)
    form = partner.web.post("/fhir/StructureMap/_search", data=asked, headers=partner.headers(),
                                           content_type="application/x-www-form-urlencoded").json  # fmt: skip
    assert ids(form) == found


def test_a_code_map_is_found_by_its_address(partner: doors.Speaker) -> None:
    url = f"{CANONICAL}/ConceptMap/referral-csv-program"
    bundle = partner.get(f"/fhir/ConceptMap?url={url}").json
    assert [one["resource"]["url"] for one in bundle["entry"]] == [url]


def test_pages_follow_each_other_to_the_end(partner: doors.Speaker) -> None:
    whole = ids(partner.get("/fhir/StructureMap").json)
    seen, address = [], "/fhir/StructureMap?_count=15"
    while address:
        page = partner.get(address).json
        assert page["total"] == len(whole)
        seen += ids(page)
        links = {one["relation"]: one["url"] for one in page["link"]}
        address = links.get("next", "").removeprefix(doors.BASE)
    assert seen == whole


@pytest.mark.parametrize("asked", ["colour=blue", "url:below=x", "status=", "_count=many", "_sort=name"])
def test_what_is_not_understood_is_refused_with_an_outcome(partner: doors.Speaker, asked: str) -> None:
    answer = partner.get(f"/fhir/StructureMap?{asked}")
    assert (answer.status_code, answer.json["resourceType"]) == (400, "OperationOutcome")


def test_a_search_needs_the_scope_to_search(house: tuple[Flask, Engine, HeldClock]) -> None:
    reader = doors.speaker(*house, scope="system/StructureMap.r")
    assert reader.get("/fhir/StructureMap/person").status_code == 200
    assert reader.get("/fhir/StructureMap").status_code == 403


def test_what_is_stated_is_served_and_what_is_served_is_stated(partner: doors.Speaker) -> None:
    statement = partner.get("/fhir/metadata").json
    named = {one["type"]: one for one in statement["rest"][0]["resource"]}
    for kind in ("StructureMap", "ConceptMap"):
        stated = {one["name"] for one in named[kind]["searchParam"]}
        known = {"_id", "name", "status", "url", "version"}
        assert stated == known
        for name in ("_id", "date", "identifier", "name", "publisher", "status", "title", "url", "version"):
            served = partner.get(f"/fhir/{kind}?{name}=x").status_code == 200
            assert served == (name in stated), name
