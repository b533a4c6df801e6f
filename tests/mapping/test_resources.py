from __future__ import annotations

from pathlib import Path

from peerfhir.mapping.run import Result
from tests.mapping.marked import FIELDS, HEAD, places, told
from tests.support.mapping_folder import load

TASK = """resources:
  task:
    resourceType: Task
    status: draft
    intent: plan
"""

RECORD = {"id": "7", "at": "2026-01-01T00:00:00Z", "items": [{"name": "a"}, {"name": "b"}], "object": {"name": "o"}}


def made(folder: Path, name: str, body: str, **record: object) -> Result:
    return load(folder, name, HEAD.format(id=name) + FIELDS + body).run(name, {**RECORD, **record})


def test_references_between_resources_follow_their_items(tmp_path: Path) -> None:
    text = HEAD.format(id="linked") + FIELDS + """resources:
  seen:
    resourceType: Encounter
    $each: items as one, at
    $identity: =%one.name
    status: finished
    class: loinc#x
    identifier: {value: "=%at & ''"}
  done:
    resourceType: Procedure
    $each: items as other
    $identity: =%other.name
    status: completed
    subject: {display: =%other.name}
    encounter: {$ref: seen, display: visit}
  all:
    resourceType: EpisodeOfCare
    status: active
    patient: {display: x}
    account: {display: y}
  list:
    resourceType: List
    status: current
    mode: working
    entry: {item: {$ref: all}}
    subject: {display: z}
  role:
    resourceType: Basic
    code: {text: x}
    extension: {url: "http://x.example", valueReference: {$ref: list}}
  provenance:
    resourceType: Provenance
    target: [{$ref: seen}, {$ref: all}]
    recorded: =at
    agent: {who: {display: =id}}
"""  # fmt: skip
    bundle = load(tmp_path, "linked", text).run(
        "linked", {"id": "7", "at": "2026-01-01T00:00:00Z", "items": [{"name": "a"}, {"name": "b"}], "object": {"name": "o"}}
    ).bundle()  # fmt: skip
    entries = [(entry["resource"], entry["fullUrl"]) for entry in bundle["entry"]]
    seen = [url for resource, url in entries if resource["resourceType"] == "Encounter"]
    done = [resource for resource, _ in entries if resource["resourceType"] == "Procedure"]
    assert [one["encounter"]["reference"] for one in done] == seen
    assert done[0]["encounter"]["display"] == "visit"
    assert [one["identifier"][0]["value"] for one, _ in entries[:2]] == ["0", "1"]
    provenance = entries[-1][0]
    assert [target["reference"] for target in provenance["target"]] == [*seen, entries[4][1]]
    assert len({url for _, url in entries}) == len(entries)


def test_without_a_bundle_a_reference_needs_an_id(tmp_path: Path) -> None:
    text = HEAD.format(id="single") + FIELDS + """bundle: none
resources:
  place: {resourceType: Location, id: =id, name: =word}
  fixed: {resourceType: Location, id: home}
  seen:
    resourceType: Encounter
    status: finished
    class: loinc#x
    location: [{location: {$ref: place}}, {location: {$ref: fixed}}]
"""  # fmt: skip
    record = {"id": "7", "at": "2026-01-01T00:00:00Z", "items": [], "object": {"name": "o"}}
    made = load(tmp_path, "single", text).run("single", record)
    assert [one["location"]["reference"] for one in made.resources["seen"][0]["location"]] == [
        "Location/7", "Location/home",
    ]  # fmt: skip
    errors, _ = told(
        tmp_path / "b", "single", text.replace("id: home", "name: home").replace("bundle: none", "bundle: none")
    )
    assert [code for _, code in places(errors)] == ["PM265"]
    errors, _ = told(tmp_path / "c", "single", text.replace("bundle: none", "bundle: batch"))
    assert {code for _, code in places(errors)} == {"PM266"}


def test_a_profile_is_written_into_meta(tmp_path: Path) -> None:
    text = (
        HEAD.format(id="profiled")
        + FIELDS
        + TASK.replace("    status: draft", "    profile: own\n    status: draft\n    id: =id")
    )
    made = load(tmp_path, "profiled", text).run(
        "profiled", {"id": "7", "at": "2026-01-01T00:00:00Z", "items": [], "object": {"name": "o"}}
    )
    task = made.only()
    assert list(task) == ["resourceType", "id", "meta", "status", "intent"]
    assert task["meta"] == {"profile": ["http://peerfhir.example.org/fhir/StructureDefinition/own"]}


def test_a_resource_may_stand_under_each_let_and_if(tmp_path: Path) -> None:
    body = """resources:
  basic:
    $each: items as one, at
    $let: {said: "=%one.name & '-' & id", shown: =flag}
    $if: "%shown or %one.name = 'b'"
    $identity: [=%said, =%at]
    resourceType: Basic
    profile: own
    meta: {tag: [{code: =word}]}
    code: {text: =%said}
"""
    for flag, expected in ((True, ["a-7", "b-7"]), (None, ["b-7"])):
        result = made(tmp_path / str(flag), "layered", body, flag=flag)
        assert [one["code"]["text"] for one in result.resources["basic"]] == expected
        assert all(list(one["meta"]) == ["profile"] for one in result.resources["basic"])
        assert len({entry.full_url for entry in result.entries}) == len(expected)


def test_requests_are_written_as_the_document_says(tmp_path: Path) -> None:
    body = """resources:
  one: {resourceType: Basic, id: =id, code: {text: x}, $request: {method: PUT, ifMatch: 'W/"{{id}}"'}}
  two: {resourceType: Basic, id: fixed, code: {text: x}, $request: {method: PUT}}
  three: {resourceType: Basic, code: {text: x}, $request: {method: PUT, url: "Basic?identifier={{%systems.our}}|{{id}}"}}
  four: {resourceType: Basic, code: {text: x}}
"""
    found = [entry["request"] for entry in made(tmp_path, "asked", body).bundle()["entry"]]
    assert found == [
        {"method": "PUT", "url": "Basic/7", "ifMatch": 'W/"7"'},
        {"method": "PUT", "url": "Basic/fixed"},
        {"method": "PUT", "url": "Basic?identifier=http://peerfhir.example.org/fhir/CodeSystem/our|7"},
        {"method": "POST", "url": "Basic"},
    ]
    collected = made(
        tmp_path / "c", "asked", "bundle: collection\nresources:\n  four: {resourceType: Basic, code: {text: x}}\n"
    )
    assert list(collected.bundle()["entry"][0]) == ["fullUrl", "resource"]
