"""`peerfhir instruments`: what is printed, exit codes, places, and a questionnaire's way to an instrument."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from peerfhir.adapters.instrument_start import start
from peerfhir.adapters.instruments import load_instruments
from peerfhir.cli import app
from tests.mapping.test_guide import blocks

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
SHIPPED = ROOT / "config" / "instruments"
PHQ9 = SHIPPED / "phq-9" / "questionnaire.json"
# What `check` refuses of a new instrument until a person has decided it, and a decision that is possible.
DECIDED = {
    "spdx_or_text": '"No permission required."',
    "class": "permission",
    "items": "{/44260-8: {sentinel: {op: ge, value: 1, level: urgent}}}",
    "direction": "lower-is-better",
    "missing": "{max: 2, method: prorate-half-up}",
    "bands": "[{from: 0, code: low, label: Low}, {from: 10, code: high, label: High}]",
}


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["instruments", *(str(word) for word in words)])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED, tmp_path / "config" / "instruments")
    return tmp_path / "config"


def spoil(config: Path, name: str, old: str, new: str) -> None:
    path = config / "instruments" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


# -- list


def test_the_list_says_what_each_asks_how_it_is_scored_and_its_licence() -> None:
    done = run("list", "--config", ROOT / "config")
    assert done.exit_code == 0
    head, *lines = [re.split(r" {2,}", line) for line in done.stdout.splitlines()]
    assert head == ["id", "version", "title", "items", "range", "missing", "licence", "change", "asked"]
    assert [line[0] for line in lines] == ["gad-7", "phq-9"]
    assert lines[0][3:] == ["7 of 7", "0-21", "none", "permission", "-", "-"]
    assert lines[1][3:] == ["9 of 10", "0-27", "up to 2", "permission", "-", "-"]


def test_the_list_is_json_for_a_program(config: Path) -> None:
    added = (
        "change: {mcid: 5, reliable: 6.5, source: a paper}\n"
        "schedule: {baseline_days: 14, every_days: 90, window_days: 10}\n"
    )
    spoil(config, "phq-9/instrument.yaml", "source_urls:", f"{added}source_urls:")
    done = run("list", "--format", "json", "--config", config)
    gad, phq = json.loads(done.stdout)
    assert (gad["id"], gad["range"], gad["change"], gad["schedule"]) == ("gad-7", [0, 21], None, None)
    assert phq["change"] == {"mcid": 5, "reliable": 6.5, "source": "a paper"}
    assert phq["schedule"] == {"baseline_days": 14, "every_days": 90, "window_days": 10}
    told = run("list", "--config", config).stdout.splitlines()[-1]
    assert told.endswith("mcid 5, reliable 6.5  day 14, then every 90 (+/-10)")


def test_a_broken_one_is_told_and_the_others_are_listed(config: Path) -> None:
    spoil(config, "phq-9/instrument.yaml", "range: [0, 27]", "range: [0, 26]")
    done = run("list", "--config", config)
    assert done.exit_code == 1
    assert "gad-7" in done.stdout
    assert "phq-9" not in done.stdout
    assert re.search(r"phq-9/instrument\.yaml:\d+:7: error PM608", done.stderr)


def test_where_there_is_none_the_list_says_so(tmp_path: Path) -> None:
    (tmp_path / "instruments").mkdir()
    assert run("list", "--config", tmp_path).stdout == "none\n"


# -- check


def test_what_is_shipped_has_no_problem() -> None:
    done = run("check", "--strict", "--config", ROOT / "config")
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["ok", "ok"]


def test_a_mistake_is_told_in_each_form_and_ends_with_1(config: Path) -> None:
    spoil(config, "gad-7/questionnaire.json", '"linkId": "/69734-2"', '"linkId": "/69733-4"')
    text = run("check", "--config", config)
    assert text.exit_code == 1
    place = re.search(r"gad-7/questionnaire\.json:(\d+):(\d+): error PM601", text.stderr)
    assert place is not None
    assert "1 error" in text.stdout
    (told,) = json.loads(run("check", "--format", "json", "--config", config).stdout)
    assert (told["code"], told["line"], told["column"]) == ("PM601", int(place[1]), int(place[2]))
    assert "title=PM601" in run("check", "--format", "github", "--config", config).stdout
    outcome = json.loads(run("check", "--format", "operationoutcome", "--config", config).stdout)
    assert outcome["issue"][0]["severity"] == "error"


def test_only_those_that_are_asked_for_are_checked(config: Path) -> None:
    spoil(config, "gad-7/questionnaire.json", '"linkId": "/69734-2"', '"linkId": "/69733-4"')
    assert run("check", "phq-9", "--config", config).exit_code == 0
    assert run("check", "phq-9", "gad-7", "--config", config).exit_code == 1


def test_a_warning_ends_with_1_only_where_it_is_asked_for(config: Path) -> None:
    spoil(config, "phq-9/instrument.yaml", "LA6573-5: 1", "LA6573-5: 0")
    done = run("check", "--config", config)
    assert done.exit_code == 0
    assert "warning PM605" in done.stderr
    assert "ok, 1 warning" in done.stdout
    assert run("check", "--strict", "--config", config).exit_code == 1


def test_usage_and_what_is_not_there_end_with_2(config: Path, tmp_path: Path) -> None:
    for words in (
        ("check", "phq-8"), ("check", "--format", "xml"), ("list", "--format", "yaml"), ("test", "--format", "github"),
        ("add", "new", "--from", tmp_path / "nothing.json"), ("add", "Bad Id", "--from", PHQ9),
        ("add", "phq-9", "--from", PHQ9), ("check", "--nonsense"),
    ):  # fmt: skip
        done = run(*words, "--config", config)
        assert done.exit_code == 2, (words, done.output)
        assert done.stderr, words
    assert run("check", "--config", tmp_path).exit_code == 2


# -- test


def test_the_examples_that_are_shipped_pass_and_none_is_lacking() -> None:
    done = run("test", "--config", ROOT / "config")
    assert done.exit_code == 0
    assert "FAIL" not in done.stdout
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == ["gad-7", "phq-9"]
    few = run("test", "gad-7", "-k", "all_", "--format", "json", "--config", ROOT / "config")
    (told,) = json.loads(few.stdout)
    assert [one["name"] for one in told["examples"]] == ["all_blank", "all_nearly_every_day", "all_not_at_all"]
    assert {one["passed"] for one in told["examples"]} == {True}


def test_an_example_that_differs_fails_with_its_place(config: Path) -> None:
    spoil(config, "gad-7/examples/all_nearly_every_day.json", '"total": 21', '"total": 20')
    done = run("test", "gad-7", "--config", config)
    assert done.exit_code == 1
    assert "all_nearly_every_day      FAIL" in done.stdout
    assert re.search(r"all_nearly_every_day\.json:\d+:5: error PM618: total: the answers give 21", done.stdout)
    assert "11 examples, 1 failed" in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gad-7/examples/all_not_at_all.json", "the total 0"),
        ("gad-7/examples/15_is_the_first_severe.json", "the total 15"),
        ("gad-7/examples/one_blank_gives_no_total.json", "1 missing answers, which is one too many"),
        ("phq-9/examples/item_9_left_blank.json", "2 missing answers, which a total allows"),
    ],
)
def test_an_example_that_every_instrument_needs_is_missed(config: Path, name: str, said: str) -> None:
    (config / "instruments" / name).unlink()
    done = run("test", "--config", config)
    assert done.exit_code == 1
    assert f"PM618: no example shows {said}" in done.stdout


def test_an_instrument_with_errors_is_not_tried(config: Path) -> None:
    spoil(config, "gad-7/instrument.yaml", "range: [0, 21]", "range: [0, 20]")
    done = run("test", "--config", config)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "PM608" in done.stderr


# -- add


def decide(home: Path) -> None:
    path = home / "instrument.yaml"
    text = path.read_text("utf-8")
    for name, value in DECIDED.items():
        text, times = re.subn(rf"(?m)^( *){name}: TODO.*$", rf"\g<1>{name}: {value}", text)
        assert times == 1, name
    path.write_text(text, "utf-8")


def example(home: Path, name: str, answers: dict[str, str], **expected: Any) -> None:
    told = {"tells": name, "answers": answers, "expected": {"missing": 0, **expected}}
    (home / "examples" / f"{name}.json").write_text(json.dumps(told, indent=2), "utf-8")


def test_a_questionnaire_becomes_an_instrument_once_a_person_has_decided(tmp_path: Path) -> None:
    done = run("add", "mood-9", "--from", PHQ9, "--config", tmp_path)
    assert done.exit_code == 0
    assert "scored: 9 of 10 questions" in done.stdout
    home = tmp_path / "instruments" / "mood-9"
    assert json.loads((home / "questionnaire.json").read_text("utf-8")) == {
        **json.loads(PHQ9.read_text("utf-8")), "id": "mood-9",
    }  # fmt: skip

    refused = run("check", "--config", tmp_path)
    assert refused.exit_code == 1
    lines = (home / "instrument.yaml").read_text("utf-8").splitlines()
    found = re.findall(r"instrument\.yaml:(\d+):(\d+): error (PM\d+): (\S+): nobody has said", refused.stderr)
    assert [path.rpartition(".")[2] for *_, path in found] == list(DECIDED)
    assert {code for _, _, code, path in found if path.startswith("licence")} == {"PM616"}
    for line, column, _, _ in found:
        assert lines[int(line) - 1][int(column) - 1 :].startswith("TODO")

    decide(home)
    done = run("check", "--config", tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")

    lacking = run("test", "--config", tmp_path)
    assert lacking.exit_code == 1
    assert lacking.stdout.count("no example shows") == 6  # three totals, two counts of gaps, the answer of item 9
    links = load_instruments(tmp_path / "instruments")["mood-9"].scale.items
    lowest, highest = dict.fromkeys(links, "LA6568-5"), dict.fromkeys(links, "LA6571-9")
    none, raised = {"sentinel": "none", "level": None}, {"sentinel": "raised", "level": "stat"}
    ten = {**lowest, **dict.fromkeys(links[:3], "LA6571-9"), links[3]: "LA6569-3"}
    example(home, "lowest", lowest, total=0, band="low", **none)
    example(home, "highest", highest, total=27, band="high", **raised)
    example(home, "ten", ten, total=10, band="high", **none)
    few = dict.fromkeys(links[2:], "LA6568-5")
    example(home, "gaps", few, total=0, band="low", **none | {"missing": 2})
    del few[links[2]]
    example(home, "too-many", few, total=None, band=None, **none | {"missing": 3, "reason": "too-many-missing"})
    done = run("test", "--config", tmp_path)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "  5 examples, none failed")
    assert "mood-9" in run("list", "--config", tmp_path).stdout


def test_reversed_weights_are_told_and_have_to_be_meant(tmp_path: Path) -> None:
    form = json.loads(PHQ9.read_text("utf-8"))
    del form["item"][-1]["extension"][-1]
    for at, option in enumerate(form["item"][3]["answerOption"]):
        option["extension"][0]["valueDecimal"] = 3 - at
    (tmp_path / "form.json").write_text(json.dumps(form), "utf-8")
    done = run("add", "turned", "--from", tmp_path / "form.json", "-o", tmp_path / "instruments")
    assert done.exit_code == 0
    assert "the weights of /44255-8 fall" in done.stdout
    home = tmp_path / "instruments" / "turned"
    decide(home)
    assert "PM619" in run("check", "--config", tmp_path).stderr
    text = (
        (home / "instrument.yaml")
        .read_text("utf-8")
        .replace("items: {/44260", "items: {/44255-8: {reverse: true}, /44260")
    )
    (home / "instrument.yaml").write_text(text, "utf-8")
    assert run("check", "--config", tmp_path).exit_code == 0


def test_what_a_questionnaire_does_not_say_is_asked_for_where_it_belongs(tmp_path: Path) -> None:
    form = json.loads(PHQ9.read_text("utf-8"))
    for name in ("title", "version", "copyright", "url"):
        del form[name]
    (tmp_path / "form.json").write_text(json.dumps(form), "utf-8")
    assert run("add", "bare", "--from", tmp_path / "form.json", "--config", tmp_path).exit_code == 0
    told = run("check", "--config", tmp_path).stderr
    for name in ("title", "version", "url"):
        assert re.search(rf"questionnaire\.json:\d+:\d+: error PM600: '{name}' is required", told)
    assert re.search(r"questionnaire\.json:\d+:\d+: error PM616: 'copyright' is required", told)
    assert "instrument.yaml:4:8: error PM007: title: this is not decided" in told


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"resourceType": "Patient"}', '{"resourceType": "Questionnaire", "item": 3}']
)
def test_what_is_no_questionnaire_ends_with_1_and_leaves_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "form.json").write_text(text, "utf-8")
    done = run("add", "new", "--from", tmp_path / "form.json", "--config", tmp_path)
    assert done.exit_code == 1
    assert re.search(r"form\.json:1:\d+: error PM600", done.stderr)
    assert not (tmp_path / "instruments").exists()


def test_every_questionnaire_of_other_houses_is_taken_or_refused_in_words(tmp_path: Path) -> None:
    paths = sorted([*SHARED.glob("data/lforms/*.json"), *SHARED.glob("fhir-packages/sdc/Questionnaire-*.json")])
    if not paths:
        pytest.skip("the fixtures of Structured Data Capture are not beside the repository")
    taken = 0
    for at, path in enumerate(paths):
        made = start(f"q-{at}", path, tmp_path / "instruments")
        taken += bool(made.paths)
        assert made.paths or made.problems, path
        assert all(one.mark.line >= 1 and one.mark.column >= 1 for one in made.problems), path
        if "template" in path.name:
            told = [one.what for one in made.problems if one.code == "PM623"]
            assert "only extraction by observation is supported" in told, path
    done = run("check", "--config", tmp_path)
    assert done.exit_code == 1
    assert taken > len(paths) // 2


# -- the page


def test_the_page_leads_from_a_questionnaire_to_a_green_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told, steps = "", 0
    for kind, name, text in blocks((ROOT / "docs" / "instruments.md").read_text("utf-8")):
        if name:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        elif kind == "sh":
            told = "".join(_ran(line) for line in text.splitlines())
        else:
            for line in text.splitlines():
                assert line in told, f"the page says: {line}\nit was: {told}"
            steps += 1
    assert steps == 4


def _ran(command: str) -> str:
    """One line of the page; `|| true` lets it fail."""
    line, _, forgiven = command.partition("||")
    words = line.split()
    assert words[:2] == ["peerfhir", "instruments"]
    done = run(*words[2:])
    assert done.exit_code == (1 if forgiven else 0), done.output
    return done.stdout + done.stderr
