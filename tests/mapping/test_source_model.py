from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peerfhir.adapters.instruments import load_instruments
from peerfhir.adapters.questionnaires import forms
from peerfhir.adapters.shelves import shelf
from peerfhir.mapping.catalogue import Survey, survey
from peerfhir.mapping.packaged import Packaged
from peerfhir.mapping.run import RecordFailed
from tests.mapping.folders import put
from tests.mapping.test_profiles import element
from tests.support.mapping_folder import CANONICAL

OWN = "http://x.example/StructureDefinition/order"
HEAD = "mapping: order\nversion: 1.0.0\nfhirVersion: 4.0.1\ndirection: from-fhir\n"
SOURCE = "source: {format: fhir, type: ServiceRequest, profile: order}\n"
SYSTEMS = "systems: {mrn: http://x.example/mrn}\nconceptMaps: {priority: {routine: R, urgent: U, asap: A, stat: S}}\n"
GRAVITY = Path(__file__).parents[3] / "shared/fhir-packages/gravity-sdohcc"


def order() -> dict[str, Any]:
    """A profile of ServiceRequest that says something of each kind."""
    return {"url": OWN, "type": "ServiceRequest", "snapshot": {"element": [
        element("ServiceRequest"), element("ServiceRequest.authoredOn", min=1, max="1"), element("ServiceRequest.priority", min=1, max="1"),
        element("ServiceRequest.note", min=0, max="0"), element("ServiceRequest.category", min=1, max="1"), element("ServiceRequest.category.text", min=1, max="1"),
        element("ServiceRequest.occurrence[x]", min=0, max="0"),
        element("ServiceRequest.identifier", min=1, max="*", slicing={"discriminator": [{"type": "value", "path": "system"}]}),
        element("ServiceRequest.identifier.value", min=1, max="1"),
        element("ServiceRequest.identifier:mrn", min=1, max="1"), element("ServiceRequest.identifier:mrn.system", min=1, max="1", fixedUri="http://x.example/mrn"),
        element("ServiceRequest.identifier:mrn.value", min=1, max="1"),
        element("ServiceRequest.identifier:old", min=0, max="0"), element("ServiceRequest.identifier:old.system", min=1, max="1", fixedUri="http://x.example/old"),
        element("ServiceRequest.extension", min=0, max="*", slicing={"discriminator": [{"type": "value", "path": "url"}]}),
        element("ServiceRequest.extension:reach", min=1, max="1", type=[{"code": "Extension", "profile": ["http://x.example/reach"]}]),
        element("ServiceRequest.reasonCode", min=1, max="*"), element("ServiceRequest.reasonCode.coding", min=1, max="1"),
    ]}}  # fmt: skip


def loaded(
    folder: Path, expression: str, *, source: str = SOURCE, kind: str = "string!", head: str = SYSTEMS
) -> Survey:
    """The survey of a mapping with one rule."""
    text = f'{HEAD}{source}profiles: {{order: "{OWN}"}}\n{head}record:\n  fields: {{a: {kind}}}\n  values: {{a: "={expression}"}}\n'
    put(folder, order__order=text)
    return survey(folder / "mappings", canonical=CANONICAL, profiles={OWN: order()})


def codes(found: Survey) -> list[str]:
    """What is told, without what is told of every mapping made in a test."""
    return [one.code for one in found.problems if one.code not in ("PM500", "PM501")]


@pytest.mark.parametrize(
    ("expression", "without", "with_it"),
    [
        ("priority", ["PM221"], []), ("priority.translate('priority')", ["PM221"], []), ("category.text", ["PM211"], []), ("requester.display", ["PM221"], ["PM221"]),
        ("identifier.value", ["PM211"], ["PM211"]), ("identifier.first().value", ["PM221"], []), ("identifier.where(value = 'x').value", ["PM211"], ["PM211"]),
        ("identifier.where(system = %systems.mrn).value", ["PM211"], []), ("identifier.where('http://x.example/mrn' = system).value", ["PM211"], []),
        ("identifier.where(system = 'http://x.example/old').value", ["PM211"], ["PM111"]), ("identifier.where(system = 'http://x.example/new').value", ["PM211"], ["PM211"]),
        ("note.text.first()", ["PM221"], ["PM111"]), ("occurrence.ofType(dateTime).toString()", ["PM221"], ["PM111"]),
        ("extension('http://x.example/reach').value.ofType(string)", ["PM211"], ["PM221"]), ("extension('http://x.example/else').value.ofType(string)", ["PM211"], ["PM211"]),
        ("reasonCode.coding.code", ["PM211"], ["PM211"]), ("reasonCode.first().coding.single().code", ["PM221"], ["PM221"]), ("status", ["PM221"], ["PM221"]),
    ],
)  # fmt: skip
def test_a_profile_of_the_source_is_its_model(
    expression: str, without: list[str], with_it: list[str], tmp_path: Path
) -> None:
    plain = SOURCE.replace(", profile: order", "")
    assert codes(loaded(tmp_path, expression, source=plain)) == without
    assert codes(loaded(tmp_path, expression)) == with_it


def test_a_record_that_breaks_the_profile_fails_where_it_does(tmp_path: Path) -> None:
    good = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": {"display": "x"},
        "identifier": [{"system": "http://x.example/mrn", "value": "7"}, {"system": "http://y.example", "value": "8"}],
    }  # fmt: skip
    program = loaded(tmp_path, "identifier.where(system = %systems.mrn).value").loaded["order"].program
    assert program.run(good).values == {"a": "7"}
    for broken, code in (({"identifier": []}, "PM722"), ({"identifier": [good["identifier"][0]] * 2}, "PM712")):
        with pytest.raises(RecordFailed) as failed:
            program.run({**good, **broken})
        assert [one.code for one in failed.value.problems] == [code]


def test_a_profile_that_is_not_known_or_of_another_type_is_told(tmp_path: Path) -> None:
    assert codes(loaded(tmp_path, "status", source=SOURCE.replace("profile: order", "profile: ordre")))[0] == "PM201"
    assert codes(loaded(tmp_path, "status", source=SOURCE.replace("ServiceRequest", "Task")))[0] == "PM201"
    put(tmp_path, order__order=HEAD + SOURCE + f'profiles: {{order: "{OWN}x"}}\nrecord: {{fields: {{a: string}}, values: {{a: =status}}}}\n')  # fmt: skip
    found = survey(tmp_path / "mappings", canonical=CANONICAL, profiles={OWN: order()})
    assert codes(found) == ["PM201"]
    assert codes(survey(tmp_path / "mappings", canonical=CANONICAL)) == []


@pytest.mark.skipif(not GRAVITY.is_dir(), reason="the fixtures of the profiles are not beside the repository")
def test_the_order_of_gravity_is_a_source(tmp_path: Path) -> None:
    url = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-ServiceRequest"
    text = HEAD + SOURCE + f"profiles: {{order: {url}}}\nrecord:\n  fields: {{a: string!, b: string!, c: code!}}\n"
    put(tmp_path, order__order=text + "  values: {a: =subject.reference, b: =requester.reference, c: =priority}\n")
    found = survey(tmp_path / "mappings", canonical=CANONICAL, profiles=Packaged([GRAVITY]))
    assert {one.code for one in found.problems} <= {"PM221", "PM500"}


# --- questionnaires ------------------------------------------------------------------------------------------------

ANSWERS = "source: {format: fhir, type: QuestionnaireResponse, questionnaire: phq-9}\n"
INSTRUMENTS = Path(__file__).parents[2] / "config/instruments"


def asked(folder: Path, expression: str, source: str = ANSWERS) -> Survey:
    """The survey of a mapping that reads the answers to the PHQ-9."""
    known = forms(INSTRUMENTS, load_instruments(INSTRUMENTS))
    text = f'{HEAD}{source}record:\n  fields: {{a: string}}\n  values: {{a: "={expression}"}}\n'
    put(folder, order__order=text)
    return survey(folder / "mappings", canonical=CANONICAL, instruments=known)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("item.where(linkId = '/44250-9').answer.value.ofType(Coding).code.first()", []),
        ("item.where(linkId = '/44250-8').answer.value.ofType(Coding).code.first()", ["PM602"]),
        ("descendants().where(linkId = '/nothing').count().toString()", ["PM602"]),
        ("item.where(linkId in ('/44250-9' | '/44255-9')).linkId.first()", ["PM602"]),
        ("item.where(linkId != '/nothing').linkId.first()", []), ("item.where(text = '/nothing').linkId.first()", []),
    ],
)  # fmt: skip
def test_link_ids_are_those_of_the_questionnaire(expression: str, told: list[str], tmp_path: Path) -> None:
    found = asked(tmp_path, expression)
    assert codes(found) == told
    for one in found.problems:
        if one.code == "PM602":
            assert one.severity == "error"
            assert one.address == "record.a"
    assert codes(asked(tmp_path, expression, ANSWERS.replace(", questionnaire: phq-9", ""))) == []


def test_a_mapping_that_only_reads_answers_wants_the_instruments(tmp_path: Path) -> None:
    text = f"{HEAD}{ANSWERS}record:\n  fields: {{a: string}}\n  values: {{a: =status}}\n"
    put(tmp_path, order__order=text)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/instruments").symlink_to(INSTRUMENTS)
    assert {one.code for one in shelf(tmp_path / "mappings").problems if one.severity == "error"} == set()


def test_an_unknown_questionnaire_and_one_of_another_type_are_told(tmp_path: Path) -> None:
    assert codes(asked(tmp_path, "status", ANSWERS.replace("phq-9", "phq-8"))) == ["PM130"]
    assert codes(asked(tmp_path, "status", ANSWERS.replace("QuestionnaireResponse", "Task"))) == ["PM007"]
