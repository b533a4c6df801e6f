from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from peerfhir.adapters import encounter as encounters
from peerfhir.adapters.author import author
from peerfhir.adapters.pieces import PIECES
from peerfhir.adapters.writeback import plan
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.vocabulary import Modality, Piece, ServiceType
from peerfhir.practice.moods import MOODS, complaint
from tests.adapters.making import CANONICAL, PROGRAM, Maker
from tests.adapters.offers import OFFERS, endpoint

SEED = 55
MEETING = (Piece.ENCOUNTER, Piece.SUMMARY, Piece.PROCEDURE)
CLASSES = {"in-person": "AMB", "home": "HH", "community": "FLD", "bedside": "IMP", "ed-bedside": "EMER"}


def made(mappings: Mappings, maker: Maker, piece: Piece, encounter: Encounter, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"engagement": None, "peer": None, "program": PROGRAM, "named": False} | more
    refs = given.pop("refs", None) or maker.refs()
    resource: dict[str, Any] = encounters.to_fhir(mappings, piece, encounter, refs, **given)
    return resource


def text_of(note: dict[str, Any]) -> str:
    return base64.b64decode(note["content"][0]["attachment"]["data"]).decode()


@pytest.mark.parametrize("service", ServiceType)
@pytest.mark.parametrize("modality", Modality)
def test_every_meeting_gives_valid_resources(mappings: Mappings, service: ServiceType, modality: Modality) -> None:
    maker = Maker(SEED)
    encounter = replace(maker.encounter(maker.person()), service=service, modality=modality)
    for piece in MEETING:
        for form in PIECES[piece]:
            author(made(mappings, maker, piece, encounter, mapping=form.mapping))
    resource = made(mappings, maker, Piece.ENCOUNTER, encounter)
    assert resource["class"]["code"] == CLASSES.get(modality.value, "VR")
    assert resource["type"][0]["coding"][0]["code"] == service.value
    assert resource["type"][0]["text"].startswith("Peer support, ")


def test_a_meeting_keeps_its_times_and_minutes_as_recorded(mappings: Mappings) -> None:
    maker = Maker(SEED)
    for _ in range(30):
        encounter = maker.encounter(maker.person())
        resource = made(mappings, maker, Piece.ENCOUNTER, encounter)
        period = {"start": encounter.started_at.isoformat(), "end": encounter.ended_at.isoformat()}
        assert resource["period"] == period
        assert resource["length"]["value"] == encounter.minutes
        assert resource["identifier"][0]["value"] == encounter.number
        assert made(mappings, maker, Piece.PROCEDURE, encounter)["performedPeriod"] == period


def test_the_peer_is_named_only_when_that_may_go_out(mappings: Mappings) -> None:
    maker = Maker(SEED)
    encounter, peer = maker.encounter(maker.person()), maker.peer()
    for piece in MEETING:
        for form in PIECES[piece]:
            hidden = made(mappings, maker, piece, encounter, peer=peer, named=False, mapping=form.mapping)
            assert peer.display not in str(hidden)
            assert "participant" not in hidden
    shown = made(mappings, maker, Piece.ENCOUNTER, encounter, peer=peer, named=True)
    assert shown["participant"][0]["individual"]["display"] == peer.display
    note = made(mappings, maker, Piece.SUMMARY, encounter, peer=peer, named=True)
    assert peer.display in note["author"][0]["display"]
    assert text_of(note) == f"{encounter.summary}\n{peer.display}, {peer.title}"
    author(note)


def test_a_summary_arrives_exactly_as_it_was_previewed(mappings: Mappings) -> None:
    maker = Maker(SEED)
    encounter = maker.encounter(maker.person())
    for mapping in ("summary", "summary-oracle"):
        note = made(mappings, maker, Piece.SUMMARY, encounter, mapping=mapping)
        assert text_of(note) == encounter.summary
        assert note["identifier"][0]["value"] == f"N-{encounter.number[2:]}"


def test_the_episode_is_named_by_its_number_where_ours_cannot_be_followed(mappings: Mappings) -> None:
    maker = Maker(SEED)
    person = maker.person()
    referral = maker.referral(person)
    engagement = maker.engagement(referral)
    resource = made(mappings, maker, Piece.ENCOUNTER, maker.encounter(person), engagement=engagement)
    assert resource["episodeOfCare"] == [
        {
            "type": "EpisodeOfCare",
            "identifier": {"system": f"{CANONICAL}/NamingSystem/episode", "value": engagement.number},
        }
    ]
    assert "episodeOfCare" not in made(mappings, maker, Piece.ENCOUNTER, maker.encounter(person))


def test_a_note_can_say_that_a_meeting_took_place(mappings: Mappings) -> None:
    maker = Maker(SEED)
    encounter = replace(maker.encounter(maker.person()), service=ServiceType.ONE_TO_ONE, modality=Modality.PHONE)
    note = made(mappings, maker, Piece.ENCOUNTER, encounter, mapping="encounter-as-note")
    assert text_of(note).startswith("Peer support meeting by phone, 20")
    assert f"{encounter.minutes} minutes" in text_of(note)
    assert note["identifier"] != made(mappings, maker, Piece.SUMMARY, encounter)["identifier"]


def test_a_mistaken_meeting_is_marked_so_everywhere(mappings: Mappings) -> None:
    maker = Maker(SEED)
    encounter = replace(maker.encounter(maker.person()), status="entered-in-error")
    for piece in MEETING:
        resource = made(mappings, maker, piece, encounter)
        author(resource)
        assert resource["status"] == "entered-in-error"


def test_every_form_the_plan_chooses_is_one_the_hospital_takes(mappings: Mappings) -> None:
    maker = Maker(SEED)
    encounter = maker.encounter(maker.person())
    for name, offer in OFFERS.items():
        for piece in MEETING:
            rung = plan(piece, offer, endpoint(name))
            if rung.mapping is None:
                continue
            resource = made(mappings, maker, piece, encounter, mapping=rung.mapping)
            author(resource)
            assert resource["resourceType"] == rung.form
            rule = MOODS[name].rules.get(rung.form)
            assert rule is None or complaint(rule, resource) is None


def test_notes_about_a_person_are_restricted(mappings: Mappings) -> None:
    maker = Maker(SEED)
    encounter = maker.encounter(maker.person())
    for piece in MEETING:
        security = made(mappings, maker, piece, encounter)["meta"]["security"]
        assert [label["code"] for label in security] == ["R"]
