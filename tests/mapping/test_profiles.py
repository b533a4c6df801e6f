from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from peerfhir.errors import BadConfiguration
from peerfhir.mapping.catalogue import Survey, survey
from peerfhir.mapping.packaged import Packaged
from tests.mapping.folders import put
from tests.support.mapping_folder import CANONICAL

US_CORE = Path(__file__).parents[3] / "shared/fhir-packages/us-core-6.1.0"
BASE = "http://hl7.org/fhir/us/core/StructureDefinition/"
OWN = "http://x.example/StructureDefinition/own"
HEAD = """mapping: row
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, key: id, unknown: ignore, fields: {id: string!, word: string, race: string}}
systems: {race: "urn:oid:2.16.840.1.113883.6.238", loinc: http://loinc.org}
"""


def element(path: str, **more: Any) -> dict[str, Any]:
    """One element of a snapshot."""
    return {"id": path, "path": path.partition(":")[0], **more}


def own() -> dict[str, Any]:
    """A profile of Basic that asks for something of each kind."""
    coding = {"coding": [{"system": "http://loinc.org", "code": "1-8"}]}
    return {
        "url": OWN, "snapshot": {"element": [
            element("Basic"), element("Basic.code", min=1, max="1", patternCodeableConcept=coding),
            element("Basic.created", min=1, max="1", mustSupport=True), element("Basic.author", min=0, max="0"),
            element("Basic.subject", min=0, max="1", mustSupport=True),
            element("Basic.identifier", min=0, max="2", slicing={"discriminator": [{"type": "value", "path": "system"}]}),
            element("Basic.identifier:mrn", min=1, max="1"),
            element("Basic.identifier:mrn.system", min=1, max="1", fixedUri="http://x.example/mrn"),
        ]},
    }  # fmt: skip


def loaded(folder: Path, profile: str, template: str, *definitions: dict[str, Any]) -> Survey:
    """The survey of one mapping that claims a profile."""
    text = HEAD + f"profiles: {{p: {profile}}}\nbundle: none\nresources:\n{template}"
    put(folder, row__row=text)
    profiles = {one["url"]: one for one in definitions}
    return survey(folder / "mappings", canonical=CANONICAL, profiles=profiles)


BASIC = """  basic:
    resourceType: Basic
    profile: p
    code: loinc#1-8
    created: "2026-01-01"
    subject: {display: x}
    identifier[mrn]: {value: =id}
"""


def test_a_slice_has_what_the_profile_fixes(tmp_path: Path) -> None:
    found = loaded(tmp_path, OWN, BASIC, own())
    assert [str(one) for one in found.problems if one.code != "PM300"] == []
    basic = found.loaded["row"].program.run({"id": "7"}).resources["basic"][0]
    assert basic["identifier"] == [{"value": "7", "system": "http://x.example/mrn"}]
    assert basic["meta"] == {"profile": [OWN]}


CHANGES = {
    ("loinc#1-8", "loinc#2-8"): "PM224 error",
    ("{value: =id}", "{value: =id, system: http://other.example}"): "PM224 error",
    ("identifier[mrn]", "identifier[mrm]"): "PM225 error",
    ("subject: {display: x}", "author: {display: x}"): "PM226 error",
    ('    created: "2026-01-01"\n', ""): "PM220 error",
    ("    identifier[mrn]: {value: =id}\n", "    identifier[mrn]: [{value: a}, {value: b}]\n"): "PM212 error",
    ("    subject: {display: x}\n", ""): "PM222 info",
    ("identifier[mrn]: {value: =id}", "extension[own]: {valueString: =id}"): "PM225 error",
}


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_what_a_profile_does_not_allow_is_told_before_data_flows(old: str, new: str, tmp_path: Path) -> None:
    found = loaded(tmp_path, OWN, BASIC.replace(old, new), own())
    assert CHANGES[(old, new)] in [f"{one.code} {one.severity}" for one in found.problems]


def test_a_profile_that_the_site_has_not_is_an_error_only_where_it_has_any(tmp_path: Path) -> None:
    plain = BASIC.replace("identifier[mrn]", "identifier")
    assert loaded(tmp_path, OWN + "s", plain).loaded
    assert "PM201" in [one.code for one in loaded(tmp_path, OWN + "s", plain, own()).problems]
    assert "PM225" in [one.code for one in loaded(tmp_path, OWN, BASIC).problems]


def test_resources_are_held_to_a_profile_that_they_do_not_claim(tmp_path: Path) -> None:
    plain = BASIC.replace("    profile: p\n", "").replace('    created: "2026-01-01"\n', "")
    plain = plain.replace("identifier[mrn]", "identifier") + "  patient: {resourceType: Patient, active: true}\n"
    free = loaded(tmp_path, OWN, plain, own())
    assert [one.code for one in free.problems if one.severity == "error"] == []
    held = survey(tmp_path / "mappings", canonical=CANONICAL, profiles={OWN: own()}, held="p")
    assert [(one.code, one.address) for one in held.problems if one.severity == "error"] == [("PM220", "basic")]
    assert held.aliases == {"p"}
    lacking = survey(tmp_path / "mappings", canonical=CANONICAL, held="p")
    assert [one.code for one in lacking.problems if one.severity == "error"] == ["PM201"]


@cache
def us_core() -> tuple[dict[str, Any], ...]:
    """US Core, or a skip where it is not at hand."""
    if not US_CORE.exists():
        pytest.skip(f"{US_CORE} is not here")
    return tuple(Packaged([US_CORE]).values())


def test_packages_are_read_only_when_a_profile_is_asked_for(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tgz"
    broken.write_bytes(b"no package")
    plain = HEAD + "bundle: none\nresources:\n  basic: {resourceType: Basic, code: loinc#1}\n"
    put(tmp_path, row__row=plain)
    profiles = Packaged([broken])
    assert survey(tmp_path / "mappings", canonical=CANONICAL, profiles=profiles).loaded
    with pytest.raises(BadConfiguration, match=r"broken\.tgz"):
        len(profiles)


def test_an_extension_is_a_slice_by_its_own_name(tmp_path: Path) -> None:
    template = """  patient:
    resourceType: Patient
    profile: p
    identifier: {system: http://x.example/mrn, value: =id}
    name: {family: =id}
    gender: unknown
    extension[us-core-race]:
      extension[ombCategory]: {valueCoding: {system: $race, code: =race}}
      extension[text]: {valueString: "race {{race}}"}
"""
    found = loaded(tmp_path, BASE + "us-core-patient", template, *us_core())
    assert [str(one) for one in found.problems if one.severity == "error"] == []
    patient = found.loaded["row"].program.run({"id": "7", "race": "2106-3"}).resources["patient"][0]
    assert patient["extension"] == [
        {
            "extension": [
                {"valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}, "url": "ombCategory"},
                {"valueString": "race 2106-3", "url": "text"},
            ],
            "url": BASE + "us-core-race",
        }
    ]
    wrong = loaded(tmp_path, BASE + "us-core-patient", template.replace("us-core-race", "us-core-rase"), *us_core())
    assert [one.hint for one in wrong.problems if one.code == "PM225"] != []
