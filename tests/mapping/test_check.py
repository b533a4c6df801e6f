from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping.marked import FIELDS, HEAD, places, told, wanted

TASK = """resources:
  task:
    resourceType: Task
    status: draft
    intent: plan
"""

REFUSED = {
    "names-of-elements": TASK + """    descripton: x #! PM202
    value: x #! PM202
    input:
      - type: {text: x}
        value: 5 #! PM203
    note: [{txt: a, text: b}] #! PM202
    code: {coding: [{sytem: $loinc}]} #! PM202
    "identifier[own]": {value: x} #! PM225
""",
    "what-is-required": """resources:
  task:
    resourceType: Task #! PM220 PM220
  observation:
    resourceType: Observation #! PM220
    code: {text: x}
    status: final
    component:
      - valueString: x #! PM220
  extended:
    resourceType: Basic
    code: {text: x}
    extension: {valueString: x} #! PM220
  flag:
    resourceType: Communication
    status: completed
    payload: {id: x} #! PM220
""".replace("    resourceType: Observation #! PM220", "    resourceType: Observation"),
    "one-or-many": TASK + """    description: [a] #! PM210
    authoredOn: =words #! PM211
    groupIdentifier: [{value: x}] #! PM210
    for: {$each: items as i, display: =%i.name} #! PM211
    owner: {display: "of {{words}}"} #! PM121
    priority: =words.translate('open') #! PM121
""",
    "types": TASK + """    description: 5 #! PM230
    authoredOn: yesterday #! PM232
    restriction: {repetitions: -1} #! PM230
    lastModified: =number #! PM230
    businessStatus: =word #! PM231
    code: 5 #! PM231
    note: [{text: {more: x}}] #! PM231
    requester: =word #! PM231
    executionPeriod: {start: =code, end: true} #! PM230 PM230
    implicitRules: "has blanks" #! PM232
    for: {display: =object} #! PM231
    text: {status: generated, div: =word} #! PM233
    input: [{type: {text: x}, valueInteger: 1.5}, {type: {text: y}, valueBoolean: "yes"}] #! PM230 PM230
""",
    "codes": """resources:
  task:
    resourceType: Task
    status: drafted #! PM240
    intent: =iif(flag, 'plan', 'plans') #! PM240
    priority: =code.translate('ab') #! PM240
    code: lionc#1 #! PM139
    businessStatus: "no coding" #! PM231
    implicitRules: $nothing #! PM139
    performerType: loinc#1 two #! PM231
""",
    "expressions": TASK + """    description: =word and #! PM100
    authoredOn: =days #! PM111
    for: {display: =%word} #! PM110
    owner: {display: =word.trimm()} #! PM122
    requester: {display: "=word != 'x'"} #! PM230
    focus: {display: "{{word}} {word}}"} #! PM101
    note: {text: "{{word"} #! PM101
    location: {display: =word.where(word)} #! PM111
    encounter: {display: "=words.where($this)"} #! PM126
    basedOn: {display: =word = 5} #! PM120
    partOf: {display: "=word.translate('nope')"} #! PM130
    groupIdentifier: {value: "=code.translate('open')"} #! PM132
    insurance: {display: ='\\q'} #! PM125
    statusReason: {text: "of {{object}}"} #! PM120
""",
    "directives": TASK + """    description: {$if: word, $value: x} #! PM126
    note:
      - {$if: flag.exists(), text: a}
      - {$unless: flag, text: b} #! PM251
      - {$each: items, text: c} #! PM251
      - {$use: phone, text: d} #! PM252
      - {$let: {context: =word}, text: e} #! PM113
      - {$let: 5, text: f} #! PM251
      - {$keep: false, text: g} #! PM251
    authoredOn: {$value: =at, extension: []} #! PM007
    lastModified: {$absent: unknow} #! PM234
    input:
      - type: {text: x}
        valueString: {$each: words as w, $value: =%w} #! PM211
    output:
      - $each: items as a
        valueString: x
        type: {coding: {$each: items as b, display: =%b.name, extension: {$each: items as c, url: x, extension: {$each: items as d, url: y}}}} #! PM750
""",
    "resources": """resources:
  nothing:
    status: draft #! PM200
  pateint:
    resourceType: Pateint #! PM201
  5bad: {resourceType: Basic, code: {text: x}} #! PM007
  text: x #! PM007
  asked:
    $questionnair: phq-9 #! PM200
  rows:
    $rows: item #! PM130
    resourceType: Basic
    code: {text: x}
  profiled:
    resourceType: Basic
    profile: onw #! PM201
    code: {text: x}
  kept:
    resourceType: Basic
    $keep: true #! PM251
    code: {text: x}
  inner:
    resourceType: Basic
    code: {text: x}
    contained:
      - {id: a} #! PM200
      - {resourceType: Nothing, id: b} #! PM201
""",
    "references": TASK + """    focus: {$ref: tsak} #! PM264
    for: {$ref: task}
    owner: {$ref: each} #! PM260
    encounter: {reference: "Patient/{{id}}"} #! PM262
    requester: {$ref: maybe} #! PM261
    partOf: {reference: "Task?identifir=x"} #! PM272
    description: {$ref: task} #! PM251
    location: {$ref: place} #! PM261
    basedOn: {$ref: each}
  each:
    resourceType: Basic
    $each: items as i
    $identity: =%i.name
    code: {text: x}
  place:
    resourceType: Location
    $each: items as i
    $identity: =%i.name
    name: =%i.name
  maybe:
    resourceType: Patient
    $if: flag
    $request: {ifNoneExist: "identifier={{id}}"}
    name: {text: =word}
""",
    "requests": TASK + """    $request: {method: DELETE} #! PM275
  one:
    resourceType: Basic
    $request: {method: PUT} #! PM275
    code: {text: x}
  two:
    resourceType: Basic
    $request: {method: PUT, url: "Basic?identifier={{word}}"} #! PM273
    code: {text: x}
  three:
    resourceType: Basic
    $request: {method: PUT, url: Basic/1, ifNoneExist: "identifier={{id}}"} #! PM275
    code: {text: x}
  four:
    resourceType: Basic
    $request: {ifNone: "identifier={{id}}"} #! PM002
    code: {text: x}
  five:
    resourceType: Basic
    $identity: =word #! PM302
    code: {text: x}
""",
    "choices": """resources:
  seen:
    resourceType: Observation
    status: final
    code: {text: x}
    valueString: =word
    valueInteger: =number #! PM204
    effectiveDateTime: {$if: flag, $value: =at}
    effectivePeriod: {$if: flag.not(), start: =at}
""",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_template_may_not_say_is_refused_at_its_line(tmp_path: Path, name: str) -> None:
    text = HEAD.format(id=name) + FIELDS + REFUSED[name]
    errors, _ = told(tmp_path, name, text)
    assert places(errors) == wanted(text), "\n".join(errors)


FROM_FHIR = """direction: from-fhir
source: {format: fhir, type: Task}
systems: {our: http://our.example}
conceptMaps: {some: {draft: d, requested: r}}
record:
  fields:
    id: string!
    status: {type: code!, codes: [d, r]}
    when: date
    notes: [string]
    parts: [{kind: string!, text: string}]
    missing: string!
"""
FROM_FHIR_REFUSED = {
    "values": """  values:
    id: =idd #! PM220 PM111
    status: =status.translate('some') #! PM132
    when: =authoredOn #! PM230
    notes: =input.value #! PM231
    parts:
      - {text: =status} #! PM220
      - {kind: =status, txt: x} #! PM202
    nothing: x #! PM202
""",
    "json-names": """  values:
    id: =input.valueString #! PM220 PM111
    status: d
    when: 2026-02-30 #! PM232
    notes: [=input.value.code, =note] #! PM231 PM231
""",
}


@pytest.mark.parametrize("name", FROM_FHIR_REFUSED)
def test_what_a_record_may_not_say_is_refused_at_its_line(tmp_path: Path, name: str) -> None:
    text = HEAD.format(id=name) + FROM_FHIR + FROM_FHIR_REFUSED[name]
    errors, _ = told(tmp_path, name, text)
    assert places(errors) == wanted(text), "\n".join(errors)


WARNED = {
    "risks": FIELDS + """resources:
  task: #! PM300
    resourceType: Task
    status: =word.translate('open') #! PM133
    intent: =word #! PM241 PM221
    note:
      - {$each: word as w, text: =%w} #! PM250
      - {$each: items as a, $let: {a: =%a.name}, text: =%a} #! PM113
    description: "=iif(code = 'c', 'x', 'y')" #! PM123
  patient:
    resourceType: Patient #! PM271
    $each: items as i #! PM270
    name: {text: =%i.name}
""",
}  # fmt: skip


def test_what_may_go_wrong_is_a_warning_and_can_be_accepted(tmp_path: Path) -> None:
    text = HEAD.format(id="risks") + WARNED["risks"]
    errors, warnings = told(tmp_path, "risks", text)
    assert errors == []
    expected = {code for _, code in wanted(text)}
    assert {code for _, code in places(warnings)} == expected
    lines = [place for place in wanted(text) if place[1] not in ("PM300", "PM271", "PM270")]
    assert [place for place in lines if place not in places(warnings)] == []
    accepted = "accept:\n" + "".join(f"  - {{code: {code}, because: known}}\n" for code in sorted(expected))
    assert told(tmp_path, "risks", text + accepted) == ([], [])
    _, left = told(tmp_path, "risks", text + "accept: [{code: PM301, because: nothing}]\n")
    assert "PM010" in {code for _, code in places(left)}


def test_accept_never_hides_an_error(tmp_path: Path) -> None:
    text = HEAD.format(id="plain") + FIELDS + TASK + "    descripton: x\naccept: [{code: PM202, because: I say so}]\n"
    assert "PM202" in {code for _, code in places(told(tmp_path, "plain", text)[0])}


def test_a_column_points_inside_the_scalar(tmp_path: Path) -> None:
    cases = {
        "    description: =word.trimm()": "trimm",
        '    description: "=word.trimm()"': "trimm",
        "    description: 'a {{word}} b {{word.trimm()}}'": "trimm",
        "    description: >-\n      =word &\n      word.trimm()": "trimm",
        "    description: \"=word & 'it\\'s' & word.trimm()\"".replace("\\'", "\\\\'"): "trimm",
        "    note: {text: =word & nothing}": "nothing",
        "    note:\n      - $if: flag and nothing\n        text: x": "nothing",
        "    note: [{$each: nothing as n, text: x}]": "nothing",
    }
    for number, (line, part) in enumerate(cases.items()):
        text = HEAD.format(id=f"c{number}") + FIELDS + TASK + line + "\n"
        errors, _ = told(tmp_path / f"f{number}", f"c{number}", text)
        assert len(errors) == 1, errors
        where = errors[0].split(": ")[0].split(":")
        at = text.splitlines()[int(where[1]) - 1]
        assert at[int(where[2]) - 1 :].startswith(part), (line, errors)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("bundle: none\nresources: {one: {resourceType: Basic, code: {text: x}, $request: {method: POST}}}\n", "PM275"),
        ("resources: {one: {resourceType: Basic, code: {text: x}, $request: {url: [x]}}}\n", "PM007"),
        ("resources: {one: {resourceType: Basic, code: {text: x}, $request: POST}}\n", "PM007"),
        ("resources: {one: {resourceType: Basic, code: {text: x}, profile: own, meta: {profile: x}}}\n", "PM205"),
        ("bundle: none\nresources: {a: {resourceType: Location, id: =word}, b: {resourceType: Location, partOf: {$ref: a}}}\n", "PM261"),
        (TASK + "accept: x\n", "PM007"),
        (TASK + "accept: [x]\n", "PM007"),
        (TASK + "accept: [{code: PM300}]\n", "PM007"),
        (TASK + "    description: ~\n", "PM007"),
        (TASK + "    description: {}\n", "PM231"),
        (TASK + "    description: {$literal: {a: b}}\n", "PM231"),
        (TASK + "    note: []\n", "PM007"),
    ],
)  # fmt: skip
def test_smaller_contradictions_are_refused_too(tmp_path: Path, body: str, code: str) -> None:
    errors, _ = told(tmp_path, "small", HEAD.format(id="small") + FIELDS + body)
    assert code in {found for _, found in places(errors)}


@pytest.mark.parametrize(
    "record",
    ["{}", "{fields: {a: string}}", "{fields: {a: string}, values: x}", "{fields: {a: string}, values: {}, more: x}"],
)
def test_a_record_section_needs_fields_and_values(tmp_path: Path, record: str) -> None:
    head = HEAD.format(id="small") + "direction: from-fhir\nsource: {format: fhir, type: Task}\n"
    errors, _ = told(tmp_path, "small", f"{head}record: {record}\n")
    assert {code for _, code in places(errors)} <= {"PM007", "PM002"}
    assert errors


def test_directions_do_not_mix(tmp_path: Path) -> None:
    for direction, source in (
        ("from-fhir", "{format: json, fields: {a: string}}"),
        ("to-fhir", "{format: fhir, type: Task}"),
    ):
        body = (
            "record: {fields: {a: string}, values: {}}"
            if direction == "from-fhir"
            else "resources: {b: {resourceType: Basic, code: {text: x}}}"
        )
        errors, _ = told(
            tmp_path / direction,
            "small",
            HEAD.format(id="small") + f"direction: {direction}\nsource: {source}\n{body}\n",
        )
        assert [code for _, code in places(errors)] == ["PM007"]
    errors, _ = told(
        tmp_path,
        "small",
        HEAD.format(id="small")
        + "direction: from-fhir\nsource: {format: fhir, type: Taks}\nrecord: {fields: {}, values: {}}\n",
    )
    assert "did you mean 'Task'?" in errors[0]
