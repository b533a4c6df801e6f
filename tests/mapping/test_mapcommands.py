from __future__ import annotations

import csv
from pathlib import Path

import pytest

from peerfhir.fhir import reader
from tests.mapping import samples
from tests.mapping.maps import CSV_HEADER, accept_outputs, call, example, row, table, worked


@pytest.fixture
def mappings(tmp_path: Path) -> Path:
    return worked(tmp_path)


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_tells_of_every_document_with_its_resources_and_rules(mappings: Path) -> None:
    for name in ("referral-csv", "group-session", "referral-from-ehr"):
        example(mappings, name, "01", {})
    said = call("check", "--mappings", mappings)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["mappings/group-session/group-session.map.yaml", "ok", "1", "resource", "21", "rules"]
    assert lines[1].split() == ["mappings/referral-csv/referral-csv.map.yaml", "ok", "3", "resources", "46", "rules"]
    assert lines[3].startswith("3 documents, 0 errors, 1 warning")


def test_check_holds_resources_to_a_profile_by_its_alias(mappings: Path) -> None:
    document = mappings / "group-session" / "group-session.map.yaml"
    text = document.read_text("utf-8")
    document.write_text(text.replace("bundle:", "profiles: {own: http://x.example/StructureDefinition/own}\nbundle:"))
    for name in ("referral-csv", "group-session", "referral-from-ehr"):
        example(mappings, name, "01", {})
    assert call("check", "--mappings", mappings).code == 0
    said = call("check", "--mappings", mappings, "--profile", "own")
    assert said.code == 1
    assert "PM201: profiles.own: the site has no package with this profile" in said.err
    said = call("check", "--mappings", mappings, "--profile", "owm")
    assert (said.code, said.err) == (2, "No mapping has the alias 'owm' under profiles.\n")


def test_check_names_file_line_and_column_on_standard_error_and_ends_with_one(mappings: Path) -> None:
    document = mappings / "referral-csv" / "referral-csv.map.yaml"
    document.write_text(document.read_text("utf-8").replace("family: =last_name", "family: =last_nam"), "utf-8")
    said = call("check", "--mappings", mappings)
    assert said.code == 1
    assert "referral-csv.map.yaml:52:36: error PM111" in said.err
    assert "did you mean 'last_name'?" in said.err
    assert "1 error" in said.out


def test_check_reads_as_json_as_annotations_and_as_an_operation_outcome(mappings: Path) -> None:
    found = reader.read(call("check", "--mappings", mappings, "--format", "json").out.encode())
    assert {one["code"] for one in found} == {"PM112", "PM134", "PM221", "PM500"}
    assert set(found[0]) == {
        "file", "line", "column", "endLine", "endColumn", "severity", "code", "address", "message", "hint", "notes",
    }  # fmt: skip
    outcome = reader.read(call("check", "--mappings", mappings, "--format", "operationoutcome").out.encode())
    assert outcome["issue"][0]["details"]["coding"][0]["system"] == "urn:peerfhir:diagnostic"
    assert call("check", "--mappings", mappings, "--format", "github").out.startswith("::")


def test_check_takes_paths_and_refuses_what_is_not_there(mappings: Path, tmp_path: Path) -> None:
    said = call("check", mappings / "group-session", "--mappings", mappings)
    assert said.out.splitlines()[-1].startswith("1 document,")
    assert call("check", mappings / "nowhere", "--mappings", mappings).code == 2
    assert call("check", "--mappings", tmp_path / "nowhere").code == 2
    assert call("check", "--mappings", mappings, "--format", "xml").code == 2


def test_a_warning_is_a_problem_only_when_check_is_strict(mappings: Path) -> None:
    for name in ("referral-csv", "group-session", "referral-from-ehr"):
        example(mappings, name, "01", {})
    document = mappings / "group-session" / "group-session.map.yaml"
    document.write_text(
        document.read_text("utf-8").replace("    topic: string!", "    topic: string!\n    extra: string"), "utf-8"
    )
    assert call("check", "--mappings", mappings).code == 0
    assert call("check", "--mappings", mappings, "--strict").code == 1


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_prints_what_a_record_becomes(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "one.csv"
    source.write_text(table(row()), "utf-8")
    said = call("run", "referral-csv", "--input", source, "--mappings", mappings)
    assert said.code == 0
    assert reader.read(said.out.encode())["entry"][0]["fullUrl"] == "urn:uuid:a1defa48-2310-59b2-94b5-b0e466bd401b"


def test_run_gives_a_list_for_several_records_and_lines_when_asked(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "three.csv"
    source.write_text(table(row(), row(referral_id="R-2"), row(referral_id="R-3")), "utf-8")
    many = call("run", "referral-csv", "--input", source, "--mappings", mappings)
    assert len(reader.read(many.out.encode())) == 3
    lines = call("run", "referral-csv", "--input", source, "--ndjson", "--mappings", mappings)
    assert len(lines.out.splitlines()) == 3
    third = call("run", "referral-csv", "--input", source, "--record", 3, "--mappings", mappings)
    assert reader.read(third.out.encode())["entry"][1]["resource"]["identifier"][0]["value"] == "R-3"


def test_good_rows_go_on_and_failed_rows_are_written_aside_with_row_column_and_reason(
    mappings: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.ndjson"
    source.write_text(table(row(), row(referral_id="R-2", dob="1989-02-31"), row(referral_id="R-3")), "utf-8")
    said = call("run", "referral-csv", "--input", source, "--ndjson", "-o", target, "--mappings", mappings)
    assert said.code == 1
    assert len(target.read_text("utf-8").splitlines()) == 2
    with (tmp_path / "out.ndjson.errors.csv").open(encoding="utf-8", newline="") as file:
        aside = list(csv.DictReader(file))
    assert [(one["place"], one["column"], one["field"], one["code"]) for one in aside] == [
        ("row 2", "7", "dob", "PM702")
    ]
    assert "1989-02-31" not in aside[0]["reason"]
    assert "2 mapped, 1 failed" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.csv", "mappings", "out.ndjson", "out.ndjson.errors.csv",
    ]  # fmt: skip


def test_without_a_file_failed_rows_are_told_on_standard_error_with_their_place(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(table(row(program="yoga")), "utf-8")
    said = call("run", "referral-csv", "--input", source, "--mappings", mappings)
    assert said.code == 1
    assert said.out == ""
    assert "in.csv:row 1, column 16 (program): error PM703" in said.err
    assert "referral-csv.map.yaml" in said.err


def test_an_output_is_whole_or_not_there(mappings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peerfhir.mapping import running

    source, target = tmp_path / "in.csv", tmp_path / "out.ndjson"
    source.write_text(table(row()), "utf-8")
    target.write_text("as it was", "utf-8")

    def broken(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(running, "_line", broken)
    with pytest.raises(OSError, match="full"):
        call("run", "referral-csv", "--input", source, "--ndjson", "-o", target, "--mappings", mappings)
    assert target.read_text("utf-8") == "as it was"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]


def test_run_can_hold_every_result_to_r4(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(table(row()), "utf-8")
    assert call("run", "referral-csv", "--input", source, "--validate", "--mappings", mappings).code == 0


def test_run_refuses_what_is_not_there(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(table(row()), "utf-8")
    assert call("run", "nothing", "--input", source, "--mappings", mappings).code == 2
    assert call("run", "referral-csv", "--input", tmp_path / "none.csv", "--mappings", mappings).code == 2
    assert call("run", "referral-csv", "--input", source, "--now", "noon", "--mappings", mappings).code == 2


def test_run_tells_of_columns_that_nobody_declared_and_of_a_record_that_is_not_there(
    mappings: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"{CSV_HEADER},extra\n{row()},x\n", "utf-8")
    said = call("run", "referral-csv", "--input", source, "--record", 1, "--mappings", mappings)
    assert said.code == 0
    assert said.err.startswith("in.csv: warning: 1 column")
    beyond = call("run", "referral-csv", "--input", source, "--record", 2, "--mappings", mappings)
    assert (beyond.code, beyond.out) == (1, "")
    assert "in.csv has no record 2." in beyond.err


def test_a_trace_goes_to_standard_error_beside_the_result(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(table(row()), "utf-8")
    said = call("run", "referral-csv", "--input", source, "--trace", "--mappings", mappings)
    assert 'patient.birthDate = "1989-04-17"' in said.err
    assert reader.read(said.out.encode())["resourceType"] == "Bundle"


# --- test -----------------------------------------------------------------------------------------------------------


def test_examples_pass_fail_and_are_covered(mappings: Path) -> None:
    example(mappings, "referral-csv", "01-basic", table(row()))
    example(mappings, "referral-csv", "02-bad-date", table(row(dob="x")), error="PM702 row 1 dob\n")
    accept_outputs(mappings, "referral-csv")
    said = call("test", "referral-csv", "--coverage", "--mappings", mappings)
    assert "01-basic     pass\n" in said.out
    assert "02-bad-date  pass   (expected PM702 row 1 dob)" in said.out
    assert "coverage  rules 40/46" in said.out
    assert "patient.name.given[1] (referral-csv.map.yaml:52:68)" in said.out
    assert "2 examples, none failed" in said.out
    assert said.code == 1  # an active mapping reaches all of its rules


def test_a_difference_names_the_place_what_was_expected_and_what_came(mappings: Path) -> None:
    path = example(mappings, "referral-csv", "01-basic", table(row()))
    accept_outputs(mappings, "referral-csv")
    path.write_text(table(row(priority="S", email="p1@example.org")), "utf-8")
    said = call("test", "referral-csv", "--mappings", mappings)
    assert said.code == 1
    assert "01-basic  FAIL  PM502" in said.out
    assert 'expected "urgent"    got "stat"' in said.out
    assert "expected absent" in said.out


def test_an_expected_error_that_does_not_occur_or_another_that_does_is_told(mappings: Path) -> None:
    example(mappings, "referral-csv", "01", table(row()), error="PM702 dob\n")
    example(mappings, "referral-csv", "02", table(row(dob="x", program="yoga")), error="PM702 dob\n")
    said = call("test", "referral-csv", "--mappings", mappings)
    assert said.code == 1
    assert "expected and did not occur: PM702 dob" in said.out
    assert "occurred and was not expected: row 1, column 16 (program): PM703" in said.out


def test_several_records_of_one_example_are_a_list_with_the_failed_ones_by_their_code(mappings: Path) -> None:
    example(mappings, "referral-csv", "01", table(row(), row(referral_id="R-2", dob="x")))
    accept_outputs(mappings, "referral-csv")
    path = mappings / "referral-csv" / "examples" / "01.expected.json"
    assert reader.read(path.read_bytes())[1] == {"error": "PM702"}
    assert call("test", "referral-csv", "--mappings", mappings).code == 0


def test_update_rewrites_expected_files_and_is_refused_in_ci(mappings: Path) -> None:
    example(mappings, "referral-csv", "01", table(row()))
    assert call("test", "referral-csv", "--update", "--mappings", mappings, env={"CI": "true"}).code == 2
    said = call("test", "referral-csv", "--update", "--mappings", mappings)
    assert "FAIL" in said.out
    assert "rewrote 01" in said.out
    assert call("test", "referral-csv", "--mappings", mappings).code == 0


def test_a_file_without_its_pair_and_a_mapping_without_examples_are_problems(mappings: Path) -> None:
    said = call("test", "group-session", "--mappings", mappings)
    assert said.code == 1
    assert "PM500" in said.out
    example(mappings, "group-session", "01", {}).unlink()
    assert "PM504" in call("test", "group-session", "--mappings", mappings).out


def test_examples_are_chosen_by_a_word_and_told_as_json(mappings: Path) -> None:
    example(mappings, "referral-csv", "01-plain", table(row()))
    example(mappings, "referral-csv", "02-other", table(row(sex="")))
    accept_outputs(mappings, "referral-csv")
    said = call("test", "referral-csv", "-k", "other", "--format", "json", "--mappings", mappings)
    found = reader.read(said.out.encode())
    assert [one["name"] for one in found[0]["examples"]] == ["02-other"]
    assert call("test", "nothing", "--mappings", mappings).code == 2
    assert call("test", "referral-csv", "-k", "third", "--mappings", mappings).code == 2
    assert call("test", "referral-csv", "--min-coverage", 101, "--mappings", mappings).code == 2


# --- explain, show, diff --------------------------------------------------------------------------------------------


def test_explain_gives_the_rule_and_the_source_cell_and_why_an_element_is_absent(
    mappings: Path, tmp_path: Path
) -> None:
    source = tmp_path / "input.csv"
    source.write_text(table(row(), row(referral_id="R-2"), row(referral_id="R-3")), "utf-8")
    said = call("explain", "referral-csv", "--input", source, "--record", 3, "--mappings", mappings)
    assert said.code == 0
    lines = said.out.splitlines()
    at = lines.index('patient.birthDate = "1989-04-17"')
    assert lines[at + 1].split() == ["referral-csv.map.yaml:57:16", "birthDate:", "=dob"]
    assert lines[at + 2].startswith('  dob = "1989-04-17"  (input.csv row 3, column 7)')
    at = lines.index("patient.telecom[1]  absent")
    assert lines[at + 1].endswith("{system: email, value: =email}: every expression is empty")
    assert lines[at + 2] == '  email = ""  (input.csv row 3, column 10)  counts as no value (source.empty)'


def test_explain_keeps_to_one_address_in_the_output_or_in_the_mapping(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(table(row()), "utf-8")
    one = call("explain", "referral-csv", "--input", source, "--path", "patient.name", "--mappings", mappings)
    assert "patient.birthDate" not in one.out
    assert "patient.name[0].family" in one.out
    nothing = call("explain", "referral-csv", "--input", source, "--path", "patient.nose", "--mappings", mappings)
    assert nothing.code == 1
    assert "Nothing stands at 'patient.nose'" in nothing.err


def test_explain_follows_items_and_reads_as_json(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    from peerfhir.fhir import writer

    source.write_bytes(writer.write(samples.session(2)))
    said = call(
        "explain", "group-session", "--input", source, "--path", "encounter[1].subject", "--format", "json",
        "--mappings", mappings,
    )  # fmt: skip
    found = reader.read(said.out.encode())
    assert [one["value"] for one in found] == ["Patient/p16"]
    assert found[0]["sources"][0]["place"] == "/attendees/1/patient"
    assert found[0]["line"] == 40


def test_explain_says_why_a_record_cannot_be_mapped_and_that_a_record_is_not_there(
    mappings: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(table(row(dob="x")), "utf-8")
    bad = call("explain", "referral-csv", "--input", source, "--mappings", mappings)
    assert bad.code == 1
    assert "PM702" in bad.err
    assert (
        "has no record 9"
        in call("explain", "referral-csv", "--input", source, "--record", 9, "--mappings", mappings).err
    )


def test_explain_counts_rows_that_cannot_be_read_as_run_does(mappings: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(table(row(), "short", row(last_name="Third")), "utf-8")
    third = call("explain", "referral-csv", "--input", source, "--record", 3, "--mappings", mappings)
    assert 'patient.name[0].family = "Third"' in third.out
    second = call("explain", "referral-csv", "--input", source, "--record", 2, "--mappings", mappings)
    assert second.code == 1
    assert "in.csv:row 2: error PM700" in second.err


def test_show_names_every_rule_with_its_origin_and_every_loss(mappings: Path) -> None:
    said = call("show", "referral-csv", "--resolved", "--mappings", mappings)
    line = next(line for line in said.out.splitlines() if line.split()[:1] == ["patient.birthDate"])
    assert line.split()[1:] == ["=dob", "mappings/referral-csv/referral-csv.map.yaml:57:16"]
    assert "unused" in call("show", "group-session", "--mappings", mappings).out
    losses = call("show", "referral-csv", "--losses", "--mappings", mappings)
    assert losses.out.splitlines()[-1] == "17 of 17 fields have an inverse, 15 exact"
    data = reader.read(call("show", "referral-csv", "--format", "json", "--mappings", mappings).out.encode())
    assert len(data["rules"]) == 46


def test_diff_counts_the_records_in_which_each_element_differs(mappings: Path, tmp_path: Path) -> None:
    example(mappings, "referral-csv", "01", table(row(), row(referral_id="R-2", email="p2@example.org")))
    other = worked(tmp_path / "other") / "referral-csv" / "referral-csv.map.yaml"
    text = other.read_text("utf-8").replace("- {system: email, value: =email}", "- {system: fax, value: =email}")
    other.write_text(text.replace("intent: order", "intent: plan", 1), "utf-8")
    said = call("diff", "referral-csv", other, "--mappings", mappings)
    assert said.code == 1
    assert "request.intent" in said.out
    assert '"order" -> "plan"   2 of 2 records' in said.out
    assert '"email" -> "fax"   1 of 2 records' in said.out
    assert said.out.splitlines()[-1] == "raise the version: major"
    same = call("diff", "referral-csv", "referral-csv", "--mappings", mappings)
    assert (same.code, same.out) == (0, "no difference on 2 records\n")
    assert call("diff", "referral-csv", "referral-csv@9.9.9", "--mappings", mappings).code == 2


def test_explain_follows_the_arguments_of_a_fragment_and_names_of_a_form(tmp_path: Path) -> None:
    home = tmp_path / "mappings" / "made"
    home.mkdir(parents=True)
    (home / "made.map.yaml").write_text(
        "mapping: made\nversion: 1.0.0\nfhirVersion: 4.0.1\nsource:\n  format: form\n  key: id\n"
        "  fields: {id: string!, a: string!, b: string!, ok: {type: boolean!, 'true': [on]}}\n"
        "fragments:\n  said: {type: Annotation, params: {what: string}, body: {text: =%what}}\n"
        "bundle: none\nresources:\n  made:\n    resourceType: Observation\n    status: final\n    code: {text: =id}\n"
        "    valueBoolean: =ok\n    note:\n      - {$use: said, with: {what: =a}}\n"
        "      - {$use: said, with: {what: =b}}\n", "utf-8"
    )  # fmt: skip
    source = tmp_path / "in.form"
    source.write_text("id=1&a=x&b=y&ok=on", "utf-8")
    said = call("explain", "made", "--input", source, "--mappings", tmp_path / "mappings")
    lines = [line.strip() for line in said.out.splitlines()]
    assert lines[lines.index('made.note[1].text = "y"') + 2] == 'b = "y"  (in.form record, /b)'
    assert any(line.startswith('ok = "on"') and line.endswith("read as boolean") for line in lines)
