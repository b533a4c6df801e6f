from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from peerfhir.adapters.instruments import load_instruments
from peerfhir.adapters.questionnaires import forms
from peerfhir.errors import MappingFailed
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.model import parse
from peerfhir.mapping.answers import Answering
from peerfhir.mapping.catalogue import Survey, survey
from peerfhir.mapping.instruments import Form, Option, Question, Scored
from tests.mapping.folders import put
from tests.support.mapping_folder import CANONICAL

INSTRUMENTS = Path(__file__).parents[2] / "config/instruments"
LINKS = ("44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8")
ITEM_WEIGHT = "http://hl7.org/fhir/StructureDefinition/itemWeight"
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
HEAD = """mapping: phq-9
version: 1.0.0
status: active
fhirVersion: 4.0.1
source:
  format: json
  key: form_id
  unknown: ignore
  fields:
    form_id: string!
    patient: string!
    completed: dateTime!
    author: string!
    q1..q9: integer
    word: string
    closed: {type: code, codes: [LA6568-5, maybe]}
    coding: {type: code, codes: [LA6568-5, LA6569-3]}
    words: [string]
    flag: boolean
"""
MAPPING = (
    HEAD
    + """bundle: transaction
resources:
  qr:
    $questionnaire: phq-9
    $answers:
"""
    + "".join(f"      /{link}: =q{at}\n" for at, link in enumerate(LINKS, start=1))
    + """    $extract: observation
    status: completed
    subject: {reference: "Patient/{{patient}}"}
    authored: =completed
    author: {reference: "Practitioner/{{author}}"}
"""
)


@cache
def phq9() -> dict[str, Form]:
    """The form of this house, and one that holds what it has not: groups, repeats, reversed weights."""
    agree = tuple(
        Option(code, "http://x.example", code.title(), Decimal(at)) for at, code in enumerate(("no", "so", "yes"))
    )
    other = Form(
        "other", "http://x.example/q", "1", (
            Question("g", "group", "Group", items=(
                Question("g/a", "choice", options=tuple(reversed(agree)), reverse=True),
                Question("g/b", "string", repeats=True, relation="independent", codes=({"code": "b"},)),
            )),
            Question("twice", "choice", options=(*agree, Option("x", weight=Decimal(1)))),
            Question("day", "date", required=True), Question("note", "display"),
        ), lambda answers: Scored(None),
    )  # fmt: skip
    return {**forms(INSTRUMENTS, load_instruments(INSTRUMENTS)), "other": other}


def loaded(folder: Path, text: str) -> Survey:
    """The survey of one mapping, with the instruments."""
    put(folder, **{"phq-9__phq-9": text})
    return survey(folder / "mappings", canonical=CANONICAL, instruments=phq9())


def record(*numbers: int | None) -> dict[str, Any]:
    """A form with these answers, from the first question on."""
    head = {"form_id": "F-1", "patient": "p1", "completed": "2026-03-02T10:00:00-05:00", "author": "f1"}
    return {**head, **{f"q{at}": one for at, one in enumerate(numbers, start=1)}}


def observations(folder: Path, *numbers: int | None) -> list[Any]:
    """What is extracted."""
    found = loaded(folder, MAPPING)
    assert [str(one) for one in found.problems if one.code != "PM300"] == []
    made = found.loaded["phq-9"].program.run(record(*numbers))
    return made.resources.get("qr.$extract", [])


def test_numbers_choose_options_and_the_score_is_that_of_the_instrument(tmp_path: Path) -> None:
    found = loaded(tmp_path, MAPPING)
    assert [str(one) for one in found.problems if one.code != "PM300"] == []
    result = found.loaded["phq-9"].program.run(record(1, 2, 3, 0, 1, 2, 3, 0, 1))
    response = result.resources["qr"][0]
    assert parse(response) == []
    assert response["questionnaire"] == "http://loinc.org/q/44249-1|2.78"
    assert [one["linkId"] for one in response["item"]] == [f"/{one}" for one in (*LINKS, "44261-6")]
    assert response["item"][2]["answer"] == [
        {"valueCoding": {"system": "http://loinc.org", "code": "LA6571-9", "display": "Nearly every day"}}
    ]
    assert response["item"][-1]["answer"] == [{"valueDecimal": Decimal(13)}]


def test_observations_are_made_of_items_total_and_panel(tmp_path: Path) -> None:
    made = observations(tmp_path, 1, 2, 3, 0, 1, 2, 3, 0, 1)
    assert [one["code"]["coding"][0]["code"] for one in made] == [*LINKS, "44261-6", "44249-1"]
    for one in made:
        assert parse(one) == []
    total, panel = made[-2:]
    assert total["valueQuantity"] == {
        "value": 13,
        "unit": "{score}",
        "system": "http://unitsofmeasure.org",
        "code": "{score}",
    }
    assert total["interpretation"] == [{"text": "Moderate"}]
    assert total["referenceRange"][0]["high"]["value"] == 27
    assert total["performer"] == [{"reference": "Practitioner/f1"}]
    assert total["issued"] == total["effectiveDateTime"] == "2026-03-02T10:00:00-05:00"
    assert total["category"][0]["coding"][0]["code"] == "survey"
    assert len(panel["hasMember"]) == 10


def test_ids_are_those_of_the_response_and_the_links(tmp_path: Path) -> None:
    program = loaded(tmp_path, MAPPING).loaded["phq-9"].program
    first, again = (program.run(record(1, 1, 1, 1, 1, 1, 1, 1, 1)).entries for _ in range(2))
    urls = [one.full_url for one in first]
    assert urls == [one.full_url for one in again]
    assert len(set(urls)) == len(urls) == 12
    assert all(one.resource["derivedFrom"] == [{"reference": urls[0]}] for one in first[1:])
    assert {tuple(one.request.items()) for one in first[1:]} == {(("method", "POST"), ("url", "Observation"))}


def test_gaps_are_scored_as_the_instrument_says_and_never_as_0(tmp_path: Path) -> None:
    prorated = observations(tmp_path, 1, 1, 1, 1, 1, 1, 1)
    assert prorated[-2]["valueQuantity"]["value"] == 9
    none = observations(tmp_path, 3, 3, 3, 3, 3)
    assert "valueQuantity" not in none[-2]
    assert none[-2]["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert "interpretation" not in none[-2]


def test_only_scores_or_nothing_are_extracted_on_demand(tmp_path: Path) -> None:
    def codes(mode: str) -> list[str]:
        text = MAPPING.replace("$extract: observation", f"$extract: {mode}")
        made = loaded(tmp_path, text).loaded["phq-9"].program.run(record(1, 1, 1, 1, 1, 1, 1, 1, 1))
        return [one["code"]["coding"][0]["code"] for one in made.resources.get("qr.$extract", [])]

    assert codes("scores") == ["44261-6", "44249-1"]
    assert codes("none") == []


def linked() -> Form:
    """Three answers that belong to the panel in each way, and one that belongs to nothing."""
    ways = ("member", "component", "derived", "independent")
    items = tuple(
        Question(f"/{way}", "integer", codes=({"system": "http://x.example", "code": way},), relation=way)
        for way in ways
    )
    code = {"system": "http://x.example", "code": "panel"}
    return Form("linked", "http://x.example/q", "1", items, lambda answers: Scored(None), (code,))


def test_what_is_extracted_belongs_to_the_panel_as_it_is_marked(tmp_path: Path) -> None:
    answers = "".join(
        f"      /{way}: ={field}\n"
        for way, field in (("member", "q1"), ("component", "q2"), ("derived", "q3"), ("independent", "q4"))
    )
    body = f"    $questionnaire: linked\n    $answers:\n{answers}    $extract: observation\n"
    text = f"{HEAD}bundle: transaction\nresources:\n  qr:\n{body}    status: completed\n"
    put(tmp_path, **{"phq-9__phq-9": text})

    def made(text: str, *numbers: int) -> list[Any]:
        put(tmp_path, **{"phq-9__phq-9": text})
        found = survey(tmp_path / "mappings", canonical=CANONICAL, instruments={"linked": linked()})
        assert [str(one) for one in found.problems if one.severity == "error"] == []
        entries = found.loaded["phq-9"].program.run(record(*numbers)).entries
        assert [parse(one.resource) for one in entries] == [[]] * len(entries)
        return [(one.resource["code"]["coding"][0]["code"], one) for one in entries[1:]]

    every = dict(made(text, 1, 2, 3, 4))
    assert list(every) == ["member", "derived", "independent", "panel"]
    panel = every["panel"].resource
    assert panel["hasMember"] == [{"reference": every["member"].full_url}]
    assert panel["component"] == [
        {"code": {"coding": [{"system": "http://x.example", "code": "component"}]}, "valueQuantity": {"value": 2}}
    ]
    own = every["independent"].resource["derivedFrom"]
    assert len(own) == 1
    assert every["derived"].resource["derivedFrom"] == [*own, {"reference": every["panel"].full_url}]
    assert made(text.replace("status: completed", "status: in-progress"), 1, 2, 3, 4) == []
    assert len(made(text.replace("status: completed", "status: amended"), 1, 2, 3, 4)) == 4


@pytest.mark.parametrize(
    ("coding", "code"),
    [
        ({"system": "http://loinc.org", "code": "LA6569-3"}, "LA6569-3"),
        ({"code": "x", "extension": [{"url": ITEM_WEIGHT, "valueDecimal": Decimal("2.0")}]}, "LA6570-1"),
        ({"code": "x", "extension": [{"url": ORDINAL, "valueInteger": 3}], "display": "Not at all"}, "LA6571-9"),
        ({"code": "x", "display": "several DAYS"}, "LA6569-3"),
        ({"code": "x", "extension": [{"url": ITEM_WEIGHT, "valueDecimal": Decimal(9)}]}, None),
        ({"code": "x", "extension": [{"url": "http://x.example", "valueDecimal": Decimal(1)}]}, None),
    ],
)
def test_a_coding_chooses_by_code_then_by_the_weight_it_carries_then_by_its_words(
    coding: Any, code: str | None
) -> None:
    answering = Answering(phq9()["phq-9"])
    given = [("/44250-9", (coding,), "", "")]
    if code is None:
        with pytest.raises(EvaluationProblem, match="/44250-9"):
            answering.items(given)
        return
    items = answering.items(given)
    assert items is not None
    assert items[0]["answer"][0]["valueCoding"]["code"] == code


def test_a_weight_that_two_options_have_chooses_neither() -> None:
    coding = {"code": "y", "extension": [{"url": ITEM_WEIGHT, "valueDecimal": Decimal(1)}]}
    with pytest.raises(EvaluationProblem, match="twice"):
        Answering(phq9()["other"]).items([("twice", (coding,), "", "")])


def test_a_number_that_is_no_weight_stops_the_record_and_names_the_item(tmp_path: Path) -> None:
    program = loaded(tmp_path, MAPPING).loaded["phq-9"].program
    with pytest.raises(MappingFailed, match=r"PM740.*/44251-7 \(weights 0, 1, 2, 3\)"):
        program.run(record(1, 1, 1, 1, 4, 1, 1, 1, 1))


def answered(folder: Path, answers: str, form: str = "phq-9", **more: Any) -> list[Any]:
    """The items of a response with these answers."""
    text = (
        HEAD
        + f"bundle: none\nresources:\n  qr:\n    $questionnaire: {form}\n    $answers:\n{answers}    status: completed\n"
    )
    found = loaded(folder, text)
    assert [str(one) for one in found.problems if one.severity == "error"] == []
    response = found.loaded["phq-9"].program.run({**record(), **more}).resources["qr"][0]
    assert parse(response) == []
    items: list[Any] = response.get("item", [])
    return items


def test_a_text_chooses_by_code_or_by_words(tmp_path: Path) -> None:
    answers = '      /44250-9: =word\n      /44255-8: LA6569-3\n      /44259-0: "{{word}}"\n'
    items = answered(tmp_path, answers, word="nearly  every DAY")
    assert [one["answer"][0]["valueCoding"]["code"] for one in items[:3]] == ["LA6571-9", "LA6569-3", "LA6571-9"]


def test_a_declined_answer_says_so_and_counts_as_open(tmp_path: Path) -> None:
    items = answered(tmp_path, "      /44250-9: {$value: =q1, $absent: asked-declined}\n      /44255-8: =q2\n", q2=1)
    assert [one["linkId"] for one in items] == ["/44250-9", "/44255-8"]
    assert items[0]["extension"][0]["valueCode"] == "asked-declined"
    assert "answer" not in items[0]


def test_groups_repeats_and_printed_numbers(tmp_path: Path) -> None:
    answers = """      day: "2026-01-01"
      g/b: [=words, =word]
      g/a: {$value: =q1, $number: printed}
      twice: "yes"
"""
    items = answered(tmp_path, answers, "other", q1=0, words=["one", "two"], word="")
    assert items[0]["item"][0]["answer"] == [
        {"valueCoding": {"system": "http://x.example", "code": "yes", "display": "Yes"}}
    ]
    assert items[0]["item"][1]["answer"] == [{"valueString": "one"}, {"valueString": "two"}]
    assert [one["linkId"] for one in items] == ["g", "twice", "day"]


REFUSED = {
    ("phq-9", "/44250-8: =q1"): "PM610",
    ("phq-9", "/44261-6: =q1"): "PM612",
    ("phq-9", "/44250-9: =flag"): "PM612",
    ("phq-9", "/44250-9: =closed"): "PM613",
    ("phq-9", "/44250-9: 7"): "PM613",
    ("phq-9", "/44250-9: LA0000-0"): "PM613",
    ("phq-9", "/44250-9: [=q1]"): "PM210",
    ("phq-9", "/44250-9: =words"): "PM211",
    ("phq-9", "/44250-9: {$value: =q1, $absent: no}"): "PM234",
    ("phq-9", "/44250-9: {$value: =q1, $number: raw}"): "PM007",
    ("phq-9", "/44250-9: {$number: scored}"): "PM007",
    ("phq-9", "/44250-9: {value: =q1}"): "PM002",
    ("phq-9", "/44250-9: =q10"): "PM111",
    ("other", "day: =q1"): "PM612",
    ("other", "day: yesterday"): "PM232",
    ("other", "note: =word"): "PM612",
    ("other", "g: =word"): "PM612",
    ("other", "twice: =q1"): "PM605",
    ("other", "g/a: =q1"): "PM615",
    ("other", "g/b: =word"): "PM611",
}


@pytest.mark.parametrize(("form", "line"), REFUSED)
def test_an_answer_that_does_not_fit_is_told_at_its_line(form: str, line: str, tmp_path: Path) -> None:
    text = (
        HEAD
        + f"bundle: none\nresources:\n  qr:\n    $questionnaire: {form}\n    $answers:\n      {line}\n    status: completed\n"
    )
    found = loaded(tmp_path, text)
    code = REFUSED[(form, line)]
    lines = [one.mark.line for one in found.problems if one.code == code]
    assert lines == [25], [str(one) for one in found.problems]


# code -> instrument and answers that look like its mistake and are none
NEAR_MISSES = {
    "PM605": ("other", 'twice: "yes"', "day: '2026-01-01'"),  # a code chooses where a number does not
    "PM610": ("phq-9", "/44250-9: =q1"),
    "PM611": ("other", "day: '2026-01-01'"),  # the only item that is required
    "PM612": ("other", "day: =dob"),
    "PM613": ("phq-9", "/44250-9: 3", "/44255-8: nearly every day"),
    "PM615": ("other", "g/a: {$value: =q1, $number: scored}", "day: '2026-01-01'"),
}


@pytest.mark.parametrize("code", NEAR_MISSES)
def test_an_answer_that_only_looks_wrong_fits(code: str, tmp_path: Path) -> None:
    form, *lines = NEAR_MISSES[code]
    answers = "".join(f"      {line}\n" for line in lines)
    head = HEAD.replace("    flag: boolean\n", "    flag: boolean\n    dob: date\n")
    text = f"{head}bundle: none\nresources:\n  qr:\n    $questionnaire: {form}\n    $answers:\n{answers}    status: completed\n"
    found = loaded(tmp_path, text)
    assert [str(one) for one in found.problems if one.code != "PM300"] == []


def test_every_check_of_answers_has_a_mistake_and_a_near_miss() -> None:
    wanted = {"PM605", "PM610", "PM611", "PM612", "PM613", "PM615"}
    assert {code for code in REFUSED.values() if code.startswith("PM6")} == set(NEAR_MISSES) == wanted


def test_closed_codes_that_are_options_fit_and_what_the_form_sets_is_not_set_twice(tmp_path: Path) -> None:
    text = (
        HEAD
        + "bundle: none\nresources:\n  qr:\n    $questionnaire: phq-9\n    $answers: {/44250-9: =coding}\n    status: completed\n"
    )
    assert [one.code for one in loaded(tmp_path, text).problems if one.severity == "error"] == []
    twice = loaded(tmp_path, text + "    questionnaire: http://x.example\n    item: {linkId: x}\n")
    assert [one.code for one in twice.problems if one.severity == "error"] == ["PM205", "PM205"]
    unknown = loaded(tmp_path, text.replace("$questionnaire: phq-9", "$questionnaire: gad-9"))
    assert [one.code for one in unknown.problems if one.severity == "error"] == ["PM130"]
    nothing = loaded(tmp_path, text.replace("    $answers: {/44250-9: =coding}\n", "    $extract: all\n"))
    assert [one.code for one in nothing.problems if one.severity == "error"] == ["PM007", "PM007"]


def test_the_instrument_is_part_of_the_content_hash_and_gives_its_bands(tmp_path: Path) -> None:
    files = loaded(tmp_path, MAPPING).loaded["phq-9"].files
    assert "config/instruments/phq-9/questionnaire.json" in files
    text = (
        HEAD
        + """bands: {severity: {instrument: phq-9, score: total}}
bundle: none
resources:
  basic: {resourceType: Basic, code: {text: "=q1.band('severity')"}}
"""
    )
    result = loaded(tmp_path, text).loaded["phq-9"].program.run(record(7))
    assert result.resources["basic"][0]["code"] == {"text": "Mild"}
