from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping.marked import places, told, wanted
from tests.support.mapping_folder import load

TEXT = """mapping: private
version: 1.0.0
fhirVersion: 4.0.1
source:
  format: json
  key: id
  fields:
    id: string!
    plain: string
    use: {type: string, sensitive: SUD}
    name: {type: string, sensitive: true}
    visits: [{on: date, why: {type: string, sensitive: PSY}}]
systems: {act: http://terminology.hl7.org/CodeSystem/v3-ActCode}
vars:
  how: =use & '!'
bundle: none
resources:
  patient:
    resourceType: Patient
    identifier: {value: =id}
    name: {family: =name, text: =plain%s
"""


@pytest.mark.parametrize(
    "template",
    [
        "}\n    maritalStatus: {text: =use} #! PM301", "}\n    maritalStatus: {text: 'x {{use}}'} #! PM301", "}\n    maritalStatus: {text: =%how} #! PM301",
        "}\n    maritalStatus: {coding: {code: =use, display: =use}} #! PM301", "}\n    contact: {name: {text: \"=name\"}} #! PM301", "}\n    contact: {$each: visits as v, name: {text: =%v.why}} #! PM301",
        "}\n    contact: {$let: {x: =use}, name: {text: =%x}} #! PM301", "}\n    contact: {name: {text: \"=visits.why.first()\"}} #! PM301", "}\n    text: {status: generated, div: '<div>{{use}}</div>'} #! PM301",
        "}\n    contact: {name: {text: =plain, family: =use}}", "}\n    contact: {name: {text: \"=visits.on.first().toString()\"}}", "}\n    maritalStatus: {coding: {code: =use}}",
    ],
)  # fmt: skip
def test_a_sensitive_field_is_refused_in_free_text_however_it_gets_there(tmp_path: Path, template: str) -> None:
    text = TEXT % template
    errors, _ = told(tmp_path, "private", text)
    assert places(errors) == wanted(text), "\n".join(errors)
    assert all("own words" not in error for error in errors)


TWO = """}
    maritalStatus: {coding: {code: =%how}}
  other:
    resourceType: Basic
    code: {coding: {code: =plain}}
  third:
    resourceType: Basic
    code: {coding: {$each: visits as v, code: =%v.why}}
"""


def test_a_result_tells_the_labels_of_what_fed_each_resource(tmp_path: Path) -> None:
    loaded = load(tmp_path, "private", TEXT % TWO)
    assert loaded.run("private", {"id": "1", "plain": "c", "visits": [{"why": "d"}]}).labels == {"patient": frozenset({"SUD"}), "third": frozenset({"PSY"})}  # fmt: skip


@pytest.mark.parametrize(
    ("security", "problem"),
    [
        ("act#PSY", True), ("[act#SUD, act#ETH]", False), ("{system: $act, code: SUD}", False), ("[{system: $act, code: ETH}]", True), ("{code: =plain}", False),
    ],
)  # fmt: skip
def test_labels_that_a_template_writes_hold_those_that_reach_the_resource(
    tmp_path: Path, security: str, problem: bool
) -> None:
    text = TEXT % ("}\n    maritalStatus: {coding: {code: =use}}\n    meta: {security: " + security + "}")
    errors, _ = told(tmp_path, "private", text)
    assert [code for _, code in places(errors)] == (["PM304"] if problem else [])
