from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from peerfhir.fhir import reader
from peerfhir.fhir.validate import validate
from peerfhir.mapping.exports.exchange import EXPORTS, exported
from peerfhir.mapping.exports.fml import text
from peerfhir.mapping.exports.structure_map import structure_map
from peerfhir.mapping.shelf import Opened, look
from tests.mapping import samples
from tests.mapping.maps import call, worked
from tests.support import shipped
from tests.support.mapping_folder import CANONICAL, write

OPENED = shipped.shelf().opened


def of(name: str) -> Opened:
    found = look(samples.DOCUMENTS, CANONICAL).find(name)
    assert found is not None
    return found


@pytest.mark.parametrize("mapping", OPENED, ids=lambda one: one.name)
def test_every_mapping_leaves_in_every_form_and_its_resources_are_valid_r4(mapping: Opened) -> None:
    for form in EXPORTS:
        made, gaps = exported(mapping, form, CANONICAL)
        assert made
        assert all(gap.startswith("mappings/") for gap in gaps)
        if form in ("structuremap", "conceptmap", "logicalmodel"):
            value = reader.read(made.encode())
            if value.get("entry") != []:
                assert [one for one in validate(value, by_model=False) if one.severity == "error"] == []


def test_a_structure_map_has_one_rule_per_element_and_names_its_models() -> None:
    made, gaps = structure_map(of("group-session"), CANONICAL)
    assert made["url"] == f"{CANONICAL}/StructureMap/group-session"
    assert [one["mode"] for one in made["structure"]] == ["source", "target"]
    each = made["group"][0]["rule"][0]["rule"][1]
    assert each["source"] == [{"context": "src", "element": "attendees", "variable": "a1"}]
    assert gaps == []


def test_the_text_form_wraps_a_condition_so_that_it_is_not_read_as_a_transform() -> None:
    made, _ = structure_map(of("referral-csv"), CANONICAL, inline=True)
    assert "conceptmap" not in text(made)
    assert "= (iif(" not in text(made)
    assert "= ((iif(" in text(made)


def test_a_closed_code_map_is_a_contained_concept_map_unless_it_is_asked_for_inline() -> None:
    made, _ = structure_map(of("referral-csv"), CANONICAL)
    assert [one["id"] for one in made["contained"]] == ["cm-priority"]
    assert "translate(v" in text(made)
    assert 's0:"U" == t0:"urgent"' in text(made)
    inline, _ = structure_map(of("referral-csv"), CANONICAL, inline=True)
    assert "contained" not in inline


UNSAID = """\
mapping: unsaid
version: 1.0.0
status: active
fhirVersion: 4.0.1
source:
  format: json
  key: id
  fields:
    id: string!
    level: integer!
    visits: [{day: date!, long: boolean}]
bundle: transaction
resources:
  visit:
    $each: visits as v
    $identity: =%v.day
    resourceType: Encounter
    status: finished
    class: {code: AMB}
    period: {start: =%v.day}
  told:
    resourceType: Communication
    status: completed
    about: {$ref: visit}
    note:
      - $each: visits as v
        $if: "%v.long = true and level > 2"
        text: long
    sent: {$absent: unknown}
"""


def test_an_export_fails_rather_than_leave_a_rule_out(tmp_path: Path) -> None:
    mappings = write(tmp_path, "unsaid", UNSAID)
    refused = call("export", "unsaid", "--to", "fml", "--mappings", mappings)
    assert (refused.code, refused.out) == (1, "")
    place = "mappings/unsaid/unsaid.map.yaml"
    assert refused.err.splitlines() == [
        f"{place}:24:19: told.about.$ref: only a resource that is always there, and comes before, can be referred to",
        f"{place}:27:14: told.note[0].$if: a condition on an item and on what lies around it reads differently in each engine",
        f"{place}:29:11: told.sent.$absent: $absent cannot be said",
        "3 rule(s) cannot be said in fml; --partial leaves them out.",
    ]
    partial = call("export", "unsaid", "--to", "fml", "--partial", "--mappings", mappings)
    assert partial.code == 0
    assert partial.out.startswith(f'map "{CANONICAL}/StructureMap/unsaid"')
    assert call("export", "unsaid", "--to", "word", "--mappings", mappings).code == 2


def test_references_in_an_export_follow_the_names_that_each_run_makes_anew() -> None:
    made, gaps = structure_map(of("referral-csv"), CANONICAL)
    assert gaps == []
    said = text(made)
    assert "e1.fullUrl = uuid() as u3, e1.fullUrl = append('urn:uuid:', u3) as f4" in said
    assert ".reference = f4" in said
    assert made["description"].startswith("Every run names what it makes anew")


def test_every_form_of_the_language_leaves_but_for_what_is_listed(tmp_path: Path) -> None:
    text_of = Path(__file__).parents[2] / "interop" / "every_form.map.yaml"
    mapping = look(write(tmp_path, "every-form", text_of.read_text("utf-8")), CANONICAL).find("every-form")
    assert mapping is not None
    made, gaps = structure_map(mapping, CANONICAL)
    assert gaps == []
    assert [one for one in validate(made, by_model=False) if one.severity == "error"] == []
    said = text(made)
    assert said.splitlines()[1] == "// Every form of the language that an export can say, version 1.0.0"
    assert ".`minutes` as " in said
    assert said.count("create('Observation')") == 2


def test_an_overlay_has_a_structure_map_and_a_model_of_its_own() -> None:
    overlaid = next(one for one in OPENED if one.name == "referral-csv+epic-like")
    made, _ = structure_map(overlaid, CANONICAL)
    assert (made["id"], made["name"]) == ("referral-csv.epic-like", "ReferralCsvEpicLike")
    model = reader.read(exported(overlaid, "logicalmodel", CANONICAL)[0].encode())
    assert model["url"] == made["structure"][0]["url"]


def test_an_export_is_the_same_bytes_each_time() -> None:
    for form in EXPORTS:
        assert exported(of("referral-csv"), form, CANONICAL) == exported(of("referral-csv"), form, CANONICAL)


def test_a_questionnaire_leaves_as_items_scores_and_observations() -> None:
    mapping = next(one for one in OPENED if one.name == "phq-9")
    made, gaps = structure_map(mapping, CANONICAL)
    assert gaps == []
    said = text(made)
    assert said.count("create('Observation')") == 11
    assert "= 'http://loinc.org/q/44249-1|" in said
    assert "iif(%src.q1 = 0, 'LA6568-5'" in said


def test_the_review_table_has_one_row_per_rule_with_type_and_cardinality(tmp_path: Path) -> None:
    target = tmp_path / "review.csv"
    mappings = worked(tmp_path)
    assert call("export", "referral-csv", "--to", "table", "-o", target, "--mappings", mappings).code == 0
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8"))))
    assert len(rows) == 46
    gender = next(one for one in rows if one["address"] == "patient.gender")
    assert (gender["type"], gender["cardinality"], gender["codeMap"]) == ("code", "0..1", "sex")
    assert gender["source"] == "=sex.translate('sex')"


def test_the_schema_of_a_source_has_the_keys_of_the_record_and_its_closed_codes(tmp_path: Path) -> None:
    said = call("export", "referral-csv", "--to", "jsonschema", "--mappings", worked(tmp_path))
    made = reader.read(said.out.encode())
    assert made["properties"]["program"]["enum"] == ["diabetes-peer", "mh-peer", "recovery", "warmline"]
    assert "mrn" in made["required"]
    assert "email" not in made["required"]


def test_code_maps_leave_as_concept_maps_and_come_back_without_loss(tmp_path: Path) -> None:
    source = tmp_path / "program.csv"
    source.write_bytes((samples.DOCUMENTS / "referral-csv" / "program.csv").read_bytes())
    out = call("import", source, "--from", "csv", "-o", tmp_path / "out")
    assert out.code == 0
    back = call("import", tmp_path / "out" / "program.conceptmap.json", "--from", "conceptmap")
    first = list(csv.DictReader(io.StringIO(source.read_text("utf-8"))))
    again = list(csv.DictReader(io.StringIO(back.out)))
    assert [{key: one[key] for key in first[0]} for one in again] == first


def test_a_file_that_is_no_code_map_is_refused_with_its_line(tmp_path: Path) -> None:
    for name, form, content, place in (
        ("a.csv", "csv", "a,b\n1,2\n", "a.csv:1:1"),
        ("b.csv", "csv", "source,code\nx,y\nx,z\n", "b.csv:3:1"),
        ("c.csv", "csv", "source,code\nx\n", "c.csv:2:1"),
        ("d.conceptmap.json", "conceptmap", '{"resourceType": "Patient"}', "d.conceptmap.json:1:1"),
        ("e.conceptmap.json", "conceptmap", "{", "e.conceptmap.json:1:"),
    ):
        path = tmp_path / name
        path.write_text(content, "utf-8")
        said = call("import", path, "--from", form)
        assert said.code == 1, name
        assert place in said.err, said.err
    assert call("import", tmp_path / "none.csv", "--from", "csv").code == 2
    assert call("import", tmp_path / "a.csv", "--from", "excel").code == 2


def test_schemas_for_editors_are_printed_and_written(tmp_path: Path) -> None:
    for kind in ("mapping", "overlay", "library", "instrument"):
        made = reader.read(call("schema", "--kind", kind).out.encode())
        assert made["$schema"].startswith("http://json-schema.org/")
    assert call("schema", "--kind", "poem").code == 2
    assert call("schema", "--write", "--mappings", tmp_path).code == 0
    assert sorted(path.name for path in (tmp_path / ".schema").iterdir()) == [
        "instrument-1.json", "library-1.json", "mapping-1.json", "overlay-1.json",
    ]  # fmt: skip


def test_every_document_that_ships_fits_its_schema() -> None:
    import jsonschema_rs

    from peerfhir.config import compose
    from peerfhir.mapping.exports.schema_json import schema

    checks = {kind: jsonschema_rs.validator_for(schema(kind)) for kind in ("mapping", "overlay", "library")}
    names = {"map": "mapping", "overlay": "overlay", "library": "library"}
    for path in sorted(shipped.FOLDER.rglob("*.yaml")):
        kind = names[path.name.split(".")[-2]]
        plain = compose(path).plain()
        assert [str(error) for error in checks[kind].iter_errors(plain)] == [], path


def test_a_mapping_with_an_unknown_key_does_not_fit_the_schema() -> None:
    import jsonschema_rs

    from peerfhir.mapping.exports.schema_json import schema

    check = jsonschema_rs.validator_for(schema("mapping"))
    source = {"format": "json", "fields": {"a": "string", "b": {"c": ["code!"], "d": {"type": "date"}}}}
    good = {"mapping": "a", "version": "1.0.0", "fhirVersion": "4.0.1", "source": source, "resources": {}}
    assert check.is_valid(good)
    for wrong in (
        {"source": {"format": "fhir"}}, {"source": {**source, "type": "Patient"}},
        {"source": {**source, "delimiter": ";;"}}, {"source": {"format": "json", "fields": {"a": {"type": "date", "fromat": "x"}}}},
        {"source": {"format": "json", "fields": {"b": {"c": "strng"}}}}, {"record": {"fields": {}, "values": {}}},
        {"conceptMaps": {"z": {"map": {"a": "b"}, "unmapped": "ignore"}}}, {"bands": {"z": {"low": "x"}}},
        {"tables": {"z": {"columns": ["a"]}}}, {"resources": {"p": {"code": {"text": "x"}}}},
        {"resources": {"p": {"resourceType": "Basic", "$iff": "true"}}},
    ):  # fmt: skip
        assert not check.is_valid({**good, **wrong}), wrong
    assert not check.is_valid({**good, "resorces": {}})
    assert not check.is_valid({**good, "version": "1"})
