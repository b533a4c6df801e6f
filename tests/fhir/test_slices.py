"""Slices of slices: told apart where their definition says how, both ways, and named where it does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.packages import open_package
from peerfhir.fhir.profiles import Profiles
from peerfhir.fhir.reader import Json
from tests.support.third_party import claiming, folder, judge_of, profiles_of

URL = "https://example.org/p"
OF_A = {"patternCodeableConcept": {"coding": [{"system": "urn:a"}]}}


def profile(*elements: Json) -> Json:
    """A profile of Observation, and what stands below `category`."""
    rows = [{"id": "Observation", "path": "Observation"}, *elements]
    return {"resourceType": "StructureDefinition", "url": URL, "type": "Observation", "kind": "resource",
            "derivation": "constraint",
            "snapshot": {"element": [{"path": one["id"].split(":")[0], "min": 0, "max": "*", **one} for one in rows]},
            }  # fmt: skip


def element(part: str, **more: Any) -> Json:
    return {"id": f"Observation.category{part}", "type": [{"code": "CodeableConcept"}], **more}


def text(part: str, value: str) -> Json:
    where = f"Observation.category{part}.text"
    return {"id": where, "min": 1, "max": "1", "type": [{"code": "string"}], "fixedString": value}


def sliced(by: str, path: str, rules: str = "open") -> Json:
    return {"slicing": {"rules": rules, "discriminator": [{"type": by, "path": path}]}}


# a has slices of its own: b must be there once, c may be there; no other entry of a is allowed
CUT = profile(
    element("", **sliced("pattern", "$this")),
    element(":a", **OF_A, **sliced("value", "text", "closed")),
    element(":a/b", **OF_A, min=1, max="1"), text(":a/b", "b"),
    element(":a/c", **OF_A), text(":a/c", "c"),
    {"id": "Observation.category:a/c.coding", "type": [{"code": "Coding"}], "min": 1, "max": "1"},
)  # fmt: skip


def of_a(word: str, times: int = 1) -> Json:
    return {"coding": [{"system": "urn:a", "code": str(at)} for at in range(times)], "text": word}


def errors(made: Judge, *categories: Json) -> list[tuple[str, str]]:
    resource = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "category": list(categories)}
    found = made.findings(resource, profiles=[URL])
    return [(one.code, one.expression) for one in found if one.severity == "error"]


@pytest.mark.parametrize("right", [[of_a("b")], [of_a("b"), of_a("c"), of_a("c")], [of_a("b", 3), {"text": "z"}]])
def test_what_is_of_the_slices_of_a_slice_is_accepted(right: list[Json]) -> None:
    made = Profiles(schema.r4(), [CUT])
    assert made.notes == {}
    assert errors(Judge(schema.r4(), made), *right) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([of_a("c")], ("required", "Observation.category")),  # b is missing
        ([{"text": "b"}], ("required", "Observation.category")),  # not of a, so not of b
        ([of_a("b"), of_a("b")], ("required", "Observation.category")),  # b twice
        ([of_a("b"), of_a("z")], ("structure", "Observation.category[1]")),  # a is closed
        ([of_a("b"), of_a("c", 2)], ("structure", "Observation.category[1].coding")),  # what c asks beyond a
    ],
)
def test_what_breaks_a_slice_of_a_slice_is_refused(wrong: list[Json], said: tuple[str, str]) -> None:
    assert said in errors(Judge(schema.r4(), Profiles(schema.r4(), [CUT])), *wrong)


def test_three_levels() -> None:
    deep = profile(
        element("", **sliced("pattern", "$this")),
        element(":a", **OF_A, **sliced("value", "text")),
        element(":a/b", **OF_A, **sliced("exists", "id")), text(":a/b", "b"),
        element(":a/b/c", **OF_A, max="1"), text(":a/b/c", "b"),
        {"id": "Observation.category:a/b/c.id", "min": 1, "max": "1", "type": [{"code": "string"}]},
    )  # fmt: skip
    made = Judge(schema.r4(), Profiles(schema.r4(), [deep]))
    assert errors(made, of_a("b"), of_a("b"), {**of_a("b"), "id": "x"}) == []
    assert errors(made, {**of_a("b"), "id": "x"}, {**of_a("b"), "id": "y"}) == [("structure", "Observation.category")]


@pytest.mark.parametrize(
    "part",
    [
        [element(":a/b", **OF_A, min=1)],  # says nothing that a does not
        [element(":a/b", **OF_A), element(":a/b.coding", **OF_A, min=1)],  # nothing of its text
        [element(":z/b", **OF_A), text(":z/b", "b")],  # cut from what is not there
    ],
)
def test_what_cannot_be_told_apart_is_named_and_not_held_against_anybody(part: list[Json]) -> None:
    cut = profile(
        element("", **sliced("pattern", "$this")), element(":a", **OF_A, **sliced("value", "text")), *part
    )  # fmt: skip
    made = Profiles(schema.r4(), [cut])
    assert [note for note in made.notes if "/b)" in note] == [
        f"slice cannot be told apart (p: {part[0]['id']})"
    ]  # fmt: skip
    assert errors(Judge(schema.r4(), made), {"text": "z"}) == []


AUDIT = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.SAMLaccessTokenUse.Comprehensive"


def test_identifiers_of_an_audited_user_are_slices_of_a_slice() -> None:
    """IHE BALP cuts `otherId` by the type of the identifier, with the discriminators of the whole list."""
    right = dict(claiming("ihe-balp"))["AuditEvent-ex-auditPoke-SAML-Comp.json"]
    assert not [note for note in profiles_of("ihe-balp").notes if "otherId" in note]
    assert [one for one in judge_of("ihe-balp").findings(right) if one.severity == "error"] == []
    definitions = copy.deepcopy(open_package(folder("fhir-packages/ihe-balp")).definitions)
    own = next(one for one in definitions if one["url"] == AUDIT)
    npi = next(one for one in own["snapshot"]["element"] if one["id"].endswith(":otherId/npi"))
    npi["max"] = "1"  # the published profile limits none of them: then nothing but their number tells them apart
    made = Judge(schema.r4(), Profiles(schema.r4(), definitions))
    for code, refused in (("NPI", True), ("PRN", False), ("SAML-subject-id", False)):
        twice = copy.deepcopy(right)
        extensions = next(one["extension"] for one in twice["agent"] if "extension" in one)
        extensions.append(next(one for one in extensions if code in repr(one)))
        found = {one.expression for one in made.findings(twice) if one.severity == "error"}
        assert found == ({"AuditEvent.agent[0].extension"} if refused else set()), code
