"""Each check from the command line, on a document of visits: what raises it, where, with which hint, and what almost does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from peerfhir.fhir import reader
from tests.mapping.maps import call

# A mapping of visits without a problem. In each case § stands where the message must point.
VISIT = """mapping: visit
version: 2.1.0
status: draft
fhirVersion: 4.0.1
imports: [shared@^1.0]
source:
  format: csv
  key: visit
  fields:
    visit: string!
    patient: string!
    kind: {type: code!, codes: kinds}
    began: {type: dateTime!, format: YYYY-MM-DD HH:mm, offset: "+01:00"}
    ended: {type: dateTime, format: YYYY-MM-DD HH:mm, offset: "+01:00"}
    length: {type: integer, min: 1, max: 600}
    topics: {type: string, split: ";"}
    remark: {type: string, sensitive: PSY}
    mood: {type: code, codes: [low, fair, good]}
systems: {mrn: "urn:oid:1.2.3", act: http://terminology.hl7.org/CodeSystem/v3-ActCode, mood: https://clinic.example/mood, ucum: http://unitsofmeasure.org}
conceptMaps:
  kinds: {home: HH, clinic: AMB}
  levels: kinds.csv
bands: {span: {0: short, 30: usual, 90: long}}
tables:
  facets: {columns: [name, code], rows: [[joy, m-1], [sleep, m-2]]}
vars:
  who: =patient.trim()
fragments:
  stay: {type: Period, params: {from: dateTime, to: dateTime}, body: {start: =%from, end: =%to}}
bundle: transaction
resources:
  person:
    resourceType: Patient
    $request: {ifNoneExist: "identifier={{%systems.mrn}}|{{patient}}"}
    identifier: {system: $mrn, value: =patient}
  visit:
    resourceType: Encounter
    $request: {ifNoneExist: "identifier=https://clinic.example/visit|{{visit}}"}
    identifier: {system: https://clinic.example/visit, value: =visit}
    status: finished
    class: {system: $act, code: =kind.translate('kinds')}
    subject: {$ref: person}
    period: {$use: stay, with: {from: =began, to: =ended}}
    length: =length.toQuantity('min')
    reasonCode: {$each: topics as topic, text: =%topic}
    meta: {tag: {system: https://clinic.example/tag, code: =length.band('span')}}
  mood:
    resourceType: Observation
    $if: mood.exists()
    status: final
    code: {text: Mood}
    note: {text: "Mood of {{%who}}"}
    subject: {$ref: person}
    valueCodeableConcept: {coding: {system: $mood, code: =mood}}
    interpretation: {coding: {system: $mood, code: =remark}}
    component: {$rows: facets, code: {text: <name>}, valueString: "{{mood}} <code>"}
"""
SHARED = """library: shared
version: 1.2.0
systems: {tag: https://clinic.example/tags}
"""
OVERLAY = """overlay: visit.east
version: 1.0.0
extends: visit@^2.0
applies-to: {endpoint: east}
systems: {mrn: "urn:oid:9.9.9"}
rules:
  - {at: visit.status, set: planned, because: plans come in here}
"""
KINDS = "source,code\nhome,HH\nclinic,AMB\n"


@dataclass(frozen=True)
class Case:
    """What is replaced in the mapping (or in the overlay: `over`), by what; a part of the hint; and a near miss."""

    code: str
    severity: str
    old: str
    new: str
    hint: str
    near: str
    over: bool = False


def c(code: str, old: str, new: str, near: str, hint: str = "", severity: str = "error", *, over: bool = False) -> Case:
    """A case."""
    return Case(code, severity, old, new, hint, near, over)


W, INFO = "warning", "info"
TWO = "    length: {type: integer, min: 1, max: 600}\n"
CLASS = "    class: {system: $act, code: =kind.translate('kinds')}\n"
STATUS = "    status: finished\n"
REASON = "    reasonCode: {$each: topics as topic, text: =%topic}\n"
CASES = (
    # --- documents ---
    c("PM001", REASON, "    reasonCode: {text: §=iif(visit = 'a', visit, patient)}\n", '    reasonCode: {text: "=iif(visit = \'a\', visit, patient)"}\n', "quote the expression"),
    c("PM001", STATUS, "§\tstatus: finished\n", "    status:\tfinished\n"),
    c("PM002", "status: draft\n", "§titel: Visits\nstatus: draft\n", "title: Visits\nstatus: draft\n", "did you mean 'title'"),
    c("PM003", STATUS, STATUS + "    §status: planned\n", STATUS + "    language: en\n"),
    c("PM004", "mapping: visit\n", "§mapping: visits\n", "mapping: visit # the same\n"),
    c("PM004", "fhirVersion: 4.0.1", "§fhirVersion: 4.0.0", 'fhirVersion: "4.0.1"'),
    c("PM005", STATUS, "    status: §!!str finished\n", '    status: "finished"\n'),
    c("PM005", STATUS, "    status: finished\n    language: §&l en\n", "    status: finished\n    language: en\n"),
    c("PM006", "shared@^1.0", "§shared@^2.0", "shared@^1.2"),
    c("PM007", "bundle: transaction", "bundle: §[transaction]", "bundle: transaction"),
    c("PM008", "levels: kinds.csv", "levels: §kinds2.csv", "levels: ./kinds.csv"),
    c("PM008", "levels: kinds.csv", "levels: §../../kinds.csv", "levels: ../visit/kinds.csv"),
    c("PM010", "bundle: transaction\n", "accept: [§{code: PM300, because: none}]\nbundle: transaction\n", "accept: [{code: PM500, because: soon}]\nbundle: transaction\n", "", W),
    # --- expressions ---
    c("PM100", "=patient.trim()", "=patient§.", "=patient .trim()", ""),
    c("PM101", '"Mood of {{%who}}"', '"Mood of §{{%who}"', '"Mood of {%who}"', "two braces"),
    c("PM110", "{{%who}}", "{{§%whom}}", "{{ %who }}", "did you mean 'who'"),
    c("PM111", "value: =patient}", "value: =§pateint}", "value: =`patient`}", "did you mean 'patient'"),
    c("PM113", "topics as topic, text: =%topic", "topics as topic, $let: {§topic: =visit}, text: =%topic", "topics as topic, $let: {one: =%topic}, text: =%one", "", W),
    c("PM113", "topics as topic, text: =%topic", "topics as topic, $let: {§context: =visit}, text: =%topic", "topics as topic, $let: {contexts: =visit}, text: =%topic"),
    c("PM114", "  who: =patient.trim()", "  §who: =%other\n  other: =%who", "  who: =%other\n  other: =patient"),
    c("PM120", "value: =patient}", "value: =patient §* 2}", "value: =patient & 'x'}"),
    c("PM121", "value: =patient}", "value: =topics.§trim()}", "value: =topics.first()}", "first()"),
    c("PM122", "=patient.trim()", "=patient.§trimm()", "=patient.trim()", "did you mean 'trim'"),
    c("PM122", "=patient.trim()", "=patient.§substring()", "=patient.substring(1)"),
    c("PM123", "$if: mood.exists()", "$if: \"mood §= 'bad'\"", "$if: \"mood = 'good'\"", "", W),
    c("PM124", "$if: mood.exists()", "$if: visit.matches(§'(x+x+)+y')", "$if: visit.matches('(x+)y')"),
    c("PM124", "$if: mood.exists()", "$if: visit.matches(§'[a')", "$if: visit.matches('[a]')"),
    c("PM125", "$if: mood.exists()", '$if: "began > §@2026-02-30T10:00Z"', '$if: "began > @2026-02-28T10:00Z"'),
    c("PM126", "$if: mood.exists()", "$if: §length", "$if: length > 5", "length.exists()"),
    c("PM127", "=patient.trim()", "=§" + "patient & " * 500 + "patient", "=" + "patient & " * 50 + "patient"),
    # --- code maps and bands ---
    c("PM130", "translate('kinds')", "translate(§'kind')", "translate('kinds')", "did you mean 'kinds'"),
    c("PM130", "band('span')", "band(§'spans')", "band('span')", "did you mean 'span'"),
    c("PM132", "{type: code!, codes: kinds}", "{type: code!, codes: [home, clinic, van, car, bus, tram, rail, ship, sea, air]}", "{type: code!, codes: [home, clinic]}", '"*"'),
    c("PM133", "=kind.translate('kinds')", "=visit.§translate('kinds')", "=kind.translate('kinds')", "declare", W),
    c("PM134", "kinds: {home: HH, clinic: AMB}", "kinds: {map: {home: HH, §clinic: AMBB}, system: act}", "kinds: {map: {home: HH, clinic: AMB}, system: act}"),
    c("PM136", "kinds: {home: HH, clinic: AMB}", "kinds: {home: HH, clinic: §{display: x}}", "kinds: {home: HH, clinic: {code: AMB}}"),
    c("PM136", "kinds: {home: HH, clinic: AMB}", "kinds: {home: HH, clinic: {code: AMB, equivalence: §same}}", "kinds: {home: HH, clinic: {code: AMB, equivalence: equal}}"),
    c("PM137", "{type: code!, codes: kinds}", "{type: code!, codes: [home]}", "{type: code!, codes: [home, clinic]}", "", W),
    c("PM138", "{0: short, 30: usual, 90: long}", "{0: short, 90: usual, §30: long}", "{0: short, 30.5: usual, 90: long}"),
    c("PM138", "{0: short, 30: usual, 90: long}", "{0: short, §a: usual}", "{-5: short, 0: usual}"),
    c("PM139", "system: $mrn", "system: §$mnr", "system: {$literal: urn:x}", "did you mean 'mrn'"),
    # --- target ---
    c("PM200", "    resourceType: Encounter\n", "", "    resourceType: Encounter\n"),
    c("PM201", "resourceType: Encounter", "resourceType: §Encouter", "resourceType: Encounter", "did you mean 'Encounter'"),
    c("PM202", STATUS, STATUS + "    §hospitalisation: {}\n", STATUS + "    hospitalization: {admitSource: {text: =visit}}\n", "did you mean 'hospitalization'"),
    c("PM203", "valueCodeableConcept: {", "§value: {", "valueCodeableConcept: {", ""),
    c("PM204", "    interpretation:", "    §valueString: x\n    interpretation:", "    bodySite: {text: x}\n    interpretation:", "$if"),
    c("PM205", "{from: =began, to: =ended}}", "{from: =began, to: =ended}, §start: =began}", "{from: =began, to: =ended}, id: x}"),
    c("PM210", STATUS, "    status: §[finished]\n", "    status: finished\n    language: en\n", "one value"),
    c("PM211", "value: =visit}", "value: §=topics}", "value: =topics.first()}", "first()"),
    c("PM211", "    period: {", "    period: {$each: §topics as t, ", "    period: {"),
    c("PM220", STATUS, "", STATUS),
    c("PM221", "    resourceType: Observation\n    $if: mood.exists()\n    status: final\n", "    resourceType: Observation\n    $if: mood.exists()\n    status: §=iif(length > 3, 'final', {})\n",
      "    resourceType: Observation\n    $if: mood.exists()\n    status: \"=iif(length > 3, 'final', 'registered')\"\n", "", W),
    c("PM223", STATUS, STATUS + "    participant: {period: §{start: 2026-03-01, end: 2026-02-01}}\n", STATUS + "    participant: {period: {start: 2026-03-01, end: 2026-03-01}}\n"),
    c("PM225", "    identifier: {system: $mrn", "    §identifier[mrn]: {system: $mrn", "    identifier: {system: $mrn", "profile"),
    c("PM230", STATUS, STATUS + "    language: §5\n", STATUS + '    language: "5"\n', "quote it"),
    c("PM230", "value: =patient}", "value: §=length}", "value: \"=length & ''\"}", "& ''"),
    c("PM231", "length: =length.toQuantity('min')", "length: §=length", "length: {value: =length, unit: min}"),
    c("PM231", "value: =patient}", "value: §{a: =patient}}", "value: {$value: =patient}}"),
    c("PM232", STATUS, STATUS + "    id: §a b\n", STATUS + "    id: a-b\n"),
    c("PM233", STATUS, STATUS + "    text: {status: generated, div: §=visit}\n", STATUS + '    text: {status: generated, div: "<div xmlns=\'http://www.w3.org/1999/xhtml\'>{{visit}}</div>"}\n', "<div"),
    c("PM234", "value: =patient}", "value: {$value: =patient, $absent: §unknwon}}", "value: {$value: =patient, $absent: unknown}}", "did you mean 'unknown'"),
    c("PM234", "    period: {$use: stay, with: {from: =began, to: =ended}}", "    period: §{$absent: unknown}", "    period: {start: {$value: =ended, $absent: unknown}}"),
    c("PM240", STATUS, "    status: §finnished\n", "    status: in-progress\n", "did you mean 'finished'"),
    c("PM240", "status: finished", "status: §=kind.translate('kinds')", "status: \"=iif(length > 5, 'finished', 'cancelled')\""),
    c("PM241", STATUS, "    status: §=visit\n", STATUS, "code map", W),
    c("PM242", CLASS, "    class: §mood#x\n", "    class: act#VR\n", "", INFO),
    c("PM243", "toQuantity('min')", "toQuantity(§'minute(s)')", "toQuantity('h')"),
    c("PM244", CLASS, '    class: §act#VR "by phone"\n', '    class: act#VR "Virtual"\n', "virtual", INFO),
    c("PM250", "$each: topics as", "$each: §visit as", "$each: topics as", "", W),
    c("PM251", "$each: topics as topic, text: =%topic", "§$for: topics, text: =visit", "text: =visit"),
    c("PM251", "    resourceType: Encounter\n", "    resourceType: Encounter\n    §$keep: true\n", "    resourceType: Encounter\n"),
    c("PM252", "$use: stay", "$use: §stays", "$use: stay", "did you mean 'stay'"),
    c("PM252", "with: {from: =began, to: =ended}", "with: {from: =began, §too: =ended}", "with: {from: =began, to: =ended}"),
    c("PM252", "with: {from: =began", "with: {from: §=visit", "with: {from: =began"),
    c("PM253", "{{mood}} <code>", "{{mood}} <cod>", "{{mood}} <code>"),
    c("PM260", "    reasonCode:", "    serviceProvider: {$ref: §person}\n    reasonCode:", "    appointment: {display: =visit}\n    reasonCode:"),
    c("PM261", "    reasonCode:", "    reasonReference: {$ref: §mood}\n    reasonCode:", "    reasonReference: {display: =visit}\n    reasonCode:", "$if"),
    c("PM262", "    reasonCode:", "    serviceProvider: {reference: §\"Patient/{{visit}}\"}\n    reasonCode:", "    serviceProvider: {reference: \"Organization/{{visit}}\"}\n    reasonCode:"),
    c("PM263", "mood: https://clinic.example/mood", "mood: §clinic.example/mood", "mood: urn:x:mood"),
    c("PM264", "    subject: {$ref: person}\n    period", "    subject: {$ref: §persons}\n    period", "    subject: {$ref: person}\n    period", "did you mean 'person'"),
    c("PM265", "bundle: transaction", "bundle: none", "bundle: collection"),
    c("PM266", "bundle: transaction", "bundle: batch", "bundle: collection"),
    c("PM270", "    resourceType: Observation\n    $if: mood.exists()\n", "    §resourceType: Observation\n    $each: topics as t\n", "    resourceType: Observation\n    $each: topics as t\n    $identity: [=visit, =mood & 'x']\n", "$identity", W),
    c("PM271", '    $request: {ifNoneExist: "identifier={{%systems.mrn}}|{{patient}}"}\n', "", '    $request: {ifNoneExist: "identifier=urn:oid:1.2.3|{{patient}}"}\n', "", W),
    c("PM272", '"identifier={{%systems', '§"identifiers={{%systems', '"active=true&identifier={{%systems', "did you mean 'identifier'"),
    c("PM273", "|{{patient}}", "|{{mood}}", "|{{patient}}{{visit}}", "required"),
    c("PM274", '"identifier={{%systems.mrn}}|', '§"identifier=urn:oid:1.2.4|', '"identifier={{%systems.mrn}}|x', "", W),
    c("PM275", '$request: {ifNoneExist: "identifier=https', '$request: §{method: PUT, ifNoneExist: "identifier=https', '$request: {method: POST, ifNoneExist: "identifier=https'),
    # --- source and overlays ---
    c("PM300", TWO, TWO + "    §extra: string\n", TWO + '    extra: {type: string, unused: "not sent"}\n', "unused", W),
    c("PM301", '"Mood of {{%who}}"', '§"Mood of {{%who}} {{remark}}"', '"Mood of {{%who}} {{length}}"'),
    c("PM302", "key: visit", "key: §topics", "key: [visit]"),
    c("PM302", TWO, TWO + "    §copy: {type: string, from: visit}\n", TWO + "    copy: {type: string, from: other, unused: x}\n"),
    c("PM303", "  §format: csv\n  key: visit\n".replace("§", ""), "  §format: csv\n", "  format: csv\n  key: [visit]\n", "", W),
    c("PM304", "    resourceType: Observation\n", "    resourceType: Observation\n    meta: {security: §{system: http://x.example, code: R}}\n", "    resourceType: Observation\n    meta: {security: {system: http://x.example, code: PSY}}\n"),
    c("PM310", 'ended: {type: dateTime, format: YYYY-MM-DD HH:mm, offset: "+01:00"}', "ended: {type: dateTime, format: §YYYY-MM-DD HH:mm}", "ended: {type: dateTime, format: YYYY-MM-DD HH:mm, timezone: Europe/Paris}", "offset"),
    c("PM312", "{type: integer, min: 1, max: 600}", "{type: integer, min: §601, max: 600}", "{type: integer, min: 600, max: 600}"),
    c("PM312", "{type: integer, min: 1, max: 600}", "{type: integer, example: §soon}", "{type: integer, example: 12}"),
    c("PM313", "  key: visit\n", "  key: visit\n  empty: [home]\n", "  key: visit\n  empty: [n/a]\n", "", W),
    c("PM400", "visit.status", "§visit.stats", "visit.status", "did you mean 'visit.status'", over=True),
    c("PM400", "visit.status", "§visits.status", "visit.status", "did you mean 'visit", over=True),
    c("PM401", "extends: visit@^2.0", "§extends: visit@^1.0", "extends: visit@~2.1", over=True),
    c("PM401", "extends: visit@^2.0", "§extends: visits@^2.0", "extends: visit@^2.0", over=True),
    c("PM402", "{at: visit.status, set", "{at: §visit.status, add", "{at: visit.language, add", "set:", over=True),
    c("PM402", "{at: visit.status, set", "{at: §visit.priority, set", "{at: visit.status, set", "add:", over=True),
    c("PM403", "set: planned", "set: finished", "set: arrived", "", W, over=True),
    c("PM403", "{at: visit.status, set: planned", "{at: §visit.status, replace-map: levels", "{at: visit.class.code, replace-map: levels", "set:", over=True),
)  # fmt: skip


def told(folder: Path, mapping: str, overlay: str) -> list[dict[str, Any]]:
    """What `peerfhir map check --format json` says."""
    texts = {
        "visit/visit.map.yaml": mapping, "visit/overlays/east.overlay.yaml": overlay, "visit/kinds.csv": KINDS,
        "shared.library.yaml": SHARED,
    }  # fmt: skip
    for name, text in texts.items():
        path = folder / "mappings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    said = call("check", "--mappings", folder / "mappings", "--format", "json")
    found = reader.read(said.out.encode())
    assert isinstance(found, list)
    assert said.code == int(any(one["severity"] == "error" for one in found))
    return [one for one in found if one["code"] != "PM500"]


def of(case: Case, folder: Path, new: str) -> list[dict[str, Any]]:
    """The problems after the change."""
    base = OVERLAY if case.over else VISIT
    assert case.old in base
    changed = base.replace(case.old, new.replace("§", ""), 1)
    return told(folder, VISIT if case.over else changed, changed if case.over else OVERLAY)


def test_the_document_of_visits_has_no_problem(tmp_path: Path) -> None:
    assert told(tmp_path, VISIT, OVERLAY) == []


@pytest.mark.parametrize("case", CASES, ids=[f"{at}-{one.code}" for at, one in enumerate(CASES)])
def test_a_check_is_raised_at_its_place_and_not_by_its_near_miss(case: Case, tmp_path: Path) -> None:
    found = [one for one in of(case, tmp_path, case.new) if one["code"] == case.code]
    assert {one["severity"] for one in found} == {case.severity}, found
    assert any(case.hint in one["hint"] for one in found), found
    before = (OVERLAY if case.over else VISIT).partition(case.old)[0] + case.new.partition("§")[0]
    if "§" in case.new:
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        assert place in [(one["line"], one["column"]) for one in found], found
    near = of(case, tmp_path, case.near)
    assert [one for one in near if one["code"] == case.code] == [], near


def test_what_another_document_lacks_is_told_once(tmp_path: Path) -> None:
    found = told(tmp_path, VISIT.replace("status: finished", "status: ]"), OVERLAY)
    assert [(one["code"], Path(one["file"]).name) for one in found] == [("PM001", "visit.map.yaml")]
    path = tmp_path / "mappings" / "shared.library.yaml"
    told(tmp_path, VISIT, OVERLAY)
    path.write_text(SHARED.replace("version: 1.2.0", "version: soon"), "utf-8")
    said = call("check", "--mappings", tmp_path / "mappings", "--format", "json")
    again = [(one["code"], Path(one["file"]).name, one["line"]) for one in reader.read(said.out.encode())]
    assert again == [("PM007", "shared.library.yaml", 2), ("PM006", "visit.map.yaml", 5)]


def test_a_quote_that_is_missing_is_told_with_the_line_where_it_began(tmp_path: Path) -> None:
    text = VISIT.replace('"Mood of {{%who}}"', '"Mood of {{%who}}')
    line = text[: text.index("note:")].count("\n") + 1
    found = told(tmp_path, text, OVERLAY)
    assert [one["code"] for one in found] == ["PM001"]
    assert f"in what begins at line {line}" in found[0]["message"]
    assert "quote the value" in found[0]["hint"]


def test_a_long_list_of_what_is_allowed_is_cut_and_counted(tmp_path: Path) -> None:
    found = told(tmp_path, VISIT.replace("valueCodeableConcept: {", "value: {"), OVERLAY)
    assert [one["message"] for one in found if one["code"] == "PM203"] == [
        (
            "'value' is spelled with its type: valueQuantity, valueCodeableConcept, valueString, valueBoolean, "
            "valueInteger, valueRange, valueRatio, valueSampledData and 3 more"
        )
    ]
