"""Instruments as they are loaded, checked, and shown by their own examples."""

from __future__ import annotations

import random
import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from peerfhir.adapters.instruments import load_instruments
from peerfhir.errors import BadConfiguration
from peerfhir.fhir.reader import read
from peerfhir.fhir.validate import validate
from peerfhir.pathway.outcome import Instrument, score
from peerfhir.pathway.refusals import BadAnswer

CONFIG = Path(__file__).parents[2] / "config" / "instruments"
EXAMPLES = sorted(CONFIG.glob("*/examples/*.json"))
SEED = 9
LA = ["LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9"]


@pytest.fixture(scope="module")
def phq9() -> Instrument:
    return load_instruments(CONFIG)["phq-9"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_scores_as_it_says(path):
    example = read(path.read_bytes())
    got = score(load_instruments(CONFIG)[path.parents[1].name], example["answers"])
    want = example["expected"]
    assert got.total == (None if want["total"] is None else Decimal(want["total"])), example["tells"]
    assert (got.band.code if got.band else None) == want.get("band")
    assert (got.sentinel, got.sentinel_level, got.missing) == (want["sentinel"], want["level"], want["missing"])
    assert got.reason == want.get("reason")


@pytest.mark.parametrize("name", sorted(load.name for load in CONFIG.iterdir()))
def test_an_instrument_has_an_example_of_every_edge(name):
    instrument = load_instruments(CONFIG)[name]
    scale = instrument.scale
    expected = [read(path.read_bytes())["expected"] for path in sorted((CONFIG / name / "examples").glob("*.json"))]
    totals = {one["total"] for one in expected if one["missing"] == 0}
    starts = {int(band.from_score) for band in scale.bands}
    assert {int(scale.low), int(scale.high)} | starts | {start - 1 for start in starts if start > scale.low} <= totals
    assert any(one["missing"] == scale.max_missing and one["total"] is not None for one in expected)
    assert any(one["missing"] == scale.max_missing + 1 and one["total"] is None for one in expected)
    watched = any(item.sentinel for item in instrument.items)
    assert {one["sentinel"] for one in expected} == ({"raised", "none", "unknown"} if watched else {"none"})


def test_phq9_has_its_codes_its_order_and_its_sentinel(phq9):
    assert (phq9.panel_code, phq9.total_code) == ("44249-1", "44261-6")
    codes = [item.code for item in phq9.items]
    assert codes == [
        "44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8", "69722-7",
    ]  # fmt: skip
    assert [item.link_id for item in phq9.items if item.sentinel] == ["/44260-8"]
    assert phq9.scale.items == tuple(f"/{code}" for code in codes[:9])
    assert len(phq9.notices) == 2
    assert "No permission required" in phq9.copyright


def test_gad7_has_its_codes_its_order_and_no_sentinel():
    gad7 = load_instruments(CONFIG)["gad-7"]
    codes = ["69725-0", "68509-9", "69733-4", "69734-2", "69735-9", "69689-8", "69736-7"]
    assert (gad7.panel_code, gad7.total_code) == ("69737-5", "70274-6")
    assert [item.code for item in gad7.items] == codes
    assert gad7.scale.items == tuple(f"/{code}" for code in codes)
    assert (gad7.scale.low, gad7.scale.high, gad7.scale.max_missing) == (0, 21, 0)
    assert not any(item.sentinel for item in gad7.items)
    assert "No permission required" in gad7.copyright


def test_gad7_counts_a_published_code_as_2_on_its_second_question_alone():
    gad7 = load_instruments(CONFIG)["gad-7"]
    zero = dict.fromkeys(gad7.scale.items, LA[0])
    assert score(gad7, zero | {"/68509-9": "LA18938-3"}).total == Decimal(2)
    for link in gad7.scale.items:
        if link != "/68509-9":
            with pytest.raises(BadAnswer):
                score(gad7, zero | {link: "LA18938-3"})


def test_gad7_gives_no_total_unless_all_seven_are_answered():
    gad7 = load_instruments(CONFIG)["gad-7"]
    for at in range(7):
        got = score(gad7, dict.fromkeys(gad7.scale.items[:at], LA[3]))
        assert (got.total, got.band, got.missing) == (None, None, 7 - at)


@pytest.mark.parametrize(
    ("total", "label"),
    [(0, "minimal"), (4, "minimal"), (5, "mild"), (9, "mild"), (10, "moderate"), (14, "moderate"), (15, "severe"), (21, "severe")],
)  # fmt: skip
def test_gad7_bands_begin_where_the_paper_says(total, label):
    gad7 = load_instruments(CONFIG)["gad-7"]
    values = ([3] * (total // 3) + ([total % 3] if total % 3 else []) + [0] * 7)[:7]
    got = score(gad7, {link: LA[v] for link, v in zip(gad7.scale.items, values, strict=True)})
    assert (got.total, got.band.code) == (Decimal(total), label)


def test_phq9_reaches_every_score_of_its_range_and_no_other(phq9):
    reached = set()
    rng = random.Random(SEED)
    print("seed", SEED)
    links = phq9.scale.items
    for total in range(28):
        left, answers = total, {}
        for link in rng.sample(links, len(links)):
            value = min(3, left)
            left -= value
            answers[link] = LA[value]
        reached.add(score(phq9, answers).total)
    assert reached == {Decimal(n) for n in range(28)}


@pytest.mark.parametrize(
    ("total", "label"),
    [(4, "minimal"), (5, "mild"), (9, "mild"), (10, "moderate"), (14, "moderate"), (15, "moderately-severe"),
     (19, "moderately-severe"), (20, "severe")],
)  # fmt: skip
def test_phq9_bands_begin_where_the_reference_says(phq9, total, label):
    values = [3] * (total // 3) + ([total % 3] if total % 3 else [])
    values += [0] * (9 - len(values))
    got = score(phq9, {link: LA[v] for link, v in zip(phq9.scale.items, values, strict=True)})
    assert (got.total, got.band.code) == (Decimal(total), label)


def test_yes_and_no_are_refused_on_the_first_item(phq9):
    for code in ("LA33-6", "LA32-8", "yes", "no"):
        with pytest.raises(BadAnswer):
            score(phq9, {"/44250-9": code})


def test_a_total_an_interpretation_and_items_of_another_questionnaire_are_no_items(phq9):
    for code in ("44261-6", "44262-4", "54635-8"):
        with pytest.raises(BadAnswer):
            score(phq9, {f"/{code}": "LA6568-5"})


def test_the_difficulty_answers_are_in_the_order_of_their_words_and_not_of_their_codes(phq9):
    difficulty = phq9.items[-1]
    assert {o.code: o.weight for o in difficulty.options} == {
        "LA6572-7": 0,
        "LA6573-5": 1,
        "LA6575-0": 2,
        "LA6574-3": 3,
    }
    nine = dict.fromkeys(phq9.scale.items, "LA6568-5")
    totals = {score(phq9, nine | {difficulty.link_id: o.code}).total for o in difficulty.options}
    assert totals == {Decimal(0)}


def test_answers_are_read_by_words_and_numbers_too(phq9):
    by_word = score(phq9, dict.fromkeys(phq9.scale.items, "More than half the days"))
    by_number = score(phq9, dict.fromkeys(phq9.scale.items, "2"))
    assert by_word == by_number == score(phq9, dict.fromkeys(phq9.scale.items, "LA6570-1"))


@pytest.mark.parametrize("name", sorted(load.name for load in CONFIG.iterdir()))
def test_the_questionnaire_itself_is_valid(name):
    findings = validate(read((CONFIG / name / "questionnaire.json").read_bytes()))
    assert [f for f in findings if f.severity == "error"] == []


# -- what is refused, and where


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(CONFIG / "phq-9", tmp_path / "phq-9")
    return tmp_path


def spoil(folder: Path, name: str, old: str, new: str, *, count: int = -1) -> None:
    path = folder / "phq-9" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), "utf-8")


def problems(folder: Path) -> list[str]:
    with pytest.raises(BadConfiguration) as caught:
        load_instruments(folder)
    for problem in caught.value.problems:
        place = problem.split(": ")[0]
        path, line, column = place.rsplit(":", 2)
        assert path.endswith((".yaml", ".json")), problem
        assert int(line) >= 1, problem
        assert int(column) >= 1, problem
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("instrument.yaml", "id: phq-9", "id: phq-8", "differs"),
        ("instrument.yaml", 'version: "2.78"', 'version: "9"', "differs"),
        ("instrument.yaml", "title: PHQ-9", "title: PHQ-8", "differs"),
        ("instrument.yaml", "range: [0, 27]", "range: [0, 26]", "reach from 0 to 27"),
        ("instrument.yaml", "range: [0, 27]", "range: [0]", "range"),
        ("instrument.yaml", "{from: 5,", "{from: 0,", "bands"),
        ("instrument.yaml", "{from: 0,", "{from: 1,", "bands"),
        ("instrument.yaml", "{from: 20,", "{from: 28,", "bands"),
        ("instrument.yaml", "{max: 2,", "{max: 9,", "at least one answer"),
        ("instrument.yaml", "{max: 2,", "{max: -1,", "max"),
        ("instrument.yaml", "prorate-half-up}", "guess}", "method"),
        ("instrument.yaml", "method: sum", "method: mean", "method"),
        ("instrument.yaml", "[/44250-9, ", "[/44250-9, /44250-9, ", "twice"),
        ("instrument.yaml", "[/44250-9, ", "[/nothing, ", "an item with a weight"),
        ("instrument.yaml", "  /44260-8:\n", "  /99999-9:\n", "no such item"),
        ("instrument.yaml", "LA6575-0: 2", "LA9999-9: 2", "names an answer"),
        ("instrument.yaml", "op: ge", "op: le", "op"),
        ("instrument.yaml", "level: urgent", "level: loud", "level"),
        ("instrument.yaml", "class: permission", "class: restricted", "ack_by"),
        ("instrument.yaml", "ack_required: false", "ack_required: true", "ack_by"),
        ("instrument.yaml", "notes:", "note:", "note"),
        ("instrument.yaml", "scoring:\n", "scoring: &x\n", "anchors"),
        ("questionnaire.json", '"resourceType": "Questionnaire"', '"resourceType": "Patient"', "Questionnaire"),
        ("questionnaire.json", '"copyright"', '"copywrong"', "'copyright' is required"),
        ("questionnaire.json", '"linkId": "/44255-8"', '"linkId": "/44250-9"', "each item needs its own"),
        ("questionnaire.json", '"code": "44255-8"', '"code": "44262-4"', "another questionnaire's item"),
        ("questionnaire.json", '"readOnly": true', '"readOnly": false', "total"),
        ("questionnaire.json", '"LA6569-3"', '"LA6568-5"', "its own code"),
        ("questionnaire.json", '"valueDecimal": 3', '"valueDecimal": 4', "reach from 0 to 36"),
        ("questionnaire.json", '"id": "phq-9",', '"id": "phq-9"', ""),
    ],
)
def test_a_mistake_in_the_files_is_named_with_its_place(folder, name, old, new, words):
    spoil(folder, name, old, new)
    found = problems(folder)
    assert any(words in problem for problem in found), found


def test_a_missing_file_is_named(folder):
    (folder / "phq-9" / "questionnaire.json").unlink()
    assert any("cannot be read" in problem for problem in problems(folder))
    (folder / "phq-9" / "instrument.yaml").unlink()
    assert len(problems(folder)) == 2


def test_a_list_where_keys_are_expected_is_refused(folder):
    (folder / "phq-9" / "instrument.yaml").write_text("- a\n", "utf-8")
    assert any("keys and values" in problem for problem in problems(folder))


def test_an_answer_without_a_weight_cannot_be_scored(folder):
    spoil(folder, "questionnaire.json", '"valueDecimal": 1', '"valueString": "1"', count=1)
    assert any("an item with a weight" in problem for problem in problems(folder))


def test_other_codes_for_the_same_answer_are_read(folder):
    extra = "  /44250-9:\n    alt_codes: {LA6570-1: [LA18938-3]}\n  /44260-8:\n"
    spoil(folder, "instrument.yaml", "  /44260-8:\n", extra)
    loaded = load_instruments(folder)["phq-9"]
    zero = dict.fromkeys(loaded.scale.items, "LA6568-5")
    assert score(loaded, zero | {"/44250-9": "LA18938-3"}).total == Decimal(2)
    with pytest.raises(BadAnswer):  # on this item only
        score(loaded, zero | {"/44255-8": "LA18938-3"})


def test_where_there_is_no_folder_there_are_no_instruments(tmp_path):
    assert load_instruments(tmp_path / "nothing") == {}


def test_no_changed_weight_goes_unnoticed(folder):
    rng = random.Random(SEED)
    print("seed", SEED)
    path = folder / "phq-9" / "questionnaire.json"
    text = path.read_text("utf-8")
    weights = [found.start(1) for found in re.finditer(r'"valueDecimal": ([0-9])', text)]
    assert len(weights) == 36
    for at in rng.sample(weights, 12):
        path.write_text(text[:at] + str((int(text[at]) + rng.randint(1, 9)) % 10) + text[at + 1 :], "utf-8")
        problems(folder)


def test_a_reversed_item_says_so(folder):
    path = folder / "phq-9" / "questionnaire.json"
    text = path.read_text("utf-8")
    first = text.index('"valueDecimal"')
    turned = iter("3210")
    ahead = re.sub(r'"valueDecimal": [0-3]', lambda _: f'"valueDecimal": {next(turned)}', text[first:], count=4)
    path.write_text(text[:first] + ahead, "utf-8")
    assert any("do not rise" in problem for problem in problems(folder))
    spoil(folder, "instrument.yaml", "  /44260-8:\n", "  /44250-9: {reverse: true}\n  /44260-8:\n")
    shutil.rmtree(folder / "phq-9" / "examples")  # they count the first question as it was
    loaded = load_instruments(folder)["phq-9"]
    assert score(loaded, dict.fromkeys(loaded.scale.items, "LA6568-5")).total == Decimal(3)
