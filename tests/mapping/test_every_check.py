from __future__ import annotations

import re
from pathlib import Path

import pytest

from peerfhir.mapping.catalogue import Survey, survey
from peerfhir.mapping.problems import Problem
from tests.mapping.folders import put
from tests.mapping.test_profiles import OWN, own
from tests.mapping.test_questions import phq9
from tests.support.mapping_folder import CANONICAL

# A mapping without a problem. Each case changes one place of it; § stands where the message must point.
GOOD = """mapping: row
version: 1.0.0
status: active
fhirVersion: 4.0.1
source:
  format: json
  key: id
  fields:
    id: string!
    word: string
    code: {type: code, codes: [a, b]}
    words: [string]
    number: integer
    secret: {type: string, sensitive: SUD}
systems: {loinc: http://loinc.org, mrn: https://x.example/mrn, ucum: http://unitsofmeasure.org}
profiles: {own: PROFILE}
conceptMaps:
  ab: {a: draft, b: requested}
bands: {level: {0: low, 5: high}}
tables: {t: {columns: [n], rows: [[1], [2]]}}
vars: {named: =word}
fragments: {f: {type: Period, params: {at: dateTime}, body: {start: =%at}}}
bundle: transaction
resources:
  patient:
    resourceType: Patient
    $request: {ifNoneExist: "identifier={{%systems.mrn}}|{{id}}"}
    identifier: {system: $mrn, value: =id}
    name: {family: =%named, given: =words}
    multipleBirthInteger: =number
  task:
    resourceType: Task
    status: =code.translate('ab')
    intent: plan
    for: {$ref: patient}
    groupIdentifier: {value: =secret}
accept:
  - {code: PM221, at: task.status, because: a row without it must fail}
""".replace("PROFILE", OWN)
OVERLAY = """overlay: row.north
version: 1.0.0
extends: row@^1.0
applies-to: {endpoint: north}
rules:
  - {at: task.intent, set: order}
"""

# code -> severity, what is replaced, what by, and a part of the hint ("" where there is none to give)
CASES: dict[str, tuple[str, str, str, str]] = {
    "PM001": ("error", "status: active\n", "status: {end: §=coalesce(a, b)}\n", 'quote the expression: "=coalesce(a, b)"'),
    "PM002": ("error", "status: active\n", "§statsu: active\n", "did you mean 'status'"),
    "PM003": ("error", "status: active\n", "status: active\n§status: draft\n", ""),
    "PM004": ("error", "fhirVersion: 4.0.1\n", "§fhirVersion: 5.0.0\n", ""),
    "PM005": ("error", "status: active\n", "status: §&a active\n", ""),
    "PM006": ("error", "status: active\n", "imports: [§common@^1.0]\nstatus: active\n", ""),
    "PM007": ("error", "status: active\n", "status: §alive\n", "did you mean 'active'"),
    "PM008": ("error", "  ab: {a: draft, b: requested}", "  ab: §ab.csv", ""),
    "PM010": ("warning", "  - {code: PM221", "  - §{code: PM300, because: x}\n  - {code: PM221", ""),
    "PM100": ("error", "=number", "=number §+", ""),
    "PM101": ("error", "family: =%named", "family: 'x §{{word'", "two braces"),
    "PM110": ("error", "=%named", "=§%namd", "did you mean 'named'"),
    "PM111": ("error", "=number", "=§numbr", "did you mean 'number'"),
    "PM112": ("info", "    number: integer", "    minutes: integer", "backticks"),
    "PM113": ("warning", "{family: =%named, given: =words}", "{$let: {§named: =word}, family: =%named, given: =words}", ""),
    "PM114": ("error", "vars: {named: =word}", "vars: {§named: =%named}", ""),
    "PM120": ("error", "family: =%named", "family: =word §+ number", ""),
    "PM121": ("error", "family: =%named", "family: =words.§upper()", "first()"),
    "PM122": ("error", "family: =%named", "family: =word.§uppper()", "did you mean 'upper'"),
    "PM123": ("warning", "intent: plan", "intent: \"=iif(code §= 'c', 'plan', 'order')\"", ""),
    "PM124": ("error", "family: =%named", "family: \"=iif(word.matches(§'(a+)+'), word, word)\"", ""),
    "PM125": ("error", "intent: plan", "intent: \"=iif(§@2026-02-30 = today(), 'plan', 'order')\"", ""),
    "PM126": ("error", "{family: =%named", "{$if: §word, family: =%named", "word.exists()"),
    "PM127": ("error", "family: =%named", "family: =§" + "word & " * 700 + "word", ""),
    "PM130": ("error", "=code.translate('ab')", "=code.translate(§'abb')", "did you mean 'ab'"),
    "PM131": ("error", "  ab: {a: draft, b: requested}", "  ab: ab.csv", ""),
    "PM132": ("error", "{a: draft, b: requested}", "{a: draft}", "add them"),
    "PM133": ("warning", "=code.translate('ab')", "=word.§translate('ab')", "declare the field's codes"),
    "PM134": (
        "error", "{a: draft, b: requested}",
        "{map: {a: draft, §b: {code: wanted}}, system: http://hl7.org/fhir/task-status}", "",
    ),
    "PM136": ("error", "{a: draft, b: requested}", "{a: draft, b: §''}", "unmatched"),
    "PM137": ("warning", "{a: draft, b: requested}", "{a: draft, b: requested, c: draft}", ""),
    "PM138": ("error", "{0: low, 5: high}", "{5: high, §0: low}", "upwards"),
    "PM139": ("error", "system: $mrn", "system: §$mnr", "did you mean 'mrn'"),
    "PM200": ("error", "    resourceType: Task\n    status", "    §status", ""),
    "PM201": ("error", "resourceType: Task", "resourceType: §Tusk", "did you mean 'Task'"),
    "PM202": ("error", "    intent: plan", "    §intend: plan", "did you mean 'intent'"),
    "PM203": ("error", "multipleBirthInteger: ", "§multipleBirth: ", ""),
    "PM204": (
        "error", "    multipleBirthInteger: =number",
        "    multipleBirthInteger: =number\n    §multipleBirthBoolean: true", "$if",
    ),
    "PM205": ("error", "for: {$ref: patient}", "for: {$ref: patient, §reference: x}", ""),
    "PM210": ("error", "intent: plan", "intent: §[plan]", ""),
    "PM211": ("error", "family: =%named", "family: §=words", "first()"),
    "PM212": ("error", "  task:\n", ("  basic:\n    resourceType: Basic\n    profile: own\n    code: loinc#1-8\n    created: '2026-01-01'\n"
              "    §identifier[mrn]: [{value: a}, {value: b}]\n  task:\n"), ""),
    "PM220": ("error", "    resourceType: Task\n    status: =code.translate('ab')\n", "    §resourceType: Task\n", ""),
    "PM221": ("warning", "  - {code: PM221, at: task.status, because: a row without it must fail}", "  []", ""),
    "PM222": ("info", "  task:\n", ("  basic:\n    §resourceType: Basic\n    profile: own\n    code: loinc#1-8\n    created: '2026-01-01'\n"
              "    identifier[mrn]: {value: a}\n  task:\n"), ""),
    "PM223": ("error", "    identifier: {system: $mrn, value: =id}\n", "    identifier: {system: $mrn, value: =id}\n    telecom: §{use: home, value: =id}\n", ""),
    "PM224": ("error", "  task:\n", ("  basic:\n    resourceType: Basic\n    profile: own\n    code: §loinc#2-8\n    created: '2026-01-01'\n"
              "    identifier[mrn]: {value: a}\n  task:\n"), ""),
    "PM225": ("error", "    identifier: {system", "    §identifier[mrm]: {system", "profile"),
    "PM226": ("error", "  task:\n", ("  basic:\n    resourceType: Basic\n    profile: own\n    code: loinc#1-8\n    created: '2026-01-01'\n"
              "    identifier[mrn]: {value: a}\n    §author: {display: x}\n  task:\n"), ""),
    "PM230": ("error", "family: =%named", "family: §5", "quote it"),
    "PM231": ("error", "name: {family: =%named, given: =words}", "name: §=word", ""),
    "PM232": ("error", "    multipleBirthInteger", "    birthDate: §yesterday\n    multipleBirthInteger", ""),
    "PM233": ("error", "    multipleBirthInteger", "    text: {status: generated, div: §=word}\n    multipleBirthInteger", "<div"),
    "PM234": ("error", "family: =%named", "family: {$value: =%named, $absent: §nowhere}", ""),
    "PM240": ("error", "intent: plan", "intent: §plans", "did you mean 'plan'"),
    "PM241": ("warning", "intent: plan", "intent: §=id", "translate"),
    "PM242": ("info", "    identifier: {system: $mrn, value: =id}\n", "    identifier: {system: $mrn, value: =id, type: §loinc#1-8}\n", "fine"),
    "PM243": ("error", "  task:\n", ("  seen:\n    resourceType: Observation\n    status: final\n    code: {text: x}\n"
              "    valueQuantity: \"=number.toQuantity(§'mins')\"\n  task:\n"), ""),
    "PM244": (
        "info", "    intent: plan\n",
        "    intent: plan\n    performerType: {coding: {system: http://hl7.org/fhir/task-status, code: draft, display: §draught}}\n",
        "leave the display out",
    ),
    "PM250": ("warning", "given: =words", "given: {$each: §word as w, $value: =%w}", ""),
    "PM251": ("error", "{family: =%named", "{§$unless: word, family: =%named", ""),
    "PM252": ("error", "for: {$ref: patient}", "restriction: {period: {$use: §ff, with: {at: =id}}}", "did you mean"),
    "PM253": ("error", "for: {$ref: patient}", "for: {$ref: patient}\n    note: {$rows: t, text: §'<m>'}", ""),
    "PM260": ("error", "for: {$ref: patient}", "for: {$ref: patient}\n    owner: {$ref: §task}", ""),
    "PM261": ("error", "    resourceType: Patient\n", "    resourceType: Patient\n    $if: word.exists()\n", "$if"),
    "PM262": ("error", "for: {$ref: patient}", "for: {$ref: patient}\n    owner: {reference: §\"Encounter/1\"}", ""),
    "PM263": ("error", "loinc: http://loinc.org", "loinc: §loinc.org", ""),
    "PM264": ("error", "{$ref: patient}", "{$ref: §patent}", "did you mean 'patient'"),
    "PM265": ("error", "bundle: transaction", "bundle: none", ""),
    "PM266": ("error", "bundle: transaction", "bundle: batch", ""),
    "PM270": ("warning", "    resourceType: Task\n", "    §resourceType: Task\n    $each: words as w\n", "$identity"),
    "PM271": ("warning", '    $request: {ifNoneExist: "identifier={{%systems.mrn}}|{{id}}"}\n', "", ""),
    "PM272": ("error", '"identifier={{%systems', '§"identifer={{%systems', "did you mean 'identifier'"),
    "PM273": ("error", '"identifier={{%systems.mrn}}|{{id}}"', '"identifier={{§word}}"', "required"),
    "PM274": ("warning", '"identifier={{%systems.mrn}}', '§"identifier=http://y.example', ""),
    "PM275": ("error", "$request: {ifNone", "$request: §{method: PATCH, ifNone", ""),
    "PM300": ("warning", "    word: string\n", "    word: string\n    §more: string\n", "unused"),
    "PM301": ("error", "groupIdentifier: {value: =secret}", "description: §=secret", ""),
    "PM302": ("error", "key: id", "key: §word", ""),
    "PM303": ("warning", "source:\n  format: json\n  key: id\n", "source:\n  §format: json\n", ""),
    "PM304": (
        "error", "    intent: plan\n", "    intent: plan\n    meta: {security: §{system: http://x.example, code: R}}\n", "",
    ),
    "PM310": ("error", "    word: string\n", "    word: string\n    at: {type: dateTime, format: YYYY-MM-DD HH:mm}\n", "offset"),
    "PM312": ("error", "    number: integer", "    number: {type: integer, min: 5, max: 1}", ""),
    "PM313": (
        "warning", "  key: id\n  fields:\n    id: string!\n    word: string\n    code: {type: code, codes: [a, b]}\n",
        "  key: id\n  empty: [a]\n  fields:\n    id: string!\n    word: string\n    §code: {type: code, codes: ab}\n", "",
    ),
    "PM400": ("error", "task.intent", "§task.intnt", "did you mean 'task.intent'"),
    "PM401": ("error", "extends: row@^1.0", "§extends: row@^2.0", ""),
    "PM402": ("error", "{at: task.intent, set", "{at: §task.intent, add", "set:"),
    "PM403": ("warning", "task.intent, set: order", "§task.intent, set: plan", ""),
    "PM404": ("error", "applies-to", "§applies-to", ""),
    "PM605": ("error", "  task:\n", ("  qr:\n    $questionnaire: other\n    status: completed\n"
              "    $answers: {twice: §=number, day: '2026-01-01'}\n  task:\n"), "give a code"),
    "PM610": ("error", "  task:\n", ("  qr:\n    $questionnaire: phq-9\n    status: completed\n"
              "    $answers: {§/44250-8: =number}\n  task:\n"), "did you mean"),
    "PM611": ("warning", "  task:\n", ("  qr:\n    $questionnaire: other\n    status: completed\n"
              "    $answers: §{twice: no}\n  task:\n"), ""),
    "PM612": ("error", "  task:\n", ("  qr:\n    $questionnaire: other\n    status: completed\n"
              "    $answers: {day: §=number}\n  task:\n"), ""),
    "PM613": ("error", "  task:\n", ("  qr:\n    $questionnaire: phq-9\n    status: completed\n"
              "    $answers: {/44250-9: §LA0}\n  task:\n"), ""),
    "PM615": ("error", "  task:\n", ("  qr:\n    $questionnaire: other\n    status: completed\n"
              "    $answers: {g/a: §=number, day: '2026-01-01'}\n  task:\n"), "$number"),
}  # fmt: skip

ELSEWHERE = {
    "PM011": "said when a mapping becomes active in a database, not when it is read",
    "PM135": "reverse mapping is not part of this version",
    "PM500": "said by `peerfhir map check`, which knows the examples: test_trials and test_mapcommands",
    "PM501": "said by `peerfhir map test --coverage`",
    "PM502": "said by `peerfhir map test`",
    "PM503": "said by `peerfhir map test`",
    "PM504": "said by `peerfhir map check`, which knows the examples",
    "PM505": "said by `peerfhir map test`",
    **{
        f"PM{number}": "said of an instrument when it is read: tests/adapters/test_instrument_checks.py"
        for number in (600, 601, 602, 603, 604, 606, 607, 608, 609, 614, 616, 618, 619, 620, 622, 623)
    },
}
# Section 18 of the specification: every code that is decided before data flows
SECTION_18 = frozenset(
    f"PM{number:03}"
    for numbers in (
        range(1, 9), (10, 11), (100, 101), range(110, 115), range(120, 128), range(130, 140), range(200, 206),
        range(210, 213), range(220, 227), range(230, 235), range(240, 245), range(250, 254), range(260, 267),
        range(270, 276), range(300, 305), (310, 312, 313), range(400, 405), range(500, 506), range(600, 617),
        (618, 619, 620, 622, 623),
    )
    for number in numbers
)  # fmt: skip


def loaded(folder: Path, text: str, overlay: str, other: str = "") -> Survey:
    """The survey of the mapping, its overlay, and a second overlay where there is one."""
    files = {"row__row": text, "row__overlays__north": overlay}
    if other:
        files["row__overlays__south"] = other
    put(folder, row__ab_csv="source,code\na,draft\nb,requested\nb,draft\n", **files)
    found = survey(folder / "mappings", canonical=CANONICAL, instruments=phq9(), profiles={OWN: own()})
    (folder / "mappings/row/ab.csv").unlink()
    return found


def of(folder: Path, code: str) -> tuple[list[Problem], str]:
    """The problems of one case with its code, and the changed text with its sign."""
    _, old, new, _ = CASES[code]
    in_overlay = code.startswith("PM4")
    base = OVERLAY if in_overlay else GOOD
    assert base.count(old) >= 1, old
    changed = base.replace(old, new, 1)
    plain = changed.replace("§", "")
    if code == "PM112":
        plain = plain.replace("=number", "=minutes")
    if code == "PM404":
        found = loaded(folder, GOOD, OVERLAY, plain.replace("row.north", "row.south"))
    else:
        found = loaded(folder, GOOD if in_overlay else plain, plain if in_overlay else OVERLAY)
        if code == "PM008":
            (folder / "mappings/row/ab.csv").unlink(missing_ok=True)
            found = survey(folder / "mappings", canonical=CANONICAL, instruments=phq9())
    return [one for one in found.problems if one.code == code], changed


def test_the_good_document_has_no_problem(tmp_path: Path) -> None:
    assert [str(one) for one in loaded(tmp_path, GOOD, OVERLAY).problems] == []


def test_every_code_of_the_specification_has_a_document_or_a_reason() -> None:
    assert CASES.keys() | ELSEWHERE.keys() == SECTION_18
    assert CASES.keys().isdisjoint(ELSEWHERE)


@pytest.mark.parametrize("code", CASES)
def test_a_mistake_is_told_with_its_code_place_and_hint(code: str, tmp_path: Path) -> None:
    severity, _, _, hint = CASES[code]
    found, changed = of(tmp_path, code)
    assert found, code
    assert {one.severity for one in found} == {severity}
    assert hint in found[0].hint
    before = changed.partition("§")[0]
    if before != changed:
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        assert place in [(one.mark.line, one.mark.column) for one in found], [str(one) for one in found]
    assert all(re.match(r"mappings/row/\S+:[1-9]\d*:[1-9]\d*: \w+ PM\d{3}: \S", str(one)) for one in found)
