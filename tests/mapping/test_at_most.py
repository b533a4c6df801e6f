"""How many values a profile allows: told before data flows where that is sure, and looked at where only data can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.catalogue import Survey, survey
from peerfhir.mapping.run import RecordFailed
from peerfhir.mapping.traced import Tracer
from peerfhir.mapping.tree import Items, Struct
from tests.mapping.folders import put
from tests.mapping.test_profiles import element
from tests.support.mapping_folder import CANONICAL

FEW = "http://x.example/StructureDefinition/few"
TEXT = """mapping: few
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, key: id, unknown: ignore, fields: {id: string!, words: [string], more: [string], a: string, b: string, c: string}}
systems: {mrn: http://x.example/mrn}
profiles: {few: PROFILE}
bundle: none
resources:
  person:
    resourceType: Patient
    profile: few
""".replace("PROFILE", FEW)


def few() -> dict[str, Any]:
    """A profile of Patient: one name, two telecoms, three identifiers of which two are of a slice."""
    return {
        "url": FEW, "snapshot": {"element": [
            element("Patient"), element("Patient.name", min=0, max="1"), element("Patient.name.given", min=0, max="2"),
            element("Patient.telecom", min=0, max="2"),
            element("Patient.identifier", min=0, max="3", slicing={"discriminator": [{"type": "value", "path": "system"}]}),
            element("Patient.identifier:mrn", min=0, max="2"),
            element("Patient.identifier:mrn.system", min=1, max="1", fixedUri="http://x.example/mrn"),
            element("Patient.identifier:old", min=0, max="*"),
            element("Patient.identifier:old.system", min=1, max="1", fixedUri="http://x.example/old"),
        ]},
    }  # fmt: skip


def loaded(folder: Path, line: str) -> Survey:
    """The survey of a mapping with these elements."""
    put(folder, few__few=TEXT + "".join(f"    {one}\n" for one in line.splitlines()))
    return survey(folder / "mappings", canonical=CANONICAL, profiles={FEW: few()})


def made(folder: Path, line: str, **record: Any) -> Any:
    """The resource, or the rule and place of why there is none; the traced build says the same."""
    found = loaded(folder, line)
    assert [str(one) for one in found.problems if one.severity == "error"] == []
    program = found.loaded["few"].program
    tracer = Tracer(program.checked)
    typed = program.typed({"id": "1", **record})
    try:
        resource = program.run({"id": "1", **record}).resources["person"][0]
    except RecordFailed as refused:
        assert len(refused.problems) == 1
        with pytest.raises(EvaluationProblem) as same:
            tracer.run(typed)
        assert same.value.rule == refused.problems[0].code
        return refused.problems[0].code, refused.problems[0].address, refused.problems[0].what
    assert tracer.run(typed).made[0].outcome.value == resource
    return resource


TELECOM = "telecom: {$each: words as w, $if: \"%w != 'no'\", system: phone, value: =%w}"


def test_more_values_than_the_profile_allows_fail_the_record(tmp_path: Path) -> None:
    words = ["1", "no", "2"]
    assert [one["value"] for one in made(tmp_path, TELECOM, words=words)["telecom"]] == ["1", "2"]
    failed = made(tmp_path, TELECOM, words=[*words, "3"])
    assert failed == ("PM724", "person.telecom", "3 values are made, and the profile allows 2")
    assert "telecom" not in made(tmp_path, TELECOM)


def test_optional_values_are_counted_when_they_are_there(tmp_path: Path) -> None:
    given = "name: {given: [=a, =b, =c]}"
    assert made(tmp_path, given, a="x", c="y")["name"] == [{"given": ["x", "y"]}]
    assert made(tmp_path, given, a="x", b="z", c="y")[0] == "PM724"
    assert made(tmp_path, "name: {given: =words}", words=["x", "y"])["name"] == [{"given": ["x", "y"]}]
    assert made(tmp_path, "name: {given: =words}", words=["x", "y", "z"])[0] == "PM724"


def test_a_slice_has_its_own_limit_and_the_element_has_another(tmp_path: Path) -> None:
    both = "identifier[mrn]: {$each: words as w, value: =%w}\nidentifier[old]: {$each: more as w, value: =%w}"
    values = [one["value"] for one in made(tmp_path, both, words=["a", "b"], more=["c"])["identifier"]]
    assert values == ["a", "b", "c"]
    assert made(tmp_path, both, words=["a", "b", "c"])[1:] == (
        "person.identifier[mrn]",
        "3 values are made, and the profile allows 2",
    )
    assert made(tmp_path, both, words=["a", "b"], more=["c", "d"])[1:] == (
        "person.identifier",
        "4 values are made, and the profile allows 3",
    )
    assert made(tmp_path, both, more=["c"])["identifier"] == [{"value": "c", "system": "http://x.example/old"}]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("name: {$each: words as w, text: =%w}", "PM211"),
        ("name: [{text: =id}, {text: =id}]", "PM212"),
        ("name: [{text: =a}, {text: =b}]", None),
        ("name: {text: =words.first()}", None),
        ("telecom: [{value: =id, system: phone}, {value: =id, system: fax}, {value: =id, system: sms}]", "PM212"),
        ("name: {given: [a, b, c]}", "PM212"),
        ("name: {given: [a, b]}", None),
    ],
)
def test_what_is_sure_is_told_before_data_flows(line: str, code: str | None, tmp_path: Path) -> None:
    found = [one.code for one in loaded(tmp_path, line).problems if one.severity == "error"]
    assert found == ([code] if code else [])


@pytest.mark.parametrize(
    ("line", "there"),
    [
        (TELECOM, True),
        ("telecom: [{value: =a, system: phone}]", False),
        ("contact: {$each: words as w, name: {text: =%w}}", False),
    ],
)
def test_a_list_that_cannot_be_too_long_is_not_counted(line: str, there: bool, tmp_path: Path) -> None:
    program = loaded(tmp_path, line).loaded["few"].program
    body = program.checked.template.resources[0].body
    assert isinstance(body, Struct)
    assert any(isinstance(node, Items) and node.most is not None for _, node in body.entries) is there
