from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from peerfhir.adapters.author import author
from peerfhir.adapters.projection import LEDGER, project
from peerfhir.fhir.labels import Projected
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.people import Person
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.vocabulary import ShareClass, Status, TaskStatus
from tests.adapters.making import Maker
from tests.adapters.shelf import Shelf, stored_task

SEED = 808


def ids(made: list[Projected]) -> list[str]:
    return [f"{each.resource['resourceType']}/{each.resource['id']}" for each in made]


def shelved(maker: Maker, **person: object) -> tuple[Shelf, Person, Referral]:
    someone = replace(maker.person(), **person)  # type: ignore[arg-type]
    referral = maker.referral(someone)
    assert referral.origin is not None
    shelf = Shelf([someone], [referral])
    shelf.stored["Task", str(referral.origin.task_id)] = stored_task(referral)
    return shelf, someone, referral


def test_a_meeting_is_served_under_its_own_id_with_the_class_of_each_part(mappings: Mappings) -> None:
    maker = Maker(SEED)
    shelf, person, referral = shelved(maker)
    encounter = maker.encounter(person, referral)
    made = project(mappings, {}, encounter, shelf)
    assert ids(made) == [f"{kind}/{encounter.id}" for kind in ("Encounter", "DocumentReference", "Procedure")]
    assert [each.share_class for each in made] == ["attendance", "summary", "attendance"]
    assert {each.person_id for each in made} == {person.id}
    assert referral.origin is not None
    for each in made:
        author(each.resource)
        assert each.resource["subject"]["reference"] == f"Patient/{referral.origin.patient_id}"
    assert made[1].resource["context"]["encounter"] == [{"reference": f"Encounter/{encounter.id}"}]
    assert made[0].resource["serviceProvider"]["reference"] == "Organization/program"


def test_what_was_kept_between_two_people_has_no_document(mappings: Mappings) -> None:
    maker = Maker(SEED)
    shelf, person, referral = shelved(maker)
    encounter = replace(maker.encounter(person, referral), summary=None)
    kinds = [each.resource["resourceType"] for each in project(mappings, {}, encounter, shelf)]
    assert kinds == ["Encounter", "Procedure"]


def test_a_cancelled_meeting_is_no_procedure(mappings: Mappings) -> None:
    maker = Maker(SEED)
    shelf, person, referral = shelved(maker)
    encounter = replace(maker.encounter(person, referral), summary=None, status="cancelled")
    assert ids(project(mappings, {}, encounter, shelf)) == [f"Encounter/{encounter.id}"]


def test_a_person_whom_no_order_brought_is_served_by_us(mappings: Mappings) -> None:
    maker = Maker(SEED)
    person = maker.person()
    encounter = maker.encounter(person)
    made = project(mappings, {}, encounter, Shelf([person]))
    assert ids(made)[0] == f"Patient/{person.id}"
    assert made[1].resource["subject"]["reference"] == f"Patient/{person.id}"


def test_a_call_without_an_order_is_put_beside_the_patient_of_an_earlier_one(mappings: Mappings) -> None:
    maker = Maker(SEED)
    shelf, person, referral = shelved(maker)
    made = project(mappings, {}, maker.encounter(person), shelf)
    assert referral.origin is not None
    assert made[0].resource["subject"]["reference"] == f"Patient/{referral.origin.patient_id}"
    assert "basedOn" not in made[0].resource


def test_a_questionnaire_is_served_in_parts_each_with_its_class(mappings: Mappings) -> None:
    maker = Maker(SEED)
    for _ in range(10):
        shelf, person, referral = shelved(maker)
        instrument = maker.instrument()
        outcome = replace(maker.outcome(person, instrument, referral), encounter_id="E1")
        made = project(mappings, {instrument.id: instrument}, outcome, shelf)
        codes = [item.code for item in instrument.items if item.link_id in outcome.answers]
        assert ids(made) == [
            f"QuestionnaireResponse/{outcome.id}",
            *[f"Observation/{outcome.id}-{code}" for code in codes],
            f"Observation/{outcome.id}-total",
            f"Observation/{outcome.id}-panel",
        ]
        assert all(len(each.resource["id"]) <= 64 for each in made)
        assert [each.share_class for each in made] == ["item-level", *["item-level"] * len(codes), "scores", "scores"]
        for each in made:
            author(each.resource)
            assert each.resource["encounter"]["reference"] == "Encounter/E1"
        assert made[-1].resource["hasMember"] == [{"reference": f"Observation/{outcome.id}-total"}]


def test_our_own_task_is_brought_up_to_date_in_outward_words(mappings: Mappings) -> None:
    maker = Maker(SEED)
    shelf, person, referral = shelved(maker, sharing_chosen_at=datetime(2026, 11, 25, tzinfo=UTC))
    shelf.engagements.append(maker.engagement(referral))
    [made] = project(mappings, {}, referral, shelf)
    author(made.resource)
    assert (made.share_class, made.person_id) == (ShareClass.EXISTENCE.value, person.id)
    assert made.resource["status"] == "completed"
    assert made.resource["note"] == [{"text": "Please call after five."}]
    [link] = [each for each in made.resource["output"] if each["type"].get("text") == "Peer support continues"]
    assert link["valueReference"]["reference"] == f"EpisodeOfCare/{shelf.engagements[0].id}"


def test_before_the_person_has_chosen_our_own_task_tells_no_more_than_the_hospitals(mappings: Mappings) -> None:
    maker = Maker(SEED)
    shelf, _, referral = shelved(maker)
    shelf.engagements.append(maker.engagement(referral))
    [made] = project(mappings, {}, referral, shelf)
    assert made.resource["status"] == "in-progress"
    assert made.resource["businessStatus"]["coding"][0]["code"] == "in-contact"
    assert "output" not in made.resource
    assert shelf.engagements[0].number not in str(made.resource)


def test_an_order_kept_elsewhere_has_no_task_of_ours(mappings: Mappings) -> None:
    maker = Maker(SEED)
    person = maker.person()
    referral = replace(maker.referral(person, Status.TRIAGE, TaskStatus.REQUESTED), origin=None)
    assert project(mappings, {}, referral, Shelf([person], [referral])) == []


def test_an_engagement_exists_and_a_grant_is_for_the_program_alone(mappings: Mappings) -> None:
    maker = Maker(SEED)
    shelf, person, referral = shelved(maker)
    engagement, grant = maker.engagement(referral), maker.grant(person)
    shelf.engagements.append(engagement)
    [episode] = project(mappings, {}, engagement, shelf)
    author(episode.resource)
    assert (ids([episode]), episode.share_class) == ([f"EpisodeOfCare/{engagement.id}"], "existence")
    [line] = project(mappings, {}, grant, shelf)
    author(line.resource)
    assert (ids([line]), line.share_class) == ([f"Consent/{grant.id}"], LEDGER)
    assert LEDGER not in {each.value for each in ShareClass}


@pytest.mark.parametrize("kind", ["person", "peer"])
def test_people_themselves_are_never_projected(mappings: Mappings, kind: str) -> None:
    maker = Maker(SEED)
    record = maker.person() if kind == "person" else maker.peer()
    assert project(mappings, {}, record, Shelf()) == []


def test_projecting_again_gives_the_same_bytes(mappings: Mappings) -> None:
    maker = Maker(SEED)
    shelf, person, referral = shelved(maker)
    encounter = maker.encounter(person, referral)
    first = [author(each.resource) for each in project(mappings, {}, encounter, shelf)]
    assert [author(each.resource) for each in project(mappings, {}, encounter, shelf)] == first
