from __future__ import annotations

from pathlib import Path

from peerfhir.mapping.lossy import Losses, losses, merges
from peerfhir.mapping.overview import lost
from peerfhir.mapping.shelf import Opened, look
from tests.mapping import samples
from tests.support.mapping_folder import CANONICAL, write

HEAD = """mapping: made
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  fields:
    id: string!
    a: string
    b: string
    n: integer
    c: {type: code, codes: [x, y]}
    list: [{word: string}]
    gone: {type: string, unused: kept by the program}
bundle: none
resources:
  basic:
    resourceType: Basic
    id: =id
"""


def report(folder: Path, rules: str) -> Losses:
    found = look(write(folder, "made", HEAD + rules), CANONICAL)
    assert [one for one in found.problems if one.severity == "error"] == []
    return losses(found.opened[0])


def classes(found: Losses) -> dict[str, str]:
    return {one.field: one.kind for one in found.fields}


def shipped(name: str) -> Opened:
    found = look(samples.DOCUMENTS, CANONICAL).find(name)
    assert found is not None
    return found


def test_the_referral_of_the_language_gives_back_seventeen_fields_fifteen_of_them_exactly() -> None:
    found = losses(shipped("referral-csv"))
    assert found.summary() == "17 of 17 fields have an inverse, 15 exact"
    assert {one.field: one.why for one in found.fields if one.kind == "lossy"} == {
        "sex": "'unknown' comes from \"\" and '*'",
        "priority": "'routine' comes from R and \"\"",
    }


def test_what_reaches_no_target_and_what_only_decides_is_named(tmp_path: Path) -> None:
    found = report(tmp_path, "    code: {text: =a}\n    author:\n      $if: b.exists()\n      display: us\n")
    assert classes(found) == {
        "id": "exact", "a": "exact", "b": "none", "n": "unread", "c": "unread", "list.word": "unread", "gone": "unused",
    }  # fmt: skip
    said = {one.field: one.why for one in found.fields}
    assert said["n"] == "it reaches no target"
    assert said["b"] == "it only decides what is written"


def test_what_goes_through_a_fragment_reaches_its_target(tmp_path: Path) -> None:
    made = "    code:\n      $use: said\n      with: {what: =a}\nfragments:\n"
    fragment = "  said: {type: CodeableConcept, params: {what: string}, body: {text: =%what}}\n"
    found = look(write(tmp_path, "made", HEAD + made + fragment), CANONICAL)
    assert [one for one in found.problems if one.severity == "error"] == []
    told = losses(found.opened[0])
    assert {one.field: one.where for one in told.fields}["a"] == "basic.code.text"
    assert [one.text for one in found.opened[0].rules if one.address == "basic.code.text"] == ["=%what"]


def test_a_variable_of_several_fields_gives_none_of_them_back(tmp_path: Path) -> None:
    assert classes(report(tmp_path, "    code: {text: =%both}\nvars: {both: =a & ' ' & b}\n"))["a"] == "none"


def test_what_an_overlay_takes_away_is_lost_for_the_overlays_reason(tmp_path: Path) -> None:
    mappings = write(tmp_path, "made", HEAD + "    code: {text: =a}\n    author: {display: =b}\n")
    (mappings / "made/overlays").mkdir()
    (mappings / "made/overlays/site.overlay.yaml").write_text(
        "overlay: made.site\nversion: 1.0.0\nextends: made@^1.0\napplies-to: {endpoint: site}\n"
        "rules:\n  - {at: basic.author, remove: true, because: nobody asked}\n", "utf-8"
    )  # fmt: skip
    found = look(mappings, CANONICAL)
    under = found.find("made+site")
    assert under is not None
    told = {one.field: one.why for one in losses(under, found.find("made")).fields}
    assert told["b"] == "'basic.author' is removed: nobody asked"
    assert told["n"] == "it reaches no target"


def test_texts_come_back_when_what_stands_between_cannot_occur_in_the_values(tmp_path: Path) -> None:
    exact = report(tmp_path / "1", '    code: {text: "about {{a}}"}\n')
    assert classes(exact)["a"] == "exact"
    split = report(tmp_path / "2", '    code: {text: "{{c}}/{{a}}"}\n')
    assert classes(split)["c"] == "exact"
    guess = report(tmp_path / "3", '    code: {text: "{{a}}/{{b}}"}\n')
    assert classes(guess)["a"] == "none"
    assert [rule.address for rule, _ in guess.rules] == ["basic.code.text"]


def test_a_choice_between_two_fields_cannot_be_undone(tmp_path: Path) -> None:
    found = report(tmp_path, '    code: {text: "=iif(a.exists(), a, b)"}\n')
    assert classes(found)["a"] == "none"
    assert found.rules[0][1] == "iif() has no inverse"


def test_a_place_in_a_list_is_lossy_when_what_stands_before_can_be_absent(tmp_path: Path) -> None:
    code = "    code: {text: x}\n    identifier: "
    alone = report(tmp_path / "1", f"{code}[{{value: =a}}, {{value: =b}}]\n")
    assert (classes(alone)["a"], classes(alone)["b"]) == ("exact", "lossy")
    named = report(tmp_path / "2", f"{code}[{{use: usual, value: =a}}, {{use: old, value: =b}}]\n")
    assert (classes(named)["a"], classes(named)["b"]) == ("exact", "exact")
    after = report(tmp_path / "3", f"{code}[{{value: =id}}, {{value: =b}}]\n")
    assert classes(after)["b"] == "exact"


def test_of_a_resource_that_is_read_the_elements_without_a_field_are_named() -> None:
    found = losses(shipped("referral-from-ehr"))
    assert "insurance" in {one.field for one in found.fields}
    assert "identifier" not in {one.field for one in found.fields}
    assert found.summary().endswith("rules cannot be undone")


def test_the_report_is_lines_for_people_and_json_for_programs() -> None:
    text = "\n".join(lost(shipped("group-session"), "text"))
    assert "attendees.note" in text
    assert "iif() has no inverse" in text
    data = "\n".join(lost(shipped("group-session"), "json"))
    assert '"class": "lossy"' in data


def test_targets_that_several_codes_lead_to_are_named_in_full() -> None:
    table = shipped("group-session").checked.scope.tables["attendance"]
    assert merges(table) == ["'finished' comes from present, late and 'left-early'"]  # type: ignore[arg-type]
