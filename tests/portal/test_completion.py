"""What is offered where somebody types in a mapping or an overlay: that, with what it is, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.fhir.fhirpath.compile import WELL_KNOWN
from peerfhir.mapping import nodes
from peerfhir.portal.completion import DIRECTIVES, Offers, offered
from peerfhir.portal.draft import Draft
from peerfhir.portal.signatures import ARGUMENTS, functions, signature
from tests.support.playground import OVERLAY, furnish

HERE = "‸"
SESSION = """\
mapping: session
version: 1.0.0
fhirVersion: 4.0.1
imports: [common@^1.0]
source:
  format: json
  fields:
    modality: {type: code!, codes: modality}
    q1..q3: integer
    facilitator: {id: string!, name: string!}
    attendees: [{patient: string!, status: {type: code!}}]
systems: {act: http://act.example, sct: http://snomed.info/sct}
conceptMaps:
  modality: {video: VR}
vars:
  who: =facilitator
fragments:
  person: {type: HumanName, params: {last: string}, body: {family: =%last}}
resources:
  encounter:
    $each: attendees as a, i
    $let: {now: =modality}
    resourceType: Encounter
    ‸
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("offered"))


def offers(root: Path, text: str, *, overlay: str = "", pane: str = "mapping") -> Offers:
    """What is offered where the mark stands."""
    typed = overlay if pane == "overlay" else text
    at = len(typed.partition(HERE)[0].encode("utf-16-le")) // 2
    draft = Draft(root, "", text.replace(HERE, ""), "hospital" if overlay else "", overlay.replace(HERE, ""))
    return offered(draft, pane, at, ["phq-9"])


def texts(root: Path, line: str) -> list[str]:
    return [one["text"] for one in offers(root, SESSION.replace(HERE, line)).offers]


def test_keys_come_from_the_schema_and_those_that_stand_there_are_left_out(root: Path) -> None:
    found = [one["text"] for one in offers(root, "mapping: a\nsource:\n  format: csv\n  ‸\n").offers]
    assert {"fields: ", "delimiter: ", "unknown: "} <= set(found)
    assert "format: " not in found
    top = {one["text"]: one["about"] for one in offers(root, "mapping: a\n‸").offers}
    assert "mapping: " not in top
    assert top["direction: "] == "to-fhir | from-fhir"


def test_elements_are_those_of_the_type_at_the_cursor(root: Path) -> None:
    found = {one["text"]: one["about"] for one in offers(root, SESSION.replace(HERE, "sta‸")).offers}
    assert list(found)[:2] == ["status: ", "statusHistory: "]
    assert found["status: "] == "code 1..1"
    assert texts(root, "period: {‸")[:4] == ["id: ", "extension: ", "start: ", "end: "]
    assert texts(root, "participant:\n      - individual: {refe‸") == ["reference: "]
    assert texts(root, "serviceType: {coding: [{‸")[2:5] == ["system: ", "version: ", "code: "]
    assert "start: " not in texts(root, "period: {start: =x, ‸")


def test_a_key_that_is_changed_keeps_its_colon(root: Path) -> None:
    found = offers(root, SESSION.replace(HERE, "sta‸tus: =x"))
    assert [one["text"] for one in found.offers] == ["statusHistory"]  # its own name stands there already
    found = offers(root, SESSION.replace(HERE, "sta‸tu: =x"))
    assert found.offers[0]["text"] == "status"
    assert found.end - found.start == len("statu")


def test_codes_of_a_required_binding_come_before_expressions(root: Path) -> None:
    found = texts(root, "status: ‸")
    assert found[:2] == ["arrived", "cancelled"]
    assert "=modality" in found
    assert texts(root, "status: fin‸") == ["finished"]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("status: =‸", ["modality", "q1", "q2", "q3", "facilitator", "attendees", "%who", "%a", "%i", "%now"]),
        ("status: =mod‸", ["modality"]),
        ("status: =facilitator.na‸", ["name"]),
        ("status: =%a.st‸", ["status", "startsWith()"]),
        ("status: =%who.i‸", ["id"]),
        ("status: =attendees.where(pat‸", ["patient"]),
        ("status: =attendees.first().pat‸", ["patient"]),
        ("status: =modality.translate('‸", ["modality"]),
        ("status: =fullUrl('‸", ["encounter"]),
        ("status: =%sys‸", ["systems"]),
        ("status: =%systems.‸", ["act", "sct"]),
        ('status: "{{facilitator.‸', ["id", "name"]),
        ("$if: mod‸", ["modality"]),
        ("class: ac‸", ["act#"]),
        ("class: {system: $‸", ["$act", "$sct"]),
        ("period: {$use: ‸", ["person"]),
        ("subject: {$ref: ‸", ["encounter"]),
        ("status: =modality.substr‸", ["substring()"]),
        ("status: 'text of ‸", []),
        ("status: ='quoted ‸", []),
        ("# status: =‸", []),
    ],
)
def test_names_are_those_that_can_be_named_there(root: Path, line: str, wanted: list[str]) -> None:
    assert texts(root, line)[: len(wanted)] == wanted
    if not wanted:
        assert texts(root, line) == []


def test_values_that_the_schema_closes_are_offered(root: Path) -> None:
    for text, wanted in (
        ("mapping: a\nstatus: ‸", ["draft", "active", "retired"]),
        ("mapping: a\nsource:\n  trim: ‸", ["true", "false"]),
        ("mapping: a\nsource: {format: js‸", ["json", "ndjson"]),
        ("mapping: a\nsource: {fields: {x: {type: dec‸", ["decimal", "decimal!"]),
        ("mapping: a\nresources: {p: {resourceType: Patie‸", ["Patient"]),
        ("mapping: a\nresources: {p: {$questionnaire: ‸", ["phq-9"]),
    ):
        assert [one["text"] for one in offers(root, text).offers] == wanted


def test_a_function_says_its_signature_and_the_cursor_goes_between_its_brackets(root: Path) -> None:
    found = offers(root, SESSION.replace(HERE, "status: =modality.substr‸")).offers
    assert found == [
        {"text": "substring()", "kind": "function", "about": "substring(start [, length]) → String", "back": 1}
    ]
    assert offers(root, SESSION.replace(HERE, "status: =modality.toCh‸")).offers[0]["back"] == 0


def test_functions_that_are_made_for_the_value_come_first_and_those_that_cannot_take_it_are_left_out(
    root: Path,
) -> None:
    of_text, of_number = texts(root, "status: =modality.‸"), texts(root, "status: =q1.‸")
    assert of_text[:3] == ["contains()", "decode()", "encode()"]
    assert of_number[:3] == ["abs()", "ceiling()", "exp()"]
    assert "abs()" not in of_text
    assert "upper()" not in of_number
    assert {"empty()", "count()"} <= set(of_number)


def test_every_function_of_the_dialect_has_a_signature() -> None:
    for name, one in functions().items():
        arguments = ARGUMENTS.get(name, "")
        assert (one.most > 0) == bool(arguments), name
        least = [part for part in arguments.partition("[")[0].split(",") if part.strip(" .")]
        assert len(least) == one.least, name
        assert "..." in arguments or len(arguments.split(",")) == max(one.most, 1), name
        assert signature(name, one).startswith(f"{name}({arguments})")


def test_every_directive_of_a_node_is_offered() -> None:
    assert set(DIRECTIVES) == nodes._DIRECTIVES


def test_the_names_of_a_library_are_offered_where_it_is_imported(root: Path) -> None:
    library = "library: common\nversion: 1.2.0\nconceptMaps:\n  sex: {F: female}\n"
    (root / "library").mkdir(exist_ok=True)
    path = root / "library" / "common.library.yaml"
    path.write_text(library)
    try:
        assert texts(root, "status: =modality.translate('‸") == ["modality", "sex"]
        assert [one["text"] for one in offers(root, "mapping: a\nimports: [‸").offers] == ["common@^1.2"]
    finally:
        path.unlink()


def test_an_overlay_is_offered_the_rules_of_its_mapping_and_the_codes_of_the_element(root: Path) -> None:
    mapping = (root / "referral-csv" / "referral-csv.map.yaml").read_text("utf-8")
    typed = OVERLAY.replace("at: patient.active", "at: patient.gen‸")
    found = offers(root, mapping, overlay=typed, pane="overlay")
    assert [one["text"] for one in found.offers] == ["patient.gender"]
    typed = OVERLAY.replace("at: patient.active, set: false", "at: patient.gender, set: ‸")
    assert offers(root, mapping, overlay=typed, pane="overlay").offers[0]["text"] == "female"
    typed = OVERLAY.replace("set: false", "set: =last_‸")
    assert [one["text"] for one in offers(root, mapping, overlay=typed, pane="overlay").offers] == ["last_name"]
    assert "because: " in [one["text"] for one in offers(root, mapping, overlay="rules:\n  - ‸", pane="overlay").offers]


def test_a_mapping_from_fhir_is_offered_the_elements_of_what_comes_in(root: Path) -> None:
    text = "mapping: a\nsource: {format: fhir, type: Consent}\nrecord:\n  fields: {agreed: boolean}\n  values:\n    ‸"
    assert [one["text"] for one in offers(root, text).offers] == ["agreed: "]
    for line, wanted in (("agreed: =prov‸", "provision"), ("agreed: =provision.per‸", "period"),
                         ("agreed: =source‸", "source"), ("agreed: =Consent.scop‸", "scope")):  # fmt: skip
        assert offers(root, text.replace(HERE, line)).offers[0]["text"] == wanted


def test_places_are_counted_as_browsers_count_them(root: Path) -> None:
    text = SESSION.replace("mapping: session", "mapping: session # \N{SEEDLING}").replace(HERE, "sta‸")
    found = offers(root, text)
    units = text.replace(HERE, "").encode("utf-16-le")
    assert units[2 * found.start : 2 * found.end].decode("utf-16-le") == "sta"


def test_a_long_list_is_cut_and_counted(root: Path) -> None:
    found = offers(root, "mapping: a\nresources: {p: {resourceType: ‸")
    assert len(found.offers) == 60
    assert found.more > 60


def test_every_constant_that_is_well_known_is_offered(root: Path) -> None:
    assert set(WELL_KNOWN) <= set(texts(root, "status: =%‸"))
