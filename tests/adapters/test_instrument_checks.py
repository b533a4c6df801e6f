from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from peerfhir.adapters.instruments import examined, load_instruments
from peerfhir.errors import BadConfiguration
from peerfhir.mapping.exports.schema_json import schema as instrument_schema
from peerfhir.mapping.problems import Problem

CONFIG = Path(__file__).parents[2] / "config" / "instruments"
FILE, FORM, EXAMPLE = "instrument.yaml", "questionnaire.json", "examples/all_nearly_every_day.json"
EDGE = "examples/5_is_the_first_mild.json"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
CALCULATED, MARK = f"{SDC}calculatedExpression", f"{SDC}observationExtract"
VARIABLE = "http://hl7.org/fhir/StructureDefinition/variable"
# The shipped expression of the total, and where the weights are that it counts.
FORMULA = "iif(%weights.count() >= 7, (%weights.sum() * 9 / %weights.count()).round())"
DESCRIBED = '"description": "The sum; one or two unanswered questions are prorated, rounded half up. With more there is no total.",'
SHIPPED = f"""{{
            {DESCRIBED}
            "language": "text/fhirpath",
            "expression": "{FORMULA}"
          }}"""
LEAD = '"linkId": "/lead",'
ASKED = '"linkId": "/44250-9",'
BOTH_MARKS = (
    f'{ASKED} "extension": [{{"url": "{MARK}", "valueBoolean": true}}, §{{"url": "{MARK}", "valueCode": "member"}}],'
)
SUM = "%resource.item.where(linkId != '/44261-6').answer.value.weight().sum()"
FIRST = """"answerOption": [
        {
          "extension": [
            {
              "url": "http://hl7.org/fhir/StructureDefinition/ordinalValue",
              "valueDecimal": 0
            }
          ],
"""
# The first answer of the unscored item, and the weight that the file already gives to its second.
DIFFICULTY = """"answerOption": [
        {
          "valueCoding": {
            "system": "http://loinc.org",
            "code": "LA6572-7","""
WEIGHT = f"""{FIRST[30:].strip().removesuffix(",").replace("0", "1")},
          "valueCoding": {{
            "system": "http://loinc.org",
            "code": "LA6572-7\""""
DAYS = "baseline_days: 14, window_days: 14"
LICENCE = 'licence:\n  spdx_or_text: "No permission required to reproduce, translate, display or distribute."\n'


def total(expression: str, sign: str = "§", language: str = "text/fhirpath") -> str:
    """The Expression of the total; the sign stands at its text."""
    return f'{{"language": "{language}", {sign}"expression": "{expression}"}}'


def variables(*pairs: tuple[str, str]) -> str:
    told = (
        f'{{"url": "{VARIABLE}", "valueExpression": '
        f'{{"name": "{name}", "language": "text/fhirpath", {sign}"expression": "{text}"}}}}'
        for (name, text), sign in zip(pairs, ("§", ""), strict=True)
    )
    return f'{LEAD} "extension": [{", ".join(told)}],'


# code -> severity, file, what is replaced, what by, a part of the hint; § stands where the message must point
CASES: dict[str, list[tuple[str, str, str, str, str]]] = {
    "PM001": [("error", FILE, "title: PHQ-9 quick", "title: [PHQ-9 quick", "quote")],
    "PM002": [
        ("error", FILE, "notes:", "§note:", "did you mean 'notes'"),
        ("error", FILE, "      direction:", "      §directoin: up\n      direction:", "did you mean 'direction'"),
        ("error", FILE, "{op: ge,", "{§ops: 1, op: ge,", "did you mean 'op'"),
        ("error", FILE, "source_urls:", "change: {§mcd: 5}\nsource_urls:", "did you mean 'mcid'"),
        ("error", FILE, "source_urls:", f"schedule: {{§every_day: 90, {DAYS}}}\nsource_urls:", "did you mean 'every_days'"),
    ],
    "PM003": [("error", FILE, "title:", "§id: phq-9\ntitle:", "")],
    "PM004": [("error", FILE, "id: phq-9", "§id: phq-8", "the folder is 'phq-9'")],
    "PM005": [("error", FILE, "scoring:\n", "scoring: §&x\n", "")],
    "PM007": [
        ("error", FILE, "method: sum", "§method: mean", ""),
        ("error", FILE, "      missing: {max: 2", "      §missing: {max: 9", "max: 8 or less"),
        ("error", FILE, "      direction: lower-is-better\n", "", "add 'direction'"),
        ("error", FILE, "direction: lower-is-better", "direction: §TODO", "lower-is-better or"),
        ("error", FILE, "source_urls:", "change: {§mcid: 0, source: x}\nsource_urls:", ""),
        ("error", FILE, "source_urls:", "change: {mcid: 5, §reliable: 27.5}\nsource_urls:", "27 or less"),
        ("error", FILE, "source_urls:", "§change: {source: x}\nsource_urls:", "add 'mcid' or 'reliable'"),
        ("error", FILE, "source_urls:", "change: {§mcid: five}\nsource_urls:", ""),
        ("error", FILE, "source_urls:", "schedule: {§baseline_days: -14, every_days: 90, window_days: 14}\nsource_urls:", ""),
        ("error", FILE, "source_urls:", "schedule: {§every_days: 1.5, baseline_days: 1, window_days: 1}\nsource_urls:", ""),
        ("error", FILE, "source_urls:", "schedule: {baseline_days: 14, every_days: 28, §window_days: 14}\nsource_urls:",
         "less than 14"),
        ("error", FILE, "source_urls:", "§schedule: {every_days: 90, window_days: 14}\nsource_urls:", "add 'baseline_days'"),
    ],
    "PM600": [
        ("error", FORM, '"status": "active"', '§"status": "actve"', "did you mean 'active'"),
        ("error", FORM, '"experimental": false', '§"experimental": "no"', ""),
        ("error", FORM, '"version": "2.78",', "", "add 'version'"),
        ("error", FORM, '"url": "http://loinc.org/q/44249-1",', "", "add 'url'"),
        ("error", FORM, '"prefix": "1."', '§"prefx": "1."', "did you mean 'prefix'"),
        ("error", FORM, '"experimental": false,', '"experimental": false,§,', ""),
        ("error", FORM, '"subjectType": [\n    "Patient"\n  ]', '§"subjectType": "Patient"', ""),
        ("error", FORM, '"type": "decimal"', '"type": "integer"', ""),
    ],
    "PM601": [
        ("error", FORM, '"linkId": "/44255-8"', '§"linkId": "/44250-9"', ""),
        ("error", FORM, '"linkId": "/44255-8"', '§"linkId": " "', ""),
    ],
    "PM602": [
        ("error", FORM, LEAD, LEAD + ' "enableWhen": [{§"question": "/44250-8", "operator": "exists", "answerBoolean": true}],',
         "did you mean"),
        ("error", FORM, SHIPPED, total(SUM.replace("/44261-6", "/44261-7")), "did you mean '/44261-6'"),
        ("error", FORM, "\"expression\": \"'/44250-9' |", "§\"expression\": \"'/44250-8' |", "did you mean '/44260-8'"),
    ],
    "PM603": [("error", FORM, SHIPPED, total("item.first().answer.exists()"), "holds")],
    "PM604": [("error", FORM, FIRST, '§"answerOption": [\n        {\n', "itemWeight")],
    "PM605": [
        ("warning", FILE, "LA6573-5: 1", "LA6573-5: 0", "give a code"),
        ("warning", FORM, DIFFICULTY, f'§"answerOption": [\n        {{\n          {WEIGHT},', "give a code"),
    ],
    "PM606": [("error", FORM, LEAD, f'{LEAD} "extension": [§{{"url": "{MARK}", "valueCode": "member"}}],', "code")],
    "PM607": [
        ("warning", FORM, '"code": [\n        {\n          "system": "http://loinc.org",\n          "code": "44250-9"',
         '§"code": [\n        {\n          "system": "http://x.example",\n          "code": "44250-9"', "other systems"),
    ],
    "PM608": [("error", FILE, "range: [0, 27]", "§range: [0, 26]", "range: [0, 27]")],
    "PM609": [
        ("error", FILE, "bands:\n        - {from: 0,", "§bands:\n        - {from: 1,", "begins at 0"),
        ("error", FILE, "bands:\n        - {from: 0,", "§bands:\n        - {from: 40,", "none above 27"),
    ],
    "PM614": [
        ("error", FILE, "  /44260-8:\n", "  §/44260-9:\n", "did you mean '/44260-8'"),
        ("error", FILE, "items: [/44250-9", "items: [§/44250-8", "did you mean"),
        ("error", FILE, "LA6575-0: 2", "§LA6575-1: 2", "did you mean 'LA6575-0'"),
        ("error", FILE, "level: urgent", "§level: urgnt", "did you mean 'urgent'"),
        ("error", FILE, "sentinel: {op: ge, value: 1", "§sentinel: {op: ge, value: 4", "weight"),
    ],
    "PM616": [
        ("error", FORM, '"copyright"', '"purpose"', "add 'copyright'"),
        ("error", FILE, f"{LICENCE}  class: permission", f"§{LICENCE}  class: restricted", "ack_by"),
        ("error", FILE, "  class: permission\n", "", "add 'class'"),
        ("error", FILE, "  class: permission\n", "  class: §TODO\n", "restricted"),
    ],
    "PM618": [
        ("error", EXAMPLE, '"total": 27', '§"total": 26', ""),
        ("error", EXAMPLE, '"band": "severe"', '§"band": "mild"', ""),
        ("error", EXAMPLE, '"sentinel": "raised"', '§"sentinel": "none"', ""),
        ("error", EXAMPLE, '"level": "stat"', '§"level": "urgent"', ""),
        ("error", EXAMPLE, '"/44250-9": "LA6571-9"', '§"/44250-9": "LA33-6"', ""),
        ("error", EXAMPLE, '"total": 27', '§"totle": 1, "total": 27', "total"),
        ("error", EXAMPLE, '"answers"', '"answer"', ""),
        ("error", EDGE, '"observations": 11', '§"observations": 10', ""),
        ("error", EXAMPLE, '"band": "severe",', '"band": "severe",§,', ""),
    ],
    "PM619": [
        ("error", FILE, 'version: "2.78"', '§version: "9"', "there it is '2.78'"),
        ("error", FILE, "title: PHQ-9", "§title: PHQ-8", ""),
        ("error", FORM, SHIPPED, total(SUM.replace("'/44261-6'", "'/44250-9'")), "weight"),
        ("error", FORM, SHIPPED, total("%resource.item.where(linkId='/44250-9').answer.value.weight() + 'a'.toInteger()"), ""),
    ],
    "PM620": [
        ("error", FORM, LEAD, variables(("a", "%b + 1"), ("b", "%a + 1")), "circle"),
        ("error", FORM, SHIPPED, total("%resource.item.where(linkId='/44261-6').answer.value"), "circle"),
    ],
    "PM622": [
        ("error", FORM, ASKED, BOTH_MARKS, "relationship"),
    ],
    "PM623": [
        ("error", FORM, SHIPPED, total("1", "").replace('"language": "text/fhirpath"', '§"language": "text/cql"'), "text/fhirpath"),
        ("error", FORM, SHIPPED, total("1", "").replace('"language": "text/fhirpath"',
                                                     '§"language": "application/x-fhir-query"'), "text/fhirpath"),
        ("error", FORM, LEAD, f'{LEAD} "extension": [{{§"url": "{SDC}itemExtractionContext", "valueCode": "Patient"}}],',
         "observationExtract"),
        ("error", FORM, LEAD, LEAD.replace("/lead", "/group") + ' "type": "group", "item": [{§"linkId": "/in", '
         '"type": "string", "text": "x"}]}, {"linkId": "/lead",', "beside"),
    ],
}  # fmt: skip

# Of an instrument there are PM600 to PM623 in the specification; these are said of the mapping that names one.
OF_MAPPINGS = frozenset(("PM610", "PM611", "PM612", "PM613", "PM615"))
NEVER_GIVEN = frozenset(("PM617", "PM621"))


def spoiled(folder: Path, name: str, old: str, new: str) -> tuple[list[Problem], tuple[int, int] | None]:
    """The problems after one change of the shipped instrument, and where its sign stands."""
    shutil.copytree(CONFIG / "phq-9", folder / "phq-9")
    path = folder / "phq-9" / name
    text = path.read_text("utf-8")
    assert old in text, old
    changed = text.replace(old, new, 1)
    path.write_text(changed.replace("§", ""), "utf-8")
    before, sign, _ = changed.partition("§")
    place = (before.count("\n") + 1, len(before) - before.rfind("\n")) if sign else None
    return examined(folder)[1].every, place


# code -> what looks like the mistake and is none: file, what is replaced, what by
NEAR_MISSES: dict[str, tuple[str, str, str]] = {
    "PM600": (FORM, '"experimental": false', '"experimental": true'),
    "PM601": (FORM, '"linkId": "/lead"', '"linkId": "/44250-9a"'),
    "PM602": (FORM, LEAD, LEAD + ' "enableWhen": [{"question": "/44250-9", "operator": "exists", "answerBoolean": true}],'),
    "PM603": (FORM, SHIPPED, total("%weights.sum().truncate()", "")),
    "PM604": (FILE, "    ordinals: {LA6572-7: 0, LA6573-5: 1, LA6575-0: 2, LA6574-3: 3}\n", "    alt_codes: {}\n"),
    "PM605": (FILE, "LA6573-5: 1", "LA6573-5: 0.5"),
    "PM606": (FORM, LEAD, f'{LEAD} "extension": [{{"url": "{MARK}", "valueBoolean": false}}],'),
    "PM607": (FORM, '"code": [\n        {\n          "system": "http://loinc.org",\n          "code": "44250-9"',
              ('"code": [\n        {"system": "http://x.example", "code": "a"}, {\n          "system": "http://loinc.org",'
              '\n          "code": "44250-9"')),
    "PM608": (FILE, "range: [0, 27]", "range: [0.0, 27.00]"),
    "PM609": (FILE, "{from: 5,", "{from: 4.5,"),
    "PM614": (FILE, "  /44260-8:\n", "  /44260-8:\n    alt_codes: {LA6570-1: [LA18938-3]}\n"),
    "PM616": (FILE, "  class: permission\n", '  class: restricted\n  ack_by: "A. Clinician, 2026-11-21"\n'),
    "PM618": (EDGE, ',\n    "observations": 11', ""),
    "PM619": (FORM, SHIPPED, total(SUM, "")),
    "PM620": (FORM, LEAD, variables(("a", "%b + 1"), ("b", "2")).replace("§", "")),
    "PM622": (FORM, ASKED, f'{ASKED} "extension": [{{"url": "{MARK}", "valueCode": "member"}}],'),
    "PM623": (FORM, ASKED, (f'{ASKED} "extension": [{{"url": "{SDC}enableWhenExpression", "valueExpression": '
              '{"language": "text/fhirpath", "expression": "true"}}],')),
}  # fmt: skip


def test_every_check_of_instruments_has_a_case_with_its_place_and_a_near_miss():
    wanted = {f"PM{number}" for number in range(600, 624)} - OF_MAPPINGS - NEVER_GIVEN
    assert {code for code in CASES if code >= "PM600"} == set(NEAR_MISSES) == wanted
    assert {code for code in wanted if not any("§" in new for *_, new, _ in CASES[code])} == set()


@pytest.mark.parametrize("code", NEAR_MISSES)
def test_what_only_looks_like_a_mistake_is_none(code, tmp_path):
    every, _ = spoiled(tmp_path, *NEAR_MISSES[code])
    assert [str(one) for one in every] == []


TEMPLATED = {
    "templateExtract": '"extension": [{"url": "template", "valueReference": {"reference": "Basic/t"}}]',
    "templateExtractBundle": '"valueReference": {"reference": "Basic/t"}',
    "templateExtractContext": '"valueString": "item"',
    "templateExtractValue": '"valueString": "answer.value"',
    "extractAllocateId": '"valueString": "own"',
    "definitionExtract": '"extension": [{"url": "definition", "valueCanonical": "http://x.example"}]',
    "definitionExtractValue": '"extension": [{"url": "definition", "valueUri": "http://x.example#a"}]',
    "targetStructureMap": '"valueCanonical": "http://x.example/map"',
}


@pytest.mark.parametrize("name", TEMPLATED)
@pytest.mark.parametrize("holder", [LEAD, '"name": "PHQ9",'], ids=["item", "root"])
def test_extraction_by_template_or_definition_is_refused_where_it_stands(name, holder, tmp_path):
    mark = f'{{§"url": "{SDC}{name}", {TEMPLATED[name]}}}'
    if holder == LEAD:
        every, place = spoiled(tmp_path, FORM, LEAD, f'{LEAD} "extension": [{mark}],')
    else:
        every, place = spoiled(tmp_path, FORM, '"extension": [\n    {', f'"extension": [\n    {mark}, {{')
    assert [(one.code, one.severity) for one in every] == [("PM623", "error")]
    assert (every[0].mark.line, every[0].mark.column) == place
    assert "observationExtract" in every[0].hint


@pytest.mark.parametrize(
    ("code", "at"), [(code, at) for code, cases in CASES.items() for at in range(len(cases))], ids=lambda one: str(one)
)
def test_a_mistake_is_told_with_its_code_severity_place_and_hint(code, at, tmp_path):
    severity, name, old, new, hint = CASES[code][at]
    every, place = spoiled(tmp_path, name, old, new)
    found = [one for one in every if one.code == code]
    assert found, [str(one) for one in every]
    assert {one.severity for one in found} == {severity}
    assert any(hint in one.hint for one in found), [one.hint for one in found]
    if place is not None:
        own = [(one.mark.line, one.mark.column) for one in found if one.mark.path.endswith(name)]
        assert place in own, [str(one) for one in every]
    for one in every:
        assert re.match(r"/\S+/phq-9/\S+:[1-9]\d*:[1-9]\d*: (error|warning) PM\d{3}: \S", str(one))


def test_the_shipped_instruments_have_no_problem_at_all():
    loaded, problems = examined(CONFIG)
    assert "phq-9" in loaded
    assert [str(one) for one in problems.every] == []


def test_a_warning_does_not_keep_a_service_from_starting(tmp_path):
    severity, name, old, new, _ = CASES["PM607"][0]
    every, _ = spoiled(tmp_path, name, old, new)
    assert [one.severity for one in every] == [severity] == ["warning"]
    assert "phq-9" in load_instruments(tmp_path)


def test_a_service_is_refused_with_the_line_the_code_and_the_hint(tmp_path):
    spoiled(tmp_path, FILE, "range: [0, 27]", "range: [0, 26]")
    with pytest.raises(BadConfiguration) as caught:
        load_instruments(tmp_path)
    (said,) = caught.value.problems
    place, hint = said.split("\n")
    assert re.fullmatch(r".*/phq-9/instrument\.yaml:\d+:7: error PM608: range: the answers reach from 0 to 27", place)
    assert hint == "    hint: write range: [0, 27]"


def test_a_missing_file_is_told_where_it_should_be(tmp_path):
    shutil.copytree(CONFIG / "phq-9", tmp_path / "phq-9")
    (tmp_path / "phq-9" / FILE).unlink()
    (tmp_path / "phq-9" / FORM).unlink()
    assert [(one.code, one.mark.line) for one in examined(tmp_path)[1].every] == [("PM008", 1), ("PM600", 1)]


def test_without_the_whole_of_r4_what_would_break_the_loader_is_found_all_the_same(tmp_path):
    shutil.copytree(CONFIG / "phq-9", tmp_path / "phq-9")
    path = tmp_path / "phq-9" / FORM
    text = path.read_text("utf-8")
    pieces = [(one.start(), one.group()) for one in re.finditer(r'"[^"]+"(?=: )', text)]
    for at, name in pieces[::3]:  # each third key, as another name, as a value of another kind, and without its value
        for broken in (text[:at] + '"nothing"' + text[at + len(name) :], _revalued(text, at + len(name), "[5]")):
            path.write_text(broken, "utf-8")
            examined(tmp_path, judged=False)  # never an exception


def _revalued(text: str, at: int, value: str) -> str:
    """The text with another value after the key that ends at `at`, where the value was a text or a number."""
    return text[:at] + re.sub(r'\A: ("[^"]*"|[0-9.]+|true|false)', f": {value}", text[at:])


def test_the_total_may_have_an_expression_that_agrees(tmp_path):
    every, _ = spoiled(tmp_path, FORM, SHIPPED, total(SUM))
    assert [str(one) for one in every] == []


def test_an_expression_may_use_variables_of_its_own_item(tmp_path):
    before = f'"url": "{CALCULATED}",\n          "valueExpression": '
    named = f'"name": "counted", "language": "text/fhirpath", "expression": "{SUM.partition(".answer")[0]}"'
    formula = total("%counted.answer.value.weight().sum()", "")
    own = f'"url": "{VARIABLE}", "valueExpression": {{{named}}}}}, {{{before}{formula}'
    every, _ = spoiled(tmp_path, FORM, before + SHIPPED, own)
    assert [str(one) for one in every] == []


def test_either_extension_tells_a_weight(tmp_path):
    shutil.copytree(CONFIG / "phq-9", tmp_path / "phq-9")
    path = tmp_path / "phq-9" / FORM
    path.write_text(
        path.read_text("utf-8").replace("StructureDefinition/ordinalValue", "StructureDefinition/itemWeight")
    )
    assert load_instruments(tmp_path)["phq-9"].items == load_instruments(CONFIG)["phq-9"].items


def test_the_editors_schema_has_the_keys_that_the_file_has(tmp_path):
    schema = instrument_schema("instrument")
    path = tmp_path / "x" / FILE
    path.parent.mkdir()
    path.write_text("".join(f"{key}: [[]]\n" for key in schema["properties"]) + "more: [[]]\n", "utf-8")
    found = [one for one in examined(tmp_path)[1].every if one.mark.path.endswith(FILE)]
    assert [one.what.partition(":")[0] for one in found if one.code == "PM002"] == ["more"]
    path.write_text("{}\n", "utf-8")
    lacking = {one.what.partition(":")[0] for one in examined(tmp_path)[1].every if one.mark.path.endswith(FILE)}
    assert lacking == set(schema["required"])
    for name in ("change", "schedule"):
        keys = [*schema["properties"][name]["properties"], "more"]
        path.write_text(f"{name}: {{{', '.join(f'{key}: [[]]' for key in keys)}}}\n", "utf-8")
        told = [one.what.partition(":")[0] for one in examined(tmp_path)[1].every if one.code == "PM002"]
        assert told == [f"{name}.more"]
