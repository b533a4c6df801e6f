"""Profiles of real packages: every example accepted, nearly every mutation rejected, nothing skipped in silence.

Source: docs/rules.md, Delivery.
"""

from __future__ import annotations

import copy
import io
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peerfhir.errors import BadConfiguration
from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.packages import open_package
from peerfhir.fhir.profiles import Profiles
from peerfhir.fhir.reader import Json, read
from peerfhir.fhir.snapshot import Node
from peerfhir.fhir.writer import write
from tests.support.third_party import OTHERS, PACKAGES, claiming, folder, judge_of, profiles_of

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"


def errors(judge: Judge, resource: Json, **options: Any) -> list[tuple[str, str]]:
    return [(one.code, one.expression) for one in judge.findings(resource, **options) if one.severity == "error"]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_example_that_claims_a_profile_is_accepted(package: str) -> None:
    examples = claiming(package)
    refused = {name: errors(judge_of(package), resource) for name, resource in examples}
    refused = {name: found for name, found in refused.items() if found}
    print(f"{package}: {len(examples) - len(refused)} of {len(examples)} examples accepted")
    assert refused == {}
    assert len(examples) >= 60


# what is wrong in the examples of others, by the rule that they break
WRONG = {
    "bser": {"cmp-1": 3, "us-core-17": 4},
    "cow": {},
    "sdc": {"sdc-2": 4, "value": 1, "ext-1": 1, "dom-3": 1},
    "ihe-pcf": {},
    "ihe-balp": {},
    "subscriptions-backport": {"structure": 11},  # SubscriptionStatus is a type of R4B
}


@pytest.mark.parametrize("package", sorted(OTHERS))
def test_examples_of_other_packages_are_right_but_for_what_is_named(package: str) -> None:
    examples = claiming(package)
    judge = judge_of(package)
    rules: Counter[str] = Counter()
    refused = 0
    for name, resource in examples:
        found = [one for one in judge.findings(resource) if one.severity == "error"]
        refused += bool(found)
        rules.update({one.rule or one.code for one in found})
        if found:
            print(f"{package}: {name}: {sorted({f'{one.expression}: {one.rule or one.code}' for one in found})}")
    print(f"{package}: {len(examples) - refused} of {len(examples)} examples accepted; {dict(rules)}")
    assert dict(rules) == WRONG[package]
    assert len(examples) >= 4


def mutations(package: str, resource: Json) -> Iterator[tuple[str, Json]]:
    """Each required element taken away, each required slice replaced by what matches no slice."""
    for url in resource["meta"]["profile"]:
        root = profiles_of(package).root(url)
        for name, node in root.children.items() if root else ():
            stem = name.removesuffix("[x]")
            keys = [
                key
                for key in resource
                if key.lstrip("_") == stem or (stem != name and key.lstrip("_").startswith(stem))
            ]
            if node.minimum and keys:
                yield f"without {name}", {key: one for key, one in resource.items() if key not in keys}
            for part, one in node.slices.items():
                if one.minimum and stem in resource:
                    changed = copy.deepcopy(resource)
                    changed[stem] = unlike(changed[stem])
                    yield f"{name}:{part} replaced", changed


def unlike(node: Any, key: str = "") -> Any:
    """The same shape with codes, systems, addresses and references that nobody has defined."""
    if isinstance(node, dict):
        return {name: unlike(one, name) for name, one in node.items()}
    if isinstance(node, list):
        return [unlike(one, key) for one in node]
    return {"code": "no-such-code", "system": "urn:none", "url": "urn:none", "reference": "Basic/none"}.get(key, node)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_nearly_every_mutation_is_rejected(package: str) -> None:
    made = missed = 0
    for name, resource in claiming(package):
        for what, changed in mutations(package, resource):
            made += 1
            if not errors(judge_of(package), changed):
                missed += 1
                print(f"{package}: accepted: {name}: {what}")
    print(f"{package}: {made - missed} of {made} mutations rejected ({(made - missed) / made:.2%})")
    assert missed <= made * 0.004
    assert made > 250


def example(name: str) -> Json:
    return copy.deepcopy(dict(claiming("us-core-7.0.0"))[name])


def hand_cases() -> Iterator[tuple[str, Json, str]]:
    pressure = example("Observation-blood-pressure.json")
    yield "a component less", {**pressure, "component": pressure["component"][:1]}, "Observation.component"
    twice = {**pressure, "component": [*pressure["component"], pressure["component"][0]]}
    yield "a component twice", twice, "Observation.component"
    patient = example("Patient-example.json")
    at = next(n for n, one in enumerate(patient["extension"]) if one["url"] == US_CORE + "us-core-race")
    race = patient["extension"][at]
    extensions = [*patient["extension"]]
    extensions[at] = {**race, "extension": [one for one in race["extension"] if one["url"] != "text"]}
    yield "race without text", {**patient, "extension": extensions}, f"Patient.extension[{at}].extension"
    yield "race twice", {**patient, "extension": [*patient["extension"], race]}, "Patient.extension"
    for name in ("code", "status", "subject"):
        yield f"no {name}", {k: v for k, v in pressure.items() if k != name}, f"Observation.{name}"
    yield "status outside the binding", {**pressure, "status": "banana"}, "Observation.status"
    screening = US_CORE + "us-core-observation-screening-assessment"
    survey = next(one for _, one in claiming("us-core-7.0.0") if screening in one["meta"]["profile"][0])
    yield "category of another kind", {**survey, "category": unlike(survey["category"])}, "Observation.category"


def test_the_hand_cases_hold() -> None:
    folder("fhir-packages/us-core-7.0.0")
    for what, resource, place in hand_cases():
        found = errors(judge_of("us-core-7.0.0"), resource)
        assert place in [expression for _, expression in found], (what, found)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_what_is_not_checked_is_named_and_counted(package: str) -> None:
    profiles = profiles_of(package)
    kinds: dict[str, int] = {}
    for note, count in profiles.notes.items():
        kind = " ".join(word for word in note.split(" (")[0].split() if "-" not in word and ":" not in word)
        kinds[kind] = kinds.get(kind, 0) + count
    print(f"{package}: {len(profiles.urls())} profiles, not checked: {kinds}, problems: {profiles.problems}")
    assert profiles.problems == []
    assert any("target profile" in note for note in profiles.notes)


def observation(**changed: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **changed}


def profile(*elements: Json, url: str = "https://example.org/p", kind: str = "Observation") -> Json:
    root = {"id": kind, "path": kind, "min": 0, "max": "*"}
    rows = [{"path": one["id"].split(":")[0], "min": 0, "max": "*", **one} for one in elements]
    return {"resourceType": "StructureDefinition", "url": url, "type": kind, "kind": "resource",
            "derivation": "constraint", "snapshot": {"element": [root, *rows]}}  # fmt: skip


def judge(*definitions: Json) -> Judge:
    return Judge(schema.r4(), Profiles(schema.r4(), definitions))


CONCEPT = {"type": [{"code": "CodeableConcept"}]}
CASES: list[tuple[str, list[Json], Json, Json]] = [
    ("pattern", [{"id": "Observation.code", **CONCEPT, "patternCodeableConcept": {"coding": [{"code": "a"}]}}],
     {"code": {"coding": [{"code": "b"}, {"code": "a", "system": "s"}]}}, {"code": {"coding": [{"code": "b"}]}}),
    ("fixed", [{"id": "Observation.status", "type": [{"code": "code"}], "fixedCode": "final"}], {}, {"status": "amended"}),
    ("maximum", [{"id": "Observation.category", **CONCEPT, "max": "1"}], {"category": [{"text": "x"}]},
     {"category": [{"text": "x"}, {"text": "y"}]}),
    ("none allowed", [{"id": "Observation.method", **CONCEPT, "max": "0"}], {}, {"method": {"text": "x"}}),
    ("a type less", [{"id": "Observation.value[x]", "max": "1", "type": [{"code": "string"}]}],
     {"valueString": "x"}, {"valueInteger": 1}),
    ("a type required", [{"id": "Observation.value[x]", "min": 1, "max": "1", "type": [{"code": "string"}]}],
     {"_valueString": {"extension": [{"url": "u", "valueCode": "masked"}]}}, {}),
    ("closed slices", [
        {"id": "Observation.category", **CONCEPT, "slicing": {"rules": "closed", "discriminator": [{"type": "pattern", "path": "$this"}]}},
        {"id": "Observation.category:a", **CONCEPT, "patternCodeableConcept": {"text": "a"}}],
     {"category": [{"text": "a"}]}, {"category": [{"text": "b"}]}),
    ("slices by exists", [
        {"id": "Observation.category", **CONCEPT, "slicing": {"rules": "open", "discriminator": [{"type": "exists", "path": "text"}]}},
        {"id": "Observation.category:with", **CONCEPT, "min": 1}, {"id": "Observation.category:with.text", "min": 1, "type": [{"code": "string"}]},
        {"id": "Observation.category:without", **CONCEPT, "max": "0"}, {"id": "Observation.category:without.text", "max": "0"}],
     {"category": [{"text": "a"}]}, {"category": [{"coding": [{"code": "b"}]}]}),
    ("slices by type of the target", [
        {"id": "Observation.performer", "type": [{"code": "Reference"}], "slicing": {"rules": "open", "discriminator": [{"type": "profile", "path": "resolve()"}]}},
        {"id": "Observation.performer:who", "min": 1, "type": [{"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}]}],
     {"performer": [{"reference": "Patient/1"}]}, {"performer": [{"reference": "Organization/1"}]}),
    ("slices of a choice", [
        {"id": "Observation.value[x]", "max": "1", "type": [{"code": "string"}, {"code": "Quantity"}], "slicing": {"rules": "open", "discriminator": [{"type": "type", "path": "$this"}]}},
        {"id": "Observation.value[x]:valueQuantity", "min": 0, "max": "1", "type": [{"code": "Quantity"}]},
        {"id": "Observation.value[x]:valueQuantity.unit", "min": 1, "max": "1", "type": [{"code": "string"}]}],
     {"valueQuantity": {"value": 1, "unit": "x"}}, {"valueQuantity": {"value": 1}}),
    ("required binding", [
        {"id": "Observation.method", "max": "1", **CONCEPT, "binding": {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/observation-status|4.0.1"}}],
     {"method": {"coding": [{"system": "http://hl7.org/fhir/observation-status", "code": "final"}]}},
     {"method": {"coding": [{"system": "urn:other", "code": "final"}]}}),
    ("target of a reference", [
        {"id": "Observation.subject", "max": "1", "type": [{"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}]}],
     {"subject": {"reference": "Patient/1"}}, {"subject": {"reference": "Group/1"}}),
    ("length", [{"id": "Observation.note", "type": [{"code": "Annotation"}]},
                {"id": "Observation.note.text", "min": 1, "max": "1", "type": [{"code": "markdown"}], "maxLength": 3}],
     {"note": [{"text": "abc"}]}, {"note": [{"text": "abcd"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "elements", "right", "wrong"), CASES, ids=[one[0] for one in CASES])
def test_each_feature_of_a_profile(what: str, elements: list[Json], right: Json, wrong: Json) -> None:
    made = judge(profile(*elements))
    assert errors(made, observation(**right), profiles=["https://example.org/p"], strict=True) == []
    assert errors(made, observation(**wrong), profiles=["https://example.org/p"], strict=True) != []
    assert errors(made, observation(**wrong)) == []


def test_an_extension_is_held_to_its_definition_wherever_it_stands() -> None:
    url = "https://example.org/e"
    defined = {**profile({"id": "Extension.url", "min": 1, "max": "1", "type": [{"code": "uri"}], "fixedUri": url},
                         {"id": "Extension.value[x]", "min": 1, "max": "1", "type": [{"code": "boolean"}]},
                         url=url, kind="Extension"), "kind": "complex-type"}  # fmt: skip
    made = judge(defined)
    assert errors(made, observation(extension=[{"url": url, "valueBoolean": True}])) == []
    for extension in ({"url": url, "valueString": "x"}, {"url": url, "extension": [{"url": "x", "valueCode": "y"}]}):
        assert errors(made, observation(extension=[extension])) != []
        assert errors(made, observation(code={"extension": [extension]})) != []
    assert errors(made, observation(extension=[{"url": "https://example.org/other", "valueString": "x"}])) == []


def test_slices_that_differ_by_the_type_of_a_choice() -> None:
    rows = [{"type": "value", "path": "code"}, {"type": "type", "path": "value"}]
    elements: list[Json] = [
        {
            "id": "Observation.component",
            "type": [{"code": "BackboneElement"}],
            "slicing": {"rules": "open", "discriminator": rows},
        },
    ]
    for kind, least in (("Quantity", 1), ("string", 0)):
        at = f"Observation.component:as{kind}"
        elements += [
            {"id": at, "min": least, "type": [{"code": "BackboneElement"}]},
            {"id": f"{at}.code", "min": 1, "max": "1", **CONCEPT, "patternCodeableConcept": {"text": "a"}},
            {"id": f"{at}.value[x]", "min": 1, "max": "1", "type": [{"code": "Quantity"}, {"code": "string"}]},
            {"id": f"{at}.value[x]:value{kind.title()}", "min": 0, "max": "1", "type": [{"code": kind}]},
        ]
    made = judge(profile(*elements))
    right, wrong = {"code": {"text": "a"}, "valueQuantity": {"value": 1}}, {"code": {"text": "a"}, "valueString": "x"}
    assert errors(made, observation(component=[right, wrong]), profiles=["https://example.org/p"]) == []
    assert errors(made, observation(component=[wrong]), profiles=["https://example.org/p"]) != []


def test_a_profile_that_is_not_at_hand_is_said() -> None:
    found = judge().findings(observation(meta={"profile": ["https://example.org/unknown"]}))
    assert [(one.severity, one.code) for one in found] == [("information", "not-supported")]


def test_a_profile_without_a_snapshot_is_a_problem_that_names_it() -> None:
    made = Profiles(schema.r4(), [{**profile(), "snapshot": {}}])
    assert made.problems == ["https://example.org/p: the profile has no snapshot"]


def test_no_finding_holds_a_value() -> None:
    canary = "Marisolita"
    wrong = observation(
        status=canary,
        method={"text": canary},
        note=[{"text": canary * 3}],
        subject={"reference": f"Group/{canary}"},
        value=canary,
    )
    found = judge(
        *[profile(*elements, url=f"https://example.org/{n}") for n, (_, elements, _, _) in enumerate(CASES)]
    ).findings(wrong, profiles=[f"https://example.org/{n}" for n in range(len(CASES))], strict=True)
    assert len(found) > 8
    assert canary not in repr(found)


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return path


def test_a_package_is_read_from_an_archive_and_from_a_folder(tmp_path: Path) -> None:
    about = b'{"name": "example.package", "version": "1.2.3"}'
    made = archive(
        tmp_path / "p.tgz", {"package/package.json": about, "package/StructureDefinition-p.json": write(profile())}
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "package.json").write_bytes(about)
    (tmp_path / "folder" / "p.json").write_bytes(write(profile()))
    for path in (made, tmp_path / "folder"):
        package = open_package(path)
        assert (package.name, package.version) == ("example.package", "1.2.3")
        assert [one["url"] for one in package.definitions] == ["https://example.org/p"]


@pytest.mark.parametrize(
    "members",
    [{"../out.json": b"{}"}, {"/out.json": b"{}"}, {"package/a.json": b"{"}, {"package/a.json": b'{"a":1,"a":2}'}],
)
def test_a_bad_package_is_refused_with_its_name(tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(BadConfiguration, match=r"p\.tgz"):
        open_package(archive(tmp_path / "p.tgz", members))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.tgz").write_bytes(b"nothing of the kind")
    with pytest.raises(BadConfiguration, match="not a package"):
        open_package(tmp_path / "p.tgz")


def test_a_node_says_how_many() -> None:
    assert Node({"id": "x", "max": "*"}).maximum is None
    assert (Node({"id": "x", "min": 1, "max": "2"}).minimum, Node({"id": "x", "max": "2"}).maximum) == (1, 2)


def test_an_invariant_of_a_profile_is_asked_where_it_stands() -> None:
    rule = {"key": "own-1", "severity": "error", "human": "It says who.", "expression": "performer.exists()"}
    warned = {**rule, "key": "own-2", "severity": "warning", "expression": "text.length() < 3"}
    pattern = {"id": "Observation.category:a", **CONCEPT, "patternCodeableConcept": {"coding": [{"code": "a"}]}}
    sliced = {"rules": "open", "discriminator": [{"type": "pattern", "path": "$this"}]}
    made = judge(profile(
        {"id": "Observation.category", **CONCEPT, "slicing": sliced},
        {**pattern, "constraint": [warned]},
        {"id": "Observation.value[x]", "max": "1", "type": [{"code": "string"}], "constraint": [
            {**rule, "key": "own-3", "expression": "$this.startsWith('a')"}]},
    ), {**profile(url="https://example.org/q"), "snapshot": {"element": [
        {"id": "Observation", "path": "Observation", "constraint": [rule, {**rule, "key": "own-4", "expression": "nonsense("}]}]}})  # fmt: skip
    asked = {"profiles": ["https://example.org/p", "https://example.org/q"]}
    right = observation(performer=[{"display": "x"}], valueString="ab")
    assert [one for one in made.findings(right, **asked) if one.code == "invariant"] == []
    wrong = observation(valueString="b", category=[{"text": "long"}, {"text": "long", "coding": [{"code": "a"}]}])
    found = {(one.severity, one.expression, one.rule) for one in made.findings(wrong, **asked) if one.rule}
    assert found == {("error", "Observation", "own-1"), ("error", "Observation.value", "own-3"),
                     ("warning", "Observation.category[1]", "own-2")}  # fmt: skip
    said = [one for one in made.findings(right, **asked) if one.code == "not-supported"]
    assert [(one.severity, "own-4" in one.text) for one in said] == [("information", True)]


def test_compiled_profiles_are_kept_as_data_and_judge_the_same() -> None:
    first = Profiles(
        schema.r4(), [profile(*elements, url=f"https://example.org/{n}") for n, (_, elements, _, _) in enumerate(CASES)]
    )
    again = Profiles.restored(schema.r4(), read(write(first.as_data()), max_depth=200))
    before, after = Judge(schema.r4(), first), Judge(schema.r4(), again)
    for n, (what, _, right, wrong) in enumerate(CASES):
        for resource in (observation(**right), observation(**wrong)):
            asked: Json = {"profiles": [f"https://example.org/{n}"], "strict": True}
            assert after.findings(resource, **asked) == before.findings(resource, **asked), what
    assert write(again.as_data()) == write(first.as_data())


def test_a_profile_of_another_type_is_refused() -> None:
    made = judge(profile())
    person = {"resourceType": "Patient"}
    for urls in (["https://example.org/p"], ["http://hl7.org/fhir/StructureDefinition/Observation"]):
        assert ("structure", "Patient.meta.profile[0]") in errors(made, {**person, "meta": {"profile": urls}})
    both = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": person}, {"resource": observation()}],
    }
    needs = judge(profile({"id": "Observation.method", "min": 1, "max": "1", **CONCEPT}))
    assert errors(needs, both, profiles=["https://example.org/p"]) == [("required", "Bundle.entry[1].resource.method")]


def test_a_profile_on_a_bundle_says_something_of_its_entries() -> None:
    bundled = profile(
        {"id": "Bundle.entry", "type": [{"code": "BackboneElement"}]},
        {"id": "Bundle.entry.resource", "min": 1, "max": "1", "type": [{"code": "Observation", "profile": ["https://example.org/p"]}]},
        url="https://example.org/b", kind="Bundle")  # fmt: skip
    made = judge(bundled, profile({"id": "Observation.method", "min": 1, "max": "1", **CONCEPT}))
    whole = {"resourceType": "Bundle", "type": "collection", "meta": {"profile": ["https://example.org/b"]}}
    right, wrong = [{"resource": observation(method={"text": "x"})}], [{"resource": observation()}]
    assert errors(made, {**whole, "entry": right}) == []
    assert ("required", "Bundle.entry[0].resource.method") in errors(made, {**whole, "entry": wrong})


def test_what_a_reference_inside_a_bundle_leads_to_meets_the_profile_that_is_asked_of_it() -> None:
    named = profile(
        {"id": "Patient.gender", "min": 1, "max": "1", "type": [{"code": "code"}]},
        url="https://example.org/person",
        kind="Patient",
    )
    asks = profile({"id": "Observation.subject", "max": "1", "type": [
        {"code": "Reference", "targetProfile": ["https://example.org/person"]}]})  # fmt: skip
    made = judge(named, asks)
    claims = {"meta": {"profile": ["https://example.org/p"]}}

    def together(person: Json, reference: str) -> Json:
        seen = observation(**claims, subject={"reference": reference})
        entries = [{"fullUrl": "https://x.example/fhir/Patient/1", "resource": person}, {"resource": seen}]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}

    right, wrong = {"resourceType": "Patient", "id": "1", "gender": "other"}, {"resourceType": "Patient", "id": "1"}
    place = "Bundle.entry[1].resource.subject.reference"
    for reference in ("https://x.example/fhir/Patient/1", "Patient/1"):
        assert made.findings(together(right, reference)) == []
        assert [(one.severity, one.expression) for one in made.findings(together(wrong, reference))] == [
            ("warning", place)
        ]
        assert errors(made, together(wrong, reference), strict=True) == [("value", place)]
    assert made.findings(together(wrong, "Patient/2")) == []  # not here: nothing can be said
    held = observation(**claims, subject={"reference": "#1"}, contained=[wrong])
    assert errors(made, held, strict=True) == [("value", "Observation.subject.reference")]
