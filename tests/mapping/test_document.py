from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from peerfhir.errors import BadConfiguration, MappingFailed
from peerfhir.mapping.registry import Mappings
from tests.mapping import samples
from tests.mapping.marked import MESSAGE, places, told, wanted
from tests.support.mapping_folder import CANONICAL, write

SEED = 20261122

GOOD = """mapping: plain
version: 1.0.0
fhirVersion: 4.0.1
source: {format: json, key: id, fields: {id: string!}}
bundle: collection
resources:
  basic: {resourceType: Basic, code: {text: =id}}
"""


def test_a_good_document_has_nothing_to_say(tmp_path: Path) -> None:
    assert told(tmp_path, "plain", GOOD) == ([], [])


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("mapping: plain", "mapping: other #! PM004"),
        ("mapping: plain", "mapping: Plain #! PM004"),
        ("mapping: plain\nversion: 1.0.0", "version: 1.0.0 #! PM004\nmapping: plain"),
        ("version: 1.0.0", "version: 1.0 #! PM007 PM007"),
        ("version: 1.0.0", "version: 1.0.0-beta #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 5.0.0 #! PM004"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nlanguage: 2 #! PM004"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\ntitel: x #! PM002"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\ntitle: 2026 #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nstatus: actve #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nversion: 1.0.1 #! PM003"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\ntitle: !!str x #! PM005"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\ntitle: &x x #! PM005"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nimports: [common@^1.0] #! PM006"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nbands: [] #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\ntables: [] #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nvars: [] #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nfragments: [] #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nreverse: [] #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nrecord: {} #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nsystems: {mrn: mrn} #! PM263"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nsystems: {mrn: '${base}/x'} #! PM263"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nsystems: {Mrn: 'urn:x:y'} #! PM007"),
        ("fhirVersion: 4.0.1", "fhirVersion: 4.0.1\nsystems: x #! PM007"),
        ("bundle: collection", "bundle: message #! PM007"),
        ("code: {text: =id}}", "code: {text: =iif(id = 'a', id)}} #! PM001 PM001"),
        ("code: {text: =id}}", "code: {text: =id #! PM001"),
        ("bundle: collection", "\tbundle: collection #! PM001"),
        ("  basic: {resourceType: Basic, code: {text: =id}}", "  {} #! PM007"),
        ("source: {format: json, key: id, fields: {id: string!}}", "source: 5 #! PM007 PM007"),
    ],
)
def test_a_document_that_breaks_a_rule_is_refused_at_its_line(tmp_path: Path, change: str, to: str) -> None:
    text = GOOD.replace(change, to)
    errors, _ = told(tmp_path, "plain", text)
    found = places(errors)
    assert wanted(text)[0] in found or wanted(text)[0][1] in {code for _, code in found if code == "PM001"}, errors
    assert {code for _, code in found} <= {code for _, code in wanted(text)}, errors


def test_a_comma_that_cuts_an_expression_is_told_as_such(tmp_path: Path) -> None:
    text = GOOD.replace("code: {text: =id}}", "code: {text: =iif(id.exists(), id)}}")
    errors, _ = told(tmp_path, "plain", text)
    assert "PM001" in errors[0]
    assert "'id)' became a key of its own" in errors[0]
    assert "quote the expression" in errors[0]
    line = text.splitlines()[places(errors)[0][0] - 1]
    assert f":{line.index('=iif') + 1}: error" in errors[0]
    listed = GOOD.replace(
        "code: {text: =id}}", "code: {text: x}, identifier: [{value: x}], extension: [=iif(id, {}), =id]}"
    )
    assert "PM001" in told(tmp_path, "plain", listed)[0][0]


def test_a_value_that_yaml_cannot_begin_is_told_to_be_quoted(tmp_path: Path) -> None:
    errors, _ = told(tmp_path, "plain", GOOD.replace("code: {text: =id}}", "code: {text: %x}}"))
    assert "a plain value cannot begin with this character" in errors[0]
    assert "put quotes around the value" in errors[0]


@pytest.mark.parametrize(
    "text", ["", "[]", "5", "# nothing", "mapping: plain\n---\nmapping: plain\n", "\0", "mapping: plain", "a: [" * 100]
)
def test_what_is_no_document_is_one_message(tmp_path: Path, text: str) -> None:
    errors, _ = told(tmp_path, "plain", text)
    assert errors
    assert all(MESSAGE.match(error) for error in errors)


def test_canonical_is_put_into_systems_and_profiles_alone(tmp_path: Path) -> None:
    text = GOOD.replace("bundle: collection", "bundle: none\nsystems: {own: '${canonical}/x'}")
    text = text.replace("{text: =id}", "{coding: {system: $own, code: a}, text: '${canonical} {{%canonical}}'}")
    made = Mappings.load(write(tmp_path, "plain", text), canonical="http://c.example").run("plain", {"id": "1"}).only()
    assert made["code"] == {
        "coding": [{"system": "http://c.example/x", "code": "a"}],
        "text": "${canonical} http://c.example",
    }


SIGNS = ["{", "}", "[", "]", ":", "#", '"', "'", "=", "{{", "}}", "$", "%", "&", "\n", " ", "\t", "-", "!", "*", "|", ">", "~", "é", "\u2028", "0", "null", "true", "<<: x", "- "]  # fmt: skip


def spoiled(text: str, chance: random.Random) -> str:
    lines = text.splitlines()
    at = chance.randrange(len(lines))
    match chance.randrange(8):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, chance.choice(lines))
        case 2:
            lines[at] = " " * chance.randrange(9) + lines[at].strip()
        case 3:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 4:
            words = re.findall(r"[\w$%.'-]+", text)
            lines[at] = re.sub(
                r"[\w$%.'-]+", lambda match: chance.choice(words) if chance.random() < 0.3 else match.group(), lines[at]
            )
        case _:
            column = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:column] + chance.choice(SIGNS) + lines[at][column + chance.randrange(3) :]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("number", range(250))
def test_a_spoiled_document_is_refused_with_places_or_works_and_never_crashes(tmp_path: Path, number: int) -> None:
    chance = random.Random(f"{SEED}-{number}")
    name = chance.choice(["referral-csv", "group-session", "referral-from-ehr"])
    home = samples.DOCUMENTS / name
    text = (home / f"{name}.map.yaml").read_text(encoding="utf-8")
    for _ in range(chance.choice([1, 1, 2, 4])):
        text = spoiled(text, chance)
    beside = {"program_csv": (home / "program.csv").read_text()} if name == "referral-csv" else {}
    if "program_csv" in beside and chance.random() < 0.3:
        beside["program_csv"] = spoiled(beside["program_csv"], chance)
    folder = write(tmp_path, name, text, **beside)
    try:
        loaded = Mappings.load(folder, canonical=CANONICAL)
    except BadConfiguration as fault:
        assert fault.problems
        assert [problem for problem in fault.problems if not MESSAGE.match(problem)] == []
        return
    record = {"referral-csv": samples.referral, "group-session": samples.session, "referral-from-ehr": lambda: samples.resource("ServiceRequest-active")}[name]()  # fmt: skip
    try:
        loaded.run(name, record)
    except MappingFailed as failed:
        assert "PM790" not in str(failed)
